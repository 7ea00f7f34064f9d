"""The HTTP server: its routes, errors, start and stop. Everything it needs is handed to `create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from litestar import Litestar
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
from icsfeed.errors import BadParameter, FeedError
from icsfeed.feeds.service import FeedService
from icsfeed.push.scheduler import PushScheduler
from icsfeed.web.access_log import AccessLog
from icsfeed.web.client_address import keeping_peer
from icsfeed.web.feed_response import FeedEndpoint
from icsfeed.web.feeds import private_feed, public_feed
from icsfeed.web.middleware import behind_proxies, within_bounds
from icsfeed.web.openapi import SECURITY
from icsfeed.web.pages.assets import Assets, static_file
from icsfeed.web.pages.docs import docs
from icsfeed.web.pages.embed import private_embed, public_embed
from icsfeed.web.pages.errors import http_error, page_error, unexpected_error
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.me import Memberships, me
from icsfeed.web.pages.render import PageRenderer
from icsfeed.web.state import ServerState
from icsfeed.web.status.admin import admin_routes
from icsfeed.web.status.health import DESCRIPTION, api_health, health, ready, robots, root
from icsfeed.web.webhooks import Webhooks, plane_webhook


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
        exception_handlers={
            HTTPException: http_error,
            FeedError: page_error,
            BadParameter: page_error,
            Exception: unexpected_error,
        },
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
        state=State({**ready_made, "endpoint": endpoint}, deep_copy=False),
    )
    app.asgi_handler = _with_middleware(_varying(vary, app.asgi_handler), app, config, server)
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

    vary = (b"vary", fields.encode())

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def saying(message: Message) -> None:
            # Calendars say it themselves, which saves a look through their headers with each answer.
            if message["type"] == "http.response.start" and vary not in message["headers"]:
                headers = MutableScopeHeaders.from_message(message)
                on_accept = "Accept" in headers.get("Vary", "").split(", ")
                headers["Vary"] = f"{fields}, Accept" if on_accept else fields
            await send(message)

        await app(scope, receive, saying)

    return handle
