"""How much of Plane's answers is held in memory: bodies, what they unpack to, and the values in them."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from icsfeed.errors import BadAnswer
from icsfeed.plane.fetch import ANSWER_LIMIT, LARGE_ANSWER, VALUES_LIMIT
from plane.test_plane_world import WEB, ScriptedPlane, connect, page, row

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
MIB = 1024 * 1024


def sending(body: bytes, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Sends it piece by piece, as a network does."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={**JSON, **headers}, content=pieces())

    return handler


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = b" " * MIB
    return b"".join([*(packer.compress(block) for _ in range(size // MIB)), packer.flush()])


async def peak_of(handler: Callable[[httpx.Request], httpx.Response], error: str) -> int:
    """Bytes of memory that refusing the issues of a project takes at most."""
    client = connect(handler)
    tracemalloc.start()
    try:
        with pytest.raises(BadAnswer, match=error):
            await client.issues(WEB)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_gzip_bomb_is_given_up_while_it_is_unpacked() -> None:
    assert await peak_of(sending(bomb(1024 * MIB), **{"content-encoding": "gzip"}), "larger") < 80 * MIB


async def test_a_large_answer_is_given_up_while_it_is_read() -> None:
    assert await peak_of(sending(b" " * (ANSWER_LIMIT + MIB)), "larger than 33,554,432 bytes") < 80 * MIB


async def test_an_answer_of_very_many_values_is_never_decoded() -> None:
    body = b'{"results":[' + b"{}," * (2 * VALUES_LIMIT) + b'{}],"next_page_results":false}'
    assert await peak_of(sending(body), "more than 1,000,000 values") < 40 * MIB


async def test_what_nobody_asked_for_becomes_no_object() -> None:
    extra = [{"a": {"b": [n, str(n)]}} for n in range(300)]
    body = json.dumps(page([{**row(n), "extra": extra} for n in range(1, 301)])).encode()
    client = connect(sending(body))
    await client.issues(WEB)
    tracemalloc.start()
    try:
        found = await client.issues(WEB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.items) == 300
    assert peak < 3 * len(body)


async def test_issues_that_make_pages_too_large_are_read_in_smaller_ones() -> None:
    text = "<p>" + "x" * 100_000 + "</p>"
    plane = ScriptedPlane([row(n, description_html=text) for n in range(1, 401)], largest=1000)
    client = connect(plane)
    assert len((await client.issues(WEB)).items) == 400
    sizes = [int(request.url.params["per_page"]) for request in plane.requests]
    assert sizes[:3] == [1000, 500, 250]
    await client.issues(WEB)
    assert int(plane.requests[-1].url.params["per_page"]) == 250, "which is remembered"


async def test_one_issue_that_is_too_large_is_a_bad_answer() -> None:
    plane = ScriptedPlane([row(1, description_html="x" * (ANSWER_LIMIT + 1))], largest=1000)
    with pytest.raises(BadAnswer, match="larger than"):
        await connect(plane).issues(WEB)
    assert len(plane.requests) == 10


async def test_large_answers_are_read_one_at_a_time_and_small_ones_meanwhile() -> None:
    gate, begun, is_known = asyncio.Event(), 0, False

    async def large() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield b" " * LARGE_ANSWER
        yield b" "
        await gate.wait()
        yield json.dumps(page([row(1)])).encode()

    def handler(request: httpx.Request) -> httpx.Response:
        is_large = is_known and request.url.path.endswith("/work-items/")
        content = large() if is_large else json.dumps(page([row(1, id="a")])).encode()
        return httpx.Response(200, headers=JSON, content=content)

    client = connect(handler)
    is_known = len((await client.issues(WEB)).items) == 1  # the first read of all goes alone
    reads = [asyncio.create_task(client.issues(WEB)) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert begun == 2
    assert len(await client.labels(WEB)) == 1
    gate.set()
    assert [len((await read).items) for read in reads] == [1, 1]


async def test_an_answer_in_a_coding_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(BadAnswer, match="not asked for"):
        await connect(sending(b"{}", **{"content-encoding": "br"})).labels(WEB)


async def test_a_gzip_stream_that_is_cut_off_is_a_bad_answer() -> None:
    body = gzip.compress(json.dumps(page([row(1)])).encode())
    with pytest.raises(BadAnswer, match="compression"):
        await connect(sending(body[:-12], **{"content-encoding": "gzip"})).issues(WEB)
    assert len((await connect(sending(body, **{"content-encoding": "gzip"})).issues(WEB)).items) == 1
