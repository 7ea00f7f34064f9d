"""What was seen of a feed, as values: the answers it gave to each way of asking."""

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct


class FeedResponse(Struct, frozen=True, kw_only=True):
    """An answer to the end of its redirects. Header names are in lower case.

    `body` is whole when `is_whole`, else its beginning; `hops` are the addresses that led to it, the
    one asked first; `seconds` until its last byte.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    is_whole: bool = True
    hops: tuple[str, ...] = ()
    seconds: float = 0.0


class NoResponse(Struct, frozen=True):
    """There was none that can be used; why, in words."""

    reason: str


Reply: TypeAlias = FeedResponse | NoResponse


class Observations(Struct, frozen=True, kw_only=True):
    """A feed as it answers. `url` is without user name and password; `addresses` those of its host.

    `first` and `again` are two whole reads, one after the other; `apps` the answers to each client of
    clients.py. The rest are None where they could not be asked: by HEAD, with an Authorization
    header, with the first answer's validators (`matched`: If-None-Match, `since`: If-Modified-Since),
    compressed. `robots`: whether robots.txt lets Google read it.
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
