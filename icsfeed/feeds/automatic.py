"""The automatic feeds of a service: who has which name, kept in the store, and what their links open."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Config, Feed
from icsfeed.errors import FeedError
from icsfeed.feeds.automatic_names import (
    AssignedNames,
    AutomaticFeed,
    Roster,
    SharedName,
    automatic_feeds,
    by_name,
    shared_names,
    slugs_of,
    with_names,
)
from icsfeed.feeds.calendar import workspace_of
from icsfeed.feeds.links import Links
from icsfeed.feeds.select import person_of, projects_of
from icsfeed.store.store import Store

NAMES = "auto/names"
LOCK_SECONDS = 10.0
"""How long a replica that died while it gave names keeps the others from that."""

log = logging.getLogger("icsfeed.feeds")


class AutomaticFeeds:
    """The automatic feeds of the workspaces, as far as those are known. Plane is not asked."""

    def __init__(
        self, config: Config, workspaces: Mapping[str, Workspace], links: Links, store: Store
    ) -> None:
        self._config = config
        self._workspaces = workspaces
        self._links = links
        self._store = store
        self._names: AssignedNames | None = None
        self._stamp: tuple[object, ...] | None = None
        self._feeds: Mapping[str, Feed] = {}
        self._warned: set[SharedName] = set()
        self._renewing = asyncio.Lock()

    async def current(self) -> Mapping[str, Feed]:
        """By name, without those whose name the configuration has: that feed wins."""
        if not (self._config.auto.projects or self._config.auto.assignees):
            return {}
        if self._known() != self._stamp:
            async with self._renewing:
                stamp = self._known()
                if stamp != self._stamp:
                    await self._renew()
                    self._stamp = stamp
        return self._feeds

    def _known(self) -> tuple[object, ...]:
        """Another one whenever projects or people have become other ones."""
        resources = [workspace.resources for workspace in self._workspaces.values()]
        return tuple((of_each.projects.version, of_each.members.version) for of_each in resources)

    def _rosters(self) -> Mapping[str, Roster]:
        slugs = slugs_of(self._config.workspaces)
        return {
            name: Roster(
                slugs[name],
                workspace.resources.all_projects,
                (workspace.resources.members.value or {}).values(),
            )
            for name, workspace in self._workspaces.items()
        }

    async def _renew(self) -> None:
        rosters = self._rosters()
        found = automatic_feeds(self._config.auto, rosters)
        names = await self._named(found)
        feeds = by_name(names, found)
        self._feeds = {name: one.feed for name, one in feeds.items() if name not in self._config.feeds}
        served = {name: one for name, one in feeds.items() if self._is_served(name, one, rosters)}
        self._links.know(served, names)
        for shared in shared_names(names, found):
            if shared not in self._warned:
                self._warned.add(shared)
                _warn(shared, {one.id: name for name, one in feeds.items()})

    async def _named(self, found: Sequence[AutomaticFeed]) -> AssignedNames:
        """The names that were given, and new ones for those without: replicas give them in turn."""
        names = self._names
        if names is None or with_names(names, found) != names:
            async with self._store.lock(NAMES, LOCK_SECONDS, wait=LOCK_SECONDS):
                kept = await self._store.get_record(NAMES, AssignedNames) or names or AssignedNames()
                names = with_names(kept, found)
                if names != kept:
                    await self._store.put_record(NAMES, names)
        self._names = names
        return names

    def _is_served(self, name: str, automatic: AutomaticFeed, rosters: Mapping[str, Roster]) -> bool:
        """Whether its links open a feed of its name: its own, or one of the configuration over the same.

        `revision` turns the links over that the configuration's feed had, and these with them.
        """
        feed, own = self._config.feeds.get(name), automatic.feed
        if feed is None:
            return True
        workspace = workspace_of(self._config, feed)
        if workspace != own.workspace or feed.revision != 1:
            return False
        try:
            if own.project:
                over = projects_of(name, feed, rosters[workspace].projects)
                return bool(feed.project) and over[0].id == own.project
            people = rosters[workspace].people
            return feed.assignee is not None and person_of(name, feed.assignee, people).id == own.assignee
        except FeedError:
            return False


async def copy_names(source: Store, target: Store) -> None:
    """Let `target` know, too, whose the names of automatic feeds are."""
    names = await source.get_record(NAMES, AssignedNames)
    if names is not None:
        await target.put_record(NAMES, names)


def _warn(shared: SharedName, names: Mapping[str, str]) -> None:
    shown = ", ".join(f"{id_} ({names.get(id_, 'gone')})" for id_ in shared.ids)
    log.warning(
        "several projects or people have the automatic name %r: %s; each link keeps the one it was given for",
        shared.name,
        shown,
    )
