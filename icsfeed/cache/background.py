"""Refreshing a workspace without being asked: what readers look at, and what webhooks say has changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence, Set
from datetime import UTC, datetime

from icsfeed.cache.lists import PERIOD_LISTS
from icsfeed.cache.resources import RESTORED_AGE
from icsfeed.cache.ttl import relaxed_ttl, stretch_factor
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache
from icsfeed.model import Needs, Project
from icsfeed.plane.rate_limit import WINDOW_SECONDS, Urgency
from icsfeed.plane.webhook import ALL_OF_WORKSPACE, Resource, WebhookChange
from icsfeed.single_flight import cancel

INTERVAL_SECONDS = 1.0
"""Between two looks at what is no longer fresh."""
DEBOUNCE_SECONDS = 1.0
"""From a webhook to the read: Plane sends one for each field that changed."""
FAULT_PAUSE_SECONDS = 30.0
"""Until the next look after an error that nobody expected."""
WEBHOOKS_ACTIVE_SECONDS = 3600.0
"""For so long after a webhook of an issue more are expected: issues are polled less where the budget asks for
it. Others say nothing of that: a webhook in Plane may be limited to projects or pages.
"""
CHEAP_SHARE = 0.1
"""Of the request budget: issues whose check takes no more are read at their TTL, however tight it is."""
MAX_READ_ATTEMPTS = 3
"""How often a read is tried that must have begun after the webhook."""
NEVER = datetime.min.replace(tzinfo=UTC)

Sleep = Callable[[float], Awaitable[None]]

log = logging.getLogger("icsfeed.workspace")


class ChangedProjects:
    """Reads the projects that webhooks name, a second after the first of several webhooks.

    `urgency`: for whom. `sleep` waits so many seconds.
    """

    def __init__(self, workspace: Workspace, urgency: Urgency, sleep: Sleep) -> None:
        self._workspace = workspace
        self._resources = workspace.resources
        self._urgency = urgency
        self._sleep = sleep
        self._waiting: dict[str, tuple[frozenset[Resource], datetime]] = {}
        self._reading: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> Set[str]:
        """The ids of the projects that are to be read."""
        return self._waiting.keys()

    def add(self, ids: Iterable[str], resources: frozenset[Resource]) -> None:
        """Let these parts of these projects be read."""
        # The time counts, not the flag: a read that began before the webhook may not have seen the change.
        now = self._workspace.now()
        for id_ in ids:
            names, _ = self._waiting.get(id_, (frozenset(), now))
            self._waiting[id_] = (names | resources, now)
            self._expire(id_, resources)
        if self._waiting and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read())

    def _expire(self, id_: str, names: frozenset[Resource]) -> None:
        if "projects" in names:
            self._resources.projects.expire()
            self._resources.restored.discard("projects")
        for project in self._resources.all_projects:
            if project.id == id_:
                self._resources.expire(project, names)

    async def _read(self) -> None:
        """Read until nothing is changed any more: what changes during a read is read once more."""
        await self._sleep(DEBOUNCE_SECONDS)
        while self._waiting:
            changed, self._waiting = self._waiting, {}
            listed_since = [at for names, at in changed.values() if "projects" in names]
            if listed_since:
                await self._read_since("", frozenset({"projects"}), max(listed_since))
            await asyncio.gather(*(self._read_since(id_, *what) for id_, what in changed.items()))
            await self._sleep(DEBOUNCE_SECONDS)

    async def _read_since(self, id_: str, names: frozenset[Resource], since: datetime) -> None:
        """Read a project, or the list of them (no id); again when that read had begun before `since`."""
        resources = self._resources
        for _ in range(MAX_READ_ATTEMPTS):
            if not id_:
                await self._workspace.refresh_projects(self._urgency)
            for project in resources.all_projects:
                if project.id == id_:
                    await self._workspace.refresh(project, self._urgency)
            wanted = [name for name in names if resources.is_wanted(name)]
            moments = [values[id_].read_at for name, values in resources.of_project.items() if name in wanted]
            moments += [value.read_at for name, value in resources.of_workspace.items() if name in wanted]
            if "projects" in names:
                moments.append(resources.projects.read_at)
            if all(moment is None or moment >= since for moment in moments):
                return
            self._expire(id_, names)

    async def close(self) -> None:
        """Cancel what is under way."""
        if self._reading is not None:
            await cancel([self._reading])


class BackgroundRefresh:
    """Keeps one workspace fresh. `timer` gives monotonic seconds; `sleep` waits so many."""

    def __init__(
        self, workspace: Workspace, cache: Cache, timer: Callable[[], float], sleep: Sleep = asyncio.sleep
    ) -> None:
        self._workspace = workspace
        self._resources = workspace.resources
        self._cache = cache
        self._timer = timer
        self._sleep = sleep
        self._last_webhook: float | None = None
        self._urgent = ChangedProjects(workspace, "reader", sleep)
        self._cautious = ChangedProjects(workspace, "background", sleep)
        self._cautious_until: dict[str, float] = {}
        self._seen: set[str] = set()
        self._running: asyncio.Task[None] | None = None
        self._users = 0

    def start(self) -> None:
        """Keep the workspace fresh from now on, until `stop` was called as often as this."""
        self._users += 1
        if self._running is None:
            # Some apps wait for hours until they ask again: an older copy would be shown for that long.
            since = self._workspace.now() - RESTORED_AGE
            self._resources.restored = self._resources.restored_since(since)
            self._running = asyncio.create_task(self.run())

    async def stop(self) -> bool:
        """Whether nobody else needs it: then what is under way has ended."""
        self._users -= 1
        if self._users > 0:
            return False
        await self.close()
        return True

    async def close(self) -> None:
        """Cancel what is under way."""
        if self._running is not None:
            await cancel([self._running])
        await self._urgent.close()
        await self._cautious.close()

    @property
    def queue_length(self) -> int:
        """How many projects wait to be read: changed by a webhook, or no longer fresh."""
        stale = {project.id for project in self._stale()}
        return len(stale | self._urgent.waiting | self._cautious.waiting)

    def _stale(self) -> Sequence[Project]:
        watched = self._workspace.watched()
        return [project for project in watched if not self._resources.is_fresh(project, Needs())]

    async def run(self) -> None:
        """Read everything once; then keep it fresh, without end. With replicas, one of them does for all."""
        workspace = self._workspace
        shared = [workspace.persistence.sync_from_peers, workspace.lease.balance]
        looks = [self.refresh_stale, *(shared if workspace.persistence.is_shared else ())]
        await asyncio.gather(*(self._repeat(look) for look in looks))

    async def _repeat(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            pause = INTERVAL_SECONDS
            try:
                await look()
            except Exception:
                # A fault of ours must not end the refreshing: nobody would see why nothing is fresh.
                log.exception("workspace %s: unexpected error", self._workspace.name)
                pause = FAULT_PAUSE_SECONDS
            await self._sleep(pause)

    async def refresh_stale(self) -> None:
        """Read the watched projects that are not fresh, the oldest first; readers' requests come before.

        Before any of them is read in full, all are read as far as every feed needs. Failing ones come last:
        they may make the whole workspace back off. One seen for the first time counts as asked for.
        """
        lease = self._workspace.lease
        if await lease.take():
            await self._workspace.refresh_projects("background")
        new = [project for project in self._resources.all_projects if project.id not in self._seen]
        self._workspace.watch(new)
        self._seen.update(project.id for project in new)
        self._stretch_ttls()
        if not await lease.take():
            return
        await self._workspace.refresh_unread("background")
        await self._workspace.refresh_found("background")

        def order(project: Project) -> tuple[bool, datetime]:
            return self._workspace.is_failing(project), self._resources.read_at(project) or NEVER

        # One project at a time: a reader who comes meanwhile has to wait for one at most. Each once: one that
        # is not fresh after its read (it failed, or was touched again) has its turn at the next look.
        done: set[str] = set()
        while (oldest := min(self._stale(), key=order, default=None)) and oldest.id not in done:
            if not await lease.take():
                return
            done.add(oldest.id)
            self._stretch_ttls()
            await self._workspace.refresh_projects("background")
            await self._workspace.refresh(oldest, "background")

    def touch(self, change: WebhookChange) -> None:
        """Read soon, as for a reader, what a webhook says has changed.

        What could not be understood is read in the background, within half of Plane's budget.
        """
        if "issues" in change.resources and not change.problem:
            self._last_webhook = self._timer()
        if change.project_gone:
            self._resources.deleted.update(change.projects)
        known = change.projects.intersection(project.id for project in self._resources.all_projects)
        ids = known or self._projects_of(change) or change.projects
        if change.problem:
            self._cautious.add(self._due(ids, change.problem), change.resources)
        else:
            self._urgent.add(ids, change.resources)

    def _due(self, ids: Collection[str], problem: str) -> Sequence[str]:
        """Return which of these projects (none: of all) to read for a webhook that was not understood.

        All while more than half of Plane's budget is left, so that a flood cannot use it up; else each one
        once in the time for which issues are fresh, which is what polling costs.
        """
        now, issues, budget = self._timer(), self._resources.ttls["issues"], self._workspace.budget
        known = [project.id for project in self._resources.all_projects if not ids or project.id in ids]
        due = [id_ for id_ in known if self._cautious_until.get(id_, now) <= now]
        self._cautious_until.update(dict.fromkeys(due, now + issues.seconds * issues.stretch))
        if due:
            text = "workspace %s: a webhook could not be understood (%s); projects read again: %d"
            log.warning(text, self._workspace.name, problem, len(due))
        left = budget.left
        return known if left is None or left > budget.limit // 2 else due

    def _projects_of(self, change: WebhookChange) -> Sequence[str]:
        """Where it is, when the delivery names no project that we know: perhaps only the id of an issue."""
        if change.resources and change.resources <= ALL_OF_WORKSPACE:
            # The lists of the workspace are read with any of its projects.
            return [project.id for project in self._resources.all_projects[:1]]
        ids = change.periods | ({change.issue} if change.issue else set())
        return [
            project.id
            for project in self._resources.all_projects
            if ids & (self._resources.issues[project.id].value or ({}, 0))[0].keys()
            or ids & {period.id for period in self._resources.periods_of(project)}
        ]

    def _stretch_ttls(self) -> None:
        """Let everything be fresh for longer when there is more to read than the budget allows.

        While webhooks arrive the issues come first: webhooks report most of what changes in them.
        """
        resources, budget = self._resources, self._workspace.budget
        ttls: dict[str, float] = {name: getattr(self._cache, name) for name in resources.of_project}
        counts = {name: len(resources.all_projects) for name in ttls if resources.is_read(name)}
        counts["issues"] = self._workspace.check.requests
        for kind, periods in PERIOD_LISTS.items():
            ttls[f"issues of {kind}"] = ttls[periods.name]
            counts[f"issues of {kind}"] = resources.linked_periods(kind)
        ttls["found"], counts["found"] = ttls["issues"], len(resources.found)
        limit = budget.limit // max(1, budget.users)
        demand = counts["issues"] * WINDOW_SECONDS / max(ttls["issues"], 1.0)
        is_cheap = self._workspace.check.is_confirming and demand <= CHEAP_SHARE * limit
        last = self._last_webhook
        if not is_cheap and last is not None and self._timer() - last < WEBHOOKS_ACTIVE_SECONDS:
            ttls["issues"] = relaxed_ttl("issues", self._cache.webhook_ttl, ttls, counts, limit)
        resources.ttls["issues"].seconds = ttls["issues"]
        resources.stretch(stretch_factor(ttls, counts, limit))
        # Reading them less would save next to nothing: it is the names that do not fit.
        if is_cheap:
            resources.ttls["issues"].stretch = 1.0
