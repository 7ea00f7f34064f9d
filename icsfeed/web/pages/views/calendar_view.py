"""What one page of a calendar shows: a month, a week, an agenda or a day, and the pages before and after."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.parameters import TIMELINE_DAYS, View, is_shown
from icsfeed.web.pages.views.agenda import Agenda, agenda, first_after
from icsfeed.web.pages.views.month import DAY, Week, listed, month_weeks, next_month, week, week_start
from icsfeed.web.pages.views.timeline import Timeline, timeline

LANES: Mapping[View, int] = {"month": 3, "week": 10}
MAX_LISTED, MAX_BELOW = 60, 24
"""Entries behind all the `+n more` of a page, and below its weeks: with these, the page of any feed stays
below 100 KB."""
AGENDA_DAYS, AGENDA_ITEMS = 28, 60
TIMELINE_PAST, TIMELINE_STEP = timedelta(weeks=2), timedelta(weeks=4)
"""A timeline begins two weeks before its day; the next one is four weeks later, and shares half of it."""


class CalendarView(Struct, frozen=True, kw_only=True):
    """One page. `first` and `last` are the days that it is about.

    A month or a week has `weeks`, and an `agenda` from `day` on for where its cells are too small for titles.
    A timeline has `timeline`, all others `agenda`.
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
    timeline: Timeline = Timeline()
    listed: int = 0
    previous: date | None = None
    next: date | None = None
    ahead: date | None = None
    count: int = 0
    skip: int = 0
    size: int = AGENDA_ITEMS

    @property
    def starts(self) -> Sequence[date]:
        """The first days of the weeks from `first` to `last`."""
        return [self.first + timedelta(days=days) for days in range(0, (self.last - self.first).days + 1, 7)]

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
    elif view != "timeline":
        entries = agenda(items, first, last, today, skip=skip, limit=AGENDA_ITEMS)
    if weeks:
        entries = replace(agenda(items, day, last, today, limit=MAX_BELOW), overdue=(), undated=())
    count = sum(item.is_within(first, last) for item in items)
    if view in ("agenda", "day"):
        count = entries.total + len(entries.overdue) + len(entries.undated)
    before, after = _neighbours(view, first, last)
    ahead = None if count else first_after(items, last)
    return CalendarView(
        view=view,
        day=day,
        first=first,
        last=last,
        weeks=weeks,
        agenda=entries,
        timeline=timeline(items, first) if view == "timeline" else Timeline(),
        listed=listed(weeks, MAX_LISTED),
        previous=before if is_shown(before) else None,
        next=after if is_shown(after) else None,
        ahead=ahead if ahead is not None and is_shown(ahead) else None,
        count=count,
        skip=skip,
    )


def _neighbours(view: View, first: date, last: date) -> tuple[date, date]:
    """Return days of the page before and of the page after."""
    if view == "timeline":
        week = first + TIMELINE_PAST
        return week - TIMELINE_STEP, week + TIMELINE_STEP
    # Months differ in length, so the one before is found by its last day.
    return (first - DAY).replace(day=1) if view == "month" else first - (last - first + DAY), last + DAY


def _bounds(view: View, day: date, first_weekday: int) -> tuple[date, date]:
    """Return the first and the last day of the page that shows `day`."""
    match view:
        case "month":
            return day.replace(day=1), next_month(day) - DAY
        case "week":
            start = week_start(day, first_weekday)
            return start, start + timedelta(days=6)
        case "timeline":
            start = week_start(day, first_weekday) - TIMELINE_PAST
            return start, start + timedelta(days=TIMELINE_DAYS - 1)
        case "agenda":
            return day, day + timedelta(days=AGENDA_DAYS - 1)
        case _:
            return day, day
