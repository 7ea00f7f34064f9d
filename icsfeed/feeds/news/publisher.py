"""Publish the news of feeds: made when somebody asks, as fresh as the calendar, cached while nothing changes.

The last state of each feed is in the store that replicas share, so that they agree on what has changed when.
Without it there are no changes from before the start; what is due is known from the calendar alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from cachetools import LRUCache
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.feeds.calendar import Day, FeedInput
from icsfeed.feeds.links import Grant, installation
from icsfeed.feeds.news.changes import NEVER, NewsLog, advanced, published
from icsfeed.feeds.news.entries import News, entries_of, news_items, news_of, news_urn, tombstone_news
from icsfeed.feeds.news.formats import WRITERS
from icsfeed.feeds.query import Query, both, parse_query, query_string, with_query
from icsfeed.feeds.rendered import Rendered, digest
from icsfeed.feeds.service import FeedService
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.single_flight import run_in_thread
from icsfeed.store.store import encode

MAX_ITEMS = 200_000
"""Items of all feeds whose states are cached."""
ENTRY_ITEMS = 100
"""What news take besides, counted in items."""
MAX_BYTES = 16 * 1024 * 1024
"""The most that written news take: each link has its own, with its address in them."""
LOCK_SECONDS = 2.0
CONTENT = (
    *("workspace", "project", "projects", "assignee", "unassigned", "everything", "where", "pql", "window"),
    *("include", "component", "done", "details", "summary", "categories", "public"),
)
"""The settings of a feed that decide what it holds and shows: other ones begin a new state."""

_WHOLE = Query()
Key = tuple[str, Query]


class PublishedNews(Struct, frozen=True):
    """News that are as they are since `changed`. `feed` is the whole one as configured, `log` its changes."""

    news: News
    changed: datetime
    feed: Feed
    log: NewsLog
    digest: str


class NewsFeeds:
    """The news of a service's feeds."""

    def __init__(self, service: FeedService) -> None:
        self._service = service
        self._cache: StampedCache[Key, PublishedNews] = StampedCache(
            MAX_ITEMS, lambda made: min(ENTRY_ITEMS + len(made.log.states), MAX_ITEMS)
        )
        self._bodies: LRUCache[tuple[str, str, str], Rendered] = LRUCache(MAX_BYTES, lambda it: it.size)

    async def rendered(
        self, name: str, form: str, page: str, parameters: Sequence[tuple[str, str]], grant: Grant
    ) -> Rendered:
        """Return the news of a feed in this format, as link and parameters narrow it; a notice if revoked.

        `page`: the address of the feed's page by the link that was used. Raises as OwnAccess.rendered.
        """
        narrowing = query_string(parameters)
        addresses = with_query(f"{page}.{form}", narrowing), with_query(page, narrowing)
        if grant.revoked:
            return self._revoked(name, form, *addresses)
        if grant.narrows:
            await self._service.own_access.check(name, grant)
        made = await self._published(name, both(grant.query, parse_query(parameters)))
        cached = self._bodies.get((made.digest, form, addresses[0]))
        if cached is None or cached.last_modified != made.changed:
            cached = _rendered(made.news, made.changed, form, *addresses)
            if cached.size <= MAX_BYTES:
                self._bodies[made.digest, form, addresses[0]] = cached
        return cached

    def _revoked(self, name: str, form: str, address: str, page: str) -> Rendered:
        config, day = self._service.config, Day(self._service.today(), self._service.zone)
        feed = config.feeds.get(name, Feed())
        news = tombstone_news(name, feed, feed.language or config.language, day)
        return _rendered(news, news.updated, form, address, page)

    async def _published(self, name: str, query: Query) -> PublishedNews:
        return await self._cache.or_last((name, query), self._current(name, query))

    async def _current(self, name: str, query: Query) -> PublishedNews:
        key = (name, query)
        if query == _WHOLE:
            source = await self._service.feed_input(name)
            return await self._cache.value(key, source.stamp, lambda: self._whole(source))
        # Together: each may wait for Plane.
        whole, source = await asyncio.gather(
            self._published(name, _WHOLE), self._service.feed_input(name, query)
        )
        stamp = (source.stamp, whole.digest, whole.changed)
        return await self._cache.value(key, stamp, lambda: self._narrowed(source, whole))

    async def _whole(self, source: FeedInput) -> PublishedNews:
        """Make the news of a whole feed, and store its state."""
        store, name = self._service.store, source.name
        key, last = f"news/{name}", self._cache.last((name, _WHOLE))
        async with store.lock(key, LOCK_SECONDS, wait=LOCK_SECONDS):
            log = last.log if last is not None else None
            if log is None or store.is_shared:  # another replica may have read more since
                log = await store.get_record(key, NewsLog) or log

            def work() -> tuple[PublishedNews, bytes | None]:
                made = self._whole_news(source, log)
                is_stored = log is not None and replace(made.log, read_at=log.read_at) == log
                return made, None if is_stored else encode(made.log)

            made, record = await run_in_thread(_issues(source), work)
            if record is not None:
                await store.put(key, record)
        return made

    def _whole_news(self, source: FeedInput, log: NewsLog | None) -> PublishedNews:
        calendar, feed = self._service.calendar_of(source), source.feed
        items = news_items(calendar, feed)
        # A busy feed shows neither what has changed, nor which item that is.
        states = {uid: item.state for uid, item in items.items()} if feed.details != "busy" else {}
        now = self._service.now()
        log = advanced(log, states, digest(_settings(feed)), source.view.read_at, now)
        entries = entries_of(calendar, items, log.changes, feed, source.day)
        news = news_of(self._urn(source), calendar, entries, log.updated)
        log = published(log, news.digest, news.updated, now)
        return PublishedNews(news, log.changed, feed, log, log.digest)

    async def _narrowed(self, source: FeedInput, whole: PublishedNews) -> PublishedNews:
        last = self._cache.last((source.name, source.query))

        def work() -> PublishedNews:
            calendar = self._service.calendar_of(source)
            items = news_items(calendar, whole.feed)
            entries = entries_of(calendar, items, whole.log.changes, whole.feed, source.day)
            news = news_of(self._urn(source), calendar, entries, last.news.updated if last else NEVER)
            made, changed = news.digest, whole.changed
            if last is not None:
                later = max(self._service.now().replace(microsecond=0), last.changed + timedelta(seconds=1))
                changed = last.changed if last.digest == made else later
            return PublishedNews(news, changed, whole.feed, replace(whole.log, states={}), made)

        return await run_in_thread(_issues(source), work)

    def _urn(self, source: FeedInput) -> str:
        """Return the id of a feed's news: another installation, feed or query has another one."""
        secret = self._service.config.secret
        own = installation(secret.reveal()) if secret is not None else ""
        narrowing = digest(source.query) if source.query != _WHOLE else ""
        return news_urn("feed", own, source.name, narrowing)


def _settings(feed: Feed) -> Mapping[str, object]:
    """Return what decides which items a feed holds, and what it shows of them."""
    return {name: getattr(feed, name) for name in CONTENT}


def _issues(source: FeedInput) -> int:
    return sum(len(snapshot.issues) for snapshot in source.view.snapshots)


def _rendered(news: News, changed: datetime, form: str, address: str, page: str) -> Rendered:
    body = WRITERS[form](news, address, page)
    return Rendered(body, (), len(body), f'"{sha256(body).hexdigest()[:32]}"', changed, b"")
