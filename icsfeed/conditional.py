"""Preconditions of a GET or HEAD (RFC 9110, 13): whether the client's copy is still good."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_ETAG = re.compile(r'(?:W/)?("[^"]*")')


def is_unchanged(
    etags: frozenset[str], last_modified: datetime, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Whether to answer 304. `etags`: the strong tags (with quotes) of every encoding of the body.

    If-None-Match wins: when it is there, If-Modified-Since is not looked at (13.2.2). Tags are
    compared weakly (13.1.2). A header that cannot be read is as if it were not there.
    """
    if if_none_match is not None:
        return if_none_match.strip() == "*" or not etags.isdisjoint(_ETAG.findall(if_none_match))
    if if_modified_since is not None:
        return _is_since(last_modified, if_modified_since)
    return False


def http_date(moment: datetime) -> str:
    """An HTTP-date (RFC 9110, 5.6.7): `Sat, 21 Nov 2026 09:00:00 GMT`."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _is_since(last_modified: datetime, header: str) -> bool:
    try:
        since = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return False
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return last_modified.replace(microsecond=0) <= since
