"""What a server keeps while its configuration is swapped for another."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from time import monotonic

from msgspec import Struct

from icsfeed.cache.background import BackgroundRefresh, Sleep
from icsfeed.cache.sync import Sync
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import PushStats
from icsfeed.push.scheduler import Push, PushScheduler
from icsfeed.web.limits import GuessLimiter, Limiter
from icsfeed.web.reader_log import ReaderLog
from icsfeed.web.responses import Clock
from icsfeed.web.token_throttle import TokenThrottle
from icsfeed.web.webhooks import Deliveries

AN_HOUR = 3600.0
SYNCS_PER_HOUR = 10
WRONG_PER_MINUTE = 10


class LoadedConfig(Struct, frozen=True):
    """The configuration at work: when it was loaded. `problems`: of a newer one that cannot be used."""

    at: datetime
    problems: tuple[str, ...] = ()


class ServerState:
    """Since when the server runs, who reads, what was counted and limited; and the watch of each workspace.

    `timer` gives monotonic seconds; `sleep` waits so many. `push` pushes to one target; None: no pushes.
    """

    def __init__(
        self,
        clock: Clock,
        timer: Callable[[], float] = monotonic,
        sleep: Sleep = asyncio.sleep,
        push: Push | None = None,
    ) -> None:
        self.clock = clock
        self.timer = timer
        self.started = clock()
        self.loaded = LoadedConfig(self.started)
        self.reader_log = ReaderLog(clock)
        self.deliveries = Deliveries(timer)
        self.sync = Sync(clock, timer)
        self.syncs = Limiter(SYNCS_PER_HOUR, AN_HOUR, timer)
        self.admin_guesses = GuessLimiter("admin tokens", Limiter(WRONG_PER_MINUTE, 60.0, timer))
        self.proxy_guesses = GuessLimiter(
            "secrets of the sign-in proxy", Limiter(WRONG_PER_MINUTE, 60.0, timer)
        )
        self.token_throttle = TokenThrottle(timer, sleep)
        self.pushed = PushStats()
        self._push = push
        self._sleep = sleep
        self._watches: dict[Workspace, BackgroundRefresh] = {}

    @property
    def uptime(self) -> int:
        """Whole seconds."""
        return int((self.clock() - self.started).total_seconds())

    def watch(self, workspace: Workspace, cache: Cache) -> BackgroundRefresh:
        """The one watch of this workspace."""
        if workspace not in self._watches:
            self._watches[workspace] = BackgroundRefresh(workspace, cache, self.timer, self._sleep)
        return self._watches[workspace]

    def pusher(self, service: FeedService) -> PushScheduler:
        """What pushes the targets of this configuration."""
        return PushScheduler(service, self._push, self.pushed, self.clock, self.timer, self._sleep)

    async def leave(self, workspace: Workspace) -> None:
        """A server no longer watches this workspace; the watch ends with the last of them."""
        if await self._watches[workspace].stop():
            del self._watches[workspace]
