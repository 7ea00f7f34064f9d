"""How long feeds wait for Plane's request budget, and who is told."""

import logging
from collections.abc import Callable

from icsfeed.adapters.quota import Budget
from icsfeed.app.known import Known
from icsfeed.core.model import Project

ESSENTIALS = 3
"""Requests for what every feed needs of a project."""
LONG = 5.0
"""Seconds that are worth a line in the log."""

log = logging.getLogger("icsfeed.workspace")


def waiting(seconds: float) -> str:
    """The wait in words."""
    return f"waiting {seconds:.0f} s for Plane's request budget"


class BudgetWait:
    """The wait of one workspace. `is_closed`: the key may not read a project, which is not waited for."""

    def __init__(
        self,
        name: str,
        known: Known,
        budget: Budget,
        timer: Callable[[], float],
        is_closed: Callable[[Project], bool],
    ) -> None:
        self._name, self._known, self._budget = name, known, budget
        self._timer, self._is_closed = timer, is_closed
        self._told_until = timer()

    @property
    def seconds(self) -> float:
        """Seconds until the budget allows the requests that are missing before feeds can be shown."""
        projects = self._known.projects.get("")
        if projects is None:
            return self._budget.wait("reader")
        unread = (one for one in projects if not self._known.has_essentials(one))
        missing = ESSENTIALS * sum(not self._is_closed(one) for one in unread)
        missing += self._known.members.get("") is None
        return self._budget.wait("reader", missing) if missing else 0.0

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
