"""Keeps a workspace fresh without being asked: what readers look at, and what webhooks say has changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from icsfeed.cache.snapshots import KINDS
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
from icsfeed.model import Needs, Project
from icsfeed.plane.rate_limit import relaxed, stretched
from icsfeed.plane.webhook import Resource, WebhookChange

TICK = DEBOUNCE = 1.0
"""Seconds between looks, and from a webhook to the reading: Plane sends one for each changed field."""
AFTER_FAULT = 30.0
"""Seconds until the next look after an error that nobody expected."""
HOOKED_FOR = 3600.0
"""Seconds after a webhook in which webhooks are taken for the news: issues are polled less where the budget
asks for it."""
AGAIN = 3
"""How often a reading is tried that must have begun after the webhook."""
NEVER = datetime.min.replace(tzinfo=UTC)

Sleep = Callable[[float], Awaitable[None]]

log = logging.getLogger("icsfeed.workspace")


class BackgroundRefresh:
    """Watches one workspace. `timer` gives monotonic seconds; `sleep` waits so many."""

    def __init__(
        self, workspace: Workspace, cache: Cache, timer: Callable[[], float], sleep: Sleep = asyncio.sleep
    ) -> None:
        self._workspace = workspace
        self._cache = cache
        self._timer = timer
        self._sleep = sleep
        self._hooked: float | None = None
        self._touched: dict[str, tuple[frozenset[Resource], datetime]] = {}
        self._met: set[str] = set()
        self._soon: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._users = 0

    def start(self) -> None:
        """Keep the workspace fresh from now on, until `stop` was called as often as this."""
        self._users += 1
        if self._running is None:
            self._running = asyncio.create_task(self.run())

    async def stop(self) -> bool:
        """Whether nobody else needs it: then what is under way has ended."""
        self._users -= 1
        if self._users > 0:
            return False
        await self.close()
        return True

    @property
    def queue_length(self) -> int:
        """How many projects wait to be read: touched by a webhook, or no longer fresh."""
        fresh = self._workspace.known.is_fresh
        stale = {project.id for project in self._workspace.watched() if not fresh(project, Needs())}
        return len(stale | self._touched.keys())

    async def run(self) -> None:
        """Read everything once, and then keep it and what other replicas read fresh, without end."""
        keeping = self._workspace.keeping
        looks = (self.refresh_stale, keeping.sync_from_peers) if keeping.is_shared else (self.refresh_stale,)
        await asyncio.gather(*(self._repeat(look) for look in looks))

    async def _repeat(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            pause = TICK
            try:
                await look()
            except Exception:
                # A fault of ours must not end the watch: nobody would see why nothing is fresh.
                log.exception("workspace %s: unexpected error", self._workspace.name)
                pause = AFTER_FAULT
            await self._sleep(pause)

    async def refresh_stale(self) -> None:
        """Read the watched projects that are not fresh, the oldest first; readers go before.

        Before any of them is read in full, all are read as far as every feed needs. Failing ones come last:
        they may let all others rest. One met for the first time counts as asked for.
        """
        known = self._workspace.known
        await self._workspace.refresh_projects("background")
        new = [project for project in known.projects.get("") or () if project.id not in self._met]
        self._workspace.watch(new)
        self._met.update(project.id for project in new)
        self._stretch()
        await self._workspace.refresh_unread("background")
        done: set[str] = set()
        while (oldest := self._oldest_stale()) and oldest.id not in done:
            done.add(oldest.id)
            self._stretch()
            await self._workspace.refresh_projects("background")
            await self._workspace.refresh(oldest, "background")

    def _oldest_stale(self) -> Project | None:
        known = self._workspace.known
        stale = [project for project in self._workspace.watched() if not known.is_fresh(project, Needs())]
        return min(
            stale,
            key=lambda project: (self._workspace.is_failing(project.id), known.read_at(project) or NEVER),
            default=None,
        )

    def touch(self, touched: WebhookChange) -> None:
        """Read soon, as for a reader, what a webhook says has changed."""
        self._hooked = self._timer()
        now = self._workspace.now()
        if touched.project_deleted:
            self._workspace.known.deleted.update(touched.projects)
        for id_ in touched.projects or self._projects_of(touched):
            before = self._touched.get(id_, (frozenset(), now))[0]
            self._touched[id_] = (before | touched.resources, now)
            self._expire(id_, touched.resources)
        if self._soon is None or self._soon.done():
            self._soon = asyncio.create_task(self._refresh_touched())

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for task in (self._soon, self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh_touched(self) -> None:
        """Until nothing is touched any more: what is touched during a reading is read once more."""
        await self._sleep(DEBOUNCE)
        while self._touched:
            touched, self._touched = self._touched, {}
            if any("projects" in resources for resources, _ in touched.values()):
                since = max(at for resources, at in touched.values() if "projects" in resources)
                await self._read_since("", frozenset({"projects"}), since)
            await asyncio.gather(*(self._read_since(id_, *what) for id_, what in touched.items()))
            await self._sleep(DEBOUNCE)

    async def _read_since(self, id_: str, resources: frozenset[Resource], since: datetime) -> None:
        """Read it, and again when that reading had begun before it was touched."""
        for _ in range(AGAIN):
            await self._read(id_)
            if self._is_read_since(id_, resources, since):
                return
            self._expire(id_, resources)

    async def _read(self, id_: str) -> None:
        if not id_:
            await self._workspace.refresh_projects("reader")
        for project in self._workspace.known.projects.get("") or ():
            if project.id == id_:
                await self._workspace.refresh(project, "reader")

    def _is_read_since(self, id_: str, resources: frozenset[Resource], since: datetime) -> bool:
        known = self._workspace.known
        moments = [known.periods[kind].read_at(id_) for kind in KINDS if f"{kind}s" in resources]
        if "issues" in resources:
            moments.append(known.issues.read_at(id_))
        if "projects" in resources:
            moments.append(known.projects.read_at(""))
        return all(moment is None or moment >= since for moment in moments)

    def _expire(self, id_: str, resources: frozenset[Resource]) -> None:
        known = self._workspace.known
        if "projects" in resources:
            known.projects.expire("")
        for project in known.projects.get("") or ():
            if project.id == id_:
                known.expire(project, resources)

    def _projects_of(self, touched: WebhookChange) -> Sequence[str]:
        """Where it is, when the delivery does not say: Plane sends of what is deleted the id alone."""
        known = self._workspace.known
        gone = touched.periods | ({touched.issue} if touched.issue else set())
        return [
            project.id
            for project in known.projects.get("") or ()
            if any(id_ in rows for id_ in gone for rows in self._rows(project))
        ]

    def _rows(self, project: Project) -> Sequence[Mapping[str, object]]:
        known = self._workspace.known
        issues, _ = known.issues.get(project.id) or ({}, 0)
        return [issues, *(known.periods[kind].get(project.id) or {} for kind in KINDS)]

    def _stretch(self) -> None:
        """Let everything be fresh for longer when there is more to read than the budget bears.

        While webhooks arrive the issues go first: webhooks tell of most of what changes in them.
        """
        known, cache, budget = self._workspace.known, self._cache, self._workspace.budget
        projects = len(known.projects.get("") or ())
        of_periods = {"cycle": cache.cycles, "module": cache.modules}
        ttls: dict[str, float] = {"issues": cache.issues, "states": cache.states, "labels": cache.labels}
        counts = dict.fromkeys([*ttls, *of_periods], projects)
        counts |= {f"in {kind}": known.held_count(kind) for kind in KINDS}
        ttls |= {**of_periods, **{f"in {kind}": ttl for kind, ttl in of_periods.items()}}
        limit = budget.limit // max(1, budget.users)
        if self._hooked is not None and self._timer() - self._hooked < HOOKED_FOR:
            ttls["issues"] = relaxed(ttls, counts, limit, "issues", cache.webhook_ttl)
        known.issues.ttl = ttls["issues"]
        known.stretch(stretched(ttls, counts, limit))
