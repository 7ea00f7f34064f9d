"""The calendars of accounts, made once for each state of a feed, and their last states in the store."""

import logging

from cachetools import LRUCache

from icsfeed.errors import BadParameter, FeedError, UnknownFeed
from icsfeed.feeds.query import Query
from icsfeed.feeds.rendered import Rendered
from icsfeed.feeds.service import FeedService
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.single_flight import run_in_thread
from icsfeed.store.store import Store
from icsfeed.web.dav.resources import TASKS, Account, DavCalendar, Kind, Source, calendar_of
from icsfeed.web.dav.sync_log import SyncChanges, SyncLog, advanced, changes_since

MAX_OBJECTS = 500_000
"""Objects of all cached calendars: 150 MB, besides the components, which feeds hold anyway."""
MAX_LOGS = 50
LOCK_SECONDS = 2.0

log = logging.getLogger("icsfeed.dav")


class Calendars:
    """The feeds of one configuration as calendars."""

    def __init__(self, service: FeedService) -> None:
        self._service = service
        self._made: StampedCache[str, DavCalendar] = StampedCache(
            MAX_OBJECTS, lambda calendar: 1 + len(calendar.objects)
        )

    async def names(self, account: Account) -> list[str]:
        """Return the names of an account's calendars. Raises NoCopy as FeedService.feed."""
        names = []
        for name, source in account.sources.items():
            try:
                has_tasks = account.tasks and await self._kind(source) != await self._kind(source.as_tasks)
            except UnknownFeed:
                continue
            names += [name, f"{name}{TASKS}"] if has_tasks else [name]
        return names

    async def calendar(self, account: Account, name: str) -> DavCalendar:
        """Return a calendar of an account with its objects. Raises as FeedService.rendered."""
        source = account.source(name)
        kind = await self._kind(source)
        rendered = self._service.at_hand(source.feed) if source.query == Query() else None
        rendered = rendered or await self._rendered(source)

        async def make() -> DavCalendar:
            return await run_in_thread(len(rendered.components), lambda: calendar_of(name, kind, rendered))

        return await self._made.value(name, rendered.etag, make)

    async def outline(self, account: Account, name: str) -> DavCalendar:
        """Return a calendar, for a list: without its state where it cannot be read now.

        An app removes a calendar that is missing from the list, with all that it holds.
        """
        try:
            return await self.calendar(account, name)
        except FeedError as error:
            log.warning("calendar %s: %s", name, error)
            source = account.source(name)
            feed = await self._service.feed(source.feed)
            title = (source.query and source.query.title) or feed.title or source.feed
            return DavCalendar(name, await self._kind(source), title)

    async def _rendered(self, source: Source) -> Rendered:
        try:
            if source.query is not None:
                return await self._service.rendered(source.feed, source.query)
        except BadParameter as error:
            log.debug("calendar of %s: %s", source.feed, error)
        # Not the query of the request is wrong: a change of the configuration has made the filter unusable.
        raise FeedError(source.feed, "the filter of this calendar cannot be used any more")

    async def _kind(self, source: Source) -> Kind:
        feed = await self._service.feed(source.feed)
        component = source.query.component if source.query is not None else None
        return "VTODO" if (component or feed.component) == "vtodo" else "VEVENT"


class SyncHistory:
    """The last states of calendars, in the store that replicas share: what a sync-token means."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logs: LRUCache[str, SyncLog] = LRUCache(MAX_LOGS)
        self._known: LRUCache[str, str] = LRUCache(MAX_LOGS * 20)

    async def remember(self, calendar: DavCalendar) -> None:
        """Store the state of a calendar, before a client learns its token."""
        if self._known.get(calendar.name) != calendar.token:
            await self._advanced(calendar)

    async def changes(self, calendar: DavCalendar, token: str) -> SyncChanges | None:
        """Return what has changed since a token (empty: since ever); None: the token is not known."""
        if not token:
            await self.remember(calendar)
            return SyncChanges(tuple(calendar.objects))
        if token == calendar.token:
            # Not even the store is asked: a token is a digest of the state itself.
            await self.remember(calendar)
            return SyncChanges()
        known = self._logs.get(calendar.name)
        changes = changes_since(known, token, calendar) if known and known.token == calendar.token else None
        # Another replica may have stored the state that this token is of.
        return changes or changes_since(await self._advanced(calendar), token, calendar)

    async def _advanced(self, calendar: DavCalendar) -> SyncLog:
        key = f"dav/{calendar.name}"
        async with self._store.lock(key, LOCK_SECONDS, wait=LOCK_SECONDS):
            before = self._logs.get(calendar.name)
            if before is None or self._store.is_shared:  # another replica may have stored more
                before = await self._store.get_record(key, SyncLog) or before or SyncLog()
            after = await run_in_thread(len(calendar.objects), lambda: advanced(before, calendar))
            if after is not before:
                await self._store.put_record(key, after)
            self._logs[calendar.name], self._known[calendar.name] = after, calendar.token
        return after
