"""A feed as bytes: its components in order under its header, with the validators of HTTP."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter

from msgspec import Struct, json
from msgspec.structs import replace

from icsfeed.core.chunks import Chunk, Chunks, Part
from icsfeed.core.gzipped import BEGIN, ending, pack
from icsfeed.core.ics import CLOSING, EMPTY, Header, opening
from icsfeed.core.revisions import History, remembered

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""When an empty feed that has never been anything else last changed."""

_NOTHING = (Part("", _FIRST, EMPTY, True),)


class Rendered(Struct, frozen=True):
    """A feed ready to send, as it is and, where compression is on, as a gzip stream.

    Its chunks may be those of other feeds, too: a body is put together where it is needed. `gzip`: what
    comes before and after the packed chunks. `etag` has its quotes.
    """

    opening: bytes
    chunks: tuple[Chunk, ...]
    etag: str
    last_modified: datetime
    gzip: tuple[bytes, bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes of the calendar."""
        return len(self.opening) + sum(chunk.size for chunk in self.chunks) + len(CLOSING)

    @property
    def packed_size(self) -> int:
        """Bytes of the gzip stream; 0 when compression is off."""
        return sum(map(len, self.packed_pieces()))

    @property
    def body(self) -> bytes:
        """The calendar."""
        return b"".join((self.opening, *(part for chunk in self.chunks for part in chunk.parts), CLOSING))

    @property
    def gzipped(self) -> bytes | None:
        """The calendar as a gzip stream; None when compression is off."""
        return b"".join(self.packed_pieces()) if self.gzip else None

    def pieces(self) -> Iterator[bytes]:
        """The calendar in pieces of some ten kilobytes."""
        yield self.opening
        for chunk in self.chunks:
            yield chunk.octets
        yield CLOSING

    def packed_pieces(self) -> Iterator[bytes]:
        """The gzip stream in pieces; none when compression is off."""
        if self.gzip:
            yield self.gzip[0]
            yield from (chunk.packed.deflated for chunk in self.chunks if chunk.packed)
            yield self.gzip[1]


def render(
    header: Header,
    parts: Sequence[Part],
    history: History | None,
    style: str,
    now: datetime,
    chunks: Chunks,
) -> tuple[Rendered, History]:
    """A feed's bytes and its history to keep. The same components and history give the same bytes.

    `parts` come sorted. `style` is a digest of how the feed is shown (see `digest`). `chunks`: those of
    all feeds.
    """
    held = chunks.of(parts or _NOTHING)
    newest = _FIRST if history else max(map(attrgetter("revised"), parts), default=_FIRST)
    history = remembered(history, style, _digest(opening(header), held), newest, now)
    return _stamped(header, held, history.changed), history


def render_narrowed(header: Header, parts: Sequence[Part], changed: datetime, chunks: Chunks) -> Rendered:
    """A narrowed feed's bytes. `changed`: when the whole feed last changed; a part of it did not later."""
    return _stamped(header, chunks.of(parts or _NOTHING), changed)


def digest(value: object) -> str:
    """A digest of settings: for equal values the same in every process."""
    return sha256(json.encode(value, order="deterministic")).hexdigest()


def _stamped(header: Header, held: tuple[Chunk, ...], changed: datetime) -> Rendered:
    start = opening(replace(header, last_modified=changed))
    return Rendered(start, held, f'"{_digest(start, held)[:32]}"', changed, _around(start, held))


def _digest(start: bytes, held: Iterable[Chunk]) -> str:
    """Another one for every other body, without a look at the bytes: chunks know their own."""
    return sha256(b"".join((start, *(chunk.digest for chunk in held)))).hexdigest()


def _around(start: bytes, held: tuple[Chunk, ...]) -> tuple[bytes, bytes] | None:
    """The gzip stream without its chunks; None where they are not packed."""
    middle = [chunk.packed for chunk in held if chunk.packed]
    if not middle:
        return None
    first, last = pack(start), pack(CLOSING)
    return BEGIN + first.deflated, last.deflated + ending((first, *middle, last))
