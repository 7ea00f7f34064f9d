"""The store in a real Redis: shared by replicas, gone, hung and back, and its password."""

# ruff: noqa: ASYNC110, ASYNC220 -- nothing else runs in these loops meanwhile

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis_world import RedisServer, opened_store, redis_server

from icsfeed.errors import ConfigError
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

PASSWORD = "xyzzy-123"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_replicas_see_each_others_values_under_our_own_prefix_and_without_expiry(
    server: RedisServer,
) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:
        await one.put("a", b"from one")
        assert await two.get("a") == b"from one"
        await two.remove("a")
        await two.put("b", b"from two")
        assert [await one.get("a"), await one.get("b")] == [None, b"from two"]
        with server.client() as client:
            assert client.keys() == [b"icsfeed:b"]
            assert client.ttl("icsfeed:b") == -1


async def test_valkeys_address_is_understood(server: RedisServer) -> None:
    async with opened_store(server.address.replace("redis", "valkey")) as store:
        await store.put("a", b"1")
        assert (await store.get("a"), store.healthy) == (b"1", True)


async def test_damage_is_reported_once_and_kept_under_another_name(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(server.address) as store:
        with server.client() as client:
            client.set("icsfeed:a", b"somebody else's")
            assert [await store.get("a"), await store.get("a")] == [None, None]
            assert client.get("icsfeed:a.damaged") == b"somebody else's"
        assert len(errors(caplog)) == 1
        assert store.healthy


async def test_redis_may_stop_and_start_while_in_use(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(server.address) as store:
        await store.put("a", b"1")
        server.stop()
        for number in range(3):
            await store.put("a", b"%d" % number)
            async with store.lock("refresh", 5) as held:
                assert held
        assert (await store.get("a"), await store.get("b"), store.healthy) == (b"2", None, False)
        await asyncio.sleep(0.2)
        [message] = errors(caplog)
        assert f"Redis at 127.0.0.1:{server.port}" in message
        assert "check that it is running" in message
        server.start()
        await until(lambda: store.healthy)
        async with opened_store(server.address) as other:
            assert await other.get("a") == b"2"
            async with store.lock("refresh", 5), other.lock("refresh", 5) as held:
                assert not held
        assert len(errors(caplog)) == 1


async def test_redis_that_hangs_is_waited_for_once_and_briefly(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(server.address) as store:
        await store.put("a", b"1")
        server.pause()
        started = time.monotonic()
        await asyncio.gather(*(store.put(key, b"2") for key in "abc"))
        waited = time.monotonic() - started
        assert waited > 1
        started = time.monotonic()
        async with store.lock("refresh", 5) as held:
            assert held
        await store.put("a", b"3")
        assert (await store.get("a"), await store.get("d")) == (b"3", None)
        assert time.monotonic() - started < waited, "nobody waits for it again"
        assert len(errors(caplog)) == 1
        server.resume()
        await until(lambda: store.healthy)
        with server.client() as client:
            assert sorted(client.keys()) == [b"icsfeed:a", b"icsfeed:b", b"icsfeed:c"]


async def test_a_server_that_starts_without_redis_finds_it_later(server: RedisServer) -> None:
    server.stop()
    async with opened_store(server.address) as store:
        assert await store.get("a") is None
        assert not store.healthy
        server.start()
        await until(lambda: store.healthy)
        await store.put("a", b"1")
        assert await store.get("a") == b"1"


async def test_a_connection_that_was_closed_while_idle_is_no_failure(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(server.address) as store:
        await store.put("a", b"1")
        with server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        assert await store.get("a") == b"1"
        assert errors(caplog) == []


async def test_redis_without_room_leaves_all_in_memory(server: RedisServer) -> None:
    async with opened_store(server.address) as store:
        with server.client() as client:
            client.config_set("maxmemory", 1)
            await store.put("a", b"1")
            assert (await store.get("a"), store.healthy) == (b"1", False)
            client.config_set("maxmemory", 0)
        await until(lambda: store.healthy)
        assert await store.get("a") == b"1"


async def test_what_another_replica_wrote_meanwhile_is_not_put_back_to_an_older_value(
    server: RedisServer,
) -> None:
    async with opened_store(server.address, retry=0.5) as store, opened_store(server.address) as other:
        await store.put("a", b"1")
        await store.put("b", b"1")
        with server.client() as client:
            client.config_set("maxmemory", 1)
            await store.put("a", b"2")
            await store.put("b", b"2")
            client.config_set("maxmemory", 0)
        await other.put("a", b"3")
        await until(lambda: store.healthy)
        assert [await store.get("a"), await store.get("b")] == [b"3", b"2"]


async def test_one_replica_at_a_time_holds_a_lock(server: RedisServer) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:
        async with one.lock("refresh", 5) as first, two.lock("refresh", 5) as second:
            assert (first, second) == (True, False)
        async with two.lock("refresh", 5) as third:
            assert third


async def test_a_replica_waits_for_another_no_longer_than_it_says(server: RedisServer) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:

        async def wait(seconds: float) -> bool:
            async with two.lock("refresh", 5, wait=seconds) as held:
                return held

        async with one.lock("refresh", 5):
            async with asyncio.timeout(5):
                assert not await wait(0.3)
            waiting = asyncio.create_task(wait(5))
            await asyncio.sleep(0.1)
        assert await waiting


async def test_a_holder_that_lives_keeps_its_lock_beyond_the_expiry(server: RedisServer) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:
        async with one.lock("refresh", 0.6):
            await asyncio.sleep(1)
            async with two.lock("refresh", 0.6) as held:
                assert not held
        with server.client() as client:
            assert client.keys() == []


async def test_a_lock_lost_while_it_was_held_is_not_taken_from_the_next_holder(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:
        async with two.lock("another", 5):
            async with one.lock("refresh", 0.2):
                with server.client() as client:
                    client.set("icsfeed:lock:refresh", "of another", px=5000)
                await asyncio.sleep(0.2)
            async with two.lock("refresh", 5) as held:
                assert not held
        assert (errors(caplog), one.healthy) == ([], True)


HOLDER = """
import asyncio, sys
from icsfeed.store.store import open_store

async def hold():
    async with open_store(sys.argv[1], {}).lock("refresh", 1) as held:
        print(held, flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_the_lock_of_a_holder_that_was_killed_is_free_after_its_expiry(server: RedisServer) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, server.address], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        async with opened_store(server.address) as store:
            async with store.lock("refresh", 1, wait=1.2) as held:
                assert not held
            process.kill()
            async with store.lock("refresh", 1, wait=5) as held:
                assert held


async def test_redis_gone_while_a_lock_is_held_or_waited_for_stops_nobody(server: RedisServer) -> None:
    async with opened_store(server.address) as one, opened_store(server.address) as two:

        async def wait() -> bool:
            async with two.lock("refresh", 5, wait=5) as held:
                return held

        async with one.lock("refresh", 0.2):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0.1)
            server.stop()
            assert await waiting
        assert not two.healthy


async def test_a_refused_password_is_reported_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with redis_server(tmp_path, "another") as server:
        address = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
        async with opened_store(address) as store:
            await store.put("a", b"1")
            assert (await store.get("a"), store.healthy) == (b"1", False)
            assert PASSWORD not in caplog.text + str(store.last_error)
            assert len(errors(caplog)) == 1


async def test_a_password_that_an_answer_repeats_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Old servers repeat the arguments of a command that they do not know."""
        while await reader.read(65_536):
            writer.write(f"-ERR unknown command 'HELLO', with args '3' 'AUTH' '{PASSWORD}'\r\n".encode())
        writer.close()

    server = await asyncio.start_server(parrot, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with opened_store(f"redis://anna:{PASSWORD.replace('-', '%2D')}@127.0.0.1:{port}") as store:
            await store.put("a", b"1")
            assert "***" in str(store.last_error)
            assert PASSWORD not in caplog.text + str(store.last_error)


async def test_the_right_password_is_used(tmp_path: Path) -> None:
    with redis_server(tmp_path, PASSWORD) as server:
        async with opened_store(server.address) as store:
            await store.put("a", b"1")
            assert (await store.get("a"), store.healthy) == (b"1", True)


@pytest.mark.parametrize(
    "address",
    [
        f"redis://:{PASSWORD}/more@host:6379/0",
        f"redis://:{PASSWORD}#more@host:6379/0",
        f"redis://:{PASSWORD}@host:port/0",
        f"redis://:{PASSWORD}@host:99999/0",
        f"redis://:{PASSWORD}@[host/0",
        f"redis://:{PASSWORD}@host..com/0",
        f"redis://:{PASSWORD}@host/0?unknown={PASSWORD}",
        f"redis://:{PASSWORD}@host/0?db={PASSWORD}",
        f"redis://:{PASSWORD}@/0",
        "redis://:123/abc@host/0",
        f"http://:{PASSWORD}@host/0",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(address, {})
    assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"
    assert "must be as redis://:password@host:6379/0" in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_without_the_package_the_error_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['redis'] = None\n"
        "from icsfeed.store.store import open_store\n"
        "try: open_store('redis://host', {})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ConfigError")
    assert "pip install redis" in done.stdout
