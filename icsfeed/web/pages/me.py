"""/me: the calendars of a person whom the sign-in proxy has authenticated."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from msgspec import Struct

from icsfeed.cache.ttl import Ttl, TtlCache
from icsfeed.errors import FeedError, PlaneError
from icsfeed.feeds.calendar import title_of
from icsfeed.feeds.personal import PersonalFeed, of_projects, own_feeds, person_with, project_feeds
from icsfeed.feeds.service import FeedService
from icsfeed.model import Project, View
from icsfeed.single_flight import run_in_thread
from icsfeed.web.client_address import signed_in
from icsfeed.web.openapi import FEED_PAGE, ME, described
from icsfeed.web.pages.errors import message_page
from icsfeed.web.pages.feed import feed_page_answer, feed_page_html, narrowed_feed_of
from icsfeed.web.pages.render import PageRequest, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import Site

Key = tuple[str, str]

log = logging.getLogger("icsfeed.pages")


class OwnCalendar(Struct, frozen=True):
    """One of the person's calendars: its name on the page and its link."""

    title: str
    href: str
    current: bool


class Memberships:
    """The members of projects as they were last read, by workspace and project.

    Plane is asked only for people who sign in: with many projects, this is a request for each.
    """

    def __init__(
        self, service: FeedService, timer: Callable[[], float], clock: Callable[[], datetime]
    ) -> None:
        self._service = service
        ttl = float(service.config.cache.members)
        self._members: TtlCache[Key, frozenset[str]] = TtlCache(Ttl(ttl, timer, clock))

    async def of(self, workspace: str, projects: Iterable[Project], person: str) -> frozenset[str]:
        """Return the ids of those projects that the person (by id) is, or was, a member of.

        Wait at most the deadline. Where Plane cannot be read, the members read last count, or none.
        """
        projects = tuple(projects)
        source = self._service.workspaces[workspace]

        async def read(project: Project) -> None:
            async def members() -> frozenset[str]:
                return frozenset(person.id for person in await source.plane.project_members(project))

            if source.retry_after > 1:
                return
            try:
                await self._members[workspace, project.id].get_or_refresh(members)
            except PlaneError as error:
                log.warning("workspace %s: %s", workspace, error)

        reads = [asyncio.ensure_future(read(project)) for project in projects]
        if reads:
            # Those that take longer go on in the background, for the next time.
            await asyncio.wait(reads, timeout=float(self._service.config.cache.deadline))
        members_of = {project.id: self._members[workspace, project.id].value for project in projects}
        return frozenset(id_ for id_, people in members_of.items() if people and person in people)


@route(
    "/me",
    http_method=READ,
    operation_class=described(ME, ("feed", *FEED_PAGE)),
    summary="The calendars of the person who is signed in",
)
async def me(
    request: Request[Any, Any, Any], site: NamedDependency[Site], memberships: NamedDependency[Memberships]
) -> Response[str]:
    """The page of the person's own calendar; `feed` names another one of theirs."""
    if site.config.auth_proxy is None:
        raise NotFoundException
    email = signed_in(request, site.config.auth_proxy, site.server.proxy_guesses)
    if email is None:
        return message_page(request, "me out", HTTPStatus.FORBIDDEN)
    mine = await mine_of(site.service, memberships, email)
    if not mine:
        return message_page(request, "me none", HTTPStatus.OK, who=email)
    ask = page_request(request, site.config)
    chosen = next((calendar for calendar in mine if calendar.name == ask.get("feed")), mine[0])
    seen = await narrowed_feed_of(site, ask, chosen.name)
    calendars = await _own_calendars(site.service, ask, mine, chosen)
    html = await run_in_thread(
        len(seen.whole.items),
        lambda: feed_page_html(site, ask, seen, chosen.subscriber, person=email, mine=calendars),
    )
    response = feed_page_answer(site, html, seen)
    response.headers.update(NEVER_STORED)
    return response


async def mine_of(service: FeedService, memberships: Memberships, email: str) -> Sequence[PersonalFeed]:
    """Return the feeds of the person with this address in all workspaces: their own first."""
    feeds = {name: feed for name, feed in service.config.feeds.items() if service.links.is_served(feed)}
    feeds.update(await service.auto_feeds())
    own: list[PersonalFeed] = []
    shared: list[PersonalFeed] = []
    for workspace, roster in (await service.rosters()).items():
        person = person_with(email, roster.people.values())
        if person is not None:
            here = {name: feed for name, feed in feeds.items() if service.workspace_of(feed) == workspace}
            own += own_feeds(person, here, roster.people.values())
            with_feeds = frozenset().union(*of_projects(here, roster.projects).values())
            projects = [project for project in roster.projects if project.id in with_feeds]
            member_of = await memberships.of(workspace, projects, person.id)
            shared += project_feeds(person, here, roster.projects, member_of)
    return [*own, *shared]


async def _own_calendars(
    service: FeedService, ask: PageRequest, mine: Sequence[PersonalFeed], chosen: PersonalFeed
) -> Sequence[OwnCalendar]:
    """Return each calendar with its link. Where two have the same title, the feed's name is added."""
    rosters = await service.rosters()
    # Titles come from the rosters: to list the calendars, no issues are read.
    titles = [await _title(service, rosters, calendar) for calendar in mine]
    theme_and_language = [(name, value) for name in ("lang", "theme") if (value := ask.get(name))]
    return [
        OwnCalendar(
            title=title if titles.count(title) == 1 else f"{title} ({calendar.name})",
            href="?" + urlencode([("feed", calendar.name), *theme_and_language]),
            current=calendar == chosen,
        )
        for calendar, title in zip(mine, titles, strict=True)
    ]


async def _title(service: FeedService, rosters: Mapping[str, View], calendar: PersonalFeed) -> str:
    """Return a calendar's title without reading its issues; the feed's name where that fails."""
    try:
        feed = await service.feed(calendar.name)
        name = service.workspace_of(feed)
        workspace = service.config.workspaces[name].title or name
        return title_of(
            calendar.name, feed, feed.language or service.config.language, rosters[name], workspace
        )
    except FeedError:
        return calendar.name
