"""The request budget of one Plane API key, computed from what the server says.

Plane counts the requests of a key in a sliding window of 60 s, no matter who sends them, and refuses the one
too many with 429. It counts a request at some time between our sending it and its answer, therefore:

- A request of ours uses a *slot* from when it is sent until a window after its answer: by then the
  server has certainly forgotten it. Several in flight are counted before any of them is answered.
- An allowed answer says how many requests were left after it. Those, itself, and our own slots that
  were counted before it are the *capacity*: what the limit leaves to us. Free is the capacity less the slots
  used now, whatever the limit is and no matter who else uses the key: what the server said last, less what
  we sent since, plus what of ours has left the window since.
- Counted before are requests that were answered before this one was sent; of those in flight with it,
  the ones whose answers say that more was left. (If one of them was counted later after all, even more
  is left now.) The same tells which of two answers is the newer one, whatever order they come in.
- We do not know when what others used leaves the window: the capacity holds until a newer answer says
  better, for a window at most.
- After a window of silence the capacity is the largest of the last 10 to 20 minutes with answers: so a
  service token's 300 is learned, and what another program always uses. Without any answer that says, `limit`.
- A request without a figure in its answer (401, 403, a redirect, a failed gateway, none at all) may have
  been counted: it uses its slot, and is never among those that an answer counts.
- 429 is not counted. Nobody sends until Retry-After is over, then one request does (more, if more of
  ours have left the window), and its answer says how things are.

So alone we are never refused while `limit` is not above Plane's. Of others, only what they sent since the
last answer can surprise us.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Annotated, Literal, NamedTuple, TypeAlias

from msgspec import Meta, Struct

Urgency: TypeAlias = Literal["reader", "background"]
"""For whom a request is made: somebody who waits for it, or nobody in particular."""

WINDOW_SECONDS = 60.0
LIMIT = 60
"""Requests in a window: Plane's own limit for a person's key."""
RESERVE = 12
"""Requests that the background leaves to readers."""
LEARNING_SECONDS = 600.0
"""In which the largest capacity is looked for; it counts for as long again."""
MAX_BLOCK_SECONDS = 3600.0
CLOCK_TOLERANCE = 0.001
"""Seconds by which the same time may differ because a clock rounds."""

_Count: TypeAlias = Annotated[int, Meta(ge=0)]


class BudgetState(Struct, frozen=True):
    """What one process knows of a key's budget, for another one and for after a restart.

    Times are Unix seconds. `left` requests could be sent `at` that time: so it follows from the answer
    to a request of `sent`, which holds until `until`. `limit` is None while the server has said nothing.
    """

    at: float
    sent: float
    until: float
    left: _Count
    limit: _Count | None = None
    closed_until: float = 0.0


class _FinishedRequest(NamedTuple):
    """A request that is over, and when its slot is free. `remaining` is what the server reported."""

    free_at: float
    answered: float
    sent: float
    remaining: int | None


class _RateLimitHeaders(NamedTuple):
    """What an answer (to a request of these times) says of the capacity, and how long that holds."""

    capacity: int
    sent: float
    answered: float
    until: float
    remaining: float


class RequestSlot:
    """One request in flight. Call `answered` or `refused` as soon as the answer's headers are there.

    Leaving the `async with` without either says that nobody knows whether it was counted.
    """

    def __init__(self, budget: "Budget", sent: float) -> None:
        self.sent = sent
        self._budget = budget

    def answered(self, remaining: int | None) -> None:
        """Note that the answer is there. `remaining` is its X-RateLimit-Remaining; None: it had none."""
        self._budget._answered(self, remaining)

    def refused(self, retry_after: float) -> None:
        """Note that it was a 429, to come back in `retry_after` seconds."""
        self._budget._refused(self, retry_after)


class RequestPriority:
    """For whom some requests are made. It is raised when a reader joins a refresh in the background.

    `on_wait` is called with the seconds that a request has to wait.
    """

    def __init__(
        self,
        budget: "Budget",
        urgency: Urgency,
        on_wait: Callable[["RequestPriority", float], None] | None = None,
    ) -> None:
        self.urgency = urgency
        self._budget = budget
        self.on_wait = on_wait

    def request(self) -> AbstractAsyncContextManager[RequestSlot]:
        """Wait until a request may be sent; send it inside, and tell the `RequestSlot` the outcome."""
        return self._budget._request(self)

    def raise_priority(self) -> None:
        """Make it urgent: what is in the queue moves up, and so does all that follows."""
        self.urgency = "reader"
        self._budget._wake()


class _QueuedRequest(Struct, eq=False):
    priority: RequestPriority
    sleeping: asyncio.Future[None] | None = None


class Budget:
    """Decides when requests with one key may be sent: readers' before the background's, else in order.

    `timer` gives monotonic seconds. `limit` holds until the server has said its own. The background
    leaves the last `reserve` slots to readers, or a quarter of the capacity where that is less. `users`:
    how many workspaces read with the key, and plan for a share.
    """

    def __init__(
        self,
        *,
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        limit: int = LIMIT,
        reserve: int = RESERVE,
    ) -> None:
        self.users = 0
        self._timer = timer
        self._sleep = sleep
        self._limit = limit
        self._reserve = reserve
        self._in_flight: set[RequestSlot] = set()
        self._past: list[_FinishedRequest] = []
        self._queue: list[_QueuedRequest] = []
        self._reported: _RateLimitHeaders | None = None
        self._closed_until = timer()
        self._largest = self._largest_before = 0
        self._largest_since = timer()
        self._first_answer: float | None = None

    def request(self, urgency: Urgency) -> AbstractAsyncContextManager[RequestSlot]:
        """As `RequestPriority.request`, for a single one."""
        return RequestPriority(self, urgency).request()

    @property
    def limit(self) -> int:
        """The largest capacity of a window in the last 10 to 20 minutes, in requests."""
        return max(self._largest, self._largest_before) or self._limit

    @property
    def left(self) -> int | None:
        """How many requests could be sent now; None as long as the server has not said anything."""
        now = self._timer()
        if not self._reported:
            return None
        return self._free(now) if self._closed_until <= now else 0

    def wait(self, urgency: Urgency, requests: int = 1) -> float:
        """Seconds until so many requests, with those that wait, could be sent; a window where not known."""
        before = max(self._before(urgency), requests - 1)
        # What others have used in the first window says nothing of the next ones.
        is_new = self._first_answer is None or self._timer() < self._first_answer + WINDOW_SECONDS
        limit = max(self.limit, self._limit) if is_new else self.limit
        windows, rest = divmod(before, max(1, limit))
        return windows * WINDOW_SECONDS + self._delay(urgency, rest)

    def state(self, now: float) -> BudgetState:
        """Return what is known now, `now` being Unix seconds."""
        at = self._timer()
        reported = self._reported_at(at)
        # What no answer says does not include the requests of other processes: they subtract all of theirs.
        sent = reported.sent if reported else at - WINDOW_SECONDS
        until = reported.until if reported else at + WINDOW_SECONDS * bool(self._used(at))
        return BudgetState(
            at=now,
            sent=now + sent - at,
            until=now + until - at,
            left=self._free(at),
            limit=max(self._largest, self._largest_before) or None,
            closed_until=now + self._closed_until - at if self._closed_until > at else 0.0,
        )

    def restore(self, state: BudgetState, now: float) -> None:
        """Merge what another process, or an earlier one, knew; `now` is in Unix seconds.

        Changes nothing where as much is known already. Where a clock was set back or forward it is worth
        less, and never blocks the budget for longer than it was, or than an hour.
        """
        at = self._timer() - max(0.0, now - state.at)
        closed = at + min(state.closed_until - state.at, MAX_BLOCK_SECONDS)
        self._closed_until = max(self._closed_until, closed)
        if not (self._largest or self._largest_before):
            self._largest = state.limit or 0
        sent = at - max(0.0, state.at - state.sent)
        until = at + min(state.until - state.at, WINDOW_SECONDS + MAX_BLOCK_SECONDS)
        known = self._reported_at(self._timer())
        if until > self._timer() and (known is None or sent > known.sent + CLOCK_TOLERANCE):
            self._reported = _RateLimitHeaders(
                state.left + self._counted_before(sent, at), sent, at, until, inf
            )
        self._wake()

    @asynccontextmanager
    async def _request(self, priority: RequestPriority) -> AsyncIterator[RequestSlot]:
        queued = _QueuedRequest(priority)
        self._queue.append(queued)
        try:
            while delay := self._delay(priority.urgency, self._before(priority.urgency, queued)):
                if priority.on_wait:
                    priority.on_wait(priority, delay)
                await self._sleep_until_woken(queued, max(delay, CLOCK_TOLERANCE))
        except asyncio.CancelledError:
            self._wake()
            raise
        finally:
            self._queue.remove(queued)
        slot = RequestSlot(self, self._timer())
        self._in_flight.add(slot)
        try:
            yield slot
        finally:
            self._answered(slot, None)

    async def _sleep_until_woken(self, queued: _QueuedRequest, seconds: float) -> None:
        """Sleep, at most until something is learned of the budget."""
        queued.sleeping = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({queued.sleeping})
        finally:
            queued.sleeping.cancel()
        if not queued.sleeping.cancelled():
            queued.sleeping.result()

    def _wake(self) -> None:
        for queued in self._queue:
            if queued.sleeping:
                queued.sleeping.cancel()

    def _before(self, urgency: Urgency, queued: _QueuedRequest | None = None) -> int:
        """How many go before this request, or before one that comes now."""
        at = self._queue.index(queued) if queued else len(self._queue)
        queue = [other.priority.urgency for other in self._queue]
        return queue[:at].count("reader") if urgency == "reader" else at + queue[at:].count("reader")

    def _answered(self, slot: RequestSlot, remaining: int | None) -> None:
        if slot in self._in_flight:
            self._in_flight.remove(slot)
            now = self._timer()
            if remaining is not None:
                self._learn(slot.sent, now, remaining)
            self._past.append(_FinishedRequest(now + WINDOW_SECONDS, now, slot.sent, remaining))
            self._wake()

    def _refused(self, slot: RequestSlot, retry_after: float) -> None:
        if slot in self._in_flight:
            self._in_flight.remove(slot)
            now = self._timer()
            self._closed_until = max(self._closed_until, now + retry_after)
            # What is in flight is added when its answer comes (`known.capacity + 1` in `_learn`).
            capacity = self._used(now) - len(self._in_flight) + 1
            self._reported = _RateLimitHeaders(capacity, now, now, self._closed_until + WINDOW_SECONDS, -1)
            self._wake()

    def _learn(self, sent: float, now: float, remaining: int) -> None:
        if self._first_answer is None:
            self._first_answer = now
        known = self._reported_at(now)
        # An answer that is older than the one we know says nothing new, except that one more was allowed.
        if known is None or sent > known.answered or remaining <= known.remaining:
            capacity = remaining + 1 + self._counted_before(sent, now, remaining)
            self._reported = known = _RateLimitHeaders(capacity, sent, now, now + WINDOW_SECONDS, remaining)
        else:
            self._reported = known = known._replace(capacity=known.capacity + 1)
        if now - self._largest_since >= LEARNING_SECONDS:
            self._largest_before, self._largest, self._largest_since = self._largest, 0, now
        self._largest = max(self._largest, known.capacity)

    def _counted_before(self, sent: float, answered: float, remaining: float = inf) -> int:
        """How many of our requests the server counted before this one, and had not forgotten then."""
        return sum(
            past.remaining is not None
            and past.sent > answered - WINDOW_SECONDS
            and (past.answered < sent or past.remaining > remaining)
            for past in self._past
        )

    def _free(self, at: float) -> int:
        return max(0, self._capacity(at) - self._used(at))

    def _reported_at(self, at: float) -> _RateLimitHeaders | None:
        return self._reported if self._reported and at < self._reported.until else None

    def _capacity(self, at: float) -> int:
        reported = self._reported_at(at)
        return reported.capacity if reported else self.limit

    def _used(self, at: float) -> int:
        """Slots that are used at a time from now on, if nothing more is sent or answered."""
        return len(self._in_flight) + len(self._past) - self._expired(at)

    def _expired(self, at: float) -> int:
        return bisect_right(self._past, at, key=lambda past: past.free_at)

    def _delay(self, urgency: Urgency, before: int) -> float:
        """Seconds until there is a slot, when so many others take theirs before."""
        now = self._timer()
        del self._past[: self._expired(now)]
        reported = self._reported_at(now)
        moments = {now, reported.until if reported else now, *(past.free_at for past in self._past)}
        for at in sorted(moments):
            capacity = self._capacity(at)
            reserved = min(self._reserve, capacity // 4) if urgency == "background" else 0
            if capacity - reserved - self._used(at) > before:
                return max(at, self._closed_until) - now
        return WINDOW_SECONDS


def remaining_in(headers: Mapping[str, str]) -> int | None:
    """Read X-RateLimit-Remaining; None where there is none. `headers` ignore case (httpx.Headers)."""
    value = headers.get("x-ratelimit-remaining", "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else None
