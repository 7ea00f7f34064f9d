"""Read a feed for a push: its components, which parts of Plane were not read, and how far it has come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.cache.budget_wait import waiting
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError, PlaneError
from icsfeed.feeds.calendar import Calendar, FeedInput
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.service import FeedService
from icsfeed.push.action import MissingPart
from icsfeed.push.plan import RemoteObject


class FeedContents(Struct, frozen=True):
    """A feed, and what is not known of it: an object may only be deleted if its issue is known to be gone.

    `missing`: parts that were not read without error since the push began; their issues may still exist.
    `error`: the reason. `lost_uids`: UIDs of projects that Plane no longer lists, which may have been
    deleted or closed to the key; they are not in the calendar. `unjoined`: ids of projects that the key
    has not joined, or has left.
    """

    feed: Feed
    calendar: Calendar
    missing: tuple[MissingPart, ...]
    error: PlaneError | None
    lost_uids: frozenset[str] = frozenset()
    unjoined: frozenset[str] = frozenset()

    def may_still_exist(self, remote: RemoteObject, desired: Collection[str]) -> bool:
        """Return whether an object's issue may still exist in a project that the key can no longer read."""
        stored = remote.stored
        is_left = stored is not None and stored.project in self.unjoined and stored.uid not in desired
        return is_left or not self.lost_uids.isdisjoint(remote.uids)


async def read_feed(service: FeedService, name: str, patience: float = 0.0) -> FeedContents:
    """Read the feed. `patience`: seconds to wait longer than a reader does. Raise FeedError or PlaneError."""
    feed = await service.feed(name)
    if not service.links.is_served(feed):
        raise FeedError(name, "it, or its workspace, is not active")
    workspace = service.workspaces[service.workspace_of(feed)]
    # What was fresh when the push began counts as read, even if it expires before the push ends.
    since = workspace.now()
    look = await service.feed_input(name, patience=patience)
    chosen = projects_of(name, feed, look.view.projects)
    lost, refused = workspace.resources.lost.keys(), look.view.unread
    listed = [project for project in chosen if project not in refused]
    missing = tuple(workspace.snapshots.missing(listed, needs(feed, Query()), since))
    # Which objects belong to a project that was never read is unknown, so nothing at all is deleted.
    closed = [project.key for project in refused if project.id not in lost]
    parts = [MissingPart(f"the project {key}, which the key may not read", final=False) for key in closed]
    calendar = await asyncio.to_thread(service.calendar_of, _only(look, lambda id_: id_ not in lost))
    lost_uids: frozenset[str] = frozenset()
    if lost:
        copies = await asyncio.to_thread(service.calendar_of, _only(look, lambda id_: id_ in lost))
        lost_uids = frozenset(component.uid for component in copies.components)
        lost_uids -= {component.uid for component in calendar.components}
    unread = (*map(MissingPart, missing), *parts)
    return FeedContents(feed, calendar, unread, workspace.last_error, lost_uids, workspace.resources.unjoined)


@asynccontextmanager
async def reading_progress(service: FeedService, show: Callable[[str], object]) -> AsyncIterator[None]:
    """Call `show` each second with what of Plane is read and what that waits for, and with "" at the end."""

    async def follow() -> None:
        while True:
            show("; ".join(map(_progress_of, service.workspaces.values())) or "reading Plane")
            await asyncio.sleep(1)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        show("")


def _progress_of(workspace: Workspace) -> str:
    count, budget = len(workspace.resources.all_projects), workspace.budget
    text = f"{workspace.name}: {workspace.projects_read} of {count} projects read"
    seconds = budget.wait("reader") if budget.left is not None else 0.0
    return f"{text}, {waiting(seconds)}" if seconds >= 1 else text


def _only(look: FeedInput, is_wanted: Callable[[str], bool]) -> FeedInput:
    """Return the input of a feed without the projects whose ids are not wanted."""
    snapshots, linked = (
        tuple(snapshot for snapshot in snapshots if is_wanted(snapshot.project.id))
        for snapshots in (look.view.snapshots, look.view.linked)
    )
    return replace(look, view=replace(look.view, snapshots=snapshots, linked=linked))
