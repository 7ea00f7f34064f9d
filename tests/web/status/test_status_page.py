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

from icsfeed.config.schema import Feed, Secret
from icsfeed.l10n.localization import Localization
from icsfeed.web.pages.assets import Assets
from icsfeed.web.pages.render import PageRenderer, PageRequest
from icsfeed.web.state import LoadedConfig
from icsfeed.web.status.report import PushReport, report

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
    assert 'href="?links=1#feeds"' in masked.text
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
        assert said.count("Last error no ") == 2
        assert "Last error no project 'NOPE' in the workspace; there is: " in said
        assert "Last error no assignee 'x@example.com' in the workspace" in said
        health = (await world.ask("GET", "/api/v1/health")).json()
        assert (health["feeds"], health["status"]) == ("misconfigured", "degraded")
        assert "NOPE" not in str(health)


async def test_every_targets_last_run_is_shown(world: World) -> None:
    found = await report(world.app.state.site, with_links=False)
    done = {"created": 1, "updated": 2, "adopted": 3, "deleted": 4, "kept": 5}
    pushes = (PushReport("team", NOW, done, 9, ("no <room>",)), PushReport("new", None, {}, 0, ()))
    whole = replace(found, pushes=pushes)
    ask = PageRequest(parameters=(), l10n=Localization("en", ZoneInfo("UTC")), theme="auto", base="", root="")
    html = PageRenderer(Assets()).html("status.html", ask, report=whole, with_links=False, sync=None, large=1)
    said = " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())
    assert (
        "Pushes team Last run Nov 23, 10:00 AM Created 1 Updated 2 Adopted 3 Deleted 4 Left unchanged 5"
        in said
    )
    assert "Last error no <room> new Last run never Last error none" in said
