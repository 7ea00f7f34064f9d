"""Saving what is read of a workspace, for after a restart and for other replicas, and loading it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from icsfeed.cache.lists import NAME_LISTS, OPTIONAL, PERIOD_LISTS, TYPES
from icsfeed.cache.records import FoundRecord, ProjectRecord, ReadTimes, RosterRecord, from_record, to_record
from icsfeed.cache.resources import RESTORED_AGE, Resources, search_part
from icsfeed.cache.snapshots import Snapshots, with_links
from icsfeed.cache.ttl import CachedValue
from icsfeed.model import Needs, Project, Snapshot
from icsfeed.plane.incremental import IssueList
from icsfeed.plane.shapes import ISSUE_FIELDS
from icsfeed.store.announcements import Announcements
from icsfeed.store.store import Store, decode, encode

LOCK_SECONDS = 10.0
"""How long the lock of a replica that died in the middle of a refresh outlives it."""
LOCK_WAIT_SECONDS = 60.0
"""How long other replicas wait for one that lives: 10,000 issues may take it half a minute."""


class Persistence:
    """Saves what is read of the workspace `name` in a store, and loads what was saved there.

    `origin` says which Plane's workspace that is: what was saved of another one is ignored. `reader` says
    with which key it was read: another one may see other projects. What is read with `Resources.sparing` is
    not complete, and never replaces what was saved.
    """

    def __init__(
        self,
        name: str,
        resources: Resources,
        snapshots: Snapshots,
        store: Store,
        clock: Callable[[], datetime],
        *,
        origin: str = "",
        reader: str = "",
    ) -> None:
        self._name = name
        self._resources = resources
        self._snapshots = snapshots
        self._store = store
        self._clock = clock
        self._origin = origin
        self._reader = reader
        self._whole: set[str] = set()
        # Projects of which our snapshot is newer than the one that was loaded.
        self._revised: set[str] = set()
        self._digests: dict[str, str] = {}
        self._saved: dict[str, tuple[object, ...]] = {}
        self._saved_times: dict[str, Mapping[str, datetime]] = {}
        self._saved_roster: tuple[datetime | None, ...] = (None, None)
        self._announcements = Announcements(store, self._key("versions"))
        self._loading = asyncio.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether there may be other replicas."""
        return self._store.is_shared

    @asynccontextmanager
    async def updating_roster(self) -> AsyncIterator[None]:
        """Load the projects and people before, save them after, and lock others out meanwhile."""
        async with self._lock("roster"):
            await self.load_roster()
            yield
            await self._save_roster()

    @asynccontextmanager
    async def updating(self, project: Project) -> AsyncIterator[None]:
        """The same for a project."""
        async with self._lock(project.id):
            await self.load(project)
            yield
            await self._save(project)

    @asynccontextmanager
    async def searching(self, pql: str) -> AsyncIterator[None]:
        """The same for what a search finds."""
        async with self._lock(_found_part(pql)):
            await self.load_found(pql)
            yield
            found = self._resources.found[pql]
            if found.value is not None and found.read_at is not None:
                record = FoundRecord(found.value, found.read_at, self._origin, self._reader)
                await self._store.put_record(self._key(_found_part(pql)), record)
                await self._announce(_found_part(pql), [found.read_at])

    async def load_found(self, pql: str) -> None:
        """Load what a search has found, where that is newer than ours."""
        record = await self._store.get_record(self._key(_found_part(pql)), FoundRecord)
        if record is not None and record.origin == self._origin:
            found = self._resources.found[pql]
            is_first = found.value is None
            found.merge(record.ids, record.read_at)
            if record.reader != self._reader:
                found.expire()
            # As with the rest that was restored: readers need not wait for what is as new as that.
            elif is_first and self._resources.restored and self._clock() - record.read_at < RESTORED_AGE:
                self._resources.restored.add(search_part(pql))

    async def load_roster(self) -> Sequence[Project]:
        """Load the projects and people that were saved, where they are newer than ours."""
        resources = self._resources
        roster = await self._store.get_record(self._key("roster"), RosterRecord)
        self._saved_roster = (None, None)
        if roster is not None and roster.origin == self._origin:
            ours = resources.projects.read_at
            self._saved_roster = (roster.projects_at, roster.people_at)
            if ours is None or ours < roster.projects_at:
                resources.lost = roster.lost
                resources.restored.discard("projects")
            resources.deleted |= roster.deleted
            # The saved list may hold more projects than this configuration allows.
            resources.projects.merge(resources.allowed(roster.projects), roster.projects_at)
            if roster.people_at is not None:
                resources.members.merge(roster.people, roster.people_at)
            for name, read_at in roster.lists_at.items():
                if name in resources.of_workspace:
                    resources.of_workspace[name].merge(roster.lists[name], read_at)
            # It may be from before the configuration was narrowed or widened: read again, shown until then.
            if roster.keys != resources.keys or roster.reader != self._reader:
                resources.projects.expire()
        return resources.all_projects

    async def _save_roster(self) -> None:
        projects, members = self._resources.projects, self._resources.members
        if projects.value is not None and projects.read_at is not None:
            roster = RosterRecord(
                projects.value,
                projects.read_at,
                members.value or {},
                members.read_at,
                self._resources.keys,
                self._origin,
                self._reader,
                self._resources.lost,
                frozenset(self._resources.deleted),
                {name: each.value or {} for name, each in self._resources.of_workspace.items()},
                {name: at for name, each in self._resources.of_workspace.items() if (at := each.read_at)},
            )
            await self._store.put_record(self._key("roster"), roster)
            self._saved_roster = (roster.projects_at, roster.people_at)
            await self._announce("roster", (*self._saved_roster, *roster.lists_at.values()))

    async def save_all_changed(self) -> None:
        """Save what new names made of projects, and what was read before a refresh failed or was cancelled.

        What is being read meanwhile is saved by its reader: nobody must wait for that here.
        """
        resources = self._resources
        await self._save_roster_if_newer()
        for project in resources.all_projects:
            await self._save_if_newer(project)

    async def _save_roster_if_newer(self) -> None:
        if self._saved_roster != (self._resources.projects.read_at, self._resources.members.read_at):
            async with self._lock("roster", wait=0.0) as is_free:
                if is_free:
                    await self.load_roster()
                    await self._save_roster()

    async def _save_if_newer(self, project: Project) -> None:
        """Save a project of which we have something newer than what is stored, unless another does so now."""
        times = self._resources.read_times(project)
        if self._is_savable(project) and (
            self._is_changed(project) or self._saved_times.get(project.id) != times
        ):
            async with self._lock(project.id, wait=0.0) as is_free:
                if is_free:
                    await self.load(project)
                    await self._save(project)

    async def save_if_changed(self, project: Project) -> None:
        """Save a project whose snapshot is not the one that was saved."""
        if self._is_changed(project):
            await self._save(project)

    def _is_savable(self, project: Project) -> bool:
        """Whether its issues were read, and no whole snapshot would be replaced by a partial one."""
        is_read = project.id in self._resources.issue_lists
        return is_read and (project.id not in self._whole or self._is_whole(project))

    def _is_whole(self, project: Project) -> bool:
        return self._snapshots.is_current(project) and not self._resources.sparing

    def _is_changed(self, project: Project) -> bool:
        return self._saved.get(project.id) != self._snapshots.stamp(project)

    async def _save(self, project: Project) -> None:
        """Save a project: its snapshot when that has changed, and when its parts were read.

        A partial snapshot is saved too, until there is a whole one: it is what readers were shown.
        """
        snapshots, whole = self._snapshots, self._is_whole(project)
        snapshot = snapshots.snapshot(project) if whole else snapshots.partial(project, Needs())
        if snapshot is None or not self._is_savable(project):
            return
        if not await self._is_our_turn(project):
            return
        issues = self._resources.issue_lists[project.id]
        stamp, times = self._snapshots.stamp(project), self._resources.read_times(project)
        is_news = self._saved.get(project.id) != stamp or not await self._is_stored(project)
        if is_news:
            await self._put_snapshot(project, snapshot, issues, whole=whole)
            self._saved[project.id] = stamp
        digest = self._digests[project.id]
        # After the snapshot: a crash in between leaves times whose digest is not the snapshot's.
        reads = ReadTimes(digest, times, issues.whole_at)
        await self._store.put_record(self._key("reads", project.id), reads)
        self._saved_times[project.id] = times
        self._revised.discard(project.id)
        await self._announce(project.id, (*times.values(), digest))

    async def _is_our_turn(self, project: Project) -> bool:
        """Whether what was last loaded is still stored: not where we were stopped and lost the lock."""
        if not self.is_shared:
            return True
        times = await self._store.get_record(self._key("reads", project.id), ReadTimes)
        return times is None or times.at == self._saved_times.get(project.id)

    async def _is_stored(self, project: Project) -> bool:
        """Whether what was saved is still there: Redis may have been put back to an older state."""
        digest = bytes.fromhex(self._digests.get(project.id, ""))
        return await self._store.holds(self._key("project", project.id), digest)

    async def _put_snapshot(
        self, project: Project, snapshot: Snapshot, issues: IssueList, *, whole: bool
    ) -> None:
        links = {
            period.id: linked
            for period in snapshot.periods.values()
            if period.issues is None and (linked := self._resources.issues_of(period).value) is not None
        }
        encoded = await asyncio.to_thread(lambda: encode(to_record(snapshot, issues, links, whole=whole)))
        await self._store.put(self._key("project", project.id), encoded)
        self._digests[project.id] = await asyncio.to_thread(lambda: sha256(encoded).hexdigest())
        if whole:
            self._whole.add(project.id)

    async def sync_from_peers(self) -> None:
        """Load what other replicas have saved since the last time.

        Where Redis has lost it, or was put back to something older, what we have is saved again.
        """
        parts = ["roster", *(project.id for project in self._resources.all_projects)]
        parts += map(_found_part, self._resources.found)
        changed = await self._announcements.changed(parts)
        if "roster" in changed:
            await self.load_roster()
            await self._save_roster_if_newer()
        for pql in [pql for pql in self._resources.found if _found_part(pql) in changed]:
            await self.load_found(pql)
        for project in self._resources.all_projects:
            if project.id in changed:
                await self.load(project)
            if project.id in changed or project.id in self._revised:
                await self._save_if_newer(project)

    async def _announce(self, part: str, saved: Iterable[object]) -> None:
        """Announce that a part was saved. `saved`: when it was read, and what else is new in it."""
        version = sha256(" ".join(map(str, saved)).encode()).hexdigest()[:16]
        await self._announcements.announce(part, version)

    async def load_stale(self, projects: Iterable[Project], needs: Needs = Needs()) -> None:  # noqa: B008 - frozen
        """Load what another replica has saved of these projects, where it is not fresh here."""
        resources = self._resources
        if not (resources.projects.is_fresh and resources.members.is_fresh and resources.has_fresh_lists):
            await self.load_roster()
        for pql in [pql for pql, found in resources.found.items() if not found.is_fresh]:
            await self.load_found(pql)
        for project in projects:
            if not resources.is_fresh(project, needs):
                await self.load(project)

    async def load(self, project: Project) -> None:
        """Load what another replica, or this one before a restart, has saved of a project."""
        # One at a time: a refresh and `sync_from_peers` may load the same project at the same moment.
        async with self._loading:
            times = await self._store.get_record(self._key("reads", project.id), ReadTimes)
            self._saved_times[project.id] = times.at if times is not None else {}
            is_empty = self._resources.issues[project.id].value is None
            ours = self._resources.read_times(project)
            is_news = times is not None and any(
                part not in ours or ours[part] < at for part, at in times.at.items()
            )
            # Read at the same times, and revised by a replica that had shown something else before.
            is_revised = self.is_shared and times is not None and times.kept != self._digests.get(project.id)
            if not is_empty and not is_news and not is_revised:
                return
            # Often only the times are newer: the snapshot with this digest is the one that we have.
            is_same = times is not None and times.kept == self._digests.get(project.id)
            if not is_same or self._is_changed(project):
                is_same = await self._load_snapshot(project, times, is_empty=is_empty)
            if not is_same or times is None:
                return
            self._resources.restored.discard(project.id)
            for name, part in self._resources.parts(project):
                if name in times.at:
                    part.confirm(times.at[name])
            known, read_at = self._resources.issue_lists.get(project.id), self._resources.read_at(project)
            if known is not None and read_at is not None:
                whole_at = max(known.whole_at, times.whole_at)
                self._resources.issue_lists[project.id] = replace(known, read_at=read_at, whole_at=whole_at)

    async def _load_snapshot(self, project: Project, times: ReadTimes | None, *, is_empty: bool) -> bool:
        """Load a project's snapshot; return whether `times` belong to it.

        Where they do not, a crash came between the two. Then it is loaded only where we have nothing, and
        is as old as the list in it.
        """
        value = await self._store.get(self._key("project", project.id))
        if value is None:
            return False
        digest = await asyncio.to_thread(lambda: sha256(value).hexdigest())
        at = times.at if times is not None and times.kept == digest else None
        if at is None and not is_empty:
            return False
        items, _ = self._resources.issues[project.id].value or ({}, 0)
        shown = self._snapshots.shown(project)
        try:
            record = await asyncio.to_thread(decode, value, ProjectRecord)
            snapshot, issues = await asyncio.to_thread(from_record, record, items, shown)
        except ValueError:  # another version's shape
            return False
        linked = with_links(snapshot, record.links)
        if record.whole:
            # From now on a partial snapshot must not replace what is stored, even where ours is empty.
            self._whole.add(project.id)
            self._merge(project, linked, issues, {"issues": issues.read_at, **(at or {})}, issues.read_at)
            if self._snapshots.merge(project, snapshot, issues.read_at):
                self._digests[project.id] = digest
                self._saved[project.id] = self._snapshots.stamp(project)
            else:
                self._revised.add(project.id)
        elif at is not None:
            self._merge(project, linked, issues, at, None)
            self._snapshots.merge_partial(project, snapshot)
            self._digests[project.id] = digest
        return at is not None

    def _merge(
        self,
        project: Project,
        snapshot: Snapshot,
        issues: IssueList,
        at: Mapping[str, datetime],
        otherwise: datetime | None,
    ) -> None:
        """Merge the parts of a saved project as of `at`, the others as of `otherwise`; None: not at all."""
        resources = self._resources
        if (ours := resources.read_at(project)) is None or ours < at["issues"]:
            resources.issue_lists[project.id] = issues
        resources.issues[project.id].merge((issues.items, issues.unreadable), at["issues"])
        # Feeds may be filtered by what another version did not read.
        if resources.issue_lists[project.id].fields != ISSUE_FIELDS:
            resources.issues[project.id].expire()
        parts: list[tuple[str, CachedValue[Any], object]] = [
            (each.name, resources.of_project[each.name][project.id], getattr(snapshot, each.name))
            for each in (*NAME_LISTS, TYPES)
        ]
        for kind, each in PERIOD_LISTS.items():
            periods = {id_: period for id_, period in snapshot.periods.items() if period.kind == kind}
            bare = {id_: replace(period, issues=None) for id_, period in periods.items()}
            parts.append((each.name, resources.of_project[each.name][project.id], bare))
            parts += [
                (f"{period.kind} {period.id}", resources.issues_of(period), period.issues)
                for period in periods.values()
                if period.issues is not None
            ]
        for name, part, value in parts:
            # Where the time is missing the other lists were read as well, and these by no feed.
            read_at = at.get(name, None if name in OPTIONAL else otherwise)
            if read_at is not None:
                part.merge(value, read_at)

    def _lock(self, part: str, wait: float = LOCK_WAIT_SECONDS) -> AbstractAsyncContextManager[bool]:
        """A lock that replicas share. Without it in time each reads by itself: late, and not wrong."""
        return self._store.lock(self._key(part), LOCK_SECONDS, wait=wait)

    def _key(self, *parts: str) -> str:
        return "/".join((self._name, *parts))


def _found_part(pql: str) -> str:
    return f"found-{sha256(pql.encode()).hexdigest()}"
