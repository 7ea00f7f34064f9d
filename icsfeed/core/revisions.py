"""Honest revision times (mapping.md, 5): what changed, and since when, decided from old, new and now.

Plane's `updated_at` says most of it. The rest is seen by comparing: a state, label, person or
project was renamed, an issue joined a cycle, a feed is configured differently. What was seen is
kept with the snapshot, so that a component's revision never runs backwards.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.core.model import Issue, Period, Snapshot
from icsfeed.core.text import with_names

_SECOND = timedelta(seconds=1)


class History(Struct, frozen=True):
    """What a feed was when it was last rendered: digests of how it is shown and of its body."""

    style: str
    body: str
    changed: datetime
    styled: datetime | None = None


def carried_on(old: Snapshot | None, new: Snapshot, now: datetime) -> Snapshot:
    """The new read with the revisions that the old one knew, and those that differ from it now.

    Without an old snapshot Plane's own times hold. `completed` keeps the first moment seen while an
    issue stays done: Plane v1.3.1 moves it at every save.
    """
    if old is None:
        return new
    issues = {issue.id: _first_completion(old.issues.get(issue.id), issue) for issue in new.issues.values()}
    new = replace(new, issues=issues)
    touched = dict(_touched(old, new, now))
    return replace(new, touched=touched)


def _first_completion(old: Issue | None, new: Issue) -> Issue:
    if old is None or old.completed is None or new.completed is None or old.completed == new.completed:
        return new
    return replace(new, completed=old.completed)


def _touched(old: Snapshot, new: Snapshot, now: datetime) -> Iterator[tuple[str, datetime]]:
    old_links, new_links = _links(old), _links(new)
    for issue in new.issues.values():
        before = old.issues.get(issue.id)
        if before is not None:
            changed = _facts(before, old) != _facts(issue, new) or old_links.get(issue.id) != new_links.get(
                issue.id
            )
            yield from _revision(before, issue, old.touched.get(issue.id), now, changed=changed)
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


def _facts(issue: Issue, snapshot: Snapshot) -> tuple[object, ...]:
    """All that an issue's component may show but its times and its cycles and modules.

    Labels and people by name, in no order: Plane promises none, and a component sorts them.
    """
    state, people = snapshot.state_of(issue), snapshot.people

    def name_of(person: str) -> str | None:
        return people[person].name if person in people else None

    return (
        replace(issue, updated=issue.created, completed=None, labels=(), assignees=()),
        with_names(issue.text, name_of),
        snapshot.project.key,
        snapshot.project.name,
        (state.name, state.group) if state else None,
        sorted(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels),
        sorted(people[person].name for person in issue.assignees if person in people),
    )


def _period_facts(period: Period, snapshot: Snapshot) -> tuple[object, ...]:
    plain = replace(period, updated=period.created, issues=None, total=None, done=None)
    return plain, snapshot.project.name, snapshot.progress(period)


def _links(snapshot: Snapshot) -> Mapping[str, set[tuple[str, str]]]:
    """By issue, the kind and name of each cycle and module that is known to hold it."""
    found: dict[str, set[tuple[str, str]]] = {}
    for period in snapshot.periods.values():
        for issue in period.issues or ():
            found.setdefault(issue, set()).add((period.kind, period.name))
    return found


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
