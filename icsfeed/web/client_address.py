"""The address of a client, and the person whom a sign-in proxy has authenticated."""

import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.config.schema import AuthProxy
from icsfeed.web.limits import GuessLimiter
from icsfeed.web.proxies import is_within

PEER_KEY = "icsfeed.peer"
"""In the ASGI scope: the address of the connection itself."""
PROOF_HEADER = "x-icsfeed-proxy-secret"


def remember_peer(app: ASGIApp) -> ASGIApp:
    """Remember the connection's own address, before X-Forwarded-For takes its place in the scope."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope.setdefault(PEER_KEY, client[0] if client else "")  # type: ignore[misc]
        await app(scope, receive, send)

    return handle


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the client's address, as far as it is known."""
    return connection.client.host if connection.client else ""


def signed_in(request: Request[Any, Any, Any], proxy: AuthProxy | None, guesses: GuessLimiter) -> str | None:
    """Return the e-mail of the person whom the proxy has signed in; None: nobody.

    Only a connection from the proxy itself counts, whatever X-Forwarded-For says, with the secret where one
    is configured, and only one header: a second one was not set by the proxy.
    """
    peer = str(request.scope.get(PEER_KEY, client_of(request)))
    if (
        proxy is None
        or not is_within(peer, proxy.networks)
        or not _knows_secret(request, proxy, peer, guesses)
    ):
        return None
    values = request.headers.getall(proxy.header, [])
    email = values[0].strip() if len(values) == 1 else ""
    # Proxies that merge repeated headers join them with commas.
    return email if "@" in email and email.isprintable() and "," not in email else None


def _knows_secret(
    request: Request[Any, Any, Any], proxy: AuthProxy, peer: str, guesses: GuessLimiter
) -> bool:
    """Return whether a request has the secret of the proxy. Count a wrong one as a guess from its address.

    The right one is accepted however many were wrong: everybody signs in through that address, and other
    programs there must not lock them out. Its 32 characters cannot be guessed.
    """
    values = request.headers.getall(PROOF_HEADER, [])
    if proxy.secret is None:
        return True
    if len(values) != 1:
        return False
    if hmac.compare_digest(values[0].encode("latin-1"), proxy.secret.reveal().encode()):
        return True
    guesses.wrong(peer)
    return False


def is_same_site(connection: ASGIConnection[Any, Any, Any, Any], public_url: str | None) -> bool | None:
    """Return whether a page of ours made a browser send this, or its user did; None: nothing says so."""
    sites = connection.headers.getall("sec-fetch-site", [])
    if sites:
        return sites in (["same-origin"], ["none"])
    # Browsers before Sec-Fetch-Site (Safari before 16.4), and all without https, only name the origin, with
    # every form. The scheme is not compared: a proxy that ends TLS need not be trusted.
    origins = connection.headers.getall("origin", [])
    ours = {connection.headers.get("host", "").lower(), urlsplit(public_url or "").netloc.lower()} - {""}
    return all(origin.lower().partition("://")[2] in ours for origin in origins) if origins else None
