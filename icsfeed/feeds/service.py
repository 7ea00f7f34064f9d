"""Serve feeds: from a name and a query to bytes, cached while nothing changes."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from icsfeed.cache.lists import why_unusable
from icsfeed.cache.workspace import VIEW_SECONDS, Workspace
from icsfeed.config.schema import Config, Feed
from icsfeed.errors import NoCopy, PlaneError, UnknownFeed, UnusableSearch
from icsfeed.feeds.automatic import AutomaticFeeds
from icsfeed.feeds.automatic_names import Roster, may_be_auto, slugs_of
from icsfeed.feeds.calendar import Calendar, Day, FeedInput, tombstone
from icsfeed.feeds.current_feeds import CurrentFeed, CurrentFeeds
from icsfeed.feeds.links import Grant, Kind, Links
from icsfeed.feeds.people.memberships import Memberships
from icsfeed.feeds.people.own_access import OwnAccess
from icsfeed.feeds.query import Query, narrowed
from icsfeed.feeds.rendered import Rendered, render_dated
from icsfeed.feeds.renderer import Compressor, Renderer
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.model import Needs, View
from icsfeed.own_links.registry import OwnLinks
from icsfeed.store.store import Store
from icsfeed.tokens import is_token

log = logging.getLogger("icsfeed.feeds")

MAX_FEEDS = 2_000
"""Rendered feeds that are cached."""
NARROWED_BYTES = 64 * 1024 * 1024
"""The most that cached narrowed feeds take: a link can be narrowed to any of thousands of dates."""
ENTRY_BYTES = 5_000
"""What a narrowed feed takes besides its body; most of it is the query that is its key."""

Key = tuple[str, Query]
_WHOLE = Query()


class CachedFeed(Struct, frozen=True):
    """A feed's bytes. `items` are in it; `undated` and `start_only` issues of its scope are not."""

    rendered: Rendered
    items: int
    undated: int
    start_only: int


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
        own: OwnLinks | None = None,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self.config = config
        self.links = Links(config)
        self.workspaces = workspaces
        self._clock = clock
        self.store = store
        self.zone = ZoneInfo(config.timezone)
        self._slugs = slugs_of(config.workspaces)
        self._whole: StampedCache[Key, CachedFeed] = StampedCache(MAX_FEEDS)
        self._narrowed: StampedCache[Key, CachedFeed] = StampedCache(
            narrowed_bytes, lambda cached: ENTRY_BYTES + cached.rendered.size
        )
        self.compressor = Compressor() if config.gzip else None
        self._renderer = Renderer(config, clock, history or store)
        self._current_feeds = CurrentFeeds(clock, self.rendered, timedelta(seconds=VIEW_SECONDS))
        self._with_problem: set[str] = set()
        self._automatic = AutomaticFeeds(config, self.known_rosters, self.links, store)
        self.own = own or OwnLinks(store, clock, timer)
        memberships = Memberships(workspaces, config.cache, timer, clock)
        self.own_access = OwnAccess(self, self.own, memberships, timer)

    async def start(self) -> None:
        """Open the links of automatic feeds, as far as stored projects and people say, and people's own ones.

        Plane is not asked.
        """
        await self._automatic.current()
        await self.own.refresh()

    async def rendered(self, name: str, query: Query = _WHOLE, until: float | None = None) -> Rendered:
        """Return the feed's bytes, as fresh as the deadline (or `until`) allows, else the last good ones.

        Raises UnknownFeed, BadParameter when the query cannot be used, NoCopy when it was never read.
        """
        until = self._until() if until is None else until
        feed = narrowed(await self.feed(name, until), query)
        if query == _WHOLE:
            self._current_feeds.asked(name)
        current = self._current(name, feed, query, until)
        return (await self._cache(query).or_last((name, query), current)).rendered

    def at_hand(self, name: str) -> Rendered | None:
        """Return the whole feed's bytes if they need not be looked up (see CurrentFeeds), else None."""
        return self._current_feeds.at_hand(name)

    def made(self, name: str) -> CachedFeed | None:
        """Return the feed as it was last rendered; None where it was not since the start."""
        return self._whole.last((name, _WHOLE))

    def _cache(self, query: Query) -> StampedCache[Key, CachedFeed]:
        # There may be any number of narrowed feeds: they must not push whole ones out.
        return self._whole if query == _WHOLE else self._narrowed

    def workspace_of(self, feed: Feed) -> str:
        """Return the name of the feed's workspace."""
        return self.config.workspace_of(feed)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self._clock()

    def today(self) -> date:
        """Return the day in the configured zone."""
        return self._clock().astimezone(self.zone).date()

    async def view(self, name: str) -> View:
        """Return what is known of the feed's projects. Raises as `rendered`."""
        until = self._until()
        return await self._view(name, await self.feed(name, until), _WHOLE, until)

    async def calendar(self, name: str) -> Calendar:
        """Return the feed before it is bytes, with counts of what is not in it. Raises as `rendered`."""
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
        """Return each served feed's links, `{"ics", "page", "embed"}`, and `links` by subscriber."""
        feeds = await self.served_feeds()
        addresses = self.links.addresses
        links: dict[str, dict[str, Any]] = {name: {**addresses(name, base)} for name in feeds}
        for name, feed in feeds.items():
            if feed.subscribers:
                links[name]["links"] = {who: addresses(name, base, who) for who in feed.subscribers}
        return links

    async def served_feeds(self) -> Mapping[str, Feed]:
        """Return the feeds that are active, configured and automatic, by name."""
        feeds = {name: feed for name, feed in self.config.feeds.items() if self.links.is_served(feed)}
        return {**feeds, **await self.auto_feeds()}

    def revoked(self, name: str, since: datetime | None = None) -> Rendered:
        """Return the calendar of a link that was revoked at that time, if it is known."""
        feed = self.config.feeds.get(name, Feed())
        day = Day(self.today(), self.zone)
        calendar = tombstone(name, feed, self._renderer.style(name, feed), day)
        at = max(day.midnight, (since or day.midnight).replace(microsecond=0))
        return render_dated(calendar.header, calendar.parts({}), at)

    async def feed(self, name: str, until: float | None = None) -> Feed:
        """Return the feed of this name, configured or automatic. Raises UnknownFeed, or NoCopy."""
        configured = self.config.feeds.get(name)
        if configured is not None:
            return configured
        if may_be_auto(name, self.config.auto):
            automatic = (await self.auto_feeds(until)).get(name)
            if automatic is not None:
                return automatic
            self.raise_if_unread(name)
        raise UnknownFeed(name)

    async def auto_feeds(self, until: float | None = None) -> Mapping[str, Feed]:
        """Return the automatic feeds of all workspaces that were read; configured names are left out."""
        await self.rosters(until)
        return await self._automatic.current()

    async def access(self, name: str, token: str | None, kind: Kind = "feed") -> tuple[str, Grant | None]:
        """Return the feed that an address opens, by its current name, and the access to it (see `Links`).

        Plane is asked only for links that people have made, from time to time: whether they may see the feed.

        Raises NoCopy while it is not known whose the token is, and UnknownFeed where a person's own link is
        valid and its feed is gone.
        """
        current_name = self.links.name_of(name, token, kind)
        grant = self.links.access(current_name, token, kind)
        if grant is None:
            # Only now: new names may wait for the store, and a link that is known is answered at once.
            await self._automatic.current()
            current_name = self.links.name_of(name, token, kind)
            grant = self.links.access(current_name, token, kind)
        if grant is None and is_token(token or ""):
            return await self.own_access.access(current_name, token or "", kind)
        return current_name, grant

    async def rosters(self, until: float | None = None) -> Mapping[str, View]:
        """Return the projects and people of each workspace that was read, by its name."""
        views = await asyncio.gather(
            *(workspace.view(lambda _: (), Needs(), until) for workspace in self.workspaces.values())
        )
        return {name: view for name, view in zip(self.workspaces, views, strict=True) if view is not None}

    def known_rosters(self) -> Mapping[str, Roster]:
        """Return the projects and people as far as they are known; Plane is not asked."""
        resources = {name: workspace.resources for name, workspace in self.workspaces.items()}
        return {
            name: Roster(
                self._slugs[name],
                of.all_projects,
                (of.members.value or {}).values(),
                (of.projects.version, of.members.version),
            )
            for name, of in resources.items()
        }

    def expire(self) -> None:
        """Mark everything as not fresh, so that it is read from Plane when next asked for."""
        for workspace in self.workspaces.values():
            workspace.expire()

    @property
    def is_read(self) -> bool:
        """Whether every workspace can be served, and none has failed the last time."""
        return all(workspace.is_ready and not workspace.last_error for workspace in self.workspaces.values())

    def why_unread(self, name: str) -> PlaneError | None:
        """Return why a feed could not be read. An automatic one may be in any workspace."""
        feed = self.config.feeds.get(name)
        names = self.workspaces.keys() if feed is None else (self.config.workspace_of(feed),)
        return next(filter(None, (self.workspaces[workspace].last_error for workspace in names)), None)

    def unread(self) -> PlaneError | None:
        """Return why automatic feeds of a workspace are not known; None when all are, or there are none."""
        if not (self.config.auto.projects or self.config.auto.assignees):
            return None
        unknown = (workspace for workspace in self.workspaces.values() if not workspace.is_known)
        return next((workspace.last_error for workspace in unknown if workspace.last_error), None)

    def raise_if_unread(self, name: str) -> None:
        """Raise NoCopy while projects or people of a workspace are not known."""
        for workspace in self.workspaces.values():
            if not workspace.is_known:
                raise NoCopy(name, workspace.retry_after, workspace.waiting)

    def _until(self) -> float | None:
        """Return one deadline for all that a response waits for: the workspaces share their timer."""
        return next((workspace.until for workspace in self.workspaces.values()), None)

    async def _current(self, name: str, feed: Feed, query: Query, until: float | None) -> CachedFeed:
        workspace = self.workspaces[self.config.workspace_of(feed)]
        # Before the view is read: a sync that ends meanwhile makes what was read before it out of date.
        edition = workspace.edition
        source = await self._input(name, feed, query, until)
        at = self._clock()
        cache, key = self._cache(query), (name, query)
        cached = await cache.value(key, source.stamp, lambda: self._make(source, until))
        # A value that others were making already may be of an older view: it is not current any more.
        if query == _WHOLE and cache.holds(key, source.stamp):
            self._current_feeds.note(name, CurrentFeed(cached.rendered, at, workspace, edition))
        return cached

    async def _input(self, name: str, feed: Feed, query: Query, until: float | None) -> FeedInput:
        view = await self._view(name, feed, query, until)
        now, limit = self._clock(), feed.stale_notice
        is_stale = limit is not False and now - view.read_at > timedelta(seconds=limit)
        today = now.astimezone(self.zone).date()
        day = Day(today, self.zone, view.read_at if is_stale else None)
        return FeedInput(name, query, feed, view, day)

    async def _view(self, name: str, feed: Feed, query: Query, until: float | None) -> View:
        workspace = self.workspaces[self.config.workspace_of(feed)]
        view = await workspace.view(
            lambda projects: projects_of(name, feed, projects), needs(feed, query), until
        )
        problem = self.search_problem(name, feed)
        if view is None and problem is not None:
            raise problem
        if problem is not None and name not in self._with_problem:
            log.error("%s; what was found before is shown", problem)
        (self._with_problem.discard if problem is None else self._with_problem.add)(name)
        if view is None:
            raise NoCopy(name, workspace.retry_after, workspace.waiting)
        return view

    def search_problem(self, name: str, feed: Feed) -> UnusableSearch | None:
        """Return what is wrong with the feed's `pql`. What it found before may still be shown."""
        workspace = self.workspaces[self.config.workspace_of(feed)]
        error = workspace.search_error(feed.pql)
        reason = why_unusable(error) if error is not None else None
        return UnusableSearch(name, reason) if reason is not None else None

    async def _make(self, source: FeedInput, until: float | None) -> CachedFeed:
        last = self._cache(source.query).last((source.name, source.query))
        if source.query == _WHOLE:
            rendered, calendar = await self._renderer.whole(source)
        else:
            whole = await self.rendered(source.name, _WHOLE, until)
            rendered, calendar = await self._renderer.narrowed(source, whole, last.rendered if last else None)
        if self.compressor and last is not None:
            await self.compressor.replace(last.rendered, rendered)
        return CachedFeed(rendered, calendar.count, calendar.selection.undated, calendar.selection.start_only)
