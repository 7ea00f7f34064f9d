"""Answers to HTTP: a feed with its headers, and errors. clients.md says why each header is there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from litestar import Response
from litestar.datastructures import Headers
from litestar.enums import HttpMethod
from litestar.types import ASGIApp, Receive, Scope, Send

from icsfeed.app.bodies import Bodies, Body
from icsfeed.core.conditional import http_date, is_unchanged
from icsfeed.core.feed import Rendered
from icsfeed.core.negotiation import codings

Clock: TypeAlias = Callable[[], datetime]

READ = (HttpMethod.GET, HttpMethod.HEAD)

NOT_FOUND = "There is no calendar here. Ask for a new link."

CALENDAR = "text/calendar"
"""litestar adds the charset."""

NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
STALE_IF_ERROR = 86_400


class Choice(NamedTuple):
    """Which answer a request for a feed gets: as gzip or not; 304 or the calendar."""

    zipped: bool
    unchanged: bool


def listed(headers: Headers, name: str) -> str | None:
    """A header that is a list, which may stand on several lines (RFC 9110, 5.3); None: it is not there."""
    lines = headers.getall(name, [])
    return ", ".join(lines) if lines else None


def choice(rendered: Rendered, headers: Mapping[str, str | None], *, gzip: bool) -> Choice | None:
    """The answer to a request with these headers (lower case); None where it takes no coding that there is.

    `gzip`: whether there is a gzip body. It is another representation and has an ETag of its own (RFC 9110,
    8.8.3); either of the two is recognised, whatever encoding is asked for.
    """
    taken = codings(headers.get("accept-encoding"))
    coding = next((one for one in taken if one == "identity" or gzip), None)
    etags = frozenset({rendered.etag, _gzip_etag(rendered)})
    asked = headers.get("if-none-match"), headers.get("if-modified-since")
    return Choice(coding == "gzip", is_unchanged(etags, rendered.last_modified, *asked)) if coding else None


def feed_headers(
    rendered: Rendered, chosen: Choice, name: str, public_age: int | None, now: datetime
) -> dict[str, str]:
    """The headers of that answer, but for what all answers with a body have: its type and length.

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


async def feed_answer(
    rendered: Rendered, bodies: Bodies, headers: Headers, *, name: str, public_age: int | None, now: datetime
) -> Response[Any]:
    """200 with the calendar, 304, or 406. `public_age` and `now` as for `feed_headers`."""
    dates = headers.getall("if-modified-since", [])
    asked = {key: listed(headers, key) for key in ("accept-encoding", "if-none-match")}
    chosen = choice(
        rendered, {**asked, "if-modified-since": dates[0] if len(dates) == 1 else None}, gzip=bodies.gzip
    )
    if chosen is None:
        return plain_answer(HTTPStatus.NOT_ACCEPTABLE, "Accept-Encoding leaves no way to send this calendar.")
    sent = feed_headers(rendered, chosen, name, public_age, now)
    if chosen.unchanged:
        return Response(b"", status_code=304, headers=sent, media_type=CALENDAR)
    body = await bodies.of(rendered, zipped=chosen.zipped)
    return FeedResponse(body, {**sent, **body_headers(body)})


def body_headers(body: Body) -> Mapping[str, str]:
    """The headers of an answer with this body, beside those of the feed."""
    return {"Content-Type": f"{CALENDAR}; charset=utf-8", "Content-Length": str(body.size)}


def raw_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()]


async def send_body(send: Send, body: Body) -> None:
    """Send a body piece by piece: the next one is made when the reader has taken those before."""
    pieces = body.pieces()
    piece = next(pieces, b"")
    for following in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = following
    await send({"type": "http.response.body", "body": piece, "more_body": False})


class FeedResponse(Response[bytes]):
    """200 with a calendar, which litestar's own response would hold whole for each reader."""

    def __init__(self, body: Body, headers: Mapping[str, str]) -> None:
        super().__init__(b"", headers=dict(headers), media_type=CALENDAR)
        self._body, self._head = body, raw_headers(headers)

    def to_asgi_response(self, *_: object, **__: object) -> ASGIApp:  # type: ignore[override]
        async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": self._head})
            if scope.get("method") == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await send_body(send, self._body)

        return answer


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
