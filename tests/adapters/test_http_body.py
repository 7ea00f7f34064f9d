"""No answer takes more memory than it may, however it is packed."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.adapters.http_body import BodyError, TooLarge, read_body

pytestmark = pytest.mark.anyio
MB = 1024 * 1024


class Pieces(httpx.AsyncByteStream):
    """A body as it comes from the network."""

    def __init__(self, body: bytes, size: int) -> None:
        self._pieces = [body[at : at + size] for at in range(0, len(body), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def answer(body: bytes, coding: str = "", size: int = 65_536) -> httpx.Response:
    return httpx.Response(200, headers={"content-encoding": coding}, stream=Pieces(body, size))


@pytest.mark.parametrize("size", [1, 7, 65_536])
@pytest.mark.parametrize(
    ("coding", "packed"),
    [("", b"words" * 99), ("gzip", gzip.compress(b"words" * 99)), ("deflate", zlib.compress(b"words" * 99))],
)
async def test_a_body_comes_as_it_was_packed(coding: str, packed: bytes, size: int) -> None:
    assert await read_body(answer(packed, coding, size), 495) == b"words" * 99
    with pytest.raises(TooLarge) as caught:
        await read_body(answer(packed, coding, size), 494)
    assert caught.value.beginning == (b"words" * 99)[:494]


async def test_a_gzip_bomb_is_unpacked_no_further_than_there_is_room() -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(bytes(MB)) for _ in range(300)) + packer.flush()
    assert len(bomb) < MB
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await read_body(answer(bomb, "gzip", len(bomb)), 2 * MB)
        assert tracemalloc.get_traced_memory()[1] < 16 * MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "compress"])
async def test_what_was_not_asked_for_is_not_unpacked(coding: str) -> None:
    with pytest.raises(BodyError, match="not asked for"):
        await read_body(answer(b"x", coding), 100)


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"words")[:-4], gzip.compress(b"words")[:3]])
async def test_a_broken_or_cut_stream_is_an_error(body: bytes) -> None:
    with pytest.raises(BodyError, match="compression is broken"):
        await read_body(answer(body, "gzip"), 100)


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(0, 250))
async def test_whatever_comes_no_more_than_the_limit_goes_out(body: bytes, size: int, limit: int) -> None:
    for coding, packed in (("", body), ("gzip", gzip.compress(body))):
        try:
            found = await read_body(answer(packed, coding, size), limit)
        except TooLarge:
            assert len(body) > limit
        else:
            assert found == body
            assert len(body) <= limit
