"""Plane's request budget of a key: whose turn it is to use it, and how long feeds wait for it."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from icsfeed.cache.resources import Resources
from icsfeed.model import Needs, Project
from icsfeed.plane.rate_limit import Budget, BudgetState, Urgency
from icsfeed.store.leases import Lease
from icsfeed.store.store import Store

ESSENTIAL_REQUESTS = 3
"""For what every feed needs of a project."""
PERIOD_REQUESTS = 2
"""For its cycles and modules, which some feeds must know."""
LOGGED_WAIT_SECONDS = 5.0
"""Waits from which a line in the log is worth it."""
TURN_SECONDS = 60.0
"""How long a refresh waits until the replica that reads with the key lets this one do so."""
NEWS_SECONDS = 3.0
"""How long a reader waits for what that replica reads anyway, before this one asks for its turn."""

log = logging.getLogger("icsfeed.workspace")


def waiting(seconds: float) -> str:
    """Describe the wait."""
    return f"waiting {seconds:.0f} s for Plane's request budget"


class BudgetWait:
    """The wait of one workspace, until its feeds have what they need.

    `is_refused`: the key may not read a project, which nobody waits for.
    """

    def __init__(
        self,
        name: str,
        resources: Resources,
        needs: Needs,
        budget: Budget,
        timer: Callable[[], float],
        is_refused: Callable[[Project], bool],
    ) -> None:
        self._name, self._resources, self._needs, self._budget = name, resources, needs, budget
        self._timer, self._is_refused = timer, is_refused
        self._logged_until = timer()

    @property
    def seconds(self) -> float:
        """Seconds until the budget allows the requests that are missing before feeds can be shown."""
        resources = self._resources
        if resources.projects.value is None:
            return self._budget.wait("reader")
        missing = int(resources.members.value is None)
        for project in resources.all_projects:
            if not self._is_refused(project):
                missing += 0 if resources.has_essentials(project) else ESSENTIAL_REQUESTS
                if self._needs.must_know_periods and not resources.has_periods(project):
                    missing += PERIOD_REQUESTS
                missing += resources.missing_lists(project, self._needs)
        return self._budget.wait("reader", missing) if missing else 0.0

    @property
    def text(self) -> str | None:
        """The wait in words; None where there is none."""
        seconds = self.seconds
        return waiting(seconds) if seconds >= 1 else None

    def log(self, seconds: float) -> None:
        """Log a wait, once until it is over."""
        # All requests in the queue report their wait: the log needs one line for them.
        now = self._timer()
        if now >= self._logged_until:
            self._logged_until = now + seconds
            log.info("workspace %s: %s", self._name, waiting(seconds))


class KeyTurns:
    """The turns of one workspace to read with its key, which one replica uses at a time.

    What is known of the key's `budget` is stored under `name`, and goes from one replica to the next.
    """

    def __init__(
        self, lease: Lease, store: Store, name: str, budget: Budget, clock: Callable[[], datetime]
    ) -> None:
        self._lease, self._store, self._name = lease, store, name
        self._budget, self._clock = budget, clock

    @asynccontextmanager
    async def turn(
        self, urgency: Urgency = "reader", is_needed: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator[bool]:
        """Keep other replicas from reading with the key inside; False: another one reads.

        The background does not wait for its turn. `is_needed`: see `Lease.obtain`.
        """
        wait = TURN_SECONDS if urgency == "reader" else 0.0
        patience = NEWS_SECONDS if is_needed is not None else 0.0
        async with self._lease.use(wait, patience, is_needed) as is_ours:
            if is_ours and self._store.is_shared:
                await self.load_budget()
            try:
                yield is_ours
            finally:
                if is_ours:
                    await self.save_budget()

    async def load_budget(self) -> None:
        """Load what this process before a restart, or another one, knew of the budget."""
        state = await self._store.get_record(self._name, BudgetState)
        if state is not None:
            self._budget.restore(state, self._clock().timestamp())

    async def save_budget(self) -> None:
        """Save what is known of the budget."""
        await self._store.put_record(self._name, self._budget.state(self._clock().timestamp()))
