"""/dav/: every method of CalDAV, an ASGI app: login, body, and the answer that the pure modules make."""

import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import asgi
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from icsfeed.dav.names import DAV, SAFE_IN_PATHS, SYNC_TOKEN
from icsfeed.dav.tree import xml_bytes
from icsfeed.errors import FeedError
from icsfeed.feeds.service import FeedService
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.http_headers import http_date, is_unchanged
from icsfeed.single_flight import run_in_thread
from icsfeed.web.access_log import FEED_KEY
from icsfeed.web.dav.answer import answer_multiget, answer_query, answer_sync
from icsfeed.web.dav.calendars import Calendars, SyncHistory
from icsfeed.web.dav.login import CHALLENGE, Accounts, credentials_of, is_private
from icsfeed.web.dav.messages import (
    ANSWER_BYTES,
    ENTRY_BYTES,
    HEADERS,
    KILOBYTE,
    Answer,
    DavRequest,
    ParsedBodies,
    dav_answer,
    empty_answer,
    read_body,
    root_of,
    xml_answer,
)
from icsfeed.web.dav.outcomes import DavError, multistatus, read_only, refused_update
from icsfeed.web.dav.properties import SYNC_URI, content_type, of_account, of_calendar, of_root
from icsfeed.web.dav.requests import (
    Asked,
    CalendarQuery,
    ExpandProperty,
    Multiget,
    Report,
    read_propfind,
    read_report,
)
from icsfeed.web.dav.resources import ROOT, Account, DavCalendar, Place
from icsfeed.web.feeds.endpoint import feed_failure
from icsfeed.web.feeds.streamed import CalendarResponse
from icsfeed.web.reader_log import family
from icsfeed.web.responses import plain_answer, send_response

if TYPE_CHECKING:
    from icsfeed.web.state import ServerState

READING = ("OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT")
INSECURE = "The password could be read on its way. Use https (behind a proxy: see trusted_proxies)."
FAILED = "The server failed. Its log says more."
ABOUT = "This is a CalDAV account: add its address to a calendar app, with the name and token of a link."

log = logging.getLogger("icsfeed.dav")


class DavEndpoint:
    """Answers the requests for the accounts of one configuration: an ASGI app."""

    def __init__(self, service: FeedService, server: "ServerState") -> None:
        self._service, self._server = service, server
        self._accounts = Accounts(service)
        self._calendars, self._history = Calendars(service), SyncHistory(service.store)
        self._answers: StampedCache[object, CalendarResponse] = StampedCache(
            ANSWER_BYTES, lambda answer: ENTRY_BYTES + answer.size
        )
        self._bodies, self._read_report = ParsedBodies(), partial(read_report, zone=service.zone)
        self._public_url = (service.config.public_url or "").rstrip("/")

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope, receive)
        except DavError as error:
            response = xml_answer(error.status, error.body())
        except HTTPException as error:
            response = plain_answer(error.status_code, error.detail, {**HEADERS, **(error.headers or {})})
        except FeedError as error:
            response = feed_failure(error)
        except Exception as error:
            # litestar, which would answer, is not around this (see dav_paths).
            log.error("unexpected error", exc_info=error)
            response = plain_answer(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, HEADERS)
        status = getattr(response, "status_code", HTTPStatus.OK)
        self._server.reader_log.answered(status)
        await send_response(response, scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        if not f"{path}/".startswith(ROOT):
            return empty_answer(HTTPStatus.MOVED_PERMANENTLY, {"Location": self._public_url + ROOT})
        if method == "OPTIONS":
            return empty_answer(HTTPStatus.OK, {"Allow": ", ".join(READING)})
        client = scope["client"][0] if scope["client"] else ""
        if not is_private(scope["scheme"], client):
            return plain_answer(HTTPStatus.FORBIDDEN, INSECURE, HEADERS)
        given = credentials_of(scope["headers"])
        prefix = urlsplit(self._public_url).path
        account = await self._accounts.account_of(given, prefix) if given else None
        if account is None:
            if given is not None:
                await self._server.token_throttle.delay(client)
            text = (
                "Log in with the name of a feed or your e-mail address, and the token of a link as password."
            )
            return plain_answer(HTTPStatus.UNAUTHORIZED, text, {**HEADERS, "WWW-Authenticate": CHALLENGE})
        if method not in READING:
            return await _refused(method, quote(path, safe=SAFE_IN_PATHS), receive)
        place = account.place(path)
        if place is None or (place.calendar and place.calendar not in await self._calendars.names(account)):
            return plain_answer(HTTPStatus.NOT_FOUND, "Nothing is here.", HEADERS)
        can_zip = self._service.compressor is not None
        request = DavRequest(scope, account, place, self._answers, can_zip=can_zip)
        response = await self._of(request, receive)
        self._seen(scope, account, place, response)
        return response

    def _seen(self, scope: HTTPScope, account: Account, place: Place, response: Answer) -> None:
        """Remember who reads which feed, for the log and the status page."""
        agents = [value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"]
        status = getattr(response, "status_code", HTTPStatus.OK)
        agent = next(iter(agents), None)
        if account.link:
            # The list of calendars, too: iOS reads only that, with the ctags, while nothing has changed.
            self._service.own.read(account.link, family(agent), status)
        if not place.calendar:
            return
        source = account.source(place.calendar)
        scope[FEED_KEY] = source.feed  # type: ignore[literal-required]
        self._server.reader_log.read(source.feed, source.subscriber, agent, status)

    async def _of(self, request: DavRequest, receive: Receive) -> Answer:
        if request.method in ("GET", "HEAD"):
            is_object = request.place.item
            return await self._object(request) if is_object else plain_answer(HTTPStatus.OK, ABOUT, HEADERS)
        if request.method == "PROPFIND":
            return await self._propfind(request, await self._bodies.read(receive, read_propfind))
        return await self._report(request, await self._bodies.read(receive, self._read_report))

    async def _object(self, request: DavRequest) -> Answer:
        calendar = await self._calendars.calendar(request.account, request.place.calendar)
        one = calendar.objects.get(request.place.item)
        if one is None:
            return plain_answer(HTTPStatus.NOT_FOUND, "Nothing is here.", HEADERS)
        headers = {**HEADERS, "ETag": one.etag, "Last-Modified": http_date(one.part.revised)}
        headers["Cache-Control"] = "private, no-cache"
        # Only ETags: something may change twice in a second.
        if is_unchanged(frozenset({one.etag}), one.part.revised, request.headers.get("if-none-match"), None):
            return empty_answer(HTTPStatus.NOT_MODIFIED, headers)
        body = one.data
        headers |= {"Content-Type": content_type(calendar), "Content-Length": str(len(body))}
        return dav_answer(HTTPStatus.OK, headers, b"" if request.method == "HEAD" else body)

    async def _propfind(self, request: DavRequest, asked: Asked) -> Answer:
        place, is_deep = request.place, request.is_deep
        writer = request.writer(asked)
        if place.calendar:
            calendar = await self._calendars.calendar(request.account, place.calendar)
            await self._remember(asked, calendar)
            if place.item and place.item not in calendar.objects:
                return plain_answer(HTTPStatus.NOT_FOUND, "Nothing is here.", HEADERS)
            names = [place.item] if place.item else calendar.objects if is_deep else []
            own = () if place.item else (calendar,)
            return await request.written(
                asked,
                [calendar],
                len(names),
                lambda: multistatus([*map(writer.calendar, own), *writer.objects(calendar, names)]),
            )
        if place.is_root:
            return await request.written(
                asked, [], 0, lambda: multistatus([writer.root(), *([writer.account()] * is_deep)])
            )
        names = await self._calendars.names(request.account) if is_deep else []
        calendars = [await self._calendars.outline(request.account, name) for name in names]
        for calendar in calendars:
            await self._remember(asked, calendar)
        return await request.written(
            asked, calendars, 0, lambda: multistatus([writer.account(), *map(writer.calendar, calendars)])
        )

    async def _remember(self, asked: Asked, calendar: DavCalendar) -> None:
        if SYNC_TOKEN in asked.names and calendar.token:
            await self._history.remember(calendar)

    async def _report(self, request: DavRequest, report: Report) -> Answer:
        account, place = request.account, request.place
        if place.item:
            raise DavError(403, f"{DAV}supported-report")
        if isinstance(report, ExpandProperty):
            return await self._expanded(request, report)
        if not place.calendar:
            raise DavError(403, f"{DAV}supported-report")
        calendar = await self._calendars.calendar(account, place.calendar)
        writer = request.writer(report.asked)
        if isinstance(report, Multiget):
            items, make = len(report.hrefs), partial(answer_multiget, account, calendar, report, writer)
            return await request.written(report, [calendar], items, make)
        if isinstance(report, CalendarQuery):
            items, query = len(calendar.objects), partial(answer_query, calendar, report, writer)
            return await request.written(report, [calendar], items, query)
        is_ours = report.token.startswith(SYNC_URI) or not report.token
        token = report.token.removeprefix(SYNC_URI)
        changes = await self._history.changes(calendar, token) if is_ours else None
        items = len(changes.changed) if changes is not None else 0
        return await request.written(
            report, [calendar], items, lambda: answer_sync(calendar, report, changes, writer)
        )

    async def _expanded(self, request: DavRequest, report: ExpandProperty) -> Answer:
        """Answer an expand-property: Macs and BusyCal ask a principal for those who share with it."""
        account, place = request.account, request.place
        path, values, calendars = account.home, of_account(account), []
        if place.is_root:
            path, values = account.root, of_root(account)
        elif place.calendar:
            calendar = await self._calendars.calendar(account, place.calendar)
            path, values, calendars = account.path(calendar.name), of_calendar(account, calendar), [calendar]
        writer = request.writer(Asked())
        return await request.written(
            report, calendars, 0, lambda: multistatus([writer.expanded(path, values, report.wanted)])
        )


def dav_paths(app: ASGIApp, endpoint: DavEndpoint) -> ASGIApp:
    """Answer all that is below /dav/, and route apps that look for accounts to /.well-known/caldav.

    litestar (2.25) knows an app's path parameters for its own methods only, and its routing costs as much as
    most answers do. It knows GET only for `/`: iOS asks that with PROPFIND, and gives up on 405.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith(ROOT) and scope["type"] == ScopeType.HTTP:
            scope["path_template"] = ROOT.rstrip("/")
            await endpoint(scope, receive, send)
            return
        if path.startswith("/principals/") or (path == "/" and scope.get("method") == "PROPFIND"):
            scope["path"] = "/principals"
        await app(scope, receive, send)

    return handle


# The access log reads the scope afterwards: it must not be a copy that knows the feed.
@asgi(["/dav", "/.well-known/caldav", "/principals"], copy_scope=False)
async def dav(scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Hand a request on to the DavEndpoint of the configuration."""
    await scope["litestar_app"].state.dav(scope, receive, send)


async def _refused(method: str, href: str, receive: Receive) -> Answer:
    """Return the answer to a write."""
    if method == "PROPPATCH":
        body = await read_body(receive)
        update = await run_in_thread(len(body) // KILOBYTE, lambda: root_of(body))
        refused = refused_update(href, update) if update is not None else None
        if refused is not None:
            return xml_answer(HTTPStatus.MULTI_STATUS, xml_bytes(refused))
    return xml_answer(HTTPStatus.FORBIDDEN, xml_bytes(read_only(href)))
