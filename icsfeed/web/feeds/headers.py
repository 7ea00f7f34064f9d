"""The headers of calendars and news: what requests say by them, and those of responses (docs/clients.md)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from icsfeed.feeds.rendered import Rendered
from icsfeed.http_headers import codings, http_date, is_unchanged

READ_HEADERS = {
    name.encode(): name for name in ("accept-encoding", "if-none-match", "if-modified-since", "user-agent")
}
STALE_IF_ERROR_SECONDS = 86_400


class ResponseChoice(NamedTuple):
    """Which response a request for a calendar gets: as gzip or not; 304 or the calendar."""

    is_gzip: bool
    is_unchanged: bool


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return the headers that a response depends on, by name in lower case.

    A list may stand on several lines (RFC 9110, 5.3); with two dates, neither can be used.
    """
    values: dict[str, str] = {}
    for key, value in headers:
        if key in READ_HEADERS:
            name, line = READ_HEADERS[key], value.decode("latin-1")
            if name in values:
                line = "" if name == "if-modified-since" else f"{values[name]}, {line}"
            values[name] = line
    return values


def choose(rendered: Rendered, headers: Mapping[str, str], *, gzip: bool) -> ResponseChoice | None:
    """Return the response that these headers (lower case) ask for; None where they accept no coding we have.

    A gzip body is another representation and has an ETag of its own (RFC 9110, 8.8.3); either of
    the two is recognised, whatever encoding is asked for. `gzip`: whether we compress.
    """
    accepted = codings(headers.get("accept-encoding"))
    coding = next((coding for coding in accepted if coding == "identity" or gzip), None)
    if coding is None:
        return None
    etags = frozenset({rendered.etag, _gzip_etag(rendered)})
    conditions = headers.get("if-none-match"), headers.get("if-modified-since")
    return ResponseChoice(coding == "gzip", is_unchanged(etags, rendered.last_modified, *conditions))


def feed_headers(
    rendered: Rendered, choice: ResponseChoice, file: str, max_age: int | None, now: datetime
) -> dict[str, str]:
    """Return the headers of that response without those of its body: type and length.

    `max_age`: for how many seconds shared caches may keep it; None: they may not. A feed may have changed
    after `now`, by Plane's clock or because it changed twice in a second; Last-Modified must not lie in the
    future (RFC 9110, 8.8.2.1).
    """
    headers = {
        "ETag": _gzip_etag(rendered) if choice.is_gzip else rendered.etag,
        "Last-Modified": http_date(min(rendered.last_modified, now)),
        "Cache-Control": "private, no-cache"
        if max_age is None
        else f"public, max-age={max_age}, stale-if-error={STALE_IF_ERROR_SECONDS}",
        "Content-Disposition": f'inline; filename="{file}"',
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    # A 304 has no body that could be encoded.
    return {**headers, "Content-Encoding": "gzip"} if choice.is_gzip and not choice.is_unchanged else headers


def _gzip_etag(rendered: Rendered) -> str:
    return f'{rendered.etag[:-1]}-gzip"'
