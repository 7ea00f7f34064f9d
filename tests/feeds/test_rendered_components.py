"""Parts only remember: whatever has changed, they are what the plain way of writing gives."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from making import (
    BOB,
    LABELS,
    NOW,
    PROP,
    STATES,
    UPDATED,
    WEB,
    by_id,
    calendar,
    component,
    issue,
    material,
    period,
    snapshot,
)
from msgspec.structs import replace

from icsfeed.cache.revisions import differing, with_revisions
from icsfeed.config.schema import Feed
from icsfeed.feeds.mapping import Style, issue_components
from icsfeed.feeds.rendered import RenderedComponent, RenderedIssues, parts
from icsfeed.ics.component import Component
from icsfeed.ics.write import write
from icsfeed.model import Issue, Snapshot
from icsfeed.text import MENTION

Change = Callable[[Snapshot], Snapshot]
IDS = [f"i{n}" for n in range(1, 7)]
ids, labels = st.sampled_from(IDS), st.sets(st.sampled_from(["l-bug", "l-docs", "l-new"]))
people = st.sets(st.sampled_from(["u-anna", "u-bob", "u-new"]))
texts = st.sampled_from(["", "plain", f"ask {MENTION}u-bob{MENTION}", f"{MENTION}u-new{MENTION}"])
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["A", "B"]),
        "updated": st.sampled_from([UPDATED, UPDATED + timedelta(seconds=1), NOW]),
        "text": texts,
        "state": st.sampled_from([*(state.id for state in STATES), None, "triage"]),
        "parent": st.sampled_from([*IDS, None]),
        "start": st.sampled_from([None, date(2026, 11, 1)]),
        "due": st.sampled_from([None, date(2026, 11, 1), date(2026, 12, 1)]),
        "completed": st.sampled_from([None, UPDATED, NOW]),
        "assignees": people.map(tuple),
        "labels": labels.map(tuple),
    },
)


def edited(id_: str, changes: dict[str, Any]) -> Change:
    return lambda old: replace(old, issues={**old.issues, id_: issue(int(id_[1:]), **changes)})


def read_again(old: Snapshot) -> Snapshot:
    """The same, in other objects."""
    return replace(old, issues=by_id([replace(held) for held in old.issues.values()]))


def without(id_: str) -> Change:
    return lambda old: replace(old, issues={key: held for key, held in old.issues.items() if key != id_})


def named(kind: str, item: Any) -> Change:
    return lambda old: replace(old, **{kind: {**getattr(old, kind), item.id: item}})


names = st.sampled_from(
    [
        *(named("labels", replace(LABELS[0], name=name)) for name in ("Bug", "Defect")),
        named("labels", replace(LABELS[0], id="l-new", name="new")),
        *(named("people", replace(BOB, name=name)) for name in ("bob", "robert")),
        named("people", replace(BOB, id="u-new", name="new")),
        *(named("states", replace(STATES[1], group=group)) for group in ("unstarted", "completed")),
        named("states", replace(STATES[1], name="To do")),
        named("periods", period("Sprint 8")),
        lambda old: replace(old, periods={}),
        lambda old: replace(old, project=replace(PROP, key="EST")),
        lambda old: replace(old, project=PROP),
        read_again,
    ]
)
held = st.tuples(st.sampled_from(["cycle", "module"]), st.sets(ids) | st.none()).map(
    lambda kind: named(
        "periods",
        period(id=kind[0], kind=kind[0], issues=None if kind[1] is None else frozenset(kind[1])),
    )
)
changes = st.lists(
    st.builds(edited, ids, fields) | st.builds(without, ids) | names | held, min_size=1, max_size=4
)
styles = st.sampled_from(
    [
        Style(web=WEB),
        Style(web=WEB, details="brief", categories=("state", "labels")),
        Style(web=WEB, details="busy", dates="start-and-due"),
        Style(web=WEB, component="vtodo"),
        Style(web=WEB, summary="{project} {key} {state} {priority} {name}", since=NOW, done="check"),
    ]
)


def following(old: Snapshot, steps: Sequence[Change]) -> Snapshot:
    new = old
    for step in steps:
        new = step(new)
    return with_revisions(old, new, NOW + timedelta(hours=1))


def plainly(item: Issue, snap: Snapshot, style: Style, parents: frozenset[str]) -> list[bytes]:
    return [write(made) for made in issue_components(item, snap, style, parents)]


@given(st.lists(changes, max_size=4), styles, st.sets(ids), st.data())
def test_parts_are_what_is_written_plainly_whatever_has_changed(
    rounds: list[list[Change]], style: Style, parents: set[str], data: st.DataObject
) -> None:
    snap = snapshot(*(issue(n + 1) for n in range(len(IDS))))
    made = RenderedIssues(snap, style)
    for steps in rounds:
        dated = [item for item in snap.issues.values() if item.due]
        for item in data.draw(st.lists(st.sampled_from(dated), max_size=6)) if dated else ():
            made.of(item, frozenset(parents))
        snap = following(snap, steps)
        made = RenderedIssues(snap, style, made)
    for item in (item for item in snap.issues.values() if item.due):
        for held in (frozenset(parents), frozenset[str]()):
            assert [one.octets for one in made.of(item, held)] == plainly(item, snap, style, held)


@given(st.lists(changes, max_size=3))
def test_what_does_not_differ_is_shown_alike(rounds: list[list[Change]]) -> None:
    old = snapshot(*(issue(n + 1) for n in range(len(IDS))))
    for steps in rounds:
        new = following(old, steps)
        for id_ in new.issues.keys() - differing(old, new):
            assert issue_components(new.issues[id_], new, Style(web=WEB)) == issue_components(
                old.issues[id_], old, Style(web=WEB)
            )
        old = new


@given(st.lists(changes, max_size=3))
def test_looking_closer_at_what_may_differ_dates_what_looking_at_everything_would(
    rounds: list[list[Change]],
) -> None:
    old = snapshot(*(issue(n + 1) for n in range(len(IDS))))
    for steps in rounds:
        new = following(old, steps)
        for id_ in new.issues.keys() & old.issues.keys():
            before, after = old.issues[id_], new.issues[id_]
            alike = shown(before, old) == shown(after, new)
            assert alike or new.revised(after) >= old.revised(before) + timedelta(seconds=1)
            assert new.revised(after) >= old.revised(before)
            if alike and after == before:
                assert new.revised(after) == old.revised(before)
        old = new


def shown(item: Issue, snap: Snapshot) -> tuple[Component, ...]:
    """How an issue is shown, without its times."""
    made = issue_components(
        replace(item, updated=UPDATED, completed=None), replace(snap, touched={}), Style(web=WEB)
    )
    return tuple(replace(one, revised=UPDATED) for one in made)


def test_one_change_of_many_is_one_difference() -> None:
    old = snapshot(*map(issue, range(1, 50)))
    new = replace(old, issues={**old.issues, "i7": issue(7, name="Changed")})
    assert differing(old, new) == {"i7"}
    before = RenderedIssues(old, Style(web=WEB))
    kept = before.of(old.issues["i8"])
    assert RenderedIssues(old, Style(web=WEB), before).of(old.issues["i8"]) is kept
    assert RenderedIssues(new, Style(web=WEB), before).of(new.issues["i8"]) is kept


@given(st.permutations([component(issue(n, due=date(2026, 12, 1 + n % 3))) for n in range(12)]))
def test_parts_are_sorted_as_components_are(components: list[Component]) -> None:
    ordered = sorted(components, key=lambda one: one.sort_key)
    assert [one.octets for one in parts(components)] == [write(one) for one in ordered]


def test_undated_ones_come_last() -> None:
    undated = component(issue(1, due=None), component="vtodo")
    assert [one.place[:10] for one in parts([undated, component(issue(2))])] == ["2026-12-01", "9999-12-31"]


def test_a_calendar_as_parts_is_its_components_written() -> None:
    snap = snapshot(issue(1), issue(2, parent="i1"), issue(3, due=date(2026, 1, 1)), periods=[period()])
    for feed in (
        Feed(everything=True, include=("issues", "cycles"), overdue_digest=True),
        Feed(everything=True, component="vtodo"),
    ):
        made = calendar(feed, material(snap))
        found: Sequence[RenderedComponent] = made.parts({"prop": RenderedIssues(snap, made.style)})
        assert found == parts(made.components)
        assert made.count == len(found)
