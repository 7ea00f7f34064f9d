"""The HTTP server: its routes, errors, start and stop. Everything it needs is handed to `create_app`."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.enums import MediaType
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed import __version__
from icsfeed.config.schema import Config
from icsfeed.feeds.service import FeedService
from icsfeed.push.scheduler import PushScheduler
from icsfeed.web.access_log import AccessLog
from icsfeed.web.client_address import keeping_peer
from icsfeed.web.fast_path import FastPath
from icsfeed.web.feed_response import FeedEndpoint
from icsfeed.web.feeds import private_feed, public_feed
from icsfeed.web.middleware import behind_proxies, within_bounds
from icsfeed.web.openapi import SECURITY
from icsfeed.web.pages.assets import Assets, static_file
from icsfeed.web.pages.docs import docs
from icsfeed.web.pages.embed import private_embed, public_embed
from icsfeed.web.pages.errors import refusal
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.me import Memberships, me
from icsfeed.web.pages.render import PageRenderer, message_answer, page_request, wants_html
from icsfeed.web.responses import NOT_FOUND, error_answer, plain_answer
from icsfeed.web.state import ServerState
from icsfeed.web.status.admin import admin_routes
from icsfeed.web.status.health import DESCRIPTION, api_health, health, ready, robots, root
from icsfeed.web.webhooks import Webhooks, plane_webhook

log = logging.getLogger("icsfeed.web")


def create_app(service: FeedService, server: ServerState) -> Litestar:
    """The server over ready feeds. It starts reading Plane when it starts, and ends that when it stops.

    What must outlive this configuration is in `server`, which the next server may go on with.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        for watch in watches.values():
            watch.start()
        pusher.start()
        yield
        await pusher.close()
        for workspace in service.workspaces.values():
            await server.leave(workspace)

    config, clock = service.config, server.clock
    watches = {name: server.watch(one, config.cache) for name, one in service.workspaces.items()}
    pusher = PushScheduler(service, server.push_context, server.pushed, server.timer, server.sleep)
    webhooks = Webhooks(config.workspaces, watches, clock, server.deliveries)
    vary = "Accept-Encoding, Origin" if config.cors else "Accept-Encoding"
    endpoint = FeedEndpoint(service, server, vary)
    assets = Assets()
    ready_made = {
        "service": service,
        "server": server,
        "clock": clock,
        "webhooks": webhooks,
        "push_now": pusher.run_now,
        "endpoint": endpoint,
        "assets": assets,
        "pages": PageRenderer(assets),
        "sheets": FeedViews(service),
        "memberships": Memberships(service, server.timer, server.clock),
    }
    app = Litestar(
        [
            *(private_feed, public_feed, plane_webhook, admin_routes(config, server)),
            *(root, health, ready, api_health, robots, docs),
            *(private_embed, public_embed, me, static_file),
        ],
        dependencies={
            **{name: _provided(value) for name, value in ready_made.items()},
            "pushes": Provide(lambda: pusher.status, sync_to_thread=False),
        },
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        cors_config=_cors(config.cors),
        lifespan=[lifespan],
        openapi_config=OpenAPIConfig(
            title="icsfeed",
            version=__version__,
            description=DESCRIPTION,
            path="/openapi.json",
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"], media_type=MediaType.JSON)],
            use_handler_docstrings=True,
            components=SECURITY,
        ),
        logging_config=None,
        state=State(ready_made, deep_copy=False),
    )
    shortcut = FastPath(service, endpoint, _varying(vary, app.asgi_handler))
    app.asgi_handler = _with_middleware(shortcut, app, config, server)
    return app


def _with_middleware(handler: ASGIApp, app: Litestar, config: Config, server: ServerState) -> ASGIApp:
    """What a request passes before it is routed, the outermost last."""
    prefix = unquote(urlsplit(config.public_url or "").path)
    if prefix:
        handler = _behind(prefix, handler, frozenset(route.path for route in app.routes))
    requests = AccessLog(server.timer, addresses=config.log_addresses)
    handler = requests.around(within_bounds(handler, config, server.clock))
    return keeping_peer(behind_proxies(handler, config))


def _provided(value: object) -> Provide:
    """A ready object, for the handlers that name it among their arguments."""
    return Provide(lambda: value, sync_to_thread=False)


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


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins), allow_methods=["GET"], expose_headers=["ETag", "Last-Modified"]
    )


def _varying(fields: str, app: ASGIApp) -> ASGIApp:
    """Says on what answers depend, on errors too; litestar's CORS puts `Origin` in the place of all else."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def saying(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                on_accept = "Accept" in headers.get("Vary", "").split(", ")
                headers["Vary"] = f"{fields}, Accept" if on_accept else fields
            await send(message)

        await app(scope, receive, saying)

    return handle


CODES: Mapping[int, str] = {
    400: "INVALID_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What litestar itself refuses: no such route, a method that is not allowed."""
    if wants_html(request) and error.status_code == HTTPStatus.NOT_FOUND:
        return refusal(request, request.app.state.service, request.app.state.pages, None)
    if request.scope["path"].startswith("/feeds/") and error.status_code == HTTPStatus.NOT_FOUND:
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    code = CODES.get(error.status_code, "INTERNAL_ERROR" if error.status_code >= 500 else "INVALID_REQUEST")
    message = HTTPStatus(error.status_code).phrase
    now = request.app.state.clock()
    return error_answer(error.status_code, code, message, now=now, headers=error.headers)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of ours: logged whole, told in one sentence."""
    log.error("unexpected error", exc_info=error)
    if wants_html(request):
        ask = page_request(request, request.app.state.service.config)
        return message_answer(request.app.state.pages, ask, "page failed", 500)
    now = request.app.state.clock()
    return error_answer(500, "INTERNAL_ERROR", "The server failed. Its log says more.", now=now)
