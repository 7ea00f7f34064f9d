"""Calendars are found by URL or by name in the account, and created if they are missing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from dav_memory import CALENDAR, HOST, multistatus, status
from push_world import no_sleep

from icsfeed.config.schema import ComponentKind, PushTarget
from icsfeed.errors import InsufficientStorage, NoCollection, NoPermission, NoServer, NotCalDav, PushError
from icsfeed.push.discovery import DiscoveredCalendar, find_calendar, make_calendar
from icsfeed.push.session import DavServer

pytestmark = pytest.mark.anyio

PRINCIPAL = "<d:current-user-principal><d:href>/alice/</d:href></d:current-user-principal>"
HOME = "<c:calendar-home-set><d:href>/cal/alice/</d:href></c:calendar-home-set>"


def response(href: str, props: str = "") -> str:
    return (
        f"<d:response><d:href>{href}</d:href>"
        f"<d:propstat><d:prop>{props}</d:prop>{status(200)}</d:propstat></d:response>"
    )


def calendar(href: str, name: str, *kinds: str) -> str:
    comps = "".join(f'<c:comp name="{kind}"/>' for kind in kinds)
    only = (
        f"<c:supported-calendar-component-set>{comps}</c:supported-calendar-component-set>" if kinds else ""
    )
    named = f"<d:displayname>{name}</d:displayname>"
    return response(href, f"<d:resourcetype>{CALENDAR}</d:resourcetype>{named}{only}")


CALENDARS = (
    response("/cal/alice/", "<d:resourcetype><d:collection/></d:resourcetype>"),
    calendar("/cal/alice/plane/", "Plane issues"),
    calendar("/cal/alice/events/", "Events", "VEVENT"),
    calendar("/cal/alice/both-1/", "Both", "VEVENT"),
    calendar("/cal/alice/both-2/", "Both", "VTODO"),
    calendar("/cal/alice/odd/", "R&amp;amp;D &amp;#039;26"),
    calendar("/cal/alice/twin-1/", "Twin"),
    calendar("/cal/alice/twin-2/", "Twin"),
)
SITE: Mapping[tuple[str, str], httpx.Response] = {
    ("0", "/"): multistatus(response("/", PRINCIPAL)),
    ("0", "/alice/"): multistatus(response("/alice/", HOME)),
    ("0", "/cal/alice/"): multistatus(response("/cal/alice/", HOME)),
    ("0", "/cal/alice/plane/"): multistatus(calendar("/cal/alice/plane/", "Plane issues")),
    ("0", "/cal/alice/events/"): multistatus(calendar("/cal/alice/events/", "Events", "VEVENT")),
    ("1", "/cal/alice/"): multistatus(*CALENDARS),
    ("0", "/plain/"): multistatus(response("/plain/", "<d:resourcetype/>")),
}


@asynccontextmanager
async def site(more: Mapping[tuple[str, str], httpx.Response] = {}) -> AsyncIterator[DavServer]:
    """Open a server that answers from SITE and `more`, keyed by depth (PROPFIND) or method, and path."""
    pages = {**SITE, **more}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "dav.example.com", "the login is for one host"
        key = request.headers["depth"] if request.method == "PROPFIND" else request.method
        found = pages.get((key, request.url.path), httpx.Response(404))
        return httpx.Response(found.status_code, content=found.content, headers=found.headers)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield DavServer(client, no_sleep)


def target(path: str, collection: str | None = None) -> PushTarget:
    return PushTarget(feed="f", url=HOST + path, collection=collection)


@pytest.mark.parametrize(
    "start",
    ["/", "/alice/", "/cal/alice/", "/plain/", "/nothing/", "/moved/", "/apache/", "/closed/", "/page/"],
)
@pytest.mark.parametrize("name", ["Plane issues", "plane"])
async def test_a_calendar_is_found_by_name_from_wherever_the_account_is_known(start: str, name: str) -> None:
    more = {
        ("0", "/.well-known/caldav"): httpx.Response(301, headers={"Location": "/"}),
        ("0", "/moved/"): httpx.Response(302, headers={"Location": "https://dav.example.com/dav/"}),
        ("0", "/apache/"): httpx.Response(405),
        ("0", "/closed/"): httpx.Response(403),
        ("0", "/page/"): httpx.Response(200, content=b"<html>hello"),
    }
    async with site(more) as server:
        assert await find_calendar(server, target(start, name), "vevent") == DiscoveredCalendar(
            f"{HOST}/cal/alice/plane/", exists=True
        )


async def test_a_calendar_at_the_address_is_the_one_whatever_its_name() -> None:
    async with site() as server:
        for name in (None, "Another"):
            found = await find_calendar(server, target("/cal/alice/plane/", name), "vevent")
            assert found == DiscoveredCalendar(f"{HOST}/cal/alice/plane/", exists=True)
        assert server.requests == 2


@pytest.mark.parametrize("name", ["R&D '26", "R&amp;D &#039;26"])
async def test_an_escaped_name_is_found_and_not_created_again(name: str) -> None:
    async with site() as server:
        found = await find_calendar(server, target("/", name), "vevent")
    assert found == DiscoveredCalendar(f"{HOST}/cal/alice/odd/", exists=True)


@pytest.mark.parametrize(("kind", "path"), [("vevent", "both-1"), ("vtodo", "both-2")])
async def test_of_two_with_one_name_the_one_for_the_component_is_used(kind: ComponentKind, path: str) -> None:
    async with site() as server:
        assert (await find_calendar(server, target("/", "Both"), kind)).url == f"{HOST}/cal/alice/{path}/"


@pytest.mark.parametrize(
    ("name", "path"),
    [("New one!", "new-one"), ("Ünïcode", "n-code"), ("日本", "plane-2"), ("Twin 1", "twin-1-2")],
)
async def test_a_missing_calendar_has_a_free_address(name: str, path: str) -> None:
    async with site() as server:
        assert await find_calendar(server, target("/", name), "vevent") == DiscoveredCalendar(
            f"{HOST}/cal/alice/{path}/", exists=False
        )
        here = await find_calendar(server, target("/cal/alice/new/"), "vevent")
    assert here == DiscoveredCalendar(f"{HOST}/cal/alice/new/", exists=False)


@pytest.mark.parametrize(
    ("where", "kind", "words"),
    [
        (target("/plain/"), "vevent", "name the calendar in `collection`"),
        (target("/", "Twin"), "vevent", "/cal/alice/twin-1/, /cal/alice/twin-2/"),
        (target("/cal/alice/events/"), "vtodo", "accepts only VEVENT"),
        (target("/", "Events"), "vtodo", "accepts only VEVENT"),
        (target("/plain/", "Plane"), "vevent", "give the calendar's address"),
    ],
)
async def test_an_unusable_calendar_is_an_error_with_advice(
    where: PushTarget, kind: ComponentKind, words: str
) -> None:
    async with site() as server:
        with pytest.raises(NoCollection) as error:
            await find_calendar(server, where, kind)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "more",
    [
        {
            ("0", "/alice/"): multistatus(
                response("/alice/", HOME.replace("/cal/", "https://evil.example.com/"))
            )
        },
        {("0", "/"): multistatus(response("/", PRINCIPAL.replace("/alice/", "//evil.example.com/")))},
        {
            ("0", "/"): httpx.Response(404),
            ("0", "/.well-known/caldav"): httpx.Response(
                301, headers={"Location": "https://evil.example.com/"}
            ),
        },
    ],
    ids=["the home", "the account", "a redirect"],
)
async def test_another_host_is_named_and_gets_no_request(
    more: Mapping[tuple[str, str], httpx.Response],
) -> None:
    async with site(more) as server:
        with pytest.raises(NoCollection, match=r"evil\.example\.com"):
            await find_calendar(server, target("/", "Plane issues"), "vevent")


@pytest.mark.parametrize("href", ["mailto:alice", "http://[evil/"])
async def test_an_invalid_address_is_not_followed(href: str) -> None:
    async with site({("0", "/"): multistatus(response("/", PRINCIPAL.replace("/alice/", href)))}) as server:
        with pytest.raises(NoCollection, match="it leads to"):
            await find_calendar(server, target("/", "Plane issues"), "vevent")


async def test_a_path_that_looks_like_another_host_is_a_path_of_this_server() -> None:
    account = PRINCIPAL.replace("/alice/", f"{HOST}//evil.example.com/")
    home = multistatus(response("/alice/", HOME))
    async with site(
        {("0", "/"): multistatus(response("/", account)), ("0", "//evil.example.com/"): home}
    ) as it:
        found = await find_calendar(it, target("/", "Plane issues"), "vevent")
    assert found == DiscoveredCalendar(f"{HOST}/cal/alice/plane/", exists=True)


async def test_a_redirect_loop_ends() -> None:
    around = httpx.Response(301, headers={"Location": "/.well-known/caldav"})
    async with site({("0", "/.well-known/caldav"): around}) as server:
        with pytest.raises(NoCollection):
            await find_calendar(server, target("/nothing/", "Plane issues"), "vevent")
        assert server.requests < 10


async def test_an_unreadable_listing_of_calendars_is_an_error() -> None:
    async with site({("1", "/cal/alice/"): httpx.Response(207, content=b"<broken")}) as server:
        with pytest.raises(NotCalDav):
            await find_calendar(server, target("/", "Plane issues"), "vevent")


@pytest.mark.parametrize("code", [200, 201, 204])
async def test_a_calendar_is_created(code: int) -> None:
    async with site({("MKCALENDAR", "/new/"): httpx.Response(code)}) as server:
        await make_calendar(server, f"{HOST}/new/", "New", "#ff6347", "vtodo")
        assert server.requests == 1


@pytest.mark.parametrize("code", [403, 405, 409])
async def test_a_calendar_that_exists_by_now_is_no_error(code: int) -> None:
    async with site({("MKCALENDAR", "/cal/alice/plane/"): httpx.Response(code)}) as server:
        await make_calendar(server, f"{HOST}/cal/alice/plane/", "New", None, "vevent")
        assert server.requests == 2, "it was looked at, after the refusal"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (403, NoPermission, "by hand"),
        (405, NoCollection, "does not create it (405)"),
        (501, NoCollection, "by hand"),
        (507, InsufficientStorage, "full"),
        (503, NoServer, "503 at every attempt"),
        (404, NoCollection, "(404)"),
    ],
)
async def test_a_calendar_that_cannot_be_created_is_an_error(
    code: int, kind: type[PushError], words: str
) -> None:
    async with site({("MKCALENDAR", "/new/"): httpx.Response(code)}) as server:
        with pytest.raises(kind) as error:
            await make_calendar(server, f"{HOST}/new/", "New", None, "vevent")
    assert words in str(error.value)
