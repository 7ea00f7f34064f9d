"""Sync tokens where several servers share one Redis: a client may be answered by any of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from app_world import TODAY, Clock, World, serving, settings
from dav_client import Mirror, of_feed
from plane.data import PlaneData
from plane.sample import sample
from redis_world import RedisServer, redis_server

from icsfeed.config.schema import Feed
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio
CALENDAR = "/dav/team/team/"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


class Replicas:
    """Servers of one configuration on one Redis, over one Plane; a client goes from one to another."""

    def __init__(self, redis: RedisServer, data: PlaneData, clock: Clock) -> None:
        self.redis, self.data, self.clock = redis, data, clock

    @asynccontextmanager
    async def one(self) -> AsyncIterator[World]:
        store = open_store(self.redis.address, {}, retry=0.05)
        feeds = settings({"team": Feed(project="PROP")})
        async with serving(feeds, data=self.data, clock=self.clock, store=store) as world:
            yield world

    def change(self, name: str, *worlds: World) -> None:
        worlds[0].change("PROP", 1, name=name)
        for world in worlds:
            world.service.expire()
        self.clock.move(60)


@pytest.fixture
def replicas(redis: RedisServer) -> Replicas:
    clock = Clock()
    return Replicas(redis, sample(TODAY, clock=clock), clock)


def mirror_at(mirror: Mirror | None, world: World) -> Mirror:
    """What the client holds, asking that server from now on."""
    moved = Mirror(of_feed(world, "team"), CALENDAR)
    if mirror is not None:
        moved.token, moved.objects = mirror.token, dict(mirror.objects)
    return moved


async def test_a_token_of_one_replica_is_known_to_the_other_and_after_a_restart(replicas: Replicas) -> None:
    async with replicas.one() as first, replicas.one() as second:
        mirror = mirror_at(None, first)
        assert await mirror.sync()
        before = mirror_at(mirror, first)
        mirror = mirror_at(mirror, second)
        assert await mirror.sync()
        assert (mirror.read, mirror.token) == (0, before.token)
        replicas.change("Changed once", first, second)
        assert await mirror_at(mirror, first).sync()  # the first has written down what changed
        for world in (second, first):
            mirror = mirror_at(before, world)
            assert await mirror.sync()
            assert mirror.read == 1
            assert any("Changed once" in data for data in mirror.objects.values())
    async with replicas.one() as third:
        again = mirror_at(before, third)
        assert await again.sync()
        assert (again.read, again.token, again.objects) == (1, mirror.token, mirror.objects)


async def test_a_client_between_replicas_ends_with_what_the_calendar_holds(replicas: Replicas) -> None:
    async with replicas.one() as first, replicas.one() as second:
        mirror: Mirror | None = None
        for number in range(6):
            aware = (first, second)[: 1 + number % 2]  # the second may know it later
            replicas.change(f"Name {number}", *aware)
            for world in (first, second, first)[number % 2 :]:
                mirror = mirror_at(mirror, world)
                assert await mirror.sync()
        replicas.change("Last", first, second)
        whole = mirror_at(None, second)
        assert await whole.sync()
        last = mirror_at(mirror, first)
        assert await last.sync()
        assert (last.objects, last.token) == (whole.objects, whole.token)


async def test_a_token_that_is_too_old_leads_to_a_full_sync(replicas: Replicas) -> None:
    async with replicas.one() as first:
        mirror = mirror_at(None, first)
        assert await mirror.sync()
        mirror.token = "urn:icsfeed:sync:" + "0" * 32
        assert not await mirror.sync()
        mirror.token = ""
        assert await mirror.sync()
        assert mirror.read == len(mirror.objects)


async def test_without_redis_a_client_keeps_what_it_has_and_is_told_nothing_wrong(replicas: Replicas) -> None:
    async with replicas.one() as first:
        mirror = mirror_at(None, first)
        assert await mirror.sync()
        replicas.redis.stop()
        assert await mirror.sync()
        assert mirror.read == 0
        replicas.change("Changed meanwhile", first)
        if not await mirror.sync():
            mirror.token = ""
            assert await mirror.sync()
        assert any("Changed meanwhile" in data for data in mirror.objects.values())
        replicas.redis.start()
        replicas.change("Changed afterwards", first)
        if not await mirror.sync():
            mirror.token = ""
            assert await mirror.sync()
        assert any("Changed afterwards" in data for data in mirror.objects.values())
