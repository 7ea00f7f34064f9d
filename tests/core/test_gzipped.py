"""A gzip stream put together of pieces is what gzip would have made of the whole."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from icsfeed.core.gzipped import BEGIN, ending, pack

pieces = st.lists(st.binary(max_size=300) | st.sampled_from([b"", bytes(100_000), b"VEVENT\r\n" * 5000]))


@given(pieces)
def test_pieces_make_a_stream_that_holds_them(pieces: list[bytes]) -> None:
    packed = [pack(piece) for piece in pieces]
    stream = b"".join((BEGIN, *(piece.deflated for piece in packed), ending(packed)))
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(stream) == b"".join(pieces)
    assert (reader.eof, reader.unused_data) == (True, b"")
    assert gzip.decompress(stream) == b"".join(pieces)


@given(pieces)
def test_the_checksum_of_the_whole_follows_from_those_of_the_pieces(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    trailer = ending(map(pack, pieces))[-8:]
    assert trailer == zlib.crc32(whole).to_bytes(4, "little") + len(whole).to_bytes(4, "little")


def test_a_piece_does_not_depend_on_its_neighbours() -> None:
    assert pack(b"one" * 100) == pack(b"one" * 100)
    assert zlib.decompress(pack(b"two" * 100).deflated + b"\x03\x00", wbits=-15) == b"two" * 100
