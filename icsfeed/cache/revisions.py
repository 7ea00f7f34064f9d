"""When issues and periods were revised (docs/mapping.md): decided from old, new and now.

Plane's `updated_at` says most of it. The rest is found by comparing: a state, label, person or
project was renamed, an issue joined a cycle, a feed is configured differently. What was found is stored
with the snapshot, so that a component's revision never runs backwards.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.model import Issue, Period, Snapshot
from icsfeed.text import inflate, mentioned_ids, with_names

_SECOND = timedelta(seconds=1)
"""The smallest step between two revisions that a calendar can express."""


class History(Struct, frozen=True):
    """A feed at its last rendering: digests of its style and body, and when they last changed.

    `styled` is None while the style has never changed.
    """

    style: str
    body: str
    changed: datetime
    styled: datetime | None = None


def with_revisions(old: Snapshot | None, new: Snapshot, now: datetime) -> Snapshot:
    """Return the new snapshot with the revisions of the old one, and of what differs from it now.

    Without an old snapshot Plane's own times hold, and what the new one brings from another replica. What is
    equal stays the same object.
    """
    if old is None:
        return new
    issues = dict(new.issues)
    for id_, issue in new.issues.items():
        before = old.issues.get(id_)
        if before is None or before is issue:
            continue
        if before.completed and issue.completed and before.completed != issue.completed:
            # Plane v1.3.1 moves `completed_at` whenever a done issue is saved: the first time seen stays.
            issue = replace(issue, completed=before.completed)
        issues[id_] = before if before == issue else issue
    new = replace(new, issues=issues)
    return replace(new, touched=dict(_touched(old, new, now)))


def differing(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """Return the ids of new's issues that may be shown differently from old's; the others may not.

    Each issue is compared by identity first, and closer where that differs. Reasons are a change of the issue
    itself, of the name of something it refers to, of its cycles and modules, its revision, its project.
    """
    # Every component may show the key and the name of its project.
    if (old.project.key, old.project.name) != (new.project.key, new.project.name):
        return frozenset(new.issues)
    ids = {
        id_
        for id_, issue in new.issues.items()
        if (before := old.issues.get(id_)) is not issue and before != issue
    }
    renamed = {
        *_unequal(old.states, new.states),
        *_unequal(old.labels, new.labels),
        *_unequal(old.people, new.people),
        *_unequal(old.types, new.types),
    }
    if renamed:
        ids.update(
            id_
            for id_, issue in new.issues.items()
            if not renamed.isdisjoint(
                (*issue.labels, *issue.assignees, issue.state, issue.type, *mentioned_ids(issue.text))
            )
        )
    for id_ in old.periods.keys() | new.periods.keys():
        ids |= _moved(old.periods.get(id_), new.periods.get(id_))
    ids.update(_unequal(old.touched, new.touched))
    return frozenset(ids & new.issues.keys())


def _unequal(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    """The keys whose values are not equal in both."""
    if old is not new:
        yield from (key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _moved(old: Period | None, new: Period | None) -> frozenset[str]:
    """The issues that joined or left a cycle or module; all of its issues where it was renamed."""
    before = (old and old.issues) or frozenset()
    after = (new and new.issues) or frozenset()
    if old is None or new is None or (old.kind, old.name) != (new.kind, new.name):
        return before | after
    return frozenset() if before is after else before ^ after


def _touched(old: Snapshot, new: Snapshot, now: datetime) -> Iterator[tuple[str, datetime]]:
    # Those touched before are looked at again: their revision must outlive this snapshot too.
    ids = differing(old, replace(new, touched=old.touched)).union(old.touched, new.touched)
    for id_ in sorted(ids):
        before, issue = old.issues.get(id_), new.issues.get(id_)
        if before is not None and issue is not None:
            changed = _shown(before, old) != _shown(issue, new) or _type_changed(before, old, issue, new)
            yield from _revision(issue, _revised(before, old), _revised(issue, new), now, changed=changed)
        elif issue is not None and id_ in new.touched:
            yield id_, new.touched[id_]
    for period in new.periods.values():
        earlier = old.periods.get(period.id)
        if earlier is not None:
            changed = _period_facts(earlier, old) != _period_facts(period, new)
            yield from _revision(period, _revised(earlier, old), _revised(period, new), now, changed=changed)
        elif period.id in new.touched:
            yield period.id, new.touched[period.id]


def _revised(item: Issue | Period, snapshot: Snapshot) -> datetime:
    return max(item.updated, snapshot.touched.get(item.id, item.updated))


def _revision(
    item: Issue | Period, shown: datetime, revised: datetime, now: datetime, *, changed: bool
) -> Iterator[tuple[str, datetime]]:
    """Yield the revision to store, where Plane's own is not enough; `shown` is the one before."""
    shown, revised = _whole(shown), _whole(revised)
    # iCalendar's times have whole seconds: a change within the same second must still be newer.
    if changed and revised <= shown:
        yield item.id, max(_whole(now), shown + _SECOND)
    elif _whole(item.updated) < max(shown, revised):
        yield item.id, max(shown, revised)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _shown(issue: Issue, snapshot: Snapshot) -> tuple[object, ...]:
    """Return all that an issue's component may show, except its times.

    Labels, people, cycles and modules by name and sorted: Plane promises no order, components sort them.
    """
    state, people = snapshot.state_of(issue), snapshot.people

    def name_of(person: str) -> str | None:
        return people[person].name if person in people else None

    return (
        # A stored issue of an older version has neither type nor creator, and has not changed for that.
        replace(
            issue,
            updated=issue.created,
            completed=None,
            labels=(),
            assignees=(),
            text=b"",
            type=None,
            creator=None,
        ),
        with_names(inflate(issue.text), name_of),
        snapshot.project.key,
        snapshot.project.name,
        (state.name, state.group) if state else None,
        sorted(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels),
        sorted(people[person].name for person in issue.assignees if person in people),
        {(period.kind, period.name) for period in snapshot.links.get(issue.id, ())},
    )


def _type_changed(old: Issue, was: Snapshot, new: Issue, now: Snapshot) -> bool:
    """Return whether the name of an issue's type changed.

    Not where the types were not read before, or are not any more: feeds that show them wait for them.
    """
    if not (was.types and now.types and old.type):
        return False
    before, after = (snap.types.get(issue.type or "") for snap, issue in ((was, old), (now, new)))
    return (before and before.name) != (after and after.name)


def _period_facts(period: Period, snapshot: Snapshot) -> tuple[object, ...]:
    plain = replace(period, updated=period.created, issues=None, total=None, done=None)
    return plain, snapshot.project.name, snapshot.progress(period)


def with_revised_periods(
    old: Mapping[str, Period], new: Mapping[str, Period], now: datetime
) -> Mapping[str, Period]:
    """Return releases or initiatives as they were read now, each with its revision as `updated`."""
    revised = dict(new)
    for id_, period in new.items():
        if id_ in old:
            changed = replace(old[id_], updated=period.updated) != period
            times = dict(_revision(period, old[id_].updated, period.updated, now, changed=changed))
            revised[id_] = replace(period, updated=times.get(id_, period.updated))
    return revised


def styled_since(old: History | None, style: str, now: datetime) -> datetime | None:
    """Return since when a feed has this style: None while it never had another."""
    if old is None or old.style == style:
        return old.styled if old else None
    return _whole(now)


def remembered(old: History | None, style: str, body: str, newest: datetime, now: datetime) -> History:
    """Return a feed's history after a rendering: when its body last changed, and when its style did.

    The first rendering counts from `newest`, the latest revision in it: so a restart changes nothing.
    """
    if old is None:
        return History(style, body, _whole(newest))
    changed = old.changed if old.body == body else max(_whole(now), old.changed + _SECOND)
    return History(style, body, changed, styled_since(old, style, now))
