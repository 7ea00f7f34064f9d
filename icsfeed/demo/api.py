"""The demo's Plane as a server: the path, the key, the permission, the rate limit, then the view."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from litestar import Litestar, Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from icsfeed.demo.access import Ask, Limits, Quota, authenticated
from icsfeed.demo.data import DemoData
from icsfeed.demo.routes import ROUTES, Route
from icsfeed.demo.wire import (
    Call,
    Handler,
    Refused,
    Reply,
    finished,
    json_reply,
    page_not_found,
    read_call,
    too_many,
)

INSTANCES = "/api/instances/"


class Plane:
    """Answers calls. Pure except for the clock, the data, and the count of requests."""

    def __init__(
        self,
        data: DemoData,
        clock: Callable[[], datetime],
        routes: Sequence[Route],
        limits: Limits,
        release: str,
    ) -> None:
        self.data = data
        self.clock = clock
        self.routes = routes
        self.quota = Quota(limits, clock)
        self.release = release

    async def __call__(self, call: Call) -> Reply:
        try:
            reply = self._reply(call)
        except Refused as refused:
            reply = refused.reply
        return finished(reply, call)

    def _reply(self, call: Call) -> Reply:
        if call.path == INSTANCES:  # the only answer that needs no key
            instance = {"current_version": self.release, "edition": "PLANE_COMMUNITY", "is_setup_done": True}
            return json_reply(200, {"config": {}, "instance": instance})
        route, params = matched(self.routes, call)
        try:
            reply = self._allowed(route, params, call)
        except Refused as refused:
            reply = refused.reply
        reply.headers.setdefault("Allow", route.allow)
        return reply

    def _allowed(self, route: Route, params: dict[str, str], call: Call) -> Reply:
        """In Plane's order: the key, the permission, the rate limit, and only then the method."""
        now = self.clock()
        key = authenticated(self.data, call, now)
        ask = Ask(data=self.data, call=call, key=key, params=params)
        route.guard(ask)
        left = self.quota.take(key)
        if left < 0:
            raise too_many(self.quota.retry_after(key))
        reply = viewed(route, ask)
        reset = int(now.timestamp()) + self.quota.limits.seconds
        reply.headers |= {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset)}
        return reply


def matched(routes: Sequence[Route], call: Call) -> tuple[Route, dict[str, str]]:
    """The route of a path and its named parts. A path without the last slash is redirected to it."""
    for route in routes:
        if (params := route.match(call.path)) is not None:
            return route, params
    if any(route.match(f"{call.path}/") is not None for route in routes):
        query = f"?{call.query}" if call.query else ""
        headers = {"Content-Type": "text/html; charset=utf-8", "Location": f"{call.path}/{query}"}
        raise Refused(Reply(301, headers=headers))
    raise page_not_found()


def viewed(route: Route, ask: Ask) -> Reply:
    """The answer of the view, or its refusal: both count against the rate limit."""
    view = route.views.get(ask.call.method)
    if view is None:
        return json_reply(405, {"detail": f'Method "{ask.call.method}" not allowed.'})
    try:
        return view(ask)
    except Refused as refused:
        return refused.reply


def create_plane(
    data: DemoData,
    clock: Callable[[], datetime],
    *,
    routes: Sequence[Route] = ROUTES,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    release: str = "v1.3.1",
    handle: Callable[[Call, Handler], Awaitable[Reply]] | None = None,
) -> Litestar:
    """A Plane that serves `data`.

    `clock` drives the rate limit and the expiry of keys. `release` is the version that it says it is.
    `handle` answers each call in place of the Plane, which it is given to ask.
    """
    plane = Plane(data, clock, routes, limits, release)

    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        http: HTTPScope = scope  # type: ignore[assignment]
        call = await read_call(http, receive)
        reply = await handle(call, plane) if handle else await plane(call)
        await reply.transmit(send)

    return Litestar([serve], openapi_config=None, exception_handlers={Exception: _raise}, logging_config=None)


def _raise(_: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Errors are for the server to report; over httpx.ASGITransport they reach the client as they are."""
    raise error
