"""How long feeds wait for Plane's request budget, and who is told."""

import logging
from collections.abc import Callable

from icsfeed.cache.snapshots import Snapshots
from icsfeed.model import Needs, Project
from icsfeed.plane.rate_limit import Budget

ESSENTIALS = 3
"""Requests for what every feed needs of a project."""
PERIODS = 2
"""Those for its cycles and modules, which some feeds must know."""
LONG = 5.0
"""Seconds that are worth a line in the log."""

log = logging.getLogger("icsfeed.workspace")


def waiting(seconds: float) -> str:
    """The wait in words."""
    return f"waiting {seconds:.0f} s for Plane's request budget"


class BudgetWait:
    """The wait of one workspace, for what its feeds need.

    `is_closed`: the key may not read a project, which is not waited for.
    """

    def __init__(
        self,
        name: str,
        known: Snapshots,
        needs: Needs,
        budget: Budget,
        timer: Callable[[], float],
        is_closed: Callable[[Project], bool],
    ) -> None:
        self._name, self._known, self._needs, self._budget = name, known, needs, budget
        self._timer, self._is_closed = timer, is_closed
        self._told_until = timer()

    @property
    def seconds(self) -> float:
        """Seconds until the budget allows the requests that are missing before feeds can be shown."""
        projects = self._known.projects.get("")
        if projects is None:
            return self._budget.wait("reader")
        missing = sum(self._missing_of(one) for one in projects if not self._is_closed(one))
        missing += self._known.members.get("") is None
        return self._budget.wait("reader", missing) if missing else 0.0

    def _missing_of(self, project: Project) -> int:
        essentials = 0 if self._known.has_essentials(project) else ESSENTIALS
        lacks = self._needs.must_know_periods and not self._known.has_periods(project)
        return essentials + (PERIODS if lacks else 0)

    @property
    def text(self) -> str | None:
        """The wait in words; None where there is none."""
        seconds = self.seconds
        return waiting(seconds) if seconds >= 1 else None

    def tell(self, seconds: float) -> None:
        """Log a wait, once until it is over."""
        now = self._timer()
        if now >= self._told_until:
            self._told_until = now + seconds
            log.info("workspace %s: %s", self._name, waiting(seconds))
