"""What one page of a calendar shows: a month, a week, an agenda or a day, and the pages before and after."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.parameters import View, is_shown
from icsfeed.web.pages.views.agenda import Agenda, agenda, first_after
from icsfeed.web.pages.views.month import DAY, Week, listed, month_weeks, next_month, week, week_start

LANES: Mapping[View, int] = {"month": 3, "week": 10}
MAX_LISTED, MAX_BELOW = 60, 30
"""Entries behind all the `+n more` of a page, and below its weeks: with these, the page of any feed stays
below 100 KB."""
AGENDA_DAYS, AGENDA_ITEMS = 28, 60


class CalendarView(Struct, frozen=True, kw_only=True):
    """One page. `first` and `last` are the days that it is about.

    A month or a week has `weeks`, and an `agenda` from `day` on for where its cells are too small for titles.
    `listed`: how many entries each list behind `+n more` has. `previous`, `next`: the days of the pages
    before and after, None at the ends of the calendar. `ahead`: the next day with an item, where this page
    has none. `skip`, `size`: of an agenda, how many items came before, and how many a page has.
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
        """Return whether a page may show this day: the first and the last weeks have days that none shows."""
        return is_shown(day)


def calendar_view_of(
    items: Sequence[PageItem], view: View, day: date, today: date, first_weekday: int, skip: int = 0
) -> CalendarView:
    """Return the page of these items that shows `day`. `skip`: of an agenda, how many items came before."""
    first, last = _bounds(view, day, first_weekday)
    weeks: tuple[Week, ...] = ()
    entries = Agenda()
    if view == "month":
        weeks = month_weeks(items, first, first_weekday, LANES[view])
    elif view == "week":
        weeks = (week(items, first, LANES[view]),)
    else:
        entries = agenda(items, first, last, today, skip=skip, limit=AGENDA_ITEMS)
    if weeks:
        entries = replace(agenda(items, day, last, today, limit=MAX_BELOW), overdue=(), undated=())
    count = sum(item.is_within(first, last) for item in items)
    if not weeks:
        count = entries.total + len(entries.overdue) + len(entries.undated)
    # Months differ in length, so the one before is found by its last day.
    before = (first - DAY).replace(day=1) if view == "month" else first - (last - first + DAY)
    after = last + DAY
    ahead = None if count else first_after(items, last)
    return CalendarView(
        view=view,
        day=day,
        first=first,
        last=last,
        weeks=weeks,
        agenda=entries,
        listed=listed(weeks, MAX_LISTED),
        previous=before if is_shown(before) else None,
        next=after if is_shown(after) else None,
        ahead=ahead if ahead is not None and is_shown(ahead) else None,
        count=count,
        skip=skip,
    )


def _bounds(view: View, day: date, first_weekday: int) -> tuple[date, date]:
    """Return the first and the last day of the page that shows `day`."""
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
