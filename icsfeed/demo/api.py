"""The demo's Plane as a server: it checks path, key, permission and rate limit, and calls the view."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn, ParamSpec

from litestar import Litestar, Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from icsfeed.demo.access import KeyLimits, RequestContext, SlidingWindow, authenticate
from icsfeed.demo.data import DemoData
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.plans import PLAN_ROUTES
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

INSTANCES_PATH = "/api/instances/"


class PlaneServer:
    """Answers requests. Its only state is the counts of the rate limit."""

    def __init__(
        self,
        data: DemoData,
        clock: Callable[[], datetime],
        routes: Sequence[Route],
        limits: KeyLimits,
        edition: Edition,
    ) -> None:
        self.data = data
        self.clock = clock
        self.routes = routes
        self.window = SlidingWindow(limits, clock)
        self.edition = edition

    async def __call__(self, request: PlaneRequest) -> PlaneResponse:
        return finish(answer_or_refusal(self._respond, request), request)

    def _respond(self, request: PlaneRequest) -> PlaneResponse:
        if request.path == INSTANCES_PATH:  # the only one that needs no key
            stated = {"current_version": self.edition.release, "edition": self.edition.instance}
            return json_response(200, {"config": {}, "instance": {**stated, "is_setup_done": True}})
        route, params = match_route(self.routes, request)
        response = answer_or_refusal(self._answer, route, params, request)
        response.headers.setdefault("Allow", route.allow)
        return response

    def _answer(self, route: Route, params: dict[str, str], request: PlaneRequest) -> PlaneResponse:
        """Check the key, the permission, the rate limit and then the method: the order of Plane v1.3.1."""
        now = self.clock()
        key = authenticate(self.data, request, now, self.edition)
        context = RequestContext(
            data=self.data, request=request, key=key, params=params, edition=self.edition
        )
        route.guard(context)
        remaining = self.window.take(key)
        if remaining < 0:
            raise rate_limited(self.window.retry_after(key))
        # Plane counts requests that the view refuses, and those with a wrong method, too.
        response = answer_or_refusal(route.views.get(request.method, method_not_allowed), context)
        # Not the time of the reset, but the end of a window that would begin now: so does Plane.
        reset = int(now.timestamp()) + self.window.limits.seconds
        response.headers |= {"X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(reset)}
        return response


def match_route(routes: Sequence[Route], request: PlaneRequest) -> tuple[Route, dict[str, str]]:
    """Return the route of a path and its named parts. Raise PlaneRefusal: 301 to add a slash, or 404."""
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


def answer_or_refusal(answer: Callable[P, PlaneResponse], *args: P.args, **kwargs: P.kwargs) -> PlaneResponse:
    """Return the response of `answer`, or that of the PlaneRefusal which it raises."""
    try:
        return answer(*args, **kwargs)
    except PlaneRefusal as refusal:
        return refusal.response


def routes_of(edition: Edition) -> Sequence[Route]:
    return (*PLAN_ROUTES, *ROUTES) if edition.has_plans else ROUTES


def create_plane(
    data: DemoData,
    clock: Callable[[], datetime],
    *,
    routes: Sequence[Route] | None = None,
    limits: KeyLimits = KeyLimits(),  # noqa: B008 - frozen
    edition: Edition = COMMUNITY,
    handle: Callable[[PlaneRequest, Handler], Awaitable[PlaneResponse]] | None = None,
) -> Litestar:
    """Return a Plane that serves `data`.

    `clock` drives the rate limit and the expiry of keys; `routes` are by default those of the edition.
    `handle`, if given, answers each request; its second argument is the handler that it replaces.
    """
    plane = PlaneServer(data, clock, routes_of(edition) if routes is None else routes, limits, edition)

    # A mount, not routes of litestar: Plane's redirects, refusals and Allow headers depend on the raw path.
    @asgi("/", is_mount=True, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        http: HTTPScope = scope  # type: ignore[assignment]
        request = await read_request(http, receive)
        response = await handle(request, plane) if handle else await plane(request)
        await response.transmit(send)

    return Litestar([serve], openapi_config=None, exception_handlers={Exception: _raise}, logging_config=None)


def _raise(_: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Raise the error again: over httpx.ASGITransport it reaches the client, a test or the demo, as it is."""
    raise error
