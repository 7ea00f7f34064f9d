"""/me/links: a person makes, names, filters, renews and revokes links of their own."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.errors import BadParameter, LinkRefused, StoreFailed
from icsfeed.feeds.query import narrowed, parse_query, query_string
from icsfeed.own_links.changes import refused
from icsfeed.own_links.model import LastRead, NewToken, OwnLink
from icsfeed.web.me.titles import titles_of
from icsfeed.web.me.visitor import (
    MAX_FORM_BYTES,
    FormRefused,
    Visitor,
    can_sign_in,
    form_token,
    read_form,
    session_cookie,
    visitor_of,
)
from icsfeed.web.openapi import CHANGE_LINK, MAKE_LINK, ME_LINKS, PAGE, SIGN_OUT, described
from icsfeed.web.pages.errors import message_page
from icsfeed.web.pages.feed import qr_code
from icsfeed.web.pages.render import PageRequest, page_answer, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import Site
from icsfeed.web.subscribe.choices import account_link, caldav_login, davx5_address, profile_address

HEADERS = {**NEVER_STORED, "Referrer-Policy": "same-origin"}
"""With "no-referrer" browsers send forms with `Origin: null` (Fetch, 3.1)."""

Answer: TypeAlias = Response[Any]
Form: TypeAlias = Mapping[str, str]

log = logging.getLogger("icsfeed.links")


class OwnLinkRow(Struct, frozen=True):
    """One of the person's links on the page. `calendar`: its feed's title; empty: it is gone.

    `narrowing`: its filter as parameters and values; `edit`: where another one is chosen.
    """

    link: OwnLink
    calendar: str
    narrowing: Sequence[tuple[str, str]]
    edit: str
    readers: Sequence[LastRead]


class NewAddresses(Struct, frozen=True):
    """The addresses of a link that was made or renewed, shown once. `user`: the login name of an account.

    `davx5`, `profile`: where DAVx5 and Apple's devices set the account up; empty over plain http.
    """

    ics: str = ""
    webcal: str = ""
    page: str = ""
    server: str = ""
    user: str = ""
    password: str = ""
    davx5: str = ""
    profile: str = ""
    qr: Markup | None = None


@route(
    ["/me/links", "/me/invite/{token:str}"],
    http_method=HttpMethod.OPTIONS,
    include_in_schema=False,
    status_code=HTTPStatus.NO_CONTENT,
)
async def page_options() -> Response[None]:
    """Name the methods of pages with a form. litestar's own answer (2.25) lacks those of the second handler.

    To be registered before the handlers.
    """
    return Response(None, status_code=HTTPStatus.NO_CONTENT, headers={"Allow": "GET, HEAD, OPTIONS, POST"})


@route(
    "/me/links",
    http_method=READ,
    operation_class=described(ME_LINKS, ("feed", *PAGE)),
    summary="The links that the person who is signed in has made",
)
async def own_links(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Answer:
    """The person's links, and a form that makes another one: of the calendar `feed`, with a filter."""
    if not can_sign_in(site):
        raise NotFoundException
    visitor = await visitor_of(request, site)
    if visitor is None:
        return message_page(request, "me out", HTTPStatus.FORBIDDEN)
    await site.service.own.refresh(1.0)
    return await _links_page(request, site, visitor)


@post(
    "/me/links",
    status_code=HTTPStatus.OK,
    request_max_body_size=MAX_FORM_BYTES,
    operation_class=described(MAKE_LINK, PAGE),
    summary="Make a link of one's own",
)
async def make_own_link(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Answer:
    """Make a link. The answer shows it, once."""

    async def make(visitor: Visitor, form: Form) -> Answer:
        name = form.get("feed", "")
        narrowing = ""
        if name:
            mine = (await site.service.own_access.feeds_of(visitor.person)).feeds
            if not any(calendar.name == name for calendar in mine):
                raise refused("feed")
            narrowing = await _usable(site, name, form.get("narrowing", ""))
        identity = site.service.links.identity_of(name) if name else ""
        device, title = form.get("device", ""), form.get("title", "")
        made = await site.service.own.make(visitor.person, device, identity, narrowing, title)
        return _shown_once(request, site, made)

    return await _acted_on(request, site, make)


@post(
    "/me/links/{link:str}",
    status_code=HTTPStatus.OK,
    request_max_body_size=MAX_FORM_BYTES,
    operation_class=described(CHANGE_LINK, PAGE),
    summary="Change a link of one's own",
)
async def change_own_link(
    request: Request[Any, Any, Any], site: NamedDependency[Site], link: FromPath[str]
) -> Answer:
    """Rename, filter, renew or revoke (`act`) a link of the person."""

    async def change(visitor: Visitor, form: Form) -> Answer:
        own = site.service.own
        changed = own.by_id.get(link)
        if changed is None or changed.person != visitor.person:
            raise refused("gone")
        act = form.get("act")
        if act == "renew":
            return _shown_once(request, site, await own.renew(link))
        if act == "revoke":
            await own.revoke(link)
        elif act == "rename":
            await own.rename(link, form.get("device", ""), form.get("title", ""))
        elif act == "narrow":
            name = site.service.links.name_by_identity(changed.feed)
            if name is None:
                raise refused("feed")
            await own.narrow(link, await _usable(site, name, form.get("narrowing", "")))
        else:
            raise FormRefused("form foreign", HTTPStatus.BAD_REQUEST)
        return _to(request, site, "/me/links")

    return await _acted_on(request, site, change)


@post(
    "/me/sign-out",
    status_code=HTTPStatus.SEE_OTHER,
    request_max_body_size=MAX_FORM_BYTES,
    operation_class=described(SIGN_OUT, PAGE),
    summary="Sign out",
)
async def sign_out(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Answer:
    """End the session that an invitation began."""

    async def end(visitor: Visitor, _form: Form) -> Answer:
        await site.service.own.sign_out(visitor.session)
        response = _to(request, site, "/me")
        response.set_cookie(session_cookie(request, site, ""))
        return response

    return await _acted_on(request, site, end)


async def _acted_on(
    request: Request[Any, Any, Any], site: Site, act: Callable[[Visitor, Form], Awaitable[Answer]]
) -> Answer:
    """Return what `act` answers to the form of somebody who is signed in, or why it cannot be done."""
    if not can_sign_in(site):
        raise NotFoundException
    visitor = await visitor_of(request, site)
    if visitor is None:
        return message_page(request, "me out", HTTPStatus.FORBIDDEN)
    try:
        form = await read_form(request, site, visitor)
        allowance = site.server.link_changes.take(visitor.person)
        if not allowance.granted:
            return message_page(request, "form often", HTTPStatus.TOO_MANY_REQUESTS, allowance.headers())
        return await act(visitor, form)
    except FormRefused as error:
        return message_page(request, error.key, error.status)
    except LinkRefused as error:
        return await _links_page(request, site, visitor, error)
    except StoreFailed as error:
        log.error("%s", error)
        return message_page(request, "store failed", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"})


async def _usable(site: Site, name: str, narrowing: str) -> str:
    """Return a filter as it is stored. Raise LinkRefused where the feed cannot be filtered so."""
    pairs = parse_qsl(narrowing.removeprefix("?"), keep_blank_values=True)
    try:
        narrowed(await site.service.feed(name), parse_query(pairs))
    except BadParameter as error:
        raise refused("filter", field=error.field) from None
    return query_string(pairs)


async def _links_page(
    request: Request[Any, Any, Any], site: Site, visitor: Visitor, problem: LinkRefused | None = None
) -> Answer:
    service, ask = site.service, page_request(request, site.config)
    mine = (await service.own_access.feeds_of(visitor.person)).feeds
    links = service.own.of(visitor.person)
    names = {link.id: service.links.name_by_identity(link.feed) for link in links if not link.is_account}
    known = {calendar.name for calendar in mine}
    titles = await titles_of(service, dict.fromkeys([*known, *filter(None, names.values())]))
    readers = service.own.readers
    rows = [
        OwnLinkRow(
            link,
            titles.get(names.get(link.id) or "", ""),
            parse_qsl(link.narrowing),
            _edit(ask, link, names.get(link.id)),
            readers.get(link.id, ()),
        )
        for link in links
    ]
    chosen = ask.get("feed") if ask.get("feed") in known else None
    html = site.pages.html(
        "me_links.html",
        ask,
        title=ask.l10n.say("own title"),
        person=visitor.person,
        by_session=bool(visitor.session),
        rows=rows,
        calendars={calendar.name: titles[calendar.name] for calendar in mine},
        chosen=chosen,
        narrowing=query_string(ask.parameters) if chosen else "",
        filters=parse_qsl(query_string(ask.parameters)) if chosen else (),
        form=form_token(site, visitor, site.server.clock()),
        is_durable=service.own.is_durable,
        problem=problem,
        look=_look(ask),
    )
    return page_answer(html, HTTPStatus.CONFLICT if problem else HTTPStatus.OK, headers=HEADERS)


def _edit(ask: PageRequest, link: OwnLink, name: str | None) -> str:
    """Return the address where another filter for a link is chosen; empty: there is none."""
    if name is None:
        return ""
    query = [("feed", name), ("link", link.id), *parse_qsl(link.narrowing)]
    return f"{ask.root}/me?{urlencode(query)}#build"


def _shown_once(request: Request[Any, Any, Any], site: Site, made: NewToken) -> Answer:
    ask, link = page_request(request, site.config), made.link
    if link.is_account:
        addresses = _account_addresses(ask.base, link.person, made.token)
    else:
        name = site.service.links.name_by_identity(link.feed) or "calendar"
        page = f"{ask.base}/feeds/{made.token}/{name}"
        scheme, _, rest = f"{page}.ics".partition("://")
        webcal = f"{'webcals' if scheme == 'https' else 'webcal'}://{rest}"
        addresses = NewAddresses(ics=f"{page}.ics", webcal=webcal, page=page, qr=qr_code(page))
    html = site.pages.html(
        "me_link.html",
        ask,
        title=ask.l10n.say("own once title", name=link.device),
        addresses=addresses,
        is_private=urlsplit(ask.base).scheme == "https",
        look=_look(ask),
    )
    return page_answer(html, headers=HEADERS)


def _account_addresses(base: str, person: str, token: str) -> NewAddresses:
    addresses = NewAddresses(server=f"{base}/dav/", user=person, password=token)
    ics = account_link(base, token)
    login = caldav_login(ics, person)
    if login is None:
        return addresses
    profile = f"{profile_address(ics)}?account=caldav"
    return replace(addresses, davx5=davx5_address(login), profile=profile, qr=qr_code(profile))


def _look(ask: PageRequest) -> str:
    """Return the query that keeps the language and the colours of the page; empty: there is none."""
    look = [(name, value) for name in ("lang", "theme") if (value := ask.get(name))]
    return f"?{urlencode(look)}" if look else ""


def _to(request: Request[Any, Any, Any], site: Site, path: str) -> Answer:
    # 303, so that reloading the page does not send the form again (RFC 9110, 15.4.4).
    ask = page_request(request, site.config)
    headers = {**NEVER_STORED, "Location": f"{ask.root}{path}{_look(ask)}"}
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers)
