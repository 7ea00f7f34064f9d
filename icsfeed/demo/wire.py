"""Requests, responses, and the errors of Plane v1.3.1 in its own words."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from litestar.types import HTTPResponseStartEvent, HTTPScope, Receive, Send
from msgspec import Struct, field

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
GZIP_FROM = 200
"""Bytes. Django does not compress shorter bodies, and leaves Accept-Encoding out of their Vary."""


class PlaneRequest(Struct, frozen=True):
    """A request. `query` is the raw query string, `headers` have lower-case names."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last, as in Django."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class PlaneResponse(Struct):
    """A response; sent whole, unless a subclass sends it otherwise."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    async def transmit(self, send: Send) -> None:
        await send(self.start())
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def start(self) -> HTTPResponseStartEvent:
        """The status and the headers, with the length of the whole body."""
        headers = {"Content-Length": str(len(self.body))} | self.headers
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return {"type": "http.response.start", "status": self.status, "headers": raw}


Handler: TypeAlias = Callable[[PlaneRequest], Awaitable[PlaneResponse]]


class PlaneRefusal(Exception):
    """Ends the handling of a request with this response."""

    def __init__(self, response: PlaneResponse) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(status: int, body: object, headers: Mapping[str, str] = {}) -> PlaneResponse:
    return PlaneResponse(status, msgspec.json.encode(body), {"Content-Type": "application/json", **headers})


def page_not_found() -> PlaneRefusal:
    """No such path: checked before the key, and not counted."""
    return PlaneRefusal(json_response(404, {"error": "Page not found."}))


def no_permission() -> PlaneRefusal:
    """The same for a foreign, an unknown and a deleted project, and for a wrong workspace."""
    return PlaneRefusal(json_response(403, {"detail": "You do not have permission to perform this action."}))


def no_key() -> PlaneRefusal:
    return PlaneRefusal(json_response(401, {"detail": "Authentication credentials were not provided."}))


def bad_key() -> PlaneRefusal:
    """An unknown, expired or disabled key: 403, not 401."""
    return PlaneRefusal(json_response(403, {"detail": "Given API token is not valid"}))


def bad_request(body: object) -> PlaneRefusal:
    return PlaneRefusal(json_response(400, body))


def went_wrong() -> PlaneRefusal:
    """What Plane answers when its code raised, as for an unknown `order_by`."""
    return PlaneRefusal(json_response(500, {"error": "Something went wrong please try again later"}))


def rate_limited(retry_after: int) -> PlaneRefusal:
    body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    return PlaneRefusal(json_response(429, body, {"Retry-After": str(retry_after)}))


def finish(response: PlaneResponse, request: PlaneRequest) -> PlaneResponse:
    """Add the headers that every response has, and compress it if the client accepts gzip."""
    long = len(response.body) >= GZIP_FROM
    vary = "Accept-Encoding, Cookie, origin" if long else "Cookie, origin"
    response.headers = {"Vary": vary} | ALWAYS | response.headers
    if response.status != 301:
        response.headers.setdefault("X-Frame-Options", "DENY")
    if long and "gzip" in request.headers.get("accept-encoding", ""):
        response.body = gzip.compress(response.body, compresslevel=6, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response


async def read_request(scope: HTTPScope, receive: Receive) -> PlaneRequest:
    """Read the whole request. Litestar strips the last slash, which Plane requires: hence the raw path."""
    body = bytearray()
    while True:
        message: Any = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return PlaneRequest(
        method=scope["method"],
        path=scope["raw_path"].partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )
