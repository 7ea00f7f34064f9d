"""The automatic feeds of a service: which project or person has which name, and what their links open.

The names are stored: replicas must agree on them, and links must outlive a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

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
    with_names,
)
from icsfeed.feeds.links import Links
from icsfeed.feeds.select import person_of, projects_of
from icsfeed.store.store import Store

NAMES = "auto/names"
LOCK_SECONDS = 10.0
"""How long a replica that died while it assigned names can block the others."""

log = logging.getLogger("icsfeed.feeds")


class AutomaticFeeds:
    """The automatic feeds of one configuration. Plane is not asked.

    `rosters` gives the projects and people that are known of each workspace, by its name.
    """

    def __init__(
        self, config: Config, rosters: Callable[[], Mapping[str, Roster]], links: Links, store: Store
    ) -> None:
        self._config = config
        self._rosters = rosters
        self._links = links
        self._store = store
        self._names: AssignedNames | None = None
        self._versions: Sequence[object] | None = None
        self._feeds: Mapping[str, Feed] = {}
        self._warned: set[SharedName] = set()
        self._renewing = asyncio.Lock()

    async def current(self) -> Mapping[str, Feed]:
        """Return the feeds by name, without those whose name the configuration has: that feed wins.

        Each request comes here: as long as no roster has changed, the versions are all that is looked at.
        """
        if not (self._config.auto.projects or self._config.auto.assignees):
            return {}
        if _versions(self._rosters()) != self._versions:
            async with self._renewing:
                # Read again: the previous holder of the lock may have done the work already.
                rosters = self._rosters()
                versions = _versions(rosters)
                if versions != self._versions:
                    await self._renew(rosters)
                    self._versions = versions
        return self._feeds

    async def _renew(self, rosters: Mapping[str, Roster]) -> None:
        automatic = automatic_feeds(self._config.auto, rosters)
        names = await self._assigned(automatic)
        feeds = by_name(names, automatic)
        self._feeds = {name: feed.feed for name, feed in feeds.items() if name not in self._config.feeds}
        served = {name: feed for name, feed in feeds.items() if self._is_served(name, feed, rosters)}
        self._links.set_automatic(served, names)
        name_of = {feed.id: name for name, feed in feeds.items()}
        for shared in shared_names(names, automatic):
            if shared not in self._warned:
                self._warned.add(shared)
                log.warning(
                    "several projects or people have the automatic name %r: %s;"
                    " each link stays with the one it was made for",
                    shared.name,
                    ", ".join(f"{id_} ({name_of.get(id_, 'gone')})" for id_ in shared.ids),
                )

    async def _assigned(self, feeds: Sequence[AutomaticFeed]) -> AssignedNames:
        """Return the assigned names, with new ones for feeds without."""
        names = self._names
        if names is None or with_names(names, feeds) != names:
            # Under a lock, and from what is stored: another replica may have assigned names meanwhile.
            async with self._store.lock(NAMES, LOCK_SECONDS, wait=LOCK_SECONDS):
                stored = await self._store.get_record(NAMES, AssignedNames) or names or AssignedNames()
                names = with_names(stored, feeds)
                if names != stored:
                    await self._store.put_record(NAMES, names)
        self._names = names
        return names

    def _is_served(self, name: str, automatic: AutomaticFeed, rosters: Mapping[str, Roster]) -> bool:
        """Return whether its links open a feed of its name: its own, or a configured one of the same thing.

        A configured feed with another `revision` has rotated its links, and these with them.
        """
        configured, own = self._config.feeds.get(name), automatic.feed
        if configured is None:
            return True
        workspace = self._config.workspace_of(configured)
        if workspace != own.workspace or configured.revision != 1:
            return False
        roster = rosters[workspace]
        try:
            if own.project:
                projects = projects_of(name, configured, roster.projects)
                return bool(configured.project) and projects[0].id == own.project
            person = configured.assignee
            return person is not None and person_of(name, person, roster.people).id == own.assignee
        except FeedError:
            return False


def _versions(rosters: Mapping[str, Roster]) -> Sequence[object]:
    return [roster.version for roster in rosters.values()]


async def copy_names(source: Store, target: Store) -> None:
    """Copy the assigned names of automatic feeds to another store."""
    names = await source.get_record(NAMES, AssignedNames)
    if names is not None:
        await target.put_record(NAMES, names)
