"""Pushes inside the server: after a feed has changed, at a fixed interval, and on request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias
from urllib.parse import urlsplit

from icsfeed.config.schema import PushTarget
from icsfeed.errors import FeedError, PushBusy
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs, projects_of
from icsfeed.feeds.service import FeedService
from icsfeed.push.report import LEFTOVERS_TEXT, LastRun, PushStats, PushStatus, State, TargetReport
from icsfeed.single_flight import cancel

TICK_SECONDS = 1.0
"""Seconds between checks whether a feed has changed. A check sends no request to Plane."""
DEBOUNCE_SECONDS, MAX_DEBOUNCE_SECONDS = 5.0, 60.0
"""Seconds from the last change to the push, and at most from the first of several changes."""
RETRY_SECONDS = 30.0
"""Seconds to the next attempt if Plane could not be read completely, or another run was in progress."""

Push: TypeAlias = Callable[[str, FeedService], Awaitable[TargetReport]]
"""Push to the target with this name: `run.push` with its context."""

log = logging.getLogger("icsfeed.push")


def group_by_server(targets: Mapping[str, PushTarget], names: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """Return the names of targets by host, so that no target waits for the time-outs of another server."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(urlsplit(targets[name].url).netloc.lower(), []).append(name)
    return groups


class PushScheduler:
    """Pushes to all active targets of a configuration; to none if `push` is None.

    Targets on the same server are pushed to one after the other; a server that does not answer delays
    only its own targets. `timer` returns monotonic seconds; `sleep` waits for a number of seconds.
    """

    def __init__(
        self,
        service: FeedService,
        push: Push | None,
        stats: PushStats,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        targets = service.config.push if push is not None else {}
        self._targets = {name: target for name, target in targets.items() if target.active}
        self._service = service
        self._stats = stats
        self._interval = float(service.config.sync_interval)
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._push = push
        self._due = dict.fromkeys(self._targets, timer() + self._interval)
        self._changed: dict[str, tuple[float, float]] = {}
        self._stamps: dict[str, object] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task, if there are targets."""

        async def run() -> None:
            while True:
                await self.step()
                await self._sleep(TICK_SECONDS)

        if self._targets:
            self._task = asyncio.create_task(run())

    async def close(self) -> None:
        """Stop. A run in progress is cancelled; the next push completes it."""
        await cancel([*self._running.values(), *([self._task] if self._task is not None else [])])

    def run_now(self) -> None:
        """Make every target due now; one that is being pushed to is pushed to again afterwards."""
        self._due = dict.fromkeys(self._targets, self._timer())

    @property
    def status(self) -> PushStatus:
        """Return the current state."""
        last = {name: self._stats.last.get(name) for name in self._targets}
        failed = any(run is not None and not run.report.is_good for run in last.values())
        running = any(not task.done() for task in self._running.values())
        state: State = "running" if running else "error" if failed else "idle"
        queued = self._changed.keys() | set(self._ready())
        return PushStatus(state, last, len(queued))

    async def step(self) -> None:
        """Start pushes to the targets that are due, except on servers with a push still in progress."""
        for name, target in self._targets.items():
            stamp = await feed_stamp(self._service, target.feed)
            if stamp is not None and stamp != self._stamps.get(name):
                self._stamps[name] = stamp
                now = self._timer()
                first, _ = self._changed.get(name, (now, now))
                self._changed[name] = (first, now)
        for server, names in group_by_server(self._targets, self._ready()).items():
            if server not in self._running or self._running[server].done():
                self._running[server] = asyncio.create_task(self._push_each(names))
        # Let the new tasks begin: that takes their first targets off the queue.
        await asyncio.sleep(0)

    def _due_at(self, name: str) -> float:
        """Return the timer's seconds at which a target is due."""
        if name not in self._changed:
            return self._due[name]
        first, last = self._changed[name]
        return min(self._due[name], last + DEBOUNCE_SECONDS, first + MAX_DEBOUNCE_SECONDS)

    def _ready(self) -> Sequence[str]:
        return [name for name in self._targets if self._due_at(name) <= self._timer()]

    async def _push_each(self, names: Iterable[str]) -> None:
        """Push to targets of one server, one after the other; an unexpected error ends only its own push."""
        for name in names:
            if self._push is None:
                return
            # Before the push begins, not after it: a change that arrives meanwhile is pushed by the next one.
            self._changed.pop(name, None)
            self._due[name] = self._timer() + self._interval
            try:
                report = await self._push(name, self._service)
            except Exception:
                log.exception("target %s: unexpected error", name)
                continue
            is_busy = isinstance(report.error, PushBusy)
            # Both pass soon: the other run ends, Plane is read again. A refusal by the limits needs a person.
            if is_busy or (report.refused is not None and report.refused.final):
                self._due[name] = min(self._due[name], self._timer() + RETRY_SECONDS)
            if is_busy:
                log.info("%s", report.error)
                continue
            self._stats.last[name] = LastRun(self._clock(), report)
            self._stats.counts.update({(name, result): count for result, count in report.counts.items()})
            _log_report(report)


def _log_report(report: TargetReport) -> None:
    """Log what an operator should know about a run: nothing if it changed nothing and all is well."""
    changes = ", ".join(
        f"{count} {name}" for name, count in report.counts.items() if name != "kept" and count
    )
    if changes:
        log.info("target %s: %s in %d requests", report.target, changes, report.requests)
    for warning in report.warnings:
        log.warning("target %s: %s", report.target, warning)
    for failure in report.failures:
        log.error("target %s: %s: %s", report.target, failure.href, failure.reason)
    if report.refused is not None and not report.refused.final:
        reason = report.refused.reason
        log.error(
            "target %s: nothing deleted: %s; to delete, run `icsfeed push --force`", report.target, reason
        )
    if report.leftovers:
        log.warning("target %s: %d %s", report.target, len(report.leftovers), LEFTOVERS_TEXT)
    if report.error is not None:
        log.error("target %s: %s", report.target, report.error)


async def feed_stamp(service: FeedService, name: str) -> tuple[object, ...] | None:
    """Return a value that changes when the feed's cached data or the date changes; None: nothing is cached.

    Compares stamps of snapshots only: it sends no request and renders nothing.
    """
    try:
        feed = await service.feed(name)
        if not service.links.is_served(feed):
            return None
        workspace = service.workspaces[service.workspace_of(feed)]
        projects = workspace.resources.all_projects
        readable = workspace.readable(projects_of(name, feed, projects))
        view = workspace.snapshots.view(projects, readable, needs(feed, Query()))
    except FeedError:
        return None
    return None if view is None else (*view.stamp, service.today())
