"""The configuration while the server runs: loaded, validated, and swapped in whole or not at all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from litestar.types import Receive, Scope, Send

from icsfeed.config.schema import Config
from icsfeed.errors import ConfigError, Problem
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import WorkspacePool
from icsfeed.store.store import Store
from icsfeed.web.app import create_app
from icsfeed.web.state import LoadedConfig, ServerState

POLL = 2.0
"""Seconds between looks at the file."""
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


class Reloader:
    """Loads the configuration anew when it is told to, and when `fingerprint` gives another value.

    `load` raises ConfigError. `loaded` is told of every new configuration before it is served. Each loading
    happens within `around()`.
    """

    def __init__(
        self,
        host: Host,
        load: Callable[[], Config],
        fingerprint: Callable[[], object],
        loaded: Callable[[Config], object],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._host = host
        self._load = load
        self._fingerprint = fingerprint
        self._loaded = loaded
        self._around = around
        self._sleep = sleep
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Load it anew, changed or not."""
        self._told.set()

    async def run(self) -> None:
        """Look, without end. A file is loaded once it has stood still between two looks."""
        seen = last = await asyncio.to_thread(self._fingerprint)
        while True:
            await self._pause()
            told = self._told.is_set()
            self._told.clear()
            now = await asyncio.to_thread(self._fingerprint)
            if told or (now != seen and now == last):
                seen = now
                with self._around():
                    await self.reload()
            last = now

    async def reload(self) -> None:
        """Load it once. Whatever is wrong with it, the server goes on with what it has."""
        try:
            config = await asyncio.to_thread(self._load)
            self._loaded(config)
            await self._host.load(config)
        except ConfigError as error:
            for problem in error.problems:
                log.error("the configuration is not loaded, the one before stays: %s", problem)
            self._host.refuse(error)
            return
        except Exception:
            log.exception("the configuration is not loaded, the one before stays")
            self._host.refuse(
                ConfigError("configuration", [Problem("", "icsfeed failed; its log says more")])
            )
            return
        log.info("configuration loaded: %d workspaces, %d feeds", len(config.workspaces), len(config.feeds))

    async def _pause(self) -> None:
        tasks = {asyncio.ensure_future(self._sleep(POLL)), asyncio.ensure_future(self._told.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
