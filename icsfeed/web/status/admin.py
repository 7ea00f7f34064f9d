"""What only the administrator may ask: sync now, how syncs went, the status of everything, metrics."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from msgspec import to_builtins

from icsfeed.cache.sync import LastSync
from icsfeed.config.schema import Config, Secret
from icsfeed.doctor.clients import LARGE
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import RESULT_NAMES, LastRun, PushStatus
from icsfeed.web.client_address import client_of
from icsfeed.web.openapi import METRICS, PAGE, STATUS, SYNC, SYNCS, described
from icsfeed.web.pages.render import PageRenderer, message_answer, page_answer, page_request, wants_html
from icsfeed.web.responses import NEVER_STORED, error_answer, timestamp
from icsfeed.web.state import ServerState
from icsfeed.web.status.metrics import TEXT_FORMAT, exposition
from icsfeed.web.status.report import next_sync, report, sync_state

SYNC_OUTCOMES = {HTTPStatus.ACCEPTED: "started", HTTPStatus.CONFLICT: "running"}
"""What the status page says of a sync that its button has started; `limited` for any other status."""

CHALLENGE = {"WWW-Authenticate": 'Basic realm="icsfeed", charset="UTF-8"'}


class Admin:
    """Knows the administrator: by `Authorization: Bearer`, or by Basic with the token as password."""

    def __init__(self, config: Config, server: ServerState) -> None:
        self._token, self._address = config.admin_token, config.public_url
        self._server = server

    def refusal(self, request: Request[Any, Any, Any]) -> Response[Any] | None:
        """The answer to somebody who is not the administrator; None: it is the administrator.

        Wrong tokens are limited for an address, and then right ones too. What another site's page makes a
        browser send is refused.
        """
        now = self._server.clock()
        if self._token is None:
            text = "No admin_token is configured: set one to use this."
            return error_answer(HTTPStatus.FORBIDDEN, "ADMIN_NOT_CONFIGURED", text, now=now)
        if not self._is_our_own(request):
            text = "This was sent by a page of another site, or public_url is not this server's address."
            return error_answer(HTTPStatus.FORBIDDEN, "CROSS_SITE", text, now=now)
        sent = request.headers.getall("authorization", [])
        given = given_token(sent[0]) if len(sent) == 1 else None
        if given is None:
            return self._unauthorized({})
        return self._checked(given, self._token, client_of(request))

    def _is_our_own(self, request: Request[Any, Any, Any]) -> bool:
        """Whether a page of ours, or no page at all, made the browser send this.

        Browsers from before Sec-Fetch-Site (Safari 16.3) only name the origin, with every form.
        """
        sites = request.headers.getall("sec-fetch-site", [])
        if sites:
            return sites in (["same-origin"], ["none"])
        # Not the scheme: a proxy that ends TLS need not be trusted.
        ours = {request.headers.get("host", "").lower(), urlsplit(self._address or "").netloc.lower()} - {""}
        return all(
            origin.lower().partition("://")[2] in ours for origin in request.headers.getall("origin", [])
        )

    def _checked(self, given: str, token: Secret, address: str) -> Response[Any] | None:
        """While an address is limited a right token waits as well, or the limit would stop no guessing."""
        limited = self._server.admin_guesses.refused(address)
        if limited is not None:
            text = "Too many wrong admin tokens from this address."
            now, headers = self._server.clock(), limited.headers()
            return error_answer(HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED", text, now=now, headers=headers)
        if hmac.compare_digest(given.encode(), token.reveal().encode()):
            return None
        return self._unauthorized(self._server.admin_guesses.wrong(address).headers())

    def _unauthorized(self, headers: Mapping[str, str]) -> Response[Any]:
        text = "This needs the admin_token: as Bearer token, or as password."
        sent = {**CHALLENGE, **headers}
        now = self._server.clock()
        return error_answer(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", text, now=now, headers=sent)


def given_token(authorization: str | None) -> str | None:
    """The token in an Authorization header; None: there is none in it (RFC 6750, 2.1; RFC 7617, 2)."""
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
async def sync_now(
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    push_now: NamedDependency[Callable[[], None]],
) -> Response[Any]:
    """Starts a sync and does not wait for it; then all is pushed. 409 while one is under way; 10 an hour.

    A browser, where a person has pressed the button of the status page, goes back to that page.
    """
    answer = _sync(service, server, push_now)
    if not wants_html(request):
        return answer
    outcome = SYNC_OUTCOMES.get(HTTPStatus(answer.status_code or HTTPStatus.OK), "limited")
    location = f"{page_request(request, service.config).root}/status?sync={outcome}"
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers={**NEVER_STORED, "Location": location})


def _sync(service: FeedService, server: ServerState, push_now: Callable[[], None]) -> Response[Any]:
    async def push() -> None:
        push_now()

    now = server.clock()
    if server.sync.is_running:
        headers, text = server.syncs.look("").headers(), "A sync is under way."
        return error_answer(HTTPStatus.CONFLICT, "SYNC_IN_PROGRESS", text, now=now, headers=headers)
    allowance = server.syncs.take("")
    headers = allowance.headers()
    if not allowance.granted:
        text = "A sync may be started 10 times an hour."
        return error_answer(HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED", text, now=now, headers=headers)
    body = {
        "status": "triggered",
        "message": "Manual sync initiated",
        "sync_id": server.sync.start(tuple(service.workspaces.values()), push),
        "timestamp": timestamp(now),
    }
    return Response(body, status_code=HTTPStatus.ACCEPTED, headers={**NEVER_STORED, **headers})


@get("/webhooks/status", operation_class=described(SYNCS), summary="How syncs went")
async def sync_status(
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pushes: NamedDependency[PushStatus],
) -> Response[Any]:
    """Whether something is being read or pushed, the last sync, the next one, and how much waits."""
    workspaces = tuple(service.workspaces.values())
    cache, last = service.config.cache, server.sync.latest(workspaces)
    upcoming = next_sync(service, server.clock())
    body = {
        "status": sync_state(service, server, pushes),
        "last_sync": _row(last) if last else None,
        "next_sync": timestamp(upcoming) if upcoming else None,
        "queue_length": pushes.queued
        + sum(server.watch(workspace, cache).queue_length for workspace in workspaces),
        "push": {name: _pushed(last) for name, last in pushes.last.items()},
    }
    return Response(body, headers=NEVER_STORED)


def _row(sync: LastSync) -> dict[str, Any]:
    return {
        "timestamp": timestamp(sync.at),
        "duration_seconds": round(sync.seconds, 3),
        "status": sync.status,
        "events_processed": sync.issues,
        "errors": list(sync.errors),
    }


def _pushed(last: LastRun | None) -> dict[str, Any] | None:
    """A target's last run, without the addresses in it; None: there was none yet."""
    if last is None:
        return None
    report = last.report
    return {
        "timestamp": timestamp(last.at),
        "duration_seconds": round(report.seconds, 3),
        "status": "success" if report.is_good else "error",
        **{word: report.counts.get(word, 0) for word in RESULT_NAMES},
        "failed": len(report.failures),
        "errors": list(report.problems),
    }


@get(
    "/status", operation_class=described(STATUS, ("links", "sync", *PAGE)), summary="The status of everything"
)
async def status(
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[PageRenderer],
    pushes: NamedDependency[PushStatus],
) -> Response[Any]:
    """Workspaces, feeds, their readers, and pushes; a page for a browser. `?links=1` shows the links too."""
    with_links = request.query_params.get("links") == "1"
    found = await report(service, server, pushes, with_links=with_links)
    if wants_html(request):
        ask = page_request(request, service.config)
        sync = ask.get("sync") if ask.get("sync") in (*SYNC_OUTCOMES.values(), "limited") else None
        html = pages.html("status.html", ask, report=found, with_links=with_links, sync=sync, large=LARGE)
        # With "no-referrer" browsers send the form of the sync button with `Origin: null` (Fetch, 3.1).
        headers = {**NEVER_STORED, "Vary": "Accept", "Referrer-Policy": "same-origin"}
        return page_answer(html, headers=headers)
    return Response(to_builtins(found), headers={**NEVER_STORED, "Vary": "Accept"})


@get("/metrics", operation_class=described(METRICS), summary="Figures for Prometheus")
async def metrics(
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
) -> Response[Any]:
    """Counts and ages, in Prometheus' text format."""
    return Response(exposition(service, server), headers=NEVER_STORED, media_type=TEXT_FORMAT)


def admin_routes(config: Config, server: ServerState) -> Router:
    """The routes of the administrator: nobody else gets past `Admin.refusal`."""
    admin = Admin(config, server)

    # A function: litestar copies what it is given, and the server's state must not be copied.
    async def refuse(request: Request[Any, Any, Any]) -> Response[Any] | None:
        refusal = admin.refusal(request)
        if refusal is None or not wants_html(request):
            return refusal
        state, status = request.app.state, refusal.status_code or HTTPStatus.UNAUTHORIZED
        ask = page_request(request, state.service.config)
        headers = {name: value for name, value in refusal.headers.items() if name.lower() != "content-type"}
        return message_answer(state.pages, ask, "page admin", status, headers=headers)

    routes = [sync_now, sync_status, status, metrics]
    return Router("/", before_request=refuse, route_handlers=routes)
