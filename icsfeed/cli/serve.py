"""The server as a process: its socket, uvicorn, and the signals that reload or end it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from ctypes import CDLL
from functools import partial
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import TYPE_CHECKING, Any

import click
import httpx
import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from icsfeed.cli.output import why_not_listening
from icsfeed.cli.support import BUSY, load_configuration, push_folder, set_up_logs
from icsfeed.config.file import fingerprint
from icsfeed.config.values import secrets_of
from icsfeed.push.run import PushContext, push
from icsfeed.server.build import WorkspacePool, utc_now
from icsfeed.server.connections import Admission, BoundedProtocol, close_slow_connections, dated
from icsfeed.server.host import hosted
from icsfeed.server.listening import address_of, leave, open_listener, open_unix_listener
from icsfeed.server.live_status import ServedAddress
from icsfeed.server.reload import Reloader
from icsfeed.server.systemd import Notifier, keep_alive, notifier
from icsfeed.store.store import open_store
from icsfeed.web.client_address import is_within
from icsfeed.web.state import ServerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from litestar.types import ASGIApp

    from icsfeed.config.schema import Config

ENDING = (signal.SIGINT, signal.SIGTERM)


async def serve_file(
    path: Path | None,
    config: Config,
    host: str,
    port: int,
    uds: str | None,
    ready: Callable[[str], Awaitable[None]],
) -> None:
    """Serve a configuration and what becomes of it, until a signal ends it. `path`: None: the environment."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    store = open_store(config.store.reveal(), os.environ)
    context = PushContext(push_folder, store, utc_now)
    server = ServerState(utc_now, push=partial(push, context=context))
    async with hosted(config, WorkspacePool(store), store, server) as site:
        reloading = Reloader(
            site,
            lambda: load_configuration(path),
            lambda: fingerprint(path) if path else None,
            _told_of(config),
            around=notifier(os.environ).reloading,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.tell)
        watching = asyncio.create_task(reloading.run())
        served = ServedAddress(os.environ)

        async def answers(url: str) -> None:
            served.remember(url)
            await ready(url)

        try:
            await listen(site, host, port, answers, lambda: site.service.config.trusted_proxies, uds)
        finally:
            served.forget()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def serve_sample(
    config: Config, issues: int, port: int, ready: Callable[[str, Mapping[str, Any]], None]
) -> None:
    """Serve the sample workspace from a Plane of our own, until a signal ends it. `ready` gets the links."""
    # Only the demo needs a Plane.
    from icsfeed.demo.access import KeyLimits
    from icsfeed.demo.api import create_plane
    from icsfeed.demo.sample import sample

    plane: Any = create_plane(
        sample(utc_now().date(), issues=issues), utc_now, limits=KeyLimits(person=100_000)
    )
    store = open_store("memory", {})
    pool = WorkspacePool(store, transports=dict.fromkeys(config.workspaces, httpx.ASGITransport(plane)))
    async with hosted(config, pool, store, ServerState(utc_now)) as site:

        async def answers(url: str) -> None:
            ready(url, await site.service.all_links(url))

        await listen(site, "127.0.0.1", port, answers)


def _told_of(first: Config) -> Callable[[Config], None]:
    """What a new configuration changes of the process: the secrets that the log hides, the old ones too."""
    hidden = set(secrets_of(first))

    def loaded(config: Config) -> None:
        hidden.update(secrets_of(config))
        set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", hidden)
        if config.store != first.store:
            click.echo("icsfeed: the store is changed by a restart only", err=True)

    return loaded


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
    host: str,
    port: int,
    ready: Callable[[str], Awaitable[None]],
    proxies: Callable[[], Collection[str]] = tuple,
    uds: str | None = None,
) -> None:
    """Serve until a signal ends it. `ready` is called with the server's address once it answers.

    `proxies`: the networks of those that have more than one client's share of connections. `uds`: the path
    of a Unix socket, in the place of host and port.
    """
    listener, systemd = _listener(host, port, uds), notifier(os.environ)
    url = address_of(listener)

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


def _listener(host: str, port: int, uds: str | None) -> socket.socket:
    """The socket to listen on. Ends the process where it cannot be had."""
    try:
        return open_unix_listener(uds) if uds else open_listener(host, port)
    except OSError as error:
        where, why = uds or f"{host}:{port}", why_not_listening(error, "--uds" if uds else "--port")
        click.echo(f"icsfeed: cannot listen on {where}: {why}", err=True)
        sys.exit(BUSY)
