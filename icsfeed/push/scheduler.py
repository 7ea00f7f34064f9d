"""Pushes inside the server: after a change of a pushed feed, now and then, and when told to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from icsfeed.errors import PushBusy
from icsfeed.feeds.service import FeedService
from icsfeed.push.read_feed import stamp
from icsfeed.push.report import LEFT_OVER, LastRun, PushStats, PushStatus, State, TargetReport
from icsfeed.push.run import PushContext, by_server, push

TICK = 1.0
"""Seconds between looks at whether a feed has changed: Plane is not asked for that."""
DEBOUNCE, LONGEST = 5.0, 60.0
"""Seconds from the last change to the push, and from the first one while changes go on."""
AGAIN = 30.0
"""Seconds until the next attempt, where Plane could not be read whole, or another run was under way."""

Push: TypeAlias = Callable[[str, FeedService, PushContext], Awaitable[TargetReport]]

log = logging.getLogger("icsfeed.push")


class PushScheduler:
    """Pushes all active targets of a configuration; without a `world` none.

    Those on one server one after the other; a server that does not answer delays no other.
    `timer` gives monotonic seconds, `sleep` waits so many.
    """

    def __init__(
        self,
        service: FeedService,
        world: PushContext | None,
        pushed: PushStats,
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        push: Push = push,
    ) -> None:
        targets = service.config.push if world is not None else {}
        self._targets = {name: target for name, target in targets.items() if target.active}
        self._service = service
        self._world = world
        self._pushed = pushed
        self._interval = float(service.config.sync_interval)
        self._timer = timer
        self._sleep = sleep
        self._push = push
        self._due = dict.fromkeys(self._targets, timer() + self._interval)
        self._changed: dict[str, tuple[float, float]] = {}
        self._stamps: dict[str, object] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Push from now on, in the background, where there is something to push to."""
        if self._targets:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End it. A run in the middle is cut off; the next one repairs what that leaves."""
        tasks = [*self._running.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run_now(self) -> None:
        """Push everything at once; what is under way once more."""
        self._due = dict.fromkeys(self._targets, self._timer())

    @property
    def status(self) -> PushStatus:
        """How the pushes are."""
        last = {name: self._pushed.last.get(name) for name in self._targets}
        failed = any(one is not None and not one.report.is_good for one in last.values())
        running = any(not task.done() for task in self._running.values())
        state: State = "running" if running else "error" if failed else "idle"
        soonest = min((self._at(name) for name in self._targets), default=None)
        left = None if soonest is None else timedelta(seconds=max(0.0, soonest - self._timer()))
        next_run = None if left is None or self._world is None else self._world.clock() + left
        return PushStatus(state, last, next_run, len(self._waiting()))

    async def _run(self) -> None:
        while True:
            await self.step()
            await self._sleep(TICK)

    async def step(self) -> None:
        """Begin to push what is due now, where the server is not busy with an earlier push."""
        await self._look()
        for server, names in by_server(self._targets, self._ready()).items():
            if server not in self._running or self._running[server].done():
                self._running[server] = asyncio.create_task(self._push_each(names))
        await asyncio.sleep(0)

    async def _push_each(self, names: Iterable[str]) -> None:
        for name in names:
            await self._push_one(name)

    async def _look(self) -> None:
        """See which feeds are not as they were when they were last pushed."""
        for name, target in self._targets.items():
            found = await stamp(self._service, target.feed)
            if found is not None and found != self._stamps.get(name):
                self._stamps[name] = found
                self._touch(name)

    def _touch(self, name: str) -> None:
        now = self._timer()
        first, _ = self._changed.get(name, (now, now))
        self._changed[name] = (first, now)

    def _at(self, name: str) -> float:
        """When a target is to be pushed next."""
        if name not in self._changed:
            return self._due[name]
        first, last = self._changed[name]
        return min(self._due[name], last + DEBOUNCE, first + LONGEST)

    def _ready(self) -> Sequence[str]:
        return [name for name in self._targets if self._at(name) <= self._timer()]

    def _waiting(self) -> Sequence[str]:
        return [name for name in self._targets if name in self._changed or name in self._ready()]

    async def _push_one(self, name: str) -> None:
        """Push a target; whatever happens, the others go on."""
        world = self._world
        if world is None:
            return
        self._changed.pop(name, None)
        self._due[name] = self._timer() + self._interval
        try:
            report = await self._push(name, self._service, world)
        except Exception:
            log.exception("target %s: unexpected error", name)
        else:
            self._take(name, report, world.clock())

    def _take(self, name: str, report: TargetReport, now: datetime) -> None:
        if isinstance(report.error, PushBusy) or (report.refused is not None and report.refused.final):
            self._due[name] = min(self._due[name], self._timer() + AGAIN)
        if isinstance(report.error, PushBusy):
            log.info("%s", report.error)
            return
        self._pushed.last[name] = LastRun(now, report)
        self._pushed.counts.update({(name, word): count for word, count in report.counts.items()})
        _tell(report)


def _tell(report: TargetReport) -> None:
    """What an operator should know of a run; nothing of one that changed nothing."""
    done = {word: count for word, count in report.counts.items() if word != "kept" and count}
    if done:
        words = ", ".join(f"{count} {word}" for word, count in done.items())
        log.info("target %s: %s in %d requests", report.target, words, report.requests)
    for warning in report.warnings:
        log.warning("target %s: %s", report.target, warning)
    for failure in report.failures:
        log.error("target %s: %s: %s", report.target, failure.href, failure.reason)
    if report.refused is not None and not report.refused.final:
        reason = report.refused.reason
        log.error("target %s: nothing deleted: %s; `icsfeed push --force` does it", report.target, reason)
    if report.leftovers:
        log.warning("target %s: %d %s", report.target, len(report.leftovers), LEFT_OVER)
    if report.error is not None:
        log.error("target %s: %s", report.target, report.error)
