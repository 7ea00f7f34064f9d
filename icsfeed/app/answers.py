"""Answers to HTTP: a feed with its headers, and errors. clients.md says why each header is there."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from litestar import Response
from litestar.enums import HttpMethod

from icsfeed.core.conditional import http_date, is_unchanged
from icsfeed.core.feed import Rendered

Clock: TypeAlias = Callable[[], datetime]

READ = (HttpMethod.GET, HttpMethod.HEAD)

NOT_FOUND = "There is no calendar here. Ask for a new link."

CALENDAR = "text/calendar"
"""litestar adds the charset."""

NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
STALE_IF_ERROR = 86_400

_CODING = re.compile(r"\s*([^;,\s]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


class Choice(NamedTuple):
    """Which answer a request for a feed gets: as gzip or not; 304 or the calendar."""

    zipped: bool
    unchanged: bool


def choice(rendered: Rendered, headers: Mapping[str, str]) -> Choice:
    """The answer to a request with these headers (lower case).

    A gzip body is another representation and has an ETag of its own (RFC 9110, 8.8.3); either of
    the two is recognised, whatever encoding is asked for.
    """
    zipped = rendered.gzip is not None and accepts_gzip(headers.get("accept-encoding"))
    etags = frozenset({rendered.etag, _gzip_etag(rendered)})
    asked = headers.get("if-none-match"), headers.get("if-modified-since")
    return Choice(zipped, is_unchanged(etags, rendered.last_modified, *asked))


def feed_headers(rendered: Rendered, chosen: Choice, name: str, public_age: int | None) -> dict[str, str]:
    """The headers of that answer, but for what all answers with a body have: its type and length.

    `public_age`: for how many seconds caches may keep it; None: not.
    """
    sent = {
        "ETag": _gzip_etag(rendered) if chosen.zipped else rendered.etag,
        "Last-Modified": http_date(rendered.last_modified),
        "Cache-Control": _cache_control(public_age),
        "Content-Disposition": f'inline; filename="{name}.ics"',
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return {**sent, "Content-Encoding": "gzip"} if chosen.zipped and not chosen.unchanged else sent


def feed_answer(
    rendered: Rendered, headers: Mapping[str, str], *, name: str, public_age: int | None
) -> Response[bytes]:
    """200 with the calendar, or 304. `public_age` as for `feed_headers`."""
    chosen = choice(rendered, headers)
    sent = feed_headers(rendered, chosen, name, public_age)
    if chosen.unchanged:
        return Response(b"", status_code=304, headers=sent, media_type=CALENDAR)
    body = (rendered.gzipped if chosen.zipped else None) or rendered.body
    return Response(body, headers=sent, media_type=CALENDAR)


def _gzip_etag(rendered: Rendered) -> str:
    return f'{rendered.etag[:-1]}-gzip"'


def _cache_control(public_age: int | None) -> str:
    if public_age is None:
        return "private, no-cache"
    return f"public, max-age={public_age}, stale-if-error={STALE_IF_ERROR}"


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether gzip is wanted (RFC 9110, 12.5.3): named or `*`, with a weight above zero."""
    weights = {name.lower(): _weight(q) for name, q in _CODING.findall(accept_encoding or "")}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weight(q: str) -> float:
    try:
        return float(q) if q else 1.0
    except ValueError:
        return 0.0


def plain_answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response[str]:
    """A short answer for a feed URL: calendar apps show nothing else well."""
    return Response(
        f"{text}\n", status_code=status, headers={**NEVER_STORED, **(headers or {})}, media_type="text/plain"
    )


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    now: datetime,
    details: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, Any]]:
    """An error in the format of design.md ("Routes")."""
    body = {
        "status": "error",
        "message": message,
        "error_code": code,
        "details": details or {},
        "timestamp": timestamp(now),
    }
    return Response(body, status_code=status, headers={**NEVER_STORED, **(headers or {})})


def timestamp(moment: datetime) -> str:
    """A moment for JSON: RFC 3339 in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
