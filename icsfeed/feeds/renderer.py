"""Render feeds: each component is written once and shared by all feeds, and each feed has a history.

Bodies are compressed when first asked for, once for all who wait and for all equal feeds.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeVar

from cachetools import LRUCache
from msgspec.structs import replace

from icsfeed.cache.revisions import History, styled_since
from icsfeed.config.addresses import slug_of
from icsfeed.config.schema import Config, Feed
from icsfeed.feeds.calendar import Calendar, FeedInput, calendar_of, style_of
from icsfeed.feeds.mapping import Style
from icsfeed.feeds.rendered import Rendered, RenderedComponent, RenderedIssues, digest, render, render_dated
from icsfeed.model import View
from icsfeed.single_flight import FEW_ITEMS, SingleFlight
from icsfeed.store.store import Store, encode

T = TypeVar("T")

HISTORY_LOCK = 2.0
"""Seconds that replicas wait for each other's history of a feed."""
RENDERINGS_PER_TURN = 16
"""Small feeds rendered before the event loop answers other requests: a change may concern hundreds."""
MAX_STYLES = 1_000
"""Pairs of a project and a style whose components are cached; cached feeds hold on to their own anyway."""

CACHE_BYTES = 64 * 1024 * 1024
"""The most that cached bodies take; the least recently used go first."""
SMALL_BYTES = 16 * 1024
"""A body of this size takes less than half a millisecond, hardly more than a thread costs."""
MAX_COMPRESSING = 2
"""Bodies compressed at a time: rendering and files need threads, too, and other requests the processors."""


class Renderer:
    """Renders the feeds of one configuration. `store` holds the histories of feeds: when each changed."""

    def __init__(self, config: Config, clock: Callable[[], datetime], store: Store) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._written: LRUCache[tuple[str, Style], RenderedIssues] = LRUCache(MAX_STYLES)
        self._histories: dict[str, History] = {}
        self._turn = asyncio.Semaphore(RENDERINGS_PER_TURN)

    def style(self, name: str, feed: Feed) -> Style:
        """Return how the feed `name` shows its items."""
        workspace_name = self._config.workspace_of(feed)
        workspace = self._config.workspaces[workspace_name]
        return style_of(self._config, workspace, slug_of(workspace_name, workspace), name, feed)

    def calendar(self, source: FeedInput, style: Style | None = None) -> Calendar:
        """Return the feed before it is bytes. Without a `style` nothing says since when it has its own."""
        workspace = self._config.workspace_of(source.feed)
        title = self._config.workspaces[workspace].title or workspace
        return calendar_of(source, style or self.style(source.name, source.feed), title)

    def _components(self, view: View, style: Style) -> dict[str, RenderedIssues]:
        """Return the components of each project: feeds of one style share them, from view to view."""
        rendered = {}
        for snapshot in view.snapshots:
            key = (snapshot.project.id, style)
            issues = self._written.get(key)
            if issues is None or issues.snapshot is not snapshot:
                issues = self._written[key] = RenderedIssues(snapshot, style, issues)
            rendered[snapshot.project.id] = issues
        return rendered

    async def whole(self, source: FeedInput) -> tuple[Rendered, Calendar]:
        """Render a feed and store its history, so that replicas agree since when a body is as it is."""
        name = source.name
        async with self._store.lock(f"history/{name}", HISTORY_LOCK, wait=HISTORY_LOCK):
            history = self._histories.get(name)
            if history is None or self._store.is_shared:  # another replica may have rendered it since
                stored = await self._store.get_record(f"history/{name}", History)
                # Redis may have been put back to an older state.
                found = (each for each in (stored, history) if each is not None)
                history = max(found, key=attrgetter("changed"), default=None)
            plain = self.style(name, source.feed)
            style_digest = digest(plain)
            style = replace(plain, since=styled_since(history, style_digest, self._clock()))
            issues = self._components(source.view, style)

            def work() -> tuple[Rendered, History, Calendar]:
                calendar = self.calendar(source, style)
                components = calendar.parts(issues)
                return *render(calendar.header, components, history, style_digest, self._clock()), calendar

            rendered, remembered, calendar = await self._run(source.view, work)
            self._histories[name] = remembered
            if remembered != history:
                await self._remember(name, remembered)
        return rendered, calendar

    async def narrowed(
        self, source: FeedInput, whole: Rendered, last: Rendered | None
    ) -> tuple[Rendered, Calendar]:
        """Render a narrowed feed. `whole`: the feed itself; `last`: as the narrowed one was before."""
        history, view = self._histories.get(source.name), source.view
        style = replace(self.style(source.name, source.feed), since=history.styled if history else None)
        if source.query.restyles:  # not cached: a link allows any number of styles
            issues = {snapshot.project.id: RenderedIssues(snapshot, style) for snapshot in view.snapshots}
        else:
            issues = self._components(view, style)

        def work() -> tuple[Rendered, Calendar]:
            calendar = self.calendar(source, style)
            components = calendar.parts(issues)
            moments = [whole.last_modified, *(component.revised for component in components)]
            if source.query.days is not None:  # they count from today
                moments.append(source.day.midnight)
            if source.query.since is not None:  # another filter is news, even if nothing else is newer
                moments.append(source.query.since)
            changed = max(moments).replace(microsecond=0)
            return self._dated(calendar, components, changed, last), calendar

        return await self._run(view, work)

    async def _remember(self, name: str, history: History) -> None:
        if self._store.is_shared:
            await self._store.put_record(f"history/{name}", history)
        else:
            # Nobody has to wait for the disk. A process that is killed before it is written calls the same
            # body newer after its restart, not older.
            self._store.put_soon(f"history/{name}", encode(history))

    async def _run(self, view: View, work: Callable[[], T]) -> T:
        """Render in a thread, or a few issues right here."""
        if sum(len(snapshot.issues) for snapshot in view.snapshots) > FEW_ITEMS:
            return await asyncio.to_thread(work)
        async with self._turn:
            result = work()
            await asyncio.sleep(0)
            return result

    def _dated(
        self, calendar: Calendar, parts: Sequence[RenderedComponent], changed: datetime, last: Rendered | None
    ) -> Rendered:
        """Return a narrowed feed that changed at `changed`, or now where only its body differs from the last.

        Narrowed feeds have no stored history: there may be any number of them.
        """

        def at(moment: datetime) -> Rendered:
            return render_dated(calendar.header, parts, moment)

        if last is None or changed > last.last_modified:
            return at(changed)
        unchanged = at(last.last_modified)
        if unchanged.etag == last.etag:
            return unchanged
        # Last-Modified has whole seconds: it must grow, or clients with If-Modified-Since miss the change.
        return at(max(self._clock().replace(microsecond=0), last.last_modified + timedelta(seconds=1)))


class Compressor:
    """Caches compressed bodies by the feeds' ETags. `limit`: bytes of all bodies together."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._bodies: LRUCache[str, bytes] = LRUCache(limit, len)
        self._making: SingleFlight[bytes] = SingleFlight()
        # Not a semaphore: where the event loop is busy, each turn of it would compress only so many.
        self._threads = ThreadPoolExecutor(MAX_COMPRESSING, "compress")

    @property
    def size(self) -> int:
        """Bytes of all cached bodies."""
        return int(self._bodies.currsize)

    async def body(self, rendered: Rendered) -> bytes:
        """Return the feed as a gzip stream."""
        # ETags are digests of bodies, so that equal feeds of different names share one.
        body = self._bodies.get(rendered.etag)
        if body is None:
            body = await self._making.result(rendered.etag, lambda: self._make(rendered))
        return body

    async def replace(self, last: Rendered, rendered: Rendered) -> None:
        """Compress a feed that has changed, where its readers have asked for that, and remove the last body.

        Until then they are served the last one, for which nobody has to wait.
        """
        if last.etag != rendered.etag and last.etag in self._bodies:
            await self.body(rendered)
            self._bodies.pop(last.etag, None)

    async def _make(self, rendered: Rendered) -> bytes:
        if rendered.size <= SMALL_BYTES:
            body = rendered.compressed()
        else:
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self._threads, rendered.compressed)
        if len(body) <= self._bodies.maxsize:
            self._bodies[rendered.etag] = body
        return body
