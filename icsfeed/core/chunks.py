"""Runs of components that feeds share: hashed and compressed once, whoever shows them.

A feed of 10,000 issues in which one has changed has one new chunk. Where chunks begin is decided by the
components alone, so that an issue that comes or goes moves no other boundary, and so that feeds which
hold the same issues hold the same chunks.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from weakref import WeakValueDictionary
from zlib import crc32

from msgspec import Struct

from icsfeed.core.gzipped import Packed, pack

RUN = 16
"""Components in a chunk, on average."""


class Part(Struct, frozen=True, gc=False):
    """A component's bytes. `place`: parts are sorted by it. `revised`: as the component says.

    `first`: a chunk begins with it, in whatever feed.
    """

    place: str
    revised: datetime
    octets: bytes
    first: bool


class Chunk(Struct, frozen=True, weakref=True):
    """Components in a row. `size` and `digest` are of their bytes; `packed`: for a gzip stream, if wanted."""

    parts: tuple[bytes, ...]
    size: int
    digest: bytes
    packed: Packed | None

    @property
    def octets(self) -> bytes:
        """The bytes of the components, which the chunk does not hold a second time."""
        return b"".join(self.parts)


def begins_chunk(uid: str) -> bool:
    """Whether a chunk begins with the component of this UID."""
    return crc32(uid.encode()) % RUN == 0


class Chunks:
    """The chunks that some feed still holds. Threads may share it: at worst one is made twice."""

    def __init__(self, *, compress: bool) -> None:
        self.compress = compress
        self._known: WeakValueDictionary[tuple[bytes, ...], Chunk] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, parts: Sequence[Part]) -> tuple[Chunk, ...]:
        """The components of a feed, at least one, in their order."""
        return tuple(map(self._of, _runs(parts)))

    def _of(self, run: tuple[bytes, ...]) -> Chunk:
        known = self._known.get(run)
        if known is None:
            octets = b"".join(run)
            zipped = pack(octets) if self.compress else None
            known = self._known[run] = Chunk(run, len(octets), sha256(octets).digest(), zipped)
        return known


def _runs(parts: Sequence[Part]) -> Iterator[tuple[bytes, ...]]:
    octets = [part.octets for part in parts]
    starts = (at for at, part in enumerate(parts) if part.first and at)
    for start, end in pairwise((0, *starts, len(octets))):
        yield tuple(octets[start:end])
