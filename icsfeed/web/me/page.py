"""/me: the calendars of a person who is signed in, with the filter that their own links may keep."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from msgspec import Struct

from icsfeed.feeds.people.personal import PersonalFeed
from icsfeed.single_flight import run_in_thread
from icsfeed.web.me.titles import titles_of
from icsfeed.web.me.visitor import Visitor, can_sign_in, form_token, visitor_of
from icsfeed.web.openapi import FEED_PAGE, ME, described
from icsfeed.web.pages.errors import message_page
from icsfeed.web.pages.feed import feed_page_answer, feed_page_html, narrowed_feed_of, page_link
from icsfeed.web.pages.render import PageRequest, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import Site


class OwnCalendar(Struct, frozen=True):
    """One of the person's calendars: its name on the page and its link."""

    title: str
    href: str
    current: bool


class OwnLinkBar(Struct, frozen=True):
    """What the page offers for links of one's own. `make`: the address of the form that makes one.

    `edit`: id and device of the link whose filter is being chosen, if any; `narrowing`: the filter so far.
    """

    make: str
    form: str
    narrowing: str
    edit: tuple[str, str] | None = None


@route(
    "/me",
    http_method=READ,
    operation_class=described(ME, ("feed", "link", *FEED_PAGE)),
    summary="The calendars of the person who is signed in",
)
async def me(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[str]:
    """The page of the person's own calendar; `feed` names another one of theirs.

    With `link`, the id of one of their links, the filter that is chosen can be kept in that link.
    """
    if not can_sign_in(site):
        raise NotFoundException
    visitor = await visitor_of(request, site)
    if visitor is None:
        return message_page(request, "me out", HTTPStatus.FORBIDDEN)
    mine = (await site.service.own_access.feeds_of(visitor.person)).feeds
    if not mine:
        return message_page(request, "me none", HTTPStatus.OK, who=visitor.person)
    ask = page_request(request, site.config)
    chosen = next((calendar for calendar in mine if calendar.name == ask.get("feed")), mine[0])
    seen = await narrowed_feed_of(site, ask, chosen.name)
    titles = await titles_of(site.service, [calendar.name for calendar in mine])
    values = {
        "person": visitor.person,
        "mine": _own_calendars(ask, mine, chosen, titles),
        "link_bar": _link_bar(site, ask, visitor, chosen, seen.narrowing),
    }
    link = page_link(site, ask, chosen.name, chosen.subscriber)
    html = await run_in_thread(len(seen.whole.items), lambda: feed_page_html(site, ask, seen, link, **values))
    response = feed_page_answer(site, html, seen)
    # With "no-referrer" browsers send forms with `Origin: null` (Fetch, 3.1).
    response.headers.update({**NEVER_STORED, "Referrer-Policy": "same-origin"})
    return response


def _own_calendars(
    ask: PageRequest, mine: Sequence[PersonalFeed], chosen: PersonalFeed, titles: Mapping[str, str]
) -> Sequence[OwnCalendar]:
    look = [(name, value) for name in ("lang", "theme") if (value := ask.get(name))]
    return [
        OwnCalendar(
            title=titles[calendar.name],
            href="?" + urlencode([("feed", calendar.name), *look]),
            current=calendar == chosen,
        )
        for calendar in mine
    ]


def _link_bar(
    site: Site, ask: PageRequest, visitor: Visitor, chosen: PersonalFeed, narrowing: str
) -> OwnLinkBar:
    look = [(name, value) for name in ("lang", "theme") if (value := ask.get(name))]
    query = urlencode([("feed", chosen.name), *parse_qsl(narrowing), *look])
    edited = site.service.own.by_id.get(ask.get("link") or "")
    edit = None
    if edited is not None and edited.person == visitor.person and edited.revoked_at is None:
        edit = (edited.id, edited.device)
    form = form_token(site, visitor, site.server.clock())
    return OwnLinkBar(f"{ask.root}/me/links?{query}", form, narrowing, edit)
