"""All issues of a project, kept current by reading only the rows that changed.

Plane's list can be ordered by `updated_at`, and every page states how many rows there are. So the newest
rows and that total show what was added and edited, and that something was removed; which one it was
takes a list of ids. What these do not show is read whole.
"""

from collections.abc import Container, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.model import Issue

MAX_DELAY = timedelta(seconds=60)
"""From a change's `updated_at` until it becomes visible: a slow transaction."""


class Rows(Struct, frozen=True):
    """Rows of Plane's issue list: those understood, the ids of those skipped, and the stated total.

    `nameless` counts skipped rows without an id: with such rows ids prove nothing. `fields` is which of
    Plane's fields were asked for.
    """

    items: tuple[Issue, ...]
    total: int
    skipped: frozenset[str] = frozenset()
    nameless: int = 0
    fields: str = ""

    @property
    def ids(self) -> frozenset[str]:
        return self.skipped.union(issue.id for issue in self.items)

    @property
    def unreadable(self) -> int:
        """How many rows could not be understood."""
        return len(self.skipped) + self.nameless


class WorkspaceRow(Struct, frozen=True):
    """An issue in the list of all projects."""

    id: str
    project: str
    updated: datetime


class WorkspaceRows(Struct, frozen=True):
    """The newest rows of that list, the newest first, and how many rows it has in all."""

    rows: tuple[WorkspaceRow, ...]
    total: int


class IssueList(Struct, frozen=True):
    """The issues of a project as of `read_at`. `whole_at`: when all of them were last read.

    `fields`: which of Plane's fields were read. A stored list may be from a version that read fewer.
    """

    items: Mapping[str, Issue]
    skipped: frozenset[str]
    nameless: int
    total: int
    read_at: datetime
    whole_at: datetime
    fields: str = ""

    @property
    def ids(self) -> frozenset[str]:
        return self.skipped.union(self.items)

    @property
    def unreadable(self) -> int:
        """How many issues could not be understood."""
        return len(self.skipped) + self.nameless


def whole(rows: Rows, now: datetime, known: IssueList | None = None) -> IssueList:
    """Return the list when every row was read. An issue that equals the `known` one stays the same object."""
    before = known.items if known is not None else {}
    items = {issue.id: old if (old := before.get(issue.id)) == issue else issue for issue in rows.items}
    return IssueList(items, rows.skipped, rows.nameless, rows.total, now, now, rows.fields)


def since(known: IssueList) -> datetime | None:
    """Return from which `updated_at` on rows may have changed; None when there are no issues yet.

    Rows that changed just before the last read may have become visible only after it.
    """
    newest = max((issue.updated for issue in known.items.values()), default=None)
    return None if newest is None else since_newest(newest, known.read_at)


def since_newest(newest: datetime, read_at: datetime) -> datetime:
    """Return the same for rows that were read at `read_at`, and of which this was the newest."""
    return newest - MAX_DELAY if newest > read_at - MAX_DELAY else newest


def is_outdated(known: IssueList, recent: Rows, ids: Container[str] | None = None) -> bool:
    """Return whether everything has to be read: an `updated_at` is older than it was, since Plane was
    restored from a backup, or the list is from a version that read other fields.

    Either a recent row says so itself, or a known one is missing where its time should place it.
    `ids`: of all issues that there still are, where some were removed.
    """
    if known.fields != recent.fields:
        return True
    # The recent rows are all those since `oldest`: a known issue that is newer must be among them.
    oldest = min((issue.updated for issue in recent.items), default=None)
    if oldest is None:
        return False
    listed = {issue.id: issue.updated for issue in recent.items}
    return any(
        listed[id_] < issue.updated
        if id_ in listed
        else issue.updated > oldest and id_ not in recent.skipped and (ids is None or id_ in ids)
        for id_, issue in known.items.items()
    )


def merged(known: IssueList, recent: Rows, now: datetime) -> IssueList | None:
    """Return the list with the newest rows merged in; None when their total says that some were removed."""
    # Rows that were skipped count in Plane's total too.
    added = recent.ids - known.ids
    if recent.nameless or known.nameless or recent.total != known.total + len(added):
        return None
    return _with(known, recent, recent.total, now)


def pruned(known: IssueList, recent: Rows, ids: frozenset[str], now: datetime) -> IssueList | None:
    """Return the same, when `ids` are of all issues that there were just before `recent` was read.

    None when the two do not fit together, or some of the ids were never read.
    """
    if recent.nameless or known.nameless or recent.total != len(ids) or not recent.ids <= ids:
        return None
    together = _with(known, recent, len(ids), now)
    # An id that was never read: an issue has come back with an old `updated_at` (from the archive, say).
    if not ids <= together.ids:
        return None
    items = {id_: issue for id_, issue in together.items.items() if id_ in ids}
    return replace(together, items=items, skipped=together.skipped & ids)


def _with(known: IssueList, recent: Rows, total: int, now: datetime) -> IssueList:
    """Return both merged; where nothing is new, with the same mapping as before."""
    changed = {issue.id: issue for issue in recent.items if known.items.get(issue.id) != issue}
    items, skipped = known.items, known.skipped
    if changed or not recent.skipped <= skipped:
        skipped = skipped.difference(issue.id for issue in recent.items) | recent.skipped
        items = {id_: issue for id_, issue in {**items, **changed}.items() if id_ not in skipped}
    return IssueList(items, skipped, 0, total, now, known.whole_at, known.fields)
