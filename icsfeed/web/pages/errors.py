"""What people read who ask for a page that is not there, is not theirs any more, or cannot be shown now."""

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from msgspec.structs import replace

from icsfeed.errors import BadParameter, FeedError, NoCopy, UnknownFeed
from icsfeed.feeds.links import Grant
from icsfeed.feeds.service import FeedService
from icsfeed.web.pages.render import PageRenderer, PageRequest, message_answer, page_request, wants_html
from icsfeed.web.responses import NOT_FOUND, plain_answer

log = logging.getLogger("icsfeed.pages")


def refusal(
    request: Request[Any, Any, Any],
    service: FeedService,
    pages: PageRenderer,
    grant: Grant | None,
    framed_by: Iterable[str] = (),
) -> Response[str]:
    """The answer to a link that opens nothing: the same for every reason but `revoked`.

    It is in the server's language, not the feed's: that would tell that there is such a feed.
    """
    if not wants_html(request):
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    ask = page_request(request, service.config)
    if grant is not None and grant.revoked:
        return message_answer(pages, ask, "page revoked", HTTPStatus.GONE, framed_by=framed_by)
    return message_answer(pages, ask, "page missing", HTTPStatus.NOT_FOUND, framed_by=framed_by)


def trouble(
    pages: PageRenderer, ask: PageRequest, error: FeedError | BadParameter, framed_by: Iterable[str] = ()
) -> Response[str]:
    """The answer where a page cannot be made of a feed."""
    headers: Mapping[str, str] = {}
    if isinstance(error, BadParameter):
        key, status = "page parameter", HTTPStatus.BAD_REQUEST
        others = tuple((name, value) for name, value in ask.parameters if name != error.field)
        ask = replace(ask, parameters=others)  # No link on the page leads to it again.
        return message_answer(pages, ask, key, status, framed_by=framed_by, field=error.field)
    if isinstance(error, UnknownFeed):
        return message_answer(pages, ask, "page missing", HTTPStatus.NOT_FOUND, framed_by=framed_by)
    if isinstance(error, NoCopy):
        headers = {"Retry-After": str(error.retry_after)}
    else:
        log.error("%s", error)
        headers = {"Retry-After": "300"}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return message_answer(pages, ask, "page unread", status, framed_by=framed_by, headers=headers)
