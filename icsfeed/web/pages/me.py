"""/me: their own calendars for a person whom a sign-in proxy vouches for."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, route
from litestar.di import NamedDependency
from msgspec import Struct

from icsfeed.config.schema import Feed
from icsfeed.errors import BadParameter, FeedError
from icsfeed.feeds.calendar import title_of
from icsfeed.feeds.personal import PersonalFeed, of_projects, own_feeds, person_with, project_feeds
from icsfeed.feeds.service import FeedService
from icsfeed.model import View
from icsfeed.single_flight import run_in_thread
from icsfeed.web.client_address import signed_in
from icsfeed.web.openapi import CALENDAR_PAGE, ME, described
from icsfeed.web.pages.errors import refusal, trouble
from icsfeed.web.pages.feed import feed_page_answer, feed_page_html, feed_page_of, narrowed_feed_of
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.memberships import Memberships
from icsfeed.web.pages.render import PageRenderer, PageRequest, message_answer, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import ServerState


class OwnCalendar(Struct, frozen=True):
    """A calendar of the person's: its name on the page and the way to it."""

    title: str
    href: str
    current: bool


@route(
    "/me",
    http_method=READ,
    operation_class=described(ME, ("feed", *CALENDAR_PAGE)),
    summary="The calendars of the person who is signed in",
)
async def me(
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
    memberships: NamedDependency[Memberships],
    server: NamedDependency[ServerState],
) -> Response[str]:
    """The page of the person's own calendar; `feed` names another one of theirs."""
    if service.config.auth_proxy is None:
        return refusal(request, service, pages, None)
    ask = page_request(request, service.config)
    email = signed_in(request, service.config.auth_proxy, server.proxy_guesses)
    if email is None:
        return message_answer(pages, ask, "me out", HTTPStatus.FORBIDDEN)
    mine = await mine_of(service, memberships, email)
    if not mine:
        return message_answer(pages, ask, "me none", HTTPStatus.OK, who=email)
    chosen = next((own for own in mine if own.name == ask.get("feed")), mine[0])
    try:
        seen = await narrowed_feed_of(sheets, ask, chosen.name)
        owns = await _owns(service, ask, mine, chosen)

        def work() -> str:
            page = feed_page_of(service, ask, seen, chosen.subscriber)
            return feed_page_html(pages, ask, page, service, person=email, mine=owns)

        html = await run_in_thread(len(seen.whole.items), work)
    except (FeedError, BadParameter) as error:
        return trouble(pages, ask, error)
    answer = feed_page_answer(html, seen)
    answer.headers.update(NEVER_STORED)
    return answer


async def mine_of(service: FeedService, memberships: Memberships, email: str) -> Sequence[PersonalFeed]:
    """The feeds of the person with this address in all workspaces: their own first."""
    feeds = {name: feed for name, feed in service.config.feeds.items() if service.links.is_served(feed)}
    feeds.update(await service.auto_feeds())
    own: list[PersonalFeed] = []
    shared: list[PersonalFeed] = []
    for workspace, roster in (await service.rosters()).items():
        person = person_with(email, roster.people.values())
        if person is not None:
            here = _of_workspace(service, feeds, workspace)
            own += own_feeds(person, here, roster.people.values())
            wanted = frozenset().union(*of_projects(here, roster.projects).values())
            asked_for = [project for project in roster.projects if project.id in wanted]
            member_of = await memberships.of(workspace, asked_for, person.id)
            shared += project_feeds(person, here, roster.projects, member_of)
    return [*own, *shared]


def _of_workspace(service: FeedService, feeds: dict[str, Feed], workspace: str) -> dict[str, Feed]:
    return {name: feed for name, feed in feeds.items() if service.workspace_of(feed) == workspace}


async def _owns(
    service: FeedService, ask: PageRequest, mine: Sequence[PersonalFeed], chosen: PersonalFeed
) -> Sequence[OwnCalendar]:
    """The way to each calendar. Titles that two have are told apart by the feeds' names."""
    rosters = await service.rosters()
    titles = [await _title(service, rosters, own) for own in mine]
    kept = [(name, value) for name, value in ask.parameters if name in ("lang", "theme") and value]
    return [
        OwnCalendar(
            title=title if titles.count(title) == 1 else f"{title} ({own.name})",
            href="?" + urlencode([("feed", own.name), *kept]),
            current=own == chosen,
        )
        for own, title in zip(mine, titles, strict=True)
    ]


async def _title(service: FeedService, rosters: Mapping[str, View], own: PersonalFeed) -> str:
    """A calendar's title, for which its issues are not read; one that cannot be told goes by its name."""
    try:
        feed = await service.feed(own.name)
        name = service.workspace_of(feed)
        workspace = service.config.workspaces[name].title or name
        return title_of(own.name, feed, feed.language or service.config.language, rosters[name], workspace)
    except FeedError:
        return own.name
