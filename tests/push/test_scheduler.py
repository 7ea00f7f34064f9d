"""Pushes inside the server: when they run, that they are independent, and what is reported of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import World, serving, settings
from dav_memory import URL, MemoryDav, answering
from msgspec.structs import replace
from push_world import FEED, Pushing, pushing_to, target

from icsfeed.config.schema import Auto, Cache, Duration, Feed, Secret
from icsfeed.errors import NoServer, PushBusy
from icsfeed.feeds.service import FeedService
from icsfeed.push.action import DeletionRefusal
from icsfeed.push.report import LastRun, PushStats, TargetReport
from icsfeed.push.run import push
from icsfeed.push.scheduler import PushScheduler, feed_stamp
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState
from icsfeed.web.status.metrics import exposition

pytestmark = pytest.mark.anyio

TARGETS = {"t": target(URL), "u": target(URL, feed="mine"), "off": target(URL, active=False)}
MINE = {"mine": Feed(project="OPS")}
FEEDS = {"all": Feed(everything=True), "prop": Feed(project="PROP"), "off": Feed(project="WEB", active=False)}
GOOD_AT = datetime(2026, 11, 25, tzinfo=UTC)
GOOD = TargetReport(target="t", feed=FEED, url=URL, counts={"created": 2, "kept": 5})


class Recorded:
    """Pushes nothing, and records the requests. `answers`: the results of the next pushes."""

    def __init__(self, world: World, *answers: TargetReport | Exception) -> None:
        self.runs: list[tuple[str, float]] = []
        self.answers = list(answers)
        self._world = world
        self._start = world.clock.seconds

    async def __call__(self, name: str, _service: FeedService) -> TargetReport:
        self.runs.append((name, self._world.clock.seconds - self._start))
        answer = self.answers.pop(0) if self.answers else GOOD
        if isinstance(answer, Exception):
            raise answer
        return answer

    def of(self, name: str) -> list[float]:
        """Return when this target was pushed, in seconds from the start."""
        return [at for pushed, at in self.runs if pushed == name]


class Rig:
    def __init__(self, it: Pushing, push: Recorded) -> None:
        self.it, self.push, self.stats = it, push, PushStats()
        clock = it.world.clock
        self.scheduler = PushScheduler(it.world.service, push, self.stats, clock, clock.timer)

    async def seconds(self, count: int) -> None:
        """Let some seconds pass, with a step in each."""
        for _ in range(count):
            await self.scheduler.step()
            self.it.world.clock.move(seconds=1)

    async def read(self) -> None:
        """Read Plane, as the background refresh does."""
        await self.it.world.service.view(FEED)
        await self.it.world.service.view("mine")

    def change(self, key: str = "PROP") -> None:
        self.it.world.data.patch_issue(self.it.issues(key)[0]["id"], {"name": "Newer"})

    async def news(self) -> None:
        """Change the feeds of both targets, and read Plane."""
        self.change("OPS")
        await self.read()


@asynccontextmanager
async def rig(folder: Path, *answers: TargetReport | Exception) -> AsyncIterator[Rig]:
    async with pushing_to(TARGETS, folder, more=MINE, cache=Cache(issues=Duration(1))) as it:
        yield Rig(it, Recorded(it.world, *answers))


async def test_what_is_cached_is_pushed_after_five_seconds_and_then_at_the_interval(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.seconds(3)
        assert it.push.runs == []
        await it.read()
        await it.seconds(620)
    assert it.push.of("t") == it.push.of("u") == [8, 308, 608]
    assert it.push.of("off") == []


async def test_a_change_is_pushed_five_seconds_after_the_last_one(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.read()
        await it.seconds(70)
        for _ in range(3):
            await it.news()
            await it.seconds(3)
        await it.seconds(10)
    assert it.push.of("t") == it.push.of("u") == [5, 81]


async def test_only_the_target_whose_feed_has_changed_is_pushed(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.read()
        await it.seconds(70)
        it.change("PROP")
        await it.read()
        await it.seconds(10)
    assert it.push.of("t") == [5, 75]
    assert it.push.of("u") == [5]


async def test_continuous_changes_are_pushed_each_minute(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        for _ in range(130):
            await it.news()
            await it.seconds(1)
    assert it.push.of("t") == [60, 121]


async def test_a_push_can_be_requested_at_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        it.scheduler.run_now()
        assert it.scheduler.status.queued == 2
        await it.seconds(2)
        assert it.push.runs == [("t", 0), ("u", 0)]
        assert it.scheduler.status.queued == 0


async def test_an_unexpected_error_ends_only_its_own_push(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(tmp_path, RuntimeError("a fault of ours")) as it:
        it.scheduler.run_now()
        await it.seconds(310)
    assert it.push.of("t") == [0, 300]
    assert it.push.of("u") == [0, 300]
    assert "target t: unexpected error" in caplog.text


@pytest.mark.parametrize(
    "report",
    [
        TargetReport(
            target="t", feed=FEED, url=URL, counts={}, refused=DeletionRefusal("half a read", final=True)
        ),
        TargetReport(target="t", feed=FEED, url=URL, counts={}, error=PushBusy("t", "another run")),
    ],
)
async def test_a_push_that_was_too_early_is_retried_soon(tmp_path: Path, report: TargetReport) -> None:
    async with rig(tmp_path, report) as it:
        it.scheduler.run_now()
        await it.seconds(40)
    assert it.push.of("t") == [0, 30]


async def test_the_status_says_what_runs_what_waits_and_what_went_wrong(tmp_path: Path) -> None:
    bad = TargetReport(
        target="t", feed=FEED, url=URL, counts={"created": 1}, error=NoServer(URL, "no answer")
    )
    async with rig(tmp_path, bad) as it:
        states = [it.scheduler.status.state]
        assert it.scheduler.status.last == {"t": None, "u": None}
        for created in (3, 7):
            it.scheduler.run_now()
            await it.seconds(1)
            states.append(it.scheduler.status.state)
            assert (it.stats.count("created"), it.stats.count("deleted")) == (created, 0)
    assert states == ["idle", "error", "idle"]


async def test_the_log_says_what_was_done_and_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused = TargetReport(
        target="u", feed="mine", url=URL, counts={"kept": 3}, refused=DeletionRefusal("too much")
    )
    async with rig(tmp_path, GOOD, refused) as it:
        it.scheduler.run_now()
        await it.seconds(1)
    assert "target t: 2 created in 0 requests" in caplog.messages
    assert any("`icsfeed push --force`" in message for message in caplog.messages)


async def test_without_targets_nothing_runs(tmp_path: Path) -> None:
    async with pushing_to({}, tmp_path) as it:
        scheduler = PushScheduler(
            it.world.service, Recorded(it.world), PushStats(), it.world.clock, it.world.clock.timer
        )
        scheduler.start()
        scheduler.run_now()
        assert (scheduler.status.state, scheduler.status.queued) == ("idle", 0)
        await scheduler.close()


async def test_a_server_pushes_a_change_for_real(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing_to(target(URL), tmp_path, transport=dav.transport) as it:
        pushed = PushStats()
        clock = it.world.clock
        run = partial(push, context=it.context)
        scheduler = PushScheduler(it.world.service, run, pushed, clock, clock.timer, _ticking(it))
        scheduler.start()
        await it.world.service.view(FEED)
        await _until(lambda: len(dav.objects) > 0 and scheduler.status.state == "idle")
        wanted = len(await it.wanted())
        assert pushed.count("created") == len(dav.objects) == wanted
        it.world.data.delete_issue(it.issues("PROP")[0]["id"])
        it.world.clock.move(seconds=61)
        await it.world.service.view(FEED)
        await _until(lambda: pushed.count("deleted") == 1)
        dav.add_fault("PROPFIND", answering(401), times=999)
        scheduler.run_now()
        await _until(lambda: scheduler.status.state == "error")
        await scheduler.close()


async def test_the_status_routes_show_pushes_and_a_sync_starts_one(tmp_path: Path) -> None:
    dav, token = MemoryDav(), Secret("an admin token that nobody guesses")
    async with pushing_to(target(URL), tmp_path, transport=dav.transport, admin_token=token) as it:
        clock = it.world.clock
        server = ServerState(clock, clock.timer, _ticking(it), partial(push, context=it.context))
        app = create_app(it.world.service, server)
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        admin = {"Authorization": f"Bearer {token.reveal()}"}
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=transport, base_url="http://x", headers=admin) as client,
        ):

            async def said(path: str) -> Any:
                return (await client.get(path)).json()

            assert (await said("/api/v1/health"))["metrics"]["caldav_connection"] == "not tried yet"
            await _until(lambda: server.pushed.count("created") > 0)
            made = len(await it.wanted())
            metrics = (await said("/api/v1/health"))["metrics"]
            assert (metrics["events_created"], metrics["caldav_connection"]) == (made, "ok")
            row = (await said("/webhooks/status"))["push"]["t"]
            assert (row["created"], row["status"], row["failed"]) == (made, "success", 0)
            figures = (await client.get("/metrics")).text
            assert f'icsfeed_push_objects_total{{result="created",target="t"}} {made}.0' in figures
            assert 'icsfeed_push_good{target="t"} 1.0' in figures
            lists = dav.count("PROPFIND")
            assert (await client.post("/webhooks/sync")).status_code == 202
            await _until(lambda: dav.count("PROPFIND") > lists)
            dav.add_fault("PROPFIND", answering(401), times=10_000)
            assert (await client.post("/webhooks/sync")).status_code == 202
            await _until(lambda: not server.pushed.last["t"].report.is_good)
            health = await said("/api/v1/health")
            assert (health["status"], health["metrics"]["caldav_connection"]) == ("degraded", "login refused")
            pushes = (await said("/status"))["pushes"]
            assert [(push["name"], len(push["problems"])) for push in pushes] == [("t", 1)]


async def test_a_removed_target_is_no_longer_reported_as_failed(tmp_path: Path) -> None:
    failed = LastRun(GOOD_AT, replace(GOOD, error=NoServer("x", "away")))
    async with pushing_to(target(URL), tmp_path) as it:
        server = ServerState(
            it.world.clock, it.world.clock.timer, _ticking(it), partial(push, context=it.context)
        )
        server.pushed.last.update(t=failed, former=failed)
        figures = exposition(it.world.service, server).decode()
    assert 'icsfeed_push_good{target="t"} 0.0' in figures
    assert "former" not in figures


def _ticking(it: Pushing) -> Callable[[float], Awaitable[None]]:
    """Return a sleep that moves the clock instead of waiting."""

    async def sleep(seconds: float) -> None:
        it.world.clock.move(seconds=seconds)
        await asyncio.sleep(0.001)

    return sleep


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - as a person looks
            await asyncio.sleep(0.005)


async def test_a_server_that_does_not_answer_delays_only_its_own_targets(tmp_path: Path) -> None:
    targets = {
        "dead": target("https://dead.example.com/x/"),
        "also": target("https://DEAD.example.com/y/"),
        **TARGETS,
    }
    hanging = asyncio.Event()
    runs: list[str] = []

    async def run(name: str, _service: FeedService) -> TargetReport:
        runs.append(name)
        if name == "dead":
            await hanging.wait()
        return GOOD

    async with pushing_to(targets, tmp_path, more=MINE) as it:
        clock = it.world.clock
        scheduler = PushScheduler(it.world.service, run, PushStats(), clock, clock.timer)
        for _ in range(2):
            scheduler.run_now()
            await scheduler.step()
            clock.move(seconds=10)
        assert runs == ["dead", "t", "u", "t", "u"]
        assert scheduler.status.state == "running"
        hanging.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await scheduler.step()
        assert runs[5:] == ["also", "dead"]
        assert scheduler.status.state != "running"
        await scheduler.close()


async def test_a_stamp_changes_with_the_feed_and_with_the_day_and_reads_nothing() -> None:
    config = replace(settings(FEEDS), auto=Auto())
    async with serving(config) as world:
        assert await feed_stamp(world.service, "prop") is None
        await world.service.view("all")
        asked = world.faults.count()
        first = await feed_stamp(world.service, "prop")
        assert first is not None
        assert (await feed_stamp(world.service, "prop"), world.faults.count()) == (first, asked)
        world.clock.move(seconds=61)
        world.change("WEB", 1, name="Newer")
        await world.service.view("all")
        assert await feed_stamp(world.service, "prop") == first
        world.change("PROP", 1, name="Newer")
        world.clock.move(seconds=61)
        await world.service.view("all")
        second = await feed_stamp(world.service, "prop")
        assert second != first
        world.clock.move(days=1)
        assert await feed_stamp(world.service, "prop") != second


async def test_a_feed_of_nobody_has_no_stamp() -> None:
    async with serving(settings({"x": Feed(project="NOPE")})) as world:
        await world.service.auto_feeds()
        assert await feed_stamp(world.service, "x") is None


async def test_a_feed_that_is_off_has_no_stamp() -> None:
    async with serving(settings(FEEDS)) as world:
        assert await feed_stamp(world.service, "off") is None
