"""The store in files: what a crash, a full disk, damage and other users can do to it."""

# ruff: noqa: ASYNC110, ASYNC220, ASYNC240, ASYNC251 -- nothing else runs in these loops meanwhile

import asyncio
import fcntl
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from litestar.stores.base import StorageObject
from redis_world import opened_store

from icsfeed.store.store import FORMAT, MAGIC, Store

pytestmark = pytest.mark.anyio

VALUE = b"a good value" * 10


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"STATE_DIRECTORY": str(tmp_path / "state")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "snapshots"


def only_file(folder: Path) -> Path:
    [path] = folder.iterdir()
    return path


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A write beyond it is cut short and then fails, as on a full disk; for root too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def test_a_value_survives_a_restart(environ: dict[str, str]) -> None:
    async with opened_store("file", environ) as store:
        await store.put("a", VALUE)
    async with opened_store("file", environ) as store:
        assert await store.get("a") == VALUE


async def test_only_the_owner_may_read_it(environ: dict[str, str], folder: Path) -> None:
    with umask(0):
        async with opened_store("file", environ) as store:
            await store.put("a", VALUE)
    modes = [path.stat().st_mode & 0o777 for path in (folder.parent, folder, only_file(folder))]
    assert modes == [0o700, 0o700, 0o600]


async def test_a_folder_that_others_could_open_is_closed_to_them_and_systemds_own_is_left_alone(
    environ: dict[str, str], folder: Path
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    async with opened_store("file", environ):
        assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o755, 0o700]


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda raw: raw[:1],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: flipped(raw, len(raw) - 1),
        lambda raw: flipped(raw, len(raw) - len(VALUE) - 1),
        lambda raw: raw.replace(MAGIC, b"ICSFEED\0"),
        lambda raw: b"\0" * len(raw),
        lambda raw: os.urandom(len(raw)),
        lambda _: b"PK\x03\x04 somebody else's file",
        lambda _: StorageObject.new(b"of another program", None).to_bytes(),
        lambda _: StorageObject.new(b"", None).to_bytes(),
    ],
)
async def test_damage_is_reported_once_set_aside_and_read_again(
    damage: Callable[[bytes], bytes],
    environ: dict[str, str],
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened_store("file", environ) as store:
        await store.put("acme/PROP", VALUE)
        path = only_file(folder)
        damaged = damage(path.read_bytes())
        path.write_bytes(damaged)
        assert [await store.get("acme/PROP") for _ in range(3)] == [None] * 3
        [message] = errors(caplog)
        assert "acme/PROP" in message
        assert only_file(folder) == Path(f"{path}.damaged")
        assert only_file(folder).read_bytes() == damaged
        assert store.healthy
        await store.put("acme/PROP", VALUE)
        assert await store.get("acme/PROP") == VALUE


async def test_damage_that_many_find_at_once_is_set_aside_once(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store("file", environ) as store:
        await store.put("a", VALUE)
        only_file(folder).write_bytes(b"damaged")
        assert await asyncio.gather(*(store.get("a") for _ in range(9))) == [None] * 9
        assert (len(errors(caplog)), store.healthy) == (1, True)


async def test_another_format_version_is_read_again_without_being_called_damage(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store("file", environ) as store:
        await store.put("a", VALUE)
        path = only_file(folder)
        path.write_bytes(path.read_bytes().replace(MAGIC + FORMAT, MAGIC + b"\x02"))
        assert await store.get("a") is None
        assert only_file(folder) == path
        assert (errors(caplog), store.healthy) == ([], True)
        await store.put("a", VALUE)
        assert await store.get("a") == VALUE


WRITER = """
import asyncio, sys
from icsfeed.store.store import open_store

async def write():
    store = open_store("file", {"STATE_DIRECTORY": sys.argv[1]})
    turn = int(sys.argv[2])
    while True:
        turn += 1
        await asyncio.gather(*(store.put(key, b"%09d" % turn * 100_000) for key in "abc"))
        print("written", flush=True)

asyncio.run(write())
"""


async def test_a_kill_at_any_moment_leaves_every_value_whole(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last = 0
    left_over = 0
    for number in range(6):
        command = [sys.executable, "-c", WRITER, environ["STATE_DIRECTORY"], str(last)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(3)] == [b"written\n"] * 3
            time.sleep(0.0037 * number)
            await until(lambda: any(folder.glob("*.tmp")))
            process.kill()
        left_over += len(list(folder.glob("*.tmp")))
        async with opened_store("file", environ) as store:
            values = [await store.get(key) for key in "abc"]
        assert len(list(folder.iterdir())) == 3
        turns = [int(value[:9]) for value in values if value]
        assert values == [b"%09d" % turn * 100_000 for turn in turns]
        assert min(turns) >= last + 3
        assert max(turns) - min(turns) <= 1
        last = max(turns)
    assert left_over > 0, "no kill hit a write: the test shows nothing"
    assert errors(caplog) == []


async def test_what_another_process_is_writing_is_not_taken_for_a_leftover(
    environ: dict[str, str], folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / "dead.tmp").touch()
    (folder / "other").touch()
    with (folder / "live.tmp").open("wb") as live:
        fcntl.flock(live, fcntl.LOCK_EX)
        async with opened_store("file", environ):
            assert {path.name for path in folder.iterdir()} == {"live.tmp", "other"}


async def test_a_full_disk_costs_no_old_value_and_is_over_by_itself(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store("file", environ) as store, opened_store("file", environ) as other:
        await store.put("a", VALUE)
        await store.put("old", VALUE)
        with files_no_larger_than(4096):
            for _ in range(3):
                await store.put("a", b"larger" * 10_000)
                await store.put("b", b"also" * 10_000)
            await asyncio.sleep(0.2)
            assert await store.get("a") == b"larger" * 10_000
            assert await store.get("old") == VALUE
            assert await other.get("a") == VALUE
            assert not store.healthy
            assert store.last_error == f"{folder}: File too large"
            assert sum(path.suffix != ".tmp" for path in folder.iterdir()) == 2
        [message] = errors(caplog)
        assert "File too large. To do: free disk space" in message
        await until(lambda: store.healthy)
        assert [await other.get("a"), await other.get("b")] == [b"larger" * 10_000, b"also" * 10_000]
        assert len(list(folder.iterdir())) == 3


async def in_the_way(store: Store, folder: Path) -> None:
    """A folder that cannot be made or written, for root neither: there is a file in its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"")
    await store.put("a", VALUE)
    await store.remove("b")
    assert not store.healthy


async def test_a_folder_that_cannot_be_used_leaves_all_in_memory_until_it_can(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.mkdir()
    folder.write_bytes(b"")
    async with opened_store("file", environ) as store:
        assert await store.get("b") is None
        await in_the_way(store, folder)
        await asyncio.sleep(0.2)
        assert [await store.get("a"), await store.get("b"), await store.get("c")] == [VALUE, None, None]
        assert len(errors(caplog)) == 1
        folder.unlink()
        await until(lambda: store.healthy)
        assert len(errors(caplog)) == 1
    async with opened_store("file", environ) as store:
        assert await store.get("a") == VALUE


async def test_a_folder_that_was_removed_meanwhile_is_made_again(
    environ: dict[str, str], folder: Path
) -> None:
    async with opened_store("file", environ) as store:
        folder.rmdir()
        assert await store.get("a") is None
        await store.put("a", VALUE)
        assert (await store.get("a"), store.healthy) == (VALUE, True)
        assert folder.stat().st_mode & 0o777 == 0o700


async def test_closing_tries_once_more(environ: dict[str, str], folder: Path) -> None:
    async with opened_store("file", environ, retry=60) as store:
        folder.rmdir()
        await in_the_way(store, folder)
        folder.unlink()
    async with opened_store("file", environ) as store:
        assert await store.get("a") == VALUE


async def test_closing_while_the_folder_cannot_be_used_is_quiet(
    environ: dict[str, str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened_store("file", environ) as store:
        folder.rmdir()
        await in_the_way(store, folder)
    assert len(errors(caplog)) == 1


async def test_a_removal_that_failed_is_done_later(environ: dict[str, str], folder: Path) -> None:
    async with opened_store("file", environ) as store:
        await store.put("b", VALUE)
        away = folder.rename(folder.parent / "away")
        await in_the_way(store, folder)
        folder.unlink()
        away.rename(folder)
        await until(lambda: store.healthy)
    async with opened_store("file", environ) as store:
        assert await store.get("b") is None


async def test_a_value_from_before_a_failure_does_not_replace_what_another_wrote_since(
    environ: dict[str, str],
) -> None:
    async with opened_store("file", environ, retry=0.3) as store, opened_store("file", environ) as other:
        await store.put("a", b"first" * 1000)
        await store.put("b", b"first" * 1000)
        with files_no_larger_than(4096):
            await store.put("a", b"second" * 1000)
            await store.put("b", b"second" * 1000)
        await other.put("a", b"third")
        await until(lambda: store.healthy)
        assert [await store.get("a"), await store.get("b")] == [b"third", b"second" * 1000]


async def test_a_cancelled_put_is_written_with_the_next(environ: dict[str, str]) -> None:
    async with opened_store("file", environ) as store, opened_store("file", environ) as other:
        task = asyncio.create_task(store.put("a", VALUE))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await store.get("a") == VALUE
        await store.put("b", VALUE)
        assert await other.get("a") == VALUE


async def test_a_lock_holds_among_processes_and_ends_with_them(tmp_path: Path) -> None:
    script = (
        "import asyncio, os\n"
        "from icsfeed.store.store import open_store\n"
        "async def main():\n"
        "    async with open_store('file', os.environ).lock('links', 10) as held:\n"
        "        print(held, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path)}
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=environ, stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"True\n"
    async with opened_store("file", environ) as store:
        async with store.lock("links", 10) as held:
            assert not held
        async with store.lock("another", 10) as held:
            assert held
        other.kill()
        await other.wait()
        async with store.lock("links", 10, wait=5) as held:
            assert held


async def test_the_stamp_of_a_value_changes_with_it(tmp_path: Path) -> None:
    async with opened_store("file", {"STATE_DIRECTORY": str(tmp_path)}) as store:
        stamps = [await store.stamp("a")]
        for value in (b"1", b"2", None):
            await store.put("a", value)
            stamps.append(await store.stamp("a"))
        assert (stamps[0], stamps[3]) == (None, None)
        assert len(set(stamps)) == 3
