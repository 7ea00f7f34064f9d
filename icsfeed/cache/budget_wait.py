"""How long feeds wait for Plane's request budget, for the log and for people."""

import logging
from collections.abc import Callable

from icsfeed.cache.resources import Resources
from icsfeed.model import Needs, Project
from icsfeed.plane.rate_limit import Budget

ESSENTIAL_REQUESTS = 3
"""For what every feed needs of a project."""
PERIOD_REQUESTS = 2
"""For its cycles and modules, which some feeds must know."""
LOGGED_WAIT_SECONDS = 5.0
"""Waits from which a line in the log is worth it."""

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
