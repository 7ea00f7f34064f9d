"""Replicas announce what they have stored."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_world import RedisServer, opened_store, redis_server

from icsfeed.store.announcements import Announcements
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


async def test_another_replica_hears_of_what_was_stored_once_and_oneself_never(server: RedisServer) -> None:
    async with opened_store(server.address) as store, opened_store(server.address) as other:
        one, two = Announcements(store, "versions"), Announcements(other, "versions")
        await one.announce("a", "1")
        await one.announce("b", "1")
        assert await two.changed(["a", "b", "c"]) == {"a", "b"}
        assert await two.changed(["a", "b", "c"]) == set()
        await one.announce("b", "2")
        assert await two.changed(["a", "b", "c"]) == {"b"}
        assert await one.changed(["a", "b", "c"]) == set()
        await two.announce("a", "2")
        assert await one.changed(["a", "b", "c"]) == {"a"}


async def test_what_is_not_asked_for_yet_is_news_later(server: RedisServer) -> None:
    async with opened_store(server.address) as store, opened_store(server.address) as other:
        one, two = Announcements(store, "versions"), Announcements(other, "versions")
        await one.announce("a", "1")
        assert await two.changed(["b"]) == set()
        assert await two.changed(["a", "b"]) == {"a"}


async def test_what_redis_forgot_is_news_once(server: RedisServer) -> None:
    async with opened_store(server.address) as store, opened_store(server.address) as other:
        one, two = Announcements(store, "versions"), Announcements(other, "versions")
        await one.announce("a", "1")
        assert await two.changed(["a"]) == {"a"}
        with server.client() as client:
            client.flushall()
        assert await two.changed(["a"]) == {"a"}
        assert await two.changed(["a"]) == set()
        await one.announce("a", "2")
        assert await two.changed(["a"]) == {"a"}


async def test_nothing_is_announced_where_nothing_is_shared() -> None:
    store = open_store("memory", {})
    announcements = Announcements(store, "versions")
    await announcements.announce("a", "1")
    assert await Announcements(store, "versions").changed(["a"]) == set()
    assert await store.get("versions") is None
