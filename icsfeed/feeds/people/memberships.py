"""Which feeds a person may see by their memberships in Plane, as far as these were read."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from icsfeed.cache.ttl import Ttl, TtlCache
from icsfeed.config.schema import Cache, Feed
from icsfeed.errors import PlaneError
from icsfeed.feeds.people.personal import (
    PersonalFeed,
    is_of_projects,
    of_projects,
    own_feeds,
    person_with,
    project_feeds,
)
from icsfeed.model import Needs, Project, View

if TYPE_CHECKING:
    from icsfeed.cache.workspace import Workspace

Key: TypeAlias = tuple[str, str]
WorkspaceOf: TypeAlias = Callable[[Feed], str]

log = logging.getLogger("icsfeed.feeds")


class PersonsFeeds(NamedTuple):
    """The feeds that a person may see, and the `others` (names), which they may not see.

    Of feeds that are in neither it is not known: as of those that were not known themselves.
    """

    feeds: tuple[PersonalFeed, ...] = ()
    others: frozenset[str] = frozenset()

    def may_see(self, name: str) -> bool | None:
        """Return whether the person may see a feed; None: that is not known."""
        if any(feed.name == name for feed in self.feeds):
            return True
        return False if name in self.others else None


class Memberships:
    """The members of projects as they were last read, by workspace and project.

    Plane is asked only for people who sign in or have links of their own: with many projects, this is a
    request for each.
    """

    def __init__(
        self,
        workspaces: "Mapping[str, Workspace]",
        cache: Cache,
        timer: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> None:
        self._workspaces = workspaces
        self._deadline = float(cache.deadline)
        self._members: TtlCache[Key, frozenset[str]] = TtlCache(Ttl(float(cache.members), timer, clock))

    async def of(self, workspace: str, projects: Iterable[Project]) -> Mapping[str, frozenset[str] | None]:
        """Return the members' ids by the projects' ids; None: they were never read.

        Wait at most the deadline. Where Plane cannot be read, those count that were read last.
        """
        projects = tuple(projects)
        source = self._workspaces[workspace]

        async def read(project: Project) -> None:
            async def members() -> frozenset[str]:
                return frozenset(person.id for person in await source.plane.project_members(project))

            if source.retry_after > 1:
                return
            try:
                async with source.turns.turn() as is_ours:
                    if is_ours:
                        await self._members[workspace, project.id].get_or_refresh(members)
            except PlaneError as error:
                log.warning("workspace %s: %s", workspace, error)

        reads = [asyncio.ensure_future(read(project)) for project in projects]
        if reads:
            # Those that take longer go on in the background, for the next time.
            await asyncio.wait(reads, timeout=self._deadline)
        return {project.id: self._members[workspace, project.id].value for project in projects}

    async def feeds_of(
        self, email: str, feeds: Mapping[str, Feed], workspace_of: WorkspaceOf
    ) -> PersonsFeeds:
        """Return those of `feeds` that the person with this address may see: of their own issues first."""
        own: list[PersonalFeed] = []
        shared: list[PersonalFeed] = []
        unknown: set[str] = set()
        for workspace in self._workspaces:
            here = {name: feed for name, feed in feeds.items() if workspace_of(feed) == workspace}
            view = await self._view(workspace) if here else None
            if view is None:
                unknown.update(here)
                continue
            people = view.people.values()
            person = person_with(email, people)
            if person is None:
                # Nobody: the person has left. Two with the same address: it is not known who of them it is.
                address = email.strip().casefold()
                namesakes = [each for each in people if each.email.strip().casefold() == address]
                unknown.update(here if len(namesakes) > 1 else ())
                continue
            own += own_feeds(person, here, people)
            ids_of = of_projects(here, view.projects)
            wanted = frozenset().union(*ids_of.values())
            members = await self.of(workspace, [each for each in view.projects if each.id in wanted])
            member_of = [id_ for id_, ids in members.items() if ids and person.id in ids]
            shared += project_feeds(person, here, view.projects, member_of)
            unread = {id_ for id_, ids in members.items() if ids is None}
            maybe = {*member_of, *unread}
            unknown.update(name for name, ids in ids_of.items() if ids & unread and ids <= maybe)
            # A feed of a project that does not exist (any more) says so itself.
            unknown.update(name for name, feed in here.items() if is_of_projects(feed) and name not in ids_of)
        seen = (*own, *shared)
        return PersonsFeeds(seen, frozenset(feeds) - unknown - {feed.name for feed in seen})

    async def _view(self, name: str) -> View | None:
        """Return the projects and people of a workspace; None while one of them was never read."""
        workspace = self._workspaces[name]
        view = await workspace.view(lambda _: (), Needs(), workspace.until)
        return view if workspace.resources.members.value is not None else None
