"""What every store promises, wherever it keeps things; and what a record is when it comes back."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import MsgspecError
from redis_world import opened_store, redis_server

from icsfeed.cache.revisions import History
from icsfeed.errors import ConfigError
from icsfeed.model import Issue, Label, Period, Person, Project, Snapshot, State
from icsfeed.store.backends import state_directory
from icsfeed.store.store import Store, decode, encode, open_store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "file", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    environ = {"STATE_DIRECTORY": str(tmp_path)}
    if request.param != "redis":
        async with opened_store(request.param, environ) as store:
            yield store
        return
    with redis_server(tmp_path) as server:
        async with opened_store(server.address) as store:
            yield store


@pytest.mark.parametrize(
    "value", [b"", b"\x00\xff\r\n", b"icsfeed\0\x01 looks like a frame", bytes(range(256)) * 8192]
)
async def test_a_value_comes_back_as_it_was_put(store: Store, value: bytes) -> None:
    await store.put("acme/PROP", value)
    assert await store.get("acme/PROP") == value
    assert store.healthy


async def test_a_key_that_was_never_put_or_was_removed_has_no_value(store: Store) -> None:
    await store.put("a", b"1")
    await store.remove("a")
    await store.remove("never")
    assert [await store.get("a"), await store.get("never")] == [None, None]
    assert store.healthy


async def test_a_later_value_replaces_an_earlier_one_and_leaves_other_keys_alone(store: Store) -> None:
    await store.put("a", b"old")
    await store.put("b", b"other")
    await store.put("a", b"new")
    assert [await store.get("a"), await store.get("b")] == [b"new", b"other"]


async def test_of_values_put_at_once_the_last_one_stays(store: Store) -> None:
    values = [str(number).encode() * 1000 for number in range(50)]
    await asyncio.gather(*(store.put("a", value) for value in values))
    assert await store.get("a") == values[-1]


async def test_a_record_comes_back_equal(store: Store) -> None:
    person = Person("1", "Änna 🐄", "anna@example.com")
    await store.put_record("p", person)
    assert await store.get_record("p", Person) == person
    assert await store.get_record("none", Person) is None


async def test_a_record_of_another_shape_is_ignored_and_left_where_it_is(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put_record("p", Label("1", "bug"))
    await store.put("q", b"no record")
    assert await store.get_record("p", State) is None
    assert await store.get_record("q", State) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert await store.get_record("p", Label) == Label("1", "bug")


async def test_one_task_at_a_time_holds_a_lock(store: Store) -> None:
    async with store.lock("refresh", 5) as first, store.lock("refresh", 5) as second:
        assert (first, second) == (True, False)
        async with store.lock("another", 5) as other:
            assert other
    async with store.lock("refresh", 5) as third:
        assert third


async def test_who_waits_for_a_lock_gets_it_when_it_is_free(store: Store) -> None:
    inside = 0
    most = 0

    async def work() -> bool:
        nonlocal inside, most
        async with store.lock("refresh", 5, wait=5) as held:
            inside, most = inside + 1, max(most, inside + 1)
            await asyncio.sleep(0.01)
            inside -= 1
        return held

    assert await asyncio.gather(*(work() for _ in range(5))) == [True] * 5
    assert most == 1


async def test_a_lock_is_free_after_an_error_and_after_a_cancellation(store: Store) -> None:
    async def hold() -> None:
        async with store.lock("refresh", 5):
            await asyncio.sleep(60)

    with pytest.raises(RuntimeError):
        async with store.lock("refresh", 5):
            raise RuntimeError
    task = asyncio.create_task(hold())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with store.lock("refresh", 5) as held:
        assert held


texts = st.text(st.characters(), max_size=20)
moments = st.datetimes(timezones=st.just(UTC))
days = st.none() | st.dates()
projects = st.builds(Project, texts, texts, texts, texts)
issues = st.builds(
    Issue,
    *(texts, texts, st.integers(-(2**63), 2**64 - 1), texts, moments, moments, st.binary(max_size=20)),
    priority=st.sampled_from(["urgent", "high", "medium", "low", "none"]),
    state=st.none() | texts,
    parent=st.none() | texts,
    start=days,
    due=days,
    completed=st.none() | moments,
    assignees=st.lists(texts, max_size=3).map(tuple),
    labels=st.lists(texts, max_size=3).map(tuple),
)
periods = st.builds(
    Period,
    *(texts, st.sampled_from(["cycle", "module"]), texts, texts, moments, moments, days, days),
    total=st.none() | st.integers(0, 9),
    done=st.none() | st.integers(0, 9),
    issues=st.none() | st.frozensets(texts, max_size=3),
)
states = st.builds(State, texts, texts, st.sampled_from(["backlog", "unstarted", "started", "completed"]))
snapshots = st.builds(
    Snapshot,
    projects,
    *(
        st.dictionaries(texts, values, max_size=3)
        for values in (
            *(issues, states, st.builds(Label, texts, texts), st.builds(Person, texts, texts, texts, texts)),
            *(periods, moments),
        )
    ),
    unreadable=st.integers(0, 9),
)


@given(snapshots)
def test_a_snapshot_survives_exactly(snapshot: Snapshot) -> None:
    back = decode(encode(snapshot), Snapshot)
    assert back == snapshot
    assert list(back.issues) == list(snapshot.issues)


@given(st.builds(History, texts, texts, moments, st.none() | moments))
def test_a_history_survives_exactly(history: History) -> None:
    assert decode(encode(history), History) == history


@pytest.mark.parametrize("text", ["\ud800", "a \udfff b", "\ud83d\ude00", "😀 \ud83d", '"\\ud800'])
def test_half_surrogate_pairs_survive_as_they_are(text: str) -> None:
    snapshot = Snapshot(Project(text, "K", text), {}, {text: State(text, text, "started")}, {}, {}, {})
    assert decode(encode(snapshot), Snapshot) == snapshot


@pytest.mark.parametrize(
    "value", [b"", b"{", b"{}", b"[1]", b"\x81\xa2id", b'{"id": "\xff"}', b"\xc1", b"{" * 10**5]
)
def test_what_is_no_record_raises_the_documented_errors(value: bytes) -> None:
    with pytest.raises((MsgspecError, ValueError)):
        decode(value, Person)


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/icsfeed", "HOME": "/home/a"}, "linux", "/var/lib/icsfeed"),
        ({"STATE_DIRECTORY": "/var/lib/icsfeed:/var/lib/more"}, "linux", "/var/lib/icsfeed"),
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/a"}, "linux", "/state/icsfeed"),
        ({"XDG_STATE_HOME": "state", "HOME": "/home/a"}, "linux", "/home/a/.local/state/icsfeed"),
        ({"STATE_DIRECTORY": "", "HOME": "/home/a"}, "linux", "/home/a/.local/state/icsfeed"),
        ({"HOME": "/Users/a"}, "darwin", "/Users/a/Library/Application Support/icsfeed"),
    ],
)
def test_the_state_directory_is_the_services_or_the_users_own(
    environ: dict[str, str], platform: str, folder: str
) -> None:
    assert state_directory(environ, platform) == Path(folder)


def test_without_any_folder_the_error_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"store: .* set STATE_DIRECTORY"):
        open_store("file", {})


async def test_a_value_that_is_put_soon_is_there_at_once(store: Store) -> None:
    for number in range(30):
        store.put_soon(f"key {number % 20}", b"%d" % number)
    assert await store.get("key 3") == b"23"
    await store.put("key 3", b"after it")
    assert [await store.get("key 3"), await store.get("key 4")] == [b"after it", b"24"]


async def test_a_value_that_is_put_soon_is_written_by_itself(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": str(tmp_path)}
    async with opened_store("file", environ) as store, opened_store("file", environ) as other:
        store.put_soon("key", b"old")
        store.put_soon("key", b"new")
        async with asyncio.timeout(10):
            while await other.get("key") != b"new":  # noqa: ASYNC110 -- it is another process, in effect
                await asyncio.sleep(0.01)
        assert store.healthy


async def test_what_was_put_soon_is_written_when_the_store_is_closed(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": str(tmp_path)}
    async with opened_store("file", environ) as store:
        for number in range(20):
            store.put_soon(f"key {number}", b"%d" % number)
    async with opened_store("file", environ) as store:
        assert [await store.get(f"key {number}") for number in range(20)] == [b"%d" % n for n in range(20)]
