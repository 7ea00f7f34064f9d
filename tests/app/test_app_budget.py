"""A server whose key has no requests left says so, says for how long, and is right when the time is over."""

import asyncio
import logging

import pytest
from app_world import TODAY, World, quick, serving, settings
from simulated import BACKEND, LoopClock, living

from icsfeed.adapters.quota import Errand
from icsfeed.core.config import Feed
from icsfeed.demo.access import Limits
from icsfeed.demo.sample import sample

pytestmark = pytest.mark.anyio

FEEDS = {"all": Feed(everything=True, public=True)}


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return BACKEND


async def use_up(world: World, requests: int = 60) -> None:
    """As `check` would, or another program with the same key."""
    errand = Errand(world.workspace.budget, "reader")
    for _ in range(requests):
        async with errand.request() as asked:
            asked.answered(None)


async def test_a_reader_is_told_how_long_it_waits_and_for_what(caplog: pytest.LogCaptureFixture) -> None:
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
        told = [record.message for record in caplog.records if "request budget" in record.message]
        assert len(told) == 1
        health = (await world.ask("GET", "/api/v1/health")).json()
        assert health["copies"]["demo"]["problem"] == ready.json()["reasons"]["demo"]
        await asyncio.sleep(seconds)
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200


async def test_the_wait_that_plane_asks_for_is_told_too() -> None:
    config, clock = quick(settings(FEEDS), 1), LoopClock()
    data = sample(TODAY, clock=clock)
    async with serving(config, data=data, clock=clock, limits=Limits(person=20)) as world:
        plane = world.workspace.plane
        for _ in range(20):
            await plane.version()
            await plane.whoami()
        answer = await world.ask("GET", "/feeds/all.ics")
        seconds = int(answer.headers["retry-after"])
        assert (answer.status_code, seconds > 40) == (503, True)
        assert "for Plane's request budget" in answer.text
        await asyncio.sleep(seconds)
        answer = await world.ask("GET", "/feeds/all.ics")
        assert answer.status_code == 200 or int(answer.headers["retry-after"]) > 1
