"""How what is known of a workspace outlives the process, and what replicas tell each other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.cache.snapshots import KINDS, Snapshots
from icsfeed.cache.ttl import TtlCache
from icsfeed.model import Issue, Needs, Person, Project, Snapshot
from icsfeed.plane.incremental import IssueList
from icsfeed.plane.rate_limit import Budget, BudgetState
from icsfeed.store.store import Store, decode, encode

BATCH = 200
"""Issues that are encoded at once."""
LOCK_SECONDS = 10.0
"""How long a replica that died in the middle of a refresh keeps the others waiting."""
LOCK_PATIENCE = 60.0
"""How long they wait for one that lives: 10,000 issues may take it half a minute."""


class RosterRecord(Struct, frozen=True):
    """A workspace's projects and people, and when they were read.

    `people_at`: None before the people are. `keys`: the projects that the configuration let out; none: all.
    `origin`: of which Plane and workspace it is. `reader`: with which key it was read. `lost` and
    `deleted`: see `Snapshots`.
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


class IssueBatch(Struct, frozen=True):
    """Some issues in a row."""

    issues: tuple[Issue, ...]


class ProjectRecord(Struct, frozen=True):
    """A project's snapshot, with the people it was made with, and its issue list.

    Each issue is kept once, in `batches` (see `kept`). The snapshot and the list have only those that are
    not the other's: where Plane has moved the completion of a done issue, say. Of one that is not `whole`
    only the parts count whose time is among the `ReadTimes`.
    """

    snapshot: Snapshot
    issues: IssueList
    batches: tuple[bytes, ...]
    whole: bool = True


class ReadTimes(Struct, frozen=True):
    """Which `ProjectRecord` is the newest, and when each part of it was last read.

    `whole_at`: when all of its issues were.
    """

    kept: str
    at: Mapping[str, datetime]
    whole_at: datetime


class Persistence:
    """Keeps what is `known` of the workspace `name` in a store, and takes in what was kept there.

    `origin` says which Plane's workspace that is: what was kept of another one is no copy of it.
    `reader` says with which key: another one may see other projects. `sparing`: what it keeps is not whole,
    and takes the place of nothing.
    """

    def __init__(
        self,
        name: str,
        known: Snapshots,
        store: Store,
        clock: Callable[[], datetime],
        origin: str = "",
        reader: str = "",
        *,
        sparing: bool = False,
    ) -> None:
        self._sparing = sparing
        self._found: set[str] = set()
        self._name = name
        self._origin = origin
        self._reader = reader
        self._known = known
        self._store = store
        self._clock = clock
        self._digests: dict[str, str] = {}
        self._saved: dict[str, tuple[object, ...] | None] = {}
        self._news: bytes | None = None
        self._adopting = asyncio.Lock()

    async def save_roster(self) -> None:
        """Keep the projects, and the people when they are known."""
        known = self._known
        projects, projects_at = known.projects.get(""), known.projects.read_at("")
        if projects is not None and projects_at is not None:
            people, people_at = known.members.get("") or {}, known.members.read_at("")
            roster = RosterRecord(
                projects, projects_at, people, people_at, known.keys, self._origin, self._reader
            )
            roster = replace(roster, lost=known.lost, deleted=frozenset(known.deleted))
            await self._store.put_record(self._key("roster"), roster)

    async def adopt_roster(self) -> Sequence[Project]:
        """Take in the projects and people that were kept, where they are newer than ours."""
        known = self._known
        roster = await self._store.get_record(self._key("roster"), RosterRecord)
        if roster is not None and roster.origin == self._origin:
            # What was kept may be from before the configuration was narrowed, or widened.
            ours = known.projects.read_at("")
            if ours is None or ours < roster.projects_at:
                known.lost = roster.lost
            known.deleted |= roster.deleted
            known.projects.adopt("", known.allowed(roster.projects), roster.projects_at)
            if roster.people_at is not None:
                known.members.adopt("", roster.people, roster.people_at)
            if roster.keys != known.keys or roster.reader != self._reader:
                known.projects.expire("")
        return known.projects.get("") or ()

    def changed(self) -> Sequence[Project]:
        """The projects that have become other ones than were kept."""
        return [project for project in self._known.projects.get("") or () if self.is_changed(project)]

    def is_changed(self, project: Project) -> bool:
        """Whether this project has become another one than was kept."""
        return self._saved.get(project.id) != self._known.stamp(project)

    async def save(self, project: Project) -> None:
        """Keep a project: its snapshot when that has changed, and when its parts were read."""
        if self._sparing:
            await self.save_first(project)
            return
        snapshot, issues = self._known.snapshot(project), self._known.lists.get(project.id)
        if snapshot is None or issues is None:
            return
        stamp, at = self._known.stamp(project), self._known.reads(project)
        is_news = self._saved.get(project.id) != stamp
        if is_news:
            encoded = await asyncio.to_thread(lambda: encode(kept(snapshot, issues)))
            await self._store.put(self._key("project", project.id), encoded)
            self._digests[project.id], self._saved[project.id] = sha256(encoded).hexdigest(), stamp
        digest = self._digests[project.id]
        await self._store.put_record(self._key("reads", project.id), ReadTimes(digest, at, issues.whole_at))
        if is_news and self.is_shared:
            await self._store.put(self._key("news"), digest.encode())

    async def save_first(self, project: Project) -> None:
        """Keep what was read of a project before it is whole, where nothing is kept of it."""
        snapshot = self._known.snapshot(project) or self._known.first_snapshot(project, Needs())
        issues = self._known.lists.get(project.id)
        if project.id in self._found or project.id in self._digests or snapshot is None or issues is None:
            return
        encoded = await asyncio.to_thread(lambda: encode(kept(snapshot, issues, whole=False)))
        await self._store.put(self._key("project", project.id), encoded)
        self._digests[project.id] = sha256(encoded).hexdigest()
        reads = ReadTimes(self._digests[project.id], self._known.reads(project), issues.whole_at)
        await self._store.put_record(self._key("reads", project.id), reads)

    @property
    def is_shared(self) -> bool:
        """Whether there may be other replicas."""
        return self._store.is_shared

    async def sync_from_peers(self) -> None:
        """Take in what other replicas have read, once one of them has kept something new."""
        news = await self._store.get(self._key("news"))
        if news is not None and news != self._news:
            self._news = news
            for project in await self.adopt_roster():
                await self.adopt(project)

    async def adopt(self, project: Project) -> None:
        """Take in what another replica, or this one before it was restarted, has kept of a project."""
        async with self._adopting:
            await self._adopt(project)

    async def _adopt(self, project: Project) -> None:
        reads = await self._store.get_record(self._key("reads", project.id), ReadTimes)
        empty = self._known.issues.get(project.id) is None
        if not empty and (reads is None or not self._is_news(project, reads)):
            return
        known = reads is not None and reads.kept == self._digests.get(project.id)
        if not known or self.is_changed(project):
            known = await self._adopt_kept(project, reads, alone=empty)
        if known and reads is not None:
            self._confirm(project, reads)

    async def _adopt_kept(self, project: Project, reads: ReadTimes | None, *, alone: bool) -> bool:
        """Whether `reads` are of what is kept. `alone`: it is better than nothing without them, too.

        A crash may have come between the two: then it is as old as the list in it.
        """
        value = await self._store.get(self._key("project", project.id))
        if value is None:
            return False
        digest = sha256(value).hexdigest()
        at = reads.at if reads is not None and reads.kept == digest else None
        if at is None and not alone:
            return False
        try:
            found = await asyncio.to_thread(lambda: decode(value, ProjectRecord))
            snapshot, issues = await asyncio.to_thread(lambda: restored(found))
        except ValueError:  # another version's shape
            return False
        self._found.add(project.id)
        read_at = issues.read_at
        if not found.whole:
            if at is not None:
                self._adopt_parts(project, snapshot, issues, at, whole=False)
                self._digests[project.id] = digest
            return at is not None
        self._adopt_parts(project, snapshot, issues, {"issues": read_at, **(at or {})}, whole=True)
        if self._known.take(project, snapshot, read_at):
            self._digests[project.id], self._saved[project.id] = digest, self._known.stamp(project)
        return at is not None

    def _adopt_parts(
        self,
        project: Project,
        snapshot: Snapshot,
        issues: IssueList,
        at: Mapping[str, datetime],
        *,
        whole: bool,
    ) -> None:
        """Take in the parts as of `at`; of a `whole` snapshot the others too, as of its issues."""
        known, read_at = self._known, at["issues"]
        ours = known.issues.read_at(project.id)
        if ours is None or ours < read_at:
            known.lists[project.id] = issues
        known.issues.adopt(project.id, (issues.items, issues.unreadable), read_at)

        def adopt(part: str, copies: TtlCache[str, Any], key: str, value: object) -> None:
            moment = at.get(part, read_at if whole else None)
            if moment is not None:
                copies.adopt(key, value, moment)

        adopt("states", known.states, project.id, snapshot.states)
        adopt("labels", known.labels, project.id, snapshot.labels)
        for kind in KINDS:
            own = {id_: period for id_, period in snapshot.periods.items() if period.kind == kind}
            bare = {id_: replace(period, issues=None) for id_, period in own.items()}
            adopt(f"{kind}s", known.periods[kind], project.id, bare)
            for period in own.values():
                if period.issues is not None:
                    adopt(f"{kind} {period.id}", known.held[kind], period.id, period.issues)

    def _is_news(self, project: Project, reads: ReadTimes) -> bool:
        ours = self._known.reads(project)
        return any(part not in ours or ours[part] < at for part, at in reads.at.items())

    def _confirm(self, project: Project, reads: ReadTimes) -> None:
        for part, copies, key in self._known.parts(project):
            if part in reads.at:
                copies.confirm(key, reads.at[part])
        known, read_at = self._known.lists.get(project.id), self._known.issues.read_at(project.id)
        if known is not None and read_at is not None:
            whole_at = max(known.whole_at, reads.whole_at)
            self._known.lists[project.id] = replace(known, read_at=read_at, whole_at=whole_at)

    def shared(self, part: str, wait: float = LOCK_PATIENCE) -> AbstractAsyncContextManager[bool]:
        """A lock that replicas share. Without it in time each reads by itself: late, and not wrong."""
        return self._store.lock(self._key(part), LOCK_SECONDS, wait=wait)

    async def adopt_budget(self, budget: Budget) -> None:
        """Take in what this process, or another, had learned of the key's budget."""
        state = await self._store.get_record(self._key("budget"), BudgetState)
        if state is not None:
            budget.restore(state, self._clock().timestamp())

    async def sync_budget_from_peers(self, budget: Budget) -> None:
        """Take in what other replicas have learned of it meanwhile, where there may be any."""
        if self.is_shared:
            await self.adopt_budget(budget)

    async def keep_budget(self, budget: Budget) -> None:
        """Tell the others what was learned of the key's budget."""
        await self._store.put_record(self._key("budget"), budget.state(self._clock().timestamp()))

    def _key(self, *parts: str) -> str:
        return "/".join((self._name, *parts))


def kept(snapshot: Snapshot, issues: IssueList, *, whole: bool = True) -> ProjectRecord:
    """A snapshot and an issue list to keep, encoded in batches: nothing else runs while a large one is."""
    own = {id_: issue for id_, issue in snapshot.issues.items() if issues.items.get(id_) is not issue}
    others = {id_: issue for id_, issue in issues.items.items() if id_ not in snapshot.issues}
    common = [issue for id_, issue in issues.items.items() if id_ not in others]
    batches = tuple(
        encode(IssueBatch(tuple(common[start : start + BATCH]))) for start in range(0, len(common), BATCH)
    )
    return ProjectRecord(replace(snapshot, issues=own), replace(issues, items=others), batches, whole)


def restored(kept: ProjectRecord) -> tuple[Snapshot, IssueList]:
    """What was kept. Raises ValueError for another version's shape."""
    common = {issue.id: issue for batch in kept.batches for issue in decode(batch, IssueBatch).issues}
    snapshot = replace(kept.snapshot, issues={**common, **kept.snapshot.issues})
    return snapshot, replace(kept.issues, items={**common, **kept.issues.items})
