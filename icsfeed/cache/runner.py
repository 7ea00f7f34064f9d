"""Runs refreshes: each once for all who wait for it, with a deadline, and with backoff after failures."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime

from msgspec import Struct

from icsfeed.errors import BadAnswer, NoAccess, NotFound, PlaneError
from icsfeed.plane.rate_limit import Budget, RequestPriority, Urgency
from icsfeed.single_flight import SingleFlight

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 5.0, 300.0
BACKOFF_JITTER = 0.25
"""By how much of it a backoff may be shorter, so that not all who failed together return together."""
MAX_CONCURRENT_PROJECTS = 4
PART_ERRORS = (NoAccess, NotFound, BadAnswer)
"""Errors that may concern one project, or the members, while Plane is well."""
MEMBERS = "members"
"""The part of a workspace that is no project."""

Part = tuple[str, Callable[[], Awaitable[object]]]
"""The id of a project, or `MEMBERS`, and how it is refreshed."""

log = logging.getLogger("icsfeed.workspace")


class Backoff:
    """How long to leave Plane alone after failures: doubling from 5 s to 5 min, or as long as Plane says.

    `chance` gives numbers from 0 to 1. `error` is the last failure, None after a success.
    """

    def __init__(self, timer: Callable[[], float], chance: Callable[[], float]) -> None:
        self._timer = timer
        self._chance = chance
        self._failures = 0
        self._until = 0.0
        self.error: PlaneError | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds still to wait."""
        return max(0.0, self._until - self._timer())

    def failed(self, error: PlaneError) -> None:
        retry_after = getattr(error, "retry_after", None) or 0.0
        wait = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**self._failures)
        wait *= 1 - BACKOFF_JITTER * self._chance()
        self._failures = min(self._failures + 1, 10)  # 2.0**1024 overflows
        self._until = self._timer() + max(wait, retry_after)
        self.error = error

    def succeeded(self) -> None:
        self._failures, self._until, self.error = 0, 0.0, None

    def end(self) -> None:
        """Let the next attempt come at once, unless Plane has said when to come back."""
        if getattr(self.error, "retry_after", None) is None:
            self._until = 0.0


class RefreshOutcome(Struct, frozen=True):
    """One refresh of a part of a workspace. `error`: why it failed."""

    at: datetime
    seconds: float
    error: PlaneError | None = None


class RefreshStats:
    """The outcomes of refreshes: `counts` by `ok` or the kind of error, and `seconds` for all of them."""

    def __init__(self, clock: Callable[[], datetime], timer: Callable[[], float]) -> None:
        self._clock, self._timer = clock, timer
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.under_way = 0
        self.last: RefreshOutcome | None = None

    async def measure(self, refresh: Awaitable[object]) -> None:
        """Await it, and count it. Raises what it raises; one that is cancelled does not count."""
        at, started = self._clock(), self._timer()
        self.under_way += 1
        try:
            await refresh
        except PlaneError as error:
            self._count(RefreshOutcome(at, self._timer() - started, error))
            raise
        else:
            self._count(RefreshOutcome(at, self._timer() - started))
        finally:
            self.under_way -= 1

    def _count(self, outcome: RefreshOutcome) -> None:
        self.counts[outcome.error.kind if outcome.error else "ok"] += 1
        self.seconds += outcome.seconds
        self.last = outcome


class RefreshRunner:
    """Runs the refreshes of one workspace.

    `workspace` is its name for the log. `read_count` counts the reads that have succeeded. `on_wait` is
    called when a request has to wait for the budget. `backoff` is that of the whole workspace,
    `part_backoffs` those of its projects, by id, and of `MEMBERS`. Nothing runs once it `is_closed`.
    """

    def __init__(
        self,
        workspace: str,
        budget: Budget,
        timer: Callable[[], float],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        *,
        read_count: Callable[[], int],
        on_wait: Callable[[RequestPriority, float], None],
    ) -> None:
        self._workspace = workspace
        self._budget = budget
        self._timer = timer
        self._read_count = read_count
        self._on_wait = on_wait
        self._flights: SingleFlight[None] = SingleFlight()
        self._priorities: set[RequestPriority] = set()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_PROJECTS)
        self.backoff = Backoff(timer, chance)
        self.part_backoffs: defaultdict[str, Backoff] = defaultdict(lambda: Backoff(timer, chance))
        self.stats = RefreshStats(clock, timer)
        self.is_closed = False

    async def run(
        self,
        key: Hashable,
        refresh: Callable[[RequestPriority], Awaitable[None]],
        until: float,
        urgency: Urgency = "reader",
    ) -> None:
        """Join the refresh of this key, or start it; stop waiting (not the refresh) at `until`, by the timer.

        Where a reader waits, all that runs in the background becomes urgent: it may wait for it.
        """
        if urgency == "reader":
            self.raise_priorities()
        task = self._flights.task(key, lambda: self._run(refresh, urgency))
        # Not `wait_for`, which would cancel the refresh for all who wait.
        await asyncio.wait({task}, timeout=max(0.0, until - self._timer()))

    def raise_priorities(self) -> None:
        """Make all that runs urgent: somebody waits for it, or for its end."""
        for priority in self._priorities:
            priority.raise_priority()

    async def _run(self, refresh: Callable[[RequestPriority], Awaitable[None]], urgency: Urgency) -> None:
        if self.backoff.seconds_left or self.is_closed:
            return
        priority = RequestPriority(self._budget, urgency, self._on_wait)
        self._priorities.add(priority)
        try:
            await refresh(priority)
        except PlaneError as error:
            self._failed(self.backoff, error)
        except Exception:
            # A fault of ours must not cost the readers their copy.
            log.exception("workspace %s: unexpected error", self._workspace)
            self._failed(self.backoff, BadAnswer("the workspace", "icsfeed failed; its log says more"))
        finally:
            self._priorities.discard(priority)

    async def run_parts(self, parts: Sequence[Part]) -> None:
        """Refresh all these parts, a few at a time, those that failed the last time last.

        One that fails does not keep the others from being read, unless Plane is not well at all: then the
        error is raised when all have ended.
        """
        # What failed the last time may make the whole workspace back off: the others come before it.
        in_order = sorted(parts, key=lambda part: self.is_failing(part[0]))
        results = await asyncio.gather(*(self._run_part(*p) for p in in_order), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _run_part(self, part: str, refresh: Callable[[], Awaitable[object]]) -> None:
        """Refresh the members or a project.

        Any failure makes that part back off: where the others can be read, only it is read less and less.
        """
        backoff = self.part_backoffs[part]
        async with self._slots:
            if not backoff.seconds_left and not self.backoff.seconds_left:
                try:
                    await self.measure(refresh())
                except PART_ERRORS as error:
                    self._failed(backoff, error)
                except PlaneError as error:
                    # Plane itself fails. The part backs off too: when the workspace is read again, the parts
                    # that did not fail are read before it.
                    if not backoff.seconds_left:
                        backoff.failed(error)
                    self._failed(self.backoff, error)
                else:
                    backoff.succeeded()

    async def measure(self, refresh: Awaitable[object]) -> None:
        """Await a refresh, and count it. Raises what it raises."""
        before = self._read_count()
        await self.stats.measure(refresh)
        # Where nothing had to be read, nothing was learned of Plane.
        if self._read_count() > before and not self.backoff.seconds_left:
            self.backoff.succeeded()

    def _failed(self, backoff: Backoff, error: PlaneError) -> None:
        if not backoff.seconds_left:
            backoff.failed(error)
            log.warning("workspace %s: %s; retrying in %.0f s", self._workspace, error, backoff.seconds_left)

    def is_failing(self, part: str) -> bool:
        """Whether this project, or `MEMBERS`, could not be read the last time."""
        return self.part_backoffs[part].error is not None

    async def close(self) -> None:
        """Cancel what is running, and run nothing any more."""
        self.is_closed = True
        await self._flights.close()
