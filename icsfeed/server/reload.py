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

POLL_SECONDS = 2.0
"""Interval between two looks at the configuration file."""
DRAIN_SECONDS = 30.0
"""How long requests under way may take before what they use is closed."""

log = logging.getLogger("icsfeed.config")


class Deployment:
    """The app of one configuration, from its start to the end of its last request."""

    def __init__(self, service: FeedService, server: ServerState) -> None:
        self.service = service
        self._app = create_app(service, server)
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._requests = 0
        self._lifespan: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the app; raise what its start raises."""
        started = asyncio.get_running_loop().create_future()

        async def lifespan() -> None:
            async with self._app.lifespan():
                started.set_result(None)
                await self._stopping.wait()

        # One task both enters and leaves the lifespan: litestar's event emitter (2.25) holds an anyio task
        # group in it, which no other task may leave. `start` and `stop` are called by different ones.
        self._lifespan = asyncio.create_task(lifespan())
        await asyncio.wait({self._lifespan, started}, return_when=asyncio.FIRST_COMPLETED)
        if self._lifespan.done():
            self._lifespan.result()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, which `stop` waits for."""
        self._requests += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def stop(self) -> None:
        """Stop the app once its requests are answered, or after DRAIN_SECONDS."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning(
                "requests of the previous configuration are still running after %.0f s; closing it",
                DRAIN_SECONDS,
            )
        self._stopping.set()
        if self._lifespan is not None:
            await self._lifespan


class ReloadableApp:
    """An ASGI app that serves the configuration that was deployed last."""

    def __init__(self, pool: WorkspacePool, server: ServerState) -> None:
        self._pool = pool
        self._server = server
        self._lock = asyncio.Lock()
        self._deployment: Deployment | None = None

    async def deploy(self, config: Config) -> None:
        """Serve this configuration from now on; requests under way are answered by the previous one.

        Raise ConfigError, or what building the feeds raises, and keep the previous one.
        """
        async with self._lock:
            deployment = Deployment(await self._pool.open_service(config), self._server)
            # The new app starts before the old one stops: there is no moment without one, and the background
            # refresh of a workspace that both use is never stopped, since it counts its users.
            await deployment.start()
            previous, self._deployment = self._deployment, deployment
            self._server.loaded = LoadedConfig(self._server.clock())
            if previous is not None:
                await previous.stop()
            # Last, since requests of the previous configuration were still reading its workspaces.
            await self._pool.close_unused(deployment.service)

    @property
    def service(self) -> FeedService:
        """The feeds that are served now."""
        return self._current().service

    def _current(self) -> Deployment:
        if self._deployment is None:
            raise RuntimeError("no configuration is deployed")
        return self._deployment

    def reject(self, error: ConfigError) -> None:
        """Report in health that a newer configuration cannot be used."""
        self._server.loaded = LoadedConfig(self._server.loaded.at, tuple(map(str, error.problems)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._current().answer(scope, receive, send)

    async def close(self) -> None:
        """Stop the app that is served."""
        deployment, self._deployment = self._deployment, None
        if deployment is not None:
            await deployment.stop()
        await self._server.sync.close()


@asynccontextmanager
async def open_app(
    config: Config, pool: WorkspacePool, store: Store, server: ServerState
) -> AsyncIterator[ReloadableApp]:
    """Yield the app of a configuration; close it at the end, with the workspaces and the store it uses."""
    app = ReloadableApp(pool, server)
    try:
        await app.deploy(config)
        yield app
    finally:
        await app.close()
        await pool.close()
        await store.close()


class Reloader:
    """Reloads the configuration on request, and when the fingerprint of its file changes.

    `load` raises ConfigError. `on_load` receives every valid configuration before it is deployed. Each reload
    runs within `reloading()`.
    """

    def __init__(
        self,
        app: ReloadableApp,
        load: Callable[[], Config],
        fingerprint: Callable[[], object],
        on_load: Callable[[Config], object],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        reloading: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._app = app
        self._load = load
        self._fingerprint = fingerprint
        self._on_load = on_load
        self._reloading = reloading
        self._sleep = sleep
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Reload soon, even if the file has not changed."""
        self._requested.set()

    async def run(self) -> None:
        """Watch the file until cancelled."""
        loaded = last = await asyncio.to_thread(self._fingerprint)
        while True:
            await self._wait_for_poll_or_request()
            requested = self._requested.is_set()
            self._requested.clear()
            now = await asyncio.to_thread(self._fingerprint)
            # An editor may write a file in pieces: it is read once two looks in a row find it the same.
            if requested or (now != loaded and now == last):
                loaded = now
                with self._reloading():
                    await self.reload()
            last = now

    async def reload(self) -> None:
        """Load and deploy the configuration once. Whatever is wrong with it, keep the previous one."""
        try:
            config = await asyncio.to_thread(self._load)
            self._on_load(config)
            await self._app.deploy(config)
        except ConfigError as error:
            for problem in error.problems:
                log.error("configuration rejected; keeping the previous one: %s", problem)
            self._app.reject(error)
            return
        except Exception:
            # A fault of ours must not end the task that watches the file, nor the server with it.
            log.exception("configuration rejected; keeping the previous one")
            problem = Problem("", "icsfeed failed to load it; see the log")
            self._app.reject(ConfigError("configuration", [problem]))
            return
        log.info("configuration loaded: %d workspaces, %d feeds", len(config.workspaces), len(config.feeds))

    async def _wait_for_poll_or_request(self) -> None:
        tasks = {
            asyncio.ensure_future(self._sleep(POLL_SECONDS)),
            asyncio.ensure_future(self._requested.wait()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
