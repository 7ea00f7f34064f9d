"""The embedded Plane as a server: the path, the key, the permission, the budget, then the view."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from litestar import Litestar, Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from icsfeed.demo.access import Ask, Limits, Quota, authenticated
from icsfeed.demo.data import PlaneData
from icsfeed.demo.faults import Faults
from icsfeed.demo.routes import Route, routes
from icsfeed.demo.versions import VERSIONS, Version
from icsfeed.demo.wire import (
    Call,
    Refused,
    Reply,
    finished,
    json_reply,
    page_not_found,
    read_call,
    too_many,
    transmit,
)

INSTANCES = "/api/instances/"


class Plane:
    """Answers calls. Pure but for the data it serves and changes, and the count of requests."""

    def __init__(
        self, data: PlaneData, clock: Callable[[], datetime], limits: Limits, version: Version
    ) -> None:
        self.data = data
        self.clock = clock
        self.version = version
        self.routes = routes(version)
        self.quota = Quota(limits, clock)

    async def __call__(self, call: Call) -> Reply:
        try:
            reply = self._reply(call)
        except Refused as refused:
            reply = refused.reply
        return finished(reply, call)

    def _reply(self, call: Call) -> Reply:
        if call.path == INSTANCES:
            return self._instance()
        route, params = matched(self.routes, call)
        try:
            reply = self._allowed(route, params, call)
        except Refused as refused:
            reply = refused.reply
        reply.headers.setdefault("Allow", route.allow)
        return reply

    def _allowed(self, route: Route, params: dict[str, str], call: Call) -> Reply:
        """In Plane's order: the key, the permission, the budget, and only then the method."""
        now = self.clock()
        key = authenticated(self.data, call, now)
        ask = Ask(data=self.data, version=self.version, now=now, call=call, key=key, params=params)
        route.guard(ask)
        left = self.quota.take(key)
        if left < 0:
            raise too_many(self.quota.retry_after(key))
        reply = viewed(route, ask)
        reset = int(now.timestamp()) + self.quota.limits.seconds
        reply.headers |= {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset)}
        return reply

    def _instance(self) -> Reply:
        """The only answer that needs no key: it tells the version."""
        instance = {"current_version": self.version.name, "edition": "PLANE_COMMUNITY", "is_setup_done": True}
        return json_reply(200, {"config": {}, "instance": instance})


def matched(table: Sequence[Route], call: Call) -> tuple[Route, dict[str, str]]:
    """The route of a path and its named parts. Without the last slash a 301 to it."""
    for route in table:
        if found := route.pattern.fullmatch(call.path):
            return route, found.groupdict()
    if any(route.pattern.fullmatch(f"{call.path}/") for route in table):
        query = f"?{call.query}" if call.query else ""
        headers = {"Content-Type": "text/html; charset=utf-8", "Location": f"{call.path}/{query}"}
        raise Refused(Reply(301, headers=headers))
    raise page_not_found()


def viewed(route: Route, ask: Ask) -> Reply:
    """The answer of the view, or its refusal: both count."""
    view = route.views.get(ask.call.method)
    if view is None:
        return json_reply(405, {"detail": f'Method "{ask.call.method}" not allowed.'})
    try:
        return view(ask)
    except Refused as refused:
        return refused.reply


def create_plane(
    data: PlaneData,
    clock: Callable[[], datetime] | None = None,
    *,
    faults: Faults | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    version: str = "v1.3.1",
) -> Litestar:
    """A Plane that serves `data`.

    `clock` (default: that of the data) drives the budget of the keys and their expiry. `faults` makes it
    fail on demand and remembers the requests. `version`: one of `versions.VERSIONS`.
    """
    plane = Plane(data, clock or data.clock, limits, VERSIONS[version])
    between = faults or Faults()

    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        http: HTTPScope = scope  # type: ignore[assignment]
        await transmit(await between.answer(await read_call(http, receive), plane), send)

    return Litestar([serve], openapi_config=None, exception_handlers={Exception: _raise}, logging_config=None)


def _raise(_: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Errors are for the server to report; over httpx.ASGITransport they reach the client as they are."""
    raise error
