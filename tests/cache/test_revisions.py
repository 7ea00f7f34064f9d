"""Honest revision times (docs/mapping.md): every change shows, and none runs backwards."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from app_world import Clock
from hypothesis import given
from hypothesis import strategies as st
from making import BOB, LABELS, NOW, PROP, STATES, UPDATED, by_id, component, issue, lines, period, snapshot
from msgspec.structs import replace

from icsfeed.cache.resources import Resources
from icsfeed.cache.revisions import History, remembered, styled_since, with_revised_periods, with_revisions
from icsfeed.cache.snapshots import Snapshots
from icsfeed.config.schema import Cache
from icsfeed.feeds.mapping import Style, period_component
from icsfeed.model import ItemType, Label, Period, Snapshot, State
from icsfeed.text import MENTION, deflate

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ISSUE = issue(
    state="started",
    labels=("l-bug", "l-docs"),
    assignees=("u-bob", "u-gone"),
    text=f"{MENTION}u-anna{MENTION}",
)
CYCLE = period(issues=frozenset({"i1"}), total=1, done=0)
OLD = snapshot(ISSUE, periods=[CYCLE])


def named(items: Any, item_id: str, name: str) -> dict[str, Any]:
    """These items, one of them renamed."""
    return {key: replace(item, name=name) if key == item_id else item for key, item in by_id(items).items()}


def issue_changed(**changes: Any) -> dict[str, Any]:
    return {"issues": by_id([replace(ISSUE, **changes)])}


def cycle_changed(**changes: Any) -> dict[str, Any]:
    return {"periods": by_id([replace(CYCLE, **changes)])}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"labels": named(LABELS, "l-bug", "Defect")}, id="label renamed"),
        pytest.param({"labels": {}}, id="labels deleted"),
        pytest.param({"states": named(STATES, "started", "Doing")}, id="state renamed"),
        pytest.param(
            {"states": {"started": State("started", "In Review", "completed")}}, id="state regrouped"
        ),
        pytest.param({"people": named(OLD.people.values(), "u-bob", "robert")}, id="assignee renamed"),
        pytest.param({"people": named(OLD.people.values(), "u-anna", "ann")}, id="mentioned person renamed"),
        pytest.param({"project": replace(PROP, name="Estate")}, id="project renamed"),
        pytest.param({"project": replace(PROP, key="EST")}, id="project's key changed"),
        pytest.param({"periods": named([CYCLE], "c7", "Sprint 8")}, id="cycle renamed"),
        pytest.param({"periods": {}}, id="cycle deleted"),
        pytest.param(cycle_changed(issues=frozenset()), id="left a cycle"),
        pytest.param(
            {"periods": by_id([CYCLE, period("M", id="m", kind="module", issues=frozenset({"i1"}))])},
            id="joined a module",
        ),
        pytest.param(issue_changed(name="x"), id="name, in the same second"),
        pytest.param(issue_changed(due=date(2027, 1, 1)), id="date, in the same second"),
        pytest.param(
            issue_changed(text=deflate("x"), updated=UPDATED + SECOND / 2), id="text, within the second"
        ),
        pytest.param(
            issue_changed(name="x", updated=UPDATED - HOUR), id="name, and updated_at runs backwards"
        ),
    ],
)
def test_a_change_that_updated_at_does_not_tell_is_dated_when_it_was_first_seen(
    changes: dict[str, Any],
) -> None:
    new = with_revisions(OLD, replace(OLD, **changes), NOW + SECOND / 3)
    assert new.touched["i1"] == NOW
    again = with_revisions(new, replace(new, touched={}), NOW + HOUR)
    assert again.touched["i1"] == NOW
    before, after = component(ISSUE, OLD), component(new.issues["i1"], new)
    assert after.revised == NOW > before.revised
    assert after.sequence > before.sequence


def test_a_renamed_label_dates_the_issues_that_have_it_whether_they_have_a_state_or_not() -> None:
    old = snapshot(issue(1, state=None, labels=("l-bug",)), issue(2, state=None), issue(3, state="started"))
    new = with_revisions(old, replace(old, labels=named(LABELS, "l-bug", "Defect")), NOW)
    assert new.touched == {"i1": NOW}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"labels": named(LABELS, "l-law", "Law")}, id="a label of others"),
        pytest.param(
            {"people": {BOB.id: BOB, "u-anna": OLD.people["u-anna"], "u-x": BOB}}, id="a new member"
        ),
        pytest.param(issue_changed(labels=("l-docs", "l-bug")), id="the same labels in another order"),
        pytest.param(issue_changed(assignees=("u-gone", "u-bob")), id="the same people in another order"),
        pytest.param(issue_changed(name="x", updated=UPDATED + SECOND), id="a change that updated_at tells"),
        pytest.param(cycle_changed(end=date(2027, 1, 1)), id="the dates of its cycle"),
        pytest.param({"unreadable": 3}, id="another issue that cannot be read"),
    ],
)
def test_what_does_not_show_or_is_dated_by_plane_needs_no_date_of_ours(changes: dict[str, Any]) -> None:
    assert "i1" not in with_revisions(OLD, replace(OLD, **changes), NOW).touched


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param(
            {"periods": by_id([replace(CYCLE, updated=UPDATED + HOUR, name="x")])}, None, id="dated-by-plane"
        ),
        pytest.param({"periods": named([CYCLE], "c7", "Sprint 8")}, NOW, id="renamed"),
        pytest.param(cycle_changed(end=date(2027, 1, 1)), NOW, id="other dates"),
        pytest.param({"project": replace(PROP, name="Estate")}, NOW, id="project renamed"),
        pytest.param(
            {"states": {"started": State("started", "Done", "completed")}}, NOW, id="an issue was done"
        ),
        pytest.param(cycle_changed(issues=frozenset({"i1", "gone"})), None, id="the same progress"),
        pytest.param(cycle_changed(issues=None, total=1, done=0), None, id="the same progress, by Plane"),
        pytest.param(cycle_changed(issues=None, total=2, done=0), NOW, id="other progress, by Plane"),
    ],
)
def test_cycles_and_modules_are_dated_as_issues_are(
    changes: dict[str, Any], touched: datetime | None
) -> None:
    assert with_revisions(OLD, replace(OLD, **changes), NOW).touched.get("c7") == touched


def test_without_an_old_snapshot_planes_own_times_hold() -> None:
    assert with_revisions(None, OLD, NOW) is OLD


def test_what_is_new_has_planes_own_time() -> None:
    new = with_revisions(snapshot(), OLD, NOW)
    assert not new.touched
    assert component(ISSUE, new).revised == UPDATED


def test_what_is_gone_is_forgotten() -> None:
    assert not with_revisions(replace(OLD, touched={"i1": NOW, "c7": NOW}), snapshot(), NOW).touched


@pytest.mark.parametrize(
    ("touched", "updated", "revised"),
    [
        pytest.param(None, UPDATED - HOUR, UPDATED, id="Plane's time runs backwards"),
        pytest.param(NOW, UPDATED, NOW, id="ours was later"),
        pytest.param(NOW, NOW + HOUR, NOW + HOUR, id="Plane's is later now"),
        pytest.param(NOW, UPDATED + HOUR, max(NOW, UPDATED + HOUR), id="the later of both"),
    ],
)
def test_a_revision_is_kept_until_planes_own_passes_it(
    touched: datetime | None, updated: datetime, revised: datetime
) -> None:
    old = replace(OLD, touched={"i1": touched} if touched else {})
    new = with_revisions(old, replace(OLD, **issue_changed(updated=updated)), NOW + HOUR)
    assert component(new.issues["i1"], new).revised == revised


def test_two_changes_in_one_second_are_two_revisions() -> None:
    once = with_revisions(OLD, replace(OLD, **issue_changed(name="x")), NOW)
    twice = with_revisions(once, replace(OLD, **issue_changed(name="y")), NOW + SECOND / 2)
    assert twice.touched["i1"] == NOW + SECOND


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, None, None, id="open"),
        pytest.param(None, NOW, NOW, id="done now"),
        pytest.param(NOW, NOW, NOW, id="still done"),
        pytest.param(NOW, NOW + HOUR, NOW, id="saved again: the first moment stays"),
        pytest.param(NOW, None, None, id="opened again"),
    ],
)
def test_an_issue_keeps_the_moment_it_was_first_seen_done(
    old: datetime | None, new: datetime | None, expected: datetime | None
) -> None:
    snaps = [snapshot(issue(completed=completed)) for completed in (old, new)]
    carried = with_revisions(snaps[0], snaps[1], NOW)
    assert carried.issues["i1"].completed == expected
    assert not carried.touched


# Any sequence of reads

offsets = st.integers(-3000, 3000).map(lambda ms: timedelta(milliseconds=ms))
names = st.sampled_from(["a", "b"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """PROP as some read might give it: every name and link may differ from the last."""
    item = issue(
        name=draw(names),
        updated=UPDATED + draw(offsets),
        labels=("l",),
        assignees=("u-bob",),
        state=draw(st.sampled_from(["started", "completed", None])),
    )
    held = draw(st.none() | st.sampled_from([frozenset(), frozenset({"i1"})]))
    cycle = period(draw(names), updated=UPDATED + draw(offsets), issues=held)
    return snapshot(
        item,
        labels={"l": Label("l", draw(names))},
        people={"u-bob": replace(BOB, name=draw(names))},
        periods=[cycle],
        project=replace(PROP, name=draw(names)),
    )


def shown(snap: Snapshot) -> list[dict[str, str]]:
    """The content lines of all of a snapshot's components."""
    cycle: Period = snap.periods["c7"]
    made = component(snap.issues["i1"], snap, categories=("labels", "project", "state"))
    return [lines(made), lines(period_component(cycle, snap, Style(web="https://x")))]


@given(st.lists(snapshots(), min_size=2, max_size=6), st.lists(offsets, min_size=6, max_size=6))
def test_a_changed_component_is_always_revised_later_and_no_revision_runs_backwards(
    reads: list[Snapshot], clock: list[timedelta]
) -> None:
    old, *others = reads
    for read, tick in zip(others, clock, strict=False):
        new = with_revisions(old, read, UPDATED + tick)
        for before, after in zip(shown(old), shown(new), strict=True):
            stamps = [(int(one["SEQUENCE"]), one["LAST-MODIFIED"]) for one in (before, after)]
            assert stamps == sorted(stamps)
            if before != after:
                assert stamps[0][0] < stamps[1][0]
                assert stamps[0][1] < stamps[1][1]
        old = new


# Types of work items

TYPED = replace(ISSUE, type="t-bug")
TYPES = by_id([ItemType("t-bug", "Bug"), ItemType("t-epic", "Epic", is_epic=True)])


@pytest.mark.parametrize(
    ("before", "after", "is_revised"),
    [
        pytest.param(TYPES, by_id([ItemType("t-bug", "Defect")]), True, id="renamed"),
        pytest.param(TYPES, by_id([ItemType("t-epic", "Epic")]), True, id="deleted"),
        pytest.param({}, TYPES, False, id="read for the first time"),
        pytest.param(TYPES, {}, False, id="not read any more"),
        pytest.param(
            TYPES, by_id([TYPES["t-bug"], ItemType("t-epic", "Saga")]), False, id="another one renamed"
        ),
    ],
)
def test_an_issue_is_revised_when_the_name_of_its_type_changes(
    before: Any, after: Any, is_revised: bool
) -> None:
    new = with_revisions(snapshot(TYPED, types=before), snapshot(TYPED, types=after), NOW)
    assert ("i1" in new.touched) == is_revised


def test_an_issue_of_an_older_version_is_not_revised_by_having_a_type() -> None:
    new = with_revisions(snapshot(ISSUE, types=TYPES), snapshot(TYPED, types=TYPES), NOW)
    assert new.touched == {}


# Milestones, releases and initiatives

MILESTONE = period("Autumn", id="m1", kind="milestone", issues=frozenset({"i1"}))
RELEASE = period("Autumn", id="r1", kind="release", project="", status="unreleased", tag="v1")


def test_joining_a_milestone_revises_the_milestone_and_not_the_issue() -> None:
    old = snapshot(ISSUE, periods=[replace(MILESTONE, issues=frozenset())])
    new = with_revisions(old, snapshot(ISSUE, periods=[MILESTONE]), NOW)
    assert new.touched == {"m1": NOW.replace(microsecond=0)}


@pytest.mark.parametrize(
    "changes", [{"name": "Winter"}, {"tag": "v2"}, {"status": "released"}, {"end": date(2027, 1, 1)}]
)
def test_a_release_that_changed_without_a_newer_time_counts_as_revised_now(changes: dict[str, Any]) -> None:
    new = with_revised_periods(by_id([RELEASE]), by_id([replace(RELEASE, **changes)]), NOW)
    assert new["r1"] == replace(RELEASE, **changes, updated=NOW.replace(microsecond=0))


def test_a_release_that_is_the_same_or_new_is_as_plane_says() -> None:
    assert with_revised_periods(by_id([RELEASE]), by_id([RELEASE]), NOW) == by_id([RELEASE])
    assert with_revised_periods({}, by_id([RELEASE]), NOW) == by_id([RELEASE])
    later = replace(RELEASE, name="Winter", updated=UPDATED + HOUR)
    assert with_revised_periods(by_id([RELEASE]), by_id([later]), NOW) == by_id([later])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=8
    )
)
def test_the_revision_of_a_release_never_runs_backwards_and_shows_each_change(
    reads: list[tuple[str, int, int]],
) -> None:
    known: Any = {}
    now = NOW
    for name, updated, seconds in reads:
        now += timedelta(seconds=seconds)
        read = replace(RELEASE, name=name, updated=UPDATED + updated * SECOND)
        before, known = known.get("r1"), with_revised_periods(known, {"r1": read}, now)
        if before is not None:
            assert known["r1"].updated >= before.updated
            assert (before.name == name) or known["r1"].updated >= before.updated + SECOND


def test_a_snapshot_of_another_replica_is_newer_than_the_partial_one_that_readers_have_seen() -> None:
    clock = Clock()
    snapshots = Snapshots(Resources(Cache(), clock, clock.timer), clock)
    partial = replace(OLD, periods=by_id([replace(CYCLE, issues=None)]))
    snapshots.merge_partial(PROP, partial)
    snapshots.merge(PROP, OLD, NOW)
    merged = snapshots.snapshot(PROP)
    assert merged is not None
    assert merged.touched["i1"] > UPDATED, "it shows its cycle now"
    again = replace(OLD, touched={"i1": merged.touched["i1"] + HOUR})
    snapshots.merge(PROP, again, NOW)
    assert snapshots.snapshot(PROP) == again


def test_what_another_replica_knows_of_revisions_is_kept() -> None:
    at = NOW - HOUR
    seen = snapshot(ISSUE, issue(2), periods=[CYCLE])
    brought = replace(seen, touched={"i1": at, "i2": at, "c7": at, "gone": at})
    known = {"i1": at, "i2": at, "c7": at}
    assert with_revisions(seen, brought, NOW).touched == known
    assert with_revisions(replace(seen, issues={}, periods={}), brought, NOW).touched == known


def test_a_change_that_another_replica_saw_in_the_second_of_ours_is_newer_than_ours() -> None:
    at = NOW.replace(microsecond=0)
    ours = replace(OLD, touched={"i1": at})
    theirs = replace(OLD, **issue_changed(name="x"), touched={"i1": at})
    assert with_revisions(ours, theirs, NOW - HOUR).touched["i1"] == at + SECOND
    later = replace(theirs, touched={"i1": at + HOUR})
    assert with_revisions(ours, later, NOW).touched["i1"] == at + HOUR, "and theirs counts where it is newer"


def test_a_feed_remembers_when_its_body_and_its_style_changed() -> None:
    first = remembered(None, "plain", "one", NOW - HOUR + SECOND / 2, NOW)
    assert first == History("plain", "one", NOW - HOUR)
    same = remembered(first, "plain", "one", NOW, NOW)
    assert same == first
    other = remembered(first, "plain", "two", NOW, NOW + SECOND / 2)
    assert other == History("plain", "two", NOW)
    again = remembered(other, "plain", "three", NOW, NOW - HOUR)
    assert again == History("plain", "three", NOW + SECOND), "later, whatever the clock says"
    styled = remembered(first, "busy", "two", NOW, NOW + SECOND / 2)
    assert styled == History("busy", "two", NOW, NOW)
    assert styled_since(styled, "busy", NOW + HOUR) == NOW
    assert styled_since(None, "busy", NOW) is None
