"""The demo's Plane as a server: the path, the key, the permission, the rate limit, then the view."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn, ParamSpec

from litestar import Litestar, Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from icsfeed.demo.access import KeyLimits, RequestContext, SlidingWindow, authenticate
from icsfeed.demo.data import DemoData
from icsfeed.demo.routes import ROUTES, Route
from icsfeed.demo.wire import (
    Handler,
    PlaneRefusal,
    PlaneRequest,
    PlaneResponse,
    finish,
    json_response,
    page_not_found,
    rate_limited,
    read_request,
)

P = ParamSpec("P")

INSTANCES = "/api/instances/"


class PlaneServer:
    """Answers requests, whatever carries them. Between two requests it keeps only the rate limit's counts."""

    def __init__(
        self,
        data: DemoData,
        clock: Callable[[], datetime],
        routes: Sequence[Route],
        limits: KeyLimits,
        release: str,
    ) -> None:
        self.data = data
        self.clock = clock
        self.routes = routes
        self.window = SlidingWindow(limits, clock)
        self.release = release

    async def __call__(self, request: PlaneRequest) -> PlaneResponse:
        return finish(refusable(self._respond, request), request)

    def _respond(self, request: PlaneRequest) -> PlaneResponse:
        if request.path == INSTANCES:  # the only path that needs no key
            instance = {"current_version": self.release, "edition": "PLANE_COMMUNITY", "is_setup_done": True}
            return json_response(200, {"config": {}, "instance": instance})
        route, params = match_route(self.routes, request)
        response = refusable(self._answer, route, params, request)
        response.headers.setdefault("Allow", route.allow)
        return response

    def _answer(self, route: Route, params: dict[str, str], request: PlaneRequest) -> PlaneResponse:
        """In Plane's order: the key, the permission, the rate limit, and only then the method."""
        now = self.clock()
        key = authenticate(self.data, request, now)
        context = RequestContext(data=self.data, request=request, key=key, params=params)
        route.guard(context)
        left = self.window.take(key)
        if left < 0:
            raise rate_limited(self.window.retry_after(key))
        # A refusal by the view counts against the limit, and so does a wrong method.
        response = refusable(route.views.get(request.method, method_not_allowed), context)
        reset = int(now.timestamp()) + self.window.limits.seconds
        response.headers |= {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset)}
        return response


def match_route(routes: Sequence[Route], request: PlaneRequest) -> tuple[Route, dict[str, str]]:
    """The route of a path and its named parts. A path without the last slash is redirected to it."""
    for route in routes:
        if (params := route.match(request.path)) is not None:
            return route, params
    if any(route.match(f"{request.path}/") is not None for route in routes):
        query = f"?{request.query}" if request.query else ""
        headers = {"Content-Type": "text/html; charset=utf-8", "Location": f"{request.path}/{query}"}
        raise PlaneRefusal(PlaneResponse(301, headers=headers))
    raise page_not_found()


def method_not_allowed(context: RequestContext) -> PlaneResponse:
    return json_response(405, {"detail": f'Method "{context.request.method}" not allowed.'})


def refusable(answer: Callable[P, PlaneResponse], *args: P.args, **kwargs: P.kwargs) -> PlaneResponse:
    """The response of `answer`, or that of the refusal it raised."""
    try:
        return answer(*args, **kwargs)
    except PlaneRefusal as refusal:
        return refusal.response


def create_plane(
    data: DemoData,
    clock: Callable[[], datetime],
    *,
    routes: Sequence[Route] = ROUTES,
    limits: KeyLimits = KeyLimits(),  # noqa: B008 - frozen
    release: str = "v1.3.1",
    handle: Callable[[PlaneRequest, Handler], Awaitable[PlaneResponse]] | None = None,
) -> Litestar:
    """A Plane that serves `data`.

    `clock` drives the rate limit and the expiry of keys. `release` is the version that it claims to be.
    `handle`, if given, answers each request; its second argument is the Plane's own handler.
    """
    plane = PlaneServer(data, clock, routes, limits, release)

    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        http: HTTPScope = scope  # type: ignore[assignment]
        request = await read_request(http, receive)
        response = await handle(request, plane) if handle else await plane(request)
        await response.transmit(send)

    return Litestar([serve], openapi_config=None, exception_handlers={Exception: _raise}, logging_config=None)


def _raise(_: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Leave errors to the server; over httpx.ASGITransport they reach the client as they are."""
    raise error
