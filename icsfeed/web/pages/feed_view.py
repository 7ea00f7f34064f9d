"""What a page shows of a feed: its items, as fresh as its calendar, kept while nothing changes."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import date, datetime

from cachetools import LRUCache
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError, UnknownFeed
from icsfeed.feeds.calendar import FeedInput
from icsfeed.feeds.query import Query
from icsfeed.feeds.service import FeedService
from icsfeed.single_flight import SingleFlight
from icsfeed.web.pages.items import PageItem, items_of

ITEMS_KEPT = 200_000
"""Items of all feeds and narrowings that are kept at most; what was not read for the longest goes first."""
ITEMS_LEAST = 20
"""Items that a sheet counts as beside its own: what it takes without any, and the query it is kept under."""

log = logging.getLogger("icsfeed.pages")

Key = tuple[str, Query]
_WHOLE = Query()


class FeedView(Struct, frozen=True, weakref=True):
    """A feed for a page: title, items in order, and when its issues were last read of Plane.

    `stale_since` is set once Plane could not be read for longer than the feed lets pass unsaid.
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


class CachedView(Struct, frozen=True):
    """A sheet, and what it was made of: it holds while that does."""

    stamp: tuple[object, ...]
    sheet: FeedView


class FeedViews:
    """The sheets of a service's feeds."""

    def __init__(self, service: FeedService) -> None:
        self._service = service
        self._kept: LRUCache[Key, CachedView] = LRUCache(ITEMS_KEPT, _size)
        self._making: SingleFlight[FeedView] = SingleFlight()

    async def sheet(self, name: str, query: Query = _WHOLE) -> FeedView:
        """The feed as `query` narrows it; what was last made of it where that fails now.

        Raises UnknownFeed, BadParameter when the query cannot be used, NoCopy and other FeedErrors.
        """
        try:
            return await self._current(name, query)
        except FeedError as error:
            last = self._kept.get((name, query))
            if isinstance(error, UnknownFeed) or last is None:
                raise
            log.warning("%s; showing the last good copy", error)
            today = self._service.today()
            return last.sheet if last.sheet.today == today else replace(last.sheet, today=today)

    async def _current(self, name: str, query: Query) -> FeedView:
        look = await self._service.feed_input(name, query)
        kept = self._kept.get((name, query))
        if kept is None or kept.stamp != look.stamp:
            return await self._make(look)
        if kept.sheet.read_at != look.view.read_at:
            kept = CachedView(kept.stamp, replace(kept.sheet, read_at=look.view.read_at))
            self._kept[name, query] = kept
        return kept.sheet

    async def _make(self, look: FeedInput) -> FeedView:
        """Made once for all who ask meanwhile: a page of an intranet has many readers at a time."""
        key = look.name, look.query
        sheet = await self._making.result(key, lambda: asyncio.to_thread(_made, self._service, look))
        self._kept[key] = CachedView(look.stamp, sheet)
        return sheet


def _size(kept: CachedView) -> int:
    return min(len(kept.sheet.items) + ITEMS_LEAST, ITEMS_KEPT)


def _made(service: FeedService, look: FeedInput) -> FeedView:
    calendar = service.calendar_of(look)
    return FeedView(
        name=look.name,
        feed=look.feed,
        title=calendar.header.name,
        description=calendar.header.description or "",
        items=items_of(calendar, look.feed.details),
        today=look.day.today,
        read_at=look.view.read_at,
        stale_since=look.day.stale_since,
        unread=len(look.view.unread),
    )
