"""When the configuration is loaded anew: on a signal, and when its file has changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

from icsfeed.config.schema import Config
from icsfeed.errors import ConfigError, Problem
from icsfeed.server.host import Host

POLL = 2.0
"""Seconds between looks at the file."""

log = logging.getLogger("icsfeed.config")


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
