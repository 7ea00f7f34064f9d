"""The last good value of each thing that is read of Plane, and how long it counts as fresh."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any, Generic, TypeVar

from icsfeed.plane.rate_limit import WINDOW_SECONDS
from icsfeed.single_flight import SingleFlight

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

MAX_FRESH_SECONDS = 1e9
"""A longer time to live would lead beyond the year 9999."""
BUDGET_SHARE = 0.8
"""Of the request budget, for what TTLs alone make necessary."""


class Ttl:
    """How long values of one kind are fresh: `seconds` from their reading, times `stretch`.

    A new `stretch` counts for what is read from then on. `timer` gives monotonic seconds, `clock` the time
    of day in UTC. `reads` counts the reads that succeeded.
    """

    def __init__(self, seconds: float, timer: Callable[[], float], clock: Callable[[], datetime]) -> None:
        self.seconds = seconds
        self.stretch = 1.0
        self.timer = timer
        self.clock = clock
        self.reads = 0
        self.under_way: SingleFlight[Any] = SingleFlight()

    async def close(self) -> None:
        """Cancel the reads that are under way."""
        await self.under_way.close()


class CachedValue(Generic[T]):
    """The last good value of one thing. Until one was read, `value` and `read_at` are None, `version` is 0.

    A value outlives its freshness: only a newer one replaces it, never a failure. `version` counts how often
    it has changed. A read that finds nothing changed keeps the old object, so that nothing has to be built
    from it again. `is_expired`: it is to be read again for another reason than its age.
    """

    __slots__ = ("_fresh_until", "_stale_at", "_ttl", "is_expired", "read_at", "value", "version")

    def __init__(self, ttl: Ttl) -> None:
        self.value: T | None = None
        self.version = 0
        self.read_at: datetime | None = None
        self.is_expired = False
        self._ttl = ttl
        # The same moment twice: the timer decides what is fresh, since a clock may be set back; only the
        # clock can be compared with a `since`.
        self._fresh_until = -inf
        self._stale_at: datetime | None = None

    @property
    def is_fresh(self) -> bool:
        return self._ttl.timer() < self._fresh_until

    @property
    def seconds_fresh(self) -> float:
        """For how many seconds it is still fresh."""
        return max(0.0, self._fresh_until - self._ttl.timer())

    def is_current(self, since: datetime) -> bool:
        """Whether the value was fresh at that time, or was read after it."""
        stale_at = self._stale_at
        return self.read_at is not None and (
            self.read_at >= since or (stale_at is not None and stale_at > since)
        )

    def expire(self) -> None:
        """Let the next `get_or_refresh` read it again."""
        self.is_expired = True
        if self.is_fresh and self._stale_at is not None:
            self._fresh_until = -inf
            self._stale_at = min(self._stale_at, self._ttl.clock())

    async def get_or_refresh(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return the value, read first when it is not fresh: once for all who ask meanwhile.

        Raises what `read` raises; the old value stays.
        """
        if self.is_fresh and self.value is not None:
            return self.value
        result: T = await self._ttl.under_way.result(self, lambda: self._refresh(read))
        return result

    async def _refresh(self, read: Callable[[], Awaitable[T]]) -> T:
        # What changes while it is read may be missing from it: it is as old as the start of the read.
        started = self._ttl.clock()
        value = self._set(await read(), started, self._ttl.seconds * self._ttl.stretch)
        self._ttl.reads += 1
        return value

    def merge(self, value: T, read_at: datetime) -> None:
        """Take a value that was read elsewhere at that time, unless ours is as new."""
        if self.read_at is None or self.read_at < read_at:
            age = max(0.0, (self._ttl.clock() - read_at).total_seconds())
            self._set(value, read_at, self._ttl.seconds * self._ttl.stretch - age)

    def confirm(self, read_at: datetime) -> None:
        """Note that our value was read again elsewhere at that time, and is still the same."""
        if self.value is not None:
            self.merge(self.value, read_at)

    def keep(self, otherwise: T) -> None:
        """Count as read now, since Plane does not have it; `otherwise` is the value where there is none."""
        value = otherwise if self.value is None else self.value
        self._set(value, self._ttl.clock(), self._ttl.seconds * self._ttl.stretch)

    def postpone(self, otherwise: T | None) -> None:
        """Let it be read again only after its TTL; `otherwise` is the value where there is none, or None."""
        if self.value is None and otherwise is not None:
            self.value, self.version = otherwise, self.version + 1
        self._fresh_until = self._ttl.timer() + self._ttl.seconds * self._ttl.stretch

    def _set(self, value: T, read_at: datetime, fresh_for: float) -> T:
        if self.value is None or (self.value is not value and self.value != value):
            self.value = value
            self.version += 1
        self.read_at = read_at
        self.is_expired = False
        self._fresh_until = self._ttl.timer() + fresh_for
        self._stale_at = self._ttl.clock() + timedelta(seconds=min(fresh_for, MAX_FRESH_SECONDS))
        return self.value


class TtlCache(dict[K, CachedValue[T]]):
    """The values of one kind, by key: each is there, empty at first, when it is looked up."""

    def __init__(self, ttl: Ttl) -> None:
        super().__init__()
        self.ttl = ttl

    def __missing__(self, key: K) -> CachedValue[T]:
        value = self[key] = CachedValue(self.ttl)
        return value


def stretch_factor(
    ttls: Mapping[str, float], counts: Mapping[str, int], limit: int, share: float = BUDGET_SHARE
) -> float:
    """Return by how much all TTLs (seconds) must grow, at least 1, for the demand to fit into the budget.

    `counts` are the requests that a read of each kind costs, made once in its TTL; together they must
    not exceed `share` of `limit` (`Budget.limit`) in a window. A TTL under a second counts as one.
    """
    return max(1.0, _demand(ttls, counts) / (share * max(limit, 1)))


def relaxed_ttl(
    kind: str, max_ttl: float, ttls: Mapping[str, float], counts: Mapping[str, int], limit: int
) -> float:
    """Return the TTL (seconds) of one kind, up to `max_ttl`: longer by what the budget lacks for the others.

    The other arguments as for `stretch_factor`.
    """
    others = {other: count for other, count in counts.items() if other != kind}
    available = BUDGET_SHARE * limit - _demand(ttls, others)
    needed = counts.get(kind, 0) * WINDOW_SECONDS / available if available > 0 else inf
    return max(ttls[kind], min(max_ttl, needed))


def _demand(ttls: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """Requests in a window of the budget."""
    return sum(count * WINDOW_SECONDS / max(ttls[kind], 1.0) for kind, count in counts.items())
