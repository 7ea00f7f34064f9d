"""Who is a member of which project: read of Plane only for people who sign in, and kept for a while."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from icsfeed.cache.ttl import Ttl, TtlCache
from icsfeed.cache.workspace import Workspace
from icsfeed.errors import PlaneError
from icsfeed.feeds.service import FeedService
from icsfeed.model import Project

Key = tuple[str, str]

log = logging.getLogger("icsfeed.pages")


class Memberships:
    """The members of projects as they were last read, by workspace and project."""

    def __init__(
        self, service: FeedService, timer: Callable[[], float], clock: Callable[[], datetime]
    ) -> None:
        self._service = service
        ttl = float(service.config.cache.members)
        self._members: TtlCache[Key, frozenset[str]] = TtlCache(Ttl(ttl, timer, clock))

    async def of(self, workspace: str, projects: Iterable[Project], person: str) -> frozenset[str]:
        """The ids of those projects that the person (by id) is, or was once, a member of.

        Waits at most the deadline. Where Plane cannot be read, what was read last counts, or nothing.
        """
        asked = tuple(projects)
        source = self._service.workspaces[workspace]
        reads = [asyncio.ensure_future(self._read(source, project)) for project in asked]
        if reads:
            await asyncio.wait(reads, timeout=float(self._service.config.cache.deadline))
        held = {project.id: self._members[workspace, project.id].value for project in asked}
        return frozenset(id_ for id_, people in held.items() if people is not None and person in people)

    async def _read(self, workspace: Workspace, project: Project) -> None:
        async def members() -> frozenset[str]:
            return frozenset(person.id for person in await workspace.plane.project_members(project))

        if workspace.retry_after > 1:
            return
        try:
            await self._members[workspace.name, project.id].get_or_refresh(members)
        except PlaneError as error:
            log.warning("workspace %s: %s", workspace.name, error)
