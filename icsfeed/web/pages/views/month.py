"""Weeks of a calendar page: which item is drawn in which lane over which days, and which do not fit."""

from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct

from icsfeed.web.pages.items import RANK, PageItem

DAY = timedelta(days=1)
LONG_PERIODS = ("cycle", "module", "initiative")
"""They last for weeks or months, and must not take the lanes from what is due."""
MIN_LISTED = 2
"""Entries of a list behind `+n more`; with fewer it is not worth opening."""


class Bar(Struct, frozen=True):
    """An item drawn over `days` days of one week. `before`, `after`: it continues outside the week."""

    item: PageItem
    lane: int
    days: int
    before: bool
    after: bool


class Cell(Struct, frozen=True):
    """A day: the bars that begin on it, and the items on it without a lane.

    `items`: all items on this day, whichever cell their bars begin in.
    """

    day: date
    bars: tuple[Bar, ...] = ()
    more: tuple[PageItem, ...] = ()
    items: tuple[PageItem, ...] = ()


Week = tuple[Cell, ...]


def week_start(day: date, first_weekday: int) -> date:
    """Return the first day of the week of `day`. `first_weekday`: 0 is Monday."""
    return day - (day.weekday() - first_weekday) % 7 * DAY


def month_weeks(items: Iterable[PageItem], month: date, first_weekday: int, lanes: int) -> tuple[Week, ...]:
    """Return the whole weeks that a month needs: 4 to 6 of them, with days of the months around it."""
    first = month.replace(day=1)
    last = next_month(first) - DAY
    # Six days more at both ends: as many as whole weeks can add to a month.
    shown = [item for item in items if item.is_within(first - 6 * DAY, last + 6 * DAY)]
    starts = range(0, (last - week_start(first, first_weekday)).days + 1, 7)
    return tuple(week(shown, week_start(first, first_weekday) + days * DAY, lanes) for days in starts)


def week(items: Iterable[PageItem], start: date, lanes: int) -> Week:
    """Return seven days from `start`. Each item takes the first lane that is free on all of its days."""
    end = start + 6 * DAY
    taken: set[tuple[int, int]] = set()
    bars: dict[int, list[Bar]] = {}
    more: dict[int, list[PageItem]] = {}
    on_day: list[list[PageItem]] = [[] for _ in range(7)]
    for first, last, item in _clipped(items, start, end):
        days = range(first, last + 1)
        for day in days:
            on_day[day].append(item)
        lane = next((lane for lane in range(lanes) if all((lane, day) not in taken for day in days)), None)
        # No lane is free on all of its days: it goes behind "+n more" on each of them.
        if lane is None:
            for day in days:
                more.setdefault(day, []).append(item)
            continue
        taken.update((lane, day) for day in days)
        bar = Bar(item, lane, len(days), _first(item) < start, (item.last or end) > end)
        bars.setdefault(first, []).append(bar)
    return tuple(
        Cell(start + day * DAY, tuple(bars.get(day, ())), tuple(more.get(day, ())), tuple(on_day[day]))
        for day in range(7)
    )


def next_month(month: date) -> date:
    """Return the first day of the month after this one."""
    return (month.replace(day=1) + 32 * DAY).replace(day=1)


def listed(weeks: Iterable[Week], limit: int) -> int:
    """Return how many entries each list behind `+n more` may have, so that all together are near `limit`.

    0 where that would be too few to be of use.
    """
    lengths = [len(cell.more) for row in weeks for cell in row if cell.more]
    if sum(lengths) <= limit:
        return max(lengths, default=0)
    each = limit // len(lengths)
    return each if each >= MIN_LISTED else 0


def _first(item: PageItem) -> date:
    return item.first or item.last or date.max


def _clipped(items: Iterable[PageItem], start: date, end: date) -> list[tuple[int, int, PageItem]]:
    """Return the items in a week: first and last day, 0 to 6, in the order in which they take lanes."""
    clipped = [
        ((max(_first(item), start) - start).days, (min(item.last or end, end) - start).days, item)
        for item in items
        if item.is_within(start, end)
    ]

    def order(bar: tuple[int, int, PageItem]) -> tuple[object, ...]:
        """Put long periods last; and earlier ones, longer ones, what is to do, and what is urgent first."""
        first, last, item = bar
        is_long = item.kind in LONG_PERIODS
        return (is_long, first, first - last, item.done, RANK[item.priority], item.order)

    return sorted(clipped, key=order)
