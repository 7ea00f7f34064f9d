"""What one page of a calendar shows: a month, a week, an agenda or a day around a date, and the way on."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.web.pages.agenda import Agenda, agenda, first_after
from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.month import DAY, Week, listed, month_weeks, next_month, week, week_start
from icsfeed.web.pages.parameters import View, is_shown

LANES: Mapping[View, int] = {"month": 3, "week": 10}
LISTED = 90
"""Entries behind all the `+n more` of a page: that of any feed stays below 100 KB."""
AGENDA_DAYS, AGENDA_ITEMS = 28, 60


class CalendarView(Struct, frozen=True, kw_only=True):
    """One page. `first` and `last` are the days that it is about; either `weeks` or `agenda` holds them.

    `listed`: how many entries each list behind `+n more` has. `previous`, `next`: the days to go on
    to, None at the ends of time. `ahead`: the next day with an item, where this page has none.
    `skip`, `size`: of an agenda, how many items came before, and how many a page has.
    """

    view: View
    day: date
    first: date
    last: date
    weeks: tuple[Week, ...] = ()
    agenda: Agenda = Agenda()
    listed: int = 0
    previous: date | None = None
    next: date | None = None
    ahead: date | None = None
    count: int = 0
    skip: int = 0
    size: int = AGENDA_ITEMS

    def has_page(self, day: date) -> bool:
        """Return whether a page may show this day: weeks at the ends of time have days that no link names."""
        return is_shown(day)


def calendar_view_of(
    items: Sequence[PageItem], view: View, day: date, today: date, first_weekday: int, skip: int = 0
) -> CalendarView:
    """The page of these items that shows `day`. `skip`: of an agenda, how many items came before."""
    first, last = _bounds(view, day, first_weekday)
    scene = CalendarView(view=view, day=day, first=first, last=last, skip=skip)
    if view in ("month", "week"):
        weeks = _weeks(items, view, first, first_weekday)
        count = sum(item.is_within(first, last) for item in items)
        scene = replace(scene, weeks=weeks, listed=listed(weeks, LISTED), count=count)
    else:
        found = agenda(items, first, last, today, skip=skip, limit=AGENDA_ITEMS)
        scene = replace(scene, agenda=found, count=found.total + len(found.overdue) + len(found.undated))
    return _on_its_way(scene, items)


def _bounds(view: View, day: date, first_weekday: int) -> tuple[date, date]:
    match view:
        case "month":
            return day.replace(day=1), next_month(day) - DAY
        case "week":
            start = week_start(day, first_weekday)
            return start, start + timedelta(days=6)
        case "agenda":
            return day, day + timedelta(days=AGENDA_DAYS - 1)
        case _:
            return day, day


def _weeks(items: Sequence[PageItem], view: View, first: date, first_weekday: int) -> tuple[Week, ...]:
    if view == "month":
        return month_weeks(items, first, first_weekday, LANES[view])
    return (week(items, first, LANES[view]),)


def _shown(day: date | None) -> date | None:
    return day if day is not None and is_shown(day) else None


def _on_its_way(scene: CalendarView, items: Sequence[PageItem]) -> CalendarView:
    """The scene with what there is before and after it."""
    length = scene.last - scene.first + DAY
    before = (scene.first - DAY).replace(day=1) if scene.view == "month" else scene.first - length
    after = scene.last + DAY
    return replace(
        scene,
        previous=_shown(before),
        next=_shown(after),
        ahead=_shown(None if scene.count else first_after(items, scene.last)),
    )
