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
"""Bytes of a piece of a body: it ends with the component that makes it as large as this."""
LEVEL = 6
"""zlib's compression level. On the feed of the benchmarks 5 makes 9 % more bytes in half the time, and 7
saves 1 % in a quarter more."""

_GZIP = zlib.MAX_WBITS | 16
"""zlib's own gzip header (RFC 1952): it holds no time, so that the same body is the same stream."""
NEVER_CHANGED = datetime(2000, 1, 1, tzinfo=UTC)
"""When a feed that was always empty last changed."""

NO_PARENTS: frozenset[str] = frozenset()


class RenderedComponent(Struct, frozen=True, gc=False):
    """A component's bytes and their SHA-256. Feeds sort by `place`. `revised` is the component's own."""

    place: str
    revised: datetime
    octets: bytes
    digest: bytes


def part(component: Component) -> RenderedComponent:
    """Return a component as bytes, to be sorted by date and UID, undated ones last."""
    day, uid = component.sort_key
    octets = write(component)
    return RenderedComponent(f"{day.isoformat()} {uid}", component.revised, octets, sha256(octets).digest())


def parts(components: Iterable[Component]) -> Sequence[RenderedComponent]:
    """Return components as bytes, sorted."""
    return in_order(map(part, components))


def in_order(components: Iterable[RenderedComponent]) -> Sequence[RenderedComponent]:
    """Return components in the order of a feed."""
    return sorted(components, key=attrgetter("place"))


class RenderedIssues:
    """The components of a project's `snapshot` in one `style`, each written when first asked for.

    `before`: those of an older snapshot, which are reused where nothing differs. Threads may share this: at
    worst a component is written twice.
    """

    def __init__(self, snapshot: Snapshot, style: Style, before: "RenderedIssues | None" = None) -> None:
        self.snapshot = snapshot
        self._style = style
        self._written = before._unchanged(snapshot) if before is not None else {}

    def of(self, issue: Issue, parents: frozenset[str] = NO_PARENTS) -> tuple[RenderedComponent, ...]:
        """Return an issue's components. `parents`: ids of the issues that the feed holds as VTODOs."""
        key = issue.id if issue.parent not in parents else _as_child(issue.id)
        written = self._written.get(key)
        if written is None:
            components = issue_components(issue, self.snapshot, self._style, parents)
            written = self._written[key] = tuple(map(part, components))
        return written

    def _unchanged(self, snapshot: Snapshot) -> dict[str, tuple[RenderedComponent, ...]]:
        """Return what is the same in this newer snapshot."""
        written = dict(self._written)
        if snapshot is not self.snapshot:
            gone = self.snapshot.issues.keys() - snapshot.issues.keys()
            for id_ in gone | differing(self.snapshot, snapshot):
                written.pop(id_, None)
                written.pop(_as_child(id_), None)
        return written


def _as_child(issue_id: str) -> str:
    """Return the key of an issue whose parent is in the feed, too: it has a RELATED-TO."""
    return f"{issue_id} child"


_NOTHING = (RenderedComponent("", NEVER_CHANGED, EMPTY, sha256(EMPTY).digest()),)


class Rendered(Struct, frozen=True):
    """A feed, or its news, ready to send. `size`: bytes of the body. `etag` includes its quotes.

    Feeds share the bytes of their components, so a large body is sent in pieces and never held as a whole.
    """

    opening: bytes
    components: tuple[RenderedComponent, ...]
    size: int
    etag: str
    last_modified: datetime
    closing: bytes = CLOSING

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join((self.opening, *(part.octets for part in self.components), self.closing))

    def pieces(self) -> Iterator[bytes]:
        """Give the calendar in pieces of about PIECE bytes."""
        if self.size <= PIECE:
            yield self.body
            return
        pieces: list[bytes] = []
        size = 0
        for octets in (self.opening, *(part.octets for part in self.components), self.closing):
            pieces.append(octets)
            size += len(octets)
            if size >= PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
        if pieces:
            yield b"".join(pieces)

    def compressed(self) -> bytes:
        """Return the calendar as a gzip stream; 25 ms for a megabyte. zlib releases the GIL meanwhile."""
        deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
        return b"".join((*map(deflate.compress, self.pieces()), deflate.flush()))


def render(
    header: Header, parts: Sequence[RenderedComponent], history: History | None, style: str, now: datetime
) -> tuple[Rendered, History]:
    """Return a feed's bytes and its history to store. Equal components and histories give equal bytes.

    `parts` are sorted. `style` is a digest of how the feed is shown (see `digest`).
    """
    # Of a feed without a history nobody knows when it changed. Its newest revision is the same on all
    # replicas, and the start of the server is not.
    newest = NEVER_CHANGED if history else max(map(attrgetter("revised"), parts), default=NEVER_CHANGED)
    history = remembered(history, style, _digest(opening(header), parts or _NOTHING), newest, now)
    return render_dated(header, parts, history.changed), history


def render_dated(header: Header, parts: Sequence[RenderedComponent], changed: datetime) -> Rendered:
    """Return a feed's bytes. `changed`: since when they are as they are."""
    start, parts = opening(replace(header, last_modified=changed)), parts or _NOTHING
    size = len(start) + sum(len(part.octets) for part in parts) + len(CLOSING)
    return Rendered(start, tuple(parts), size, f'"{_digest(start, parts)[:32]}"', changed)


def digest(value: object) -> str:
    """Return a digest of settings: the same in every process for equal values."""
    return sha256(json.encode(value, order="deterministic")).hexdigest()


def _digest(start: bytes, parts: Sequence[RenderedComponent]) -> str:
    """Return a digest of the body, from those of its components: their bytes are not read again."""
    return sha256(b"".join((sha256(start).digest(), *(part.digest for part in parts)))).hexdigest()
