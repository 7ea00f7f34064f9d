"""Honest revision times (mapping.md, 5): what changed, and since when, decided from old, new and now.

Plane's `updated_at` says most of it. The rest is seen by comparing: a state, label, person or
project was renamed, an issue joined a cycle, a feed is configured differently. What was seen is
kept with the snapshot, so that a component's revision never runs backwards.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.model import Issue, Period, Snapshot
from icsfeed.text import inflate, mentioned_ids, with_names

_SECOND = timedelta(seconds=1)


class History(Struct, frozen=True):
    """What a feed was when it was last rendered: digests of how it is shown and of its body."""

    style: str
    body: str
    changed: datetime
    styled: datetime | None = None


def with_revisions(old: Snapshot | None, new: Snapshot, now: datetime) -> Snapshot:
    """The new read with the revisions that the old one knew, and those that differ from it now.

    Without an old snapshot Plane's own times hold. `completed` keeps the first moment seen while an
    issue stays done: Plane v1.3.1 moves it at every save. What is equal stays the very object that it was.
    """
    if old is None:
        return new
    known = old.issues
    issues = {
        id_: issue if known.get(id_) is issue else _first_completion(known.get(id_), issue)
        for id_, issue in new.issues.items()
    }
    new = replace(new, issues=issues)
    return replace(new, touched=dict(_touched(old, new, now)))


def _first_completion(old: Issue | None, new: Issue) -> Issue:
    if old is None or old == new:
        return old or new
    if old.completed is None or new.completed is None or old.completed == new.completed:
        return new
    kept = replace(new, completed=old.completed)
    return old if old == kept else kept


def differing(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """The ids of new's issues that may be shown otherwise than they were; all others are shown as in old.

    It takes a look at each issue, and a closer one at what changed: an issue itself, the name of something
    that it refers to, a cycle or module that it is in, its revision, its project.
    """
    if (old.project.key, old.project.name) != (new.project.key, new.project.name):
        return frozenset(new.issues)
    known = old.issues
    found = {
        id_
        for id_, issue in new.issues.items()
        if (before := known.get(id_)) is not issue and before != issue
    }
    renamed = _renamed(old, new)
    if renamed:
        found.update(id_ for id_, issue in new.issues.items() if not renamed.isdisjoint(_referred(issue)))
    found.update(*_moved(old, new), _retouched(old.touched, new.touched))
    return frozenset(found & new.issues.keys())


def _renamed(old: Snapshot, new: Snapshot) -> set[str]:
    """The ids of states, labels and people that are not in both as they are in the other."""
    pairs = ((old.states, new.states), (old.labels, new.labels), (old.people, new.people))
    return {
        id_
        for one, other in pairs
        if one is not other
        for id_ in one.keys() | other.keys()
        if one.get(id_) != other.get(id_)
    }


def _referred(issue: Issue) -> Iterator[str]:
    yield from issue.labels
    yield from issue.assignees
    yield from mentioned_ids(issue.text)
    if issue.state is not None:
        yield issue.state


def _moved(old: Snapshot, new: Snapshot) -> Iterator[Collection[str]]:
    """The issues that came into a cycle or module, or left it, and all of one that was renamed."""
    for id_ in old.periods.keys() | new.periods.keys():
        before, after = old.periods.get(id_), new.periods.get(id_)
        held = before.issues or frozenset() if before else frozenset()
        holds = after.issues or frozenset() if after else frozenset()
        alike = before and after and (before.kind, before.name) == (after.kind, after.name)
        yield () if held is holds and alike else held ^ holds if alike else held | holds


def _retouched(old: Mapping[str, datetime], new: Mapping[str, datetime]) -> Iterator[str]:
    return (id_ for id_ in old.keys() | new.keys() if old.get(id_) != new.get(id_))


def _touched(old: Snapshot, new: Snapshot, now: datetime) -> Iterator[tuple[str, datetime]]:
    seen = differing(old, replace(new, touched=old.touched)).union(old.touched)
    for id_ in sorted(seen):
        before, issue = old.issues.get(id_), new.issues.get(id_)
        if before is not None and issue is not None:
            changed = _shown(before, old) != _shown(issue, new)
            yield from _revision(before, issue, old.touched.get(id_), now, changed=changed)
    for period in new.periods.values():
        earlier = old.periods.get(period.id)
        if earlier is not None:
            changed = _period_facts(earlier, old) != _period_facts(period, new)
            yield from _revision(earlier, period, old.touched.get(period.id), now, changed=changed)


def _revision(
    old: Issue | Period, new: Issue | Period, touched: datetime | None, now: datetime, *, changed: bool
) -> Iterator[tuple[str, datetime]]:
    """The revision to keep, when Plane's own time is not enough. A second is the least that shows."""
    before = _whole(max(old.updated, touched) if touched else old.updated)
    if changed and _whole(new.updated) <= before:
        yield new.id, max(_whole(now), before + _SECOND)
    elif _whole(new.updated) < before:
        yield new.id, before


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _shown(issue: Issue, snapshot: Snapshot) -> tuple[object, ...]:
    """All that an issue's component may show but its times.

    Labels, people, cycles and modules by name, in no order: Plane promises none, and a component sorts them.
    """
    state, people = snapshot.state_of(issue), snapshot.people

    def name_of(person: str) -> str | None:
        return people[person].name if person in people else None

    return (
        replace(issue, updated=issue.created, completed=None, labels=(), assignees=(), text=b""),
        with_names(inflate(issue.text), name_of),
        snapshot.project.key,
        snapshot.project.name,
        (state.name, state.group) if state else None,
        sorted(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels),
        sorted(people[person].name for person in issue.assignees if person in people),
        {(period.kind, period.name) for period in snapshot.links.get(issue.id, ())},
    )


def _period_facts(period: Period, snapshot: Snapshot) -> tuple[object, ...]:
    plain = replace(period, updated=period.created, issues=None, total=None, done=None)
    return plain, snapshot.project.name, snapshot.progress(period)


def styled_since(old: History | None, style: str, now: datetime) -> datetime | None:
    """Since when a feed is shown as it is: None while it has not been shown otherwise."""
    if old is None or old.style == style:
        return old.styled if old else None
    return _whole(now)


def remembered(old: History | None, style: str, body: str, newest: datetime, now: datetime) -> History:
    """A feed's history after a rendering: when its body last changed, and when its style did.

    The first rendering counts from `newest`, the latest revision in it: so a restart changes nothing.
    """
    if old is None:
        return History(style, body, _whole(newest))
    changed = old.changed if old.body == body else max(_whole(now), old.changed + _SECOND)
    return History(style, body, changed, styled_since(old, style, now))
