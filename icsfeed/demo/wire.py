"""What goes over the wire: a call, a reply, and what Plane v1.3.1 says when it refuses."""

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
"""Django leaves shorter bodies alone, and says nothing of Accept-Encoding in their Vary."""


class Call(Struct, frozen=True):
    """One request. `query` is the raw query string, `headers` have lower-case names."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as the client asked for them."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last, as Django has it."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Reply(Struct):
    """One answer."""

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


Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


class Refused(Exception):
    """Ends the handling of a call with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def json_reply(status: int, body: object, headers: Mapping[str, str] = {}) -> Reply:
    return Reply(status, msgspec.json.encode(body), {"Content-Type": "application/json", **headers})


def page_not_found() -> Refused:
    """No such path: told before anybody looks at the key, and not counted."""
    return Refused(json_reply(404, {"error": "Page not found."}))


def no_such_object() -> Refused:
    return Refused(json_reply(404, {"error": "The requested resource does not exist."}))


def no_permission() -> Refused:
    """The same for a foreign, an unknown and a deleted project, and for a wrong workspace."""
    return Refused(json_reply(403, {"detail": "You do not have permission to perform this action."}))


def no_key() -> Refused:
    return Refused(json_reply(401, {"detail": "Authentication credentials were not provided."}))


def bad_key() -> Refused:
    """An unknown, expired or disabled key: 403, not 401."""
    return Refused(json_reply(403, {"detail": "Given API token is not valid"}))


def bad_request(body: object) -> Refused:
    return Refused(json_reply(400, body))


def went_wrong() -> Refused:
    """What Plane says when its code raised, as for an unknown `order_by`."""
    return Refused(json_reply(500, {"error": "Something went wrong please try again later"}))


def too_many(retry_after: int) -> Refused:
    body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    return Refused(json_reply(429, body, {"Retry-After": str(retry_after)}))


def finished(reply: Reply, call: Call) -> Reply:
    """Adds the headers that every answer carries, and gzip for those who accept it."""
    long = len(reply.body) >= GZIP_FROM
    vary = "Accept-Encoding, Cookie, origin" if long else "Cookie, origin"
    reply.headers = {"Vary": vary} | ALWAYS | reply.headers
    if reply.status != 301:
        reply.headers.setdefault("X-Frame-Options", "DENY")
    if long and "gzip" in call.headers.get("accept-encoding", ""):
        reply.body = gzip.compress(reply.body, compresslevel=6, mtime=0)
        reply.headers["Content-Encoding"] = "gzip"
    return reply


async def read_call(scope: HTTPScope, receive: Receive) -> Call:
    """The whole request. The raw path is taken because Litestar strips the slash that Plane insists on."""
    body = bytearray()
    while True:
        message: Any = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return Call(
        method=scope["method"],
        path=scope["raw_path"].partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )
