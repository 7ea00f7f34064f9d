"""A thousand readers at once: each resource of Plane is read once, and nobody gets a mixture."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import httpx
import pytest
from app_world import World, event, settings, titles
from plane import faults as f
from simulated import BACKEND, living

from icsfeed.config.schema import Feed, Filter
from icsfeed.model import Priority

pytestmark = pytest.mark.anyio

CROWD = 1_000
PRIORITIES: tuple[Priority, ...] = ("urgent", "high", "medium", "low", "none")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return BACKEND


def twenty() -> dict[str, Feed]:
    projects = {key.lower(): Feed(project=key) for key in ("PROP", "OPS", "WEB")}
    several = {f"p-{p}": Feed(everything=True, where=Filter(priority=(p,))) for p in PRIORITIES}
    people = {name: Feed(assignee=name) for name in ("anna", "ben")}
    shown = {f"of-{p}": Feed(project="PROP", where=Filter(priority=(p,))) for p in PRIORITIES}
    spans = {f"span-{key}": Feed(project=key, dates="span") for key in ("PROP", "OPS", "WEB")}
    plan = {"plan": Feed(everything=True, include=("issues", "cycles", "modules"))}
    return {"everything": Feed(everything=True), **projects, **several, **people, **shown, **spans, **plan}


async def crowd(world: World, feeds: list[str]) -> list[httpx.Response]:
    return await asyncio.gather(*(world.get(feeds[n % len(feeds)]) for n in range(CROWD)))


def asked_once(world: World) -> None:
    assert world.faults.requests
    asked = Counter(seen.line for seen in world.faults.requests)
    assert set(asked.values()) == {1}, asked.most_common(3)


async def test_a_thousand_readers_of_a_cold_server_cost_as_much_as_one() -> None:
    async with living(watching=False) as world:
        answers = await crowd(world, ["everything"])
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len({answer.headers["etag"] for answer in answers}) == 1
        asked_once(world)
        crowded = world.faults.count()
    async with living(watching=False) as world:
        alone = await world.get("everything")
        assert world.faults.count() == crowded
        assert alone.content == answers[0].content


@pytest.mark.parametrize("slow", [0.0, 0.1])
async def test_a_thousand_readers_of_twenty_feeds_read_each_resource_once(slow: float) -> None:
    feeds = twenty()
    async with living(settings(feeds)) as world:
        world.faults.add("", f.delayed(slow), times=None)
        answers = await crowd(world, list(feeds))
        assert len(feeds) == 20
        assert {answer.status_code for answer in answers} == {200}
        for n, answer in enumerate(answers):
            assert answer.content == answers[n % 20].content
        asked_once(world)


async def test_a_cold_crowd_and_a_plane_that_is_down_is_503_for_all_and_one_request() -> None:
    async with living(watching=False) as world:
        world.faults.add("", f.server_error(), times=None)
        answers = await crowd(world, ["everything", "property", "anna"])
        assert {answer.status_code for answer in answers} == {503}
        assert {int(answer.headers["retry-after"]) for answer in answers} <= {5, 6}
        assert world.faults.count() == 1


@pytest.mark.parametrize("delay", [0.01, 2.0, 20.0])
async def test_readers_during_a_refresh_get_the_old_copy_or_the_new_one(delay: float) -> None:
    async with living(watching=False) as world:
        old = await world.get("everything")
        world.faults.add("", f.delayed(delay), times=None)
        keys = (("PROP", 3), ("PROP", 4), ("OPS", 1))
        for key, number in keys:
            world.change(key, number, name="Of the second day")
        await asyncio.sleep(61)
        answers = []
        for _ in range(20):
            answers += await asyncio.gather(*(world.get("everything") for _ in range(CROWD // 20)))
            await asyncio.sleep(delay / 10)
        await asyncio.sleep(100)
        new = await world.get("everything")
        bodies = list(dict.fromkeys(answer.content for answer in [old, *answers, new]))
        # Projects are read at the same time; of each it is all old or all new.
        assert bodies[0] == old.content
        assert bodies[-1] == new.content
        assert len(bodies) <= 1 + len(world.data.projects)
        for body in bodies:
            both = {"Of the second day" in str(event(body, key, n)["summary"]) for key, n in keys[:2]}
            assert len(both) == 1
        assert sum("Of the second day" in title for title in titles(new.content)) == 3
        assert {answer.status_code for answer in answers} == {200}
