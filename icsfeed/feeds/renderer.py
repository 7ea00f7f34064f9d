"""From what is known of a feed's projects to its bytes, each component written once for all feeds."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from cachetools import LRUCache
from msgspec.structs import replace

from icsfeed.cache.revisions import History, styled_since
from icsfeed.cache.snapshots import View
from icsfeed.config.schema import Config, Feed
from icsfeed.feeds.calendar import Calendar, Day, FeedData, calendar_of, midnight, style_of
from icsfeed.feeds.mapping import Style
from icsfeed.feeds.query import Query
from icsfeed.feeds.rendered import Rendered, RenderedComponent, RenderedIssues, digest, render, render_dated
from icsfeed.model import Snapshot
from icsfeed.single_flight import run_in_thread
from icsfeed.store.store import Store

HISTORY_LOCK = 2.0
"""Seconds that replicas wait for each other to say since when a feed is as it is."""
STYLES = 1_000
"""Projects times styles whose components are kept as bytes; what feeds hold of them stays anyway."""
_WHOLE = Query()


class Renderer:
    """Renders the feeds of one configuration.

    The histories of feeds, since when each is as it is, are kept in the `store`.
    """

    def __init__(self, config: Config, clock: Callable[[], datetime], store: Store) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._written: LRUCache[tuple[str, Style], RenderedIssues] = LRUCache(STYLES)
        self._histories: dict[str, History] = {}

    def style(self, name: str, feed: Feed) -> Style:
        """How the feed `name` shows its items."""
        slug = self._config.workspace_of(feed)
        workspace = self._config.workspaces[slug]
        return style_of(self._config, workspace, workspace.slug or slug, name, feed)

    def calendar(self, name: str, feed: Feed, query: Query, style: Style, view: View, day: Day) -> Calendar:
        """The feed before it is bytes."""
        workspace = self._config.workspace_of(feed)
        title = self._config.workspaces[workspace].title or workspace
        material = FeedData(view.projects, view.people, view.snapshots, view.linked)
        return calendar_of(name, feed, query, style, material, day, title)

    def _parts_of(self, view: View, style: Style) -> dict[str, RenderedIssues]:
        """By project, its components as bytes: feeds of one style share them, from view to view."""
        return {snapshot.project.id: self._carried(snapshot, style) for snapshot in view.snapshots}

    def _carried(self, snapshot: Snapshot, style: Style) -> RenderedIssues:
        key = (snapshot.project.id, style)
        parts = self._written.get(key)
        if parts is None or parts.snapshot is not snapshot:
            parts = self._written[key] = RenderedIssues(snapshot, style, parts)
        return parts

    async def whole(self, name: str, feed: Feed, view: View, day: Day) -> tuple[Rendered, Calendar]:
        """The feed and its history, which replicas share: all say of a body since when it is there."""
        async with self._store.lock(f"history/{name}", HISTORY_LOCK, wait=HISTORY_LOCK):
            history = await self._history(name)
            own = digest(self.style(name, feed))
            style = replace(self.style(name, feed), since=styled_since(history, own, self._clock()))
            parts = self._parts_of(view, style)

            def work() -> tuple[Rendered, History, Calendar]:
                calendar = self.calendar(name, feed, _WHOLE, style, view, day)
                made = calendar.parts(parts)
                return *render(calendar.header, made, history, own, self._clock()), calendar

            rendered, remembered, calendar = await run_in_thread(_issues(view), work)
            self._histories[name] = remembered
            if remembered != history:
                await self._store.put_record(f"history/{name}", remembered)
        return rendered, calendar

    async def narrowed(
        self,
        name: str,
        feed: Feed,
        query: Query,
        view: View,
        day: Day,
        base: Rendered,
        last: Rendered | None,
    ) -> tuple[Rendered, Calendar]:
        """A part of the feed, which is `base` as a whole; `last`: as that part was before."""
        history = self._histories.get(name)
        style = replace(self.style(name, feed), since=history.styled if history else None)
        if query.restyles:  # not to be kept: whoever has a link may ask for any number of styles
            parts = {snapshot.project.id: RenderedIssues(snapshot, style) for snapshot in view.snapshots}
        else:
            parts = self._parts_of(view, style)

        def work() -> tuple[Rendered, Calendar]:
            calendar = self.calendar(name, feed, query, style, view, day)
            made = calendar.parts(parts)
            earliest = _changed(base, made, query, day)
            return self._part(calendar, made, earliest, last), calendar

        return await run_in_thread(_issues(view), work)

    async def _history(self, name: str) -> History | None:
        """The feed's history; with a store that replicas share, as any of them has left it."""
        own = self._histories.get(name)
        if own is not None and not self._store.is_shared:
            return own
        return await self._store.get_record(f"history/{name}", History) or own

    def _part(
        self, calendar: Calendar, parts: Sequence[RenderedComponent], changed: datetime, last: Rendered | None
    ) -> Rendered:
        """A narrowed feed, changed at `changed` or later: when its body is another one than the last."""

        def at(moment: datetime) -> Rendered:
            return render_dated(calendar.header, parts, moment)

        if last is None or changed > last.last_modified:
            return at(changed)
        made = at(last.last_modified)
        if made.etag == last.etag:
            return made
        return at(max(self._clock().replace(microsecond=0), last.last_modified + timedelta(seconds=1)))


def _issues(view: View) -> int:
    return sum(len(snapshot.issues) for snapshot in view.snapshots)


def _changed(base: Rendered, parts: Iterable[RenderedComponent], query: Query, day: Day) -> datetime:
    """When a narrowed feed last changed: not after the whole did, but for the days that it counts."""
    moments = [base.last_modified, *(part.revised for part in parts)]
    if query.days is not None:
        moments.append(midnight(day.today, day.zone))
    return max(moments).replace(microsecond=0)
