"""Feeds of what Plane finds with a search (`pql`): joined with what is known, never emptied by a failure."""

import logging

import httpx
import pytest
from app_world import TODAY, UNLIMITED, Clock, World, serving, settings
from msgspec.structs import replace
from plane import faults as f
from plane.api import create_plane
from plane.sample import sample

from icsfeed.cli.check import check
from icsfeed.config.schema import Cache, Config, Duration, Feed, Filter
from icsfeed.demo.editions import COMMERCIAL, COMMUNITY, Edition
from icsfeed.push.read_feed import read_feed
from icsfeed.server.build import opened
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

URGENT = 'priority = "urgent"'
BAD = "priority = = urgent"
DAY = Duration(86_400)
CACHE = Cache(projects=DAY, members=DAY, states=DAY, labels=DAY, cycles=DAY, modules=DAY)
SEARCHES = r"workspaces/[^/]+/work-items/\?.*pql="
FOUND = Feed(everything=True, pql=URGENT, title="Urgent")
FEEDS = {
    "found": FOUND,
    "same": Feed(everything=True, where=Filter(priority=("urgent",)), title="Urgent"),
    "all": Feed(everything=True),
}


def config(**feeds: Feed) -> Config:
    return settings({**FEEDS, **feeds}, cache=CACHE)


async def body(world: World, name: str) -> str:
    answer = await world.get(name)
    assert answer.status_code == 200, answer.text
    return answer.text


async def problems(world: World) -> list[str]:
    """What `check` says is wrong with feeds."""
    found = [each async for each in check(world.service)]
    return [f"{each.about}: {each.text}" for each in found if each.level == "error"]


async def test_a_feed_holds_what_plane_finds_and_follows_it() -> None:
    async with serving(config(), edition=COMMERCIAL) as world:
        before = await body(world, "found")
        assert before == await body(world, "same")
        assert 0 < before.count("BEGIN:VEVENT") < (await body(world, "all")).count("BEGIN:VEVENT")
        world.change("WEB", 3, priority="urgent", target_date="2026-12-05")
        world.clock.move(61)
        assert await body(world, "found") == await body(world, "same") != before
        world.change("WEB", 3, priority="low")
        world.clock.move(61)
        assert await body(world, "found") == await body(world, "same")


async def test_feeds_with_the_same_search_share_it() -> None:
    twin = replace(FOUND, title="Twin", component="vtodo")
    async with serving(config(twin=twin), edition=COMMERCIAL) as world:
        for name in ("found", "twin", "found"):
            await body(world, name)
        assert world.faults.count(SEARCHES) == 1 + 1, "whether there is a search, and it"
        world.clock.move(61)
        for name in ("found", "twin", "found"):
            await body(world, name)
        assert world.faults.count(SEARCHES) == 3


async def test_all_pages_of_what_is_found_are_read() -> None:
    async with serving(
        config(many=replace(FOUND, pql="priority != urgent")), issues=230, edition=COMMERCIAL
    ) as world:
        await body(world, "many")
        many, same, every = [(await world.service.calendar(name)).count for name in ("many", "same", "all")]
        assert many + same == every > 200


async def test_it_narrows_scope_and_where_and_nobody_can_change_it() -> None:
    web = replace(FOUND, everything=False, project="PROP", where=Filter(state=("started",)))
    async with serving(config(web=web), edition=COMMERCIAL) as world:
        narrow = await body(world, "web")
        assert narrow.count("BEGIN:VEVENT") <= (await body(world, "found")).count("BEGIN:VEVENT")
        other = await world.get("web", "?pql=priority%20%21%3D%20urgent")
        assert other.status_code in (200, 400)
        assert other.status_code == 400 or other.text == narrow


@pytest.mark.parametrize(
    "edition", [COMMUNITY, replace(COMMERCIAL, searches=False)], ids=["community", "ignores"]
)
async def test_where_plane_has_no_search_the_feed_says_so_and_the_others_are_served(edition: Edition) -> None:
    async with serving(config(), edition=edition) as world:
        for _ in range(3):
            assert (await world.get("found")).status_code == 503
            assert (await world.get("all")).status_code == 200
            world.clock.move(61)
        assert await problems(world) == [
            "feed found: pql: this Plane has no search in PQL, which only commercial editions have: "
            "use where instead"
        ]
        assert world.workspace.last_error is None
        by_check = 0 if edition is COMMUNITY else 1  # where there is the list that is searched
        assert world.faults.count(SEARCHES) == 1 + by_check, "it is asked once a day"


async def test_a_text_that_is_no_pql_is_a_mistake_in_the_configuration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(config(bad=replace(FOUND, pql=BAD)), edition=COMMERCIAL) as world:
        answer = await world.get("bad")
        assert (answer.status_code, "not set up correctly" in answer.text) == (503, True)
        assert await body(world, "found") == await body(world, "same")
        assert await problems(world) == [
            "feed bad: pql: Plane does not accept this search: try it in Plane, and correct it"
        ]
    assert "feed 'bad': pql: Plane does not accept this search" in caplog.text


FAILURES = {
    "refused": (f.answering(400, b'{"error":"no"}'), True),
    "taken away": (f.answering(403, b'{"detail":"no"}'), True),
    "failed": (f.server_error(), False),
    "gateway": (f.bad_gateway(), False),
    "cut off": (f.cut_off(), False),
}


@pytest.mark.parametrize(("fault", "is_final"), FAILURES.values(), ids=FAILURES)
async def test_what_was_found_before_is_shown_while_the_search_fails(
    fault: f.Fault, is_final: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(config(), edition=COMMERCIAL) as world:
        before = await body(world, "found")
        world.faults.add(SEARCHES, fault, times=None)
        for _ in range(6):
            world.clock.move(61)
            assert await body(world, "found") == before
        world.change("WEB", 3, name="Other news", target_date="2026-12-05")
        world.clock.move(61)
        assert "Other news" in await body(world, "all"), "nothing else is held up"
        assert ("feed 'found': pql: " in caplog.text) is is_final
        assert bool(await problems(world)) is is_final
        reading = await read_feed(world.service, "found")
        assert "the issues that pql finds" in str(reading.missing), "so that a push deletes nothing"


async def test_a_plane_that_ignores_searches_from_some_day_on_widens_no_feed() -> None:
    async with serving(config(), edition=COMMERCIAL) as world:
        before = await body(world, "found")
        ignored = f.edited(lambda page: page.update(results=[*_all_rows(world)], total_results=None))
        world.faults.add(SEARCHES, ignored, times=None)
        for _ in range(3):
            world.clock.move(61)
            assert await body(world, "found") == before
        assert await problems(world), "it is said"
        world.faults.clear()
        world.clock.move(hours=25)
        assert (await body(world, "found")).count("BEGIN:VEVENT") == before.count("BEGIN:VEVENT")
        assert not await problems(world)


def _all_rows(world: World) -> list[dict[str, str]]:
    projects = world.data.projects.values()
    return [{"id": id_, "project": each.row["id"]} for each in projects for id_ in each.issues]


async def test_what_was_found_is_there_after_a_restart_without_plane() -> None:
    clock, store, faults = Clock(), open_store("memory", {}), f.Faults()
    data = sample(TODAY, clock=clock, edition=COMMERCIAL)
    plane = create_plane(data, clock, faults=faults, limits=UNLIMITED, edition=COMMERCIAL)
    how = {
        "transports": {"demo": httpx.ASGITransport(plane)},  # type: ignore[arg-type]
        "store": store,
        "clock": clock,
        "timer": clock.timer,
    }
    async with opened(config(), **how) as one:  # type: ignore[arg-type]
        before = await one.rendered("found")
        faults.add("", f.raising(httpx.ConnectError("Connection refused")), times=None)
        clock.move(3_600)
        async with opened(config(), **how) as other:  # type: ignore[arg-type]
            assert (await other.rendered("found")).body == before.body
            assert "BEGIN:VEVENT" in before.body.decode()
