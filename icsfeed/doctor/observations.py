"""The responses of a feed to each kind of request, as values."""

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct


class FeedResponse(Struct, frozen=True, kw_only=True):
    """A response after all redirects. Header names are in lower case.

    `body` is complete when `is_whole`, else its beginning; `hops` are the addresses on the way, the requested
    one first; `seconds` until the last byte.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    is_whole: bool = True
    hops: tuple[str, ...] = ()
    seconds: float = 0.0


class NoResponse(Struct, frozen=True):
    """No usable response, and why."""

    reason: str


Reply: TypeAlias = FeedResponse | NoResponse


class Observations(Struct, frozen=True, kw_only=True):
    """The responses of a feed. `url` is without user name and password; `addresses` those of its host.

    `first` and `again` are two complete reads; `apps` the responses to each client of clients.py. The rest
    are None where they could not be requested: by HEAD, with an Authorization header, with the validators of
    `again` (`matched`: If-None-Match, `since`: If-Modified-Since), with gzip (`zipped`). `robots`: whether
    robots.txt lets Google read the feed.
    """

    url: str
    addresses: tuple[str, ...]
    first: Reply
    again: Reply
    apps: Mapping[str, Reply]
    head: Reply | None = None
    authorized: Reply | None = None
    matched: Reply | None = None
    since: Reply | None = None
    zipped: Reply | None = None
    robots: bool = True
