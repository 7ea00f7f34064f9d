"""The budget of a key, against the embedded Plane's own counting and on a clock that only jumps."""

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import httpx
import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from icsfeed.demo.access import KeyLimits, SlidingWindow
from icsfeed.demo.data import DemoKey
from icsfeed.plane.rate_limit import (
    Budget,
    BudgetState,
    RequestPriority,
    RequestSlot,
    Urgency,
    remaining_in,
)

pytestmark = pytest.mark.anyio

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
UNIX = EPOCH.timestamp()
KEY = DemoKey("plane_api_mine", "alice")
STEP = 1 / 64
"""Latencies are whole numbers of it, so that no rounding hides a request too many."""


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait: the time that it would have waited is over at once."""

    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.now += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    """An hour of these tests takes a second."""
    return "asyncio", {"loop_factory": JumpingLoop}


def now() -> float:
    return asyncio.get_running_loop().time()


def budget_of(limit: int = 60, reserve: int = 12) -> Budget:
    return Budget(timer=asyncio.get_running_loop().time, limit=limit, reserve=reserve)


class Plane:
    """Counts as the embedded Plane does. `latency` gives the seconds to it and back."""

    def __init__(
        self,
        *,
        person: int = 60,
        says: bool = True,
        latency: Callable[[], tuple[float, float]] = lambda: (STEP, STEP),
    ) -> None:
        time = asyncio.get_running_loop().time
        limits = KeyLimits(person=person)
        self.quota = SlidingWindow(limits, lambda: EPOCH + timedelta(seconds=time()))
        self.latency = latency
        self.says = says
        self.log: list[tuple[str, float, bool]] = []

    async def get(self, budget: Budget, urgency: Urgency = "reader") -> bool:
        """A request of ours: whether it was allowed."""
        async with budget.request(urgency) as asked:
            return await self.ask(asked, urgency)

    async def ask(self, asked: RequestSlot, who: str) -> bool:
        there, back = self.latency()
        await asyncio.sleep(there)
        left = self.count(who)
        wait = self.quota.retry_after(KEY) if left < 0 else 0
        await asyncio.sleep(back)
        if left < 0:
            asked.refused(wait)
        else:
            asked.answered(left if self.says else None)
        return left >= 0

    def count(self, who: str) -> int:
        left = self.quota.take(KEY)
        self.log.append((who, now(), left >= 0))
        return left

    def refused(self, *who: str) -> int:
        return sum(name in who and not allowed for name, _, allowed in self.log)

    def most(self, *who: str) -> int:
        """The most allowed requests of these in any window."""
        times = [at for name, at, allowed in self.log if allowed and name in who]
        return max((sum(at - 60 < other <= at for other in times) for at in times), default=0)


async def gather(*work: object) -> None:
    await asyncio.gather(*work)  # type: ignore[call-overload]


async def settled() -> None:
    """Let everything that can go on without time passing go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_as_many_as_the_limit_go_at_once_and_the_next_a_window_after_the_first_answer() -> None:
    plane, budget, start = Plane(), budget_of(), now()
    await gather(*(plane.get(budget) for _ in range(61)))
    assert (plane.refused("reader"), plane.most("reader")) == (0, 60)
    # When it counted the first of them Plane may have been as late as its answer.
    assert plane.log[-1][1] - start == pytest.approx(60 + 3 * STEP)


async def test_what_is_left_is_what_the_server_said_and_what_has_left_the_window_since() -> None:
    plane, budget = Plane(), budget_of()
    assert budget.left is None
    for _ in range(3):
        await plane.get(budget)
        await asyncio.sleep(20)
    assert budget.left == 60 - 2
    async with budget.request("reader"):
        assert budget.left == 60 - 3
    await asyncio.sleep(61)
    assert budget.left == 60


async def test_requests_in_flight_are_counted_before_their_answers() -> None:
    budget = budget_of(limit=3)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(budget.request("reader"))
        assert budget.wait("reader") > 0
        fourth = asyncio.create_task(taken(budget, "reader"))
        await settled()
        assert not fourth.done()
    await fourth
    assert budget.wait("reader") == pytest.approx(0)


async def taken(budget: Budget, urgency: Urgency, into: list[str] | None = None, name: str = "") -> None:
    """A request that is answered at once, without a figure."""
    async with budget.request(urgency) as asked:
        if into is not None:
            into.append(name)
        asked.answered(None)


@pytest.mark.parametrize(
    ("first", "then", "left"),
    [
        (20, 40, 20),  # the late one was counted before, so it is among what the other one counted
        (20, 10, 10),  # it was counted after
        (20, 20, 19),  # who knows
    ],
)
async def test_answers_may_come_in_any_order(first: int, then: int, left: int) -> None:
    budget = budget_of()
    async with budget.request("reader") as one, budget.request("reader") as other:
        await asyncio.sleep(1)
        one.answered(first)
        assert budget.left == first - 1  # the other may have been counted after it
        await asyncio.sleep(1)
        other.answered(then)
    assert budget.left == left


async def test_what_others_take_is_seen_with_the_next_answer_and_forgotten_with_time() -> None:
    plane, budget = Plane(), budget_of()
    await plane.get(budget)
    for _ in range(50):
        plane.count("others")
    assert budget.left == 59
    await plane.get(budget)
    assert budget.left == 8
    assert budget.wait("background") == 0
    await asyncio.sleep(61)
    assert budget.left == 60


async def test_a_service_keys_limit_is_learned_and_used() -> None:
    plane, budget, start = Plane(person=300), budget_of(), now()
    assert (await plane.get(budget), budget.limit) == (True, 300)
    await gather(*(plane.get(budget) for _ in range(299)))
    assert now() - start < 1
    await asyncio.sleep(61)
    assert budget.left == 300


async def test_a_smaller_limit_is_learned_too() -> None:
    plane, budget = Plane(person=30), budget_of()
    await plane.get(budget)
    assert budget.limit == 30
    await asyncio.sleep(200)
    await gather(*(plane.get(budget) for _ in range(90)))
    assert (plane.refused("reader"), plane.most("reader")) == (0, 30)


async def test_what_another_program_always_takes_is_no_longer_reckoned_with_after_a_while() -> None:
    plane, budget = Plane(), budget_of()
    await plane.get(budget)
    assert budget.limit == 60
    for _ in range(45):
        for _ in range(20):
            plane.count("others")
        await asyncio.sleep(30)
        await plane.get(budget)
    assert budget.limit == 40


async def test_a_server_that_says_nothing_gets_no_more_than_the_limit() -> None:
    plane, budget = Plane(says=False), budget_of()
    await gather(*(plane.get(budget) for _ in range(200)))
    assert (plane.refused("reader"), plane.most("reader"), budget.left) == (0, 60, None)


async def test_answers_that_are_not_counted_are_not_held_against_what_a_later_one_says() -> None:
    """Requests that Plane did not count must not look like room when their places are free again."""
    budget = budget_of()
    for _ in range(30):
        await taken(budget, "reader")
    await asyncio.sleep(30)
    async with budget.request("reader") as asked:
        asked.answered(9)  # 51 are somebody else's
    await asyncio.sleep(31)
    assert budget.left == 9


async def test_a_request_that_fails_keeps_its_place_for_a_window() -> None:
    budget = budget_of(limit=1)
    with pytest.raises(ConnectionError):
        await failed(budget)
    assert budget.wait("reader") == pytest.approx(60)


async def failed(budget: Budget) -> None:
    async with budget.request("reader"):
        raise ConnectionError


@pytest.mark.parametrize("urgency", ["reader", "background"])
async def test_after_a_refusal_nobody_sends_before_it_is_over_and_then_one_does(urgency: Urgency) -> None:
    plane, budget, start = Plane(), budget_of(), now()
    for _ in range(60):
        plane.count("others")
    assert not await plane.get(budget, urgency)
    assert budget.left == 0
    assert budget.wait(urgency) == pytest.approx(60 - STEP, abs=1)
    await gather(*(plane.get(budget, urgency) for _ in range(10)))
    assert plane.refused("reader", "background") == 1
    mine = [at - start for name, at, allowed in plane.log if name == urgency and allowed]
    assert 60 < mine[0] < 62
    assert mine[1] >= mine[0] + STEP  # only when the first had been answered


async def test_refusals_of_several_in_flight_are_one_refusal() -> None:
    budget = budget_of()
    async with budget.request("reader") as one, budget.request("reader") as two:
        one.refused(30)
        two.refused(10)
        two.answered(59)  # said too late: it is over
    assert budget.wait("reader") == 30
    await asyncio.sleep(31)
    assert budget.left == 1


async def test_readers_go_before_the_background_whatever_came_first() -> None:
    budget, order = budget_of(limit=1), list[str]()
    await taken(budget, "reader")
    urgencies: list[Urgency] = ["background", "background", "reader", "background", "reader"]
    waiters = [
        asyncio.create_task(taken(budget, urgency, order, f"{urgency[0]}{number}"))
        for number, urgency in enumerate(urgencies)
    ]
    await gather(*waiters)
    assert order == ["r2", "r4", "b0", "b1", "b3"]


async def test_the_background_leaves_the_reserve_to_readers() -> None:
    plane, budget = Plane(), budget_of(reserve=12)
    background = [asyncio.create_task(plane.get(budget, "background")) for _ in range(60)]
    await asyncio.sleep(5)
    assert sum(task.done() for task in background) == 48
    started = now()
    await gather(*(plane.get(budget) for _ in range(12)))
    assert now() - started < 1
    await gather(*background)
    assert plane.refused("reader", "background") == 0


async def test_a_small_room_is_not_all_reserve() -> None:
    budget = budget_of(limit=8, reserve=12)
    for _ in range(6):
        assert budget.wait("background") == 0
        await taken(budget, "background")
    assert budget.wait("background") > 0
    assert budget.wait("reader") == 0


async def test_who_waits_tells_how_long_the_next_will() -> None:
    budget = budget_of(limit=2)
    await taken(budget, "reader")
    await asyncio.sleep(20)
    await taken(budget, "reader")
    assert budget.wait("reader") == pytest.approx(40)
    waiter = asyncio.create_task(taken(budget, "background"))
    await settled()
    assert budget.wait("reader") == pytest.approx(40)
    assert budget.wait("background") == pytest.approx(60)
    await waiter


async def test_what_others_have_used_makes_no_wait_of_many_windows() -> None:
    budget = Budget(timer=now, limit=60)
    async with budget.request("reader") as asked:
        asked.answered(1)
    assert budget.wait("reader", 37) <= 60
    await asyncio.sleep(61)
    async with budget.request("reader") as asked:
        asked.answered(1)
    assert budget.wait("reader", 37) > 600


async def test_a_waiter_that_is_cancelled_frees_its_place() -> None:
    budget, order = budget_of(limit=1), list[str]()
    await taken(budget, "reader")
    first, second = (asyncio.create_task(taken(budget, "reader", order, name)) for name in "ab")
    await asyncio.sleep(10)
    first.cancel()
    await second
    assert order == ["b"]
    assert first.cancelled()
    await asyncio.sleep(60)
    assert budget.wait("reader") == 0


async def test_a_priority_that_is_raised_moves_up() -> None:
    budget, order = budget_of(limit=1), list[str]()
    await taken(budget, "reader")
    priority = RequestPriority(budget, "background")

    async def run() -> None:
        async with priority.request():
            order.append("priority")

    tasks = [asyncio.create_task(taken(budget, "background", order, "other")), asyncio.create_task(run())]
    await settled()
    priority.raise_priority()
    await gather(*tasks)
    assert order == ["priority", "other"]


async def test_learning_that_there_is_more_wakes_those_who_wait() -> None:
    budget, start = budget_of(limit=1), now()
    async with budget.request("reader") as asked:
        waiter = asyncio.create_task(taken(budget, "reader"))
        await asyncio.sleep(2)
        asked.answered(299)
        await waiter
    assert now() - start == 2


async def test_a_sleep_that_fails_is_not_tried_without_end() -> None:
    async def broken(_: float) -> None:
        raise OSError("no clock")

    budget = Budget(timer=now, sleep=broken, limit=1)
    await taken(budget, "reader")
    with pytest.raises(OSError, match="no clock"):
        await taken(budget, "reader")


async def test_after_a_restart_what_was_left_is_left_until_the_window_is_over() -> None:
    plane, before = Plane(), budget_of()
    for _ in range(40):
        await plane.get(before)
    encoded = msgspec.json.encode(before.state(UNIX))
    after = budget_of()
    await asyncio.sleep(10)
    after.restore(msgspec.json.decode(encoded, type=BudgetState), UNIX + 10)
    assert (after.left, after.limit) == (20, 60)
    await gather(*(plane.get(after) for _ in range(60)))
    assert plane.refused("reader") == 0


async def test_a_refusal_holds_for_other_replicas_and_after_a_restart() -> None:
    one, two = budget_of(), budget_of()
    async with one.request("reader") as asked:
        asked.refused(50)
    two.restore(one.state(UNIX), UNIX + 20)
    assert two.wait("reader") == pytest.approx(30, abs=1e-3)


async def test_replicas_that_tell_each_other_do_not_shut_each_other_out() -> None:
    plane, one, two = Plane(), budget_of(), budget_of()
    for budget in (one, two):
        for _ in range(25):
            await plane.get(budget)
    for _ in range(100):
        wall = UNIX + now()
        one.restore(two.state(wall), wall)
        two.restore(one.state(wall), wall)
        assert one.left == two.left == 10 or now() > 1060
        await asyncio.sleep(1)
    assert (one.left, two.left) == (60, 35)  # the one has never seen more than 35 for itself


async def test_a_state_that_says_no_more_than_is_known_changes_nothing() -> None:
    plane, budget = Plane(), budget_of()
    await plane.get(budget)
    old = budget.state(UNIX)
    await asyncio.sleep(5)
    await plane.get(budget)
    for state in (old, budget.state(UNIX + 5)):
        budget.restore(state, UNIX + 5)
        assert budget.left == 58


@pytest.mark.parametrize("jump", [-7200.0, 7200.0, 1e9])
async def test_a_clock_that_was_put_back_or_forth_does_not_shut_the_budget(jump: float) -> None:
    one, two = budget_of(), budget_of()
    async with one.request("reader") as asked:
        asked.refused(50)
    two.restore(one.state(UNIX), UNIX + jump)
    assert two.wait("reader") <= 50 + 1e-3


async def hour_of_polling(plane: Plane, budget: Budget, random: Random, hour: float = 3600.0) -> list[float]:
    """60 projects in the background, 4 at a time, with bursts of readers: how long the readers waited.

    Each project is read once in two minutes: 30 requests a minute.
    """
    waited: list[float] = []
    end, slots = now() + hour, asyncio.Semaphore(4)

    async def project() -> None:
        await asyncio.sleep(random.randrange(120 * 64) * STEP)
        while now() < end:
            async with slots:
                await plane.get(budget, "background")
            await asyncio.sleep(120)

    async def reader() -> None:
        started = now()
        await plane.get(budget)
        waited.append(now() - started)

    async def readers() -> None:
        while now() < end:
            await asyncio.sleep(random.randrange(90 * 64) * STEP)
            await gather(*(reader() for _ in range(random.randrange(1, 13))))

    await gather(readers(), *(project() for _ in range(60)))
    return waited


def slow(random: Random) -> Callable[[], tuple[float, float]]:
    """Up to two seconds there, and up to two back."""
    return lambda: (random.randrange(128) * STEP, random.randrange(128) * STEP)


@pytest.mark.parametrize("seed", range(3))
async def test_an_hour_over_60_projects_alone_is_an_hour_without_a_refusal(seed: int) -> None:
    random = Random(seed)
    plane, budget = Plane(latency=slow(random)), budget_of()
    waited = await hour_of_polling(plane, budget, random)
    assert plane.refused("reader", "background") == 0
    polls = sum(name == "background" for name, _, _ in plane.log)
    assert polls > 60 * 27  # every two minutes and the time that it took
    assert sorted(waited)[int(len(waited) * 0.9)] < 5


@pytest.mark.parametrize("seed", range(3))
async def test_with_another_program_refusals_are_few_and_never_the_end(seed: int) -> None:
    """It takes up to 12 at once, as it likes, and does not look at the budget."""
    random = Random(seed)
    plane, budget = Plane(latency=slow(random)), budget_of()
    end = now() + 3600

    async def other() -> None:
        while now() < end:
            await asyncio.sleep(random.randrange(60 * 64) * STEP)
            for _ in range(random.randrange(13)):
                plane.count("other")

    await gather(hour_of_polling(plane, budget, random), other())
    ours = [entry for entry in plane.log if entry[0] != "other"]
    assert plane.refused("reader", "background") < len(ours) / 50
    assert sum(name == "background" for name, _, _ in ours) > 60 * 25
    for urgency in ("reader", "background"):
        last = max(at for name, at, allowed in plane.log if name == urgency and allowed)
        assert last > end - 120


async def test_more_demand_than_budget_uses_nearly_all_of_it_and_readers_do_not_notice() -> None:
    random = Random(0)
    plane, budget = Plane(), budget_of()
    end, waited = now() + 3600, list[float]()

    async def greedy() -> None:
        while now() < end:
            await plane.get(budget, "background")

    async def reader() -> None:
        while now() < end:
            await asyncio.sleep(random.randrange(20 * 64) * STEP)
            started = now()
            await plane.get(budget)
            waited.append(now() - started)

    await gather(reader(), *(greedy() for _ in range(8)))
    assert plane.refused("reader", "background") == 0
    assert len(plane.log) > 60 * 47
    assert max(waited) < 1


class AnyOrder(RuleBasedStateMachine):
    """Alone with the key, whatever the order and the latency: never one request too many.

    Requests are sent, counted by the server and answered in steps of their own, in any order; some
    get no figure, some no answer, some waiters give up.
    """

    @initialize(limit=st.integers(1, 8), believed=st.integers(1, 8), reserve=st.integers(0, 4))
    def start(self, limit: int, believed: int, reserve: int) -> None:
        self.loop = JumpingLoop()
        self.limit = limit
        self.budget = Budget(timer=self.loop.time, limit=min(limit, believed), reserve=reserve)
        self.names = count()
        self.waiting: dict[int, asyncio.Task[None]] = {}
        self.sent: list[tuple[RequestSlot, asyncio.Event]] = []
        self.counted: list[tuple[RequestSlot, asyncio.Event, int]] = []
        self.times: list[float] = []
        self.too_many = 0

    @rule(urgency=st.sampled_from(["reader", "background"]), number=st.integers(1, 4))
    def ask(self, urgency: Urgency, number: int) -> None:
        for _ in range(number):
            name = next(self.names)
            self.waiting[name] = self.loop.create_task(self.one(name, urgency))
        self.run(0)

    async def one(self, name: int, urgency: Urgency) -> None:
        over = asyncio.Event()
        async with self.budget.request(urgency) as asked:
            del self.waiting[name]
            self.sent.append((asked, over))
            await over.wait()

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), says=st.booleans())
    def count(self, data: st.DataObject, says: bool) -> None:
        asked, over = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        inside = sum(time > self.loop.time() - 60 for time in self.times)
        self.too_many += inside >= self.limit
        self.times.append(self.loop.time())
        self.counted.append((asked, over, self.limit - inside - 1 if says else -1))

    @precondition(lambda self: self.counted)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        asked, over, left = self.counted.pop(data.draw(st.integers(0, len(self.counted) - 1)))
        asked.answered(None if left < 0 else left)
        over.set()
        self.run(0)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """Plane never sees it, and there is no answer."""
        self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))[1].set()
        self.run(0)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.waiting.pop(data.draw(st.sampled_from(sorted(self.waiting)))).cancel()
        self.run(0)

    @rule(seconds=st.sampled_from([STEP, 1.0, 20.0, 59.0, 60.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        self.run(seconds)

    def run(self, seconds: float) -> None:
        async def go() -> None:
            await asyncio.sleep(seconds)
            await settled()

        self.loop.run_until_complete(go())

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        assert getattr(self, "too_many", 0) == 0

    def teardown(self) -> None:
        """Nobody waits without end: once all is answered, everyone gets their turn."""
        if not hasattr(self, "loop"):
            return
        for _ in range(len(self.waiting) + 2):
            for _, over in (*self.sent, *(entry[:2] for entry in self.counted)):
                over.set()
            self.sent, self.counted = [], []
            self.run(61)
        self.loop.close()
        assert not self.waiting


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


@pytest.mark.parametrize(
    ("headers", "remaining"),
    [
        ({"X-RateLimit-Remaining": "59"}, 59),
        ({"x-ratelimit-remaining": " 0 "}, 0),
        ({"X-RateLimit-Remaining": "-1"}, None),
        ({"X-RateLimit-Remaining": "9" * 5000}, None),
        ({"X-RateLimit-Remaining": "٣"}, None),
        ({"X-RateLimit-Reset": "1795247444"}, None),
        ({}, None),
    ],
)
def test_what_an_answer_says_is_left(headers: dict[str, str], remaining: int | None) -> None:
    assert remaining_in(httpx.Headers(headers, encoding="utf-8")) == remaining
