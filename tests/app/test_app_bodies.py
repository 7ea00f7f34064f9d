"""One body for all who read it, in pieces that the next reader shares."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from app_world import World, serving, settings

from icsfeed.app.bodies import WHOLE, Bodies
from icsfeed.core.config import Feed
from icsfeed.core.feed import Rendered
from icsfeed.core.ics import CLOSING
from icsfeed.demo.settings import demo_config

pytestmark = pytest.mark.anyio
MB = 1024 * 1024
CHANGED = datetime(2026, 11, 21, tzinfo=UTC)
LARGE = Rendered(b"BEGIN", (b"x" * 999,) * 9_000, '"large"', CHANGED, 5 + 999 * 9_000 + len(CLOSING))


async def test_a_feed_is_compressed_once_for_all_who_ask_at_a_time() -> None:
    bodies = Bodies(gzip=True)
    found = await asyncio.gather(*(bodies.of(LARGE, zipped=True) for _ in range(50)))
    first = b"".join(found[0].pieces())
    assert gzip.decompress(first) == LARGE.body
    assert len({id(body._octets) for body in found}) == 1


async def test_slow_readers_of_a_large_feed_hold_pieces_and_no_body() -> None:
    bodies = Bodies(gzip=True)
    tracemalloc.start()
    try:
        readers = [(await bodies.of(LARGE, zipped=False)).pieces() for _ in range(60)]
        held = [next(reader) for reader in readers]
        assert tracemalloc.get_traced_memory()[1] < 60 * 2 * WHOLE < 60 * LARGE.size
        assert sum(map(len, held)) < LARGE.size
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    feeds = {**demo_config().feeds, "large": Feed(everything=True, summary="{name} " * 20)}
    async with serving(settings(feeds), issues=400) as made:
        yield made


async def test_the_gzip_body_of_every_demo_feed_is_as_small_as_gzip_makes_it(world: World) -> None:
    for name in demo_config().feeds:
        rendered = await world.service.rendered(name)
        assert len(rendered.gzipped()) <= 1.05 * len(zlib.compress(rendered.body, 6))


@pytest.mark.parametrize("query", ["", "?days=400"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_large_feed_comes_whole_by_every_way(world: World, query: str, encoding: str) -> None:
    answer = await world.get("large", query, accept_encoding=encoding)
    again = await world.get("large", query, accept_encoding=encoding)
    assert answer.status_code == 200
    assert answer.content == again.content
    assert answer.content.endswith(b"END:VCALENDAR\r\n")
    assert len(answer.content) > WHOLE
    assert ("content-encoding" in answer.headers) == (encoding == "gzip")
    head = await world.ask("HEAD", world.path("large") + query, accept_encoding=encoding)
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert head.content == b""
