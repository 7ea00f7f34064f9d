"""What the server tells everybody about itself: name, health, what crawlers may do."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency

from icsfeed import __version__
from icsfeed.cache.workspace import Workspace
from icsfeed.errors import PushError
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import PushStatus
from icsfeed.web.client_address import signed_in
from icsfeed.web.openapi import DESCRIPTION, HEALTH, PAGE, READY, ROBOTS, ROOT, described
from icsfeed.web.pages.render import page_answer, page_request, wants_html
from icsfeed.web.responses import NEVER_STORED, READ, timestamp
from icsfeed.web.state import Site
from icsfeed.web.status.collect import sync_state


@route("/", http_method=READ, operation_class=described(ROOT, PAGE), summary="What this server is")
async def root(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[Any]:
    """Name, version and uptime (whole seconds), or a page for a browser. Never a feed's name."""
    if wants_html(request):
        is_signed_in = signed_in(request, site.config.auth_proxy, site.server.proxy_guesses) is not None
        ask = page_request(request, site.config)
        html = site.pages.html("front.html", ask, healthy=site.service.is_read, signed_in=is_signed_in)
        page = page_answer(html, headers={"Vary": "Accept"})
        # The one page that search engines may list: it names no feed.
        del page.headers["X-Robots-Tag"]
        return page
    body = {
        "name": "icsfeed",
        "version": __version__,
        "description": DESCRIPTION,
        "status": "running",
        "uptime": site.server.uptime,
    }
    return Response(body, headers={"Vary": "Accept"})


@route("/health", http_method=READ, operation_class=described(HEALTH), summary="Liveness")
async def health(site: NamedDependency[Site]) -> dict[str, str]:
    """Says that the process is running; never asks Plane."""
    return {"status": "healthy", "timestamp": timestamp(site.server.clock())}


@route("/health/ready", http_method=READ, operation_class=described(READY), summary="Readiness")
async def ready(site: NamedDependency[Site]) -> Response[dict[str, Any]]:
    """200 once every active workspace has been read, else 503 with the reasons, and what is waited for.

    `unread` counts projects without access: `lost` ones are shown as they were, `closed` ones not.
    """
    workspaces = site.service.workspaces
    unready = {name: workspace for name, workspace in workspaces.items() if not workspace.is_ready}
    reasons = {name: _problem_of(workspace) or "not read yet" for name, workspace in unready.items()}
    body: dict[str, Any] = {
        "status": "unready" if unready else "ready",
        "reasons": reasons,
        "timestamp": timestamp(site.server.clock()),
    }
    unread = {name: counts for name, workspace in workspaces.items() if (counts := workspace.unread)}
    if unread:
        body["unread"] = unread
    if not unready:
        return Response(body, headers=NEVER_STORED)
    body["waiting"] = {name: workspace.waiting for name, workspace in unready.items() if workspace.waiting}
    # It cannot be ready before the workspace that waits longest.
    seconds = max(workspace.retry_after for workspace in unready.values())
    headers = {**NEVER_STORED, "Retry-After": str(seconds)}
    return Response(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


@route("/api/v1/health", http_method=READ, operation_class=described(HEALTH), summary="Server health")
async def api_health(site: NamedDependency[Site]) -> Response[dict[str, Any]]:
    """Version, uptime, counts, and the age of each workspace's data. Never asks Plane."""
    service, server, pushes = site.service, site.server, site.pusher.status
    workspaces, now = service.workspaces, server.clock()
    last = server.sync.latest(tuple(workspaces.values()))
    parts = {
        "store": "ok" if service.store.healthy else "failing",
        "configuration": "invalid" if server.loaded.problems else "ok",
        "feeds": "misconfigured" if site.problems.current() else "ok",
    }
    is_well = service.is_read and pushes.state != "error" and set(parts.values()) == {"ok"}
    copies = {
        name: {
            "age_seconds": int((now - workspace.read_at).total_seconds()) if workspace.read_at else None,
            "ready": workspace.is_ready,
            "problem": _problem_of(workspace),
            "unread": workspace.unread,
        }
        for name, workspace in workspaces.items()
    }
    body = {
        "status": "healthy" if is_well else "degraded",
        "version": __version__,
        "uptime": server.uptime,
        "timestamp": timestamp(now),
        "metrics": {
            "projects_synced": sum(workspace.projects_read for workspace in workspaces.values()),
            "events_created": server.pushed.count("created"),
            "events_updated": server.pushed.count("updated"),
            "events_deleted": server.pushed.count("deleted"),
            "last_sync": timestamp(last.at) if last else None,
            "sync_status": sync_state(site),
            "caldav_connection": _caldav_connection(pushes),
            "plane_api_connection": _plane_connection(service),
        },
        "copies": copies,
        **parts,
    }
    return Response(body, headers=NEVER_STORED)


def _problem_of(workspace: Workspace) -> str | None:
    """Return the kind of its last error, or what it waits for: without names or addresses."""
    return workspace.last_error.kind if workspace.last_error else workspace.waiting


def _plane_connection(service: FeedService) -> str:
    """Return `ok`, the kind of the first error, or `not read yet`: without names or addresses."""
    workspaces = service.workspaces.values()
    errors = [workspace.last_error.kind for workspace in workspaces if workspace.last_error]
    if errors:
        return errors[0]
    return "ok" if all(workspace.refreshes.last for workspace in workspaces) else "not read yet"


def _caldav_connection(pushes: PushStatus) -> str:
    """Return `ok`, the kind of the first error, `not tried yet` or `not configured`."""
    runs = pushes.last.values()
    errors = [last.report.error for last in runs if last and isinstance(last.report.error, PushError)]
    if errors:
        return errors[0].kind
    if not runs:
        return "not configured"
    return "not tried yet" if None in runs else "ok"


@route(
    "/robots.txt",
    http_method=READ,
    media_type="text/plain",
    operation_class=described(ROBOTS),
    summary="For crawlers",
)
async def robots() -> str:
    """Allows everything: calendar services ask first. Feeds carry X-Robots-Tag instead."""
    return "User-agent: *\nAllow: /\n"
