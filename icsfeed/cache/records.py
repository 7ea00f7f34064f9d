"""The records that a workspace is stored in. Older and newer versions read them: names and shapes stay."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.model import Issue, Period, Person, Project, Snapshot
from icsfeed.plane.incremental import IssueList
from icsfeed.store.store import decode, encode

BATCH_ISSUES = 200
"""Issues that are encoded at once."""


class RosterRecord(Struct, frozen=True):
    """A workspace's projects and people, and when they were read.

    `people_at`: None before the people are. `keys`: the projects that the configuration allowed; none: all.
    `origin`: of which Plane and workspace it is. `reader`: with which key it was read. `lost` and
    `deleted`: see `Resources`. `lists`: its releases and initiatives, as far as they were read.
    """

    projects: tuple[Project, ...]
    projects_at: datetime
    people: Mapping[str, Person]
    people_at: datetime | None
    keys: frozenset[str]
    origin: str
    reader: str
    lost: Mapping[str, datetime] = {}
    deleted: frozenset[str] = frozenset()
    lists: Mapping[str, Mapping[str, Period]] = {}
    lists_at: Mapping[str, datetime] = {}


class FoundRecord(Struct, frozen=True):
    """The ids of the issues that a search found, and when. `origin` and `reader`: see `RosterRecord`."""

    ids: frozenset[str]
    read_at: datetime
    origin: str
    reader: str


class IssueBatch(Struct, frozen=True):
    """Some issues in a row."""

    issues: tuple[Issue, ...]


class ProjectRecord(Struct, frozen=True):
    """A project's snapshot, with the people it was built with, and its issue list.

    Each issue is stored once, in `batches`. The snapshot and the list have only those that the other has
    not: where Plane has moved the completion of a done issue, say. `links` has the issues of the periods that
    have none in the snapshot, as far as they were read. Of one that is not `whole` only those parts count
    whose time is among the `ReadTimes`. `milestones` are periods that versions before they were known could
    not read in the snapshot.
    """

    snapshot: Snapshot
    issues: IssueList
    batches: tuple[bytes, ...]
    whole: bool = True
    links: Mapping[str, frozenset[str]] = {}
    milestones: Mapping[str, Period] = {}


class ReadTimes(Struct, frozen=True):
    """When each part of a project was last read. `whole_at`: when all of its issues were.

    `kept` is the SHA-256 of the encoded `ProjectRecord` that the times belong to.
    """

    kept: str
    at: Mapping[str, datetime]
    whole_at: datetime


def to_record(
    snapshot: Snapshot, issues: IssueList, links: Mapping[str, frozenset[str]] = {}, *, whole: bool = True
) -> ProjectRecord:
    """Return the record of a snapshot, an issue list, and `links` that are not in the snapshot.

    The issues are encoded in batches, since no other thread runs while msgspec encodes.
    """
    # By identity: the lists share the objects of all issues that `with_revisions` left as they were.
    own = {id_: issue for id_, issue in snapshot.issues.items() if issues.items.get(id_) is not issue}
    others = {id_: issue for id_, issue in issues.items.items() if id_ not in snapshot.issues}
    common = [issue for id_, issue in issues.items.items() if id_ not in others]
    batches = tuple(
        encode(IssueBatch(tuple(common[start : start + BATCH_ISSUES])))
        for start in range(0, len(common), BATCH_ISSUES)
    )
    milestones = {id_: period for id_, period in snapshot.periods.items() if period.kind == "milestone"}
    periods = {id_: period for id_, period in snapshot.periods.items() if id_ not in milestones}
    bare, rest = replace(snapshot, issues=own, periods=periods), replace(issues, items=others)
    return ProjectRecord(bare, rest, batches, whole, links, milestones)


def from_record(
    record: ProjectRecord, items: Mapping[str, Issue] = {}, shown: Mapping[str, Issue] = {}
) -> tuple[Snapshot, IssueList]:
    """Return what a record was made of. Raises ValueError for another version's shape.

    Issues that are equal to those known by now, in a list (`items`) and a snapshot (`shown`), are the same
    objects: comparing them afterwards, in the event loop, costs little.
    """
    stored = (issue for batch in record.batches for issue in decode(batch, IssueBatch).issues)
    common = {issue.id: _known(issue, items) for issue in stored}
    own = {id_: _known(issue, shown) for id_, issue in record.snapshot.issues.items()}
    periods = {**record.snapshot.periods, **record.milestones}
    snapshot = replace(record.snapshot, issues={**common, **own}, periods=periods)
    others = {id_: _known(issue, items) for id_, issue in record.issues.items.items()}
    return snapshot, replace(record.issues, items={**common, **others})


def _known(issue: Issue, known: Mapping[str, Issue]) -> Issue:
    ours = known.get(issue.id)
    return ours if ours is not None and ours == issue else issue
