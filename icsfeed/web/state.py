"""What handlers share: `ServerState` outlives a configuration when another is loaded, `Site` does not."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from secrets import token_bytes
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TTLCache
from msgspec import Struct

from icsfeed.cache.background import BackgroundRefresh, Sleep
from icsfeed.cache.sync import Sync
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import PushStats
from icsfeed.web.limits import GuessLimiter, Limiter
from icsfeed.web.pages.assets import Assets
from icsfeed.web.pages.render import PageRenderer
from icsfeed.web.reader_log import ReaderLog
from icsfeed.web.responses import Clock
from icsfeed.web.status.problems import FeedProblems
from icsfeed.web.token_throttle import TokenThrottle

if TYPE_CHECKING:
    from icsfeed.push.scheduler import Push, PushScheduler
    from icsfeed.web.pages.feed_view import FeedViews

SYNCS_PER_HOUR = 10
LINK_CHANGES, LINK_CHANGE_SECONDS = 60, 600.0
"""How often a person may change links of their own in so many seconds."""
GUESSES_PER_MINUTE = 10
DELIVERIES_PER_MINUTE = 100
DELIVERY_SECONDS, MAX_DELIVERIES = 86_400.0, 20_000
"""How long, and how many, webhook deliveries are remembered so that a replayed one is recognised."""


class LoadedConfig(Struct, frozen=True):
    """When the configuration in use was loaded. `problems`: of a newer one that was rejected."""

    at: datetime
    problems: tuple[str, ...] = ()


class Deliveries:
    """Webhook deliveries: `counts` by result, and when the `last` good one came for each workspace.

    `seen`: digests of events or bodies, to recognise repetitions and replays.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self.counts: Counter[str] = Counter()
        self.last: dict[str, datetime] = {}
        self.limiter = Limiter(DELIVERIES_PER_MINUTE, 60.0, timer)
        self.seen: TTLCache[bytes, bool] = TTLCache(maxsize=MAX_DELIVERIES, ttl=DELIVERY_SECONDS, timer=timer)


class ServerState:
    """Since when the server runs, who reads, what was counted and limited, and each workspace's refresh.

    `timer` returns monotonic seconds; `sleep` waits so many. `push` pushes to one target; None: no pushes.
    """

    def __init__(
        self,
        clock: Clock,
        timer: Callable[[], float] = monotonic,
        sleep: Sleep = asyncio.sleep,
        push: "Push | None" = None,
    ) -> None:
        self.clock = clock
        self.timer = timer
        self.started = clock()
        self.loaded = LoadedConfig(self.started)
        self.reader_log = ReaderLog(clock)
        self.deliveries = Deliveries(timer)
        self.sync = Sync(clock, timer)
        self.syncs = Limiter(SYNCS_PER_HOUR, 3600.0, timer)
        # A limit each: guesses of one secret must not lock out those who know the other.
        self.admin_guesses = GuessLimiter("admin tokens", Limiter(GUESSES_PER_MINUTE, 60.0, timer))
        self.proxy_guesses = GuessLimiter(
            "secrets of the sign-in proxy", Limiter(GUESSES_PER_MINUTE, 60.0, timer)
        )
        # For each person, whatever the address: all may come through one proxy.
        self.link_changes = Limiter(LINK_CHANGES, LINK_CHANGE_SECONDS, timer)
        self.token_throttle = TokenThrottle(timer, sleep)
        self.pushed = PushStats()
        # Not for each configuration: after an upgrade in place, a reload would give old code new templates.
        self.pages = PageRenderer(Assets())
        self.random_key = token_bytes(32)
        self.push = push
        self.sleep = sleep
        self._watches: dict[Workspace, BackgroundRefresh] = {}

    @property
    def uptime(self) -> int:
        """Return whole seconds since the start."""
        return int((self.clock() - self.started).total_seconds())

    def watch(self, workspace: Workspace, cache: Cache) -> BackgroundRefresh:
        """Return the background refresh of this workspace: the same one for every configuration."""
        if workspace not in self._watches:
            self._watches[workspace] = BackgroundRefresh(workspace, cache, self.timer, self.sleep)
        return self._watches[workspace]

    async def leave(self, workspace: Workspace) -> None:
        """Stop refreshing for one app; the refresh ends with the last app that uses the workspace."""
        # While a configuration is replaced, the old app and the new one both use the workspace.
        if await self._watches[workspace].stop():
            del self._watches[workspace]


class Site:
    """What the handlers of one configuration share: its feeds, their pages, and pushes of them."""

    def __init__(
        self, service: FeedService, server: ServerState, views: "FeedViews", pusher: "PushScheduler"
    ) -> None:
        self.service, self.config = service, service.config
        self.problems = FeedProblems(service)
        self.server, self.pages = server, server.pages
        self.views, self.pusher = views, pusher
        # Without a secret (all feeds are public) forms must be sent to the process that they come from.
        secret = service.config.secret
        self.form_key = secret.reveal().encode() if secret else server.random_key

    def queue_length(self, workspace: Workspace) -> int:
        """Return how many changes that webhooks have announced wait to be read."""
        return self.server.watch(workspace, self.config.cache).queue_length
