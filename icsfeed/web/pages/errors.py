"""What routes answer when they fail: litestar's exception handlers, and what links to pages raise.

Calendars, whose readers are apps, answer for themselves (web/feeds/).
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException
from msgspec.structs import replace

from icsfeed.errors import BadParameter, FeedError, NoCopy, UnknownFeed
from icsfeed.feeds.links import Grant, Kind
from icsfeed.web.client_address import client_of
from icsfeed.web.pages.render import PageRequest, frame_ancestors, page_answer, page_request, wants_html
from icsfeed.web.responses import (
    ERROR_RETRY_SECONDS,
    NEVER_STORED,
    NOT_FOUND,
    ApiError,
    error_answer,
    plain_answer,
    site_of,
)

LINKS = ("/feeds/", "/embed/")
"""What the paths of secret and public links begin with."""
CODES: Mapping[int, str] = {
    400: "INVALID_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}

log = logging.getLogger("icsfeed.web")


async def open_link(
    request: Request[Any, Any, Any], name: str, token: str | None, kind: Kind
) -> tuple[PageRequest, str, Grant]:
    """Return how a page is asked for, the feed that its link opens, and to whom.

    Raise NotFoundException for a link that opens nothing, in the same time whatever the reason; HTTPException
    with 410 for a revoked one, 429 for too many wrong ones; NoCopy while it is not known whose it is.
    """
    site = site_of(request)
    name, grant = await site.service.access(name, token, kind)
    if grant is None:
        await site.server.token_throttle.delay(client_of(request))
        raise NotFoundException
    if grant.revoked:
        raise HTTPException(status_code=HTTPStatus.GONE)
    feed = site.config.feeds.get(name)
    # From now on in the feed's language, errors too. Before, that would tell that there is such a feed.
    ask = request.state.ask = page_request(request, site.config, feed.language if feed else None)
    return ask, name, grant


def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what litestar and our routes refuse: no such route or link, no admin token, a wrong method."""
    is_link = request.scope["path"].startswith(LINKS)
    status, now = error.status_code, site_of(request).server.clock()
    if isinstance(error, ApiError):
        if wants_html(request):
            return message_page(request, "page admin", status, headers=error.headers)
        return error_answer(status, error.code, error.detail, now=now, headers=error.headers)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        if wants_html(request):
            missing = "page missing" if is_link else "page unknown"
            return message_page(request, "page revoked" if status == HTTPStatus.GONE else missing, status)
        if is_link:
            return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    if is_link and status == HTTPStatus.TOO_MANY_REQUESTS:
        return plain_answer(status, error.detail, error.headers)
    code = CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "INVALID_REQUEST")
    return error_answer(status, code, HTTPStatus(status).phrase, now=now, headers=error.headers)


def page_error(request: Request[Any, Any, Any], error: FeedError | BadParameter) -> Response[Any]:
    """Answer where a page cannot be made of a feed."""
    if isinstance(error, BadParameter):
        return message_page(request, "page parameter", HTTPStatus.BAD_REQUEST, field=error.field)
    if isinstance(error, UnknownFeed):
        return message_page(request, "page missing", HTTPStatus.NOT_FOUND)
    # That Plane cannot be read is logged where it is read; the others are for an operator to correct.
    key, seconds = "page misconfigured", ERROR_RETRY_SECONDS
    if isinstance(error, NoCopy):
        key, seconds = "page unread", error.retry_after
    else:
        log.error("%s", error)
    headers = {"Retry-After": str(seconds)}
    return message_page(request, key, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


def unexpected_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer after a defect: it is logged in full, and the answer says nothing about it."""
    log.error("unexpected error", exc_info=error)
    if wants_html(request):
        return message_page(request, "page failed", HTTPStatus.INTERNAL_SERVER_ERROR)
    now = site_of(request).server.clock()
    return error_answer(500, "INTERNAL_ERROR", "The server failed. Its log says more.", now=now)


def message_page(
    request: Request[Any, Any, Any],
    key: str,
    status: int,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response[str]:
    """Return a page of a heading and a sentence or two: `{key} title` and `{key} text` of our words.

    No link on it has the parameter that `field` names, if that is one of the values.
    """
    site = site_of(request)
    ask: PageRequest = request.state.get("ask") or page_request(request, site.config)
    parameters = tuple((name, value) for name, value in ask.parameters if name != values.get("field"))
    ask = replace(ask, parameters=parameters)
    title, text = ask.l10n.say(f"{key} title"), ask.l10n.say(f"{key} text", **values)
    html = site.pages.html("message.html", ask, title=title, text=text)
    is_embed = "path_template" in request.scope and request.scope["path"].startswith("/embed/")
    ancestors = frame_ancestors(site.config) if is_embed else ()
    return page_answer(html, status, framed_by=ancestors, headers={**NEVER_STORED, **(headers or {})})
