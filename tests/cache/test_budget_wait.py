"""A server whose key has no requests left says so, says for how long, and is right when the time is over."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from app_world import TODAY, World, quick, serving, settings
from plane.api import create_plane
from plane.faults import Faults, raising
from plane.sample import sample
from simulated import BACKEND, LoopClock, living
from test_refresh_incremental import facts

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cli.check import Finding, check
from icsfeed.config.schema import Auto, Config, Feed
from icsfeed.demo.access import KeyLimits
from icsfeed.feeds.service import FeedService
from icsfeed.plane.rate_limit import RequestPriority
from icsfeed.server.build import WorkspacePool
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

FEEDS = {"all": Feed(everything=True, public=True)}


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return BACKEND


class Sample:
    """The sample's Plane, which outlives the servers that read it."""

    def __init__(self, clock: LoopClock) -> None:
        self.faults = Faults()
        plane: Any = create_plane(sample(TODAY, clock=clock), clock, faults=self.faults)
        self.transport = httpx.ASGITransport(plane)


@asynccontextmanager
async def started(
    config: Config, plane: Sample, clock: LoopClock, store: Store, *, sparing: bool = False
) -> AsyncIterator[FeedService]:
    """A server that has just been started; the store is not closed with it."""
    pool = WorkspacePool(
        store, transports={"demo": plane.transport}, clock=clock, timer=clock.timer, sparing=sparing
    )
    try:
        yield await pool.open_service(config)
    finally:
        await pool.close()


@asynccontextmanager
async def checked(config: Config) -> AsyncIterator[tuple[list[Finding], Sample, LoopClock, Store]]:
    """What `check` finds, and what it leaves behind."""
    clock, store = LoopClock(), open_store("memory", {})
    plane = Sample(clock)
    async with started(config, plane, clock, store, sparing=True) as service:
        found = [finding async for finding in check(service)]
    yield found, plane, clock, store


async def use_up(world: World, requests: int = 60) -> None:
    """As `check` would, or another program with the same key."""
    priority = RequestPriority(world.workspace.budget, "reader")
    for _ in range(requests):
        async with priority.request() as slot:
            slot.answered(None)


async def test_a_reader_learns_how_long_it_waits_and_for_what(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with living(quick(settings(FEEDS), 1), watching=False, clock=LoopClock()) as world:
        await use_up(world)
        answer = await world.ask("GET", "/feeds/all.ics")
        assert answer.status_code == 503
        seconds = int(answer.headers["retry-after"])
        assert 55 <= seconds <= 61
        assert "for Plane's request budget" in answer.text
        ready = await world.ask("GET", "/health/ready")
        assert ready.json()["reasons"]["demo"] == f"waiting {seconds - 1} s for Plane's request budget"
        assert ready.headers["retry-after"] == str(seconds)
        messages = [record.message for record in caplog.records if "request budget" in record.message]
        assert len(messages) == 1
        health = (await world.ask("GET", "/api/v1/health")).json()
        assert health["copies"]["demo"]["problem"] == ready.json()["reasons"]["demo"]
        await asyncio.sleep(seconds)
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200


async def test_the_wait_that_plane_asks_for_is_shown_too() -> None:
    config, clock = quick(settings(FEEDS), 1), LoopClock()
    data = sample(TODAY, clock=clock)
    async with serving(config, data=data, clock=clock, limits=KeyLimits(person=20)) as world:
        plane = world.workspace.plane
        for _ in range(20):
            await plane.version()
            await plane.whoami()
        answer = await world.ask("GET", "/feeds/all.ics")
        seconds = int(answer.headers["retry-after"])
        assert (answer.status_code, seconds > 40) == (503, True)
        assert "for Plane's request budget" in answer.text
        ready = (await world.ask("GET", "/health/ready")).json()
        assert "for Plane's request budget" in ready["waiting"]["demo"]
        await asyncio.sleep(seconds)
        answer = await world.ask("GET", "/feeds/all.ics")
        assert answer.status_code == 200 or int(answer.headers["retry-after"]) > 1


async def test_a_server_that_is_started_after_a_check_begins_with_what_that_has_read() -> None:
    async with checked(settings(FEEDS)) as (found, plane, clock, store):
        assert {finding.level for finding in found} == {"ok"}
        lists = [seen.line.partition("?")[0].rstrip("/").rpartition("/")[2] for seen in plane.faults.requests]
        assert {"cycles", "modules"}.isdisjoint(lists)
        assert all(lists.count(name) == 3 for name in ("states", "labels"))
        before = len(plane.faults.requests)
        async with started(settings(FEEDS), plane, clock, store) as service:
            assert service.workspaces["demo"].is_ready
            assert service.workspaces["demo"].budget.left is not None
            plane.faults.add("", raising(httpx.ConnectError("nobody there")), times=None)
            assert (await service.rendered("all")).body.count(b"BEGIN:VEVENT") > 10
            plane.faults.clear()
            await asyncio.sleep(90)
            watch = BackgroundRefresh(service.workspaces["demo"], service.config.cache, clock.timer)
            await watch.refresh_stale()
            later = (await service.rendered("all")).body
        assert len(plane.faults.requests) > before
        async with started(settings(FEEDS), plane, clock, open_store("memory", {})) as fresh:
            assert facts((await fresh.rendered("all")).body) == facts(later)


async def test_no_reader_waits_for_a_request_that_cannot_be_had_in_time() -> None:
    clock = LoopClock()
    data = sample(TODAY, clock=clock)
    async with serving(settings(FEEDS), data=data, clock=clock, limits=KeyLimits(person=60)) as world:
        before = await world.ask("GET", "/feeds/all.ics")
        await asyncio.sleep(61)
        world.change("PROP", 1, name="Changed")
        await use_up(world)
        began = asyncio.get_running_loop().time()
        assert (await world.ask("GET", "/feeds/all.ics")).content == before.content
        assert asyncio.get_running_loop().time() - began < 0.1
        await asyncio.sleep(61)
        assert b"Changed" in (await world.ask("GET", "/feeds/all.ics")).content


async def test_a_check_of_feeds_with_cycles_reads_the_cycles() -> None:
    feeds = {"all": Feed(everything=True, include=("issues", "cycles")), "sprint": Feed(everything=True)}
    async with checked(settings(feeds, auto=Auto())) as (found, plane, *_):
        assert {finding.level for finding in found} == {"ok"}
        async with started(settings(feeds), plane, LoopClock(), open_store("memory", {})) as fresh:
            items = (await fresh.rendered("all")).body.count(b"BEGIN:VEVENT")
        assert any(finding.about == "feed all" and f"{items} items" in finding.text for finding in found)


async def test_a_check_takes_nothing_away_from_what_is_kept() -> None:
    store = open_store("memory", {})
    clock = LoopClock()
    plane = Sample(clock)
    async with started(settings(FEEDS), plane, clock, store) as service:
        before = (await service.rendered("all")).body
    await asyncio.sleep(61)
    async with started(settings(FEEDS), plane, clock, store, sparing=True) as service:
        assert [finding async for finding in check(service)]
    async with started(settings(FEEDS), plane, clock, store) as service:
        plane.faults.add("", raising(httpx.ConnectError("nobody there")), times=None)
        assert (await service.rendered("all")).body == before
