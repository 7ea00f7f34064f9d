"""Revoke links that people have made: the administrator's part of them."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency

from icsfeed.errors import LinkRefused, StoreFailed
from icsfeed.own_links.changes import refused
from icsfeed.own_links.listing import ListedLink, listed_links
from icsfeed.own_links.model import person_of_address
from icsfeed.web.me.visitor import FormRefused, Visitor, read_form
from icsfeed.web.openapi import REVOKE, described
from icsfeed.web.pages.render import page_request, wants_html
from icsfeed.web.responses import NEVER_STORED, ApiError
from icsfeed.web.state import Site

BY = "the administrator"
"""Who has changed a link, in the log."""
ADMINISTRATOR = Visitor(BY)
"""Whose form tokens those of the status page are: nobody's address has spaces."""


ALL = "all"
"""What `revoke` is where all links of a feed are meant: no id, and nobody's address."""


def links_to_end(links: Iterable[ListedLink], of: str, feed: str = "") -> Sequence[ListedLink]:
    """Return the links in use that have this id, or are of the person with this address; `ALL`: of a feed."""
    wanted = of.strip().casefold()
    return [
        link
        for link in links
        if link.state != "revoked"
        and (wanted in (link.id, link.person) or (wanted, feed) == (ALL, link.feed))
    ]


async def _form(request: Request[Any, Any, Any], site: Site) -> Mapping[str, str]:
    """Return the fields of a form. One of a browser must come from our page, and carry its token."""
    # No page of another site can make a browser send a Bearer token.
    if request.headers.get("authorization", "").strip().lower().startswith("bearer "):
        return {name: str(value) for name, value in (await request.form()).items()}
    try:
        return await read_form(request, site, ADMINISTRATOR)
    except FormRefused:
        text = "This form is too old, or was not sent by the status page. Programs use the token as Bearer."
        raise ApiError(HTTPStatus.FORBIDDEN, "FORM_REFUSED", text) from None


@post(
    "/status/revoke",
    status_code=HTTPStatus.OK,
    operation_class=described(REVOKE),
    summary="Revoke a link that a person has made, or all of a person or a feed",
)
async def revoke_links(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[Any]:
    """Takes a form with `revoke`: the id of a link, the address of a person, who is also signed out, or `all`
    with the name of a `feed`."""
    form, own = await _form(request, site), site.service.own
    of = form.get("revoke", "")
    # Another process may have made or revoked links a moment ago.
    await own.refresh()
    names = site.service.links.names_of(link.feed for link in own.links)
    links = links_to_end(listed_links(own.links, {}, names), of, form.get("feed", ""))
    if not own.is_read:
        text = "The store does not answer: it is not known which links people have made."
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "STORE_FAILED", text)
    try:
        if not links:
            raise refused("gone")
        if links[0].person == person_of_address(of):
            await own.revoke_all(of, by=BY)
        elif links[0].id != of.strip().casefold():
            await own.revoke_feed({own.by_id[link.id].feed for link in links}, by=BY)
        else:
            await own.revoke(links[0].id, by=BY)
    except LinkRefused:
        text = "There is no such link in use. Links of the configuration are revoked there (`revoked:`)."
        raise ApiError(HTTPStatus.NOT_FOUND, "NOT_FOUND", text) from None
    except StoreFailed as error:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "STORE_FAILED", str(error)) from None
    if not wants_html(request):
        return Response({"status": "revoked", "links": [link.id for link in links]}, headers=NEVER_STORED)
    # 303, so that reloading the page does not send the form again (RFC 9110, 15.4.4).
    location = f"{page_request(request, site.config).root}/status?show=own+links&revoked={len(links)}"
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers={**NEVER_STORED, "Location": location})
