"""What follows from the data of one project: states, types, progress, when something changed."""

from datetime import timedelta

import pytest
from making import STATES, UPDATED, by_id, issue, period, snapshot
from msgspec.structs import replace

from icsfeed.model import ItemType, Needs, StateGroup, issue_key

LATER = UPDATED + timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "group", "is_done"),
    [
        ("started", "started", False),
        ("completed", "completed", True),
        ("cancelled", "cancelled", True),
        ("not listed", "backlog", False),
        (None, "backlog", False),
    ],
)
def test_an_issue_without_a_known_state_is_open(state: str | None, group: StateGroup, is_done: bool) -> None:
    one = issue(state=state)
    held = snapshot(one)
    assert (held.group_of(one), held.is_done(one)) == (group, is_done)
    assert held.state_of(one) == by_id(STATES).get(state or "")


def test_an_issue_has_a_type_where_plane_lists_it() -> None:
    bug = ItemType("t-bug", "Bug")
    held = snapshot(types={"t-bug": bug})
    assert [held.type_of(issue(type=id_)) for id_ in ("t-bug", "t-gone", None)] == [bug, None, None]


def test_an_item_was_revised_when_plane_or_we_saw_it_last() -> None:
    one, cycle = issue(), period()
    held = snapshot(one, periods=[cycle])
    assert (held.revised(one), held.revised(cycle)) == (UPDATED, UPDATED)
    touched = replace(held, touched={one.id: LATER, cycle.id: UPDATED - timedelta(hours=1)})
    assert (touched.revised(one), touched.revised(cycle)) == (LATER, UPDATED)


def test_progress_counts_the_issues_that_are_known_else_it_is_what_plane_says() -> None:
    held = snapshot(issue(1, state="completed"), issue(2), issue(3, state="cancelled"))
    known = frozenset({"i1", "i2", "i3", "i9"})
    assert held.progress(period(issues=known, total=9, done=9)) == (1, 3)
    assert held.progress(period(total=9, done=4)) == (4, 9)
    assert held.progress(period(total=9)) is held.progress(period(done=4)) is None
    empty = frozenset[str]()
    assert held.progress(period(issues=empty)) == (0, 0)
    assert held.progress(period(kind="milestone", issues=empty)) is None
    assert held.progress(period(kind="milestone", issues=known)) == (1, 3)


def test_an_issue_links_to_its_cycles_and_modules_and_not_to_milestones() -> None:
    held = [period(id=kind, kind=kind, issues=frozenset({"i1"})) for kind in ("cycle", "milestone", "module")]
    links = snapshot(issue(1), periods=held).links
    assert {key: [each.id for each in found] for key, found in links.items()} == {"i1": ["cycle", "module"]}


def test_a_key_is_that_of_the_project_with_the_number() -> None:
    assert issue_key(issue(42), snapshot()) == "PROP-42"


@pytest.mark.parametrize(
    ("needs", "must"),
    [
        (Needs(), False),
        (Needs(links=True), False),
        (Needs(periods=True), True),
        (Needs(all_periods=True), True),
        (Needs(named=frozenset({"x"})), True),
    ],
)
def test_a_feed_that_names_or_shows_periods_must_know_them(needs: Needs, must: bool) -> None:
    assert needs.must_know_periods is must
