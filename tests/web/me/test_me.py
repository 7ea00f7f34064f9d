"""/me: a person whom the sign-in proxy vouches for sees their own calendars; nobody else sees anything."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest
from app_world import Clock, World, serving, settings
from litestar.types import Receive, Scope, Send
from plane import faults as f
from test_pages import page, words

from icsfeed.config.schema import AuthProxy, Auto, Config, Embed, Feed, Secret
from icsfeed.demo.sample import sample_id
from icsfeed.web.client_address import remember_peer
from icsfeed.web.proxies import is_within

pytestmark = pytest.mark.anyio

HEADER = "x-forwarded-email"
FEEDS = {
    "anna": Feed(assignee="anna@example.com", title="Anna's own"),
    "prop": Feed(project="PROP", title="Property", subscribers=("anna@example.com",)),
    "ops": Feed(project="OPS", title="Operations", revoked=("anna@example.com",)),
    "web": Feed(project="WEB", title="Website"),
    "all": Feed(everything=True, title="All of it"),
    "off": Feed(project="WEB", title="Switched off", active=False),
}


def config(*networks: str, **changes: object) -> Config:
    proxy = AuthProxy(header="X-Forwarded-Email", networks=networks or ("127.0.0.1/32",))
    return settings(FEEDS, auto=Auto(), auth_proxy=proxy, **changes)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(config()) as made:
        yield made


async def mine(world: World, email: str, query: str = "") -> httpx.Response:
    return await page(world, f"/me{query}", **{HEADER: email})


def named(answer: httpx.Response) -> list[str]:
    """The calendars in the person's list."""
    found = re.search('(?s)<nav class="mine".*?</nav>', answer.text)
    return [unescape(title) for title in re.findall("<bdi>(.*?)</bdi>", found[0])] if found else []


async def test_a_person_sees_their_own_calendar_first_and_those_of_their_projects(world: World) -> None:
    answer = await mine(world, "anna@example.com")
    assert answer.status_code == 200
    assert named(answer) == ["Anna's own", "Property", "Website"]
    assert "Signed in as anna@example.com" in words(answer)
    assert re.search("<title>(.*?)</title>", answer.text)[1] == "Anna&#39;s own"  # type: ignore[index]
    assert world.path("anna") in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_upper_and_lower_case_of_an_address_are_one(world: World) -> None:
    assert named(await mine(world, "Anna@Example.COM")) == ["Anna's own", "Property", "Website"]


async def test_others_see_other_calendars(world: World) -> None:
    # Dan is not in WEB, and has no feed of his own.
    assert named(await mine(world, "dan@example.com")) == ["Property", "Operations"]


async def test_a_subscriber_gets_the_link_that_is_theirs(world: World) -> None:
    text = (await mine(world, "anna@example.com", "?feed=prop")).text
    assert world.path("prop", "anna@example.com") in text
    assert world.path("prop") not in text
    assert world.path("prop") in (await mine(world, "dan@example.com", "?feed=prop")).text


async def test_the_code_of_a_frame_is_chosen_here_too() -> None:
    embed = Embed(frame_ancestors=("https://intranet.example.com",))
    async with serving(config(embed=embed)) as world:
        answer = await mine(world, "anna@example.com", "?feed=web&embed_view=week")
        assert f'src="{world.service.links.embed_path("web")}?view=week" title="Preview' in answer.text
        assert "frame-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert '<input type="hidden" name="feed" value="web">' in answer.text


async def test_a_calendar_of_somebody_else_cannot_be_named(world: World) -> None:
    for feed in ("ops", "all", "off", "nope"):
        answer = await mine(world, "anna@example.com", f"?feed={feed}")
        assert 'aria-current="page"><bdi>Anna&#39;s own' in answer.text
        if feed in FEEDS:
            assert world.path(feed) not in answer.text


async def test_the_builder_stays_with_the_chosen_calendar(world: World) -> None:
    text = (await mine(world, "anna@example.com", "?feed=web&priority=high")).text
    assert '<input type="hidden" name="feed" value="web">' in text
    assert f"{world.path('web')}?priority=high" in unescape(text)


async def test_titles_that_two_calendars_have_are_told_apart() -> None:
    feeds = {"one": Feed(project="PROP", title="Same"), "two": Feed(project="PROP", title="Same")}
    async with serving(settings(feeds, auto=Auto(), auth_proxy=config().auth_proxy)) as world:
        assert named(await mine(world, "anna@example.com")) == ["Same (one)", "Same (two)"]


async def test_automatic_calendars_count_too() -> None:
    async with serving(settings({}, auth_proxy=config().auth_proxy)) as world:
        found = named(await mine(world, "anna@example.com"))
        assert found == ["anna's issues", "Property management", "Operations", "Website"]


async def test_somebody_whom_the_workspace_does_not_know_sees_nothing(world: World) -> None:
    answer = await mine(world, "stranger@example.com")
    assert (answer.status_code, "No calendar for you yet" in words(answer)) == (200, True)
    assert "icsf_" not in answer.text


@pytest.mark.parametrize("email", ["", "anna", "anna@example.com,ben@example.com", "a@b\x7f"])
async def test_what_is_no_address_signs_nobody_in(world: World, email: str) -> None:
    answer = await mine(world, email)
    assert (answer.status_code, "You are not signed in" in words(answer)) == (403, True)


async def test_two_headers_sign_nobody_in(world: World) -> None:
    headers = [("accept", "text/html"), (HEADER, "anna@example.com"), (HEADER, "anna@example.com")]
    assert (await world.client.get("/me", headers=headers)).status_code == 403
    assert (await page(world, "/me")).status_code == 403


async def test_the_header_counts_only_from_the_proxy() -> None:
    async with serving(config("10.0.0.0/8")) as world:
        answer = await mine(world, "anna@example.com")
        assert (answer.status_code, "icsf_" in answer.text) == (403, False)
        assert "Show my calendars" not in words(await page(world, "/", **{HEADER: "anna@example.com"}))


async def test_whatever_is_forwarded_the_connections_own_address_counts() -> None:
    async with serving(config("10.0.0.0/8")) as world:

        async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
            scope["client"] = ("10.1.2.3", 1)  # as X-Forwarded-For would
            await world.app(scope, receive, send)

        for app, status in ((renamed, 200), (remember_peer(renamed), 403)):
            transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                headers = {HEADER: "anna@example.com", "accept": "text/html"}
                assert (await client.get("/me", headers=headers)).status_code == status


async def test_where_nobody_can_sign_in_there_is_no_such_page() -> None:
    async with serving(settings(FEEDS)) as world:  # no proxy, and a store in memory
        assert (await mine(world, "anna@example.com")).status_code == 404
        assert (await world.ask("GET", "/me")).json()["error_code"] == "NOT_FOUND"


async def test_the_front_page_leads_who_is_signed_in_to_their_calendars(world: World) -> None:
    assert "Show my calendars" in words(await page(world, "/", **{HEADER: "anna@example.com"}))
    assert "Show my calendars" not in words(await page(world, "/"))


async def test_members_are_read_once_for_a_while_and_only_of_projects_that_have_a_feed() -> None:
    feeds = {"prop": Feed(project="PROP"), "all": Feed(everything=True)}
    clock = Clock()
    async with serving(settings(feeds, auto=Auto(), auth_proxy=config().auth_proxy), clock=clock) as world:
        for _ in range(3):
            await mine(world, "anna@example.com")
        asked = f"projects/{sample_id('project', 'PROP')}/members"
        assert world.faults.count(asked) == 1
        assert world.faults.count("/members") == 2  # and the workspace's own
        clock.move(601)
        await mine(world, "anna@example.com")
        assert world.faults.count(asked) == 2


async def test_the_issues_of_a_calendar_are_read_once_it_is_looked_at(world: World) -> None:
    issues = f"projects/{sample_id('project', 'WEB')}/(issues|work-items)"
    assert "Website" in named(await mine(world, "anna@example.com", "?feed=prop"))
    assert world.faults.count(issues) == 0
    await mine(world, "anna@example.com", "?feed=web")
    assert world.faults.count(issues) >= 1


async def test_where_members_cannot_be_read_the_last_that_were_count(world: World) -> None:
    await mine(world, "dan@example.com")
    world.faults.add("members", f.server_error(), None)
    world.clock.move(601)
    assert named(await mine(world, "dan@example.com")) == ["Property", "Operations"]


async def test_where_members_were_never_read_there_are_no_calendars_of_projects() -> None:
    async with serving(config()) as world:
        await world.get("web")
        world.faults.add("projects/.*/members", f.server_error(), None)
        assert named(await mine(world, "anna@example.com")) == ["Anna's own"]


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1", False),
        ("testclient", False),
        ("", False),
    ],
)
def test_an_address_is_within_networks_of_both_families(address: str, within: bool) -> None:
    assert is_within(address, ("10.0.0.0/8", "fd00::/8")) is within


async def test_a_proxys_secret_may_be_of_any_letters() -> None:
    proxy = AuthProxy("X-Forwarded-Email", ("127.0.0.1/32",), Secret("zwischen-uns-ist-das-schlüsselwort"))
    async with serving(settings(FEEDS, auto=Auto(), auth_proxy=proxy)) as world:
        sent = [
            (HEADER.encode(), b"anna@example.com"),
            (b"X-Icsfeed-Proxy-Secret", "zwischen-uns-ist-das-schlüsselwort".encode()),
        ]
        assert (await world.client.get("/me", headers=sent)).status_code == 200


async def test_a_proxy_with_a_secret_must_send_it(caplog: pytest.LogCaptureFixture) -> None:
    proxy = AuthProxy("X-Forwarded-Email", ("127.0.0.1/32",), Secret("between-the-two-of-us"))
    async with serving(settings(FEEDS, auto=Auto(), auth_proxy=proxy)) as world:

        async def status(*secrets: str) -> int:
            sent = [(HEADER, "anna@example.com"), *(("X-Icsfeed-Proxy-Secret", one) for one in secrets)]
            return (await world.client.get("/me", headers=sent)).status_code

        assert await status("between-the-two-of-us") == 200
        assert await status() == 403
        assert await status("between-the-two-of-us", "between-the-two-of-us") == 403
        assert [await status(f"guess {n}") for n in range(100)] == [403] * 100
        assert await status("between-the-two-of-us") == 200
        assert world.server.proxy_guesses.counts == {"wrong": 100}
        assert "too many wrong secrets of the sign-in proxy from 127.0.0.1" in caplog.text
