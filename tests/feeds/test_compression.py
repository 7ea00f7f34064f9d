"""How calendars are sent: in pieces of one shared body, compressed as well as gzip does it, once for all."""

import asyncio
import gzip
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from app_world import World, serving, settings

from icsfeed.config.schema import Auto, Feed
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.rendered import PIECE, Rendered
from icsfeed.feeds.renderer import SMALL_BYTES, Compressor
from icsfeed.web.feeds.streamed import MAX_RESTYLED_BYTES

pytestmark = pytest.mark.anyio

FEEDS = {"all": Feed(everything=True, public=True)}
QUERIES = ("", "dates=span", "days=365", "component=vtodo")


@pytest.fixture(scope="module")
async def large() -> AsyncIterator[World]:
    async with serving(settings(FEEDS), issues=3_000) as world:
        yield world


async def raw(world: World, path: str) -> tuple[httpx.Response, bytes]:
    """An answer as gzip, and its bytes as they were sent."""
    async with world.client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def bodies(world: World, query: bytes, encoding: bytes, send: Any) -> None:
    """Ask the app itself for the feed; `send` is called with each message."""
    connection = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
    path = {"path": "/feeds/all.ics", "raw_path": b"/feeds/all.ics", "root_path": "", "query_string": query}
    headers = [(b"host", b"x"), (b"accept-encoding", encoding)]
    peers = {"client": ("192.0.2.1", 1), "server": ("x", 80)}
    scope: Any = {**connection, **path, **peers, "method": "GET", "headers": headers}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await world.app(scope, receive, send)


async def test_every_demo_feed_is_as_small_as_gzip_makes_it() -> None:
    async with serving(settings(demo_config().feeds, auto=Auto(projects=True, assignees=True))) as world:
        names = [*world.service.config.feeds, *await world.service.auto_feeds()]
        for name in names:
            plain = (await world.get(name)).content
            answer, sent = await raw(world, world.path(name))
            assert answer.headers["content-length"] == str(len(sent)), name
            assert gzip.decompress(sent) == plain, name
            assert len(sent) <= 1.05 * len(zlib.compress(plain, 6, 31)), name
    assert len(names) > 8


@pytest.mark.parametrize("issues", [1_000, 10_000])
async def test_large_feeds_are_as_small_as_gzip_makes_them(issues: int) -> None:
    async with serving(settings(FEEDS), issues=issues) as world:
        for query in QUERIES:
            plain = (await world.get("all", f"?{query}")).content
            assert plain.count(b"BEGIN:V") > issues / 4
            _, sent = await raw(world, f"/feeds/all.ics?{query}")
            assert gzip.decompress(sent) == plain
            assert len(sent) <= 1.05 * len(zlib.compress(plain, 6, 31)), query


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_bodies_are_sent_in_pieces(large: World, query: str, encoding: str) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await bodies(large, query.encode(), encoding.encode(), send)
    head, *pieces = sent
    assert max(len(message["body"]) for message in pieces) < 2 * PIECE
    assert [message["more_body"] for message in pieces] == [True] * (len(pieces) - 1) + [False]
    body = b"".join(message["body"] for message in pieces)
    assert dict(head["headers"])[b"content-length"] == str(len(body)).encode()
    plain = (await large.get("all", f"?{query}")).content
    assert (gzip.decompress(body) if encoding == "gzip" else body) == plain


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_readers_who_take_nothing_hold_a_piece_each(large: World, query: str, encoding: str) -> None:
    """60 of them, stopped at the first piece: a body each would be a hundred megabytes."""
    size = len((await large.get("all", f"?{query}", accept_encoding=encoding)).content)
    assert size > 10 * PIECE
    over = asyncio.Event()
    stopped = asyncio.Semaphore(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            stopped.release()
            await over.wait()

    tracemalloc.start()
    try:
        readers = [
            asyncio.create_task(bodies(large, query.encode(), encoding.encode(), send)) for _ in range(60)
        ]
        for _ in readers:
            await stopped.acquire()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        over.set()
    await asyncio.gather(*readers)
    assert held < 60 * 1.7 * PIECE, f"{held / 60:.0f} bytes each"


async def test_bodies_of_many_styles_are_bounded_while_they_are_read(large: World) -> None:
    """Each reader asks for another style: no two share a body."""
    size = len((await large.get("all", "?alarm=-PT1H", accept_encoding="identity")).content)
    over, answered, statuses = asyncio.Event(), asyncio.Semaphore(0), list[int]()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            answered.release()
        elif statuses[-1] == 200:
            await over.wait()

    count = MAX_RESTYLED_BYTES // size + 5
    readers = []
    for hour in range(1, count + 1):
        query = f"alarm=-PT{hour}H".encode()
        readers.append(asyncio.create_task(bodies(large, query, b"identity", send)))
        await answered.acquire()
    assert statuses.count(200) * size <= MAX_RESTYLED_BYTES
    assert statuses.count(503) >= 4
    assert (await large.get("all")).status_code == 200
    over.set()
    await asyncio.gather(*readers)
    assert (await large.get("all", "?alarm=-PT99H")).status_code == 200


async def test_others_are_served_between_the_pieces_for_a_reader_who_has_gone(large: World) -> None:
    turns: list[str] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            turns.append("piece")

    async def other() -> None:
        while len(turns) < 10 or turns[-1] != "over":
            turns.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await bodies(large, b"", b"identity", send)
    turns.append("over")
    await task
    pieces = [at for at, turn in enumerate(turns) if turn == "piece"]
    assert len(pieces) > 10
    assert all("other" in turns[one:following] for one, following in pairwise(pieces))


class Body:
    """Stands for a feed: counts how often, and where, it is compressed."""

    def __init__(self, etag: str = '"a"', size: int = SMALL_BYTES + 1) -> None:
        self.etag, self.size = etag, size
        self.threads: list[int] = []

    def compressed(self) -> bytes:
        self.threads.append(threading.get_ident())
        return b"x" * 1_000


def feed(body: Body) -> Rendered:
    return body  # type: ignore[return-value]


async def test_a_body_is_compressed_once_for_all_who_wait_and_off_the_event_loop() -> None:
    compressor, body = Compressor(), Body()
    found = await asyncio.gather(*(compressor.body(feed(body)) for _ in range(10)))
    assert {id(one) for one in found} == {id(await compressor.body(feed(body)))}
    assert len(body.threads) == 1
    assert body.threads[0] != threading.get_ident()


async def test_a_small_body_is_compressed_on_the_spot() -> None:
    body = Body(size=SMALL_BYTES)
    await Compressor().body(feed(body))
    assert body.threads == [threading.get_ident()]


async def test_equal_feeds_share_a_compressed_body() -> None:
    compressor, one, other = Compressor(), Body(), Body()
    assert await compressor.body(feed(one)) is await compressor.body(feed(other))
    assert (len(one.threads), len(other.threads)) == (1, 0)


async def test_no_more_compressed_bodies_are_kept_than_is_said() -> None:
    compressor = Compressor(limit=2_500)
    for etag in "abcd":
        await compressor.body(feed(Body(etag)))
    assert compressor.size == 2_000
    small = Compressor(limit=999)
    assert await small.body(feed(Body())) == b"x" * 1_000
    assert small.size == 0


async def test_the_compressed_body_of_a_feed_that_changed_is_let_go() -> None:
    async with serving(settings(FEEDS)) as world:
        compressor = world.service.compressor
        assert compressor is not None
        assert compressor.size == 0, "nobody has asked for it"
        for number in range(3):
            world.change("PROP", 1, name=f"Changed {number}")
            await world.workspace.sync()
            for query in ("", "?days=30"):
                await world.get("all", query, accept_encoding="gzip")
            whole, part = [await raw(world, f"/feeds/all.ics{query}") for query in ("", "?days=30")]
            assert compressor.size == len(whole[1]) + len(part[1])
