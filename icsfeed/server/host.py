"""The server while its configuration changes: a new one is swapped in whole, or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.types import Receive, Scope, Send

from icsfeed.config.schema import Config
from icsfeed.errors import ConfigError
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import WorkspacePool
from icsfeed.store.store import Store
from icsfeed.web.app import create_app
from icsfeed.web.state import LoadedConfig, ServerState

DRAIN = 30.0
"""Seconds that requests under way have to end before what they use is closed."""

log = logging.getLogger("icsfeed.config")


class _Deployment:
    """One configuration at work, from its start to the end of its last request."""

    def __init__(self, service: FeedService, server: ServerState) -> None:
        self.service = service
        self.app = create_app(service, server)
        self._ending = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._requests = 0
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        started = asyncio.Event()
        self._life = asyncio.create_task(self._live(started))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._life, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._life.done():
            self._life.result()

    async def _live(self, started: asyncio.Event) -> None:
        # In a task of its own: litestar's lifespan must end where it began.
        async with self.app.lifespan():
            started.set()
            await self._ending.wait()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        self._idle.clear()
        try:
            await self.app(scope, receive, send)
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def end(self) -> None:
        try:
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()
        except TimeoutError:
            log.warning("requests of the configuration before have not ended in %.0f s", DRAIN)
        self._ending.set()
        if self._life is not None:
            await self._life


class Host:
    """An ASGI app: the server of the configuration that was loaded last."""

    def __init__(self, pool: WorkspacePool, server: ServerState) -> None:
        self._pool = pool
        self._server = server
        self._loading = asyncio.Lock()
        self._turn: _Deployment | None = None

    async def load(self, config: Config) -> None:
        """Serve this configuration from now on; requests under way are answered by the one before."""
        async with self._loading:
            turn = _Deployment(await self._pool.service(config), self._server)
            await turn.start()
            before, self._turn = self._turn, turn
            self._server.loaded = LoadedConfig(self._server.clock())
            if before is not None:
                await before.end()
            await self._pool.release(turn.service)

    @property
    def service(self) -> FeedService:
        """The feeds that are served now."""
        return self._now().service

    def _now(self) -> _Deployment:
        if self._turn is None:
            raise RuntimeError("no configuration was loaded")
        return self._turn

    def refuse(self, error: ConfigError) -> None:
        """Say that a newer configuration cannot be used; the one that was loaded stays."""
        self._server.loaded = LoadedConfig(self._server.loaded.at, tuple(map(str, error.problems)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._now().answer(scope, receive, send)

    async def close(self) -> None:
        """End the server that runs."""
        turn, self._turn = self._turn, None
        if turn is not None:
            await turn.end()
        await self._server.sync.close()


@asynccontextmanager
async def hosted(
    config: Config, pool: WorkspacePool, store: Store, server: ServerState
) -> AsyncIterator[Host]:
    """The server of a configuration, closed at the end with the workspaces and the store that it uses."""
    host = Host(pool, server)
    try:
        await host.load(config)
        yield host
    finally:
        await host.close()
        await pool.close()
        await store.close()
