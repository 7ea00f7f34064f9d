"""Collect the report of a server from what it holds in memory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from icsfeed import __version__
from icsfeed.cache.lists import OPTIONAL
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Feed
from icsfeed.feeds.service import FeedService
from icsfeed.own_links.listing import listed_links, listed_people
from icsfeed.web.reader_log import Reader
from icsfeed.web.state import Site
from icsfeed.web.status.report import (
    FeedReport,
    LinkReport,
    ProjectReport,
    PushReport,
    ServerReport,
    WorkspaceReport,
)


async def report(site: Site, *, with_links: bool) -> ServerReport:
    """Return the state of everything from memory: Plane is asked only for rosters that are not fresh."""
    service, server = site.service, site.server
    feeds, problems = {**service.config.feeds, **await service.auto_feeds()}, site.problems.current()
    readers, own = server.reader_log.readers(), service.own
    names = service.links.names_of(link.feed for link in own.links)
    own_links = listed_links(own.links, own.readers, names)
    counts = Counter(link.feed for link in own_links if link.state == "used")
    return ServerReport(
        version=__version__,
        started=server.started,
        now=server.clock(),
        loaded=server.loaded.at,
        problems=server.loaded.problems,
        store=service.store.last_error,
        workspaces=tuple(_workspace(site, name) for name in service.workspaces),
        feeds=tuple(
            _feed(service, name, feed, problems.get(name), readers.get(name, ()), counts[name], with_links)
            for name, feed in feeds.items()
        ),
        pushes=tuple(PushReport.of(name, run) for name, run in site.pusher.status.last.items()),
        own_links=tuple(own_links),
        people=tuple(listed_people(own_links)),
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


def _feed(
    service: FeedService,
    name: str,
    feed: Feed,
    problem: str | None,
    readers: Iterable[Reader],
    own_links: int,
    with_links: bool,
) -> FeedReport:
    cached = service.made(name)
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
        own_links=own_links,
        items=cached.items if cached else None,
        undated=cached.undated if cached else None,
        start_only=cached.start_only if cached else None,
        size=cached.rendered.size if cached else None,
        last_modified=cached.rendered.last_modified if cached else None,
        readers=tuple(readers),
        problem=problem,
    )


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
