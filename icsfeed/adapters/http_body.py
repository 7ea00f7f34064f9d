"""The body of an HTTP answer, unpacked and bounded in memory: for every client of ours.

httpx unpacks a piece whole before anybody can count: 64 KB of gzip may become 64 MB. Here a piece is
unpacked only as far as there is room.
"""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

CODINGS = "gzip, deflate"
"""For Accept-Encoding: what is unpacked here."""


class BodyError(Exception):
    """A body cannot be used; the text says why, for a message."""


class TooLarge(BodyError):
    """A body has more bytes than it may. `beginning`: those that it may have."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning = beginning
        super().__init__(f"the answer is larger than {len(beginning):,} bytes")


async def read_body(
    response: httpx.Response,
    limit: int,
    *,
    on_large: Callable[[], Awaitable[object]] | None = None,
    large: int = 0,
) -> bytes:
    """The body of a streamed answer, at most `limit` bytes of it. Raises BodyError.

    `on_large` is awaited once, before more than `large` bytes are read.
    """
    # What was read already was unpacked by httpx.
    coding = "" if response.is_stream_consumed else response.headers.get("content-encoding", "")
    unpack = _unpacker(coding.strip().lower())
    body = bytearray()
    async for piece in _pieces(response):
        unpack(piece, body, limit)
        if on_large is not None and len(body) > large:
            await on_large()
            on_large = None
    unpack(None, body, limit)
    return bytes(body)


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:  # its transport has read it, or a login
        yield response.content
        return
    async for piece in response.aiter_raw():
        yield piece


Unpack = Callable[[bytes | None, bytearray, int], None]
"""Add a piece to a body of at most so many bytes; None: there is no more."""


def _unpacker(coding: str) -> Unpack:
    if coding in ("", "identity"):
        return _plain
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError("the answer is compressed in a way that was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | (0 if coding == "deflate" else 16))

    begun = False

    def unpack(piece: bytes | None, body: bytearray, limit: int) -> None:
        nonlocal begun
        begun = begun or bool(piece)
        try:
            if piece:
                _plain(unpacker.decompress(piece, limit + 1 - len(body)), body, limit)
        except zlib.error:
            raise BodyError("the answer's compression is broken") from None
        if piece is None and begun and not unpacker.eof:
            raise BodyError("the answer's compression is broken")

    return unpack


def _plain(piece: bytes | None, body: bytearray, limit: int) -> None:
    body += piece or b""
    if len(body) > limit:
        raise TooLarge(bytes(body[:limit]))
