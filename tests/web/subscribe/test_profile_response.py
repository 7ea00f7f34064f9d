"""Profiles over HTTP, as an iPhone asks for them: by good links, wrong ones and revoked ones."""

import html
import logging
import plistlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import HOST, World, serving, settings
from msgspec.structs import replace
from signing_world import made_signing, verified

from icsfeed.config.schema import Feed
from icsfeed.web.token_throttle import PER_MINUTE, TokenThrottle

pytestmark = pytest.mark.anyio

FEEDS = {
    "team": Feed(project="OPS", title="Operations", subscribers=("anna",), revoked=("carl",)),
    "open": Feed(everything=True, public=True, language="de"),
}
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 Version/26.1 Mobile"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS)) as world:
        yield world


async def no_sleep(_seconds: float) -> None:
    pass


def path(world: World, feed: str, subscriber: str = "") -> str:
    return world.path(feed, subscriber).replace(".ics", ".mobileconfig")


def payload(answer: httpx.Response) -> Any:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-apple-aspen-config")
    return plistlib.loads(answer.content)["PayloadContent"][0]


async def test_the_profile_is_that_of_the_page_and_has_its_address(world: World) -> None:
    for subscriber, query in (("", ""), ("anna", "?priority=high&days=90&lang=de&unknown=1")):
        page = world.path("team", subscriber).removesuffix(".ics") + query
        shown = await world.ask("GET", page, accept="text/html", user_agent=IPHONE)
        text = html.unescape(shown.text)
        ics = re.search(r'id="ics" type="text" readonly value="([^"]*)"', text)
        link = re.search(r'href="([^"]*\.mobileconfig[^"]*)"', text)
        assert ics
        assert link
        subscribed = payload(await world.client.get(link[1]))
        assert subscribed["SubCalAccountHostName"] == ics[1]
        assert (await world.client.get(ics[1])).status_code == 200


async def test_the_account_of_a_profile_can_be_read(world: World) -> None:
    for subscriber in ("", "anna"):
        account = payload(await world.ask("GET", f"{path(world, 'team', subscriber)}?account=caldav"))
        login = (account["CalDAVUsername"], account["CalDAVPassword"])
        assert login[0] == (subscriber or "team")
        answer = await world.client.request(
            "PROPFIND", account["CalDAVPrincipalURL"], auth=login, headers={"depth": "1"}
        )
        assert answer.status_code == 207
        assert "Operations" in answer.text


async def test_the_words_are_in_the_readers_language(world: World) -> None:
    asked = await world.ask("GET", path(world, "team"), accept_language="de-AT, en;q=0.5")
    assert "Abonniert „Operations“ von cal.example.com" in payload(asked)["PayloadDescription"]
    named = await world.ask("GET", f"{path(world, 'team')}?lang=en", accept_language="de")
    assert payload(named)["PayloadDescription"].startswith("Subscribes to “Operations” of")


async def test_its_headers_keep_it_to_the_reader(world: World) -> None:
    answer = await world.ask("GET", path(world, "team"))
    headers = answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-disposition"] == 'attachment; filename="team.mobileconfig"'
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"] == "noindex, nofollow"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers
    head = await world.ask("HEAD", path(world, "team"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))
    assert (await world.ask("POST", path(world, "team"))).status_code == 405


async def test_a_public_feed_has_a_profile_and_no_account(world: World) -> None:
    answer = await world.ask("GET", "/feeds/open.mobileconfig")
    assert payload(answer)["SubCalAccountHostName"] == f"{HOST}/feeds/open.ics"
    assert (await world.ask("GET", "/feeds/open.mobileconfig?account=caldav")).status_code == 400


@pytest.mark.parametrize("query", ["account=carddav", "account=caldav&priority=high", "days=x"])
async def test_what_cannot_be_used_is_refused(world: World, query: str) -> None:
    answer = await world.ask("GET", f"{path(world, 'team')}?{query}")
    assert answer.status_code == 400
    assert "icsf_" not in answer.text


async def test_wrong_and_revoked_links_have_no_profile(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "icsfeed")
    good, revoked = path(world, "team"), path(world, "team", "carl")
    wrong = (
        *(good.replace("team.", "open."), good.replace("icsf_", "icsf_a"), "/feeds/team.mobileconfig"),
        *("/feeds/none.mobileconfig", "/feeds/.mobileconfig"),
    )
    for address in (*wrong, revoked):
        answer = await world.ask("GET", address)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")
        assert answer.text == "There is no calendar here. Ask for a new link.\n"
        assert answer.headers["cache-control"] == "no-store"
    page = await world.ask("GET", revoked, accept="text/html", user_agent=IPHONE)
    assert (page.status_code, "This link was revoked" in page.text) == (410, True)
    assert (await world.ask("GET", good)).status_code == 200
    records = [record for record in caplog.records if record.name.startswith("icsfeed")]
    assert "icsf_" not in str([vars(record) for record in records])
    answered = [record.__dict__["about"] for record in records if record.name == "icsfeed.request"]
    assert [about.get("feed") for about in answered[-3:]] == [None, "team", "team"]


async def test_wrong_links_are_slowed_like_those_of_calendars(world: World) -> None:
    world.server.token_throttle = TokenThrottle(world.clock.timer, no_sleep)
    good = path(world, "team")
    statuses = [
        (await world.ask("GET", good.replace("icsf_", "icsf_a"))).status_code for _ in range(PER_MINUTE + 1)
    ]
    assert statuses[-2:] == [404, 429]
    assert (await world.ask("GET", good)).status_code == 200


async def test_behind_a_prefix_its_addresses_have_it() -> None:
    config = replace(settings(FEEDS), public_url="https://intranet.example.com/cal")
    async with serving(config) as world:
        for prefix in ("", "/cal"):
            answer = await world.ask("GET", prefix + path(world, "team"))
            ics = payload(answer)["SubCalAccountHostName"]
            assert ics == f"https://intranet.example.com/cal{world.path('team')}"


async def test_with_a_certificate_it_is_signed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    signing = made_signing(tmp_path)
    async with serving(replace(settings(FEEDS), profile_signing=signing)) as world:
        unsigned = plistlib.loads(verified((await world.ask("GET", path(world, "team"))).content, tmp_path))
        answer = await world.ask("GET", f"{path(world, 'team')}?account=caldav")
        assert answer.headers["content-type"] == "application/x-apple-aspen-config"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert verified(answer.content, tmp_path, "smime").startswith(b"<?xml")
        assert unsigned["PayloadContent"][0]["SubCalAccountHostName"] == HOST + world.path("team")
        renewed = made_signing(tmp_path)  # the same files
        assert renewed == signing
        assert verified((await world.ask("GET", path(world, "team"))).content, tmp_path)
        (tmp_path / "signing.key").unlink()
        assert payload(await world.ask("GET", path(world, "team")))
        assert "profile_signing: key_file cannot be read" in caplog.text
