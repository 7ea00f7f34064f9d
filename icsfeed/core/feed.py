"""A feed as bytes: its components in order under its header, with the validators of HTTP."""

import gzip
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from msgspec import Struct, json
from msgspec.structs import replace

from icsfeed.core.component import Component
from icsfeed.core.ics import Header, write, write_calendar
from icsfeed.core.revisions import History, remembered

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""When an empty feed that has never been anything else last changed."""


class Rendered(Struct, frozen=True):
    """A feed ready to send. `gzipped` is None when compression is off. `etag` has its quotes."""

    body: bytes
    gzipped: bytes | None
    etag: str
    last_modified: datetime


def render(
    header: Header,
    components: Iterable[Component],
    history: History | None,
    style: str,
    now: datetime,
    *,
    compress: bool,
) -> tuple[Rendered, History]:
    """A feed's bytes and its history to keep. The same components and history give the same bytes.

    `style` is a digest of how the feed is shown (see `digest`).
    """
    ordered = sorted(components, key=lambda component: component.sort_key)
    written = [write(component) for component in ordered]
    unstamped = write_calendar(header, written)
    newest = max((component.revised for component in ordered), default=_FIRST)
    history = remembered(history, style, sha256(unstamped).hexdigest(), newest, now)
    return _stamped(header, written, history.changed, compress=compress), history


def render_narrowed(
    header: Header, components: Iterable[Component], changed: datetime, *, compress: bool
) -> Rendered:
    """A narrowed feed's bytes. `changed`: when the whole feed last changed; a part of it did not later."""
    ordered = sorted(components, key=lambda component: component.sort_key)
    return _stamped(header, [write(component) for component in ordered], changed, compress=compress)


def digest(value: object) -> str:
    """A digest of settings: for equal values the same in every process."""
    return sha256(json.encode(value, order="deterministic")).hexdigest()


def _stamped(header: Header, written: Iterable[bytes], changed: datetime, *, compress: bool) -> Rendered:
    body = write_calendar(replace(header, last_modified=changed), written)
    # No time stamp in the gzip header: replicas send the same bytes.
    packed = gzip.compress(body, compresslevel=6, mtime=0) if compress else None
    return Rendered(body, packed, f'"{sha256(body).hexdigest()[:32]}"', changed)
