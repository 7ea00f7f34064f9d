"""/ for browsers: what this server is, whether it is well, where to get a link. Never a feed's name."""

from typing import Any

from litestar import Request, Response

from icsfeed.feeds.service import FeedService
from icsfeed.web.client_address import signed_in
from icsfeed.web.pages.render import PageRenderer, page_answer, page_request
from icsfeed.web.state import ServerState


def front_page(
    request: Request[Any, Any, Any], service: FeedService, pages: PageRenderer, server: ServerState
) -> Response[str]:
    """The front page. Who is signed in finds the way to their own calendars."""
    known = signed_in(request, service.config.auth_proxy, server.proxy_guesses) is not None
    html = pages.html(
        "front.html",
        page_request(request, service.config),
        title="icsfeed",
        healthy=service.is_read,
        signed_in=known,
    )
    answer = page_answer(html, headers={"Vary": "Accept"})
    del answer.headers["X-Robots-Tag"]
    return answer
