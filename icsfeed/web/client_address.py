"""Who is at the other end of a connection, and whom a sign-in proxy there vouches for."""

import hmac
from collections.abc import Collection
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.config.schema import AuthProxy
from icsfeed.web.limits import GuessLimiter
from icsfeed.web.proxies import is_in_networks, read_address

PEER = "icsfeed.peer"
PROOF_HEADER = "x-icsfeed-proxy-secret"


def remember_peer(app: ASGIApp) -> ASGIApp:
    """The app with the connection's own address kept, before X-Forwarded-For takes its place in the scope."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope.setdefault(PEER, client[0] if client else "")  # type: ignore[misc]
        await app(scope, receive, send)

    return handle


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the client's address, as far as it is known."""
    return connection.client.host if connection.client else ""


def is_within(address: str, networks: Collection[str]) -> bool:
    """Whether an IP address is in one of these networks."""
    found = read_address(address)
    return found is not None and is_in_networks(found, networks)


def signed_in(request: Request[Any, Any, Any], proxy: AuthProxy | None, guesses: GuessLimiter) -> str | None:
    """The e-mail of the person whom the proxy has signed in; None: nobody.

    Only a connection from the proxy itself counts, whatever X-Forwarded-For says, with the secret where there
    is one, and only one header: a second one would be somebody else's.
    """
    peer = str(request.scope.get(PEER, client_of(request)))
    if (
        proxy is None
        or not is_within(peer, proxy.networks)
        or not _knows_secret(request, proxy, peer, guesses)
    ):
        return None
    named = request.headers.getall(proxy.header, [])
    email = named[0].strip() if len(named) == 1 else ""
    return email if "@" in email and email.isprintable() and "," not in email else None


def _knows_secret(
    request: Request[Any, Any, Any], proxy: AuthProxy, peer: str, guesses: GuessLimiter
) -> bool:
    """Whether a request has the secret of the proxy. A wrong one is a guess of the address it came from.

    The right one is taken however many were wrong: everybody signs in through that address, and other
    programs there must not lock them out. Its 32 characters cannot be guessed.
    """
    given = request.headers.getall(PROOF_HEADER, [])
    if proxy.secret is None:
        return True
    if len(given) != 1:
        return False
    if hmac.compare_digest(given[0].encode("latin-1"), proxy.secret.reveal().encode()):
        return True
    guesses.wrong(peer)
    return False
