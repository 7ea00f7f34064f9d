"""A feed as a push wants it: its components, whether they are all there are, and whether it has changed."""

import asyncio
from collections.abc import Callable, Collection

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError, PlaneError
from icsfeed.feeds.calendar import Calendar
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.service import FeedInput, FeedService
from icsfeed.push.plan import MissingPart, RemoteObject


class FeedContents(Struct, frozen=True):
    """A feed for those who remove what is not in it.

    `missing`: the parts that were not read without error, and lately: what is not in them may still be in
    Plane. `error`: why not. `kept`: UIDs of projects that Plane does not list any more: whether those were
    deleted is not known. They are not in the calendar. `unjoined`: ids of projects that the key has not
    joined; it may have left them.
    """

    feed: Feed
    calendar: Calendar
    missing: tuple[MissingPart, ...]
    error: PlaneError | None
    kept: frozenset[str] = frozenset()
    unjoined: frozenset[str] = frozenset()

    def may_hold(self, one: RemoteObject, wanted: Collection[str]) -> bool:
        """Whether an object may be of an issue that is there, in a project that the key has left."""
        left = one.stored is not None and one.stored.project in self.unjoined and one.stored.uid not in wanted
        return left or not self.kept.isdisjoint(one.uids)


async def read(service: FeedService, name: str, patience: float = 0.0) -> FeedContents:
    """The feed now. Waits for so many seconds more than a reader. Raises as `FeedService.rendered`."""
    feed = await service.feed(name)
    if not service.links.is_served(feed):
        raise FeedError(name, "it, or its workspace, is not active")
    workspace = service.workspaces[service.workspace_of(feed)]
    since = workspace.now()
    look = await service.look(name, patience=patience)
    chosen = projects_of(name, feed, look.view.projects)
    lost, refused = workspace.resources.lost.keys(), look.view.unread
    listed = [project for project in chosen if project not in refused]
    missing = tuple(workspace.resources.missing(listed, needs(feed, Query()), since))
    # Of a project that was never read nobody knows which objects are its own: all deletions wait.
    closed = [one.key for one in refused if one.id not in lost]
    parts = [MissingPart(f"the project {key}, which the key may not read", final=False) for key in closed]
    calendar = await asyncio.to_thread(service.calendar_of, _only(look, lambda id_: id_ not in lost))
    kept: frozenset[str] = frozenset()
    if lost:
        copies = await asyncio.to_thread(service.calendar_of, _only(look, lambda id_: id_ in lost))
        kept = frozenset(one.uid for one in copies.components) - {one.uid for one in calendar.components}
    unread = (*map(MissingPart, missing), *parts)
    return FeedContents(feed, calendar, unread, workspace.last_error, kept, workspace.resources.unjoined)


def _only(look: FeedInput, is_wanted: Callable[[str], bool]) -> FeedInput:
    """What was looked at, of the projects with these ids alone."""
    snapshots, linked = (
        tuple(one for one in held if is_wanted(one.project.id))
        for held in (look.view.snapshots, look.view.linked)
    )
    return replace(look, view=replace(look.view, snapshots=snapshots, linked=linked))


async def stamp(service: FeedService, name: str) -> tuple[object, ...] | None:
    """Equal as long as what is known of the feed does not change; None: nothing is. No issue is read."""
    try:
        feed = await service.feed(name)
        if not service.links.is_served(feed):
            return None
        workspace = service.workspaces[service.workspace_of(feed)]
        projects = workspace.resources.all_projects
        readable = workspace.readable(projects_of(name, feed, projects))
        view = workspace.snapshots.view(projects, readable, needs(feed, Query()))
    except FeedError:
        return None
    return None if view is None else (*view.stamp, service.today())
