"""The status page of the administrator: what the JSON says, links only when asked for, and a button."""

import base64
import re
from collections.abc import AsyncIterator
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from app_world import NOW, Clock, World, quick, serving, settings
from httpx import Response
from msgspec.structs import replace
from plane import faults as f
from test_pages import page, policy, words

from icsfeed.config.schema import Auto, Feed, Secret
from icsfeed.l10n.localization import Localization
from icsfeed.web.pages.render import PageRequest
from icsfeed.web.state import LoadedConfig
from icsfeed.web.status.admin import status_html
from icsfeed.web.status.collect import report
from icsfeed.web.status.report import PushReport

pytestmark = pytest.mark.anyio

TOKEN = "an admin token that nobody guesses"
FEEDS = {
    "property": Feed(project="PROP", title="Property issues"),
    "team": Feed(project="OPS", subscribers=("anna",), revoked=("carl",)),
    "off": Feed(project="WEB", active=False),
    "open": Feed(everything=True, public=True),
}
CONFIG = settings(FEEDS, admin_token=Secret(TOKEN), auto=settings().auto)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(CONFIG) as made:
        yield made


async def status(world: World, query: str = "", token: str = TOKEN) -> Response:
    """As a browser asks that was given the token as a password."""
    basic = base64.b64encode(f"admin:{token}".encode()).decode()
    return await page(world, f"/status{query}", authorization=f"Basic {basic}")


async def press(world: World) -> Response:
    """The button."""
    basic = base64.b64encode(f"admin:{TOKEN}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "accept": "text/html", "sec_fetch_site": "same-origin"}
    return await world.ask("POST", "/webhooks/sync", **headers)


async def test_it_shows_workspaces_feeds_and_readers(world: World) -> None:
    await world.get("property", user_agent="Thunderbird/140")
    await world.get("open", user_agent="HomeAssistant/1")
    answer = await status(world)
    said = words(answer)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["vary"] == "Accept-Encoding, Accept"
    assert "demo Ready" in said
    assert "Property issues property" in said
    assert "Thunderbird, Nov 23, 10:00" in said
    assert "20" in said
    assert "PROP Property management : 22 issues" in said
    assert said.count("inactive") == 1
    assert said.count("public") == 1
    assert policy(answer)["frame-ancestors"] == "'none'"


async def test_links_are_masked_until_they_are_asked_for(world: World) -> None:
    masked = await status(world)
    assert "icsf_" not in masked.text
    assert 'href="?links=1#list"' in masked.text
    shown = await status(world, "?links=1")
    for feed, subscriber in (("property", ""), ("team", "anna"), ("team", "carl"), ("open", "")):
        assert world.path(feed, subscriber) in shown.text
    assert "carl (revoked):" in words(shown)


async def test_programs_get_json_at_the_same_address(world: World) -> None:
    answer = await world.ask("GET", "/status", authorization=f"Bearer {TOKEN}")
    assert answer.json()["workspaces"][0]["name"] == "demo"
    assert answer.headers["vary"] == "Accept-Encoding, Accept"


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_others_get_a_calm_page_and_are_asked_for_the_token(world: World, token: str) -> None:
    answer = await status(world, token=token)
    assert (answer.status_code, "requires the admin_token" in words(answer)) == (401, True)
    assert answer.headers["www-authenticate"].startswith("Basic")
    for secret in ("property", "demo", "PROP", "icsf_"):
        assert secret not in answer.text


async def test_without_an_admin_token_nobody_gets_in() -> None:
    async with serving(replace(CONFIG, admin_token=None)) as world:
        assert (await status(world)).status_code == 403


async def test_the_button_syncs_and_leads_back_to_the_page() -> None:
    async with serving(replace(CONFIG, public_url="https://x/cal")) as world:
        pressed = await press(world)
        assert (pressed.status_code, pressed.headers["location"]) == (303, "/cal/status?sync=started")
        again = await press(world)
        assert again.headers["location"] == "/cal/status?sync=running"
        assert "A sync was started." in words(await status(world, "?sync=started"))


async def test_the_button_is_limited_like_the_route(world: World) -> None:
    for _ in range(10):
        world.server.syncs.take("")
    assert (await press(world)).headers["location"] == "/status?sync=limited"
    assert "ten times an hour" in words(await status(world, "?sync=limited"))
    assert "warn" not in (await status(world, "?sync=nonsense")).text


async def test_it_says_what_is_wrong() -> None:
    async with serving(quick(CONFIG), clock=Clock()) as world:
        world.faults.add("", f.server_error(), None)
        world.server.loaded = LoadedConfig(world.clock.now, ("feeds.x: must say what it holds",))
        said = words(await status(world))
        assert "demo Not ready" in said
        assert "Last error" in said
        assert "The new configuration was rejected; the previous one is still in use: feeds.x: must" in said
        assert "not rendered yet" in said


async def test_a_feed_that_some_apps_would_not_take_is_marked() -> None:
    async with serving(
        settings({"web": Feed(project="WEB")}, admin_token=Secret(TOKEN)), issues=2_000
    ) as world:
        await world.get("web")
        assert "larger than some apps accept" in words(await status(world))


async def test_a_feed_that_names_what_is_not_there_is_marked() -> None:
    feeds = {
        "good": Feed(project="WEB"),
        "lost": Feed(project="NOPE"),
        "gone": Feed(assignee="x@example.com"),
    }
    async with serving(
        settings({**feeds, "off": Feed(project="NO", active=False)}, admin_token=Secret(TOKEN))
    ) as world:
        assert (await world.ask("GET", "/api/v1/health")).json()["feeds"] == "ok"  # nothing is known yet
        await world.get("good")
        said = words(await status(world))
        assert "lost demo not rendered yet 0 never 1 no project 'NOPE' in the workspace; there is: " in said
        assert "gone demo not rendered yet 0 never 1 no assignee 'x@example.com' in the workspace" in said
        wrong = words(await status(world, "?only=problems"))
        assert ("lost demo" in wrong, "gone demo" in wrong, "good demo" in wrong) == (True, True, False)
        health = (await world.ask("GET", "/api/v1/health")).json()
        assert (health["feeds"], health["status"]) == ("misconfigured", "degraded")
        assert "NOPE" not in str(health)


async def test_every_targets_last_run_is_shown(world: World) -> None:
    done = {"created": 1, "updated": 2, "adopted": 3, "deleted": 4, "kept": 5}
    pushes = (PushReport("team", NOW, done, 9, ("no <room>",)), PushReport("new", None, {}, 0, ()))
    found = replace(await report(world.app.state.site, with_links=False), pushes=pushes)
    ask = PageRequest(parameters=(), l10n=Localization("en", ZoneInfo("UTC")), theme="auto", base="", root="")
    said = words(Response(200, html=status_html(world.app.state.site, ask, found, with_links=False)))
    assert "Target Last run Created Updated Adopted Deleted Left unchanged Last error" in said
    assert "team Nov 23, 10:00 AM 1 2 3 4 5 no <room> new never 0 0 0 0 0 none" in said


# The table of feeds


def rows(answer: Response) -> list[str]:
    """The names of the feeds in the table, from its top."""
    return re.findall(r'<th scope="row"><a href="[^"]*[?&]feed=([^"&]+)', answer.text.replace("&amp;", "&"))


async def test_a_row_says_what_a_feed_holds_and_who_read_it_last(world: World) -> None:
    await world.get("property", user_agent="Thunderbird/140")
    world.clock.move(60)
    await world.get("property", user_agent="HomeAssistant/1")
    said = words(await status(world))
    assert "Property issues property demo 20 " in said
    assert "17 kB 2 Home Assistant, Nov 23, 10:01 AM 1" in said
    assert "off inactive demo not rendered yet 0 never 1" in said


async def test_what_a_feed_holds_in_full_is_behind_its_name(world: World) -> None:
    await world.get("property", user_agent="Thunderbird/140")
    listed = await status(world, "?q=property&sort=items")
    link = next(unescape(href) for href in re.findall(r'href="(\?[^"]*)"', listed.text) if "feed=" in href)
    detailed = await status(world, link)
    said = words(detailed)
    assert "All feeds Property issues property Workspace demo Items 20 Without a due date" in said
    assert "Readers Thunderbird, Nov 23, 10:00 AM , 200 Links 1 Show the links" in said
    assert "icsf_" not in detailed.text
    assert world.path("property") in (await status(world, f"{link}&links=1")).text
    # Back to the table as it was searched and sorted.
    back = re.search(r'href="\?([^"]*)">All feeds', detailed.text)
    assert back is not None
    assert {*unescape(back[1]).split("&")} == {"q=property", "sort=items"}
    assert rows(await status(world, "?feed=unknown")) == rows(await status(world))


async def test_the_table_is_searched_filtered_and_sorted_by_its_address(world: World) -> None:
    for feed in ("property", "team", "open"):
        await world.get(feed)
    assert rows(await status(world))[:4] == ["property", "team", "off", "open"]
    assert rows(await status(world, "?sort=-items"))[:3] == ["open", "property", "team"]
    assert rows(await status(world, "?q=ISSUES+prop")) == ["property"]
    assert rows(await status(world, "?q=carl")) == ["team"]
    assert rows(await status(world, "?only=inactive")) == ["off"]
    assert "property" not in rows(await status(world, "?only=unread"))
    nothing = await status(world, "?q=nowhere")
    assert (rows(nothing), "Nothing matches this search." in words(nothing)) == ([], True)


async def test_headers_sort_and_say_so(world: World) -> None:
    plain, sorted_ = await status(world), await status(world, "?sort=-items&q=e")
    assert "aria-sort" not in plain.text
    assert '<th scope="col"><a href="?sort=-items#list">Items</a>' in plain.text
    up = '<th scope="col" aria-sort="descending"><a href="?q=e&amp;sort=items#list">Items</a>'
    assert up in sorted_.text
    # The search keeps the order.
    assert '<input type="hidden" name="sort" value="-items">' in sorted_.text
    assert 'name="q" value="e"' in sorted_.text


async def test_a_search_for_markup_is_text(world: World) -> None:
    answer = await status(world, "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%22%3E&only=%3Cb%3E")
    assert (answer.status_code, "<script>alert" in answer.text, "<b>" in answer.text) == (200, False, False)


async def test_a_page_that_is_no_number_is_refused(world: World) -> None:
    answer = await status(world, "?skip=x")
    assert (answer.status_code, "The value of “skip” is not valid." in words(answer)) == (400, True)


async def test_2000_feeds_are_pages_of_100_and_none_is_rendered_for_them() -> None:
    many = {f"feed-{number:04}": Feed(project="PROP", subscribers=("anna", "ben")) for number in range(2000)}
    async with serving(settings(many, admin_token=Secret(TOKEN), auto=Auto())) as world:
        for number in range(2000):
            world.server.reader_log.read(f"feed-{number:04}", "anna", "Thunderbird/140", 200)
        first = await status(world, "?q=feed")
        assert rows(first) == [f"feed-{number:04}" for number in range(100)]
        assert "1–100 of 2,000 Next" in words(first)
        assert len(first.content) < 80_000
        last = await status(world, "?q=feed&skip=1900")
        assert rows(last) == [f"feed-{number:04}" for number in range(1900, 2000)]
        assert "Previous 1,901–2,000 of 2,000" in words(last)
        assert 'href="?q=feed&amp;skip=1800#list"' in last.text
        assert rows(await status(world, "?skip=999999")) == rows(last)
        assert all(world.service.made(name) is None for name in many)
        assert world.faults.count("work-items") == 0
