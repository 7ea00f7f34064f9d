"""Failure on demand: what the Plane of the tests does wrong, when and how often; and the requests it got.

faults = Faults()
faults.add(r"work-items/", answering(502, BAD_GATEWAY, "text/html"), times=2)
app = create_plane(data, faults=faults)
...
assert faults.count(r"work-items/") == 3
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from litestar.types import Send
from msgspec import Struct

from icsfeed.demo.rows import Row
from icsfeed.demo.wire import Handler, PlaneRequest, PlaneResponse, bad_key, finish, rate_limited, went_wrong

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Fault: TypeAlias = Callable[[PlaneRequest, Handler], Awaitable[PlaneResponse]]

BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Please log in</body></html>"


class SeenRequest(Struct, frozen=True):
    """A request that arrived. `scheme`: how the key came, `X-API-Key` or `Bearer`; the key is not kept."""

    method: str
    path: str
    query: str
    scheme: str | None = None

    @property
    def line(self) -> str:
        """What patterns are searched in: `GET /api/v1/...?per_page=100`."""
        return f"{self.method} {_target(self.path, self.query)}"


class Dripping(PlaneResponse, kw_only=True):
    """A response that is sent in pieces of so many bytes, with a pause in seconds after each."""

    piece: int
    pause: float
    sleep: Sleep

    async def transmit(self, send: Send) -> None:
        await send(self.start())
        for at in range(0, len(self.body), self.piece):
            part = self.body[at : at + self.piece]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await self.sleep(self.pause)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Broken(PlaneResponse):
    """A response that ends before the length it promised: the server closes the connection."""

    async def transmit(self, send: Send) -> None:
        await send(self.start())
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


class _Planned(Struct):
    pattern: re.Pattern[str]
    fault: Fault
    left: int | None


class Faults:
    """The faults to come and the requests so far."""

    def __init__(self) -> None:
        self.requests: list[SeenRequest] = []
        self._planned: list[_Planned] = []

    def add(self, pattern: str, fault: Fault, times: int | None = 1) -> None:
        """Applies `fault` to the next `times` requests (None: to all) in whose line `pattern` is found.

        Of several that fit the one added first is used up first.
        """
        self._planned.append(_Planned(re.compile(pattern), fault, times))

    def clear(self) -> None:
        """All is well again. The requests stay."""
        self._planned.clear()

    def count(self, pattern: str = "") -> int:
        """How many requests have come in whose line holds `pattern`."""
        return sum(re.search(pattern, seen.line) is not None for seen in self.requests)

    async def answer(self, request: PlaneRequest, handler: Handler) -> PlaneResponse:
        """The handler's answer, or what the next fault makes of it."""
        seen = SeenRequest(request.method, request.path, request.query, _scheme(request))
        self.requests.append(seen)
        fault = self._next(seen.line)
        return await fault(request, handler) if fault else await handler(request)

    def _next(self, line: str) -> Fault | None:
        for planned in self._planned:
            if planned.left != 0 and planned.pattern.search(line):
                if planned.left is not None:
                    planned.left -= 1
                return planned.fault
        return None


def answering(
    status: int, body: bytes = b"", content_type: str = "application/json", **headers: str
) -> Fault:
    """This answer instead of Plane's. `Retry_After="5"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(request: PlaneRequest, _: Handler) -> PlaneResponse:
        return finish(PlaneResponse(status, body, {"Content-Type": content_type, **named}), request)

    return fault


def server_error() -> Fault:
    """Plane's own 500."""
    return answering(500, went_wrong().response.body)


def bad_gateway() -> Fault:
    """The 502 of a proxy, in HTML."""
    return answering(502, BAD_GATEWAY, "text/html")


def wrong_type() -> Fault:
    """200 and a log-in page where JSON should be."""
    return answering(200, LOGIN_PAGE, "text/html; charset=utf-8")


def refused() -> Fault:
    """The key is no longer valid."""
    return answering(403, bad_key().response.body)


def throttled(retry_after: int) -> Fault:
    """429 with this Retry-After."""
    return answering(429, rate_limited(retry_after).response.body, Retry_After=str(retry_after))


def redirected(location: str | None = None) -> Fault:
    """302 to `location`; by default to where the request came from: a loop."""

    async def fault(request: PlaneRequest, _: Handler) -> PlaneResponse:
        return PlaneResponse(302, headers={"Location": location or _target(request.path, request.query)})

    return fault


def delayed(seconds: float, sleep: Sleep = asyncio.sleep) -> Fault:
    """The right answer, late."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        await sleep(seconds)
        return await handler(request)

    return fault


def dripping(piece: int, pause: float, sleep: Sleep = asyncio.sleep) -> Fault:
    """The right answer, `piece` bytes at a time with a pause between."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        response = await handler(request)
        return Dripping(
            response.status, response.body, response.headers, piece=piece, pause=pause, sleep=sleep
        )

    return fault


def cut_off() -> Fault:
    """Half of the JSON, as a well-formed HTTP answer: what a proxy sends that lost its backend."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        response = await handler(_plain(request))
        response.body = response.body[: len(response.body) // 2]
        return response

    return fault


def broken() -> Fault:
    """The connection closes in the middle of the body. Only over real HTTP: see `raising` for ASGI."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        response = await handler(request)
        return Broken(response.status, response.body, response.headers)

    return fault


def raising(error: Exception) -> Fault:
    """Raises. Over httpx.ASGITransport the client sees exactly this error, e.g. httpx.ConnectError."""

    async def fault(_: PlaneRequest, __: Handler) -> PlaneResponse:
        raise error

    return fault


def followed_by(callback: Callable[[], object]) -> Fault:
    """The right answer, and then the callback: pages that shift while they are read."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        response = await handler(request)
        callback()
        return response

    return fault


def edited(change: Callable[[Any], object]) -> Fault:
    """The right answer, its JSON changed in place by `change`."""

    async def fault(request: PlaneRequest, handler: Handler) -> PlaneResponse:
        response = await handler(_plain(request))
        body = msgspec.json.decode(response.body)
        change(body)
        response.body = msgspec.json.encode(body)
        return response

    return fault


def repeated() -> Fault:
    """A page whose last row is its first again: the same id twice, the counts as before."""

    def change(page: Any) -> None:
        rows = _rows(page)
        rows[-1] = rows[0]

    return edited(change)


def malformed(**fields: object) -> Fault:
    """A page whose first row has these values; None is null, `...` leaves the field out."""

    def change(page: Any) -> None:
        row = _rows(page)[0]
        row.update(fields)
        for name in [name for name, value in row.items() if value is ...]:
            del row[name]

    return edited(change)


def _rows(page: Any) -> list[Row]:
    """The rows of a page or of a bare array."""
    return page if isinstance(page, list) else page["results"]


def _scheme(request: PlaneRequest) -> str | None:
    if "x-api-key" in request.headers:
        return "X-API-Key"
    return request.headers.get("authorization", "").partition(" ")[0] or None


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _plain(request: PlaneRequest) -> PlaneRequest:
    """The same request without gzip, so that its answer can be read."""
    kept = {name: value for name, value in request.headers.items() if name != "accept-encoding"}
    return msgspec.structs.replace(request, headers=kept)
