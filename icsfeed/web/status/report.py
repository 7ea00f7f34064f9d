"""The status of a server for its administrator: workspaces, feeds, readers, pushes, and what is wrong."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from icsfeed import __version__
from icsfeed.cache.lists import OPTIONAL
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError
from icsfeed.feeds.select import person_of, projects_of
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import LastRun
from icsfeed.web.reader_log import Reader
from icsfeed.web.state import Site


class ProjectReport(Struct, frozen=True):
    """A project as it was last read. `unreadable`: issues that could not be decoded.

    `lost_since`: since when Plane no longer lists it.
    """

    key: str
    name: str
    read_at: datetime | None
    issues: int
    unreadable: int
    is_failing: bool
    lost_since: datetime | None


class WorkspaceReport(Struct, frozen=True):
    """A workspace and the budget of its key: requests a minute, and those left now (None: not known).

    `unavailable`: the lists that its feeds need and Plane does not give.
    """

    name: str
    is_ready: bool
    read_at: datetime | None
    projects: tuple[ProjectReport, ...]
    budget_left: int | None
    budget_limit: int
    last_error: str | None
    unavailable: tuple[str, ...]
    last_refresh: datetime | None
    last_webhook: datetime | None
    queue_length: int


class LinkReport(Struct, frozen=True):
    """One link of a feed. `path` is None unless links were requested: it lets anyone read the feed."""

    subscriber: str
    revoked: bool
    path: str | None


class FeedReport(Struct, frozen=True):
    """A feed, what is in it and what is left out, and who reads it. None: not rendered yet.

    `problem`: what is wrong in its configuration.
    """

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
    problem: str | None


class PushReport(Struct, frozen=True):
    """A target's last run: when it ended, what it did, what was wrong. None: there was none yet."""

    name: str
    last_run: datetime | None
    counts: Mapping[str, int]
    requests: int
    problems: tuple[str, ...]

    @classmethod
    def of(cls, name: str, run: LastRun | None) -> "PushReport":
        """Return the report of a target's last run."""
        if run is None:
            return cls(name, None, {}, 0, ())
        return cls(name, run.at, dict(run.report.counts), run.report.requests, run.report.problems)


class ServerReport(Struct, frozen=True):
    """All of it. `problems`: of a newer configuration that was rejected; `store`: how it fails."""

    version: str
    started: datetime
    now: datetime
    loaded: datetime
    problems: tuple[str, ...]
    store: str | None
    workspaces: tuple[WorkspaceReport, ...]
    feeds: tuple[FeedReport, ...]
    pushes: tuple[PushReport, ...]


async def report(site: Site, *, with_links: bool) -> ServerReport:
    """Return the state of everything from memory: Plane is asked only for rosters that are not fresh."""
    service, server = site.service, site.server
    feeds, problems = {**service.config.feeds, **await service.auto_feeds()}, misconfigured(service)
    return ServerReport(
        version=__version__,
        started=server.started,
        now=server.clock(),
        loaded=server.loaded.at,
        problems=server.loaded.problems,
        store=service.store.last_error,
        workspaces=tuple(_workspace(site, name) for name in service.workspaces),
        feeds=tuple(_feed(site, name, feed, problems.get(name), with_links) for name, feed in feeds.items()),
        pushes=tuple(PushReport.of(name, run) for name, run in site.pusher.status.last.items()),
    )


def _workspace(site: Site, name: str) -> WorkspaceReport:
    workspace = site.service.workspaces[name]
    last = workspace.refreshes.last
    return WorkspaceReport(
        name=name,
        is_ready=workspace.is_ready,
        read_at=workspace.read_at,
        projects=tuple(_projects(workspace)),
        budget_left=workspace.budget.left,
        budget_limit=workspace.budget.limit,
        last_error=str(workspace.last_error) if workspace.last_error else None,
        unavailable=tuple(sorted(name for name in OPTIONAL if workspace.resources.list_error(name))),
        last_refresh=last.at if last else None,
        last_webhook=site.server.deliveries.last.get(name),
        queue_length=site.queue_length(workspace),
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


def _feed(site: Site, name: str, feed: Feed, problem: str | None, with_links: bool) -> FeedReport:
    service, cached = site.service, site.service.made(name)
    # The feed's own link first, revoked ones last.
    subscribed = (subscriber for subscriber in feed.subscribers if subscriber not in feed.revoked)
    subscribers = ("", *subscribed, *feed.revoked)
    return FeedReport(
        name=name,
        title=feed.title,
        workspace=service.workspace_of(feed),
        active=service.links.is_served(feed),
        public=feed.public,
        links=tuple(
            LinkReport(
                subscriber,
                subscriber in feed.revoked,
                service.links.ics_path(name, subscriber) if with_links else None,
            )
            for subscriber in subscribers
        ),
        items=cached.items if cached else None,
        undated=cached.undated if cached else None,
        start_only=cached.start_only if cached else None,
        size=cached.rendered.size if cached else None,
        last_modified=cached.rendered.last_modified if cached else None,
        readers=tuple(site.server.reader_log.readers(name)),
        problem=problem,
    )


def misconfigured(service: FeedService) -> Mapping[str, str]:
    """Return which feeds name projects or people that their workspace does not have, and why.

    Plane is not asked: a workspace that was not read yet has no such feeds.
    """
    problems: dict[str, str] = {}
    rosters = service.known_rosters()
    for name, feed in service.config.feeds.items():
        roster = rosters.get(service.workspace_of(feed))
        if roster is None or not service.links.is_served(feed):
            continue
        try:
            if roster.projects:
                projects_of(name, feed, roster.projects)
            if roster.people and feed.assignee is not None:
                person_of(name, feed.assignee, roster.people)
            if (problem := service.search_problem(name, feed)) is not None:
                raise problem
        except FeedError as error:
            problems[name] = error.reason
    return problems


def next_sync(site: Site) -> datetime | None:
    """Return when issues are read again: a project is no longer fresh, or the backoff after a failure ends.

    None: not known.
    """
    waits: list[float] = []
    for workspace in site.service.workspaces.values():
        watched = [project for project in workspace.watched() if workspace.resources.read_at(project)]
        waits += [workspace.resources.issues[project.id].seconds_fresh for project in watched]
        # Nothing could be read yet: the next attempt comes after the backoff.
        if workspace.last_error and not watched:
            waits.append(workspace.retry_after)
    return site.server.clock() + timedelta(seconds=min(waits)) if waits else None


def sync_state(site: Site) -> str:
    """Return `running` while something is read or pushed, `error` if that failed last time, else `idle`."""
    workspaces, pushes = site.service.workspaces.values(), site.pusher.status
    reading = site.server.sync.is_running or any(workspace.refreshes.under_way for workspace in workspaces)
    if reading or pushes.state == "running":
        return "running"
    failed = any(workspace.last_error for workspace in workspaces) or pushes.state == "error"
    return "error" if failed else "idle"
