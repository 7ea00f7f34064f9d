"""What an administrator wants to see of a server: its workspaces, feeds, readers, and what is wrong."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from icsfeed import __version__
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Feed
from icsfeed.feeds.service import FeedService
from icsfeed.push.scheduler import LastRun, PushStatus
from icsfeed.web.reader_log import Reader
from icsfeed.web.state import ServerState


class ProjectReport(Struct, frozen=True):
    """A project as it is known. `unreadable`: issues that could not be understood.

    `lost_since`: since when Plane does not list it any more.
    """

    key: str
    name: str
    read_at: datetime | None
    issues: int
    unreadable: int
    is_failing: bool
    lost_since: datetime | None


class WorkspaceReport(Struct, frozen=True):
    """A workspace and the budget of its key: requests a minute, and those left now (None: not known)."""

    name: str
    is_ready: bool
    read_at: datetime | None
    projects: tuple[ProjectReport, ...]
    budget_left: int | None
    budget_limit: int
    last_error: str | None
    last_refresh: datetime | None
    last_webhook: datetime | None
    queue_length: int


class LinkReport(Struct, frozen=True):
    """One link of a feed. `path` is None until it is asked for: who has it can read the feed."""

    subscriber: str
    revoked: bool
    path: str | None


class FeedReport(Struct, frozen=True):
    """A feed, what is in it and what is not, since when, and who reads it. None: not rendered yet."""

    name: str
    title: str | None
    workspace: str
    active: bool
    public: bool
    links: tuple[LinkReport, ...]
    items: int | None
    undated: int | None
    start_only: int | None
    size: int | None
    last_modified: datetime | None
    readers: tuple[Reader, ...]


class PushReport(Struct, frozen=True):
    """A target's last run: when it ended, what it did, what was wrong. None: there was none yet."""

    name: str
    last_run: datetime | None
    counts: Mapping[str, int]
    requests: int
    problems: tuple[str, ...]


class ServerReport(Struct, frozen=True):
    """The whole. `problems`: of a newer configuration that cannot be used; `store`: how it fails."""

    version: str
    started: datetime
    now: datetime
    loaded: datetime
    problems: tuple[str, ...]
    store: str | None
    workspaces: tuple[WorkspaceReport, ...]
    feeds: tuple[FeedReport, ...]
    pushes: tuple[PushReport, ...]


async def report(
    service: FeedService, server: ServerState, pushes: PushStatus, *, with_links: bool
) -> ServerReport:
    """The state of everything, from what is known: Plane is asked only for what is not fresh."""
    feeds = {**service.config.feeds, **await service.auto_feeds()}
    return ServerReport(
        version=__version__,
        started=server.started,
        now=server.clock(),
        loaded=server.loaded.at,
        problems=server.loaded.problems,
        store=service.store.last_error,
        workspaces=tuple(_workspace(service, server, name) for name in service.workspaces),
        feeds=tuple(_feed(service, server, name, feed, with_links) for name, feed in feeds.items()),
        pushes=tuple(_push(name, last) for name, last in pushes.last.items()),
    )


def _push(name: str, last: LastRun | None) -> PushReport:
    if last is None:
        return PushReport(name, None, {}, 0, ())
    found = last.report
    return PushReport(name, last.at, dict(found.counts), found.requests, found.problems)


def _workspace(service: FeedService, server: ServerState, name: str) -> WorkspaceReport:
    workspace = service.workspaces[name]
    last = workspace.refreshes.last
    return WorkspaceReport(
        name=name,
        is_ready=workspace.is_ready,
        read_at=workspace.read_at,
        projects=tuple(_projects(workspace)),
        budget_left=workspace.budget.left,
        budget_limit=workspace.budget.limit,
        last_error=str(workspace.last_error) if workspace.last_error else None,
        last_refresh=last.at if last else None,
        last_webhook=server.deliveries.last.get(name),
        queue_length=server.watch(workspace, service.config.cache).queue_length,
    )


def _projects(workspace: Workspace) -> Iterator[ProjectReport]:
    resources = workspace.resources
    for project in resources.all_projects:
        issues, unreadable = resources.issues[project.id].value or ({}, 0)
        yield ProjectReport(
            key=project.key,
            name=project.name,
            read_at=resources.read_at(project),
            issues=len(issues),
            unreadable=unreadable,
            is_failing=workspace.is_failing(project) or project.id in resources.lost,
            lost_since=resources.lost.get(project.id),
        )


def _feed(service: FeedService, server: ServerState, name: str, feed: Feed, with_links: bool) -> FeedReport:
    made = service.made(name)
    return FeedReport(
        name=name,
        title=feed.title,
        workspace=service.workspace_of(feed),
        active=service.links.is_served(feed),
        public=feed.public,
        links=tuple(_links(service, name, feed, with_links)),
        items=made.items if made else None,
        undated=made.undated if made else None,
        start_only=made.start_only if made else None,
        size=made.rendered.size if made else None,
        last_modified=made.rendered.last_modified if made else None,
        readers=tuple(server.reader_log.readers(name)),
    )


def _links(service: FeedService, name: str, feed: Feed, with_links: bool) -> Iterator[LinkReport]:
    names = ("", *(who for who in feed.subscribers if who not in feed.revoked), *feed.revoked)
    for subscriber in names:
        path = service.links.ics_path(name, subscriber) if with_links else None
        yield LinkReport(subscriber, subscriber in feed.revoked, path)


def next_sync(service: FeedService, now: datetime) -> datetime | None:
    """When issues are read again: once a project is no longer fresh, or the rest after a failure is over.

    None: not known.
    """
    waits = [seconds for workspace in service.workspaces.values() for seconds in _waits(workspace)]
    return now + timedelta(seconds=min(waits)) if waits else None


def _waits(workspace: Workspace) -> Iterator[float]:
    watched = [one for one in workspace.watched() if workspace.resources.read_at(one)]
    if workspace.last_error and not watched:
        yield workspace.retry_after
    for project in watched:
        yield workspace.resources.issues[project.id].seconds_fresh


def sync_state(service: FeedService, server: ServerState, pushes: PushStatus) -> str:
    """`running` while something is read or pushed, `error` when that failed the last time, else `idle`."""
    workspaces = service.workspaces.values()
    reading = server.sync.is_running or any(workspace.refreshes.under_way for workspace in workspaces)
    if reading or pushes.state == "running":
        return "running"
    failed = any(workspace.last_error for workspace in workspaces) or pushes.state == "error"
    return "error" if failed else "idle"
