"""The apps of the benchmarks on granian instead of uvicorn, in one process: granian_server.py PORT FOLDER.

FOLDER holds a configuration of icsfeed, or what the bare app sends.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bare_server import bare_app
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from icsfeed.config.file import load
from icsfeed.server.build import WorkspacePool, utc_now
from icsfeed.server.connections import with_date
from icsfeed.server.process import new_event_loop
from icsfeed.server.reload import open_app
from icsfeed.store.store import open_store
from icsfeed.web.state import ServerState

CONFIGURATION = "feeds.yaml"


async def serve(app: Any, port: int) -> None:
    """Serve until SIGTERM, with room for all connections of the benchmark."""
    server = Server(
        app,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


async def serve_icsfeed(file: Path, port: int) -> None:
    """Serve a configuration, without reloads."""
    config = load(file, os.environ)
    store = open_store(config.store.reveal(), os.environ)
    async with open_app(config, WorkspacePool(store), store, ServerState(utc_now)) as app:
        await serve(with_date(app, utc_now), port)


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    file = folder / CONFIGURATION
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_icsfeed(file, port) if file.exists() else serve(bare_app(folder), port))


main()
