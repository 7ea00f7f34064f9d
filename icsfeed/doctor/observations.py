"""The responses of a feed to each kind of request, as values."""

from collections.abc import Mapping

from msgspec import Struct


class Reply(Struct, frozen=True, kw_only=True):
    """A response after all redirects, or with `status` 0 the `reason` why there is none that can be used.

    Header names are in lower case. `body` is complete when `is_whole`, else its beginning; `hops` are the
    addresses on the way, the requested one first; `seconds` until the last byte.
    """

    status: int = 0
    reason: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    is_whole: bool = True
    hops: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Return whether a calendar app would take the body for the calendar."""
        return self.status == 200

    @property
    def is_calendar(self) -> bool:
        """Return whether the body begins like a calendar."""
        return self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].upper() == b"BEGIN:VCALENDAR"

    @property
    def outcome(self) -> str:
        """Return what became of the request, for a sentence that begins with it."""
        return f"answered with {self.status}" if self.status else f"not answered: {self.reason}"


class Observations(Struct, frozen=True, kw_only=True):
    """The responses of a feed. `url` is without user name and password; `addresses` those of its host.

    `first` and `again` are two complete reads; `apps` the responses to each client of clients.py; the others
    those by HEAD, with an Authorization header, with gzip (`zipped`), and with the validators of `again`
    (`matched`: If-None-Match, `since`: If-Modified-Since; None where it has no such validator). `robots`:
    whether robots.txt lets Google read the feed.
    """

    url: str
    addresses: tuple[str, ...]
    first: Reply
    again: Reply
    apps: Mapping[str, Reply]
    head: Reply
    authorized: Reply
    zipped: Reply
    matched: Reply | None
    since: Reply | None
    robots: bool
