"""What people's own links open: which feed, how it is narrowed, and whether they may (still) see it."""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

from cachetools import TTLCache
from msgspec.structs import replace

from icsfeed.errors import BadParameter, FeedError, IcsfeedError, NoCopy, UnknownFeed
from icsfeed.feeds.automatic_names import may_be_auto
from icsfeed.feeds.links import Grant, Kind
from icsfeed.feeds.query import Query, narrowed, parse_query
from icsfeed.feeds.rendered import Rendered
from icsfeed.own_links.model import OpenedLink, OwnLink
from icsfeed.own_links.registry import OwnLinks
from icsfeed.single_flight import SingleFlight

if TYPE_CHECKING:
    from icsfeed.feeds.people.memberships import Memberships, PersonsFeeds
    from icsfeed.feeds.service import FeedService

MAX_PEOPLE = 10_000
RETRY_SECONDS = 30
"""Retry-After while it is not known which links people have made, since the store fails."""

Key: TypeAlias = tuple[str, ...]
"""A person, and the workspaces that are known: the feeds of others are not looked up."""

log = logging.getLogger("icsfeed.links")


class OwnAccess:
    """The access by own links, for the feeds of one configuration.

    Whether a person may see a feed is looked up once in the TTL of members, and when a workspace becomes
    known: a link of somebody who has left a project shows a notice then. Where Plane cannot be read, the last
    answer counts.
    """

    def __init__(
        self,
        service: "FeedService",
        own: OwnLinks,
        memberships: "Memberships",
        timer: Callable[[], float],
    ) -> None:
        config = service.config
        self.own, self._service, self._links = own, service, service.links
        own.tombstone = config.own_links.tombstone.delta
        self._memberships = memberships
        self._current: TTLCache[Key, PersonsFeeds] = TTLCache(MAX_PEOPLE, float(config.cache.members), timer)
        self._looking: SingleFlight[PersonsFeeds] = SingleFlight()

    async def access(self, name: str, token: str, kind: Kind) -> tuple[str, Grant | None]:
        """Return what FeedService.access returns for a token that no configured or automatic link has."""
        opened = await self.own.find(token, "embed" if kind == "embed" else "feed")
        if opened is not None:
            return await self.open(opened)
        if may_be_auto(name, self._service.config.auto):
            self._service.raise_if_unread(name)
        if not self.own.is_read:
            raise NoCopy(name, RETRY_SECONDS, "the store does not answer")
        return name, None

    async def feeds_of(self, person: str) -> "PersonsFeeds":
        """Return the feeds that a person may see now. Waits for Plane at most the deadline."""
        feeds = await self._service.served_feeds()
        return await self._memberships.feeds_of(person, feeds, self._service.workspace_of)

    async def seen_by(self, person: str) -> "PersonsFeeds":
        """As `feeds_of`, looked up once in the TTL of members."""
        workspaces = self._service.workspaces
        key = (person, *(name for name, workspace in workspaces.items() if workspace.is_known))
        return self._current.get(key) or await self._looking.result(key, lambda: self._look(key))

    async def open(self, opened: OpenedLink) -> tuple[str, Grant]:
        """Return the feed that a link opens, and the access to it.

        Raises UnknownFeed where the feed is gone or inactive, whose configured links answer 404 as well, and
        NoCopy while that is not known.
        """
        link = opened.link
        name = self._links.name_by_identity(link.feed)
        if name is None:
            if "/" in link.feed:  # an automatic feed
                self._service.raise_if_unread(link.feed)
            raise UnknownFeed(link.feed)
        may_see = opened.ended_at is None and await self._may_see(link, name)
        # As it is now: the look may have noted that it shows something else from now on.
        link = self.own.by_id.get(link.id, link)
        if may_see:
            return name, Grant(link.label, False, link.id, self.query_of(link))
        return name, Grant(link.label, True, link.id, Query(since=opened.ended_at or link.suspended_at))

    async def check(self, name: str, grant: Grant) -> None:
        """Raise FeedError where a link's own query cannot be used (any more), as after a new configuration.

        The address is not to blame: after 503 apps keep what they have, and 400 makes some give up
        (docs/clients.md).
        """
        try:
            narrowed(await self._service.feed(name), grant.query)
        except BadParameter as error:
            raise FeedError(name, f"the filter of link {grant.link} cannot be used: {error}") from None

    async def rendered(self, name: str, grant: Grant, query: Query) -> Rendered:
        """As FeedService.rendered, for a link and what its own query and the address select together."""
        await self.check(name, grant)
        return await self._service.rendered(name, query)

    def query_of(self, link: OwnLink) -> Query:
        """Return how a link narrows and names its feed. Raises FeedError where that cannot be used."""
        try:
            query = parse_narrowing(link.narrowing)
        except BadParameter as error:
            raise FeedError(link.feed, f"the filter of link {link.id} cannot be used: {error}") from None
        return replace(query, title=link.title or None, since=link.changed_at)

    async def _may_see(self, link: OwnLink, name: str) -> bool:
        verdict = (await self.seen_by(link.person)).may_see(name)
        return link.suspended_at is None if verdict is None else verdict

    async def _look(self, key: Key) -> "PersonsFeeds":
        """Look up what a person may see, and note in the store which of their links this ends or restores."""
        person = key[0]
        mine = self._current[key] = await self.feeds_of(person)
        verdicts: dict[str, bool] = {}
        for link in self.own.of(person):
            name = self._links.name_by_identity(link.feed)
            verdict = mine.may_see(name) if name is not None else None
            if verdict is not None and verdict == (link.suspended_at is not None):
                verdicts[link.id] = verdict
        if verdicts:
            try:
                await self.own.suspend(verdicts)
            except IcsfeedError as error:
                log.warning("not noted who may see their feeds: %s", error)
        return mine


@lru_cache(maxsize=2_000)
def parse_narrowing(narrowing: str) -> Query:
    """Return the query of a stored narrowing. Raises BadParameter."""
    return parse_query(parse_qsl(narrowing, keep_blank_values=True))
