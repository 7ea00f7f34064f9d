"""What the server says of itself to everybody: name, health, what crawlers may do."""

from datetime import datetime
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
from icsfeed.web.pages.render import PageRenderer, page_answer, page_request, wants_html
from icsfeed.web.responses import NEVER_STORED, READ, Clock, timestamp
from icsfeed.web.state import ServerState
from icsfeed.web.status.report import sync_state


@route("/", http_method=READ, operation_class=described(ROOT, PAGE), summary="What this server is")
async def root(
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[PageRenderer],
) -> Response[Any]:
    """Name, version and uptime (whole seconds), or a page for a browser. Never a feed's name."""
    if wants_html(request):
        is_signed_in = signed_in(request, service.config.auth_proxy, server.proxy_guesses) is not None
        html = pages.html(
            "front.html",
            page_request(request, service.config),
            healthy=service.is_read,
            signed_in=is_signed_in,
        )
        page = page_answer(html, headers={"Vary": "Accept"})
        # The one page that search engines may list: it names no feed.
        del page.headers["X-Robots-Tag"]
        return page
    body = {
        "name": "icsfeed",
        "version": __version__,
        "description": DESCRIPTION,
        "status": "running",
        "uptime": server.uptime,
    }
    return Response(body, headers={"Vary": "Accept"})


@route("/health", http_method=READ, operation_class=described(HEALTH), summary="Whether the process lives")
async def health(clock: NamedDependency[Clock]) -> dict[str, str]:
    """Says that the process lives; never touches Plane."""
    return {"status": "healthy", "timestamp": timestamp(clock())}


@route(
    "/health/ready",
    http_method=READ,
    operation_class=described(READY),
    summary="Whether every feed can be served",
)
async def ready(
    service: NamedDependency[FeedService], clock: NamedDependency[Clock]
) -> Response[dict[str, Any]]:
    """200 once every active workspace has a good copy, else 503 with the reasons, and what is waited for.

    `unread` counts projects that the key may not read: `lost` ones are shown as they were, `closed` ones not.
    """
    unready = {name: one for name, one in service.workspaces.items() if not one.is_ready}
    reasons = {
        name: one.last_error.kind if one.last_error else one.waiting or "not read yet"
        for name, one in unready.items()
    }
    body: dict[str, Any] = {
        "status": "unready" if unready else "ready",
        "reasons": reasons,
        "timestamp": timestamp(clock()),
    }
    unread = {name: counts for name, one in service.workspaces.items() if (counts := one.unread)}
    if unread:
        body["unread"] = unread
    if not unready:
        return Response(body, headers=NEVER_STORED)
    body["waiting"] = {name: one.waiting for name, one in unready.items() if one.waiting}
    seconds = max(one.retry_after for one in unready.values())
    headers = {**NEVER_STORED, "Retry-After": str(seconds)}
    return Response(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


@route("/api/v1/health", http_method=READ, operation_class=described(HEALTH), summary="How the server does")
async def api_health(
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pushes: NamedDependency[PushStatus],
) -> Response[dict[str, Any]]:
    """Version, uptime, figures, and the age of each workspace's copy. It never touches Plane."""
    workspaces, now = service.workspaces, server.clock()
    last = server.sync.latest(tuple(workspaces.values()))
    is_well = (
        service.is_read and pushes.state != "error" and service.store.healthy and not server.loaded.problems
    )
    body = {
        "status": "healthy" if is_well else "degraded",
        "version": __version__,
        "uptime": server.uptime,
        "timestamp": timestamp(now),
        "metrics": {
            "projects_synced": sum(one.projects_read for one in workspaces.values()),
            "events_created": server.pushed.count("created"),
            "events_updated": server.pushed.count("updated"),
            "events_deleted": server.pushed.count("deleted"),
            "last_sync": timestamp(last.at) if last else None,
            "sync_status": sync_state(service, server, pushes),
            "caldav_connection": _caldav_connection(pushes),
            "plane_api_connection": _plane_connection(service),
        },
        "copies": {name: _copy(one, now) for name, one in workspaces.items()},
        "store": "ok" if service.store.healthy else "failing",
        "configuration": "invalid" if server.loaded.problems else "ok",
    }
    return Response(body, headers=NEVER_STORED)


def _plane_connection(service: FeedService) -> str:
    """`ok`, the kind of the first error, or `not read yet`: in words that name nothing."""
    workspaces = service.workspaces.values()
    errors = [one.last_error.kind for one in workspaces if one.last_error]
    return errors[0] if errors else "ok" if all(one.refreshes.last for one in workspaces) else "not read yet"


def _caldav_connection(pushes: PushStatus) -> str:
    """`ok`, the kind of the first error, `not tried yet` or `not configured`: in words that name nothing."""
    runs = pushes.last.values()
    errors = [last.report.error for last in runs if last and isinstance(last.report.error, PushError)]
    if errors:
        return errors[0].kind
    return "not configured" if not runs else "not tried yet" if None in runs else "ok"


def _copy(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """How old what is known of a workspace is: seconds since the oldest of its projects was read."""
    read_at, error = workspace.read_at, workspace.last_error
    return {
        "age_seconds": int((now - read_at).total_seconds()) if read_at else None,
        "ready": workspace.is_ready,
        "problem": error.kind if error else workspace.waiting,
        "unread": workspace.unread,
    }


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
