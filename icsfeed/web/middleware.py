"""ASGI middleware around the server: who asks, by which address, and what is refused before routing.

Limits of the connection itself (slow clients, the size of headers) are in icsfeed/server/connections.py.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from litestar.routes import BaseRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed.config.schema import Config
from icsfeed.web.proxies import client_address, is_allowed_host, is_within, read_address
from icsfeed.web.responses import Clock, error_answer, send_response

MAX_URL_BYTES = 8192
"""Path and query, as most proxies allow: a link has 200, narrowed by many labels 2,000."""

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x20\x7f/?#@\[\]\\,:\"<>]*)(?::[0-9]*)?")
"""Host and port (RFC 9110, 7.2), names beyond ASCII included: what is not allowed is not served anyway."""

WRONG_HOST = "This server does not answer to that Host header, or there is not exactly one (`allowed_hosts`)."
TOO_LONG = f"The address is longer than {MAX_URL_BYTES} bytes."


def trust_proxies(app: ASGIApp, config: Config) -> ASGIApp:
    """Take client address and scheme from the X-Forwarded headers of the configuration's `trusted_proxies`.

    uvicorn's ProxyHeadersMiddleware (0.54) does not know a proxy by its IPv4-mapped address, which sockets
    for both families report (`::ffff:10.0.0.1`), and takes a hop that is no address for the client's.
    """
    if not config.trusted_proxies:
        return app

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["client"]:
            peer, port = scope["client"]
            address = client_address(peer, _values(scope, b"x-forwarded-for"), config.trusted_proxies)
            scope["client"] = (address, port if address == peer else 0)
            if is_within(peer, config.trusted_proxies):
                schemes = [value.strip().lower() for value in _values(scope, b"x-forwarded-proto")]
                if schemes in (["http"], ["https"]):
                    scope["scheme"] = schemes[0]
        await app(scope, receive, send)

    return handle


def check_request(app: ASGIApp, config: Config, clock: Clock) -> ASGIApp:
    """Refuse addresses that are too long, and hosts other than the configuration's `allowed_hosts`.

    litestar's AllowedHostsMiddleware (2.25) compares with the port and by case, refuses health checks by the
    loopback address, and takes requests with several Host headers.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
            refusal = error_answer(414, "URL_TOO_LONG", TOO_LONG, now=clock())
        elif not _is_host_allowed(scope, config):
            refusal = error_answer(400, "INVALID_HOST", WRONG_HOST, now=clock())
        else:
            await app(scope, receive, send)
            return
        await send_response(refusal, scope, receive, send)

    return handle


def _is_host_allowed(scope: Scope, config: Config) -> bool:
    hosts = [value for key, value in scope["headers"] if key == b"host"]
    if not hosts:
        # HTTP/1.0, which some health checks of load balancers still speak, need not name a host.
        return scope["http_version"] != "1.1" and not config.allowed_hosts
    if len(hosts) > 1 or not HOST.fullmatch(hosts[0]):
        return False
    host = hosts[0].decode("latin-1")
    # urlsplit raises for our own addresses with a host such as `[::::]`.
    is_address = not host.startswith("[") or read_address(host) is not None
    return is_address and is_allowed_host(host, config.allowed_hosts)


def accept_prefix(app: ASGIApp, config: Config, routes: Iterable[BaseRoute]) -> ASGIApp:
    """Serve the routes under the path of `public_url` too: some proxies strip it, and some pass it on.

    It is taken off where one of our routes may follow, so that it may even be `/feeds`.
    """
    prefix = unquote(urlsplit(config.public_url or "").path)
    if not prefix:
        return app
    paths = frozenset(route.path for route in routes)
    first_segments = {path.split("/")[1] for path in paths}

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        rest = path.removeprefix(prefix) or "/"
        if path not in paths and rest.startswith("/") and rest.split("/")[1] in first_segments:
            scope["path"] = rest
        await app(scope, receive, send)

    return handle


def add_vary(app: ASGIApp, fields: str) -> ASGIApp:
    """Name the request headers that answers depend on, errors included.

    litestar's CORS middleware (2.25) puts `Origin` in the place of all others, and only with its own headers.
    """
    vary = (b"vary", fields.encode())

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_vary(message: Message) -> None:
            # Calendars have it already.
            if message["type"] == "http.response.start" and vary not in message["headers"]:
                own = [value.decode("latin-1") for name, value in message["headers"] if name == b"vary"]
                named = dict.fromkeys(field for line in (fields, *own) for field in line.split(", "))
                others = [header for header in message["headers"] if header[0] != b"vary"]
                message["headers"] = [*others, (b"vary", ", ".join(named).encode("latin-1"))]
            await send(message)

        await app(scope, receive, send_with_vary)

    return handle


def _values(scope: Scope, name: bytes) -> Iterable[str]:
    return (value.decode("latin-1") for key, value in scope["headers"] if key == name)
