"""A feed as bytes: its components in order under its header, with the validators of HTTP.

Each component is written once and shared by all feeds that show it so. `RenderedIssues` only remembers what
issue_components and write give, and is tested against them: one changed issue costs the writing of one.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter

from msgspec import Struct, json
from msgspec.structs import replace

from icsfeed.cache.revisions import History, differing, remembered
from icsfeed.feeds.mapping import Style, issue_components
from icsfeed.ics.component import Component
from icsfeed.ics.write import CLOSING, EMPTY, Header, opening, write
from icsfeed.model import Issue, Snapshot

PIECE = 64 * 1024
"""Bytes of a piece of a body, about: it ends with the component that it reaches this size with."""
LEVEL = 6
"""zlib's. On the benchmarks' feed 5 makes 9 % more bytes in half the time, 7 saves 1 % in a quarter more."""

_GZIP = zlib.MAX_WBITS | 16
"""zlib's own gzip header (RFC 1952): it holds no time, so that the same body is the same stream."""
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""When an empty feed that has never been anything else last changed."""

NOBODY: frozenset[str] = frozenset()


class RenderedComponent(Struct, frozen=True, gc=False):
    """A component's bytes and their SHA-256. Feeds sort by `place`. `revised`: as the component says."""

    place: str
    revised: datetime
    octets: bytes
    digest: bytes


def part(component: Component) -> RenderedComponent:
    """The component as bytes, to be sorted by date and UID (mapping.md, 4); undated ones come last."""
    day, uid = component.sort_key
    octets = write(component)
    return RenderedComponent(f"{day.isoformat()} {uid}", component.revised, octets, sha256(octets).digest())


def parts(components: Iterable[Component]) -> Sequence[RenderedComponent]:
    """All of them, sorted."""
    return in_order(map(part, components))


def in_order(found: Iterable[RenderedComponent]) -> Sequence[RenderedComponent]:
    """Parts as a feed has them."""
    return sorted(found, key=attrgetter("place"))


class RenderedIssues:
    """The issues of a project's `snapshot` in one `style`; `before`: what was so far, to go on from.

    Threads may share it: at worst something is written twice.
    """

    def __init__(self, snapshot: Snapshot, style: Style, before: "RenderedIssues | None" = None) -> None:
        self.snapshot = snapshot
        self._style = style
        self._made = before._still(snapshot) if before is not None else {}

    def of(self, issue: Issue, parents: frozenset[str] = NOBODY) -> tuple[RenderedComponent, ...]:
        """The parts of an issue of the snapshot. `parents`: ids of issues that the feed holds as VTODOs."""
        key = issue.id if issue.parent not in parents else _as_child(issue.id)
        made = self._made.get(key)
        if made is None:
            components = issue_components(issue, self.snapshot, self._style, parents)
            made = self._made[key] = tuple(map(part, components))
        return made

    def _still(self, snapshot: Snapshot) -> dict[str, tuple[RenderedComponent, ...]]:
        """What is the same in this snapshot, which comes after ours."""
        made = dict(self._made)
        if snapshot is not self.snapshot:
            gone = self.snapshot.issues.keys() - snapshot.issues.keys()
            for id_ in gone | differing(self.snapshot, snapshot):
                made.pop(id_, None)
                made.pop(_as_child(id_), None)
        return made


def _as_child(issue_id: str) -> str:
    """How an issue is remembered that names its parent: a task whose parent is in the feed, too."""
    return f"{issue_id} child"


_NOTHING = (RenderedComponent("", _FIRST, EMPTY, sha256(EMPTY).digest()),)


class Rendered(Struct, frozen=True):
    """A feed ready to send. Its components' bytes may be those of other feeds, too: a body is never whole
    where it can be sent in pieces. `size`: bytes of the body. `etag` has its quotes.
    """

    opening: bytes
    components: tuple[bytes, ...]
    size: int
    etag: str
    last_modified: datetime

    @property
    def body(self) -> bytes:
        """The calendar."""
        return b"".join((self.opening, *self.components, CLOSING))

    def pieces(self) -> Iterator[bytes]:
        """The calendar in pieces of about PIECE bytes."""
        if self.size <= PIECE:
            yield self.body
            return
        held: list[bytes] = []
        size = 0
        for octets in (self.opening, *self.components, CLOSING):
            held.append(octets)
            size += len(octets)
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)

    def compressed(self) -> bytes:
        """The calendar as a gzip stream; 25 ms for a megabyte. zlib lets other threads run meanwhile."""
        deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
        return b"".join((*map(deflate.compress, self.pieces()), deflate.flush()))


def render(
    header: Header, parts: Sequence[RenderedComponent], history: History | None, style: str, now: datetime
) -> tuple[Rendered, History]:
    """A feed's bytes and its history to keep. The same components and history give the same bytes.

    `parts` come sorted. `style` is a digest of how the feed is shown (see `digest`).
    """
    newest = _FIRST if history else max(map(attrgetter("revised"), parts), default=_FIRST)
    history = remembered(history, style, _digest(opening(header), parts or _NOTHING), newest, now)
    return render_dated(header, parts, history.changed), history


def render_dated(header: Header, parts: Sequence[RenderedComponent], changed: datetime) -> Rendered:
    """A feed's bytes. `changed`: since when they are as they are."""
    start, parts = opening(replace(header, last_modified=changed)), parts or _NOTHING
    components = tuple(part.octets for part in parts)
    size = len(start) + sum(map(len, components)) + len(CLOSING)
    return Rendered(start, components, size, f'"{_digest(start, parts)[:32]}"', changed)


def digest(value: object) -> str:
    """A digest of settings: for equal values the same in every process."""
    return sha256(json.encode(value, order="deterministic")).hexdigest()


def _digest(start: bytes, parts: Sequence[RenderedComponent]) -> str:
    """Another one for every other body, without a look at the bytes: parts know their own digests."""
    return sha256(b"".join((sha256(start).digest(), *(part.digest for part in parts)))).hexdigest()
