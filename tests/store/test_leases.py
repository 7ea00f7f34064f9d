"""Leases that replicas share: one holds each, gives it away when asked, and dies without much ado."""

# ruff: noqa: ASYNC110 -- nothing else runs in these loops meanwhile

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis_world import RedisServer, opened_store, redis_server

from icsfeed.store.leases import Leases
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

QUICK = 0.01
"""What all waits are multiplied with."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


async def brief(seconds: float) -> None:
    await asyncio.sleep(seconds * QUICK)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def replica(server: RedisServer) -> AsyncIterator[Leases]:
    async with opened_store(server.address) as store:
        leases = Leases(store, brief)
        yield leases
        await leases.close()


async def test_one_replica_holds_a_lease_until_it_closes(server: RedisServer) -> None:
    async with replica(server) as two:
        async with replica(server) as one:
            assert await one.of("key").take()
            assert await one.of("key").take(), "again"
            await brief(3)
            assert not await two.of("key").take()
            assert await two.of("another").take()
        assert await two.of("key").take(), "at once after an orderly end"


async def test_the_same_replica_keeps_it_for_what_comes_next(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        for _ in range(3):
            async with one.of("key").use(0) as is_ours:
                assert is_ours
            await brief(1)
            async with two.of("key").use(0) as is_ours:
                assert not is_ours


async def test_who_wants_it_gets_it_when_the_work_under_way_has_ended(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        calls: list[str] = []
        one.of("key").on_wanted.append(lambda: calls.append("wanted"))
        async with one.of("key").use(0) as is_ours:
            assert is_ours
            wanting = asyncio.create_task(two.of("key").obtain(60))
            await until(lambda: bool(calls))
            assert not wanting.done()
            assert not await one.of("key").take(), "no more work is begun"
        assert await wanting
        assert not await one.of("key").take()
        assert not one.of("key").is_held
        assert await one.of("key").obtain(60), "and back"


async def test_another_than_the_one_who_wants_it_does_not_get_it_first(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two, replica(server) as three:
        assert await one.of("key").take()
        with server.client() as client:
            client.set("icsfeed:lease:key:wanted", two._owner, px=3_000)
        await until(lambda: not one.of("key").is_held)
        assert not await three.of("key").take()
        assert await two.of("key").take()


async def test_nobody_is_asked_while_patience_lasts_or_once_it_is_not_needed(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        assert await one.of("key").take()
        looks = 0

        async def is_needed() -> bool:
            nonlocal looks
            looks += 1
            return looks < 4

        assert not await two.of("key").obtain(60, 60, is_needed)
        assert looks == 4
        await brief(3)
        assert one.of("key").is_held


async def test_a_lease_that_redis_forgot_ends_the_work_and_is_taken_again(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:

        async def work() -> None:
            async with one.of("key").use(0) as is_ours:
                assert is_ours
                await asyncio.sleep(60)

        working = asyncio.create_task(work())
        await until(lambda: one.of("key").is_held)
        with server.client() as client:
            client.flushall()
        assert await two.of("key").take()
        await asyncio.wait({working}, timeout=5)
        assert working.cancelled(), "another replica is at work"
        assert not one.of("key").is_held
        assert not await one.of("key").take()


async def test_without_redis_each_works_by_itself_and_afterwards_one_does(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        assert await one.of("key").take()
        server.stop()
        async with one.of("key").use(0) as first, two.of("key").use(0) as second:
            assert (first, second) == (True, True)
            await asyncio.sleep(0.1)
        server.start()
        await asyncio.sleep(0.3)
        assert [await one.of("key").take(), await two.of("key").take()] == [True, False]


async def test_in_another_store_there_is_nobody_to_share_with() -> None:
    store = open_store("memory", {})
    leases = Leases(store)
    async with leases.of("key").use(0) as is_ours:
        assert is_ours
    await leases.of("key").balance()
    assert not leases.of("key").is_held
    await leases.close()


async def test_leases_are_spread_over_the_replicas_evenly(server: RedisServer) -> None:
    names = [f"key{number}" for number in range(10)]

    async def look(leases: Leases) -> None:
        for name in names:
            await leases.of(name).take()
            await leases.of(name).balance()

    async with replica(server) as one, replica(server) as two:
        await look(one)
        assert held(one, names) == 10
        await asyncio.gather(look(one), look(two))
        assert (held(one, names), held(two, names)) == (5, 5)
        async with replica(server) as three:
            for _ in range(2):
                await look(three)
            assert sorted(held(each, names) for each in (one, two, three)) == [3, 3, 4]
            await brief(3)
            before = [held(each, names) for each in (one, two, three)]
            await asyncio.gather(look(one), look(two), look(three))
            assert [held(each, names) for each in (one, two, three)] == before, "and stay where they are"
        await asyncio.gather(look(one), look(two))
        await asyncio.gather(look(one), look(two))
        assert (held(one, names), held(two, names)) == (5, 5)


def held(leases: Leases, names: list[str]) -> int:
    return sum(leases.of(name).is_held for name in names)


HOLDER = """
import asyncio, sys
from icsfeed.store.leases import Leases
from icsfeed.store.store import open_store

async def hold():
    print(await Leases(open_store(sys.argv[1], {})).of("key").take(), flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_the_lease_of_a_replica_that_was_killed_is_free_after_its_expiry(server: RedisServer) -> None:
    command = [sys.executable, "-c", HOLDER, server.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        process.kill()
    async with opened_store(server.address) as store:
        lease = Leases(store).of("key")
        assert not await lease.take()
        with server.client() as client:
            assert 5_000 < client.pttl("icsfeed:lease:key") <= 10_000
            client.pexpire("icsfeed:lease:key", 100)
        await asyncio.sleep(0.2)
        assert await lease.take()
        await lease.close()


async def test_leases_of_replicas_that_share_nothing_else_do_not_meet(server: RedisServer) -> None:
    async with opened_store(server.address) as store:
        assert isinstance(store, Store)
        assert await store.get_shared(["icsfeed:lease:key"]) == [None]
