"""What people's own links open: the feed as its link narrows it, and nothing once they may not see it."""

import plistlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import Clock, World, serving, settings, titles
from plane import faults as f
from redis_world import redis_server

from icsfeed.config.schema import Auto, Config, Duration, Feed, OwnLinkSettings
from icsfeed.demo.sample import sample_id
from icsfeed.own_links.model import NewToken, embed_token
from icsfeed.store.store import open_store
from icsfeed.tokens import token_of

pytestmark = pytest.mark.anyio
ANNA, BEN = "anna@example.com", "ben@example.com"
FEEDS = {
    "anna": Feed(assignee=ANNA, title="Anna's own"),
    "prop": Feed(project="PROP", title="Property"),
    "ben": Feed(assignee=BEN, title="Ben's own"),
}


@asynccontextmanager
async def world_of(folder: Path, config: Config | None = None, **more: Any) -> AsyncIterator[World]:
    store = open_store("file", {"STATE_DIRECTORY": str(folder)})
    async with serving(config or settings(FEEDS, auto=Auto()), store=store, **more) as world:
        await world.service.start()
        yield world


async def read(
    world: World, made: NewToken, query: str = "", name: str = "mine", **headers: str
) -> httpx.Response:
    return await world.ask("GET", f"/feeds/{made.token}/{name}.ics{query}", **headers)


async def test_a_link_opens_its_feed_whatever_name_is_in_the_address(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop")
        answer, configured = await read(world, made), await world.get("prop")
        assert (answer.status_code, answer.content) == (200, configured.content)
        assert (await read(world, made, name="ben")).content == configured.content
        again = await read(world, made, if_none_match=answer.headers["etag"])
        assert again.status_code == 304
        assert "set-cookie" not in answer.headers
        assert [(each.app, each.status) for each in world.service.own.readers[made.link.id]] == [
            ("an app without a name", 304)
        ]
        assert {each.subscriber for each in world.server.reader_log.readers()["prop"]} >= {f"{ANNA} (phone)"}


async def test_what_the_link_keeps_narrows_and_the_address_only_further(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop", "priority=high,urgent", "Mine")
        answer = await read(world, made)
        expected = await world.get("prop", "?priority=high,urgent")
        assert titles(answer.content) == titles(expected.content) < titles((await world.get("prop")).content)
        assert b"X-WR-CALNAME:Mine\r\n" in answer.content
        assert titles((await read(world, made, "?priority=low")).content) == set()
        high = titles((await world.get("prop", "?priority=high")).content)
        assert titles((await read(world, made, "?priority=high,low")).content) == high
        assert (await read(world, made, "?days=x")).status_code == 400


@pytest.mark.parametrize("extension", ["atom", "json"])
async def test_news_are_narrowed_too(tmp_path: Path, extension: str) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop", "priority=urgent")
        path = f"/feeds/{made.token}/mine.{extension}"
        whole = (await world.ask("GET", world.service.links.page_path("prop") + f".{extension}")).text
        shown = await world.ask("GET", path)
        assert shown.status_code == 200
        every = {title.partition("] ")[2] for title in titles((await world.get("prop")).content)}
        urgent = {
            title.partition("] ")[2]
            for title in titles((await world.get("prop", "?priority=urgent")).content)
        }
        others = {name for name in every - urgent if name in whole}
        assert others
        assert [name for name in others if name in shown.text] == []
        # The address may only narrow further.
        wider = await world.ask("GET", path + "?priority=urgent,high,medium,low,none")
        assert [name for name in others if name in wider.text] == []
        await world.service.own.revoke(made.link.id)
        revoked = await world.ask("GET", path)
        assert (revoked.status_code, [name for name in every if name in revoked.text]) == (200, [])


async def test_a_changed_filter_shows_at_once_in_the_same_link(tmp_path: Path) -> None:
    clock = Clock()
    async with world_of(tmp_path, clock=clock) as world:
        made = await world.service.own.make(ANNA, "phone", "prop", "priority=urgent")
        before = await read(world, made)
        clock.move(60)
        await world.service.own.narrow(made.link.id, "")
        # An app that compares dates alone must see it, too.
        after = await read(world, made, if_modified_since=before.headers["last-modified"])
        assert after.status_code == 200
        assert titles(after.content) > titles(before.content)


async def test_page_and_frame_are_narrowed_too_and_show_the_links_own_addresses(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop", "priority=urgent")
        shown = (await world.ask("GET", f"/feeds/{made.token}/mine", accept="text/html")).text
        assert f"/feeds/{made.token}/prop.ics" in shown
        assert world.path("prop") not in shown
        frame = await world.ask(
            "GET", f"/embed/{embed_token(made.token)}/mine?view=agenda", accept="text/html"
        )
        assert frame.status_code == 200
        assert made.token not in frame.text
        urgent = titles((await world.get("prop", "?priority=urgent")).content)
        every = titles((await world.get("prop")).content)
        assert urgent < every
        for title in every - urgent:
            name = title.partition("] ")[2]
            assert name not in shown, "the page of a narrowed link shows no more than its calendar"
            assert name not in frame.text
        assert (await world.ask("GET", f"/embed/{made.token}/mine")).status_code == 404


async def test_two_links_of_a_feed_are_two_profiles_on_a_device_and_a_renewed_one_replaces_its_own(
    tmp_path: Path,
) -> None:
    async with world_of(tmp_path) as world:
        own = world.service.own

        async def profile(made: NewToken) -> str:
            answer = await world.ask("GET", f"/feeds/{made.token}/prop.mobileconfig")
            return str(plistlib.loads(answer.content)["PayloadIdentifier"])

        one = await own.make(ANNA, "phone", "prop", "priority=urgent")
        other = await own.make(ANNA, "tablet", "prop", "days=14")
        before = await profile(one)
        assert before != await profile(other)
        assert before == await profile(await own.renew(one.link.id))


async def test_a_link_stays_with_its_project_when_that_is_renamed(tmp_path: Path) -> None:
    async with world_of(tmp_path, settings({}, auto=Auto(projects=True))) as world:
        await world.service.auto_feeds()
        identity = world.service.links.identity_of("project-prop")
        assert identity == f"project/acme-demo/{sample_id('project', 'PROP')}"
        made = await world.service.own.make(ANNA, "phone", identity)
        before = (await read(world, made)).content
        world.data.projects[sample_id("project", "PROP")].row["identifier"] = "HOUSES"
        world.clock.move(3_600)
        after = await read(world, made)
        assert after.status_code == 200
        assert len(titles(after.content)) == len(titles(before))


async def test_renewed_and_revoked_links_show_the_notice_and_then_nothing(tmp_path: Path) -> None:
    clock = Clock()
    config = settings(FEEDS, auto=Auto(), own_links=OwnLinkSettings(tombstone=Duration(86_400)))
    async with world_of(tmp_path, config, clock=clock) as world:
        own = world.service.own
        made = await own.make(ANNA, "phone", "prop")
        seen = await read(world, made)
        clock.move(60)
        renewed = await own.renew(made.link.id)
        old = await read(world, made, if_modified_since=seen.headers["last-modified"])
        assert (old.status_code, titles(old.content)) == (200, {"This calendar link was revoked"})
        assert titles((await read(world, renewed)).content) == titles(seen.content)
        page = await world.ask("GET", f"/feeds/{made.token}/mine", accept="text/html")
        assert page.status_code == 410
        await own.revoke(made.link.id)
        assert titles((await read(world, renewed)).content) == {"This calendar link was revoked"}
        clock.move(86_400)
        assert (await read(world, renewed)).status_code == 404
        assert (await read(world, made)).status_code == 404


async def test_a_feed_that_is_gone_or_inactive_answers_404_as_its_configured_links_do(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop")
    for feeds in ({"anna": FEEDS["anna"]}, {**FEEDS, "prop": Feed(project="PROP", active=False)}):
        async with world_of(tmp_path, settings(feeds, auto=Auto())) as world:
            assert (await read(world, made)).status_code == 404
            page = await world.ask("GET", f"/feeds/{made.token}/mine", accept="text/html")
            assert page.status_code == 404
    async with world_of(tmp_path) as world:
        assert (await read(world, made)).status_code == 200


async def test_who_leaves_a_project_loses_its_links_until_they_return(tmp_path: Path) -> None:
    clock = Clock()
    async with world_of(tmp_path, clock=clock) as world:
        made = await world.service.own.make(BEN, "phone", "prop")
        mine = await world.service.own.make(BEN, "laptop", "ben")
        whole = await read(world, made)
        members = world.data.projects[sample_id("project", "PROP")].members
        ben = next(each for each in members if each.user == sample_id("user", "ben"))
        members.remove(ben)
        assert (await read(world, made)).content == whole.content, "looked up a moment ago"
        clock.move(601)
        gone = await read(world, made, if_modified_since=whole.headers["last-modified"])
        assert titles(gone.content) == {"This calendar link was revoked"}
        assert (await world.ask("GET", f"/feeds/{made.token}/mine", accept="text/html")).status_code == 410
        assert (await read(world, mine)).status_code == 200, "their own issues stay theirs"
        # Plane fails, and the server restarts: the last answer counts.
    async with world_of(tmp_path, clock=clock, data=world.data) as world:
        world.faults.add("members", f.server_error(), None)
        assert titles((await read(world, made)).content) == {"This calendar link was revoked"}
        world.faults.clear()
        members.append(ben)
        clock.move(1_300)
        back = await read(world, made, if_modified_since=gone.headers["last-modified"])
        assert (back.status_code, titles(back.content)) == (200, titles(whole.content))


async def test_where_plane_cannot_be_read_a_link_goes_on_working(tmp_path: Path) -> None:
    clock = Clock()
    async with world_of(tmp_path, clock=clock) as world:
        made = await world.service.own.make(ANNA, "phone", "prop")
        whole = await read(world, made)
        world.faults.add("members", f.server_error(), None)
        for _ in range(3):
            clock.move(3_600)
            assert titles((await read(world, made)).content) == titles(whole.content)


@pytest.mark.parametrize("person", [ANNA, "gone@example.com"])
async def test_a_feed_that_becomes_known_after_the_first_look_is_not_taken_for_one_that_was_left(
    tmp_path: Path, person: str
) -> None:
    clock = Clock()
    config = settings({"prop": FEEDS["prop"]}, auto=Auto(projects=True))
    identity = f"project/acme-demo/{sample_id('project', 'WEB')}"
    async with world_of(tmp_path, config, clock=clock) as world:
        other = await world.service.own.make(person, "phone", "prop")
        made = await world.service.own.make(person, "tablet", identity)
        # The server starts while Plane fails. The link of a configured feed asks what its person may see.
        world.faults.add("", f.server_error(), None)
        assert [(await read(world, one)).status_code for one in (other, made)] == [503, 503]
        world.faults.clear()
        clock.move(30)
        assert (await world.get("project-web")).status_code == 200
        shown = titles((await read(world, made)).content)
        ended = shown == {"This calendar link was revoked"}
        assert ended == (person != ANNA)


async def test_somebody_who_left_the_workspace_has_no_links_any_more(tmp_path: Path) -> None:
    clock = Clock()
    async with world_of(tmp_path, clock=clock) as world:
        made = [await world.service.own.make("gone@example.com", name, name) for name in ("prop", "anna")]
        for one in made:
            assert titles((await read(world, one)).content) == {"This calendar link was revoked"}


async def test_a_filter_that_the_feed_no_longer_allows_is_not_the_apps_fault(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        made = await world.service.own.make(ANNA, "phone", "prop", "label=bug")
    feeds = {**FEEDS, "prop": Feed(project="PROP", details="busy")}
    async with world_of(tmp_path, settings(feeds, auto=Auto())) as world:
        answer = await read(world, made)
        assert answer.status_code == 503


async def test_wrong_tokens_are_slowed_and_never_reveal_a_store(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        await world.service.own.make(ANNA, "phone", "prop")
        answer = await world.ask("GET", f"/feeds/{token_of(b'x' * 17)}/prop.ics")
        assert (answer.status_code, world.server.token_throttle.counts["wrong"]) == (404, 1)


async def test_while_it_is_not_known_which_links_there_are_apps_are_asked_to_come_back(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path) as server:
        store = open_store(server.address, {})
        server.stop()
        async with serving(settings(FEEDS, auto=Auto()), store=store) as world:
            answer = await world.ask("GET", f"/feeds/{token_of(b'x' * 17)}/mine.ics")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert (await world.get("prop")).status_code == 200, "configured links need no store"
