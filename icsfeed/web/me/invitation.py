"""/me/invite: an invitation signs a person in, once, where there is no sign-in proxy."""

import logging
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, post, route
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from icsfeed.errors import LinkRefused, StoreFailed
from icsfeed.own_links.model import Invitation
from icsfeed.tokens import is_token
from icsfeed.web.client_address import client_of, is_same_site
from icsfeed.web.me.visitor import session_cookie
from icsfeed.web.openapi import INVITATION, PAGE, described
from icsfeed.web.pages.errors import message_page
from icsfeed.web.pages.render import page_answer, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import Site

HEADERS = {**NEVER_STORED, "Referrer-Policy": "same-origin"}

log = logging.getLogger("icsfeed.links")


@route(
    "/me/invite/{token:str}",
    http_method=READ,
    operation_class=described(INVITATION, PAGE),
    summary="An invitation",
)
async def invitation(
    request: Request[Any, Any, Any], site: NamedDependency[Site], token: FromPath[str]
) -> Response[str]:
    """A page with a button that signs in.

    To read it uses nothing up: chat apps and mail filters open links before people do.
    """
    found = await _found(request, site, token)
    if found is None:
        return message_page(request, "invite gone", HTTPStatus.GONE)
    ask = page_request(request, site.config)
    html = site.pages.html(
        "invite.html", ask, title=ask.l10n.say("invite title"), person=found.person, token=token
    )
    return page_answer(html, headers=HEADERS)


@post(
    "/me/invite/{token:str}",
    status_code=HTTPStatus.SEE_OTHER,
    operation_class=described(INVITATION, PAGE),
    summary="Use an invitation up",
)
async def accept_invitation(
    request: Request[Any, Any, Any], site: NamedDependency[Site], token: FromPath[str]
) -> Response[Any]:
    """Sign in. The invitation cannot be used again."""
    # The token is the secret of the form; only our own page may send it, so that nobody is signed in by
    # another site's.
    if is_same_site(request, site.config.public_url) is not True:
        return message_page(request, "form foreign", HTTPStatus.FORBIDDEN)
    if await _found(request, site, token) is None:
        return message_page(request, "invite gone", HTTPStatus.GONE)
    try:
        _, cookie = await site.service.own.accept(token)
    except LinkRefused:
        return message_page(request, "invite gone", HTTPStatus.GONE)
    except StoreFailed as error:
        log.error("%s", error)
        return message_page(request, "store failed", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"})
    headers = {**NEVER_STORED, "Location": f"{page_request(request, site.config).root}/me"}
    response = Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers)
    response.set_cookie(session_cookie(request, site, cookie))
    return response


async def _found(request: Request[Any, Any, Any], site: Site, token: str) -> Invitation | None:
    """Return an invitation; slow down guesses as wrong links are. Raise NotFoundException without any."""
    if site.config.auth_proxy is not None or not site.service.own.is_durable:
        raise NotFoundException
    found = await site.service.own.invitation(token) if is_token(token) else None
    if found is None:
        await site.server.token_throttle.delay(client_of(request))
    return found
