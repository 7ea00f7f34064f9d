"""Feeds as they are asked for: a name and a query to bytes, kept while nothing changes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from icsfeed.cache.workspace import VIEW_KEPT, Workspace
from icsfeed.config.schema import Config, Feed
from icsfeed.errors import NoCopy, PlaneError, UnknownFeed
from icsfeed.feeds.automatic import AutomaticFeeds
from icsfeed.feeds.automatic_names import Roster, may_be_auto, slugs_of
from icsfeed.feeds.calendar import Calendar, Day, FeedInput, tombstone
from icsfeed.feeds.compression import Compressor
from icsfeed.feeds.links import Grant, Kind, Links, is_token
from icsfeed.feeds.query import Query, narrowed
from icsfeed.feeds.rendered import Rendered, render_dated
from icsfeed.feeds.renderer import Renderer
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.model import Needs, View
from icsfeed.store.store import Store

MAX_FEEDS = 2_000
"""Rendered feeds that are cached."""
NARROWED_BYTES = 64 * 1024 * 1024
"""The most that cached narrowed feeds take: a link can be narrowed to any of thousands of dates."""
ENTRY_BYTES = 5_000
"""What a narrowed feed takes besides its body; most of it is the query that is its key."""

AT_HAND = timedelta(seconds=VIEW_KEPT)
"""For how long a feed is handed on without looking whether anything has changed."""

Key = tuple[str, Query]
_WHOLE = Query()


class CachedFeed(Struct, frozen=True):
    """A feed's bytes. `items` are in it; `undated` and `start_only` issues of its scope are not."""

    rendered: Rendered
    items: int
    undated: int
    start_only: int


class CurrentFeed(NamedTuple):
    """A feed's bytes that were current `at` that time, of that edition of its workspace."""

    rendered: Rendered
    at: datetime
    workspace: Workspace
    edition: int


class FeedService:
    """The feeds of one configuration over its workspaces. `clock` gives the time in UTC.

    `narrowed_bytes`: the most that cached narrowed feeds take. `history`: the store of how feeds were last
    rendered; `store` by default.
    """

    def __init__(
        self,
        config: Config,
        workspaces: Mapping[str, Workspace],
        clock: Callable[[], datetime],
        store: Store,
        narrowed_bytes: int = NARROWED_BYTES,
        history: Store | None = None,
    ) -> None:
        self.config = config
        self.links = Links(config)
        self.workspaces = workspaces
        self._clock = clock
        self.store = store
        self._zone = ZoneInfo(config.timezone)
        self._slugs = slugs_of(config.workspaces)
        self._whole: StampedCache[Key, CachedFeed] = StampedCache(MAX_FEEDS)
        self._narrowed: StampedCache[Key, CachedFeed] = StampedCache(
            narrowed_bytes, lambda cached: ENTRY_BYTES + cached.rendered.size
        )
        self.compressor = Compressor() if config.gzip else None
        self._renderer = Renderer(config, clock, history or store)
        self._current_at: dict[str, CurrentFeed] = {}
        self._automatic = AutomaticFeeds(config, self.known_rosters, self.links, store)

    async def start(self) -> None:
        """Open the links of automatic feeds, as far as was kept of whose they are. Plane is not asked."""
        await self._automatic.current()

    async def rendered(self, name: str, query: Query = _WHOLE, until: float | None = None) -> Rendered:
        """The feed's bytes, as fresh as the deadline (or `until`) allows, else as they were last.

        Raises UnknownFeed, BadParameter when the query cannot be used,
        NoCopy when nothing of it was ever read.
        """
        until = self._until() if until is None else until
        feed = narrowed(await self.feed(name, until), query)
        current = self._current(name, feed, query, until)
        return (await self._cache(query).or_last((name, query), current)).rendered

    def at_hand(self, name: str) -> Rendered | None:
        """The whole feed's bytes if they were found to be current within a second; views are kept as long."""
        found = self._current_at.get(name)
        if found is None or found.workspace.edition != found.edition:
            return None
        return found.rendered if timedelta() <= self._clock() - found.at < AT_HAND else None

    def made(self, name: str) -> CachedFeed | None:
        """The feed as it was last rendered; None: it was not since the start."""
        return self._whole.last((name, _WHOLE))

    def _cache(self, query: Query) -> StampedCache[Key, CachedFeed]:
        """Narrowed feeds have a cache of their own: there may be any number, and they must not push whole
        feeds out.
        """
        return self._whole if query == _WHOLE else self._narrowed

    def workspace_of(self, feed: Feed) -> str:
        """The name of the feed's workspace."""
        return self.config.workspace_of(feed)

    def today(self) -> date:
        """The day in the configured zone."""
        return self._clock().astimezone(self._zone).date()

    async def view(self, name: str) -> View:
        """What is known of the feed's projects. Raises as `rendered`."""
        until = self._until()
        return await self._view(name, await self.feed(name, until), _WHOLE, until)

    async def calendar(self, name: str) -> Calendar:
        """The feed before it is bytes, with the counts of what is not in it. Raises as `rendered`."""
        return self.calendar_of(await self.feed_input(name))

    async def feed_input(self, name: str, query: Query = _WHOLE, patience: float = 0.0) -> FeedInput:
        """Return what the narrowed feed would be made of now. Raises as `rendered`.

        `patience`: seconds to wait for Plane beyond the deadline.
        """
        until = self._until()
        until = None if until is None else until + patience
        return await self._input(name, narrowed(await self.feed(name, until), query), query, until)

    def calendar_of(self, source: FeedInput) -> Calendar:
        """Return the calendar of a feed; work for a thread when there are many issues."""
        return self._renderer.calendar(source)

    async def all_links(self, base: str) -> dict[str, dict[str, Any]]:
        """Every feed that is served and its links: `{"ics", "page", "embed"}`, and `links` by subscriber."""
        names = [name for name, feed in self.config.feeds.items() if self.links.is_served(feed)]
        return {name: self._links_of(name, base) for name in (*names, *await self.auto_feeds())}

    def _links_of(self, name: str, base: str) -> dict[str, Any]:
        feed = self.config.feeds.get(name)
        links: dict[str, Any] = self.links.addresses(name, base)
        if feed is not None and feed.subscribers:
            links["links"] = {who: self.links.addresses(name, base, who) for who in feed.subscribers}
        return links

    def revoked(self, name: str) -> Rendered:
        """The calendar of a revoked link."""
        feed = self.config.feeds[name]
        day = Day(self.today(), self._zone)
        calendar = tombstone(name, feed, self._renderer.style(name, feed), day)
        return render_dated(calendar.header, calendar.parts({}), day.midnight)

    async def feed(self, name: str, until: float | None = None) -> Feed:
        """The feed of this name, configured or automatic. Raises UnknownFeed, or NoCopy."""
        configured = self.config.feeds.get(name)
        if configured is not None:
            return configured
        if may_be_auto(name, self.config.auto):
            made = (await self.auto_feeds(until)).get(name)
            if made is not None:
                return made
            self._raise_if_unread(name)
        raise UnknownFeed(name)

    async def auto_feeds(self, until: float | None = None) -> Mapping[str, Feed]:
        """The automatic feeds of all workspaces that were read, but for those whose name is configured."""
        await self.rosters(until)
        return await self._automatic.current()

    async def access(self, name: str, token: str | None, kind: Kind = "feed") -> tuple[str, Grant | None]:
        """What an address opens: a feed by its own name, and to whom; see `Links`. Plane is not asked.

        Raises NoCopy while it is not known whether the token is that of an automatic feed.
        """
        await self._automatic.current()
        found = self.links.name_of(name, token, kind)
        grant = self.links.access(found, token, kind)
        if grant is None and may_be_auto(name, self.config.auto) and is_token(token or ""):
            self._raise_if_unread(name)
        return found, grant

    async def rosters(self, until: float | None = None) -> Mapping[str, View]:
        """The projects and people of each workspace that was read, by its name."""
        looks = (workspace.view(_none, Needs(), until) for workspace in self.workspaces.values())
        views = zip(self.workspaces, await asyncio.gather(*looks), strict=True)
        return {name: view for name, view in views if view is not None}

    def known_rosters(self) -> Mapping[str, Roster]:
        """Return the projects and people as far as they are known; Plane is not asked."""
        known = {name: workspace.known for name, workspace in self.workspaces.items()}
        return {
            name: Roster(
                self._slugs[name],
                of.projects.get("") or (),
                (of.members.get("") or {}).values(),
                (of.projects.version(""), of.members.version("")),
            )
            for name, of in known.items()
        }

    def expire(self) -> None:
        """Let everything be read of Plane again when it is next asked for."""
        for workspace in self.workspaces.values():
            workspace.expire()

    @property
    def is_read(self) -> bool:
        """Whether every workspace can be served, and nothing of any failed the last time."""
        return all(one.is_ready and not one.last_error for one in self.workspaces.values())

    def why_unread(self, name: str) -> PlaneError | None:
        """What kept a feed from being read: an automatic one may be in any workspace."""
        feed = self.config.feeds.get(name)
        names = self.workspaces.keys() if feed is None else (self.config.workspace_of(feed),)
        return next(filter(None, (self.workspaces[one].last_error for one in names)), None)

    def unread(self) -> PlaneError | None:
        """Why automatic feeds of some workspace are not known; None when all are, or there are none."""
        if not (self.config.auto.projects or self.config.auto.assignees):
            return None
        unknown = (workspace for workspace in self.workspaces.values() if not workspace.is_known)
        return next((workspace.last_error for workspace in unknown if workspace.last_error), None)

    def _raise_if_unread(self, name: str) -> None:
        for workspace in self.workspaces.values():
            if not workspace.is_known:
                raise NoCopy(name, workspace.retry_after, workspace.waiting)

    def _until(self) -> float | None:
        """One deadline for all that an answer waits for: the workspaces share their timer."""
        return next((workspace.until for workspace in self.workspaces.values()), None)

    async def _current(self, name: str, feed: Feed, query: Query, until: float | None) -> CachedFeed:
        workspace = self.workspaces[self.config.workspace_of(feed)]
        edition = workspace.edition
        source = await self._input(name, feed, query, until)
        at = self._clock()
        cache, key = self._cache(query), (name, query)
        cached = await cache.value(key, source.stamp, lambda: self._make(source, until))
        # A value that others were making already may be of an older view: it is not current any more.
        if query == _WHOLE and cache.holds(key, source.stamp):
            self._current_at[name] = CurrentFeed(cached.rendered, at, workspace, edition)
        return cached

    async def _input(self, name: str, feed: Feed, query: Query, until: float | None) -> FeedInput:
        view = await self._view(name, feed, query, until)
        return FeedInput(name, query, feed, view, self._day(feed, view))

    async def _view(self, name: str, feed: Feed, query: Query, until: float | None) -> View:
        workspace = self.workspaces[self.config.workspace_of(feed)]
        view = await workspace.view(
            lambda projects: projects_of(name, feed, projects), needs(feed, query), until
        )
        if view is None:
            raise NoCopy(name, workspace.retry_after, workspace.waiting)
        return view

    def _day(self, feed: Feed, view: View) -> Day:
        now = self._clock()
        limit = feed.stale_notice
        stale = limit is not False and now - view.read_at > timedelta(seconds=limit)
        return Day(now.astimezone(self._zone).date(), self._zone, view.read_at if stale else None)

    async def _make(self, source: FeedInput, until: float | None) -> CachedFeed:
        last = self._cache(source.query).last((source.name, source.query))
        if source.query == _WHOLE:
            rendered, calendar = await self._renderer.whole(source)
        else:
            whole = await self.rendered(source.name, _WHOLE, until)
            rendered, calendar = await self._renderer.narrowed(source, whole, last.rendered if last else None)
        if self.compressor and last is not None and last.rendered.etag != rendered.etag:
            self.compressor.drop(last.rendered)
        return CachedFeed(rendered, calendar.count, calendar.selection.undated, calendar.selection.start_only)


def _none(_projects: object) -> tuple[()]:
    return ()
