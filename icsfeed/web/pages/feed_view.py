"""What a page shows of a feed: its items, as fresh as its calendar, cached while nothing changes."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.feeds.calendar import FeedInput
from icsfeed.feeds.query import Query
from icsfeed.feeds.service import FeedService
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.web.pages.items import PageItem, items_of

MAX_ITEMS = 200_000
"""Items of all cached views together."""
ENTRY_ITEMS = 20
"""What a view takes besides its items, counted in items; most of it is the query that is its key."""

Key = tuple[str, Query]
_WHOLE = Query()


class FeedView(Struct, frozen=True, weakref=True):
    """A feed for a page: title, items in order, and when its issues were last read of Plane.

    `stale_since` is set once Plane could not be read for longer than the feed's `stale_notice`.
    `unread`: how many of its projects may not be read (see `View`).
    """

    name: str
    feed: Feed
    title: str
    description: str
    items: Sequence[PageItem]
    today: date
    read_at: datetime
    stale_since: datetime | None
    unread: int = 0


class FeedViews:
    """The views of a service's feeds: one for each feed and query, as long as nothing in it changes."""

    def __init__(self, service: FeedService) -> None:
        self._service = service
        self._cache: StampedCache[Key, FeedView] = StampedCache(
            MAX_ITEMS, lambda view: min(len(view.items) + ENTRY_ITEMS, MAX_ITEMS)
        )

    async def view(self, name: str, query: Query = _WHOLE) -> FeedView:
        """Return the feed as `query` narrows it; what was last made of it where that fails now.

        Raises UnknownFeed, BadParameter when the query cannot be used, NoCopy and other FeedErrors.
        """
        view = await self._cache.or_last((name, query), self._current(name, query))
        today = self._service.today()
        return view if view.today == today else replace(view, today=today)

    async def _current(self, name: str, query: Query) -> FeedView:
        source = await self._service.feed_input(name, query)
        key, read_at = (name, query), source.view.read_at
        # Once for all who ask meanwhile: a page of an intranet has many readers at a time.
        view = await self._cache.value(
            key, source.stamp, lambda: asyncio.to_thread(_view_of, self._service, source)
        )
        if view.read_at < read_at and self._cache.holds(key, source.stamp):
            view = replace(view, read_at=read_at)
            self._cache.update(key, view)
        return view


def _view_of(service: FeedService, source: FeedInput) -> FeedView:
    calendar = service.calendar_of(source)
    return FeedView(
        name=source.name,
        feed=source.feed,
        title=calendar.header.name,
        description=calendar.header.description or "",
        items=items_of(calendar, source.feed.details, keyed=len(source.view.snapshots) > 1),
        today=source.day.today,
        read_at=source.view.read_at,
        stale_since=source.day.stale_since,
        unread=len(source.view.unread),
    )
