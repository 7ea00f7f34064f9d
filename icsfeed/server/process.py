"""The server as a process: uvicorn over an open socket, its event loop, and what it asks of the system."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from contextlib import contextmanager, suppress
from ctypes import CDLL
from functools import partial
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from icsfeed.server.build import utc_now
from icsfeed.server.connections import Admission, BoundedProtocol, close_slow_connections, dated
from icsfeed.server.listening import address_of, leave
from icsfeed.server.systemd import Notifier, keep_alive, notifier
from icsfeed.web.client_address import is_within

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from litestar.types import ASGIApp

ENDING = (signal.SIGINT, signal.SIGTERM)


class UvicornServer(uvicorn.Server):
    """uvicorn's server, which tells when it answers and when it ends, and comes back after a signal."""

    def __init__(
        self, settings: uvicorn.Config, answers: Callable[[], Awaitable[None]], told: Notifier
    ) -> None:
        super().__init__(settings)
        self._answers, self._told = answers, told

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's own, which raises the signal again at the end: nothing would be closed then."""
        before = {number: signal.signal(number, self.handle_exit) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._answers()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._told.stopping()
        await super().shutdown(sockets)


HAND_OVER = 0.0005
"""Seconds after which a thread that renders hands over to the event loop; Python's own 5 ms are a stall for
each step of an answer."""


HEAPS = {-8: 1, -3: 4 << 20, -1: 4 << 20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: a heap for each thread keeps what others could
use, a third of what 10,000 issues take."""


def spare_memory() -> None:
    """One heap for all threads, and what is freed goes back to the system; where glibc is."""
    with suppress(OSError, AttributeError):
        mallopt = CDLL(None).mallopt
        for parameter, value in HEAPS.items():
            mallopt(parameter, value)


DESCRIPTORS = 65_536
"""Files and connections that may be open together, where the system's hard limit lets us; 1,024 is usual."""
RESERVE = 256
"""Of them for ourselves (store, configuration, Plane, CalDAV servers); a quarter where there are few."""


def raise_descriptor_limit() -> None:
    """Have as many as we may. Where that is not allowed (systemd's filter), the unit has set it."""
    with suppress(OSError, ValueError):
        soft, hard = getrlimit(RLIMIT_NOFILE)
        most = DESCRIPTORS if hard == RLIM_INFINITY else min(hard, DESCRIPTORS)
        if soft != RLIM_INFINITY and soft < most:
            setrlimit(RLIMIT_NOFILE, (most, hard))


def connection_capacity() -> int:
    """How many connections there may be, so that the reserve is left."""
    try:
        soft, _ = getrlimit(RLIMIT_NOFILE)
    except (OSError, ValueError):
        soft = 1024
    most = DESCRIPTORS if soft == RLIM_INFINITY else min(soft, DESCRIPTORS)
    return most - min(RESERVE, most // 4)


SEARCHES = (10_000, 20, 1_000)
"""When garbage in cycles is looked for (gc.set_threshold): a look at all that is kept stops the server for
50 ms at 10,000 issues, and Python's own settings take it in the middle of a refresh."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest there is (uvloop's, where it is installed), in a process that is set up to serve."""
    sys.setswitchinterval(HAND_OVER)
    spare_memory()
    raise_descriptor_limit()
    gc.freeze()
    gc.set_threshold(*SEARCHES)
    return auto_loop_factory()()


async def listen(
    app: ASGIApp,
    listener: socket.socket,
    ready: Callable[[str], Awaitable[None]],
    proxies: Callable[[], Collection[str]] = tuple,
) -> None:
    """Serve on this socket until a signal ends it. `ready` is called with its address once it answers.

    `proxies`: the networks of those that have more than one client's share of connections.
    """
    systemd, url = notifier(os.environ), address_of(listener)

    async def answers() -> None:
        await ready(url)
        systemd.ready(f"listens on {url}")

    admission = Admission(connection_capacity(), lambda address: is_within(address, proxies()))
    settings = uvicorn.Config(
        dated(app, utc_now),
        http=partial(BoundedProtocol, admission=admission),  # type: ignore[arg-type]
        ws="none",  # else any installed library would take connections out of their bounds
        access_log=False,
        server_header=False,
        date_header=False,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=10,
        proxy_headers=False,  # web/middleware.py believes the proxies of the configuration, and no other
    )
    server = UvicornServer(settings, answers, systemd)
    connections = server.server_state.connections
    beside = [keep_alive(systemd, os.environ, os.getpid()), close_slow_connections(connections)]
    tasks = [asyncio.create_task(work) for work in beside]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
        leave(url)
