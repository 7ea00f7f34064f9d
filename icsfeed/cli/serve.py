"""The commands `serve` and `demo` as processes: what they serve, on which socket, and the reload signal."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import httpx

from icsfeed import errors
from icsfeed.cli.support import EXIT_BUSY, EXIT_CONFIG, load_configuration, push_lock_folder, set_up_logs
from icsfeed.config.file import fingerprint
from icsfeed.config.values import secrets_of
from icsfeed.push.run import PushContext, push
from icsfeed.server.build import WorkspacePool, utc_now
from icsfeed.server.listening import (
    address_of,
    inherited_listener,
    open_listener,
    open_unix_listener,
    remove_socket,
)
from icsfeed.server.live_status import ServedAddress
from icsfeed.server.process import serve_app
from icsfeed.server.reload import Reloader, open_app
from icsfeed.server.systemd import notifier
from icsfeed.single_flight import cancel
from icsfeed.store.store import open_store
from icsfeed.web.state import ServerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from icsfeed.config.schema import Config


async def serve_file(
    path: Path | None,
    config: Config,
    host: str,
    port: int,
    uds: str | None,
    on_start: Callable[[str], Awaitable[None]],
) -> None:
    """Serve a configuration and its later versions until a signal ends it.

    `path`: its file; None: the environment. `uds`: the path of a Unix socket, instead of host and port.
    """
    # Until the reloader is there: by default SIGHUP would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    store = open_store(config.store.reveal(), os.environ)
    context = PushContext(push_lock_folder, store, utc_now)
    server = ServerState(utc_now, push=partial(push, context=context))
    async with open_app(config, WorkspacePool(store), store, server) as app:
        reloader = Reloader(
            app,
            lambda: load_configuration(path),
            lambda: fingerprint(path) if path else None,
            _on_load(config),
            reloading=notifier(os.environ).reloading,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
        watching = asyncio.create_task(reloader.run())
        served = ServedAddress(os.environ)

        async def started(url: str) -> None:
            served.save(url)
            await on_start(url)

        try:
            with _listening(host, port, uds) as listener:
                await serve_app(app, listener, started, lambda: app.service.config.trusted_proxies)
        finally:
            served.remove()
            await cancel([watching])


async def serve_sample(
    config: Config,
    edition: str,
    issues: int,
    port: int,
    on_start: Callable[[str, Mapping[str, Any]], None],
) -> None:
    """Serve the sample workspace from the demo's own Plane until a signal ends it.

    `edition`: a name in `icsfeed.demo.editions.EDITIONS`. `on_start` receives the URL and the links of all
    feeds.
    """
    # Only the demo needs a Plane.
    from icsfeed.demo.access import KeyLimits
    from icsfeed.demo.api import create_plane
    from icsfeed.demo.editions import EDITIONS
    from icsfeed.demo.sample import sample

    plays = EDITIONS[edition]
    data = sample(utc_now().date(), issues=issues, edition=plays)
    plane: Any = create_plane(data, utc_now, limits=KeyLimits(person=100_000), edition=plays)
    store = open_store("memory", {})
    pool = WorkspacePool(store, transports=dict.fromkeys(config.workspaces, httpx.ASGITransport(plane)))
    async with open_app(config, pool, store, ServerState(utc_now)) as app:

        async def started(url: str) -> None:
            on_start(url, await app.service.all_links(url))

        await serve_app(app, _open_socket("127.0.0.1", port, None), started)


def _on_load(first: Config) -> Callable[[Config], None]:
    """Return what a new configuration changes in the process: the log and the secrets that it hides."""
    # Old secrets stay hidden: workspaces of the previous configuration still log while they end.
    secrets = set(secrets_of(first))

    def on_load(config: Config) -> None:
        secrets.update(secrets_of(config))
        set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", secrets)
        if config.store != first.store:
            click.echo("icsfeed: a changed `store` takes effect after a restart", err=True)

    return on_load


@contextmanager
def _listening(host: str, port: int, uds: str | None) -> Iterator[socket.socket]:
    """Listen during the block: on the socket from systemd if there is one, whose file stays."""
    inherited = _inherited_socket()
    listener = inherited or _open_socket(host, port, uds)
    url = address_of(listener)
    try:
        yield listener
    finally:
        if not inherited:
            remove_socket(url)


def _inherited_socket() -> socket.socket | None:
    try:
        return inherited_listener(os.environ, os.getpid())
    except errors.InvalidValue as error:
        click.echo(f"icsfeed: {error}", err=True)
        sys.exit(EXIT_CONFIG)


def _open_socket(host: str, port: int, uds: str | None) -> socket.socket:
    """Return the socket to listen on; end the process with a sentence if it cannot be opened."""
    try:
        return open_unix_listener(uds) if uds else open_listener(host, port)
    except OSError as error:
        option = "--uds" if uds else "--port"
        if error.errno == errno.EADDRINUSE:
            reason = f"it is in use; try another {option}"
        elif uds:
            reason = f"{error.strerror or error}; try another {option}"
        elif error.errno == errno.EACCES:
            reason = "permission denied; try a --port above 1023"
        else:
            reason = "this machine has no such address; try another --host"
        click.echo(f"icsfeed: cannot listen on {uds or f'{host}:{port}'}: {reason}", err=True)
        sys.exit(EXIT_BUSY)
