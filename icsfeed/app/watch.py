"""Keeps a workspace fresh without being asked: what readers look at, and what webhooks say has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from icsfeed.adapters.quota import stretched
from icsfeed.app.known import KINDS
from icsfeed.app.workspace import Workspace
from icsfeed.core.config import Cache
from icsfeed.core.model import Project
from icsfeed.core.select import Needs
from icsfeed.core.webhook import Touched

TICK = DEBOUNCE = 1.0
"""Seconds between looks, and from a webhook to the reading: Plane sends one for each changed field."""
HOOKED_FOR = 3600.0
"""Seconds after a webhook in which webhooks are taken for the news, and issues are polled less."""
NEVER = datetime.min.replace(tzinfo=UTC)

Sleep = Callable[[float], Awaitable[None]]


class Watch:
    """Watches one workspace. `timer` gives monotonic seconds; `sleep` waits so many."""

    def __init__(
        self, workspace: Workspace, cache: Cache, timer: Callable[[], float], sleep: Sleep = asyncio.sleep
    ) -> None:
        self._workspace = workspace
        self._cache = cache
        self._timer = timer
        self._sleep = sleep
        self._hooked: float | None = None
        self._touched: dict[str, Project] = {}
        self._soon: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read everything once, and then keep it fresh, without end."""
        await self._workspace.view(lambda projects: projects, Needs())
        while True:
            await self._sleep(TICK)
            await self.refresh_oldest()

    async def refresh_oldest(self) -> None:
        """Read the watched project that has waited longest, when one is not fresh; readers go before."""
        self._stretch()
        known = self._workspace.known
        await self._workspace.refresh_projects("background")
        stale = [project for project in self._workspace.watched() if not known.is_fresh(project, Needs())]
        if stale:
            oldest = min(stale, key=lambda project: known.read_at(project) or NEVER)
            await self._workspace.refresh(oldest, "background")

    def touch(self, touched: Touched) -> None:
        """Read soon, as for a reader, what a webhook says has changed."""
        self._hooked = self._timer()
        known = self._workspace.known
        if "projects" in touched.resources:
            known.projects.expire("")
        for project in known.projects.get("") or ():
            if project.id in touched.projects:
                known.expire(project, touched.resources)
                self._touched[project.id] = project
        if self._soon is None or self._soon.done():
            self._soon = asyncio.create_task(self._refresh_touched())

    async def close(self) -> None:
        """End what is under way."""
        if self._soon is not None:
            self._soon.cancel()
            await asyncio.gather(self._soon, return_exceptions=True)

    async def _refresh_touched(self) -> None:
        """Until nothing is touched any more: what is touched during a reading is read once more."""
        await self._sleep(DEBOUNCE)
        while self._touched:
            projects, self._touched = tuple(self._touched.values()), {}
            for project in projects:
                await self._workspace.refresh(project, "reader")
            await self._sleep(DEBOUNCE)

    def _stretch(self) -> None:
        """Let everything be fresh for longer when there is more to read than the budget bears."""
        known, cache = self._workspace.known, self._cache
        hooked = self._hooked is not None and self._timer() - self._hooked < HOOKED_FOR
        known.issues.ttl = max(cache.issues, cache.webhook_ttl if hooked else 0)
        projects = len(known.projects.get("") or ())
        of_periods = {"cycle": cache.cycles, "module": cache.modules}
        ttls: dict[str, float] = {"issues": known.issues.ttl, "states": cache.states, "labels": cache.labels}
        counts = dict.fromkeys([*ttls, *of_periods], projects)
        counts |= {f"in {kind}": known.held_count(kind) for kind in KINDS}
        ttls |= {**of_periods, **{f"in {kind}": ttl for kind, ttl in of_periods.items()}}
        known.stretch(stretched(ttls, counts, self._workspace.budget.limit))
