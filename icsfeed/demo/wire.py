"""Requests and responses, and the errors with which Plane v1.3.1 answers."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from litestar.types import HTTPResponseStartEvent, HTTPScope, Receive, Send
from msgspec import Struct, field

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
MIN_GZIP_BYTES = 200
"""Django compresses no shorter bodies, and leaves Accept-Encoding out of their Vary."""


class PlaneRequest(Struct, frozen=True):
    """A request. `query`: the raw query string; `headers`: with names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the query; of a repeated one the last, as in Django."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class PlaneResponse(Struct):
    """A response, which a subclass may send in another way."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    async def transmit(self, send: Send) -> None:
        await send(self.start())
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def start(self) -> HTTPResponseStartEvent:
        """Return the status and the headers, with the length of the whole body."""
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
    """Return the refusal of an unknown path, which is checked before the key and not counted."""
    return PlaneRefusal(json_response(404, {"error": "Page not found."}))


def no_permission() -> PlaneRefusal:
    """Return the refusal of a foreign, unknown or deleted project, and of a wrong workspace."""
    return PlaneRefusal(json_response(403, {"detail": "You do not have permission to perform this action."}))


def no_key() -> PlaneRefusal:
    return PlaneRefusal(json_response(401, {"detail": "Authentication credentials were not provided."}))


def bad_key() -> PlaneRefusal:
    """Return the refusal of an unknown, expired or disabled key: 403, where a missing one is a 401."""
    return PlaneRefusal(json_response(403, {"detail": "Given API token is not valid"}))


def bad_request(body: object) -> PlaneRefusal:
    return PlaneRefusal(json_response(400, body))


def went_wrong() -> PlaneRefusal:
    """Return the answer of Plane when its code raises an exception, as for an unknown `order_by`."""
    return PlaneRefusal(json_response(500, {"error": "Something went wrong please try again later"}))


def rate_limited(retry_after: int) -> PlaneRefusal:
    body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    return PlaneRefusal(json_response(429, body, {"Retry-After": str(retry_after)}))


def finish(response: PlaneResponse, request: PlaneRequest) -> PlaneResponse:
    """Add the headers of every response, and compress the body if the client accepts gzip."""
    long = len(response.body) >= MIN_GZIP_BYTES
    vary = "Accept-Encoding, Cookie, origin" if long else "Cookie, origin"
    response.headers = {"Vary": vary} | COMMON_HEADERS | response.headers
    if response.status != 301:
        response.headers.setdefault("X-Frame-Options", "DENY")
    if long and "gzip" in request.headers.get("accept-encoding", ""):
        # No time in it: the demo answers the same bytes after a restart.
        response.body = gzip.compress(response.body, compresslevel=6, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response


async def read_request(scope: HTTPScope, receive: Receive) -> PlaneRequest:
    """Read a whole request."""
    body = bytearray()
    while True:
        message: Any = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return PlaneRequest(
        method=scope["method"],
        # litestar (2.25) strips the last slash from `path`, and Plane redirects paths without one.
        path=scope["raw_path"].partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )
