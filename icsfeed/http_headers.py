"""HTTP headers: preconditions of a GET or HEAD, and what a client accepts (RFC 9110)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Literal, TypeAlias

Coding: TypeAlias = Literal["gzip", "identity"]

_ETAG = re.compile(r'(?:W/)?("[^"]*")')
_WEIGHT = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")


def http_date(moment: datetime) -> str:
    """Format an HTTP-date (RFC 9110, 5.6.7): `Sat, 21 Nov 2026 09:00:00 GMT`."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def parse_http_date(text: str) -> datetime | None:
    """Parse an HTTP-date in any of its three formats; None where it is not one."""
    try:
        moment = parsedate_to_datetime(text)
        # The email package returns "-0000", and asctime dates, without a time zone: HTTP's are in GMT.
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def is_unchanged(
    etags: frozenset[str], last_modified: datetime, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Return whether to answer 304. `etags`: the strong tags (with quotes) of every encoding of the body.

    A header that cannot be read counts as missing.
    """
    # If-None-Match takes precedence (13.2.2): a tag tells two versions of one second apart, a date does not.
    # Tags are compared weakly (13.1.2): proxies that compress a body on its way turn "x" into W/"x".
    if if_none_match is not None:
        return if_none_match.strip() == "*" or not etags.isdisjoint(_ETAG.findall(if_none_match))
    since = parse_http_date(if_modified_since) if if_modified_since is not None else None
    return since is not None and last_modified.replace(microsecond=0) <= since


def weights(header: str) -> Mapping[str, float]:
    """Return the names in an Accept-* header, in lower case, with their weights from 0 to 1 (12.4.2).

    A name whose weight cannot be read is left out.
    """
    accepted = {}
    for item in header.lower().split(","):
        name, *parameters = (word.strip() for word in item.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        values = [value.strip() for key, _, value in pairs if key.strip() == "q"]
        if name and all(map(_WEIGHT.fullmatch, values)):
            accepted[name] = min(map(float, values), default=1.0)
    return accepted


@lru_cache(500)
def codings(accept_encoding: str | None) -> tuple[Coding, ...]:
    """Return the codings that a client accepts (12.5.3), the preferred one first; empty: it excludes both."""
    given = weights(accept_encoding or "")
    identity = given.get("identity", 0.0 if given.get("*") == 0 else None)
    # Without the header nothing is compressed: old clients that cannot unpack send none. A client that
    # excludes only "identity" gets gzip: it has said that it accepts something else.
    other = given.get("*", 1.0 if identity == 0 and "*" not in given else 0.0)
    gzip = given.get("gzip", given.get("x-gzip", other))
    if not gzip:
        return () if identity == 0 else ("identity",)
    if identity is None:
        return ("gzip", "identity")
    if not identity:
        return ("gzip",)
    return ("gzip", "identity") if gzip >= identity else ("identity", "gzip")


def accepts_html(accept: str) -> bool:
    """Return whether the client is a browser: browsers name text/html, programs do not."""
    return weights(accept).get("text/html", 0.0) > 0
