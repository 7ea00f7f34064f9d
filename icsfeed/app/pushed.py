"""A feed as a push wants it: its components, whether they are all there are, and whether it has changed."""

import asyncio

from msgspec import Struct

from icsfeed.app.feeds import FeedService
from icsfeed.core.calendar import Calendar
from icsfeed.core.config import Feed
from icsfeed.core.errors import FeedError, PlaneError
from icsfeed.core.push_plan import Missing
from icsfeed.core.query import Query
from icsfeed.core.select import needs, projects_of


class Reading(Struct, frozen=True):
    """A feed for those who remove what is not in it.

    `missing`: the parts that were not read without error, and lately: what is not in them may still be in
    Plane. `error`: why not.
    """

    feed: Feed
    calendar: Calendar
    missing: tuple[Missing, ...]
    error: PlaneError | None


async def read(service: FeedService, name: str, patience: float = 0.0) -> Reading:
    """The feed now. Waits for so many seconds more than a reader. Raises as `FeedService.rendered`."""
    feed = await service.feed(name)
    if not service.links.is_served(feed):
        raise FeedError(name, "it, or its workspace, is not active")
    workspace = service.workspaces[service.workspace_of(feed)]
    since = workspace.now()
    look = await service.look(name, patience=patience)
    chosen = projects_of(name, feed, look.view.projects)
    missing = workspace.known.missing(chosen, needs(feed, Query()), since)
    calendar = await asyncio.to_thread(service.calendar_of, look)
    return Reading(feed, calendar, tuple(map(Missing, missing)), workspace.last_error)


async def stamp(service: FeedService, name: str) -> tuple[object, ...] | None:
    """Equal as long as what is known of the feed does not change; None: nothing is. No issue is read."""
    try:
        feed = await service.feed(name)
        if not service.links.is_served(feed):
            return None
        known = service.workspaces[service.workspace_of(feed)].known
        projects = known.projects.get("") or ()
        view = known.view(projects, projects_of(name, feed, projects), needs(feed, Query()))
    except FeedError:
        return None
    return None if view is None else (*view.stamp, service.today())
