"""The feeds that are current, or were a moment ago: they are sent without another lookup."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from icsfeed.errors import FeedError
from icsfeed.feeds.rendered import Rendered
from icsfeed.single_flight import SingleFlight

if TYPE_CHECKING:
    from icsfeed.cache.workspace import Workspace

MEANWHILE = timedelta(seconds=10)
"""How long a feed that is asked for all the time is served while it is checked and rendered again. Readers
who wait for Plane get the same after `cache.deadline`."""
_NOW = timedelta()


class CurrentFeed(NamedTuple):
    """A feed's bytes that were current `at` a time, with that `edition` of its workspace."""

    rendered: Rendered
    at: datetime
    workspace: "Workspace"
    edition: int


class CurrentFeeds:
    """Whole feeds by name. `render` looks one up, renders it where it has changed, and calls `note`.

    `unchecked`: how long a feed is served without a check whether anything has changed.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        render: Callable[[str], Awaitable[object]],
        unchecked: timedelta,
    ) -> None:
        self._clock, self._render, self._unchecked = clock, render, unchecked
        self._feeds: dict[str, CurrentFeed] = {}
        self._asked_at: dict[str, datetime] = {}
        self._renewals: SingleFlight[None] = SingleFlight()

    def note(self, name: str, feed: CurrentFeed) -> None:
        """Remember a feed that was looked up."""
        self._feeds[name] = feed

    def asked(self, name: str) -> None:
        """Remember that somebody waits for the feed."""
        self._asked_at[name] = self._clock()

    def at_hand(self, name: str) -> Rendered | None:
        """Return the feed's bytes if they were current within `unchecked`, else None.

        Where somebody has asked within that time, too, the feed is renewed for both, and neither waits. The
        workspace's edition changes when that must not wait. A clock that was set back counts as too old.
        """
        current = self._feeds.get(name)
        if current is None or current.workspace.edition != current.edition:
            return None
        now = self._clock()
        if not _NOW <= now - current.at < self._unchecked:
            asked_at = self._asked_at.get(name, current.at)
            if not (_NOW <= now - asked_at < self._unchecked and now - current.at < MEANWHILE):
                return None
            self._renewals.task(name, lambda: self._renew(name))
        self._asked_at[name] = now
        return current.rendered

    async def _renew(self, name: str) -> None:
        # The next reader who has to wait gets the error.
        with suppress(FeedError):
            await self._render(name)
