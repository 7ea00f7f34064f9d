"""Which projects of a workspace have not changed, by the newest rows of all of them in one list.

Commercial editions list the issues of all projects together. Nobody has recorded that list, and it may hold
more than the projects' own lists do: drafts, or projects that icsfeed does not read. So nothing in it is
shown: it says at most that a project need not be read.

The rows that changed say what was added and edited, and the total that something was removed: between two
checks it must have grown by exactly the ids that were never seen before, without those that the projects'
own lists have lost meanwhile. Where it has not, any project may have lost something.
"""

from collections.abc import Container, Mapping
from datetime import datetime

from msgspec import Struct

from icsfeed.plane.incremental import IssueList, WorkspaceRow, WorkspaceRows, since_newest

MAX_SEEN = 10_000
"""Ids that are remembered of rows that no project's list has: their edits must not count as additions."""


class Baseline(Struct, frozen=True):
    """What the last check found, and the `lists` of the projects by then.

    `seen`: ids of rows that no list has.
    """

    found: WorkspaceRows
    read_at: datetime
    lists: Mapping[str, IssueList]
    seen: frozenset[str] = frozenset()

    @property
    def since(self) -> datetime | None:
        """From which `updated_at` on rows may have changed; None when there were no rows."""
        rows = self.found.rows
        return since_newest(rows[0].updated, self.read_at) if rows else None


def baseline(
    found: WorkspaceRows, read_at: datetime, lists: Mapping[str, IssueList], before: Baseline | None
) -> Baseline:
    """Return the baseline for the next check. `before`: the last one, if nothing was lost since.

    What was seen before may be what was lost: if it came back, it would hide that another issue is gone.
    """
    rows = {row.id for row in found.rows}
    seen = before.seen if before is not None and len(before.seen) <= MAX_SEEN else frozenset()
    foreign = frozenset(id_ for id_ in rows | seen if not _is_listed(id_, lists))
    return Baseline(found, read_at, lists, foreign)


def is_nothing_lost(
    before: Baseline,
    found: WorkspaceRows,
    references: Mapping[str, IssueList],
    lists: Mapping[str, IssueList],
) -> bool:
    """Return whether the total shows that no project has lost an issue since the check before.

    `lists` are the projects' lists now; `references`: as they were then, or when they were first read after
    it. What they have lost in between is accounted for.

    It can be wrong where an issue comes back from the archive before the list of its project was read again,
    and another one is removed at the same time: the turn of its project shows that.
    """
    listed = {row.id for row in found.rows}
    known = before.seen.union(row.id for row in before.found.rows)
    added = sum(id_ not in known and not _was_listed(id_, before.lists, references) for id_ in listed)
    lost = {
        id_
        for project, old in references.items()
        if old.items is not lists[project].items
        for id_ in old.ids - lists[project].ids - listed
    }
    removed = sum(not _is_listed(id_, lists) for id_ in lost)
    # A list that holds less than the projects' own is not what it seems to be.
    is_whole = found.total >= sum(len(lists[project].ids) for project in references)
    return is_whole and found.total - before.found.total == added - removed


def changed(before: Baseline, found: WorkspaceRows, lists: Mapping[str, IssueList]) -> frozenset[str]:
    """Return the projects of which a row says that their list is not what it was.

    Each of these `lists` is as new as the check before, or newer.
    """
    then = set(before.found.rows)
    rows = {row.id: row for row in found.rows}
    oldest = found.rows[-1].updated if found.rows else None
    return frozenset(
        project
        for project, known in lists.items()
        if any(_is_news(row, project, known, then) for row in found.rows)
        or any(
            # It is newer than a row that is there, and was removed, or is as it was in a backup.
            oldest is not None and issue.updated > oldest and issue.id not in rows
            for issue in known.items.values()
        )
    )


def _is_news(row: WorkspaceRow, project: str, known: IssueList, then: Container[WorkspaceRow]) -> bool:
    if row.project != project:
        return row.id in known.items  # it has moved to another project
    issue = known.items.get(row.id)
    # A row that the project's own list lacks, or that nobody understands, was looked for once.
    return issue.updated != row.updated if issue is not None else row not in then


def _was_listed(id_: str, lists: Mapping[str, IssueList], references: Mapping[str, IssueList]) -> bool:
    """Return whether an issue was there at a check, by the lists before it and the first ones after it.

    One that the list before it still had, and the first one after it has not, was in the archive.
    """
    return any(
        project not in references or id_ in references[project].items or id_ in references[project].skipped
        for project, before in lists.items()
        if id_ in before.items or id_ in before.skipped
    )


def _is_listed(id_: str, lists: Mapping[str, IssueList]) -> bool:
    return any(id_ in known.items or id_ in known.skipped for known in lists.values())
