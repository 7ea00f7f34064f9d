"""The server as a process: uvicorn on an open socket, its event loop, and its limits in the system."""

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
from icsfeed.server.connections import Admission, BoundedProtocol, close_slow_connections, with_date
from icsfeed.server.listening import address_of
from icsfeed.server.systemd import Notifier, feed_watchdog, notifier
from icsfeed.web.proxies import is_within

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from litestar.types import ASGIApp

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHUTDOWN_SECONDS = 10
"""How long requests under way may take after a signal, before uvicorn cancels them."""

THREAD_SWITCH_SECONDS = 0.0005
"""After which a thread that renders lets the event loop run. Python's 0.005 delay each step of an answer."""
GC_THRESHOLDS = (10_000, 20, 1_000)
"""For gc.set_threshold. A full collection stops the server for 50 ms with 10,000 issues in memory, and with
Python's own thresholds it falls into the middle of a refresh."""
MALLOC_OPTIONS = {-8: 1, -3: 4 << 20, -1: 4 << 20}
"""glibc's M_ARENA_MAX (arenas), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (bytes). With an arena for each thread,
memory that one has freed is not used by the others: a third of what 10,000 issues take."""

MAX_DESCRIPTORS = 65_536
"""Open files and connections, where the hard limit allows it; 1,024 is the usual soft limit."""
RESERVED_DESCRIPTORS = 256
"""Those not for clients: the store, the configuration, Plane, CalDAV. At most a quarter of all."""


class UvicornServer(uvicorn.Server):
    """uvicorn's server; calls `on_start` when it answers, tells systemd when it stops, and returns then."""

    def __init__(
        self, settings: uvicorn.Config, on_start: Callable[[], Awaitable[None]], systemd: Notifier
    ) -> None:
        super().__init__(settings)
        self._on_start, self._systemd = on_start, systemd

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on signals.

        uvicorn's own (0.54) raises the signal again afterwards, which ends the process before workspaces and
        store are closed.
        """
        previous = {number: signal.signal(number, self.handle_exit) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._systemd.stopping()
        await super().shutdown(sockets)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, or Python's where it is not installed; set the process up to serve."""
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    set_malloc_options()
    raise_descriptor_limit()
    # What is imported by now lives as long as the process: no collection has to look at it.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    return auto_loop_factory()()


def set_malloc_options() -> None:
    """Share one arena between all threads and return freed memory to the system; do nothing without glibc."""
    with suppress(OSError, AttributeError):
        mallopt = CDLL(None).mallopt
        for option, value in MALLOC_OPTIONS.items():
            mallopt(option, value)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors towards MAX_DESCRIPTORS.

    Where setrlimit is forbidden, as by the system call filter of systemd/icsfeed.service, the unit has
    already set the limit (LimitNOFILE).
    """
    with suppress(OSError, ValueError):
        soft, hard = getrlimit(RLIMIT_NOFILE)
        limit = MAX_DESCRIPTORS if hard == RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
        if soft != RLIM_INFINITY and soft < limit:
            setrlimit(RLIMIT_NOFILE, (limit, hard))


def connection_capacity() -> int:
    """Return how many connections may be open at once, so that the reserve is left."""
    try:
        soft, _ = getrlimit(RLIMIT_NOFILE)
    except (OSError, ValueError):
        soft = 1024
    limit = MAX_DESCRIPTORS if soft == RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)
    return limit - min(RESERVED_DESCRIPTORS, limit // 4)


async def serve_app(
    app: ASGIApp,
    listener: socket.socket,
    on_start: Callable[[str], Awaitable[None]],
    proxies: Callable[[], Collection[str]] = tuple,
) -> None:
    """Serve on a socket until a signal; call `on_start` with its URL once the server answers.

    `proxies`: networks whose addresses may have all connections, not only one client's share.
    """
    systemd, url = notifier(os.environ), address_of(listener)

    async def started() -> None:
        await on_start(url)
        systemd.ready(f"listening on {url}")

    admission = Admission(connection_capacity(), lambda address: is_within(address, proxies()))
    settings = uvicorn.Config(
        with_date(app, utc_now),
        http=partial(BoundedProtocol, admission=admission),  # type: ignore[arg-type]
        # uvicorn takes any WebSocket library that is installed, whose connections would escape our limits.
        ws="none",
        access_log=False,  # it prints whole paths, with the tokens of feeds in them: web/access_log.py
        server_header=False,
        date_header=False,  # `with_date`
        log_config=None,
        lifespan="off",  # each deployment runs its own (server/reload.py)
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        # Off: web/middleware.py trusts the proxies of the configuration, which a reload may change.
        proxy_headers=False,
    )
    server = UvicornServer(settings, started, systemd)
    background = (
        feed_watchdog(systemd, os.environ, os.getpid()),
        close_slow_connections(server.server_state.connections),
    )
    tasks = [asyncio.create_task(work) for work in background]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
