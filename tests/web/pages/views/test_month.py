"""Weeks: every item is drawn on each of its days, or listed there, and no two bars meet."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.views.month import Cell, Week, listed, month_weeks, next_month, week, week_start

MONDAY = date(2026, 11, 23)
DAY = timedelta(days=1)


def item(first: int, last: int | None = None, **changes: object) -> PageItem:
    """An item by days from Monday, 23 November 2026."""
    begin, end = MONDAY + first * DAY, MONDAY + (first if last is None else last) * DAY
    return PageItem(**{"title": f"{first}-{last}", "first": begin, "last": end, **changes})  # type: ignore[arg-type]


def drawn(row: Week) -> list[tuple[int, int, int, str]]:
    """Day, lane, length and title of each bar."""
    return [(day, bar.lane, bar.days, bar.item.title) for day, cell in enumerate(row) for bar in cell.bars]


def test_a_week_has_seven_days_and_each_item_in_the_first_free_lane() -> None:
    row = week([item(0), item(0, 2), item(2), item(3)], MONDAY, 3)
    assert [cell.day for cell in row] == [MONDAY + day * DAY for day in range(7)]
    assert drawn(row) == [(0, 0, 3, "0-2"), (0, 1, 1, "0-None"), (2, 1, 1, "2-None"), (3, 0, 1, "3-None")]


def test_what_finds_no_lane_is_listed_on_each_of_its_days() -> None:
    row = week([item(0, 6, title="long"), item(1, 2, title="short"), item(2, title="one")], MONDAY, 1)
    assert drawn(row) == [(0, 0, 7, "long")]
    assert [[hidden.title for hidden in cell.more] for cell in row] == [
        *([], ["short"], ["short", "one"]),
        *([], [], [], []),
    ]
    assert [len(cell.items) for cell in row] == [1, 2, 3, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("first", "last", "days", "before", "after"),
    [
        (0, 6, 7, False, False),
        (-1, 0, 1, True, False),
        (6, 7, 1, False, True),
        (-30, 30, 7, True, True),
        (2, 4, 3, False, False),
    ],
)
def test_a_bar_says_whether_its_item_goes_on(
    first: int, last: int, days: int, before: bool, after: bool
) -> None:
    (bar,) = [bar for cell in week([item(first, last)], MONDAY, 3) for bar in cell.bars]
    assert (bar.days, bar.before, bar.after) == (days, before, after)


@pytest.mark.parametrize(
    "outside", [item(-2, -1), item(7, 9), PageItem(title="undated", first=None, last=None)]
)
def test_what_is_on_no_day_of_the_week_is_not_in_it(outside: PageItem) -> None:
    assert all(cell == Cell(cell.day) for cell in week([outside], MONDAY, 3))


def test_an_item_without_a_first_day_is_on_its_last() -> None:
    assert drawn(week([PageItem(title="due", first=None, last=MONDAY)], MONDAY, 1)) == [(0, 0, 1, "due")]


def test_what_is_to_do_and_urgent_gets_the_lanes() -> None:
    items = [
        item(0, title="done", done=True, priority="urgent"),
        item(0, title="low", priority="low"),
        item(0, title="high", priority="high"),
        item(0, title="none"),
    ]
    row = week(items, MONDAY, 3)
    assert [bar.item.title for bar in row[0].bars] == ["high", "low", "none"]
    assert [hidden.title for hidden in row[0].more] == ["done"]


def test_long_periods_do_not_take_the_lanes_from_what_is_due() -> None:
    periods = [item(-90, 90, title=kind, kind=kind) for kind in ("cycle", "module", "initiative")]
    due = [item(3, title=kind, kind=kind) for kind in ("issue", "milestone", "release")]
    row = week([*periods, *due], MONDAY, 3)
    assert {bar.item.title for bar in row[3].bars} == {"issue", "milestone", "release"}
    assert {hidden.title for hidden in row[3].more} == {"cycle", "module", "initiative"}
    with_room = {(day, lane, days) for day, lane, days, _ in drawn(week([*periods, item(3)], MONDAY, 3))}
    assert with_room == {(3, 0, 1), (0, 1, 7), (0, 2, 7)}


spans = st.tuples(st.integers(-10, 16), st.integers(0, 12)).map(lambda pair: item(pair[0], sum(pair)))


@given(st.lists(spans, max_size=30), st.integers(1, 6))
def test_each_day_shows_or_lists_all_that_is_on_it_and_no_bars_meet(
    items: list[PageItem], lanes: int
) -> None:
    row = week(items, MONDAY, lanes)
    for day, cell in enumerate(row):
        over = [bar for start in range(day + 1) for bar in row[start].bars if start + bar.days > day]
        assert len({bar.lane for bar in over}) == len(over)
        assert all(bar.lane < lanes for bar in over)
        due = sum(one.first <= cell.day <= one.last for one in items)  # type: ignore[operator]
        assert len(over) + len(cell.more) == due == len(cell.items)


@pytest.mark.parametrize(("first_weekday", "start"), [(0, date(2026, 11, 23)), (6, date(2026, 11, 22))])
def test_a_week_starts_as_the_region_has_it(first_weekday: int, start: date) -> None:
    assert week_start(date(2026, 11, 25), first_weekday) == start
    assert week_start(start, first_weekday) == start


@given(st.dates(date(1900, 1, 1), date(9000, 12, 31)), st.integers(0, 6))
def test_a_month_is_whole_weeks_that_hold_all_of_its_days(day: date, first_weekday: int) -> None:
    weeks = month_weeks([], day, first_weekday, 3)
    days = [cell.day for row in weeks for cell in row]
    first = day.replace(day=1)
    assert 4 <= len(weeks) <= 6
    assert days == [days[0] + count * DAY for count in range(7 * len(weeks))]
    assert days[0].weekday() == first_weekday
    assert first in days[:7]
    assert next_month(first) - DAY in days[-7:]


def test_a_month_shows_what_its_neighbours_days_hold() -> None:
    weeks = month_weeks([item(-28), item(13), item(14)], MONDAY, 0, 3)
    assert [cell.day for row in weeks for cell in row if cell.bars] == [date(2026, 10, 26), date(2026, 12, 6)]


@pytest.mark.parametrize(
    ("month", "after"),
    [((2026, 1, 31), (2026, 2, 1)), ((2026, 12, 5), (2027, 1, 1)), ((2028, 2, 29), (2028, 3, 1))],
)
def test_the_next_month(month: tuple[int, int, int], after: tuple[int, int, int]) -> None:
    assert next_month(date(*month)) == date(*after)


@pytest.mark.parametrize(
    ("lengths", "limit", "each"),
    [
        ([], 10, 0),
        ([5, 3], 10, 5),
        ([5, 5], 10, 5),
        ([9, 1], 8, 4),
        ([9, 9, 9], 5, 0),
        ([9, 9, 9], 6, 2),
        ([30] * 7, 21, 3),
    ],
)
def test_lists_behind_more_are_cut_so_that_a_page_stays_small(
    lengths: list[int], limit: int, each: int
) -> None:
    row = tuple(Cell(MONDAY, more=(item(0),) * length) for length in lengths)
    assert listed([row], limit) == each
