"""Questions that apps repeat all day: answered from memory, and never with an old answer or another's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from app_world import World, serving, settings
from dav_client import SPACES, DavClient, Mirror, found, of_feed
from litestar.types import HTTPRequestEvent

from icsfeed.config.schema import Feed
from icsfeed.dav.names import CALENDAR_SERVER, DATA, SYNC_TOKEN
from icsfeed.dav.xml import parse
from icsfeed.store.backends import backend_of
from icsfeed.store.store import Store
from icsfeed.web.dav.messages import MAX_PARSED_BYTES, ParsedBodies

pytestmark = pytest.mark.anyio
CALENDAR = "/dav/prop/prop/"
CTAG = f"{CALENDAR_SERVER}getctag"


class WatchedStore(Store):
    """Files; `asked` are the keys that were read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(backend_of("file", {"STATE_DIRECTORY": str(folder)}))
        self.asked: list[str] = []

    async def get(self, key: str) -> bytes | None:
        self.asked.append(key)
        return await super().get(key)


@pytest.fixture
def store(tmp_path: Path) -> WatchedStore:
    return WatchedStore(tmp_path)


@pytest.fixture
async def world(store: WatchedStore) -> AsyncIterator[World]:
    feeds = {"prop": Feed(project="PROP"), "all": Feed(everything=True)}
    async with serving(settings(feeds), store=store) as running:
        yield running


@pytest.fixture
def client(world: World) -> DavClient:
    return of_feed(world, "prop")


async def changed(world: World, name: str) -> None:
    world.change("PROP", 1, name=name)
    world.service.expire()
    world.clock.move(60)


async def test_each_question_is__after_a_change(world: World, client: DavClient) -> None:
    listed = await client.propfind(CALENDAR, "getetag", depth=1)

    async def answers() -> list[str]:
        ctag = (await client.propfind(CALENDAR, "s:getctag"))[CALENDAR].text(CTAG)
        home = (await client.propfind(client.home, "s:getctag", depth=1))[CALENDAR].text(CTAG)
        whole = "".join(one.text(DATA) for one in (await client.multiget(CALENDAR, list(listed))).values())
        token = parse((await client.sync(CALENDAR)).content).findtext(SYNC_TOKEN) or ""
        return [ctag, home, whole, token]

    seen = []
    for name in ("one", "two", "one"):
        await changed(world, name)
        first, again = await answers(), await answers()
        assert first == again
        seen.append(first)
    assert seen[0][0] != seen[1][0]
    assert all(before != after for before, after in zip(seen[0], seen[1], strict=True))


async def test_the_answer_depends_on_who_asks_and_how(world: World, client: DavClient) -> None:
    body = f"<propfind {SPACES}><prop><displayname/><nothing/></prop></propfind>"

    async def ask(who: DavClient, path: str, **headers: str) -> str:
        answer = await who.ask("PROPFIND", path, body, {"Depth": "0", **headers})
        return answer.text

    everyone = of_feed(world, "all")
    for _ in range(2):
        assert "404 Not Found" in await ask(client, CALENDAR)
        assert "404 Not Found" not in await ask(client, CALENDAR, Prefer="return=minimal")
        assert "404 Not Found" not in await ask(client, CALENDAR, Brief="t")
        assert "/dav/prop/" in await ask(client, "/dav/prop/")
        assert "/dav/all/" in await ask(everyone, "/dav/all/")
        assert "/dav/all/" not in await ask(client, "/dav/")


async def test_what_has_changed_since_a_known_state_needs_no_store(
    world: World, client: DavClient, store: WatchedStore
) -> None:
    mirror = Mirror(client, CALENDAR)
    assert await mirror.sync()
    old = mirror.token
    await changed(world, "Changed")
    assert await mirror.sync()
    store.asked.clear()
    answer = await client.sync(CALENDAR, old)
    assert len(found(answer)) == 1
    assert parse(answer.content).findtext(SYNC_TOKEN) == mirror.token
    assert not found(await client.sync(CALENDAR, mirror.token))
    assert "dav/prop" not in store.asked


def sent(body: bytes) -> Any:
    async def receive() -> HTTPRequestEvent:
        return HTTPRequestEvent(type="http.request", body=body, more_body=False)

    return receive


async def test_equal_bodies_are_parsed_once_for_each_kind_of_request() -> None:
    bodies, parsed = ParsedBodies(), list[str]()

    def tag(root: Any) -> str:
        parsed.append("tag")
        return str(root.tag)

    def size(root: Any) -> int:
        parsed.append("size")
        return len(root)

    for _ in range(3):
        assert await bodies.read(sent(b"<a><b/></a>"), tag) == "a"
        assert await bodies.read(sent(b"<a><b/></a>"), size) == 1
        assert await bodies.read(sent(b"<c/>"), tag) == "c"
    assert parsed == ["tag", "size", "tag"]


async def test_large_bodies_are_not_remembered() -> None:
    bodies, parsed = ParsedBodies(), list[int]()
    body = b"<a>" + b" " * MAX_PARSED_BYTES + b"</a>"

    def count(_root: Any) -> str:
        parsed.append(1)
        return "read"

    for _ in range(2):
        assert await bodies.read(sent(body), count) == "read"
    assert len(parsed) == 2
