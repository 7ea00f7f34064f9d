"""Feeds as they are asked for: a name and a query to bytes, kept while nothing changes."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cachetools import LRUCache
from msgspec import Struct

from icsfeed.cache.snapshots import View
from icsfeed.cache.workspace import VIEW_SECONDS, Workspace
from icsfeed.config.schema import Config, Feed
from icsfeed.errors import FeedError, NoCopy, PlaneError, UnknownFeed
from icsfeed.feeds.automatic import AutomaticFeeds
from icsfeed.feeds.automatic_names import may_be_auto
from icsfeed.feeds.calendar import Calendar, Day, tombstone, workspace_of
from icsfeed.feeds.compression import Compressor
from icsfeed.feeds.links import Grant, Links
from icsfeed.feeds.notices import midnight
from icsfeed.feeds.query import Query, narrowed
from icsfeed.feeds.rendered import Rendered, render_dated
from icsfeed.feeds.renderer import Renderer
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.tokens import Kind, is_token
from icsfeed.model import Needs
from icsfeed.single_flight import SingleFlight
from icsfeed.store.store import Store

KEPT = 2_000
"""Rendered feeds kept at most; the longest unread goes first."""
PARTS = 64 * 1024 * 1024
"""Bytes of narrowed feeds kept at most: whoever has a link can ask for as many as there are dates."""
ENTRY = 5_000
"""Bytes that one takes beside its own: most of it is the query it is kept under."""

AT_HAND = timedelta(seconds=VIEW_SECONDS)
"""For how long a feed is handed on without looking whether anything has changed."""
log = logging.getLogger("icsfeed.feeds")

Key = tuple[str, Query]
_WHOLE = Query()


class CachedFeed(Struct, frozen=True):
    """A feed's bytes, and the stamp and day of what they were made of: they hold while those do.

    `items` are in it; `undated` and `start_only` issues of its scope are not (feeds/select.py).
    """

    stamp: tuple[object, ...]
    day: Day
    rendered: Rendered
    items: int
    undated: int
    start_only: int

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return ENTRY + self.rendered.size


class FeedInput(Struct, frozen=True):
    """A feed as a query narrows it, what is known of its projects, and the day."""

    name: str
    query: Query
    feed: Feed
    view: View
    day: Day


class CurrentFeed(NamedTuple):
    """A feed's bytes that were current `at` that time, of that edition of its workspace."""

    rendered: Rendered
    at: datetime
    workspace: Workspace
    edition: int


class FeedService:
    """The feeds of one configuration over its workspaces. `clock` gives the time in UTC.

    `parts`: bytes of narrowed feeds that are kept at most. `history`: where it is kept how feeds were last
    rendered; in `store` by default.
    """

    def __init__(
        self,
        config: Config,
        workspaces: Mapping[str, Workspace],
        clock: Callable[[], datetime],
        store: Store,
        parts: int = PARTS,
        history: Store | None = None,
    ) -> None:
        self.config = config
        self.links = Links(config)
        self.workspaces = workspaces
        self._clock = clock
        self.store = store
        self._zone = ZoneInfo(config.timezone)
        self._made: LRUCache[str, CachedFeed] = LRUCache(KEPT)
        self._parts: LRUCache[Key, CachedFeed] = LRUCache(parts, getsizeof=lambda made: made.size)
        self.compressor = Compressor() if config.gzip else None
        self._renderer = Renderer(config, clock, history or store)
        self._current_at: dict[str, CurrentFeed] = {}
        self._making: SingleFlight[Rendered] = SingleFlight()
        self._automatic = AutomaticFeeds(config, workspaces, self.links, store)

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
        try:
            return await self._current(name, feed, query, until)
        except Exception as error:
            last = self._last(name, query)
            if last is None:
                raise
            fault = None if isinstance(error, FeedError) else error
            log.warning("%s; serving the last good copy", error, exc_info=fault)
            return last.rendered

    def at_hand(self, name: str) -> Rendered | None:
        """The whole feed's bytes if they were found to be current within a second; views are kept as long."""
        found = self._current_at.get(name)
        if found is None or found.workspace.edition != found.edition:
            return None
        return found.rendered if timedelta() <= self._clock() - found.at < AT_HAND else None

    def made(self, name: str) -> CachedFeed | None:
        """The feed as it was last rendered; None: it was not since the start."""
        return self._made.get(name)

    def _last(self, name: str, query: Query) -> CachedFeed | None:
        return self._made.get(name) if query == _WHOLE else self._parts.get((name, query))

    def _remember(self, name: str, query: Query, made: CachedFeed) -> None:
        last = self._last(name, query)
        if self.compressor and last is not None and last.rendered.etag != made.rendered.etag:
            self.compressor.drop(last.rendered)
        if query == _WHOLE:
            self._made[name] = made
        elif made.size <= self._parts.maxsize:
            self._parts[name, query] = made

    def workspace_of(self, feed: Feed) -> str:
        """The name of the feed's workspace."""
        return workspace_of(self.config, feed)

    def today(self) -> date:
        """The day in the configured zone."""
        return self._clock().astimezone(self._zone).date()

    async def view(self, name: str) -> View:
        """What is known of the feed's projects. Raises as `rendered`."""
        until = self._until()
        return await self._view(name, await self.feed(name, until), _WHOLE, until)

    async def calendar(self, name: str) -> Calendar:
        """The feed before it is bytes, with the counts of what is not in it. Raises as `rendered`."""
        return self.calendar_of(await self.look(name))

    async def look(self, name: str, query: Query = _WHOLE, patience: float = 0.0) -> FeedInput:
        """What the narrowed feed would be made of now. Raises as `rendered`.

        `patience`: seconds to wait for Plane beyond the deadline.
        """
        until = self._until()
        until = None if until is None else until + patience
        feed = narrowed(await self.feed(name, until), query)
        view = await self._view(name, feed, query, until)
        return FeedInput(name, query, feed, view, self._day(feed, view))

    def calendar_of(self, look: FeedInput) -> Calendar:
        """The calendar of what was looked at; work for a thread when there are many issues."""
        style = self._renderer.style(look.name, look.feed)
        return self._renderer.calendar(look.name, look.feed, look.query, style, look.view, look.day)

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
        changed = midnight(day.today, day.zone)
        return render_dated(calendar.header, calendar.parts({}), changed)

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
        names = self.workspaces.keys() if feed is None else (workspace_of(self.config, feed),)
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

    async def _current(self, name: str, feed: Feed, query: Query, until: float | None) -> Rendered:
        workspace = self.workspaces[workspace_of(self.config, feed)]
        edition = workspace.edition
        view = await self._view(name, feed, query, until)
        day, at = self._day(feed, view), self._clock()
        rendered = await self._of(name, feed, query, view, day, until)
        made = self._last(name, query)
        # What was joined, or took long, may be of an older view: that is not handed on any longer.
        if query == _WHOLE and made is not None and (made.stamp, made.day) == (view.stamp, day):
            self._current_at[name] = CurrentFeed(rendered, at, workspace, edition)
        return rendered

    async def _of(
        self, name: str, feed: Feed, query: Query, view: View, day: Day, until: float | None
    ) -> Rendered:
        made = self._last(name, query)
        if made is not None and made.stamp == view.stamp and made.day == day:
            return made.rendered
        return await self._making.result(
            (name, query), lambda: self._make(name, feed, query, view, day, until)
        )

    async def _view(self, name: str, feed: Feed, query: Query, until: float | None) -> View:
        workspace = self.workspaces[workspace_of(self.config, feed)]
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

    async def _make(
        self, name: str, feed: Feed, query: Query, view: View, day: Day, until: float | None
    ) -> Rendered:
        if query == _WHOLE:
            rendered, calendar = await self._renderer.whole(name, feed, view, day)
        else:
            base = await self.rendered(name, _WHOLE, until)
            last = self._last(name, query)
            before = last.rendered if last else None
            rendered, calendar = await self._renderer.narrowed(name, feed, query, view, day, base, before)
        left_out = calendar.selection
        made = CachedFeed(view.stamp, day, rendered, calendar.count, left_out.undated, left_out.start_only)
        self._remember(name, query, made)
        return rendered


def _none(_projects: object) -> tuple[()]:
    return ()
