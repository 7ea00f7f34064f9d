"""A sync: reading everything again now, because a person asked for it. One at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import uuid4

from msgspec import Struct

from icsfeed.cache.workspace import Workspace
from icsfeed.single_flight import cancel

Outcome: TypeAlias = Literal["success", "error"]

log = logging.getLogger("icsfeed.sync")


class LastSync(Struct, frozen=True):
    """The outcome of a sync: how long it took, how many issues there are after it, what failed."""

    at: datetime
    seconds: float
    status: Outcome
    issues: int
    errors: tuple[str, ...] = ()


class Sync:
    """Reads all workspaces again, on request."""

    def __init__(self, clock: Callable[[], datetime], timer: Callable[[], float]) -> None:
        self._clock, self._timer = clock, timer
        self._task: asyncio.Task[None] | None = None
        self.last: LastSync | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def latest(self, workspaces: Sequence[Workspace]) -> LastSync | None:
        """Return the last sync, or the last refresh of these workspaces where that is later."""
        syncs = [self.last] if self.last is not None else []
        for workspace in workspaces:
            refresh = workspace.refreshes.last
            if refresh is not None:
                errors = (str(refresh.error),) if refresh.error else ()
                status: Outcome = "error" if errors else "success"
                syncs.append(LastSync(refresh.at, refresh.seconds, status, workspace.issue_count, errors))
        return max(syncs, key=lambda sync: sync.at, default=None)

    def start(
        self, workspaces: Sequence[Workspace], then: Callable[[], Awaitable[object]] | None = None
    ) -> str | None:
        """Begin, and return the id of this sync; None while one is under way. `then` is called after it."""
        if self.is_running:
            return None
        self._task = asyncio.create_task(self._run(workspaces, then))
        return str(uuid4())

    async def close(self) -> None:
        """Cancel what is under way."""
        if self._task is not None:
            await cancel([self._task])

    async def _run(
        self, workspaces: Sequence[Workspace], then: Callable[[], Awaitable[object]] | None
    ) -> None:
        at, started = self._clock(), self._timer()
        await asyncio.gather(*(workspace.sync() for workspace in workspaces))
        errors = tuple(
            f"workspace {each.name!r}: the configuration was changed meanwhile; sync again"
            if each.is_closed
            else str(each.last_error)
            for each in workspaces
            if each.is_closed or each.last_error
        )
        issues = sum(workspace.issue_count for workspace in workspaces)
        status: Outcome = "error" if errors else "success"
        self.last = LastSync(at, self._timer() - started, status, issues, errors)
        log.info("sync: %s after %.1f s, %d issues", status, self.last.seconds, issues)
        if then is not None:
            await then()
