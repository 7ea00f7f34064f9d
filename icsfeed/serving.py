"""The server as a process: its socket, uvicorn, and the signals that end it."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import click
import uvicorn

from icsfeed.running import BUSY
from icsfeed.terminal import why_not_listening

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar import Litestar


async def listen(app: Litestar, host: str, port: int, ready: Callable[[str], Awaitable[None]]) -> None:
    """Serve until a signal ends it. `ready` is called with the server's address once it answers."""
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        click.echo(f"icsfeed: cannot listen on {host}:{port}: {why_not_listening(error)}", err=True)
        sys.exit(BUSY)

    # Connections inherit it. Without, a body waits 40 ms for the ACK of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            shown = f"[{host}]" if ":" in host else host
            await ready(f"http://{shown}:{listener.getsockname()[1]}")

    settings = uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
    await Server(settings).serve(sockets=[listener])
