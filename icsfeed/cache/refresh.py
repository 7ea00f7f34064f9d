"""Reading what is not fresh of a workspace, and no more of its issues than has changed."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from icsfeed.cache.change_check import ChangeCheck
from icsfeed.cache.lists import (
    NAME_LISTS,
    OPTIONAL,
    PERIOD_LISTS,
    TYPES,
    WORKSPACE_LISTS,
    OptionalLists,
    PlaneReader,
    ProjectList,
    WorkspaceList,
    found_issues,
)
from icsfeed.cache.resources import Resources, search_part
from icsfeed.cache.revisions import with_revised_periods
from icsfeed.cache.runner import MEMBERS, Part, RefreshRunner
from icsfeed.errors import NoAccess
from icsfeed.model import Issue, Listing, Needs, Period, Person, Project, Snapshot
from icsfeed.plane.incremental import IssueList, is_outdated, merged, pruned, since, whole

log = logging.getLogger("icsfeed.workspace")

LOST = (
    "workspace %s: project %s (%s) is not listed any more: the key's owner has left it, or it was deleted. "
    "Its last copy is shown. If it was deleted, name the other ones in `projects` of the workspace"
)


class SharedCopies(Protocol):
    """What a refresh shares with other replicas: cache/persistence.py."""

    def updating_roster(self) -> AbstractAsyncContextManager[None]:
        """Load the newest projects and people before, save them after, and lock others out meanwhile."""

    def updating(self, project: Project) -> AbstractAsyncContextManager[None]:
        """The same for a project."""

    def searching(self, pql: str) -> AbstractAsyncContextManager[None]:
        """The same for what a search finds."""

    async def save_if_changed(self, project: Project) -> None:
        """Save what was read of a project so far."""

    async def save_all_changed(self) -> None:
        """Save every project that has changed."""


async def current_issues(
    plane: PlaneReader, project: Project, known: IssueList | None, now: datetime, full: timedelta
) -> IssueList:
    """Read the issues: only the rows that changed where those suffice, else all (plane/incremental.py).

    All are also read once in `full`. Raises PlaneError.
    """
    start = since(known) if known is not None else None
    if known is not None and start is not None and abs(now - known.whole_at) < full:
        current = await _changed_issues(plane, project, known, start, now)
        if current is not None:
            return current
    return whole(await plane.issues(project), now, known)


async def _changed_issues(
    plane: PlaneReader, project: Project, known: IssueList, start: datetime, now: datetime
) -> IssueList | None:
    """The known issues with what changed since `start`; None where all have to be read."""
    recent = await plane.recent_issues(project, start)
    if recent is None:
        return None
    current = merged(known, recent, now)
    if current is not None:
        return None if is_outdated(known, recent) else current
    ids = await plane.issue_ids(project)
    # Once more, for what was edited meanwhile: rows and ids must be of one moment.
    recent = await plane.recent_issues(project, start)
    if recent is None or is_outdated(known, recent, ids):
        return None
    return pruned(known, recent, ids, now)


class Refresher:
    """Reads what is not fresh of a workspace. Every method raises PlaneError.

    `full`: all issues of a project are read at least once in so long.
    """

    def __init__(
        self,
        name: str,
        resources: Resources,
        runner: RefreshRunner,
        copies: SharedCopies,
        snapshot_of: Callable[[Project], Snapshot | None],
        check: ChangeCheck,
        full: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._resources = resources
        self._runner = runner
        self._copies = copies
        self._snapshot_of = snapshot_of
        self._check = check
        self._full = full
        self._clock = clock
        self._optional = OptionalLists(name, resources.features, resources.list_errors, clock)
        self._unlisted: frozenset[str] = frozenset()

    async def refresh_all(self, plane: PlaneReader) -> None:
        """Read what is not fresh of all projects and searches."""
        await self.refresh(self._resources.all_projects, Needs(), plane)
        await self.refresh_found(plane)

    async def refresh(self, projects: Sequence[Project], needs: Needs, plane: PlaneReader) -> None:
        """Read what is not fresh of these projects, and of the workspace for feeds that ask for it."""
        parts: list[Part] = [
            (each.name, partial(self._workspace_list, each, plane))
            for each in WORKSPACE_LISTS
            if self._resources.is_wanted(each.name, needs)
            and not self._resources.of_workspace[each.name].is_fresh
        ]
        parts += [
            (project.id, partial(self._project, project, needs, plane))
            for project in projects
            if not self._resources.is_fresh(project, needs)
        ]
        if needs.pql:
            parts.append(self._search_part(needs.pql, plane))
        await self._run_rounds(projects, parts, plane)
        await self._copies.save_all_changed()

    async def refresh_essentials(self, projects: Sequence[Project], plane: PlaneReader) -> None:
        """Read what every feed needs of these projects, where it was never read."""
        await self._run_rounds(projects, (), plane)

    async def _run_rounds(
        self, projects: Sequence[Project], parts: Sequence[Part], plane: PlaneReader
    ) -> None:
        """Read the members, what every feed needs of these projects where it was never read, and `parts`.

        Each round begins when the one before has ended, so that all feeds can be shown as soon as possible.
        """
        essentials = [
            (project.id, partial(self._essentials, project, plane))
            for project in projects
            if not self._resources.has_essentials(project)
        ]
        is_failing = self._runner.is_failing(MEMBERS)
        is_needed = is_failing or not self._resources.members.is_fresh
        members = [(MEMBERS, partial(self._members, plane))] if is_needed else []
        # What failed the last time comes last: it may make the whole workspace back off.
        for batch in (essentials, parts, members) if is_failing else (members, essentials, parts):
            await self._runner.run_parts(batch)

    async def refresh_projects(self, plane: PlaneReader) -> None:
        """Read which projects there are."""

        async def refresh() -> None:
            async with self._copies.updating_roster():
                await self._resources.projects.get_or_refresh(partial(self._read_projects, plane))
                self._resources.restored.discard("projects")
            await self._copies.save_all_changed()

        await self._runner.measure(refresh())

    async def _read_projects(self, plane: PlaneReader) -> tuple[Project, ...]:
        listing = await plane.projects()
        lost = self._update_lost(listing)
        if not listing.joined and lost:
            # The key's owner has lost every project: a refusal, and no reason to empty calendars.
            raise NoAccess(f"workspace {self._name!r}", "the key has joined no project any more")
        return (*self._resources.allowed(listing.joined), *lost)

    def _update_lost(self, listing: Listing) -> Sequence[Project]:
        """Return the projects that Plane no longer lists, to be shown as they were last read.

        Plane answers alike for a project that the key's owner has left and for one that was deleted. It is
        gone when it is listed as archived, when a webhook says so, or when the configuration leaves it out.
        """
        resources, listed = self._resources, {project.id for project in listing.joined}
        resources.deleted -= listed
        resources.unjoined = frozenset(other.project.id for other in listing.others if not other.archived)
        archived = {other.project.id for other in listing.others if other.archived}
        lost = [
            project
            for project in resources.allowed(resources.all_projects)
            if project.id not in listed | archived | resources.deleted
            and self._snapshot_of(project) is not None
        ]
        for project in lost:
            if project.id not in resources.lost:
                log.warning(LOST, self._name, project.key, project.id)
        resources.lost = {project.id: resources.lost.get(project.id, self._clock()) for project in lost}
        return lost

    async def _members(self, plane: PlaneReader) -> None:
        """Read who is a member, when that is not fresh."""
        resources = self._resources

        async def read() -> Mapping[str, Person]:
            people = await plane.members([p for p in resources.all_projects if p.id not in resources.lost])
            return {**resources.people_of_lost(), **{person.id: person for person in people}}

        # Looked at before locking: mostly they are fresh, and a lock is a round trip to Redis.
        if not resources.members.is_fresh:
            async with self._copies.updating_roster():
                await resources.members.get_or_refresh(read)
                resources.restored.discard(MEMBERS)

    async def refresh_found(self, plane: PlaneReader) -> None:
        """Read what the searches find that feeds have asked for, where that is not fresh."""
        found = tuple(self._resources.found.items())
        parts = [self._search_part(pql, plane) for pql, value in found if not value.is_fresh]
        await self._runner.run_parts(parts)

    def _search_part(self, pql: str, plane: PlaneReader) -> Part:
        async def read() -> frozenset[str]:
            before = self._resources.found[pql].value
            return await found_issues(plane, self._resources.features, pql, self._clock(), before)

        async def search() -> None:
            if not self._resources.found[pql].is_fresh:
                async with self._copies.searching(pql):
                    await self._resources.found[pql].get_or_refresh(read)
                    self._resources.restored.discard(search_part(pql))

        return search_part(pql), search

    async def _project(self, project: Project, needs: Needs, plane: PlaneReader) -> None:
        """Read a project: one replica does, the others load what it has saved."""
        async with self._copies.updating(project):
            await self._refresh_issues(project, plane)
            # Readers may see the issues from now on, and must not see older ones after a crash.
            await self._copies.save_if_changed(project)
            await self._refresh_names(project, plane, needs)
            await self._refresh_periods(project, needs, plane)
            # An issue may refer to a state, label or person that is newer than the lists: those are read
            # again at once. What they do not have then (a triage state) is not looked for any more.
            if self._resources.unknown_ids(project) - self._unlisted:
                self._resources.expire_names(project)
                await self._refresh_names(project, plane, needs)
                await self._members(plane)
                self._unlisted |= self._resources.unknown_ids(project)
            self._resources.restored.discard(project.id)

    async def _refresh_periods(self, project: Project, needs: Needs, plane: PlaneReader) -> None:
        """Read the cycles, modules and milestones that are needed, and then their issues.

        Feeds that have cycles and modules as events need both lists, and can do without the issues, which
        take a request for each. Where one list fails, the issues of the other are still read.
        """
        names = self._resources.lists_of_project(needs)
        needed = [periods for periods in PERIOD_LISTS.values() if periods.name in names]
        lists = (self._refresh_list(project, periods, plane) for periods in needed)
        results = await asyncio.gather(*lists, return_exceptions=True)
        await self._copies.save_if_changed(project)
        for period in self._resources.periods_to_read(project, needs):
            read, issues = partial(plane.period_issues, period), self._resources.issues_of(period)
            if period.kind == "milestone":
                name, none = "milestone work items", frozenset[str]()
                await self._optional.refresh((name, period.id), issues, read, none, failed=none)
            else:
                await issues.get_or_refresh(read)
        for result in results:
            if result is not None:
                raise result

    async def _essentials(self, project: Project, plane: PlaneReader) -> None:
        """Read what every feed needs of a project; the rest may follow when all projects have that."""
        async with self._copies.updating(project):
            await self._refresh_issues(project, plane)
            for names in NAME_LISTS:
                await self._refresh_list(project, names, plane)

    async def _workspace_list(self, wanted: WorkspaceList, plane: PlaneReader) -> None:
        """Read the releases or initiatives."""
        value = self._resources.of_workspace[wanted.name]

        async def read() -> Mapping[str, Period]:
            periods = {period.id: period for period in await wanted.read(plane)}
            return with_revised_periods(value.value or {}, periods, self._clock())

        async with self._copies.updating_roster():
            await self._optional.refresh((wanted.name,), value, read, {})
            self._resources.restored.discard(wanted.name)

    async def _refresh_issues(self, project: Project, plane: PlaneReader) -> None:
        async def read() -> tuple[Mapping[str, Issue], int]:
            known, full = self._resources.issue_lists.get(project.id), self._full
            if known is not None and known.whole_at < self._resources.whole_since:
                full = timedelta()
            checks = self._check.reading()
            current = await current_issues(plane, project, known, self._clock(), full)
            self._resources.issue_lists[project.id] = current
            self._check.was_read(project.id, known, current, checks)
            return current.items, current.unreadable

        await self._check.confirm(project, plane)
        await self._resources.issues[project.id].get_or_refresh(read)

    async def _refresh_names(self, project: Project, plane: PlaneReader, needs: Needs) -> None:
        for names in (*NAME_LISTS, *([TYPES] if self._resources.is_wanted(TYPES.name, needs) else ())):
            await self._refresh_list(project, names, plane)

    async def _refresh_list(self, project: Project, wanted: ProjectList, plane: PlaneReader) -> None:
        async def by_id() -> Mapping[str, Any]:
            return {item.id: item for item in await wanted.read(plane, project)}

        value = self._resources.of_project[wanted.name][project.id]
        if wanted.name in OPTIONAL:
            # Without its types a feed that is filtered by them would be empty.
            is_essential = wanted is TYPES
            await self._optional.refresh(
                (wanted.name, project.key), value, by_id, {}, is_essential=is_essential
            )
        else:
            await value.get_or_refresh(by_id)
