"""A feed as bytes: its components in order under its header, with the validators of HTTP."""

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter

from msgspec import Struct, json
from msgspec.structs import replace

from icsfeed.core.ics import CLOSING, EMPTY, Header, opening
from icsfeed.core.parts import Part
from icsfeed.core.revisions import History, remembered

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""When an empty feed that has never been anything else last changed."""

_NOTHING = (Part("", _FIRST, EMPTY),)

PIECE = 64 * 1024
"""Bytes of a body that are put together at once, at least."""

LEVEL = 6
"""Of gzip: at 9 the feeds of `benchmarks/rendering.py` are 1 % smaller and take twice the time."""


class Rendered(Struct, frozen=True):
    """A feed ready to send. Its components may be those of other feeds, too. `etag` has its quotes.

    `size`: bytes of the body, which is put together where it is needed.
    """

    opening: bytes
    parts: tuple[bytes, ...]
    etag: str
    last_modified: datetime
    size: int

    @property
    def body(self) -> bytes:
        """The calendar."""
        return b"".join((self.opening, *self.parts, CLOSING))

    def pieces(self) -> Iterator[bytes]:
        """The calendar in pieces of some PIECE bytes: nobody who reads slowly needs the whole of it."""
        piece, length = [self.opening], len(self.opening)
        for part in (*self.parts, CLOSING):
            if length >= PIECE:
                yield b"".join(piece)
                piece, length = [], 0
            piece.append(part)
            length += len(part)
        yield b"".join(piece)

    def gzipped(self) -> bytes:
        """The calendar as a gzip stream (RFC 1952), without a time in it. Work for a thread."""
        packer = zlib.compressobj(LEVEL, wbits=zlib.MAX_WBITS | 16)
        return b"".join((*map(packer.compress, self.pieces()), packer.flush()))


def render(
    header: Header,
    parts: Sequence[Part],
    history: History | None,
    style: str,
    now: datetime,
) -> tuple[Rendered, History]:
    """A feed's bytes and its history to keep. The same components and history give the same bytes.

    `parts` come sorted. `style` is a digest of how the feed is shown (see `digest`).
    """
    held = _octets(parts)
    newest = _FIRST if history else max(map(attrgetter("revised"), parts), default=_FIRST)
    content = sha256(b"".join(held)).digest()
    history = remembered(history, style, _digest(opening(header), content), newest, now)
    return _stamped(header, held, content, history.changed), history


def render_narrowed(header: Header, parts: Sequence[Part], changed: datetime) -> Rendered:
    """A narrowed feed's bytes. `changed`: when the whole feed last changed; a part of it did not later."""
    held = _octets(parts)
    return _stamped(header, held, sha256(b"".join(held)).digest(), changed)


def digest(value: object) -> str:
    """A digest of settings: for equal values the same in every process."""
    return sha256(json.encode(value, order="deterministic")).hexdigest()


def _octets(parts: Sequence[Part]) -> tuple[bytes, ...]:
    return tuple(part.octets for part in parts or _NOTHING)


def _stamped(header: Header, held: tuple[bytes, ...], content: bytes, changed: datetime) -> Rendered:
    start = opening(replace(header, last_modified=changed))
    size = len(start) + sum(map(len, held)) + len(CLOSING)
    return Rendered(start, held, f'"{_digest(start, content)[:32]}"', changed, size)


def _digest(start: bytes, content: bytes) -> str:
    """Another one for every other body. `content`: a digest of its components."""
    return sha256(start + content).hexdigest()
