"""The HTTP server: routes, errors, start and stop. Everything it needs is handed to `create_app`."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from litestar import Litestar, Request, Response, get, route
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import NamedDependency, Provide
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed import __version__
from icsfeed.app.answers import NEVER_STORED, error_answer, feed_answer, plain_answer, timestamp
from icsfeed.app.feeds import FeedService
from icsfeed.app.hooks import Webhooks, plane_webhook
from icsfeed.app.watch import Sleep, Watch
from icsfeed.core.errors import BadParameter, FeedError, NoCopy, PlaneError, UnknownFeed
from icsfeed.core.query import parse_query

READ = (HttpMethod.GET, HttpMethod.HEAD)
DESCRIPTION = "Calendar feeds for the due dates of a Plane workspace"
NOT_FOUND = "There is no calendar here. Ask for a new link."

log = logging.getLogger("icsfeed.web")

Clock = Callable[[], datetime]


def create_app(
    service: FeedService,
    clock: Clock,
    timer: Callable[[], float] = monotonic,
    sleep: Sleep = asyncio.sleep,
) -> Litestar:
    """The server over ready feeds. It starts reading Plane when it starts, and ends that when it stops."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        watching = [asyncio.create_task(watch.run()) for watch in watches.values()]
        yield
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for name, workspace in service.workspaces.items():
            await watches[name].close()
            await workspace.close()

    started = clock()
    cache = service.config.cache
    workspaces = service.workspaces.items()
    watches = {name: Watch(workspace, cache, timer, sleep) for name, workspace in workspaces}
    webhooks = Webhooks(service.config.workspaces, watches, clock, timer)
    app = Litestar(
        [private_feed, public_feed, root, health, ready, robots, openapi, plane_webhook],
        before_send=[_varies(service.config.cors)],
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "clock": Provide(lambda: clock, sync_to_thread=False),
            "webhooks": Provide(lambda: webhooks, sync_to_thread=False),
            "started": Provide(lambda: started, sync_to_thread=False),
        },
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        cors_config=_cors(service.config.cors),
        lifespan=[lifespan],
        openapi_config=OpenAPIConfig(
            title="icsfeed",
            version=__version__,
            description=DESCRIPTION,
            path="/docs",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
        state=State({"clock": clock}),
    )
    prefix = unquote(urlsplit(service.config.public_url or "").path)
    if prefix:
        app.asgi_handler = _behind(prefix, app.asgi_handler, frozenset(route.path for route in app.routes))
    return app


def _behind(prefix: str, app: ASGIApp, routes: frozenset[str]) -> ASGIApp:
    """The app for a proxy that may strip the path of the public address, or hand it on: both find the routes.

    It is taken off where one of our routes may follow, so that it may even be `/feeds`.
    """
    first = {route.split("/")[1] for route in routes}

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        rest = path.removeprefix(prefix) or "/"
        if path not in routes and rest.startswith("/") and rest.split("/")[1] in first:
            scope["path"] = rest
        await app(scope, receive, send)

    return handle


@route("/feeds/{token:str}/{file:str}", http_method=READ, summary="A calendar, by its secret link")
async def private_feed(
    token: FromPath[str],
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    clock: NamedDependency[Clock],
) -> Response[Any]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored."""
    return await _feed(service, clock, request, file, token)


@route("/feeds/{file:str}", http_method=READ, summary="A public calendar")
async def public_feed(
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    clock: NamedDependency[Clock],
) -> Response[Any]:
    """A calendar that the configuration calls public."""
    return await _feed(service, clock, request, file, None)


async def _feed(
    service: FeedService, clock: Clock, request: Request[Any, Any, Any], file: str, token: str | None
) -> Response[Any]:
    name = file.removesuffix(".ics")
    access = service.links.access(name, token) if file != name else None
    if access is None:
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    try:
        if access == "revoked":
            rendered = service.revoked(name)
        else:
            rendered = await service.rendered(name, parse_query(request.query_params.multi_items()))
    except BadParameter as error:
        details = {"field": error.field, "reason": error.reason}
        return error_answer(400, "INVALID_PARAMETER", str(error), now=clock(), details=details)
    except UnknownFeed:
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    except NoCopy as error:
        return _not_yet(error.retry_after)
    except FeedError as error:
        log.error("%s", error)
        return _not_yet(300)
    age = int(service.config.cache.issues) if token is None else None
    return feed_answer(rendered, request.headers, filename=file, public_age=age)


def _not_yet(retry_after: int) -> Response[str]:
    text = "This calendar cannot be read yet. It will be there when the server has read Plane."
    return plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(retry_after)})


@route("/", http_method=READ, summary="What this server is")
async def root(clock: NamedDependency[Clock], started: NamedDependency[datetime]) -> dict[str, str | int]:
    """Name, version and uptime (whole seconds). Never a feed's name."""
    return {
        "name": "icsfeed",
        "version": __version__,
        "description": DESCRIPTION,
        "status": "running",
        "uptime": int((clock() - started).total_seconds()),
    }


@route("/health", http_method=READ, summary="Whether the process lives")
async def health(clock: NamedDependency[Clock]) -> dict[str, str]:
    """Says that the process lives; never touches Plane."""
    return {"status": "healthy", "timestamp": timestamp(clock())}


@route("/health/ready", http_method=READ, summary="Whether every feed can be served")
async def ready(
    service: NamedDependency[FeedService], clock: NamedDependency[Clock]
) -> Response[dict[str, Any]]:
    """200 once every active workspace has a good copy, else 503 with the reasons."""
    missing = {
        name: _in_a_word(workspace.last_error)
        for name, workspace in service.workspaces.items()
        if not workspace.is_ready
    }
    body = {"status": "unready" if missing else "ready", "reasons": missing, "timestamp": timestamp(clock())}
    status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
    return Response(body, status_code=status, headers=NEVER_STORED)


def _in_a_word(error: PlaneError | None) -> str:
    """What is wrong, without the addresses and names that an error's text holds: anybody may ask."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower() if error else "not read yet"


@route("/robots.txt", http_method=READ, media_type="text/plain", summary="For crawlers")
async def robots() -> str:
    """Allows everything: calendar services ask first. Feeds carry X-Robots-Tag instead."""
    return "User-agent: *\nAllow: /\n"


@get("/openapi.json", summary="This description", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI description of these routes."""
    return request.app.openapi_schema.to_schema()


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins), allow_methods=["GET"], expose_headers=["ETag", "Last-Modified"]
    )


def _varies(origins: tuple[str, ...]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Says on what answers depend, on errors too; litestar's CORS puts `Origin` in the place of all else."""
    fields = "Accept-Encoding, Origin" if origins else "Accept-Encoding"

    async def before_send(message: Message, _scope: Scope) -> None:
        if message["type"] == "http.response.start":
            MutableScopeHeaders.from_message(message)["Vary"] = fields

    return before_send


CODES: Mapping[int, str] = {
    400: "INVALID_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What litestar itself refuses: no such route, a method that is not allowed."""
    if request.scope["path"].startswith("/feeds/") and error.status_code == HTTPStatus.NOT_FOUND:
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    code = CODES.get(error.status_code, "INTERNAL_ERROR" if error.status_code >= 500 else "INVALID_REQUEST")
    message = HTTPStatus(error.status_code).phrase
    now = request.app.state.clock()
    return error_answer(error.status_code, code, message, now=now, headers=error.headers)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of ours: logged whole, told in one sentence."""
    log.error("unexpected error", exc_info=error)
    now = request.app.state.clock()
    return error_answer(500, "INTERNAL_ERROR", "The server failed. Its log says more.", now=now)
