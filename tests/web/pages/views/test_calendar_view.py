"""What one page shows, what its parameters mean, and where it leads on to."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_month import DAY, item

from icsfeed.errors import BadParameter
from icsfeed.web.pages.parameters import EARLIEST, LATEST, VIEWS, View, parse_date
from icsfeed.web.pages.views.calendar_view import MAX_BELOW, calendar_view_of

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("view", "first", "last", "previous", "following"),
    [
        ("month", (2026, 11, 1), (2026, 11, 30), (2026, 10, 1), (2026, 12, 1)),
        ("week", (2026, 11, 23), (2026, 11, 29), (2026, 11, 16), (2026, 11, 30)),
        ("agenda", (2026, 11, 25), (2026, 12, 22), (2026, 10, 28), (2026, 12, 23)),
        ("day", (2026, 11, 25), (2026, 11, 25), (2026, 11, 24), (2026, 11, 26)),
        ("timeline", (2026, 11, 9), (2027, 1, 3), (2026, 10, 26), (2026, 12, 21)),
    ],
)
def test_a_page_has_its_days_and_leads_to_the_ones_before_and_after(
    view: View, first: tuple[int, int, int], last: tuple[int, int, int], previous: object, following: object
) -> None:
    calendar = calendar_view_of([], view, TODAY, TODAY, 0)
    assert (calendar.first, calendar.last) == (date(*first), date(*last))
    assert (calendar.previous, calendar.next) == (date(*previous), date(*following))  # type: ignore[misc]
    assert calendar.has_page(TODAY)


def test_a_month_and_a_week_are_weeks_with_a_list_and_the_others_are_lists() -> None:
    items = [item(2), item(3)]
    assert [len(calendar_view_of(items, view, TODAY, TODAY, 0).weeks) for view in VIEWS] == [6, 1, 0, 0, 0]
    assert [calendar_view_of(items, view, TODAY, TODAY, 0).agenda.total for view in VIEWS] == [2, 2, 2, 1, 0]
    assert [calendar_view_of(items, view, TODAY, TODAY, 0).count for view in VIEWS] == [2, 2, 2, 1, 2]


def test_an_empty_page_knows_the_next_day_with_an_item() -> None:
    items = [item(60)]
    assert calendar_view_of(items, "month", TODAY, TODAY, 0).ahead == items[0].first
    assert calendar_view_of(items, "month", items[0].first or TODAY, TODAY, 0).ahead is None
    assert calendar_view_of([], "month", TODAY, TODAY, 0).ahead is None


@pytest.mark.parametrize("view", ["month", "week"])
def test_the_list_below_weeks_begins_on_the_day_and_has_all_that_is_on_it(view: View) -> None:
    spans, before = [item(-9, 9), item(0, 3)], item(1)
    calendar = calendar_view_of([*spans, before, item(3)], view, TODAY, TODAY, 0)
    days = {day: [one.title for one in group] for day, group in calendar.agenda.days}
    assert days == {TODAY: ["-9-9", "0-3"], date(2026, 11, 26): ["3-None"]}
    assert (calendar.agenda.overdue, calendar.agenda.undated) == ((), ())


def test_the_list_below_weeks_is_short_and_says_that_it_goes_on() -> None:
    calendar = calendar_view_of([item(2)] * (MAX_BELOW + 1), "month", TODAY, TODAY, 0)
    assert [len(group) for _, group in calendar.agenda.days] == [MAX_BELOW]
    assert calendar.agenda.later


def test_a_timeline_shares_half_of_its_weeks_with_the_next_one() -> None:
    calendar = calendar_view_of([item(2)], "timeline", TODAY, TODAY, 0)
    assert [day.isoformat() for day in calendar.starts][::7] == ["2026-11-09", "2026-12-28"]
    assert [bar.start for group in calendar.timeline.groups for bar in group.bars] == [16]
    following = calendar_view_of([], "timeline", calendar.next or TODAY, TODAY, 0)
    assert following.first == calendar.first + 28 * DAY
    assert following.previous == date(2026, 11, 23)


def test_a_day_of_a_neighbours_month_does_not_count() -> None:
    assert calendar_view_of([item(-28)], "month", TODAY, TODAY, 0).count == 0


def test_a_month_with_much_to_list_lists_none_of_it() -> None:
    crowd = [item(day, title=str(number)) for day in range(-22, 8) for number in range(9)]
    assert calendar_view_of(crowd, "month", TODAY, TODAY, 0).listed >= 2
    assert calendar_view_of(crowd * 3, "month", TODAY, TODAY, 0).listed >= 2
    assert (
        calendar_view_of(
            [item(day) for day in range(-30, 20) for _ in range(9)], "month", TODAY, TODAY, 0
        ).listed
        == 0
    )


@given(st.sampled_from(VIEWS), st.dates(EARLIEST, LATEST), st.integers(0, 6))
def test_every_day_that_may_be_asked_for_has_a_page(view: View, day: date, first_weekday: int) -> None:
    calendar = calendar_view_of([], view, day, TODAY, first_weekday)
    assert calendar.first <= day <= calendar.last
    assert calendar.previous is None or EARLIEST <= calendar.previous < day
    assert calendar.next is None or day < calendar.next <= LATEST
    # Nothing is left out between two pages.
    if calendar.next:
        assert calendar_view_of([], view, calendar.next, TODAY, first_weekday).first <= calendar.last + DAY


@pytest.mark.parametrize("day", [date(9001, 1, 1), date(9999, 12, 30)])
def test_no_page_leads_to_a_day_that_has_no_page(day: date) -> None:
    late = replace(item(0), first=day, last=day)
    assert calendar_view_of([late], "month", TODAY, TODAY, 0).ahead is None
    with pytest.raises(BadParameter):
        parse_date(day.isoformat(), TODAY)


def test_at_the_ends_of_time_there_is_no_way_on() -> None:
    assert calendar_view_of([], "day", EARLIEST, TODAY, 0).previous is None
    assert calendar_view_of([], "month", LATEST, TODAY, 0).next is None


def test_a_page_of_a_long_list_says_where_it_is() -> None:
    items = [item(2, title=str(number)) for number in range(130)]
    calendar = calendar_view_of(items, "day", TODAY, TODAY, 0, skip=60)
    assert (calendar.skip, calendar.size, calendar.agenda.earlier, calendar.agenda.later) == (
        60,
        60,
        True,
        True,
    )
    assert sum(len(group) for _, group in calendar.agenda.days) == 60
