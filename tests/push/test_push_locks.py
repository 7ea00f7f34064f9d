"""One push at a time for a target: on one machine by a file, among replicas by Redis."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dav_memory import URL, MemoryDav
from push_world import pushing_to, target
from redis_world import RedisServer, opened_store, redis_server

from icsfeed.errors import ConfigError, PushBusy
from icsfeed.files import file_lock

pytestmark = pytest.mark.anyio

HOLDS = "import sys, pathlib, time; from icsfeed.files import file_lock\n"
HOLDS += "with file_lock(pathlib.Path(sys.argv[1]), 't') as held:\n  print(held, flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


def test_a_lock_is_exclusive_for_each_name(tmp_path: Path) -> None:
    with file_lock(tmp_path / "new", "t") as first:
        with file_lock(tmp_path / "new", "t") as second, file_lock(tmp_path / "new", "u") as other:
            assert (first, second, other) == (True, False, True)
        with file_lock(tmp_path / "new", "t") as third:
            assert third is False
    with file_lock(tmp_path / "new", "t") as again:
        assert again is True


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with file_lock(tmp_path, "t") as held:
            assert held is False
        process.kill()
    with file_lock(tmp_path, "t") as held:
        assert held is True


def test_a_folder_that_is_not_writable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"STATE_DIRECTORY: .* cannot be written to"),
        file_lock(tmp_path / "file" / "push", "t"),
    ):
        pytest.fail("it was locked")


async def test_of_two_replicas_one_pushes_and_the_other_waits(server: RedisServer, tmp_path: Path) -> None:
    dav = MemoryDav()
    async with (
        opened_store(server.address) as one_store,
        opened_store(server.address) as other_store,
        pushing_to(target(URL), tmp_path / "1", transport=dav.transport, store=one_store) as one,
        pushing_to(target(URL), tmp_path / "2", transport=dav.transport, store=other_store) as other,
    ):
        async with one_store.lock("push/t", 10.0) as held:
            assert held
            assert isinstance((await other.push()).error, PushBusy)
        assert (await one.push()).is_good
        # What the first has learned of the calendar the second knows too.
        assert (await other.push()).requests == 1
