"""The status page lists the links that people have made, and revokes them; nobody else's page can."""

import base64
import logging
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from app_world import NOW, World, serving, settings
from httpx import Response
from test_pages import page, words

from icsfeed.config.schema import Auto, Feed, Secret
from icsfeed.own_links.model import LinkRecord, OwnLink, digests_of
from icsfeed.own_links.registry import OwnLinks
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

TOKEN = "an admin token that nobody guesses"
BASIC = "Basic " + base64.b64encode(f"admin:{TOKEN}".encode()).decode()
ANNA, BEN = "anna@example.com", "ben@example.com"
CONFIG = settings(
    {"prop": Feed(project="PROP"), "web": Feed(project="WEB")}, admin_token=Secret(TOKEN), auto=Auto()
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_store("file", {"STATE_DIRECTORY": str(tmp_path)})
    async with serving(CONFIG, store=store) as running:
        yield running


async def status(world: World, query: str = "") -> Response:
    return await page(world, f"/status{query}", authorization=BASIC)


async def press(world: World, of: str, **headers: str) -> Response:
    """The button that revokes, in a browser."""
    html = (await status(world, f"?revoke={of.replace('@', '%40')}")).text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html)) or {"revoke": of}
    asked = {
        "Authorization": BASIC,
        "Accept": "text/html",
        "Sec-Fetch-Site": "same-origin",
        "Origin": "https://cal.example.com",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    sent = {name: unescape(value) for name, value in fields.items()}
    return await world.client.post("/status/revoke", data=sent, headers=asked)


async def test_links_and_people_have_tables_of_their_own(world: World) -> None:
    own = world.service.own
    assert "Links people made" not in words(await status(world))
    made = await own.make(ANNA, "phone", feed="prop", narrowing="priority=urgent")
    await own.make(BEN, "tablet")
    await world.ask("GET", f"/feeds/{made.token}/prop.ics", user_agent="Thunderbird/140")
    said = words(await status(world))
    assert "Feeds (2) Links people made (2) People (2)" in said
    assert "prop demo 20 " in said
    links = await status(world, "?show=own+links")
    said = words(links)
    assert "Person Name Feed Made Last read State" in said
    assert "ben@example.com tablet all feeds (CalDAV) Nov 23, 10:00 AM never in use Revoke" in said
    assert (
        "anna@example.com phone prop ?priority=urgent Nov 23, 10:00 AM Thunderbird, Nov 23, 10:00 AM" in said
    )
    assert "icsf_" not in links.text
    assert made.link.digests.token not in links.text
    people = words(await status(world, "?show=people"))
    assert "Person Links Revoked Last read" in people
    assert "anna@example.com 1 0 Thunderbird, Nov 23, 10:00 AM Revoke all" in people


async def test_links_are_searched_filtered_and_sorted(world: World) -> None:
    own = world.service.own
    for person in (ANNA, BEN):
        for device in ("phone", "tablet"):
            link = (await own.make(person, device, feed="prop" if device == "phone" else "web")).link
    await own.revoke(link.id)

    async def shown(query: str) -> str:
        html = (await status(world, f"?show=own+links&{query}")).text
        cells = re.findall(
            r'<th scope="row"><bdi>([^@<]+)@[^<]*</bdi></th>\s*<td[^>]*><bdi>([^<]+)</bdi>', html
        )
        return " ".join(f"{person}/{device}" for person, device in cells)

    assert await shown("") == "ben/tablet ben/phone anna/tablet anna/phone"
    assert await shown("q=ANNA+web") == "anna/tablet"
    assert await shown(f"q={link.id}") == await shown("only=revoked") == "ben/tablet"
    assert await shown("only=unread&sort=person") == "anna/tablet anna/phone ben/phone"
    assert await shown("sort=-name&only=used") == "anna/tablet ben/phone anna/phone"


async def test_a_feed_says_how_many_have_made_links_for_it(world: World) -> None:
    await world.service.own.make(ANNA, "phone", feed="prop")
    detail = await status(world, "?feed=prop")
    assert "Links people made 1" in words(detail)
    assert "add a name to the feed’s “revoked” in feeds.yaml" in words(detail)
    href = next(unescape(link) for link in re.findall('href="([^"]+)"', detail.text) if "own+links" in link)
    assert "anna@example.com phone prop" in words(await status(world, href.partition("#")[0]))


async def test_a_link_is_revoked_after_a_question(world: World, caplog: pytest.LogCaptureFixture) -> None:
    made = await world.service.own.make(ANNA, "phone", feed="prop")
    other = await world.service.own.make(ANNA, "tablet", feed="prop")
    asked = words(await status(world, f"?revoke={made.link.id}"))
    assert "Revoke these links?" in asked
    assert "anna@example.com , phone : prop" in asked
    assert "tablet" not in asked
    assert "Revoke 1 link Cancel" in asked
    caplog.set_level(logging.INFO, "icsfeed.links")
    pressed = await press(world, made.link.id)
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/status?show=own+links&revoked=1")
    assert "1 link was revoked." in words(await status(world, "?show=own+links&revoked=1"))
    revoked = await world.ask("GET", f"/feeds/{made.token}/prop.ics")
    used = await world.ask("GET", f"/feeds/{other.token}/prop.ics")
    assert b"This calendar link was revoked" in revoked.content
    assert b"This calendar link was revoked" not in used.content
    assert [record.getMessage() for record in caplog.records] == ["own link revoked"]
    assert "Revoke these links?" not in words(await status(world, f"?revoke={made.link.id}"))


async def test_all_links_of_a_feed_are_revoked_after_a_question(world: World) -> None:
    own = world.service.own
    pairs = [(who, feed) for who in (ANNA, BEN) for feed in ("prop", "web", "")]
    made = {(who, feed): await own.make(who, feed or "all", feed=feed) for who, feed in pairs}
    detail = await status(world, "?feed=prop")
    assert "Links people made 2 Revoke all" in words(detail)
    href = next(unescape(link) for link in re.findall('href="([^"]+)"', detail.text) if "revoke=all" in link)
    asked = words(await status(world, href))
    assert "Revoke 2 links Cancel" in asked
    assert "signed out" not in asked
    pressed = await press(world, "all&feed=prop")
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/status?show=own+links&revoked=2")
    revoked = {key for key, new in made.items() if own.by_id[new.link.id].revoked_at is not None}
    assert revoked == {(ANNA, "prop"), (BEN, "prop")}
    assert "Revoke these links?" not in words(await status(world, href))


async def test_programs_revoke_all_links_of_a_feed_by_its_name(world: World) -> None:
    made = await world.service.own.make(ANNA, "phone", feed="prop")
    await world.service.own.make(ANNA, "all")

    async def send(**form: str) -> Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return await world.client.post("/status/revoke", data=form, headers=headers)

    wrong = (
        {"revoke": "all"},
        {"revoke": "all", "feed": "web"},
        {"feed": "prop"},
        {"revoke": "all", "feed": ""},
    )
    assert [(await send(**form)).status_code for form in wrong] == [404] * 4
    answer = await send(revoke="all", feed="prop")
    assert answer.json()["links"] == [made.link.id]


@pytest.mark.parametrize("typed", [" {} ", "{}\n"])
async def test_an_id_or_address_with_capitals_and_spaces_revokes_what_the_answer_names(
    world: World, typed: str
) -> None:
    own = world.service.own
    made, other = [await own.make(person, "phone") for person in (ANNA, BEN)]
    for of, link in ((made.link.id, made.link), (BEN, other.link)):
        answer = await world.client.post(
            "/status/revoke",
            data={"revoke": typed.format(of.upper())},
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.json()["links"] == [link.id]
        assert own.by_id[link.id].revoked_at is not None


async def test_what_another_process_has_revoked_meanwhile_is_not_found(world: World, tmp_path: Path) -> None:
    made = await world.service.own.make(ANNA, "phone")
    store = open_store("file", {"STATE_DIRECTORY": str(tmp_path)})
    await OwnLinks(store, world.clock).revoke(made.link.id)
    await store.close()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = await world.client.post("/status/revoke", data={"revoke": made.link.id}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


async def test_all_links_of_a_person_are_revoked_and_their_sessions_end(world: World) -> None:
    own = world.service.own
    for person, device in ((ANNA, "phone"), (ANNA, "tablet"), (BEN, "phone")):
        await own.make(person, device)
    _, invitation = await own.invite(ANNA)
    _, cookie = await own.accept(invitation)
    asked = words(await status(world, "?revoke=anna%40example.com"))
    assert "signed out everywhere. Revoke 2 links" in asked
    assert (await press(world, ANNA)).headers["location"].endswith("revoked=2")
    assert [link.person for link in own.links if link.revoked_at is None] == [BEN]
    assert await own.session(cookie) is None


FOREIGN = {
    "another site": {"sec_fetch_site": "cross-site"},
    "a neighbour": {"sec_fetch_site": "same-site"},
    "another origin": {"sec_fetch_site": "", "origin": "https://evil.example.com"},
    "no origin": {"sec_fetch_site": "", "origin": "null"},
}


@pytest.mark.parametrize("what", FOREIGN)
async def test_pages_of_other_sites_cannot_revoke(world: World, what: str) -> None:
    made = await world.service.own.make(ANNA, "phone")
    answer = await press(world, made.link.id, **FOREIGN[what])
    assert answer.status_code == 403
    assert world.service.own.links[0].revoked_at is None


async def test_a_form_without_the_pages_token_is_refused(world: World) -> None:
    made = await world.service.own.make(ANNA, "phone")
    headers = {"Authorization": BASIC, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    for form in ({}, {"form": "1.x"}, {"form": "9999999999." + "0" * 64}):
        sent = {"revoke": made.link.id, **form}
        answer = await world.client.post("/status/revoke", data=sent, headers=headers)
        assert answer.status_code == 403
    assert world.service.own.links[0].revoked_at is None


async def test_only_the_administrator_can_revoke(world: World) -> None:
    made = await world.service.own.make(ANNA, "phone")
    for token in ("wrong", made.token):
        answer = await press(world, made.link.id, authorization=f"Bearer {token}")
        assert answer.status_code == 401
    got = await world.ask("GET", "/status/revoke", authorization=BASIC)
    assert got.status_code == 405
    assert world.service.own.links[0].revoked_at is None


async def test_programs_revoke_with_the_bearer_token_and_read_links_as_json(world: World) -> None:
    made = await world.service.own.make(ANNA, "phone", feed="web")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    answer = await world.client.post("/status/revoke", data={"revoke": made.link.id}, headers=bearer)
    assert (answer.status_code, answer.json()) == (200, {"status": "revoked", "links": [made.link.id]})
    report = (await world.client.get("/status", headers=bearer)).json()
    (link,) = report["own_links"]
    assert (link["id"], link["feed"], link["state"]) == (made.link.id, "web", "revoked")
    assert report["people"] == [{"person": ANNA, "links": 0, "revoked": 1, "last_read": None}]
    assert "digest" not in str(report)
    for of in ("", "unknown", "nobody@example.com"):
        missing = await world.client.post("/status/revoke", data={"revoke": of}, headers=bearer)
        assert (missing.status_code, missing.json()["error_code"]) == (404, "NOT_FOUND")


async def test_2000_feeds_and_5000_links_take_milliseconds(tmp_path: Path) -> None:
    feeds = {f"feed-{number:04}": Feed(project="PROP", subscribers=("ben",)) for number in range(2000)}
    links = tuple(
        OwnLink(
            id=f"{number:08}".translate(str.maketrans("0189", "abcd")),
            person=f"person{number // 10}@example.com",
            device=f"device {number % 10}",
            feed=f"feed-{number % 2000:04}",
            digests=digests_of(f"icsf_{number}", is_account=False),
            made_at=NOW - timedelta(minutes=number),
        )
        for number in range(5000)
    )
    config = settings(feeds, admin_token=Secret(TOKEN), auto=Auto())
    store = open_store("file", {"STATE_DIRECTORY": str(tmp_path)})
    async with serving(config, store=store) as world:
        assert await world.service.own.restore(LinkRecord(links=links)) == 5000
        for link in links[:300]:
            world.service.own.read(link.id, "Thunderbird", 200)
        for query in ("", "?show=own+links&sort=person", "?show=people", "?show=own+links&q=person42%40"):
            begun = time.process_time()
            answer = await status(world, query)
            seconds = time.process_time() - begun
            assert answer.status_code == 200
            assert len(answer.content) < 100_000
            # 60 ms alone on a machine of 2026; a bound only against what grows with the square.
            assert seconds < 1, query
        assert "1–100 of 5,000" in words(await status(world, "?show=own+links"))
        assert "People (500)" in words(await status(world, "?show=people"))
