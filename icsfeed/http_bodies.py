"""The bodies of other people's servers, unpacked no further than they may be."""

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx

PIECE = 64 * 1024
"""Bytes that are unpacked at once: a thousand times what was sent, where it was made to fill memories."""
PACKED = ("gzip", "x-gzip", "deflate")
CODINGS = ("", "identity", *PACKED)
"""What a body may be packed in: once. Packed twice, a kilobyte holds gigabytes before they are counted."""

ACCEPTED = "gzip"
"""For Accept-Encoding. httpx would ask for all that is installed, and unpack whole pieces of it at once."""


async def pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body of a streamed response, unpacked, in pieces of at most `PIECE` bytes where it was packed.

    Raises httpx.DecodingError where it is packed in another way than gzip or deflate, twice, or wrongly:
    its text says which.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in CODINGS:
        raise httpx.DecodingError("it is compressed in a way that was not asked for")
    if coding not in PACKED:
        async for sent in response.aiter_bytes():
            yield sent
        return
    stream = cast(httpx.AsyncByteStream, response.stream)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
    is_empty = True
    async for sent in stream:
        is_empty = is_empty and not sent
        for piece in _unpacked(unpacker, sent):
            yield piece
    if not is_empty and not unpacker.eof:
        raise httpx.DecodingError("its compression is cut off")


def _unpacked(unpacker: "zlib._Decompress", sent: bytes) -> Iterator[bytes]:
    try:
        while piece := unpacker.decompress(sent, PIECE):
            yield piece
            sent = unpacker.unconsumed_tail
    except zlib.error:
        raise httpx.DecodingError("its compression is broken") from None
