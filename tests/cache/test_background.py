"""What keeps a workspace fresh, on a clock that the tests move; sixty projects behind one key."""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import Any, TypeVar

import pytest
from app_world import Clock
from fake_plane import DAY, FakePlane, cycle
from leaping import Inline
from msgspec.structs import replace

from icsfeed.cache.background import WEBHOOKS_ACTIVE_SECONDS, BackgroundRefresh
from icsfeed.cache.workspace import WATCHED_SECONDS, Workspace
from icsfeed.config.schema import Cache
from icsfeed.demo.access import KeyLimits, SlidingWindow
from icsfeed.demo.data import DemoKey
from icsfeed.errors import NoAccess, Throttled, Unreachable
from icsfeed.model import Needs, OtherProject, Project
from icsfeed.plane.rate_limit import Budget, RequestPriority
from icsfeed.plane.webhook import ALL_OF_PROJECT, CHEAP, Resource, WebhookChange
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

T = TypeVar("T")
QUICK = 120
"""Turns of the loop after which all that does not wait for the clock is done."""


def inline_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.set_default_executor(Inline())
    return loop


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return "asyncio", {"loop_factory": inline_loop}


class Time:
    """A sleep that ends when `pass_` moves the clock there."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._count = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.clock.seconds + seconds, next(self._count), woken))
        await woken

    async def pass_(self, seconds: float, turns: int = QUICK) -> None:
        end = self.clock.seconds + seconds
        await self._idle(turns)
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.clock.move(max(0.0, at - self.clock.seconds))
                woken.set_result(None)
                await self._idle(turns)
        self.clock.move(max(0.0, end - self.clock.seconds))
        await self._idle(turns)

    async def _idle(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)


class Case:
    """A watch over a fake Plane."""

    def __init__(self, plane: FakePlane, *, limit: int = 100_000, cache: Cache | None = None) -> None:
        self.plane, self.clock = plane, Clock()
        self.time = Time(self.clock)
        self.cache = cache or Cache()
        self.budget = Budget(timer=self.clock.timer, sleep=self.time.sleep, limit=limit)
        self.workspace = Workspace(
            "acme",
            plane,
            self.cache,
            store=open_store("memory", {}),
            budget=self.budget,
            clock=self.clock,
            timer=self.clock.timer,
            chance=lambda: 0.0,
        )
        self.resources = self.workspace.resources
        self.ttl = self.resources.ttls["issues"]
        self.watch = BackgroundRefresh(self.workspace, self.cache, self.clock.timer, self.time.sleep)

    def project(self, key: str) -> Project:
        return next(project for project in self.plane.held_projects if project.key == key)

    def age(self, key: str) -> float:
        read = self.resources.read_at(self.project(key))
        assert read is not None
        return (self.clock() - read).total_seconds()

    async def read(self, *keys: str) -> None:
        """A reader asks."""
        await self.workspace.view(lambda ps: tuple(p for p in ps if p.key in keys), Needs())

    def hook(self, key: str, *resources: Resource, **more: Any) -> None:
        of = frozenset(resources or ("issues",))
        projects = frozenset({self.project(key).id}) if key else frozenset[str]()
        self.watch.touch(WebhookChange(action="update", resources=of, **{"projects": projects, **more}))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.watch.run())
        await self.time.pass_(0)
        try:
            yield
        finally:
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.watch.close()
            await self.workspace.close()


class Failing(Budget):
    """A budget with a fault of ours, for a while."""

    fails = True

    @property
    def limit(self) -> int:
        if self.fails:
            raise ZeroDivisionError
        return super().limit


# What readers look at


async def test_everything_is_read_once_at_the_start_without_a_reader() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        assert case.workspace.is_ready
        assert len(case.plane.asked) == 2 + 2 * 5
        assert len(set(case.plane.asked)) == len(case.plane.asked)


async def test_a_fault_of_ours_is_logged_and_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    case = Case(FakePlane("PROP"))
    case.workspace.budget = budget = Failing(timer=case.clock.timer, sleep=case.time.sleep)
    case.watch.start()
    await case.time.pass_(3)
    assert "unexpected error" in caplog.text
    assert not case.workspace.is_ready
    budget.fails = False
    await case.time.pass_(31)
    assert case.workspace.is_ready
    await case.watch.stop()


async def test_readers_cost_no_request_and_no_copy_is_older_than_its_ttl_and_a_tick() -> None:
    with_readers, alone = Case(FakePlane("PROP", "OPS")), Case(FakePlane("PROP", "OPS"))
    async with with_readers.running(), alone.running():
        for _ in range(300):
            await alone.time.pass_(2, 60)
            await with_readers.time.pass_(2, 60)
            asked = len(with_readers.plane.asked)
            await with_readers.read("PROP", "OPS")
            assert len(with_readers.plane.asked) == asked
            assert max(with_readers.age("PROP"), with_readers.age("OPS")) <= 60 + 2
        assert sorted(with_readers.plane.asked) == sorted(alone.plane.asked)


async def test_what_nobody_asked_for_within_a_day_is_not_polled() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    await case.watch.refresh_stale()
    case.clock.move(WATCHED_SECONDS / 2)
    await case.read("OPS")
    case.clock.move(WATCHED_SECONDS / 2 + 1)
    case.plane.asked.clear()
    await case.watch.refresh_stale()
    assert (case.plane.count("issues OPS"), case.plane.count("issues PROP")) == (1, 0)
    case.clock.move(WATCHED_SECONDS)
    case.plane.asked.clear()
    await case.watch.refresh_stale()
    assert case.plane.asked == ["projects"]


async def test_who_waited_longest_is_read_first() -> None:
    case = Case(FakePlane("A", "B", "C"))
    await case.watch.refresh_stale()
    for key in ("C", "A", "B"):
        case.clock.move(61)
        case.resources.expire(case.project(key), {"issues"})
        await case.workspace.refresh(case.project(key), "background")
    case.clock.move(61)
    case.plane.asked.clear()
    await case.watch.refresh_stale()
    issues = [asked for asked in case.plane.asked if asked.startswith("issues")]
    assert issues == ["issues C", "issues A", "issues B"]


async def test_a_new_project_is_read_and_a_gone_one_no_more() -> None:
    case = Case(FakePlane("OLD", "NEW"))
    new = case.plane.held_projects.pop()
    async with case.running():
        (old,) = case.plane.held_projects
        case.plane.held_projects[:] = [new]
        case.plane.others.append(OtherProject(old, archived=True))
        await case.time.pass_(125)
        assert case.resources.read_at(new) is not None
        case.plane.asked.clear()
        await case.time.pass_(130)
        assert case.plane.count("issues OLD") == 0
        assert case.plane.count("issues NEW") == 2


async def test_a_short_ttl_does_not_become_a_busy_loop() -> None:
    case = Case(FakePlane("PROP"), cache=replace(Cache(), issues=1))
    async with case.running():
        case.plane.asked.clear()
        await case.time.pass_(20)
        assert 9 <= case.plane.count("issues") <= 20


async def test_many_projects_under_a_large_budget_do_not_wait_for_a_tick_each() -> None:
    case = Case(FakePlane(*(f"P{n}" for n in range(90))))
    async with case.running():
        await case.time.pass_(0, 10_000)
        await case.time.pass_(125, 8_000)
        assert max(case.age(project.key) for project in case.plane.held_projects) <= 61


# Failures


async def test_a_project_that_fails_backs_off_and_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    case = Case(FakePlane("BAD", "GOOD"))
    case.plane.failing["issues BAD"] = NoAccess("it", "not for you")
    with caplog.at_level(logging.ERROR):
        async with case.running():
            await case.time.pass_(1800)
    assert not caplog.records
    assert 9 <= case.plane.count("issues BAD") <= 14, "doubling from 5 s to 5 min"
    assert case.plane.count("issues GOOD") >= 29


async def test_an_outage_is_backed_off_from_and_ends_by_itself() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.failing[""] = Unreachable("it", "no answer in time")
        case.plane.asked.clear()
        await case.time.pass_(3600)
        assert 10 <= len(case.plane.asked) <= 24
        case.plane.failing.clear()
        await case.time.pass_(302)
        assert case.workspace.last_error is None
        assert max(case.age("PROP"), case.age("OPS")) <= 62


async def test_what_plane_asks_for_in_retry_after_is_kept() -> None:
    case = Case(FakePlane("PROP"))
    async with case.running():
        case.plane.failing["issues"] = Throttled("it", 500)
        await case.time.pass_(65)
        asked = len(case.plane.asked)
        await case.time.pass_(430)
        assert len(case.plane.asked) == asked


async def test_a_start_during_an_outage_ends_with_everything_read() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    case.plane.failing[""] = Unreachable("it", "no answer in time")
    async with case.running():
        await case.time.pass_(100)
        case.plane.failing.clear()
        await case.time.pass_(302)
        assert case.workspace.is_ready


# Webhooks


async def test_ten_webhooks_are_one_reading() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        for _ in range(10):
            case.hook("PROP")
        await case.time.pass_(0)
        assert case.plane.asked == []
        await case.time.pass_(1)
        assert case.plane.asked == ["issues PROP"]


async def test_a_webhook_during_a_reading_leads_to_one_more() -> None:
    case = Case(FakePlane("PROP"))
    async with case.running():
        case.hook("PROP")
        case.plane.asked.clear()
        case.plane.open.clear()
        await case.time.pass_(1.5)
        assert case.plane.asked == ["issues PROP"]
        for _ in range(10):
            case.hook("PROP")
        await case.time.pass_(0.5)
        case.plane.open.set()
        await case.time.pass_(3)
        assert case.plane.asked == ["issues PROP"] * 2


async def test_a_webhook_during_a_readers_reading_leads_to_one_more() -> None:
    case = Case(FakePlane("PROP"))
    await case.watch.refresh_stale()
    case.clock.move(61)
    case.plane.asked.clear()
    case.plane.open.clear()
    reader = asyncio.create_task(case.read("PROP"))
    await case.time.pass_(0.25)
    case.hook("PROP")
    await case.time.pass_(0.25)
    case.plane.open.set()
    await case.time.pass_(2)
    await reader
    assert case.plane.asked == ["issues PROP"] * 2
    await case.watch.close()


async def test_periods_are_read_with_their_issues() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    case.plane.of_periods["PROP"] = [cycle("PROP", "one", None), cycle("PROP", "two", None)]
    async with case.running():
        case.plane.asked.clear()
        case.hook("PROP", "cycles", periods=frozenset({"cycle-one"}))
        await case.time.pass_(1)
        assert sorted(case.plane.asked) == ["cycles PROP", "held one", "held two"]


async def test_of_what_is_deleted_the_id_is_enough() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    case.plane.of_periods["OPS"] = [cycle("OPS", "one", None)]
    async with case.running():
        case.plane.asked.clear()
        case.hook("", issue="PROP-1")
        await case.time.pass_(1)
        assert case.plane.asked == ["issues PROP"]
        case.hook("", "cycles", periods=frozenset({"cycle-one"}))
        await case.time.pass_(2)
        assert case.plane.asked[1:] == ["cycles OPS", "held one"]
        case.hook("", issue="nobody-knows")
        await case.time.pass_(2)
        assert len(case.plane.asked) == 3


async def test_of_what_names_its_project_in_an_unknown_way_the_id_is_enough() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        case.hook("", issue="PROP-1", projects=frozenset({"PROP"}))
        await case.time.pass_(1)
        assert case.plane.asked == ["issues PROP"]


async def test_a_webhook_that_is_not_understood_has_its_project_or_all_issues_read() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        case.hook("PROP", *ALL_OF_PROJECT, problem="the event x is unknown")
        await case.time.pass_(2)
        assert sorted(case.plane.asked) == [
            f"{name} PROP" for name in ("cycles", "issues", "labels", "modules", "states")
        ]
        case.plane.asked.clear()
        case.hook("", *CHEAP, problem="the body is not JSON")
        await case.time.pass_(2)
        assert sorted(case.plane.asked) == ["issues OPS", "issues PROP", "projects"]


async def test_what_is_read_of_no_project_here_costs_nothing() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        case.hook("", "releases")
        case.hook("PROP", "milestones", periods=frozenset({"m1"}))
        await case.time.pass_(3)
        assert case.plane.asked == []


async def test_a_flood_of_webhooks_that_are_not_understood_leaves_half_of_the_budget(
    caplog: pytest.LogCaptureFixture,
) -> None:
    case = Case(FakePlane(*(f"P{n}" for n in range(10))), limit=60)
    await case.workspace.refresh_projects("background")
    await case.watch.refresh_stale()
    case.plane.asked.clear()
    for second in range(120):
        async with case.budget.request("reader") as slot:
            slot.answered(59 if second < 10 else 30)
        case.hook("", *CHEAP, problem="the event x is unknown")
        await case.time.pass_(1)
    # Each second of the first ten; then once in a minute, as polling would.
    assert 10 * 10 <= case.plane.count("issues") <= 10 * (10 + 2)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2
    await case.watch.close()


async def test_what_is_not_understood_does_not_hold_up_what_is() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        case.plane.open.clear()
        case.hook("PROP", problem="the event x is unknown")
        await case.time.pass_(1)
        case.hook("OPS")
        await case.time.pass_(1)
        assert case.plane.asked == ["issues PROP", "issues OPS"]
        case.plane.open.set()


async def test_a_projects_webhook_reads_the_list_and_a_new_project_at_once() -> None:
    case = Case(FakePlane("OLD", "NEW"))
    new = case.plane.held_projects.pop()
    async with case.running():
        case.plane.held_projects.append(new)
        case.hook("NEW", "projects")
        await case.time.pass_(1)
        assert case.resources.read_at(new) is not None
        assert case.plane.count("projects") == 2


async def test_a_changed_time_zone_is_known_when_the_cycles_are_read() -> None:
    asked_with: list[str] = []

    class Zoned(FakePlane):
        async def periods(self, project: Project, kind: Any) -> Any:
            asked_with.append(project.timezone)
            return await super().periods(project, kind)

    case = Case(Zoned("PROP"))
    async with case.running():
        moved = replace(case.plane.held_projects[0], timezone="Asia/Tokyo")
        case.plane.held_projects[:] = [moved]
        asked_with.clear()
        case.hook("PROP", "projects", "cycles")
        await case.time.pass_(1)
        assert asked_with == ["Asia/Tokyo"]


async def test_a_project_that_hangs_does_not_hold_up_another_ones_news() -> None:
    case = Case(FakePlane("PROP", "OPS"))
    async with case.running():
        case.plane.asked.clear()
        case.plane.open.clear()
        case.hook("PROP")
        case.hook("OPS")
        await case.time.pass_(1)
        assert sorted(case.plane.asked) == ["issues OPS", "issues PROP"]
        case.plane.open.set()


async def test_after_a_webhook_issues_are_polled_as_often_while_the_budget_has_room() -> None:
    case = Case(FakePlane("PROP"), limit=60)
    async with case.running():
        case.hook("PROP")
        await case.time.pass_(5)
        case.plane.of_issues["PROP"].clear()  # deleted, of which Plane sends nothing
        await case.time.pass_(65)
        assert case.resources.issues["id-prop"].value == ({}, 0)
        case.plane.asked.clear()
        await case.time.pass_(3000)
        assert 48 <= case.plane.count("issues") <= 50


async def test_after_a_webhook_issues_spare_the_budget_and_after_an_hour_do_so_no_more() -> None:
    case = Case(FakePlane(*(f"P{n}" for n in range(30))), limit=60)
    await case.workspace.refresh_projects("background")
    await case.watch.refresh_stale()
    polled = case.ttl.seconds * case.ttl.stretch
    case.hook("P1")
    case.watch._stretch_ttls()
    # In a minute: 24 of the 48 that are to be had are for states, labels, cycles and modules.
    assert (case.ttl.seconds, case.ttl.stretch) == (75, 1)
    assert polled == pytest.approx(60 * 54 / 48)
    case.clock.move(WEBHOOKS_ACTIVE_SECONDS + 1)
    case.watch._stretch_ttls()
    assert case.ttl.seconds == 60
    await case.watch.close()


async def test_only_webhooks_of_issues_let_issues_be_polled_less() -> None:
    case = Case(FakePlane(*(f"P{n}" for n in range(30))), limit=60)
    await case.workspace.refresh_projects("background")
    await case.watch.refresh_stale()
    case.hook("P1", "projects")
    case.hook("P1", problem="the event x is unknown")
    case.watch.touch(WebhookChange())
    case.watch._stretch_ttls()
    assert case.ttl.seconds == 60
    await case.watch.close()


async def test_webhooks_never_make_issues_be_polled_more() -> None:
    case = Case(FakePlane("PROP"), cache=replace(Cache(), issues=600))
    async with case.running():
        case.hook("PROP")
        await case.time.pass_(2)
        assert case.ttl.seconds == 600


# The budget


async def test_ttls_stretch_with_sixty_projects() -> None:
    case = Case(FakePlane(*(f"P{n}" for n in range(60))), limit=60)
    await case.workspace.refresh_projects("background")
    case.watch._stretch_ttls()
    # In a minute: 60 of issues, and 12 each of states, labels, cycles and modules; 48 are to be had.
    assert case.ttl.stretch == pytest.approx(108 / 48)


class Limited(FakePlane):
    """Counts as Plane does and refuses the one too many; each answer takes a fifth of a second."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*keys)
        self.root = self
        self.time = Time(Clock())
        self.quota = SlidingWindow(KeyLimits(), self.time.clock)
        self.priority: RequestPriority | None = None
        self.refused = 0

    def on(self, priority: RequestPriority) -> "Limited":
        other = object.__new__(Limited)
        other.__dict__ |= {**self.__dict__, "priority": priority}
        return other

    async def _answer(self, what: str, value: T) -> T:
        assert self.priority is not None
        time = self.root.time
        async with self.priority.request() as slot:
            await time.sleep(0.1)
            left = self.root.quota.take(KEY)
            await time.sleep(0.1)
            if left < 0:
                self.root.refused += 1
                slot.refused(60)
                raise Throttled("it", 60)
            slot.answered(left)
        self.asked.append(what)
        return value


KEY = DemoKey("plane_api_one", "alice")


def _sixty(count: int = 60) -> tuple[Case, Limited]:
    plane = Limited(*(f"P{n}" for n in range(count)))
    case = Case(plane, limit=60)
    plane.time, plane.quota = case.time, SlidingWindow(KeyLimits(), case.clock)
    return case, plane


async def test_the_first_start_of_twelve_projects_takes_seconds_and_their_cycles_come_later() -> None:
    case, plane = _sixty(12)
    for key in plane.of_periods:
        plane.of_periods[key] = [cycle(key, f"{key} {n}", DAY) for n in range(4)]
    async with case.running():
        await case.time.pass_(15)
        assert case.workspace.is_ready
        view = case.workspace.snapshots.view(tuple(plane.held_projects), plane.held_projects, Needs())
        assert view is not None
        assert len(view.snapshots) == 12
        assert case.workspace.retry_after == 1
        await case.time.pass_(150)
        assert all(len(case.workspace.snapshots.snapshot(one).periods) == 4 for one in plane.held_projects)  # type: ignore[union-attr]
    assert plane.refused == 0


async def test_a_reader_at_a_cold_start_does_not_wait_for_sixty_projects() -> None:
    case, _ = _sixty()
    async with case.running():
        await case.time.pass_(2)
        reader = asyncio.create_task(case.read("P59"))
        await case.time.pass_(3)
        assert reader.done()
        assert case.age("P59") <= 3


HOURS, TURNS = 24, 40
BOUND = 525.0


async def test_sixty_projects_behind_one_key_for_a_day() -> None:
    """No 429 in a simulated day, and once read no project's issues are ever older than 525 s.

    The bound: TTLs are stretched by 108 / 48 = 2.25, so that what they ask for is 80 % of 60 requests a
    minute: a copy of issues is fresh for 135 s, of names for 675 s. Then it waits for those that are older,
    of which each is read once: at worst 60 projects of 5 requests at 48 a minute (12 are kept for
    readers, and what readers read is read for all), 375 s. That makes 510 s, and some for ticks, answers,
    projects and members. It is the worst that can be and not what is usual (about 300 s).
    """
    case, plane = _sixty()
    random = Random(7)
    oldest = 0.0
    readers: set[asyncio.Task[None]] = set()
    async with case.running():
        await case.time.pass_(450, TURNS)
        assert case.workspace.is_ready
        while case.clock.seconds < 1_000 + HOURS * 3600:
            await case.time.pass_(random.expovariate(1 / 60), TURNS)
            keys = random.sample([p.key for p in plane.held_projects], random.choice([1, 1, 3]))
            readers.add(asyncio.create_task(case.read(*keys)))
            oldest = max(oldest, *(case.age(project.key) for project in plane.held_projects))
        await case.time.pass_(300, TURNS)
        await asyncio.gather(*readers)
    assert plane.refused == 0
    assert 135 < oldest <= BOUND
    assert len(plane.asked) <= HOURS * 3600 + 720
