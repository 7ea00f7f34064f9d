"""The list by day: each item once, in parts, with what is overdue before and what has no date after it."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from test_month import DAY, item

from icsfeed.web.pages.items import Facts, PageItem
from icsfeed.web.pages.views.agenda import agenda, first_after, overdue, upcoming

TODAY = date(2026, 11, 25)
OPEN = Facts(state="Todo", group="unstarted")
UNDATED = PageItem(title="undated", first=None, last=None)


def _titles(items: tuple[PageItem, ...]) -> list[str]:
    return [one.title for one in items]


def test_items_are_under_their_days_and_spans_under_the_first_that_is_shown() -> None:
    items = [item(2, title="today"), item(0, 4, title="span"), item(3, title="next"), item(-3, title="past")]
    found = agenda(items, TODAY, TODAY + 27 * DAY, TODAY)
    assert [(day, _titles(group)) for day, group in found.days] == [
        (TODAY, ["span", "today"]),
        (TODAY + DAY, ["next"]),
    ]
    assert (found.total, found.earlier, found.later) == (3, False, False)


def test_a_list_from_today_begins_with_what_is_overdue_and_ends_with_what_has_no_date() -> None:
    late = [item(-9, title="late", facts=OPEN), item(-20, title="later", facts=OPEN), item(-9, title="over")]
    found = agenda([*late, UNDATED], TODAY, TODAY + DAY, TODAY)
    assert (_titles(found.overdue), found.undated) == (["later", "late"], (UNDATED,))
    for first in (TODAY - DAY, TODAY + DAY):
        other = agenda([*late, UNDATED], first, first + DAY, TODAY)
        assert (other.overdue, other.undated) == ((), ())


def test_a_long_list_comes_in_parts() -> None:
    items = [item(2, title=str(number)) for number in range(5)]
    parts = [agenda(items, TODAY, TODAY, TODAY, skip=skip, limit=2) for skip in (0, 2, 4)]
    assert [[one.title for _, group in part.days for one in group] for part in parts] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert [(part.earlier, part.later, part.total) for part in parts] == [
        (False, True, 5),
        (True, True, 5),
        (True, False, 5),
    ]


def test_only_the_first_part_has_the_overdue_and_only_the_last_the_undated() -> None:
    items = [item(-9, facts=OPEN), UNDATED, *(item(2, title=str(number)) for number in range(4))]
    first, last = (agenda(items, TODAY, TODAY, TODAY, skip=skip, limit=2) for skip in (0, 2))
    assert (len(first.overdue), len(first.undated)) == (1, 0)
    assert (len(last.overdue), len(last.undated)) == (0, 1)


@given(
    st.lists(
        st.tuples(st.integers(-30, 60), st.integers(0, 40)).map(lambda pair: item(pair[0], sum(pair))),
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_the_parts_together_hold_each_item_of_the_days_once(items: list[PageItem], limit: int) -> None:
    last = TODAY + timedelta(days=27)
    parts = [
        agenda(items, TODAY, last, TODAY, skip=skip, limit=limit)
        for skip in range(0, max(1, len(items)), limit)
    ]
    shown = [one for part in parts for _, group in part.days for one in group]
    wanted = [one for one in items if one.last >= TODAY and one.first <= last]  # type: ignore[operator]
    assert sorted(shown, key=repr) == sorted(wanted, key=repr)


def test_what_comes_next_is_open_and_sorted_by_its_last_day() -> None:
    items = [
        item(-9, title="past"),
        item(9, title="later"),
        item(0, 4, title="span"),
        item(2, title="today"),
        item(3, title="done", done=True),
        UNDATED,
    ]
    assert _titles(upcoming(items, TODAY, 10)) == ["today", "span", "later"]
    assert _titles(upcoming(items, TODAY, 1)) == ["today"]


def test_what_is_overdue_comes_by_day() -> None:
    items = [item(-1, title="b", facts=OPEN), item(-5, title="a", facts=OPEN), item(2, facts=OPEN)]
    assert _titles(overdue(items, TODAY)) == ["a", "b"]


def test_the_first_day_after_one_that_has_an_item() -> None:
    items = [item(0), item(5), item(9), UNDATED]
    assert first_after(items, TODAY) == TODAY + 3 * DAY
    assert first_after(items, TODAY + 30 * DAY) is None
