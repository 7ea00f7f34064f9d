"""/status for browsers: what the administrator's JSON says, as a page."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response

from icsfeed.doctor.clients import LARGE
from icsfeed.feeds.service import FeedService
from icsfeed.web.pages.render import PageRenderer, message_answer, page_answer, page_request
from icsfeed.web.responses import NEVER_STORED
from icsfeed.web.status.report import ServerReport

SYNCS = {HTTPStatus.ACCEPTED: "started", HTTPStatus.CONFLICT: "running"}


def status_page(
    request: Request[Any, Any, Any],
    service: FeedService,
    pages: PageRenderer,
    report: ServerReport,
    *,
    with_links: bool,
) -> Response[str]:
    """The report as a page. Links are masked unless they were asked for: who has one can read the feed."""
    ask = page_request(request, service.config)
    sync = ask.get("sync") if ask.get("sync") in ("started", "running", "limited") else None
    html = pages.html("status.html", ask, report=report, with_links=with_links, sync=sync, large=LARGE)
    # With "no-referrer" browsers send the form of the sync button with `Origin: null` (Fetch, 3.1).
    return page_answer(html, headers={**NEVER_STORED, "Vary": "Accept", "Referrer-Policy": "same-origin"})


def sync_answer(
    request: Request[Any, Any, Any], service: FeedService, answer: Response[Any]
) -> Response[Any]:
    """Back to the page whose button was pressed, which says what became of it."""
    ask = page_request(request, service.config)
    became = SYNCS.get(HTTPStatus(answer.status_code or HTTPStatus.OK), "limited")
    headers = {**NEVER_STORED, "Location": f"{ask.root}/status?sync={became}"}
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers)


def refused_page(
    request: Request[Any, Any, Any], service: FeedService, pages: PageRenderer, answer: Response[Any]
) -> Response[str]:
    """What a browser shows when no token was given, or a wrong one; the browser asks for it before."""
    status = answer.status_code or HTTPStatus.UNAUTHORIZED
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-type"}
    return message_answer(pages, page_request(request, service.config), "page admin", status, headers=headers)
