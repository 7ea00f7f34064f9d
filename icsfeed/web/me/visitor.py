"""Who visits /me, and whether a form comes from our own page: nothing is changed otherwise."""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct, json

from icsfeed.own_links.model import person_of_address
from icsfeed.tokens import is_token
from icsfeed.web.client_address import is_same_site, signed_in

if TYPE_CHECKING:
    from icsfeed.web.state import Site

COOKIE = "icsfeed_me"
COOKIE_SECONDS = 400 * 86_400
"""The most that browsers keep a cookie; the server ends a session sooner (`SESSION`)."""
FORM_LIFETIME = timedelta(hours=12)
MAX_FORM_BYTES, MAX_FORM_FIELDS = 32 * 1024, 100
FORM_TYPE = "application/x-www-form-urlencoded"


class Visitor(Struct, frozen=True):
    """Somebody who is signed in. `session`: the digest of their cookie; empty: by the sign-in proxy."""

    person: str
    session: str = ""


class FormRefused(Exception):
    """A form is not acted on. `key`: the message about it, `status`: that of the answer."""

    def __init__(self, key: str, status: int) -> None:
        self.key, self.status = key, status
        super().__init__(key)


def can_sign_in(site: "Site") -> bool:
    """Return whether anybody can: through a proxy, or by an invitation, which needs a store that lasts."""
    return site.config.auth_proxy is not None or site.service.own.is_durable


async def visitor_of(request: Request[Any, Any, Any], site: "Site") -> Visitor | None:
    """Return who is signed in; None: nobody.

    Where a sign-in proxy is configured only what it says counts, so that there is one answer.
    """
    proxy = site.config.auth_proxy
    if proxy is not None:
        email = signed_in(request, proxy, site.server.proxy_guesses)
        return Visitor(person_of_address(email)) if email else None
    cookie = request.cookies.get(COOKIE, "")
    session = await site.service.own.session(cookie) if is_token(cookie) else None
    return Visitor(session.person, session.digest) if session else None


def session_cookie(request: Request[Any, Any, Any], site: "Site", value: str) -> Cookie:
    """Return the cookie of a session: for /me alone, never sent by other sites' forms or to their frames.

    An empty value removes it.
    """
    public = urlsplit(site.config.public_url or "")
    return Cookie(
        key=COOKIE,
        value=value,
        path=f"{public.path}/me",
        max_age=COOKIE_SECONDS if value else 0,
        secure="https" in (public.scheme, request.scope["scheme"]),
        httponly=True,
        samesite="lax",
    )


def form_token(site: "Site", visitor: Visitor, now: datetime) -> str:
    """Return what a form on the person's page must carry to be acted on, for FORM_LIFETIME."""
    expires = int((now + FORM_LIFETIME).timestamp())
    return f"{expires}.{_signature(site, visitor, expires)}"


async def read_form(request: Request[Any, Any, Any], site: "Site", visitor: Visitor) -> Mapping[str, str]:
    """Return the fields of a form that the person has sent from our page. Raise FormRefused.

    Browsers have long sent Origin with every form (Firefox since 70, the others before), and Sec-Fetch-Site
    over https: a request with neither does not come from a page, and is refused. Without TLS somebody on the
    way could read and change everything anyway, this included.
    """
    if is_same_site(request, site.config.public_url) is not True:
        raise FormRefused("form foreign", HTTPStatus.FORBIDDEN)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise FormRefused("form foreign", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        text = (await request.body()).decode()
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        raise FormRefused("form foreign", HTTPStatus.BAD_REQUEST) from None
    expires, _, signature = form.get("form", "").partition(".")
    is_number = expires.isascii() and expires.isdigit() and len(expires) < 12
    expected = _signature(site, visitor, int(expires) if is_number else 0)
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise FormRefused("form foreign", HTTPStatus.FORBIDDEN)
    if int(expires) < site.server.clock().timestamp():
        raise FormRefused("form old", HTTPStatus.FORBIDDEN)
    return form


def _signature(site: "Site", visitor: Visitor, expires: int) -> str:
    message = json.encode(("form", visitor.person, visitor.session, expires))
    return hmac.digest(site.form_key, message, sha256).hex()
