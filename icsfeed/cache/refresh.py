"""What a workspace reads with, and how it reads no more of the issues than it must."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from icsfeed.cache.persistence import Persistence
from icsfeed.cache.snapshots import KINDS, Snapshots
from icsfeed.config.schema import Cache
from icsfeed.errors import NoAccess
from icsfeed.model import Issue, Label, Listing, Needs, Period, PeriodKind, Person, Project, State
from icsfeed.plane.incremental import IssueList, Rows, merged, pruned, since, went_back, whole
from icsfeed.plane.rate_limit import RequestPriority

T = TypeVar("T")

log = logging.getLogger("icsfeed.workspace")

LOST = (
    "workspace %s: project %s (%s) is not listed any more: the key's owner has left it, or it was deleted. "
    "Its last copy is shown. If it was deleted, name the other ones in `projects` of the workspace"
)


class PlaneReader(Protocol):
    """What a workspace reads with: plane/client.py. Every method raises PlaneError."""

    @property
    def answers(self) -> Counter[str]: ...
    def on(self, errand: RequestPriority) -> "PlaneReader": ...
    async def projects(self) -> Listing: ...
    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]: ...
    async def project_members(self, project: Project) -> tuple[Person, ...]: ...
    async def issues(self, project: Project) -> Rows: ...
    async def recent_issues(self, project: Project, since: datetime) -> Rows | None: ...
    async def issue_ids(self, project: Project) -> frozenset[str]: ...
    async def states(self, project: Project) -> tuple[State, ...]: ...
    async def labels(self, project: Project) -> tuple[Label, ...]: ...
    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def period_issues(self, period: Period) -> frozenset[str]: ...
    async def version(self) -> str | None: ...
    async def whoami(self) -> Person | None: ...


async def current_issues(
    plane: PlaneReader, project: Project, known: IssueList | None, now: datetime, full: timedelta
) -> IssueList:
    """The issues now: from the rows that changed where those tell, else read whole (plane/incremental.py).

    Whole they are also read once in `full`. Raises PlaneError.
    """
    start = since(known) if known is not None else None
    if known is not None and start is not None and abs(now - known.whole_at) < full:
        found = await _changed_issues(plane, project, known, start, now)
        if found is not None:
            return found
    return whole(await plane.issues(project), now, known)


async def _changed_issues(
    plane: PlaneReader, project: Project, known: IssueList, start: datetime, now: datetime
) -> IssueList | None:
    """The known issues with what changed since `start`; None where only reading all of them tells."""
    recent = await plane.recent_issues(project, start)
    found = merged(known, recent, now) if recent is not None else None
    if found is not None and recent is not None:
        return None if went_back(known, recent) else found
    if recent is None:
        return None
    ids = await plane.issue_ids(project)
    # Once more, for what was edited meanwhile: rows and ids must be of one moment.
    recent = await plane.recent_issues(project, start)
    if recent is None or went_back(known, recent, ids):
        return None
    return pruned(known, recent, ids, now)


async def by_id(reading: Awaitable[Sequence[T]]) -> dict[str, T]:
    """What was read, by id."""
    return {item.id: item for item in await reading}  # type: ignore[attr-defined]


async def all_of(work: Sequence[Awaitable[None]]) -> None:
    """Do all of it at once, to the end of each; then raise what any of it raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


class Refresher:
    """Brings what is known of a workspace up to date, part by part. Every method raises PlaneError."""

    def __init__(
        self, name: str, known: Snapshots, keeping: Persistence, cache: Cache, clock: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._known = known
        self._keeping = keeping
        self._cache = cache
        self._clock = clock
        self._missing: frozenset[str] = frozenset()

    async def roster(self, plane: PlaneReader) -> None:
        """Which projects there are."""
        async with self._keeping.shared("roster"):
            await self._keeping.adopt_roster()
            await self._known.projects.look("", partial(self._read_projects, plane))
            await self._keeping.save_roster()
        await self.save_changed()

    async def save_changed(self) -> None:
        """Keep what new names made of projects, and what was read of one before it failed.

        One that is being read meanwhile is kept by who reads it: a reader must not wait for that.
        """
        for project in self._keeping.changed():
            async with self._keeping.shared(project.id, wait=0.0) as is_free:
                if is_free:
                    await self._keeping.adopt(project)
                    await self._keeping.save(project)

    async def _read_projects(self, plane: PlaneReader) -> tuple[Project, ...]:
        listing = await plane.projects()
        lost = self._lost_projects(listing)
        if not listing.joined and lost:
            # The key's owner has lost every project: a refusal, and no reason to empty calendars.
            raise NoAccess(f"workspace {self._name!r}", "the key has joined no project any more")
        return (*self._known.allowed(listing.joined), *lost)

    def _lost_projects(self, listing: Listing) -> Sequence[Project]:
        """The projects that are known, and not listed any more, to be shown as they were read last.

        Plane answers alike for a project that the key's owner has left and one that was deleted. It is gone
        when it is listed as archived, when a webhook has said so, or when the configuration leaves it out.
        """
        known, listed = self._known, {project.id for project in listing.joined}
        missing = [one for one in known.allowed(known.projects.get("") or ()) if one.id not in listed]
        known.deleted -= listed
        known.unjoined = frozenset(one.project.id for one in listing.others if not one.archived)
        gone = known.deleted | {one.project.id for one in listing.others if one.archived}
        lost = [one for one in missing if one.id not in gone and known.snapshot(one) is not None]
        for project in lost:
            if project.id not in known.lost:
                log.warning(LOST, self._name, project.key, project.id)
        known.lost = {project.id: known.lost.get(project.id, self._clock()) for project in lost}
        return lost

    async def members(self, plane: PlaneReader) -> None:
        """Who is a member, when that is not fresh."""
        if not self._known.members.is_fresh(""):
            async with self._keeping.shared("roster"):
                await self._keeping.adopt_roster()
                await self._known.members.look("", partial(self._read_members, plane))
                await self._keeping.save_roster()

    async def _read_members(self, plane: PlaneReader) -> Mapping[str, Person]:
        known = self._known
        readable = [project for project in known.projects.get("") or () if project.id not in known.lost]
        people = await plane.members(readable)
        return {**known.people_of_lost(), **{person.id: person for person in people}}

    async def project(self, project: Project, needs: Needs, plane: PlaneReader) -> None:
        """One replica reads a project; the others take in what it has kept."""
        async with self._keeping.shared(project.id):
            await self._keeping.adopt(project)
            await self._known.issues.look(project.id, partial(self._read_issues, project, plane))
            if self._keeping.is_changed(project):
                # Readers may see it from now on, and must not see an older one after a crash.
                await self._keeping.save(project)
            await self._refresh_names(project, plane)
            for kind in KINDS if self._known.reads_periods(needs) else ():
                await self._refresh_periods(project, kind, needs, plane)
            if self._known.unknown(project) - self._missing:
                self._known.expire_names(project)
                await self._refresh_names(project, plane)
                await self.members(plane)
                self._missing |= self._known.unknown(project)
            await self._keeping.save(project)

    async def essentials(self, project: Project, plane: PlaneReader) -> None:
        """What every feed needs of a project; the rest may follow when all projects have that."""
        async with self._keeping.shared(project.id):
            await self._keeping.adopt(project)
            await self._known.issues.look(project.id, partial(self._read_issues, project, plane))
            await self._refresh_names(project, plane)
            await self._keeping.save_first(project)

    async def _read_issues(self, project: Project, plane: PlaneReader) -> tuple[Mapping[str, Issue], int]:
        known, full = self._known.lists.get(project.id), self._cache.full.delta
        if known is not None and known.whole_at < self._known.whole_since:
            full = timedelta()
        found = await current_issues(plane, project, known, self._clock(), full)
        self._known.lists[project.id] = found
        return found.items, found.unreadable

    async def _refresh_names(self, project: Project, plane: PlaneReader) -> None:
        await self._known.states.look(project.id, lambda: by_id(plane.states(project)))
        await self._known.labels.look(project.id, lambda: by_id(plane.labels(project)))

    async def _refresh_periods(
        self, project: Project, kind: PeriodKind, needs: Needs, plane: PlaneReader
    ) -> None:
        await self._known.periods[kind].look(project.id, lambda: by_id(plane.periods(project, kind)))
        for period in self._known.wanted(project, needs):
            if period.kind == kind:
                await self._known.held[kind].look(period.id, partial(plane.period_issues, period))
