"""The commands `serve` and `demo` as processes: what they serve, and the signals that reload it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import httpx

from icsfeed.cli.output import why_not_listening
from icsfeed.cli.support import BUSY, load_configuration, push_folder, set_up_logs
from icsfeed.config.file import fingerprint
from icsfeed.config.values import secrets_of
from icsfeed.push.run import PushContext, push
from icsfeed.server.build import WorkspacePool, utc_now
from icsfeed.server.listening import open_listener, open_unix_listener
from icsfeed.server.live_status import ServedAddress
from icsfeed.server.process import listen
from icsfeed.server.reload import Reloader, hosted
from icsfeed.server.systemd import notifier
from icsfeed.store.store import open_store
from icsfeed.web.state import ServerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from icsfeed.config.schema import Config


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
            await listen(
                site,
                _listener(host, port, uds),
                answers,
                lambda: site.service.config.trusted_proxies,
            )
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

        await listen(site, _listener("127.0.0.1", port, None), answers)


def _told_of(first: Config) -> Callable[[Config], None]:
    """What a new configuration changes of the process: the secrets that the log hides, the old ones too."""
    hidden = set(secrets_of(first))

    def loaded(config: Config) -> None:
        hidden.update(secrets_of(config))
        set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", hidden)
        if config.store != first.store:
            click.echo("icsfeed: the store is changed by a restart only", err=True)

    return loaded


def _listener(host: str, port: int, uds: str | None) -> socket.socket:
    """The socket to listen on. Ends the process where it cannot be had."""
    try:
        return open_unix_listener(uds) if uds else open_listener(host, port)
    except OSError as error:
        where, why = uds or f"{host}:{port}", why_not_listening(error, "--uds" if uds else "--port")
        click.echo(f"icsfeed: cannot listen on {where}: {why}", err=True)
        sys.exit(BUSY)
