"""What every request passes first: whose it is, and whether it is within bounds.

Bounds of the connection itself (slow clients, the size of headers) are in icsfeed/server/connections.py.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.config.schema import Config
from icsfeed.web.client_address import is_within
from icsfeed.web.proxies import client_address, is_allowed_host
from icsfeed.web.responses import Clock, error_answer, send_response

URL_LONGEST = 8192
"""Bytes of path and query, as most proxies allow: a link has 200, narrowed by many labels 2,000."""

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x20\x7f/?#@\[\]\\,:\"<>]*)(?::[0-9]*)?")
"""Host and port (RFC 9110, 7.2), names beyond ASCII included: what is not allowed is not served anyway."""

REFUSALS: Mapping[str, tuple[HTTPStatus, str]] = {
    "INVALID_HOST": (HTTPStatus.BAD_REQUEST, "One Host header must name this server, as it is known to it."),
    "URL_TOO_LONG": (HTTPStatus.REQUEST_URI_TOO_LONG, f"The address is longer than {URL_LONGEST} bytes."),
}


def behind_proxies(app: ASGIApp, config: Config) -> ASGIApp:
    """The app, which sees as client, and as scheme, what the configuration's `trusted_proxies` say."""
    if not config.trusted_proxies:
        return app

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["client"]:
            peer, port = scope["client"]
            found = client_address(peer, _values(scope, b"x-forwarded-for"), config.trusted_proxies)
            scope["client"] = (found, port if found == peer else 0)
            if is_within(peer, config.trusted_proxies):
                scope["scheme"] = _scheme(scope)
        await app(scope, receive, send)

    return handle


def _scheme(scope: Scope) -> str:
    """What the reader's address begins with: the proxy's word, where it is one."""
    said = [value.strip().lower() for value in _values(scope, b"x-forwarded-proto")]
    return said[0] if len(said) == 1 and said[0] in ("http", "https") else scope["scheme"]


def within_bounds(app: ASGIApp, config: Config, clock: Clock) -> ASGIApp:
    """The app, which sees no address that is too long and no host but the configuration's `allowed_hosts`."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        code = _wrong(scope, config)
        if code is None:
            await app(scope, receive, send)
            return
        status, message = REFUSALS[code]
        await send_response(error_answer(status, code, message, now=clock()), scope, receive, send)

    return handle


def _wrong(scope: Scope, config: Config) -> str | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > URL_LONGEST:
        return "URL_TOO_LONG"
    hosts = [value for key, value in scope["headers"] if key == b"host"]
    # HTTP/1.0, which some health checks of load balancers still speak, need not name a host.
    if len(hosts) != 1 and (hosts or scope["http_version"] == "1.1"):
        return "INVALID_HOST"
    if hosts and not HOST.fullmatch(hosts[0]):
        return "INVALID_HOST"
    if config.allowed_hosts and not (
        hosts and is_allowed_host(hosts[0].decode("latin-1"), config.allowed_hosts)
    ):
        return "INVALID_HOST"
    return None


def _values(scope: Scope, name: bytes) -> Iterable[str]:
    return (value.decode("latin-1") for key, value in scope["headers"] if key == name)
