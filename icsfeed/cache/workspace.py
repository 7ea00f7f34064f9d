"""One Plane workspace read on demand: one flight for all who wait, a deadline, rests after failures."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import random

from cachetools import TTLCache
from msgspec.structs import replace

from icsfeed.cache.budget_wait import LONG, BudgetWait
from icsfeed.cache.persistence import Persistence
from icsfeed.cache.refresh import LOST, PlaneReader, Refresher, all_of
from icsfeed.cache.snapshots import Snapshots
from icsfeed.cache.ttl import Backoff, RefreshStats
from icsfeed.config.schema import Cache
from icsfeed.errors import BadAnswer, NoAccess, NotFound, PlaneError
from icsfeed.model import Needs, Project, View
from icsfeed.plane.rate_limit import WINDOW, Budget, RequestPriority, Urgency
from icsfeed.single_flight import SingleFlight
from icsfeed.store.store import Store

AT_ONCE = 4
"""Projects asked at the same time (design.md)."""
VIEW_KEPT = 1.0
"""Seconds for which a view is handed on without looking at what is fresh: cheap for many readers."""
WATCHED_FOR = 86_400.0
"""Seconds after which a project that nobody asked for is no longer kept fresh."""

PATIENCE = 600.0
"""Seconds that a person who asked for a sync waits for each step of it."""
AGAIN = 3
"""How often a sync reads what had begun before it."""

LINKED = Needs(links=True)
"""What feeds need that show all details."""

OF_A_PART = (NoAccess, NotFound, BadAnswer)
"""Errors that may concern one project, or the members, while Plane is well."""

log = logging.getLogger("icsfeed.workspace")

Part = tuple[str, Callable[[], Awaitable[object]]]
Choose = Callable[[tuple[Project, ...]], tuple[Project, ...]]


class Workspace:
    """The workspace `name`, read through `plane`. `keys` limits it to some projects; none: all.

    `needs`: what its feeds need of its projects. `budget` is that of the
    API key, which other workspaces may share, and `store` where the last good copies are kept: those of
    the same `origin`. `reader` is another one for another key. `edition` is another one when what
    was handed on within `VIEW_KEPT` is not to be any more. `sparing`: nothing is read that a
    view does without.
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
    ) -> None:
        self.name = name
        self.budget = budget
        budget.users += 1
        self._reader = RequestPriority(budget, "reader", self._told_to_wait)
        self.plane = plane.on(self._reader)
        self._cache = cache
        self._needs = needs
        self._clock = clock
        self._timer = timer
        folded = frozenset(key.casefold() for key in keys)
        self.known = Snapshots(
            cache, clock=clock, timer=timer, keys=folded, links=needs.links, sparing=sparing
        )
        self.keeping = Persistence(name, self.known, store, clock, origin, reader, sparing=sparing)
        self._reading = Refresher(name, self.known, self.keeping, cache, clock)
        self._flights: SingleFlight[None] = SingleFlight()
        self._errands: set[RequestPriority] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.edition = 0
        self._views: TTLCache[object, View] = TTLCache(maxsize=10_000, ttl=VIEW_KEPT, timer=timer)
        self._watched: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=WATCHED_FOR, timer=timer)
        self._waits = BudgetWait(name, self.known, needs, budget, timer, self._is_closed)
        self._rest = Backoff(timer, chance)
        self._part_rests: defaultdict[str, Backoff] = defaultdict(lambda: Backoff(timer, chance))
        self.refreshes = RefreshStats(clock, timer)
        self.is_closed = False

    async def start(self) -> None:
        """Take in what was kept before this process was started. Plane is not asked."""
        for project in await self.keeping.adopt_roster():
            await self.keeping.adopt(project)
            if project.id in self.known.lost:
                log.warning(LOST, self.name, project.key, project.id)
        await self.keeping.adopt_budget(self.budget)

    async def view(self, choose: Choose, needs: Needs, until: float | None = None) -> View | None:
        """What is known of the chosen projects, refreshed when it is not fresh.

        Waits at most the deadline (or `until`, see there) and then gives the newest good copy, or None
        where there is none: `last_error` says why and `retry_after` when to ask again. Raises what
        `choose` raises.
        """
        until = self.until if until is None else until
        if not self.known.projects.is_fresh(""):
            await self._fly("projects", self._read_roster, until)
        projects = self.known.projects.get("")
        if projects is None:
            return None
        chosen = choose(projects)
        self.watch(chosen)
        ids = tuple(project.id for project in chosen)
        work, asked = (ids, needs.named, needs.all_periods), (ids, needs)
        view = self._views.get(asked)
        if view is None:
            if not self._is_fresh(chosen, needs):
                # Without a request to be had in time there is nothing to wait for.
                in_vain = self.budget.wait("reader") > until - self._timer()
                until = self._timer() if in_vain and self.known.can_show(chosen, needs) else until
                await self._fly(work, partial(self._refresh, chosen, needs), until)
            view = self._known_view(projects, chosen, needs)
            if view is not None:
                self._views[asked] = view
        return view

    def _known_view(
        self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs
    ) -> View | None:
        """What is known of the chosen projects: of those that the key may read, if that is any of them."""
        readable = self.readable(chosen)
        if chosen and not readable:
            return None
        view = self.known.view(projects, readable, needs)
        lost = self.known.lost_of(readable)
        unread = (*(project for project in chosen if project not in readable), *lost)
        if view is None or not unread:
            return view
        return replace(view, unread=unread, stamp=(*view.stamp, unread))

    @property
    def until(self) -> float:
        """When, by the timer, a reader who comes now has waited long enough."""
        return self._timer() + float(self._cache.deadline)

    @property
    def is_known(self) -> bool:
        """Whether its projects and members have ever been read."""
        return self.known.projects.get("") is not None and self.known.members.get("") is not None

    @property
    def is_ready(self) -> bool:
        """Whether every one of its projects that the key may read can be shown by every feed."""
        projects = self.known.projects.get("")
        if not projects:
            return projects is not None
        readable = self.readable(projects)
        return bool(readable) and self.known.can_show(readable, self._needs)

    def readable(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """Those but for the ones that Plane has refused, and of which there is no copy either."""
        return tuple(project for project in projects if not self._is_closed(project))

    @property
    def unread(self) -> Mapping[str, int]:
        """How many of its projects the key may not read: `lost` are shown as they were, `closed` are not."""
        projects = self.known.projects.get("") or ()
        counts = {"lost": len(self.known.lost_of(projects)), "closed": sum(map(self._is_closed, projects))}
        return {what: count for what, count in counts.items() if count}

    def _is_closed(self, project: Project) -> bool:
        refused = isinstance(self._part_rests[project.id].error, NoAccess)
        return refused and not self.known.has_essentials(project)

    @property
    def issue_count(self) -> int:
        """How many issues are known of all its projects."""
        found = (self.known.issues.get(project.id) for project in self.known.projects.get("") or ())
        return sum(len(issues[0]) for issues in found if issues is not None)

    @property
    def projects_read(self) -> int:
        """Of how many projects the issues are known."""
        return sum(self.known.read_at(one) is not None for one in self.known.projects.get("") or ())

    @property
    def read_at(self) -> datetime | None:
        """When the oldest copy of its projects' issues was read; None while one never was."""
        projects = self.known.projects.get("") or ()
        moments = [at for project in projects if (at := self.known.read_at(project)) is not None]
        return min(moments, default=None) if len(moments) == len(projects) else None

    @property
    def retry_after(self) -> int:
        """Whole seconds until asking Plane again makes sense, at least 1.

        Nobody waits for a project that the key may not read.
        """
        projects = self.known.projects.get("") or ()
        rests = self._rests(self.readable(projects) or projects)
        return int(max(self._waits.seconds, *(rest.left for rest in rests))) + 1

    @property
    def waiting(self) -> str | None:
        """What keeps feeds from being shown, where that is Plane's request budget."""
        return self._waits.text

    @property
    def last_error(self) -> PlaneError | None:
        """Why it, or a part of it, could not be read the last time; None when it could."""
        return self._rest.error or self._lost_error() or self._failure()

    def _failure(self) -> PlaneError | None:
        return next((rest.error for rest in self._rests() if rest.error), None)

    def _lost_error(self) -> PlaneError | None:
        lost = self.known.lost_of(self.known.projects.get("") or ())
        if not lost:
            return None
        keys, at = ", ".join(project.key for project in lost), min(self.known.lost.values())
        text = f"not listed any more since {at:%Y-%m-%d %H:%M} UTC; its last copy is shown"
        return NoAccess(f"project {keys} of workspace {self.name!r}", text)

    def _told_to_wait(self, errand: RequestPriority, seconds: float) -> None:
        if seconds >= LONG and (errand.urgency == "reader" or not self.is_ready):
            self._waits.tell(seconds)

    def _rests(self, projects: Iterable[Project] | None = None) -> Sequence[Backoff]:
        """Those of the whole, of its people and of these projects: all of them by default."""
        chosen = (self.known.projects.get("") or ()) if projects is None else projects
        parts = ("", *(project.id for project in chosen if project.id not in self.known.lost))
        return (self._rest, *(self._part_rests[part] for part in parts))

    async def refresh(self, project: Project, urgency: Urgency) -> None:
        """Read what is not fresh of a project; waits at most the deadline."""
        work: object = ((project.id,), frozenset[str](), False)
        await self._fly(work, partial(self._refresh, [project], Needs()), self.until, urgency)

    async def refresh_unread(self, urgency: Urgency) -> None:
        """Read what every feed needs of the watched projects, where that was never read.

        A few at a time: a reader who comes meanwhile makes what is under way urgent, and has to wait for it.
        """
        unread = [project for project in self.watched() if not self.known.has_essentials(project)]
        for start in range(0, len(unread), AT_ONCE):
            few = unread[start : start + AT_ONCE]
            work = ("unread", *(project.id for project in few))
            await self._fly(work, partial(self._refresh_unread, few), self._timer() + WINDOW, urgency)

    async def _refresh_unread(self, projects: Sequence[Project], plane: PlaneReader) -> None:
        await self._in_rounds(self._essentials(projects, plane), (), plane)

    async def refresh_projects(self, urgency: Urgency) -> None:
        """Read which projects there are, when that is not fresh; waits at most the deadline."""
        if not self.known.projects.is_fresh(""):
            await self._fly("projects", self._read_roster, self.until, urgency)

    async def sync(self) -> None:
        """Read everything again, whatever is fresh or rests after a failure; waits until that is done.

        Issues are read whole: who asks for a sync may have restored Plane from a backup. What was under way
        already may be older than the wish: then it is read once more.
        """
        since = self.known.whole_since = self._clock()
        for _ in range(AGAIN):
            for rest in self._rests():
                rest.end()
            self.expire()
            until = self._timer() + PATIENCE
            await self._fly("projects", self._read_roster, until)
            await self._fly("all", self._read_all, until)
            self._views.clear()
            self.edition += 1
            if self.is_closed or self._failure() or self.known.is_read_since(since):
                return

    def expire(self) -> None:
        """Let everything be read again when it is next asked for, however fresh it is."""
        for copies in self.known.copies():
            copies.expire_all()

    async def _read_all(self, plane: PlaneReader) -> None:
        await self._refresh(self.known.projects.get("") or (), Needs(), plane)

    def watched(self) -> Sequence[Project]:
        """The projects that readers asked for within a day, or never read, that may be read now."""
        if self._rest.left:
            return ()
        projects = [p for p in self.known.projects.get("") or () if p.id not in self.known.lost]
        wanted = [p for p in projects if p.id in self._watched or self.known.read_at(p) is None]
        return [project for project in wanted if not self._part_rests[project.id].left]

    def watch(self, projects: Iterable[Project]) -> None:
        """Count these projects as asked for."""
        self._watched.update((project.id, True) for project in projects)

    def now(self) -> datetime:
        """The time of day that readings are stamped with."""
        return self._clock()

    async def keep(self) -> None:
        """Keep what is known now, for another one that goes on from here."""
        await self._reading.save_changed()
        await self.keeping.keep_budget(self.budget)

    async def succeed(self, before: "Workspace") -> None:
        """Go on where another one of the same name has ended: with what it has read, and had to read."""
        await self.start()
        self.known.expire_as(before.known)

    async def close(self) -> None:
        """End what is under way, and keep what was read of it. Nothing is read afterwards."""
        self.is_closed = True
        await asyncio.gather(self._flights.close(), *(copies.close() for copies in self.known.copies()))
        await self.keep()
        self.budget.users -= 1

    async def _fly(
        self,
        work: Hashable,
        start: Callable[[PlaneReader], Awaitable[None]],
        until: float,
        urgency: Urgency = "reader",
    ) -> None:
        """Join the flight for this work, or start it; stop waiting (not the work) when time is up.

        Where a reader waits, what is under way in the background has become urgent.
        """
        if urgency == "reader":
            for errand in self._errands:
                errand.raise_priority()
        task = self._flights.task(work, lambda: self._guarded(start, urgency))
        await asyncio.wait({task}, timeout=max(0.0, until - self._timer()))

    async def _guarded(self, start: Callable[[PlaneReader], Awaitable[None]], urgency: Urgency) -> None:
        if self._rest.left or self.is_closed:
            return
        errand = RequestPriority(self.budget, urgency, self._told_to_wait)
        self._errands.add(errand)
        try:
            await self.keeping.sync_budget_from_peers(self.budget)
            await start(self.plane.on(errand))
        except PlaneError as error:
            self._failed(self._rest, error)
        except Exception:
            # A fault of ours must not cost the readers their copy.
            log.exception("workspace %s: unexpected error", self.name)
            self._failed(self._rest, BadAnswer("the workspace", "icsfeed failed; its log says more"))
        finally:
            self._errands.discard(errand)

    def _reads(self) -> int:
        return sum(copies.reads for copies in self.known.copies())

    def _failed(self, rest: Backoff, error: PlaneError) -> None:
        if not rest.left:
            rest.failed(error)
            log.warning("workspace %s: %s; asking again in %.0f s", self.name, error, rest.left)

    def _is_fresh(self, projects: Sequence[Project], needs: Needs) -> bool:
        return self.known.members.is_fresh("") and all(
            self.known.is_fresh(project, needs) for project in projects
        )

    async def _read_roster(self, plane: PlaneReader) -> None:
        before = self._reads()
        await self.refreshes.measured(self._reading.roster(plane))
        self._heard_after(before)

    async def _refresh(self, projects: Sequence[Project], needs: Needs, plane: PlaneReader) -> None:
        """Read what is not fresh, first what no feed can do without. One part that fails does not keep the
        others from being read.
        """
        parts = [
            (project.id, partial(self._reading.project, project, needs, plane))
            for project in projects
            if not self.known.is_fresh(project, needs)
        ]
        await self._in_rounds(self._essentials(projects, plane), parts, plane)
        await self._reading.save_changed()
        await self.keeping.keep_budget(self.budget)

    def _essentials(self, projects: Sequence[Project], plane: PlaneReader) -> Sequence[Part]:
        unread = (project for project in projects if not self.known.has_essentials(project))
        return [(project.id, partial(self._reading.essentials, project, plane)) for project in unread]

    async def _in_rounds(self, first: Sequence[Part], parts: Sequence[Part], plane: PlaneReader) -> None:
        is_well = self.known.members.is_fresh("") and not self.is_failing("")
        members: Sequence[Part] = [] if is_well else [("", partial(self._reading.members, plane))]
        # What failed the last time comes last: it may let all that comes after it rest.
        rounds = (first, parts, members) if self.is_failing("") else (members, first, parts)
        for batch in rounds:
            in_order = sorted(batch, key=lambda part: self.is_failing(part[0]))
            await all_of([self._part(*part) for part in in_order])

    def is_failing(self, part: str) -> bool:
        """Whether this project (members: no id) could not be read the last time."""
        return self._part_rests[part].error is not None

    async def _part(self, part: str, refresh: Callable[[], Awaitable[object]]) -> None:
        """Bring the members or a project up to date. What only concerns it leaves the others alone.

        Any failure lets it rest by itself: where the others can be read, only it is asked less and less.
        """
        rest = self._part_rests[part]
        async with self._slots:
            if rest.left or self._rest.left:
                return
            before = self._reads()
            try:
                await self.refreshes.measured(refresh())
            except OF_A_PART as error:
                self._failed(rest, error)
            except PlaneError as error:
                if not rest.left:
                    rest.failed(error)
                self._failed(self._rest, error)
            else:
                rest.over()
                self._heard_after(before)

    def _heard_after(self, reads: int) -> None:
        """Plane is well, unless nothing had to be read: then nothing was learned of it."""
        if self._reads() > reads and not self._rest.left:
            self._rest.over()
