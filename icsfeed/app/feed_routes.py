"""The calendars over HTTP: by a secret link, or public (clients.md, "Status of a feed URL")."""

import logging
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from icsfeed.app.answers import NOT_FOUND, READ, error_answer, feed_answer, plain_answer
from icsfeed.app.description import CALENDAR_PAGE, CONDITIONS, FEED, PUBLIC_FEED, described
from icsfeed.app.feed_page import feed_page
from icsfeed.app.feeds import FeedService
from icsfeed.app.links import Grant
from icsfeed.app.pages import Pages
from icsfeed.app.peers import reader_of
from icsfeed.app.server_state import ServerState
from icsfeed.app.sheets import Sheets
from icsfeed.core.errors import BadParameter, FeedError, NoCopy, UnknownFeed
from icsfeed.core.feed import Rendered
from icsfeed.core.query import parse_query

log = logging.getLogger("icsfeed.web")


@route(
    "/feeds/{token:str}/{file:str}",
    http_method=READ,
    operation_class=described(FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A calendar, by its secret link",
)
async def private_feed(
    token: FromPath[str],
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[Pages],
    sheets: NamedDependency[Sheets],
) -> Response[Any]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored.

    The same address without `.ics` is the page for people.
    """
    if not file.endswith(".ics"):
        return await _counted(server, request, await feed_page(request, service, pages, sheets, file, token))
    return await _feed(service, server, request, file, token)


@route(
    "/feeds/{file:str}",
    http_method=READ,
    operation_class=described(PUBLIC_FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A public calendar",
)
async def public_feed(
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[Pages],
    sheets: NamedDependency[Sheets],
) -> Response[Any]:
    """A calendar that the configuration calls public, or its page."""
    if not file.endswith(".ics"):
        return await _counted(server, request, await feed_page(request, service, pages, sheets, file, None))
    return await _feed(service, server, request, file, None)


async def _counted(
    server: ServerState, request: Request[Any, Any, Any], page: Response[str]
) -> Response[str]:
    """A page, which no app reads, counts among the answers and for no reader."""
    page = await server.wrong_links.slowly(page, reader_of(request))
    server.audience.answered(page.status_code or HTTPStatus.OK)
    return page


async def _feed(
    service: FeedService, server: ServerState, request: Request[Any, Any, Any], file: str, token: str | None
) -> Response[Any]:
    name = file.removesuffix(".ics")
    grant = service.links.access(name, token)
    if grant is None:
        missing = plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
        answer: Response[Any] = await server.wrong_links.slowly(missing, reader_of(request))
    else:
        answer = await _granted(service, server, request, name, grant, is_public=token is None)
    report(server, name, grant, request.headers.get("user-agent"), answer.status_code or HTTPStatus.OK)
    return answer


def report(server: ServerState, name: str, grant: Grant | None, user_agent: str | None, status: int) -> None:
    """Count an answer at a feed's address, and remember who read by a good link."""
    server.audience.answered(status)
    if grant is not None and status != HTTPStatus.NOT_FOUND:
        server.audience.read(name, grant.subscriber, user_agent, status)


async def _granted(
    service: FeedService,
    server: ServerState,
    request: Request[Any, Any, Any],
    name: str,
    grant: Grant,
    *,
    is_public: bool,
) -> Response[Any]:
    try:
        rendered = await _rendered(service, request, name, grant)
    except BadParameter as error:
        details = {"field": error.field, "reason": error.reason}
        return error_answer(400, "INVALID_PARAMETER", str(error), now=server.clock(), details=details)
    except UnknownFeed:
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    except NoCopy as error:
        return _not_yet(error.retry_after)
    except FeedError as error:
        log.error("%s", error)
        return _not_yet(300)
    age = public_age(service) if is_public else None
    return await feed_answer(
        rendered, service.bodies, request.headers, name=name, public_age=age, now=server.clock()
    )


def public_age(service: FeedService) -> int:
    """For how many seconds caches may keep a public feed."""
    return int(service.config.cache.issues)


async def _rendered(
    service: FeedService, request: Request[Any, Any, Any], name: str, grant: Grant
) -> Rendered:
    if grant.revoked:
        return service.revoked(name)
    return await service.rendered(name, parse_query(request.query_params.multi_items()))


def _not_yet(retry_after: int) -> Response[str]:
    text = "This calendar cannot be read yet. It will be there when the server has read Plane."
    return plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(retry_after)})
