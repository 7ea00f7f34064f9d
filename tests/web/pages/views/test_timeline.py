"""A timeline: every item has a bar in a lane or is counted, and no bar or title lies over another."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_month import MONDAY, item

from icsfeed.web.pages.items import Facts, PageItem
from icsfeed.web.pages.parameters import TIMELINE_DAYS as DAYS
from icsfeed.web.pages.views.timeline import (
    LABEL_DAYS,
    MAX_BARS,
    MAX_GROUPS,
    MAX_LANES,
    Timeline,
    TimelineBar,
    timeline,
)


def only(*items: PageItem) -> TimelineBar:
    """The bar of a timeline with one."""
    ((bar,),) = [group.bars for group in timeline(items, MONDAY).groups]
    return bar


def of(key: str, *cycles: str, **changes: Any) -> PageItem:
    return item(0, None, facts=Facts(key=key, cycles=cycles), **changes)


def names(shown: Timeline) -> list[tuple[str, str, int]]:
    return [(group.by, group.name, len(group.bars)) for group in shown.groups]


@pytest.mark.parametrize(
    ("first", "last", "start", "days", "room", "before", "after"),
    [
        (3, 20, 3, 18, 18, False, False),
        (-5, 20, 0, 21, 21, True, False),
        (20, 80, 20, 36, 36, False, True),
        (-9, 99, 0, 56, 56, True, True),
        (0, 55, 0, 56, 56, False, False),
        (4, 4, 4, 1, LABEL_DAYS, False, False),
        (46, 46, 46, 1, LABEL_DAYS, False, False),
    ],
)
def test_a_bar_lies_on_its_days_and_has_room_for_its_title(
    first: int, last: int, start: int, days: int, room: int, before: bool, after: bool
) -> None:
    one = item(first, last)
    assert only(one) == TimelineBar(one, 0, start, room, days, False, before, after)


@pytest.mark.parametrize(("first", "last"), [(47, 47), (50, 52), (55, 55), (54, 70)])
def test_near_the_end_the_title_comes_before_the_bar(first: int, last: int) -> None:
    bar = only(item(first, last))
    assert bar.at_end
    assert bar.start + bar.room == min(last, DAYS - 1) + 1
    assert bar.room == LABEL_DAYS


def test_an_item_without_a_first_day_is_a_mark_on_its_last() -> None:
    bar = only(PageItem(title="due", first=None, last=MONDAY + timedelta(days=2)))
    assert (bar.start, bar.days) == (2, 1)


@pytest.mark.parametrize("outside", [(-3, -1), (56, 60)])
def test_what_is_on_none_of_its_days_is_not_in_it(outside: tuple[int, int]) -> None:
    undated = PageItem(title="undated", first=None, last=None)
    assert timeline([item(*outside), undated], MONDAY) == Timeline()


def test_periods_come_before_the_issues_and_these_by_project() -> None:
    periods = [item(0, 20, kind=kind) for kind in ("cycle", "module", "milestone", "release", "initiative")]
    shown = timeline([of("web-1", "Sprint"), of("PROP-2"), of("PROP-3"), *periods], MONDAY)
    assert names(shown) == [("periods", "", 5), ("project", "PROP", 2), ("project", "web", 1)]


def test_issues_of_one_project_are_grouped_by_cycle_and_those_of_none_last() -> None:
    shown = timeline([of("WEB-1"), of("WEB-2", "Sprint 9"), of("WEB-3", "Sprint 2", "Sprint 9")], MONDAY)
    assert names(shown) == [("cycle", "Sprint 2", 1), ("cycle", "Sprint 9", 1), ("cycle", "", 1)]


def test_without_projects_and_cycles_there_is_one_group() -> None:
    assert names(timeline([of("WEB-1"), of("WEB-2"), item(3, kind="notice")], MONDAY))[-1][:2] != ("all", "")
    assert names(timeline([of("WEB-1"), of("WEB-2")], MONDAY)) == [("all", "", 2)]
    assert names(timeline([item(0), item(1)], MONDAY)) == [("all", "", 2)]


def test_what_is_to_do_gets_the_lanes() -> None:
    done = [of("WEB-1", done=True, title=f"done {number}") for number in range(MAX_LANES)]
    (group,) = timeline([*done, of("WEB-2", title="open")], MONDAY).groups
    assert "open" in {bar.item.title for bar in group.bars}
    assert (len(group.bars), group.more) == (MAX_LANES, 1)


def test_many_groups_share_the_bars_and_the_last_ones_are_counted() -> None:
    crowd = [
        item(day, facts=Facts(key=f"P{number:02}-{day}"))
        for number in range(MAX_GROUPS + 2)
        for day in range(50)
    ]
    shown = timeline(crowd, MONDAY)
    assert len(shown.groups) == MAX_GROUPS
    assert shown.more == 100
    assert sum(len(group.bars) for group in shown.groups) <= MAX_BARS
    assert all(group.bars and len(group.bars) + group.more == 50 for group in shown.groups)


spans = st.tuples(st.integers(-10, 60), st.integers(0, 30)).map(lambda pair: item(pair[0], sum(pair)))


@given(st.lists(spans, max_size=60))
def test_every_item_has_a_bar_or_is_counted_and_nothing_lies_over_another(items: list[PageItem]) -> None:
    shown = timeline(items, MONDAY)
    inside = [one for one in items if one.is_within(MONDAY, MONDAY + timedelta(days=DAYS - 1))]
    assert sum(len(group.bars) + group.more for group in shown.groups) == len(inside)
    for group in shown.groups:
        taken = [(bar.lane, day) for bar in group.bars for day in range(bar.start, bar.start + bar.room)]
        assert len(taken) == len(set(taken))
        assert all(0 <= lane < MAX_LANES and 0 <= day < DAYS for lane, day in taken)
