"""What was read of Plane, and for how long it counts as fresh."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cachetools import TLRUCache
from msgspec import Struct

from icsfeed.errors import PlaneError
from icsfeed.single_flight import SingleFlight

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

FIRST_REST, LONGEST_REST = 5.0, 300.0
SHORTER = 0.25
LONGEST_FRESH = 1e9
"""Seconds: a longer time to live would lead beyond the year 9999."""


class TtlCache(Generic[K, T]):
    """The last good copy of each thing of one kind, and which of them are still fresh.

    A copy outlives its freshness: it is replaced by a newer one and never by nothing. A read that
    finds nothing changed keeps the old object, so that nothing is made anew of it.
    `timer` gives monotonic seconds, `clock` the time of day in UTC. `reads` counts what was read well.
    `stretch`: how many times longer than `ttl` (seconds) what is read from now on is fresh.
    """

    def __init__(self, ttl: float, timer: Callable[[], float], clock: Callable[[], datetime]) -> None:
        self.ttl = ttl
        self.stretch = 1.0
        self._fresh: TLRUCache[K, float] = TLRUCache(
            maxsize=1_000_000, ttu=lambda _key, until, _now: until, timer=timer
        )
        self._timer = timer
        self._good: dict[K, T] = {}
        self._read_at: dict[K, datetime] = {}
        self._fresh_until: dict[K, datetime] = {}
        self._versions: dict[K, int] = {}
        self._reading: SingleFlight[T] = SingleFlight()
        self._clock = clock
        self.reads = 0

    def get(self, key: K) -> T | None:
        return self._good.get(key)

    def version(self, key: K) -> int:
        """How often the copy has become another one: 0 where there is none."""
        return self._versions.get(key, 0)

    def read_at(self, key: K) -> datetime | None:
        return self._read_at.get(key)

    def is_fresh(self, key: K) -> bool:
        return key in self._fresh

    def left(self, key: K) -> float:
        """Seconds for which it is still fresh."""
        return max(0.0, self._fresh.get(key, 0.0) - self._timer())

    def is_current(self, key: K, since: datetime) -> bool:
        """Whether the copy was fresh at that time, or was read after it."""
        read_at, until = self._read_at.get(key), self._fresh_until.get(key)
        return read_at is not None and (read_at >= since or (until is not None and until > since))

    def expire(self, key: K) -> None:
        """Let the next look at it read it again."""
        if self._fresh.pop(key, None) is not None:
            self._fresh_until[key] = min(self._fresh_until[key], self._clock())

    async def look(self, key: K, read: Callable[[], Awaitable[T]]) -> T:
        """The copy, read first when it is not fresh, once for all who ask meanwhile.

        Raises what `read` raises; the old copy stays.
        """
        if key in self._fresh:
            return self._good[key]
        return await self._reading.result(key, lambda: self._read(key, read))

    async def close(self) -> None:
        """End the reads that are under way."""
        await self._reading.close()

    async def _read(self, key: K, read: Callable[[], Awaitable[T]]) -> T:
        started = self._clock()
        found = await read()
        self._put(key, found, started, self.ttl * self.stretch)
        self.reads += 1
        return self._good[key]

    def adopt(self, key: K, value: T, read_at: datetime) -> None:
        """Take in a copy that was read elsewhere at that time, unless ours is as new."""
        ours = self._read_at.get(key)
        if ours is None or ours < read_at:
            self._put(key, value, read_at, self._left(read_at))

    def expire_all(self) -> None:
        """Let the next look at each of them read it again."""
        for key in list(self._fresh):
            self.expire(key)

    def expire_as(self, other: "TtlCache[K, T]") -> None:
        """Let be read again what `other` knows and has no longer fresh."""
        for key in other._good:
            if not other.is_fresh(key):
                self.expire(key)

    def confirm(self, key: K, read_at: datetime) -> None:
        """Our copy was read again elsewhere at that time, and is still the same."""
        ours = self._read_at.get(key)
        if key in self._good and ours is not None and ours < read_at:
            self._put(key, self._good[key], read_at, self._left(read_at))

    def _left(self, read_at: datetime) -> float:
        return self.ttl * self.stretch - max(0.0, (self._clock() - read_at).total_seconds())

    def _put(self, key: K, value: T, read_at: datetime, fresh_for: float) -> None:
        old = self._good.get(key)
        if old is None or (old is not value and old != value):
            self._good[key] = value
            self._versions[key] = self._versions.get(key, 0) + 1
        self._read_at[key] = read_at
        self._fresh.pop(key, None)
        self._fresh_until[key] = self._clock() + timedelta(seconds=min(fresh_for, LONGEST_FRESH))
        if fresh_for > 0:
            self._fresh[key] = self._timer() + fresh_for


class Backoff:
    """How long to leave Plane alone after failures: doubling from 5 s to 5 min, or as Plane asks.

    `chance` gives numbers from 0 to 1: by up to a quarter shorter, so that not all who failed together
    come back together. `error` is the failure that it is for, until it is over.
    """

    def __init__(self, timer: Callable[[], float], chance: Callable[[], float]) -> None:
        self._timer = timer
        self._chance = chance
        self._failures = 0
        self._until = 0.0
        self.error: PlaneError | None = None

    @property
    def left(self) -> float:
        """Seconds still to wait."""
        return max(0.0, self._until - self._timer())

    def failed(self, error: PlaneError) -> None:
        asked = getattr(error, "retry_after", None) or 0.0
        wait = min(LONGEST_REST, FIRST_REST * 2.0**self._failures) * (1 - SHORTER * self._chance())
        self._failures = min(self._failures + 1, 10)
        self._until = self._timer() + max(wait, asked)
        self.error = error

    def end(self) -> None:
        """Let the next attempt come at once, unless Plane has said when to come back."""
        if getattr(self.error, "retry_after", None) is None:
            self._until = 0.0

    def over(self) -> None:
        self._failures, self._until, self.error = 0, 0.0, None


class RefreshOutcome(Struct, frozen=True):
    """One time that a part of a workspace was brought up to date, or could not be."""

    at: datetime
    seconds: float
    error: PlaneError | None = None


class RefreshStats:
    """What became of refreshes: `counts` by `ok` or the kind of error, and `seconds` for all of them."""

    def __init__(self, clock: Callable[[], datetime], timer: Callable[[], float]) -> None:
        self._clock, self._timer = clock, timer
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.under_way = 0
        self.last: RefreshOutcome | None = None

    async def measured(self, refresh: Awaitable[object]) -> None:
        """Wait for it, and count it. Raises what it raises; what is cancelled does not count."""
        at, begun = self._clock(), self._timer()
        self.under_way += 1
        try:
            await refresh
        except PlaneError as error:
            self._count(RefreshOutcome(at, self._timer() - begun, error))
            raise
        else:
            self._count(RefreshOutcome(at, self._timer() - begun))
        finally:
            self.under_way -= 1

    def _count(self, refresh: RefreshOutcome) -> None:
        self.counts[refresh.error.kind if refresh.error else "ok"] += 1
        self.seconds += refresh.seconds
        self.last = refresh
