"""CalDAV accounts by links that people have made: all their feeds, or one; also when Plane fails."""

import plistlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from app_world import Clock, World, events, serving, settings
from dav_client import DavClient, Mirror, basic, of_subscriber
from making import TODAY
from msgspec.structs import replace
from plane import faults as f
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.config.schema import Auto, Config, Feed
from icsfeed.dav.names import DAV, KINDS, NAME
from icsfeed.demo.sample import sample_id
from icsfeed.store.store import open_store
from icsfeed.tokens import digest_of
from icsfeed.web.dav.login import LastFeeds

pytestmark = pytest.mark.anyio

ANNA = "anna@example.com"
FEEDS = {
    "anna": Feed(assignee=ANNA, title="Anna's own"),
    "prop": Feed(project="PROP", title="Property", subscribers=("bert",)),
    "ops": Feed(project="OPS", title="Operations", revoked=(ANNA,)),
    "web": Feed(project="WEB", title="Website"),
    "all": Feed(everything=True),
}
CONFIG = settings(FEEDS, auto=Auto())


def stored(
    folder: Path,
    config: Config = CONFIG,
    clock: Clock | None = None,
    data: PlaneData | None = None,
    more: Mapping[str, PlaneData] = {},
) -> AbstractAsyncContextManager[World]:
    """A server with its store in files, as after a restart where there are any."""
    store = open_store("file", {"STATE_DIRECTORY": str(folder)})
    return serving(config, store=store, clock=clock, data=data, more=more)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stored(tmp_path) as running:
        yield running


def last_feeds_key() -> str:
    return f"dav/feeds/{digest_of(ANNA)[:32]}"


async def account(world: World, user: str = ANNA, device: str = "phone") -> DavClient:
    """Anna's account of all feeds."""
    made = await world.service.own.make(ANNA, device)
    return DavClient(world, user, made.token)


async def calendars(client: DavClient) -> dict[str, str]:
    """The calendars of an account, with their titles."""
    listed = await client.propfind(client.home, "displayname", "resourcetype", depth=1)
    return {
        href.removeprefix(client.home.replace("@", "@")).strip("/"): one.text(NAME)
        for href, one in listed.items()
        if one.is_calendar
    }


async def status(client: DavClient, path: str = "/dav/") -> int:
    return (await client.ask("PROPFIND", path, headers={"Depth": "0"})).status_code


async def test_an_account_holds_all_feeds_that_the_person_may_see(world: World) -> None:
    anna = await account(world)
    assert await calendars(anna) == {"anna": "Anna's own", "prop": "Property", "web": "Website"}
    mirror = Mirror(anna, f"{anna.home}prop/")
    assert await mirror.sync()
    assert len(mirror.objects) == len(events((await world.get("prop")).content))
    for path in ("ops/", "all/"):
        assert await status(anna, anna.home + path) == 404


@pytest.mark.parametrize("user", [ANNA, "Anna@Example.COM", "phone", "Phone", f"{ANNA}+tasks"])
async def test_the_user_name_is_the_address_or_the_name_of_the_link(world: World, user: str) -> None:
    anna = await account(world, user)
    assert len(await calendars(anna)) == (6 if "+" in user else 3)


@pytest.mark.parametrize("user", ["ben@example.com", "anna", "prop", "tablet", "+tasks"])
async def test_other_user_names_do_not_log_in(world: World, user: str) -> None:
    assert await status(await account(world, user)) == 401


async def test_the_token_of_an_account_is_no_link_and_that_of_a_link_no_account(world: World) -> None:
    anna = await account(world)
    token = (await world.service.own.make(ANNA, "tablet")).token
    assert (await world.ask("GET", f"/feeds/{token}/prop.ics")).status_code == 404
    made = await world.service.own.make(ANNA, "laptop", feed="prop")
    assert len(await calendars(DavClient(world, ANNA, made.token))) == 1
    assert len(await calendars(anna)) == 3


async def test_task_lists_come_with_the_name(world: World) -> None:
    anna = await account(world, f"{ANNA}+tasks")
    listed = await anna.propfind(anna.home, "c:supported-calendar-component-set", depth=1)
    kinds = {
        href: one.properties[KINDS][0].get("name") for href, one in listed.items() if KINDS in one.properties
    }
    assert kinds[f"{anna.home}prop/"] == "VEVENT"
    assert kinds[f"{anna.home}prop+tasks/"] == "VTODO"
    assert await anna.query(f"{anna.home}prop+tasks/", "", "VTODO")


async def test_what_the_person_has_narrowed_are_calendars_under_their_own_names(world: World) -> None:
    own = world.service.own
    urgent = (await own.make(ANNA, "desk", feed="prop", narrowing="priority=urgent", title="Burning")).link
    soon = (await own.make(ANNA, "watch", feed="prop", narrowing="days=14")).link
    await own.make(ANNA, "plain", feed="prop")
    anna = await account(world, f"{ANNA}+tasks")
    listed = await calendars(anna)
    assert {name: title for name, title in listed.items() if name.startswith("link+")} == {
        f"link+{urgent.id}": "Burning",
        f"link+{urgent.id}+tasks": "Burning",
        f"link+{soon.id}": "watch",
    }
    narrow, whole = Mirror(anna, f"{anna.home}link+{urgent.id}/"), Mirror(anna, f"{anna.home}prop/")
    assert await narrow.sync()
    assert await whole.sync()
    assert 0 < len(narrow.objects) < len(whole.objects)
    # With another filter it stays the same calendar.
    await own.narrow(urgent.id, "priority=urgent,high")
    before = len(narrow.objects)
    assert await narrow.sync()
    assert before < len(narrow.objects) < len(whole.objects)


@pytest.mark.parametrize("user", [ANNA, "phone", "prop", "PROP"])
async def test_a_link_of_one_feed_opens_that_feed_as_it_is_narrowed(world: World, user: str) -> None:
    made = await world.service.own.make(ANNA, "phone", feed="prop", narrowing="priority=urgent")
    client = DavClient(world, user, made.token)
    (name,) = await calendars(client)
    assert name == f"link+{made.link.id}"
    mirror = Mirror(client, f"{client.home}{name}/")
    assert await mirror.sync()
    expected = events((await world.ask("GET", f"/feeds/{made.token}/prop.ics")).content)
    assert len(mirror.objects) == len(expected) > 0
    assert await status(client, f"{client.home}prop/") == 404


async def test_the_profile_of_a_link_with_a_filter_opens_no_more_than_the_link(world: World) -> None:
    made = await world.service.own.make(ANNA, "phone", feed="prop", narrowing="priority=urgent")
    answer = await world.ask("GET", f"/feeds/{made.token}/prop.mobileconfig?account=caldav")
    (payload,) = plistlib.loads(answer.content)["PayloadContent"]
    client = DavClient(world, payload["CalDAVUsername"], payload["CalDAVPassword"])
    assert list(await calendars(client)) == [f"link+{made.link.id}"]


async def test_a_link_that_was_taken_back_or_renewed_does_not_log_in(world: World) -> None:
    own = world.service.own
    for feed in ("", "prop"):
        made = await own.make(ANNA, f"phone{feed}", feed=feed)
        client = DavClient(world, ANNA, made.token)
        assert await status(client) == 207
        renewed = await own.renew(made.link.id)
        assert await status(client) == 401
        again = DavClient(world, ANNA, renewed.token)
        assert await status(again) == 207
        await own.revoke(made.link.id)
        assert await status(again) == 401


async def test_somebody_who_has_left_plane_does_not_log_in(tmp_path: Path) -> None:
    async with stored(tmp_path) as world:
        own, ben = world.service.own, "ben@example.com"  # the key that reads Plane is Anna's
        every = DavClient(world, ben, (await own.make(ben, "phone")).token)
        one = DavClient(world, ben, (await own.make(ben, "tablet", feed="prop")).token)
        assert (await status(every), await status(one)) == (207, 207)
        user = sample_id("user", "ben")
        for workspace in world.data.workspaces.values():
            workspace.members = [member for member in workspace.members if member.user != user]
        for project in world.data.projects.values():
            project.members = [member for member in project.members if member.user != user]
        world.clock.move(hours=2)
        assert (await status(every), await status(one)) == (401, 401)


async def test_a_project_that_was_left_takes_its_calendar_along(world: World) -> None:
    anna = await account(world)
    assert "web" in await calendars(anna)
    project = next(one for one in world.data.projects.values() if one.row["identifier"] == "WEB")
    project.members = [one for one in project.members if one.user != sample_id("user", "anna")]
    world.clock.move(hours=2)
    assert (await calendars(anna)).keys() == {"anna", "prop"}


async def test_when_plane_fails_the_list_stays_over_restarts(tmp_path: Path) -> None:
    clock = Clock()
    async with stored(tmp_path, clock=clock) as world:
        anna = await account(world)
        before = await calendars(anna)
        mirror = Mirror(anna, f"{anna.home}web/")
        assert await mirror.sync()
        world.faults.add("", f.server_error(), None)
        clock.move(hours=3)
        assert await calendars(anna) == before
        token = str(anna.login["Authorization"])
    async with stored(tmp_path, clock=clock) as restarted:
        restarted.faults.add("", f.server_error(), None)
        anna.world, anna.login = restarted, {"Authorization": token}
        assert await calendars(anna) == before
        # The sync-token of before the restart is still good, and nothing has changed.
        assert await mirror.sync()
        assert mirror.read == 0
    async with stored(tmp_path, config=replace(CONFIG, feeds={"web": FEEDS["web"]}), clock=clock) as fewer:
        fewer.faults.add("", f.server_error(), None)
        anna.world = fewer
        assert (await calendars(anna)).keys() == {"web"}


async def test_before_plane_was_ever_read_the_account_is_not_empty_but_unavailable(tmp_path: Path) -> None:
    async with stored(tmp_path) as world:
        world.faults.add("", f.server_error(), None)
        anna = await account(world)
        answer = await anna.ask("PROPFIND", anna.home, headers={"Depth": "1"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0


async def test_a_filter_that_cannot_be_used_any_more_loses_nobody_their_calendar(tmp_path: Path) -> None:
    async with stored(tmp_path) as world:
        link = (await world.service.own.make(ANNA, "desk", feed="prop", narrowing="priority=urgent")).link
        anna = await account(world)
        assert f"link+{link.id}" in await calendars(anna)
    # A busy feed does not show priorities, so that a filter by them would reveal them.
    busy = replace(CONFIG, feeds={**FEEDS, "prop": replace(FEEDS["prop"], details="busy")})
    async with stored(tmp_path, busy) as world:
        anna.world = world
        listed = await calendars(anna)
        assert f"link+{link.id}" in listed
        assert await status(anna, f"{anna.home}link+{link.id}/") == 503


async def test_configured_accounts_do_not_need_the_store(world: World) -> None:
    bert = of_subscriber(world, "prop", "bert")
    world.service.own.is_read = False
    assert (await calendars(bert)).keys() == {"prop"}


async def test_who_reads_by_a_link_is_remembered(world: World) -> None:
    anna = await account(world)
    headers = {"User-Agent": "DAVx5/4.4", "Depth": "1"}
    await anna.ask("PROPFIND", f"{anna.home}prop/", headers=headers)
    ((link, reads),) = world.service.own.readers.items()
    assert (link, reads[0].app, reads[0].status) == (world.service.own.links[0].id, "DAVx5", 207)
    assert [reader.subscriber for reader in world.server.reader_log.readers()["prop"]] == [f"{ANNA} (phone)"]


async def test_writing_is_refused_as_everywhere(world: World) -> None:
    anna = await account(world)
    answer = await anna.ask("PUT", f"{anna.home}prop/x.ics", "BEGIN:VCALENDAR")
    assert answer.status_code == 403
    assert f"<{DAV}need-privileges" in answer.text or "need-privileges" in answer.text


async def test_wrong_tokens_look_the_same_for_people_and_strangers(world: World) -> None:
    await account(world)
    answers = [
        await world.ask("PROPFIND", "/dav/", **basic(who, "icsf_" + "a" * 26)) for who in (ANNA, "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content


async def test_a_workspace_that_was_never_read_leaves_nobody_a_project_that_they_have_left(
    tmp_path: Path,
) -> None:
    clock, north = Clock(), sample(TODAY)
    workspace = CONFIG.workspaces["demo"]
    one = settings({}, auto=Auto(projects=True), workspaces={"north": workspace})
    async with stored(tmp_path, one, clock, more={"north": north}) as world:
        anna = await account(world)
        assert {"project-prop", "project-web"} <= (await calendars(anna)).keys()
    project = north.projects[sample_id("project", "WEB")]
    project.members = [each for each in project.members if each.user != sample_id("user", "anna")]
    # Another workspace is added, and its key is wrong.
    both = replace(one, workspaces={"north": workspace, "demo": workspace})
    async with stored(tmp_path, both, clock, more={"north": north}) as world:
        world.faults.add("", f.server_error(), None)
        anna.world = world
        listed = await calendars(anna)
        assert "project-prop" in listed
        assert "project-web" not in listed
        assert await status(anna, f"{anna.home}project-web/") == 404


async def test_what_becomes_known_after_the_first_login_is_not_taken_from_the_account(tmp_path: Path) -> None:
    clock = Clock()
    config = settings({}, auto=Auto(projects=True))
    async with stored(tmp_path / "one", config, clock) as world:
        anna = await account(world)
        before = await calendars(anna)
        names = await world.service.store.get_record(last_feeds_key(), LastFeeds)
        assert names is not None
    async with stored(tmp_path / "two", config, clock) as world:
        anna = await account(world)
        await world.service.store.put_record(last_feeds_key(), names)
        world.faults.add("", f.server_error(), None)
        assert await status(anna, anna.home) == 207
        world.faults.clear()
        clock.move(30)
        assert (await world.get("project-web")).status_code == 200
        assert await calendars(anna) == before
