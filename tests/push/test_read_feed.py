"""Feeds read for a push: complete, or with the names of the parts that are missing."""

import pytest
from app_world import World, serving, settings
from plane import faults as f

from icsfeed.config.schema import Feed, Included
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.wire import Handler, PlaneRequest, PlaneResponse
from icsfeed.errors import FeedError
from icsfeed.push.plan import desired_objects
from icsfeed.push.read_feed import read_feed

pytestmark = pytest.mark.anyio

FEEDS = {"all": Feed(everything=True), "prop": Feed(project="PROP"), "off": Feed(project="WEB", active=False)}


async def is_whole(world: World, name: str = "all") -> bool:
    return not (await read_feed(world.service, name)).missing


async def test_a_feed_that_was_read_without_error_is_complete() -> None:
    async with serving(settings(FEEDS)) as world:
        reading = await read_feed(world.service, "prop")
        assert (reading.missing, reading.error, reading.feed) == ((), None, FEEDS["prop"])
        assert reading.calendar.components == (await world.service.calendar("prop")).components


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("/work-items/", "the issues of WEB"),
        ("/states/", "the states of WEB"),
        ("/labels/", "the labels of WEB"),
        ("/cycles/", "the cycles of WEB"),
        ("/members/", "the members"),
        (r"/projects/(\?|$)", "the list of projects"),
    ],
)
async def test_a_part_that_could_not_be_read_is_missing_by_its_name(part: str, named: str) -> None:
    async with serving(settings(FEEDS)) as world:
        assert await is_whole(world)
        world.faults.add(part, f.server_error(), None)
        world.clock.move(seconds=3_600)
        reading = await read_feed(world.service, "all")
    assert (named in {one.part for one in reading.missing}, reading.error is None) == (True, False)
    assert all(one.final for one in reading.missing)


async def test_another_project_that_fails_does_not_matter() -> None:
    async with serving(settings(FEEDS)) as world:
        assert await is_whole(world)
        other = next(key for key, one in world.data.projects.items() if one.row["identifier"] == "WEB")
        world.faults.add(f"{other}/states/", f.answering(403, b'{"detail":"no"}'), None)
        world.clock.move(seconds=3_600)
        assert (await is_whole(world, "prop"), await is_whole(world, "all")) == (True, False)


async def test_an_issue_that_cannot_be_decoded_makes_the_feed_incomplete() -> None:
    async with serving(settings(FEEDS)) as world:
        world.faults.add("/work-items/", f.malformed(created_at=None))
        (missing,) = (await read_feed(world.service, "all")).missing
        assert "that cannot be understood" in missing.part


async def test_a_read_that_outlasts_the_freshness_of_its_first_parts_is_complete() -> None:
    async with serving(settings(FEEDS)) as world:

        async def slow(call: PlaneRequest, answer: Handler) -> PlaneResponse:
            world.clock.move(seconds=200)
            return await answer(call)

        world.faults.add("/states/", slow, None)
        assert await is_whole(world)


@pytest.mark.parametrize("before", [10, 50, 290, 590])
async def test_what_was_fresh_when_the_run_began_is_not_missing_at_its_end(before: int) -> None:
    """Of parts with different TTLs some always expire while the others are read."""
    async with serving(settings(FEEDS)) as world:
        assert await is_whole(world)
        world.clock.move(seconds=before)

        async def slow(call: PlaneRequest, answer: Handler) -> PlaneResponse:
            world.clock.move(seconds=20)
            return await answer(call)

        world.faults.add("", slow, None)
        assert (await read_feed(world.service, "all", patience=10_000)).missing == ()


async def test_what_was_not_fresh_when_the_run_began_is_missing_until_it_is_read() -> None:
    async with serving(settings(FEEDS)) as world:
        assert await is_whole(world)
        workspace = world.service.workspaces["demo"]
        workspace.resources.expire_all()
        world.faults.add("/labels/", f.server_error(), None)
        world.clock.move(seconds=1)
        assert "the labels of WEB" in {one.part for one in (await read_feed(world.service, "all")).missing}


async def test_a_feed_that_is_off_is_an_error() -> None:
    async with serving(settings(FEEDS)) as world:
        with pytest.raises(FeedError, match="not active"):
            await read_feed(world.service, "off")


async def test_milestones_releases_and_initiatives_are_pushed_as_cycles_are() -> None:
    include: tuple[Included, ...] = ("issues", "milestones", "releases", "initiatives")
    config = settings({"plan": Feed(everything=True, include=include)})
    async with serving(config, edition=COMMERCIAL) as world:
        reading = await read_feed(world.service, "plan")
        desired = desired_objects(reading.calendar.components, "plan@aaaaaaaaaaaa")
        kinds = [kind for kind in ("milestone", "release", "initiative") for uid in desired if kind in uid]
        assert (kinds.count("milestone"), kinds.count("release"), kinds.count("initiative")) == (3, 3, 2)
        assert reading.missing == ()
        # What cannot be understood now stays in the calendar, but nothing is deleted for it.
        world.faults.add("releases/|milestones/", f.answering(200, b"null"), None)
        world.clock.move(seconds=3_600)
        later = await read_feed(world.service, "plan")
        assert len(desired_objects(later.calendar.components, "plan@aaaaaaaaaaaa")) == len(desired)
        assert {one.part for one in later.missing} == {
            "the releases",
            *(f"the milestones of {key}" for key in ("OPS", "PROP", "WEB")),
        }
