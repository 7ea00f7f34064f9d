"""Which of the lists that not every edition has this Plane has: found out by asking.

No document says it for sure, and it changes with the plan and the key. So whoever needs such a list asks
for it, and after a refusal asks again a day later.
"""

from datetime import datetime, timedelta

from icsfeed.errors import BadAnswer, NoAccess, NotFound, PlaneError

ASK_AGAIN = timedelta(days=1)
"""After a refusal: the edition, the plan or the rights of the key may have changed."""
REFUSALS = (400, 402, 405, 501)
"""Statuses besides 403 and 404 with which a server may answer that it does not have a list."""


def is_refusal(error: PlaneError) -> bool:
    """Return whether Plane says with it that it does not have what was asked for, or not for this key."""
    return isinstance(error, NoAccess | NotFound) or (
        isinstance(error, BadAnswer) and error.status in REFUSALS
    )


class Features:
    """What one Plane has, by any name for it: true, false, or not known until it was asked for."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._refused: dict[str, tuple[datetime, timedelta]] = {}

    def has(self, name: str) -> bool | None:
        """Return whether Plane has it, by its last answer; None: it has not been asked."""
        return True if name in self._known else False if name in self._refused else None

    def should_ask(self, name: str, now: datetime) -> bool:
        """Return whether to ask Plane for it: it was not refused within the last day."""
        refused_at, again = self._refused.get(name, (now, timedelta()))
        # The other way round as well: the clock may have been set back.
        return abs(now - refused_at) >= again

    def forget_refusals(self) -> None:
        """Let everything be asked for again."""
        self._refused.clear()

    def answered(self, name: str) -> None:
        """Note that Plane has it."""
        self._known.add(name)
        self._refused.pop(name, None)

    def refused(self, name: str, now: datetime, again: timedelta = ASK_AGAIN) -> None:
        """Note that Plane does not have it, or fails; it is to be asked again after that time."""
        self._known.discard(name)
        self._refused[name] = now, again
