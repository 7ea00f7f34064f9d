"""Who is at the other end of a connection, and whom a sign-in proxy there vouches for."""

from collections.abc import Collection
from typing import Any

from litestar import Request
from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.core.addresses import belongs, read_address
from icsfeed.core.config import AuthProxy

PEER = "icsfeed.peer"


def keeping_peer(app: ASGIApp) -> ASGIApp:
    """The app with the connection's own address kept, before X-Forwarded-For takes its place in the scope."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope.setdefault(PEER, client[0] if client else "")  # type: ignore[misc]
        await app(scope, receive, send)

    return handle


def reader_of(request: Request[Any, Any, Any]) -> str:
    """The address of whoever asks, as far as it is known."""
    return request.client.host if request.client else ""


def is_within(address: str, networks: Collection[str]) -> bool:
    """Whether an IP address is in one of these networks."""
    found = read_address(address)
    return found is not None and belongs(found, networks)


def signed_in(request: Request[Any, Any, Any], proxy: AuthProxy | None) -> str | None:
    """The e-mail of the person whom the proxy has signed in; None: nobody.

    Only a connection from the proxy itself counts, whatever X-Forwarded-For says, and only one header:
    a second one would be somebody else's.
    """
    client = request.client.host if request.client else ""
    if proxy is None or not is_within(str(request.scope.get(PEER, client)), proxy.networks):
        return None
    named = request.headers.getall(proxy.header, [])
    email = named[0].strip() if len(named) == 1 else ""
    return email if "@" in email and email.isprintable() and "," not in email else None
