"""Chunks hold all components in their order, and a change touches only the chunks it is in."""

import gc
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from making import NOW

from icsfeed.core.chunks import RUN, Chunk, Chunks, Part, begins_chunk

one = st.builds(Part, st.just(""), st.just(NOW), st.binary(max_size=20), st.booleans())
parts = st.lists(one, min_size=1, max_size=60)


def chunked(count: int, *, without: int = -1, chunks: Chunks | None = None) -> tuple[Chunk, ...]:
    """The chunks of so many components, but for one."""
    uids = [f"plane-issue-{n}@calplanebot" for n in range(count) if n != without]
    chunks = Chunks(compress=False) if chunks is None else chunks
    return chunks.of([Part("", NOW, f"{uid}\r\n".encode(), begins_chunk(uid)) for uid in uids])


@given(parts)
def test_chunks_are_the_components_in_their_order(parts: list[Part]) -> None:
    made = Chunks(compress=True).of(parts)
    assert [octets for chunk in made for octets in chunk.parts] == [part.octets for part in parts]
    assert all(chunk.octets == b"".join(chunk.parts) for chunk in made)
    assert all(chunk.digest == sha256(chunk.octets).digest() for chunk in made)
    assert all(chunk.size == len(chunk.octets) for chunk in made)
    assert len(made) == sum(part.first or number == 0 for number, part in enumerate(parts))


def test_a_chunk_is_about_a_run_long() -> None:
    assert 1000 / RUN / 2 < len(chunked(1000)) < 1000 / RUN * 2


@given(st.integers(0, 199))
def test_what_comes_or_goes_leaves_nearly_all_chunks_alone(gone: int) -> None:
    before, after = set(chunked(200)), set(chunked(200, without=gone))
    assert len(before - after) <= 2
    assert len(after - before) <= 1


def test_feeds_that_hold_the_same_hold_the_same_chunks() -> None:
    chunks = Chunks(compress=True)
    one, other = chunked(200, chunks=chunks), chunked(200, without=0, chunks=chunks)
    assert one[-1] is other[-1]
    assert {id(chunk) for chunk in other[1:]} <= {id(chunk) for chunk in one}


def test_a_chunk_that_no_feed_holds_is_forgotten() -> None:
    chunks = Chunks(compress=True)
    made = chunked(200, chunks=chunks)
    assert len(chunks) == len(made)
    del made
    gc.collect()
    assert len(chunks) == 0


X = Part("", NOW, b"x", True)


def test_nothing_is_packed_that_nobody_wants() -> None:
    packed, plain = Chunks(compress=True).of([X]), Chunks(compress=False).of([X])
    assert packed[0].packed is not None
    assert plain[0].packed is None
