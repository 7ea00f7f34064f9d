"""The HTTP server: its routes, errors, start and stop. Everything it needs is passed to `create_app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from icsfeed.errors import BadParameter, FeedError
from icsfeed.feeds.news.publisher import NewsFeeds
from icsfeed.feeds.service import FeedService
from icsfeed.push.scheduler import PushScheduler
from icsfeed.single_flight import cancel
from icsfeed.web.access_log import AccessLog
from icsfeed.web.client_address import remember_peer
from icsfeed.web.dav.endpoint import DavEndpoint, dav, dav_paths
from icsfeed.web.feeds.endpoint import FeedEndpoint
from icsfeed.web.me.invitation import accept_invitation, invitation
from icsfeed.web.me.links import change_own_link, make_own_link, own_links, page_options, sign_out
from icsfeed.web.me.page import me
from icsfeed.web.middleware import accept_prefix, add_vary, check_request, trust_proxies
from icsfeed.web.openapi import openapi_config
from icsfeed.web.pages.docs import docs, static_file
from icsfeed.web.pages.embed import embed
from icsfeed.web.pages.errors import http_error, page_error, unexpected_error
from icsfeed.web.pages.feed import feed_page
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.state import ServerState, Site
from icsfeed.web.status.admin import ADMIN_ROUTES
from icsfeed.web.status.health import api_health, health, ready, robots, root
from icsfeed.web.webhooks import Webhooks, plane_webhook

ROUTES = (
    *(feed_page, embed, dav, plane_webhook, ADMIN_ROUTES),
    *(me, page_options, own_links, make_own_link, change_own_link, sign_out, invitation, accept_invitation),
    *(root, health, ready, api_health, robots, docs, static_file),
)
ERROR_HANDLERS = {
    HTTPException: http_error,
    FeedError: page_error,
    BadParameter: page_error,
    Exception: unexpected_error,
}


def create_app(service: FeedService, server: ServerState) -> Litestar:
    """Return the server of a configuration. It reads Plane and pushes from its start to its stop.

    What must outlive the configuration is in `server`, which the next app gets too.
    """
    config = service.config
    watches = {name: server.watch(workspace, config.cache) for name, workspace in service.workspaces.items()}
    pusher = PushScheduler(service, server.push, server.pushed, server.clock, server.timer, server.sleep)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        for watch in watches.values():
            watch.start()
        pusher.start()
        following = asyncio.create_task(service.own.follow(server.sleep))
        yield
        await cancel([following])
        await service.own.store_readers()
        await pusher.close()
        for workspace in service.workspaces.values():
            await server.leave(workspace)

    vary = "Accept-Encoding, Origin" if config.cors else "Accept-Encoding"
    site = Site(service, server, FeedViews(service), pusher)
    dependencies = {
        "site": site,
        "webhooks": Webhooks(config.workspaces, watches, server.clock, server.deliveries),
    }
    exposed = ["ETag", "Last-Modified"]
    cors = CORSConfig(allow_origins=list(config.cors), allow_methods=["GET"], expose_headers=exposed)
    endpoint = FeedEndpoint(service, NewsFeeds(service), server, vary)
    dav_endpoint = DavEndpoint(service, server)
    app = Litestar(
        ROUTES,
        dependencies={name: _constant(value) for name, value in dependencies.items()},
        exception_handlers=ERROR_HANDLERS,  # type: ignore[arg-type]
        cors_config=cors if config.cors else None,
        lifespan=[lifespan],
        openapi_config=openapi_config(),
        logging_config=None,  # litestar's prints the URLs that httpx asks for
        state=State({"site": site, "endpoint": endpoint, "dav": dav_endpoint}, deep_copy=False),
    )
    handler = accept_prefix(add_vary(dav_paths(app.asgi_handler, dav_endpoint), vary), config, app.routes)
    handler = endpoint.repeated.around(check_request(handler, config, server.clock))
    access_log = AccessLog(server.timer, addresses=config.log_addresses)
    app.asgi_handler = remember_peer(trust_proxies(access_log.around(handler), config))
    return app


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
