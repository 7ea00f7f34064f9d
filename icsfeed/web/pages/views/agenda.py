"""Items as a list by day, for pages: each once, under its first day that is shown."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

from msgspec import Struct

from icsfeed.web.pages.items import PageItem

MAX_UNDATED = 50


class Agenda(Struct, frozen=True):
    """Part of a list: what is overdue, the days with their items, tasks without a date.

    `total` counts the items on the days of all parts; `earlier`, `later`: there are others before or after.
    """

    overdue: tuple[PageItem, ...] = ()
    days: tuple[tuple[date, tuple[PageItem, ...]], ...] = ()
    undated: tuple[PageItem, ...] = ()
    total: int = 0
    earlier: bool = False
    later: bool = False


def agenda(
    items: Sequence[PageItem], first: date, last: date, today: date, *, skip: int = 0, limit: int = 100
) -> Agenda:
    """Return the list from `first` to `last`, both inclusive: `limit` items of it after the first `skip`.

    A list that begins today shows what is overdue before it, and what has no date after it.
    """

    def day_of(item: PageItem) -> date:
        # What began before the page is listed under its first day.
        return max(item.first or first, first)

    within = [item for item in items if item.is_within(first, last)]
    ordered = sorted(within, key=lambda item: (day_of(item), item.order))
    later, current = skip + limit < len(ordered), first == today
    undated = [item for item in items if item.last is None and item.first is None]
    return Agenda(
        overdue=overdue(items, today) if current and not skip else (),
        days=tuple((day, tuple(group)) for day, group in groupby(ordered[skip : skip + limit], day_of)),
        undated=tuple(undated[:MAX_UNDATED]) if current and not later else (),
        total=len(ordered),
        earlier=skip > 0,
        later=later,
    )


def upcoming(items: Iterable[PageItem], today: date, limit: int) -> tuple[PageItem, ...]:
    """Return the next items that are not done, soonest due first. What is overdue is not among them."""
    ahead = [item for item in items if item.last is not None and item.last >= today and not item.done]
    return tuple(sorted(ahead, key=lambda item: (item.last, item.order))[:limit])


def overdue(items: Iterable[PageItem], today: date) -> tuple[PageItem, ...]:
    """Return what is overdue, the longest first."""
    return tuple(sorted((item for item in items if item.is_overdue(today)), key=lambda item: item.order))


def first_after(items: Iterable[PageItem], day: date) -> date | None:
    """Return the first day after this one on which an item begins; None: there is none."""
    return min((item.first for item in items if item.first is not None and item.first > day), default=None)
