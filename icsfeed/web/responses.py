"""Answers to HTTP: a feed with its headers, and errors. clients.md says why each header is there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from litestar import Response
from litestar.datastructures import Headers
from litestar.enums import HttpMethod

from icsfeed.feeds.rendered import Rendered
from icsfeed.http_headers import codings, http_date, is_unchanged

Clock: TypeAlias = Callable[[], datetime]

READ = (HttpMethod.GET, HttpMethod.HEAD)

NOT_FOUND = "There is no calendar here. Ask for a new link."

NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
STALE_IF_ERROR = 86_400


class ResponseChoice(NamedTuple):
    """Which answer a request for a feed gets: as gzip or not; 304 or the calendar."""

    zipped: bool
    unchanged: bool


def listed(headers: Headers, name: str) -> str | None:
    """A header that is a list, which may stand on several lines (RFC 9110, 5.3); None: it is not there."""
    lines = headers.getall(name, [])
    return ", ".join(lines) if lines else None


def choice(rendered: Rendered, headers: Mapping[str, str], *, gzip: bool) -> ResponseChoice | None:
    """The answer to a request with these headers (lower case); None where it takes no coding that there is.

    A gzip body is another representation and has an ETag of its own (RFC 9110, 8.8.3); either of
    the two is recognised, whatever encoding is asked for. `gzip`: whether there is one.
    """
    taken = codings(headers.get("accept-encoding"))
    coding = next((one for one in taken if one == "identity" or gzip), None)
    etags = frozenset({rendered.etag, _gzip_etag(rendered)})
    asked = headers.get("if-none-match"), headers.get("if-modified-since")
    return (
        ResponseChoice(coding == "gzip", is_unchanged(etags, rendered.last_modified, *asked))
        if coding
        else None
    )


def feed_headers(
    rendered: Rendered, chosen: ResponseChoice, name: str, public_age: int | None, now: datetime
) -> dict[str, str]:
    """The headers of that answer without those of its body: type and length.

    `public_age`: for how many seconds caches may keep it; None: not. A feed may have changed after `now`, by
    Plane's clock or because it changed twice in a second; Last-Modified must not (RFC 9110, 8.8.2.1).
    """
    sent = {
        "ETag": _gzip_etag(rendered) if chosen.zipped else rendered.etag,
        "Last-Modified": http_date(min(rendered.last_modified, now)),
        "Cache-Control": _cache_control(public_age),
        "Content-Disposition": f'inline; filename="{name}.ics"',
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return {**sent, "Content-Encoding": "gzip"} if chosen.zipped and not chosen.unchanged else sent


def _gzip_etag(rendered: Rendered) -> str:
    return f'{rendered.etag[:-1]}-gzip"'


def _cache_control(public_age: int | None) -> str:
    if public_age is None:
        return "private, no-cache"
    return f"public, max-age={public_age}, stale-if-error={STALE_IF_ERROR}"


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
