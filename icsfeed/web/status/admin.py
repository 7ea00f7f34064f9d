"""Endpoints that require the admin token: sync now, how syncs went, the status of everything, metrics."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from litestar import Request, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from msgspec import to_builtins

from icsfeed.push.report import RESULT_NAMES
from icsfeed.web.client_address import client_of, is_same_site
from icsfeed.web.me.visitor import form_token
from icsfeed.web.openapi import METRICS, PAGE, STATUS, SYNC, SYNCS, described
from icsfeed.web.pages.parameters import parse_skip
from icsfeed.web.pages.render import PageRequest, page_answer, page_request, wants_html
from icsfeed.web.responses import NEVER_STORED, ApiError, error_answer, site_of, timestamp
from icsfeed.web.state import Site
from icsfeed.web.status.collect import next_sync, report, sync_state
from icsfeed.web.status.columns import FEEDS, OWN_LINKS, PEOPLE
from icsfeed.web.status.metrics import TEXT_FORMAT, exposition
from icsfeed.web.status.own_links import ADMINISTRATOR, links_to_end, revoke_links
from icsfeed.web.status.report import ServerReport
from icsfeed.web.status.table import TablePage, TableRequest

SYNC_OUTCOMES = {202: "started", 409: "running", 429: "limited"}
"""What the status page says of a sync that its button should start, by the status of the answer."""

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]

CHALLENGE = {"WWW-Authenticate": 'Basic realm="icsfeed", charset="UTF-8"'}


def require_admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Let only the administrator pass: `Authorization: Bearer`, or Basic with the token as password.

    Raise ApiError: what another site's page makes a browser send is refused, and wrong tokens are limited for
    an address. While they are, right ones are refused too, or the limit would stop no guessing.
    """
    config, server = site_of(connection).config, site_of(connection).server
    if config.admin_token is None:
        text = "No admin_token is configured: set one to use this."
        raise ApiError(HTTPStatus.FORBIDDEN, "ADMIN_NOT_CONFIGURED", text)
    # Browsers send Basic credentials by themselves, whichever site's page makes the request.
    if is_same_site(connection, config.public_url) is False:
        text = "This was sent by a page of another site, or public_url is not this server's address."
        raise ApiError(HTTPStatus.FORBIDDEN, "CROSS_SITE", text)
    lines = connection.headers.getall("authorization", [])
    token = given_token(lines[0]) if len(lines) == 1 else None
    headers: Mapping[str, str] = {}
    if token is not None:
        address = client_of(connection)
        limited = server.admin_guesses.refused(address)
        if limited is not None:
            text = "Too many wrong admin tokens from this address."
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED", text, limited.headers())
        if hmac.compare_digest(token.encode(), config.admin_token.reveal().encode()):
            return
        headers = server.admin_guesses.wrong(address).headers()
    text = "This needs the admin_token: as Bearer token, or as password."
    raise ApiError(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", text, {**CHALLENGE, **headers})


def given_token(authorization: str | None) -> str | None:
    """Return the token in an Authorization header, or None (RFC 6750, 2.1; RFC 7617, 2)."""
    scheme, _, value = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(":")[2] or None


@post(
    "/webhooks/sync",
    status_code=HTTPStatus.ACCEPTED,
    operation_class=described(SYNC),
    summary="Read everything again, now",
)
async def sync_now(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[Any]:
    """Starts a sync without waiting for it; then everything is pushed. 409 while one is running; 10 an hour.

    A browser, after its user pressed the button of the status page, is sent back to that page.
    """
    response = _start_sync(site)
    if not wants_html(request):
        return response
    # 303, so that reloading the page does not start another sync (RFC 9110, 15.4.4).
    outcome = SYNC_OUTCOMES[response.status_code or HTTPStatus.ACCEPTED]
    location = f"{page_request(request, site.config).root}/status?sync={outcome}"
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers={**NEVER_STORED, "Location": location})


def _start_sync(site: Site) -> Response[Any]:
    async def push() -> None:
        site.pusher.run_now()

    server, now = site.server, site.server.clock()
    if server.sync.is_running:
        headers = server.syncs.look("").headers()
        return error_answer(409, "SYNC_IN_PROGRESS", "A sync is already running.", now=now, headers=headers)
    allowance = server.syncs.take("")
    if not allowance.granted:
        text = f"A sync can be started {allowance.limit} times an hour."
        return error_answer(429, "RATE_LIMITED", text, now=now, headers=allowance.headers())
    body = {
        "status": "triggered",
        "message": "Manual sync initiated",
        "sync_id": server.sync.start(tuple(site.service.workspaces.values()), push),
        "timestamp": timestamp(now),
    }
    headers = {**NEVER_STORED, **allowance.headers()}
    return Response(body, status_code=HTTPStatus.ACCEPTED, headers=headers)


@get("/webhooks/status", operation_class=described(SYNCS), summary="How syncs went")
async def sync_status(site: NamedDependency[Site]) -> Response[Any]:
    """Whether something is being read or pushed, the last sync, the next one, and the queue length."""
    workspaces, pushes = tuple(site.service.workspaces.values()), site.pusher.status
    last, upcoming = site.server.sync.latest(workspaces), next_sync(site)
    last_sync = last and {
        "timestamp": timestamp(last.at),
        "duration_seconds": round(last.seconds, 3),
        "status": last.status,
        "events_processed": last.issues,
        "errors": list(last.errors),
    }
    pushed = {
        name: run
        and {
            "timestamp": timestamp(run.at),
            "duration_seconds": round(run.report.seconds, 3),
            "status": "success" if run.report.is_good else "error",
            **{word: run.report.counts.get(word, 0) for word in RESULT_NAMES},
            "failed": len(run.report.failures),
            # Without the addresses, which stay in the log.
            "errors": list(run.report.problems),
        }
        for name, run in pushes.last.items()
    }
    body = {
        "status": sync_state(site),
        "last_sync": last_sync,
        "next_sync": timestamp(upcoming) if upcoming else None,
        "queue_length": pushes.queued + sum(map(site.queue_length, workspaces)),
        "push": pushed,
    }
    return Response(body, headers=NEVER_STORED)


@get(
    "/status",
    operation_class=described(STATUS, ("show", "feed", "q", "only", "sort", "skip", "links", "sync", *PAGE)),
    summary="The status of everything",
)
async def status(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[Any]:
    """Workspaces, feeds, their readers, and pushes; a page for a browser. `links=1` shows the links too.

    The other parameters are for the page: what its table of feeds shows."""
    with_links = request.query_params.get("links") == "1"
    server_report = await report(site, with_links=with_links)
    if wants_html(request):
        html = status_html(site, page_request(request, site.config), server_report, with_links=with_links)
        # With "no-referrer" browsers send the form of the sync button with `Origin: null` (Fetch, 3.1).
        headers = {**NEVER_STORED, "Vary": "Accept", "Referrer-Policy": "same-origin"}
        return page_answer(html, headers=headers)
    return Response(to_builtins(server_report), headers={**NEVER_STORED, "Vary": "Accept"})


def status_html(site: Site, ask: PageRequest, report: ServerReport, *, with_links: bool) -> str:
    """Return the page of a report: of everything, or as its address says of one feed or links to revoke."""
    asked = TableRequest(
        search=ask.get("q") or "",
        only=ask.get("only") or "",
        sort=ask.get("sort") or "",
        skip=parse_skip(ask.get("skip")),
    )
    sync, show = ask.get("sync"), ask.get("show") or "feeds"
    table: TablePage[Any]
    if show == "own links":
        table = OWN_LINKS.page(report.own_links, asked)
    elif show == "people":
        table = PEOPLE.page(report.people, asked)
    else:
        show, table = "feeds", FEEDS.page(report.feeds, asked)
    return site.pages.html(
        "status.html",
        ask,
        report=report,
        feed=next((feed for feed in report.feeds if feed.name == ask.get("feed")), None),
        form=form_token(site, ADMINISTRATOR, site.server.clock()),
        ending=links_to_end(report.own_links, ask.get("revoke") or "", ask.get("feed") or ""),
        revoked=parse_skip(ask.get("revoked")) if ask.get("revoked") else None,
        show=show,
        table=table,
        with_links=with_links,
        sync=sync if sync in SYNC_OUTCOMES.values() else None,
        results=RESULT_NAMES,
    )


@get("/metrics", operation_class=described(METRICS), summary="Metrics for Prometheus")
async def metrics(site: NamedDependency[Site]) -> Response[Any]:
    """Counts and ages, in Prometheus' text format."""
    return Response(exposition(site.service, site.server), headers=NEVER_STORED, media_type=TEXT_FORMAT)


# One guard for all: no route of the administrator can be without it.
ADMIN_ROUTES = Router(
    "/",
    route_handlers=[revoke_links, sync_now, sync_status, status, metrics],
    guards=[require_admin],
    security=[{"bearer": []}, {"basic": []}],
)
