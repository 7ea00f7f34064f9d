"""One Plane workspace, read on demand: refreshed when it is not fresh, within a deadline, once for all."""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import random

from cachetools import TTLCache
from msgspec.structs import replace

from icsfeed.cache.budget_wait import LOGGED_WAIT_SECONDS, BudgetWait, KeyTurns
from icsfeed.cache.change_check import ChangeCheck
from icsfeed.cache.lists import PlaneReader
from icsfeed.cache.persistence import Persistence
from icsfeed.cache.refresh import LOST, Refresher
from icsfeed.cache.resources import Resources, search_part
from icsfeed.cache.runner import MAX_CONCURRENT_PROJECTS, MEMBERS, Backoff, RefreshRunner
from icsfeed.cache.snapshots import Snapshots
from icsfeed.config.schema import Cache
from icsfeed.errors import FeedError, NoAccess, PlaneError
from icsfeed.model import Needs, Project, View
from icsfeed.plane.rate_limit import WINDOW_SECONDS, Budget, RequestPriority, Urgency
from icsfeed.store.leases import Lease, Leases
from icsfeed.store.store import Store

VIEW_SECONDS = 1.0
"""For how long a view is reused without a look at what is fresh: cheap for many readers."""
WATCHED_SECONDS = 86_400.0
"""After which a project that nobody asked for is no longer refreshed in the background."""
SYNC_TIMEOUT = 600.0
"""Seconds that a person who asked for a sync waits for each step of it."""
MAX_SYNC_ATTEMPTS = 3
"""How often a sync reads what had begun before it."""

LINKED = Needs(links=True)
"""What feeds need that show all details."""

log = logging.getLogger("icsfeed.workspace")

Choose = Callable[[tuple[Project, ...]], tuple[Project, ...]]


class Workspace:
    """The workspace `name`, read through `plane`. `keys` limits it to some projects; none: all.

    `needs`: what its feeds need. `budget` is that of the API key, which other workspaces may share. `store`
    has the last good copies, those of the same `origin`. `reader` differs for another key. `edition` changes
    when views returned within `VIEW_SECONDS` are not to be reused. `sparing`: only what a view needs is read.
    `lease`: that one replica reads with the key at a time.
    """

    def __init__(
        self,
        name: str,
        plane: PlaneReader,
        cache: Cache,
        *,
        store: Store,
        budget: Budget,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        chance: Callable[[], float] = random,
        keys: Iterable[str] = (),
        needs: Needs = LINKED,
        origin: str = "",
        reader: str = "",
        sparing: bool = False,
        lease: Lease | None = None,
    ) -> None:
        self.name = name
        self.lease = lease or Leases(store).of(reader)
        self.turns = KeyTurns(self.lease, store, f"{name}/budget", budget, clock)
        self.budget = budget
        budget.users += 1
        self._deadline = float(cache.deadline)
        self._needs = needs
        self._clock = clock
        self._timer = timer
        self.resources = Resources(cache, clock, timer, needs, keys=keys, sparing=sparing)
        self.snapshots = Snapshots(self.resources, clock)
        self.persistence = Persistence(
            name, self.resources, self.snapshots, store, clock, origin=origin, reader=reader
        )
        self._runner = RefreshRunner(
            name, budget, timer, clock, chance, read_count=self.resources.read_count, on_wait=self._log_wait
        )
        self.refreshes = self._runner.stats
        self.lease.on_wanted.append(self._runner.raise_priorities)
        snapshot_of, full = self.snapshots.snapshot, cache.full.delta
        self.check = ChangeCheck(name, self.resources, full, clock)
        self._refresher = Refresher(
            name, self.resources, self._runner, self.persistence, snapshot_of, self.check, full, clock
        )
        self._budget_wait = BudgetWait(name, self.resources, needs, budget, timer, self._is_refused)
        self.plane = plane.on(RequestPriority(budget, "reader", self._log_wait))
        self.edition = 0
        self._views: TTLCache[object, View] = TTLCache(maxsize=10_000, ttl=VIEW_SECONDS, timer=timer)
        self._watched: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=WATCHED_SECONDS, timer=timer)

    async def start(self) -> None:
        """Load what was saved before this process was started. Plane is not asked."""
        for project in await self.persistence.load_roster():
            await self.persistence.load(project)
            # In each process's log, not only in that of the one that saw it vanish.
            if project.id in self.resources.lost:
                log.warning(LOST, self.name, project.key, project.id)
        await self.turns.load_budget()

    async def view(self, choose: Choose, needs: Needs, until: float | None = None) -> View | None:
        """Return the chosen projects, refreshed when they are not fresh.

        Waits at most the deadline (or `until`, see there) and then returns the newest good copy, or None
        where there is none: `last_error` says why and `retry_after` when to ask again. Does not wait for what
        is read for the first time since a restart. Raises what `choose` raises.
        """
        until = self.until if until is None else until
        if needs.pql and self.resources.found[needs.pql].value is None:
            await self.persistence.load_found(needs.pql)
        if self._can_show_restored(choose, needs) and await self.lease.take():
            until = self._timer()  # otherwise another replica lives, whose copies must be newer
        if not self.resources.projects.is_fresh:
            is_unread = partial(self._is_unread, (), Needs())
            await self._run("projects", self._refresher.refresh_projects, until, is_unread)
        projects = self.resources.projects.value
        if projects is None:
            return None
        chosen = choose(projects)
        self.watch(chosen)
        ids = tuple(project.id for project in chosen)
        # Within a second of the last view the same one: hundreds of calendar apps poll at the full hour.
        view = self._views.get((ids, needs))
        if view is None:
            if not self.resources.are_fresh(chosen, needs):
                # Without a request to be had in time there is nothing to wait for.
                in_vain = self.budget.wait("reader") > until - self._timer()
                until = self._timer() if in_vain and self.snapshots.can_show(chosen, needs) else until
                # Feeds that need the same of Plane share a refresh, whatever else they show.
                unwanted = self.resources.unwanted(needs.lists)
                work = (ids, needs.named, needs.all_periods, unwanted, needs.pql)
                refresh = partial(self._refresher.refresh, chosen, needs)
                await self._run(work, refresh, until, partial(self._is_unread, chosen, needs))
            view = self._newest_view(projects, chosen, needs)
            if view is not None:
                self._views[ids, needs] = view
        return view

    async def _is_unread(self, projects: Sequence[Project], needs: Needs) -> bool:
        """Whether these are still to be read, after what another replica has read of them was loaded."""
        resources = self.resources
        await self.persistence.load_stale(projects, needs)
        return not (resources.projects.is_fresh and resources.are_fresh(projects, needs))

    def _can_show_restored(self, choose: Choose, needs: Needs) -> bool:
        """Whether the view is complete, and all that is not fresh in it was restored."""
        restored = self.resources.restored
        try:
            chosen = choose(self.resources.all_projects) if restored else ()
        except FeedError:  # the restored list may lack what the feed names
            return False
        is_restored = bool(restored) and self.resources.stale(chosen, needs) <= restored
        return is_restored and self.snapshots.can_show(chosen, needs)

    def _newest_view(
        self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs
    ) -> View | None:
        """A view of those of the chosen projects that the key may read, if that is any of them."""
        readable = self.readable(chosen)
        if chosen and not readable:
            return None
        view = self.snapshots.view(projects, readable, needs)
        refused = (project for project in chosen if project not in readable)
        unread = (*refused, *self.resources.lost_of(readable))
        if view is None or not unread:
            return view
        return replace(view, unread=unread, stamp=(*view.stamp, unread))

    def search_error(self, pql: str | None) -> PlaneError | None:
        """Return why a search could not be made the last time; None when it could."""
        part = search_part(pql or "")
        return self._runner.part_backoffs[part].error if pql else None

    @property
    def until(self) -> float:
        """When, by the timer, a reader who comes now has waited long enough."""
        return self._timer() + self._deadline

    @property
    def is_known(self) -> bool:
        """Whether its projects and members have ever been read."""
        return self.resources.projects.value is not None and self.resources.members.value is not None

    @property
    def is_ready(self) -> bool:
        """Whether every one of its projects that the key may read can be shown by every feed."""
        projects = self.resources.projects.value
        if not projects:
            return projects is not None
        readable = self.readable(projects)
        return bool(readable) and self.snapshots.can_show(readable, self._needs)

    def readable(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """The projects without those that Plane has refused and of which there is no copy either."""
        return tuple(project for project in projects if not self._is_refused(project))

    @property
    def unread(self) -> Mapping[str, int]:
        """How many projects the key may not read: `lost` are shown as they were, `closed` are not."""
        projects = self.resources.all_projects
        counts = {
            "lost": len(self.resources.lost_of(projects)),
            "closed": sum(map(self._is_refused, projects)),
        }
        return {what: count for what, count in counts.items() if count}

    def _is_refused(self, project: Project) -> bool:
        error = self._runner.part_backoffs[project.id].error
        return isinstance(error, NoAccess) and not self.resources.has_essentials(project)

    @property
    def issue_count(self) -> int:
        """How many issues all its projects have, as they were last read."""
        issues = (self.resources.issues[project.id].value for project in self.resources.all_projects)
        return sum(len(of_project[0]) for of_project in issues if of_project is not None)

    @property
    def projects_read(self) -> int:
        """Of how many projects the issues were ever read."""
        return sum(self.resources.read_at(project) is not None for project in self.resources.all_projects)

    @property
    def read_at(self) -> datetime | None:
        """When the oldest copy of its projects' issues was read; None while one never was."""
        moments = [self.resources.read_at(project) for project in self.resources.all_projects]
        return min((at for at in moments if at is not None), default=None) if all(moments) else None

    @property
    def retry_after(self) -> int:
        """Whole seconds until asking Plane again makes sense, at least 1.

        Projects that the key may not read do not count.
        """
        backoffs = self._backoffs(self.readable(self.resources.all_projects))
        return int(max(self._budget_wait.seconds, *(each.seconds_left for each in backoffs))) + 1

    @property
    def waiting(self) -> str | None:
        """What keeps feeds from being shown, where that is Plane's request budget."""
        return self._budget_wait.text

    @property
    def last_error(self) -> PlaneError | None:
        """Why it, or a part of it, could not be read the last time; None when it could."""
        error = self._runner.backoff.error
        lost = self.resources.lost_of(self.resources.all_projects)
        if error is None and lost:
            keys = ", ".join(project.key for project in lost)
            since = min(self.resources.lost.values())
            text = f"not listed any more since {since:%Y-%m-%d %H:%M} UTC; its last copy is shown"
            error = NoAccess(f"project {keys} of workspace {self.name!r}", text)
        return error or self._failure()

    def _failure(self) -> PlaneError | None:
        return next((each.error for each in self._backoffs() if each.error), None)

    def _backoffs(self, projects: Sequence[Project] = ()) -> Sequence[Backoff]:
        """Those of the whole workspace, of its lists and of these of its projects; none: of all of them."""
        listed = (p.id for p in projects or self.resources.all_projects if p.id not in self.resources.lost)
        parts = (MEMBERS, *self.resources.of_workspace, *listed)
        return (self._runner.backoff, *(self._runner.part_backoffs[part] for part in parts))

    def is_failing(self, project: Project) -> bool:
        """Whether this project could not be read the last time."""
        return self._runner.is_failing(project.id)

    def _log_wait(self, priority: RequestPriority, seconds: float) -> None:
        if seconds >= LOGGED_WAIT_SECONDS and (priority.urgency == "reader" or not self.is_ready):
            self._budget_wait.log(seconds)

    async def refresh(self, project: Project, urgency: Urgency) -> None:
        """Read what is not fresh of a project; waits at most the deadline."""
        # As in `view`: a reader of it joins this one.
        work: object = ((project.id,), frozenset[str](), False, frozenset[str](), "")
        refresh = partial(self._refresher.refresh, [project], Needs())
        await self._run(work, refresh, self.until, urgency=urgency)

    async def refresh_unread(self, urgency: Urgency) -> None:
        """Read what every feed needs of the watched projects, where that was never read.

        A few at a time: a reader who comes meanwhile makes what is under way urgent, and has to wait for it.
        """
        unread = [project for project in self.watched() if not self.resources.has_essentials(project)]
        for start in range(0, len(unread), MAX_CONCURRENT_PROJECTS):
            few = unread[start : start + MAX_CONCURRENT_PROJECTS]
            work = ("unread", *(project.id for project in few))
            refresh = partial(self._refresher.refresh_essentials, few)
            await self._run(work, refresh, self._timer() + WINDOW_SECONDS, urgency=urgency)

    async def refresh_found(self, urgency: Urgency) -> None:
        """Read what the searches find that feeds have asked for, where that is not fresh."""
        if not all(found.is_fresh for found in self.resources.found.values()):
            await self._run("found", self._refresher.refresh_found, self.until, urgency=urgency)

    async def refresh_projects(self, urgency: Urgency) -> None:
        """Read which projects there are, when that is not fresh; waits at most the deadline."""
        if not self.resources.projects.is_fresh:
            await self._run("projects", self._refresher.refresh_projects, self.until, urgency=urgency)

    async def sync(self) -> None:
        """Read everything again, whatever is fresh or in backoff; waits until that is done.

        Issues are read whole: Plane may have been restored from a backup. What was under way
        already may be older than the wish: then it is read once more.
        """
        since = self.resources.whole_since = self._clock()
        self.resources.features.forget_refusals()
        for _ in range(MAX_SYNC_ATTEMPTS):
            for backoff in (self._runner.backoff, *self._runner.part_backoffs.values()):
                backoff.end()
            self.expire()
            until = self._timer() + SYNC_TIMEOUT
            await self._run("projects", self._refresher.refresh_projects, until)
            await self._run("all", self._refresher.refresh_all, until)
            # Who asked for the sync must not be shown a view from before it.
            self._views.clear()
            self.edition += 1
            if self.is_closed or self._failure() or self.resources.is_read_since(since):
                return

    def expire(self) -> None:
        """Let everything be read again when it is next asked for, however fresh it is."""
        self.resources.expire_all()

    def watched(self) -> Sequence[Project]:
        """The projects that readers asked for within a day, or never read, that may be read now."""
        if self._runner.backoff.seconds_left:
            return ()
        return [
            project
            for project in self.resources.all_projects
            if project.id not in self.resources.lost
            and (
                # Other replicas do not say what they are asked for.
                self.persistence.is_shared
                or project.id in self._watched
                or self.resources.read_at(project) is None
            )
            and not self._runner.part_backoffs[project.id].seconds_left
        ]

    def watch(self, projects: Iterable[Project]) -> None:
        """Count these projects as asked for."""
        self._watched.update((project.id, True) for project in projects)

    def now(self) -> datetime:
        """The time of day that reads are stamped with."""
        return self._clock()

    async def succeed(self, before: "Workspace") -> None:
        """Continue from another workspace of the same name: with what it has read, and had to read again."""
        await self.start()
        self.resources.expire_as(before.resources)

    @property
    def is_closed(self) -> bool:
        return self._runner.is_closed

    async def close(self) -> None:
        """Cancel what is under way, and save what was read of it. Nothing is read afterwards."""
        if self.is_closed:
            return
        # First what starts reads, then the reads: a read that ends meanwhile is still saved.
        await self._runner.close()
        await self.resources.close()
        await self.persistence.save_all_changed()
        await self.turns.save_budget()
        self.lease.on_wanted.remove(self._runner.raise_priorities)
        self.budget.users -= 1

    async def _run(
        self,
        work: Hashable,
        refresh: Callable[[PlaneReader], Awaitable[None]],
        until: float,
        is_needed: Callable[[], Awaitable[bool]] | None = None,
        *,
        urgency: Urgency = "reader",
    ) -> None:
        """Run or join a refresh. `is_needed`: whether it still is, where another replica may do it."""

        async def start(priority: RequestPriority) -> None:
            async with self.turns.turn(urgency, is_needed) as is_ours:
                if is_ours:
                    await refresh(self.plane.on(priority))

        await self._runner.run(work, start, until, urgency)
