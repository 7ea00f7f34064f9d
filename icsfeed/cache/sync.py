"""A sync: everything is read again now, because a person asked for it. One at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import uuid4

from msgspec import Struct

from icsfeed.cache.runner import RefreshOutcome
from icsfeed.cache.workspace import Workspace

Outcome: TypeAlias = Literal["success", "error"]

log = logging.getLogger("icsfeed.sync")


class LastSync(Struct, frozen=True):
    """What became of a sync: how long it took, how many issues are known after it, what failed."""

    at: datetime
    seconds: float
    status: Outcome
    issues: int
    errors: tuple[str, ...] = ()


class Sync:
    """Reads all workspaces again, when told to."""

    def __init__(self, clock: Callable[[], datetime], timer: Callable[[], float]) -> None:
        self._clock, self._timer = clock, timer
        self._task: asyncio.Task[None] | None = None
        self.last: LastSync | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def latest(self, workspaces: Sequence[Workspace]) -> LastSync | None:
        """The last sync, or the last refresh of these workspaces where that is later."""
        refreshed = ((workspace, workspace.refreshes.last) for workspace in workspaces)
        found = [self.last, *(_as_sync(*pair) for pair in refreshed)]
        return max(filter(None, found), key=lambda sync: sync.at, default=None)

    def start(
        self, workspaces: Sequence[Workspace], then: Callable[[], Awaitable[object]] | None = None
    ) -> str | None:
        """Begin, and give the id of this sync; None while one is under way. `then` follows the reading."""
        if self.is_running:
            return None
        self._task = asyncio.create_task(self._run(workspaces, then))
        return str(uuid4())

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(
        self, workspaces: Sequence[Workspace], then: Callable[[], Awaitable[object]] | None
    ) -> None:
        at, begun = self._clock(), self._timer()
        await asyncio.gather(*(workspace.sync() for workspace in workspaces))
        errors = tuple(filter(None, map(_error_of, workspaces)))
        issues = sum(workspace.issue_count for workspace in workspaces)
        status: Outcome = "error" if errors else "success"
        self.last = LastSync(at, self._timer() - begun, status, issues, errors)
        log.info("sync: %s after %.1f s, %d issues", status, self.last.seconds, issues)
        if then is not None:
            await then()


def _error_of(workspace: Workspace) -> str | None:
    if workspace.is_closed:
        return f"workspace {workspace.name!r}: the configuration was changed meanwhile; sync again"
    return str(workspace.last_error) if workspace.last_error else None


def _as_sync(workspace: Workspace, refresh: RefreshOutcome | None) -> LastSync | None:
    if refresh is None:
        return None
    status: Outcome = "error" if refresh.error else "success"
    errors = (str(refresh.error),) if refresh.error else ()
    return LastSync(refresh.at, refresh.seconds, status, workspace.issue_count, errors)
