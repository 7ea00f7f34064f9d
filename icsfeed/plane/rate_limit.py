"""The request budget of one Plane API key, kept from the server's own words.

Plane counts the requests of a key in a sliding window of 60 s, whoever sends them, and refuses the one too
many with 429. It counts a request at some time between our sending it and its answer, therefore:

- A request of ours takes a *place* from when it is sent until a window after its answer: by then the
  server has certainly forgotten it. Several in flight are counted before any of them is answered.
- An allowed answer says how many requests were left after it. Those, itself, and our own places that
  were counted before it are the *room*: what the limit leaves to us. Free is the room less the places
  taken now, whatever the limit is and whoever else uses the key: what the server said last, less what
  we sent since, plus what of ours has left the window since.
- Counted before are requests that were answered before this one was sent; of those in flight with it,
  the ones whose answers say that more was left. (If one of them was counted later after all, even more
  is left now.) The same tells which of two answers is the newer one, whatever order they come in.
- What others took leaves the window we do not know when: the room holds until a newer answer says
  better, for a window at most.
- After a window of silence the room is the largest of the last 10 to 20 minutes with answers: so a service
  token's 300 is learned, and what another program always takes. Without any answer that says, `limit`.
- A request without a figure in its answer (401, 403, a redirect, a failed gateway, none at all) may have
  been counted: it takes its place, and is never among those that an answer counts.
- 429 is not counted. Nobody sends until Retry-After is over, then one request does (more, if more of
  ours have left the window), and its answer tells how things are.

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

WINDOW = 60.0
LIMIT = 60
"""Plane's own for a person's key: requests in a window of so many seconds."""
RESERVE = 12
LEARNED_FOR = 600.0
"""Seconds in which the largest room is looked for; it counts for as long again."""
LONGEST_BLOCK = 3600.0
TICK = 0.001
"""Seconds. Times that are closer may differ by the rounding of a clock alone."""

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
    """A request that is over, and when its place is free. `remaining` is what the server said."""

    leaves: float
    answered: float
    sent: float
    remaining: int | None


class _RateLimitHeaders(NamedTuple):
    """What an answer (to a request of these times) says of the room, and how long that holds."""

    room: int
    sent: float
    answered: float
    until: float
    remaining: float


class RequestSlot:
    """One request on its way. Say what became of it as soon as the answer's headers are there.

    Leaving the `async with` without a word says that nobody knows.
    """

    def __init__(self, budget: "Budget", sent: float) -> None:
        self.sent = sent
        self._budget = budget

    def answered(self, remaining: int | None) -> None:
        """The answer is there. `remaining` is its X-RateLimit-Remaining; None: it had none."""
        self._budget._answered(self, remaining)

    def refused(self, retry_after: float) -> None:
        """It was a 429, to come back in `retry_after` seconds."""
        self._budget._refused(self, retry_after)


class RequestPriority:
    """What requests are for: all that readers ask, or one refresh in the background.

    It may become urgent on the way: a reader joins the flight. `waits` is called with the seconds that a
    request has to wait.
    """

    def __init__(
        self,
        budget: "Budget",
        urgency: Urgency,
        waits: Callable[["RequestPriority", float], None] | None = None,
    ) -> None:
        self.urgency = urgency
        self._budget = budget
        self.waits = waits

    def request(self) -> AbstractAsyncContextManager[RequestSlot]:
        """Wait until a request may be sent; send it inside, and tell the `RequestSlot` what became of it."""
        return self._budget._request(self)

    def raise_priority(self) -> None:
        """Somebody waits for it now: what is in the queue moves up, and so does all that follows."""
        self.urgency = "reader"
        self._budget._wake()


class _Waiter:
    nap: asyncio.Future[None] | None = None

    def __init__(self, errand: RequestPriority) -> None:
        self.errand = errand


class Budget:
    """When requests with one key may be sent: readers' before the background's, else in order.

    `timer` gives monotonic seconds. `limit` is believed until the server has said its own. The background
    leaves the last `reserve` places to readers, or a quarter of the room where that is less. `users`: how
    many workspaces read with the key, and plan for a share.
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
        self._out: set[RequestSlot] = set()
        self._past: list[_FinishedRequest] = []
        self._waiting: list[_Waiter] = []
        self._said: _RateLimitHeaders | None = None
        self._closed_until = timer()
        self._best = self._best_before = 0
        self._best_since = timer()
        self._heard_since: float | None = None

    def request(self, urgency: Urgency) -> AbstractAsyncContextManager[RequestSlot]:
        """As `Errand.request`, for a single one."""
        return RequestPriority(self, urgency).request()

    @property
    def limit(self) -> int:
        """Requests in a window that were ours to make at the best moment of the last 10 to 20 minutes."""
        return max(self._best, self._best_before) or self._limit

    @property
    def _usual(self) -> int:
        """Requests in a window to come. What others have used in the first one says nothing of the next."""
        is_new = self._heard_since is None or self._timer() < self._heard_since + WINDOW
        return max(self.limit, self._limit) if is_new else self.limit

    @property
    def left(self) -> int | None:
        """Requests that could be sent now; None as long as the server has not said anything."""
        now = self._timer()
        if not self._said:
            return None
        return self._free(now) if self._closed_until <= now else 0

    def wait(self, urgency: Urgency, requests: int = 1) -> float:
        """Seconds until so many requests, with those that wait, could be sent; a window where not known."""
        before = max(self._before(urgency), requests - 1)
        windows, rest = divmod(before, max(1, self._usual))
        return windows * WINDOW + self._delay(urgency, rest)

    def state(self, now: float) -> BudgetState:
        """What is known now, `now` being Unix seconds."""
        at = self._timer()
        said = self._said_at(at)
        # What no answer says does not hold the requests of other processes: they charge all of theirs.
        sent = said.sent if said else at - WINDOW
        until = said.until if said else at + WINDOW * bool(self._taken(at))
        return BudgetState(
            at=now,
            sent=now + sent - at,
            until=now + until - at,
            left=self._free(at),
            limit=max(self._best, self._best_before) or None,
            closed_until=now + self._closed_until - at if self._closed_until > at else 0.0,
        )

    def restore(self, state: BudgetState, now: float) -> None:
        """Take in what another process, or an earlier one, knew; `now` is in Unix seconds.

        Changes nothing where as much is known already. A clock that was put back or forth makes it
        worth less, and never shuts the budget for longer than it was, or an hour.
        """
        at = self._timer() - max(0.0, now - state.at)
        closed = at + min(state.closed_until - state.at, LONGEST_BLOCK)
        self._closed_until = max(self._closed_until, closed)
        if not (self._best or self._best_before):
            self._best = state.limit or 0
        sent = at - max(0.0, state.at - state.sent)
        until = at + min(state.until - state.at, WINDOW + LONGEST_BLOCK)
        known = self._said_at(self._timer())
        if until > self._timer() and (known is None or sent > known.sent + TICK):
            self._said = _RateLimitHeaders(state.left + self._counted(sent, at), sent, at, until, inf)
        self._wake()

    @asynccontextmanager
    async def _request(self, errand: RequestPriority) -> AsyncIterator[RequestSlot]:
        asked = await self._turn(errand)
        try:
            yield asked
        finally:
            self._answered(asked, None)

    async def _turn(self, errand: RequestPriority) -> RequestSlot:
        waiter = _Waiter(errand)
        self._waiting.append(waiter)
        try:
            while delay := self._delay(errand.urgency, self._before(errand.urgency, waiter)):
                if errand.waits:
                    errand.waits(errand, delay)
                await self._nap(waiter, max(delay, TICK))
        except asyncio.CancelledError:
            self._wake()
            raise
        finally:
            self._waiting.remove(waiter)
        asked = RequestSlot(self, self._timer())
        self._out.add(asked)
        return asked

    async def _nap(self, waiter: _Waiter, seconds: float) -> None:
        """Sleep, unless something is learned before."""
        waiter.nap = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({waiter.nap})
        finally:
            waiter.nap.cancel()
        if not waiter.nap.cancelled():
            waiter.nap.result()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if waiter.nap:
                waiter.nap.cancel()

    def _before(self, urgency: Urgency, waiter: _Waiter | None = None) -> int:
        """How many go before this one; before one that comes now."""
        at = self._waiting.index(waiter) if waiter else len(self._waiting)
        queue = [other.errand.urgency for other in self._waiting]
        return queue[:at].count("reader") if urgency == "reader" else at + queue[at:].count("reader")

    def _answered(self, asked: RequestSlot, remaining: int | None) -> None:
        if asked not in self._out:
            return
        self._out.remove(asked)
        now = self._timer()
        if remaining is not None:
            self._heard(asked.sent, now, remaining)
        self._past.append(_FinishedRequest(now + WINDOW, now, asked.sent, remaining))
        self._wake()

    def _refused(self, asked: RequestSlot, retry_after: float) -> None:
        if asked not in self._out:
            return
        self._out.remove(asked)
        now = self._timer()
        self._closed_until = max(self._closed_until, now + retry_after)
        # What is in flight is added when its answer comes.
        room = self._taken(now) - len(self._out) + 1
        self._said = _RateLimitHeaders(room, now, now, self._closed_until + WINDOW, -1)
        self._wake()

    def _heard(self, sent: float, now: float, remaining: int) -> None:
        if self._heard_since is None:
            self._heard_since = now
        known = self._said_at(now)
        if known is None or sent > known.answered or remaining <= known.remaining:
            room = remaining + 1 + self._counted(sent, now, remaining)
            self._said = known = _RateLimitHeaders(room, sent, now, now + WINDOW, remaining)
        else:
            self._said = known = known._replace(room=known.room + 1)
        if now - self._best_since >= LEARNED_FOR:
            self._best_before, self._best, self._best_since = self._best, 0, now
        self._best = max(self._best, known.room)

    def _counted(self, sent: float, answered: float, remaining: float = inf) -> int:
        """Our requests that the server counted before this one, and had not forgotten then."""
        return sum(
            past.remaining is not None
            and past.sent > answered - WINDOW
            and (past.answered < sent or past.remaining > remaining)
            for past in self._past
        )

    def _free(self, at: float) -> int:
        return max(0, self._room(at) - self._taken(at))

    def _said_at(self, at: float) -> _RateLimitHeaders | None:
        return self._said if self._said and at < self._said.until else None

    def _room(self, at: float) -> int:
        said = self._said_at(at)
        return said.room if said else self.limit

    def _taken(self, at: float) -> int:
        """Places that are taken at a time from now on, if nothing more is sent or answered."""
        return len(self._out) + len(self._past) - self._gone(at)

    def _gone(self, at: float) -> int:
        return bisect_right(self._past, at, key=lambda past: past.leaves)

    def _delay(self, urgency: Urgency, before: int) -> float:
        """Seconds until there is a place, when so many others take theirs before."""
        now = self._timer()
        del self._past[: self._gone(now)]
        said = self._said_at(now)
        moments = {now, said.until if said else now, *(past.leaves for past in self._past)}
        for at in sorted(moments):
            room = self._room(at)
            kept = min(self._reserve, room // 4) if urgency == "background" else 0
            if room - kept - self._taken(at) > before:
                return max(at, self._closed_until) - now
        return WINDOW


def remaining_in(headers: Mapping[str, str]) -> int | None:
    """X-RateLimit-Remaining of an answer; None where there is none. `headers` ignore case (httpx.Headers)."""
    found = headers.get("x-ratelimit-remaining", "").strip()
    return int(found) if re.fullmatch(r"[0-9]{1,6}", found) else None


def stretched(ttls: Mapping[str, float], counts: Mapping[str, int], limit: int, share: float = 0.8) -> float:
    """By how much all TTLs (seconds) must grow, at least 1, for the demand to fit into the budget.

    `counts` are the requests that a reading of each kind costs, made once in its TTL; together they must
    not exceed `share` of `limit` (Budget.limit) in a minute. A TTL under a second counts as one.
    """
    return max(1.0, _demand(ttls, counts) / (share * max(limit, 1)))


def relaxed(
    ttls: Mapping[str, float],
    counts: Mapping[str, int],
    limit: int,
    kind: str,
    most: float,
    share: float = 0.8,
) -> float:
    """The TTL (seconds) of one kind: longer by what the budget lacks, to spare the others, at most `most`.

    The rest as for `stretched`.
    """
    room = share * limit - _demand(ttls, {other: counts[other] for other in counts if other != kind})
    needed = counts.get(kind, 0) * WINDOW / room if room > 0 else inf
    return max(ttls[kind], min(most, needed))


def _demand(ttls: Mapping[str, float], counts: Mapping[str, int]) -> float:
    return sum(count * WINDOW / max(ttls[kind], 1.0) for kind, count in counts.items())
