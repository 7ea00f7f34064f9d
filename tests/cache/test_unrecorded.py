"""Shapes of Plane that nobody has recorded: a wrong guess costs requests, and never a calendar."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from app_world import World, serving, settings
from plane.faults import Fault, answering, bad_gateway, edited, raising, server_error, wrong_type

from icsfeed.config.schema import Feed, Filter
from icsfeed.demo.editions import COMMERCIAL

pytestmark = pytest.mark.anyio

FEEDS = {
    "all": Feed(
        everything=True,
        include=("issues", "cycles", "modules", "milestones", "releases", "initiatives"),
        categories=("labels", "type"),
        summary="[{key}] {type} {name}",
    ),
    "plain": Feed(everything=True),
    "epics": Feed(everything=True, where=Filter(type=("epic",))),
    "releases": Feed(everything=True, include=("releases",)),
}
NAMES = {
    "state": "state_id",
    "parent": "parent_id",
    "type_id": "type",
    "created_by": "created_by_id",
    "labels": "label_ids",
    "assignees": "assignee_ids",
}
ISSUES = r"projects/[^/]+/(work-items|issues)/\?"


def rows(change: Callable[[Any], object]) -> Fault:
    return edited(lambda page: [change(row) for row in page["results"]])


def pages(change: Callable[[Any], object]) -> Fault:
    return edited(lambda page: change(page) if "results" in page else None)


def expand(row: Any) -> None:
    for name in ("state", "parent", "type_id", "created_by", "project"):
        if row.get(name):
            row[name] = {"id": row[name], "name": "Expanded"}
    for name in ("labels", "assignees"):
        row[name] = [{"id": each, "name": "Expanded"} for each in row.get(name) or ()]


def rename(row: Any) -> None:
    for old, new in NAMES.items():
        row[new] = row.pop(old, None)


SHAPES: Mapping[str, tuple[str, Fault]] = {
    "objects for ids": (ISSUES, rows(expand)),
    "other names": (ISSUES, rows(rename)),
    "times with a blank": (
        ISSUES,
        rows(lambda row: row.update(updated_at=row["updated_at"].replace("T", " ").replace("Z", "+00"))),
    ),
    "no total": ("", pages(lambda page: page.pop("total_results", None))),
    "a total in words": ("", pages(lambda page: page.update(total_results=str(page["total_results"])))),
    "a total with a point": ("", pages(lambda page: page.update(total_results=float(page["total_results"])))),
    "no word on more": ("", pages(lambda page: page.pop("next_page_results"))),
    "no cursor at the end": (
        "",
        pages(lambda page: page.update(next_cursor=page["next_page_results"] and page["next_cursor"])),
    ),
}


async def bodies(world: World) -> dict[str, bytes]:
    answers = {name: await world.ask("GET", world.path(name)) for name in FEEDS}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {name: answer.content for name, answer in answers.items()}


@pytest.mark.parametrize(("pattern", "fault"), SHAPES.values(), ids=SHAPES)
async def test_another_shape_of_rows_and_pages_gives_the_same_calendars(pattern: str, fault: Fault) -> None:
    async with serving(settings(FEEDS), edition=COMMERCIAL, issues=250) as world:
        expected = await bodies(world)
    async with serving(settings(FEEDS), edition=COMMERCIAL, issues=250) as world:
        world.faults.add(pattern, fault, times=None)
        assert await bodies(world) == expected


LISTS = {
    "milestones": "/milestones/",
    "releases": "/releases/",
    "initiatives": "/initiatives/",
    "types": "work-item-types/",
}
FAILURES: Mapping[str, Fault] = {
    "403": answering(403, b'{"detail": "no"}'),
    "401": answering(401, b'{"detail": "no"}'),
    "500": server_error(),
    "502": bad_gateway(),
    "slow": raising(httpx.ReadTimeout("slow")),
    "a page": wrong_type(),
    "nothing": answering(204),
    "null": answering(200, b"null"),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("name", LISTS)
async def test_a_list_that_fails_takes_nothing_else_with_it(name: str, fault: Fault) -> None:
    async with serving(settings(FEEDS), edition=COMMERCIAL) as world:
        expected = await bodies(world)
    async with serving(settings(FEEDS), edition=COMMERCIAL) as world:
        world.faults.add(LISTS[name], fault, times=None)
        answers = {feed: await world.ask("GET", world.path(feed)) for feed in FEEDS}
        assert answers["plain"].content == expected["plain"]
        issues = b"UID:plane-issue"
        assert answers["all"].content.count(issues) == expected["all"].count(issues)
        # What needs the list is not served without it, unless Plane says that it has none.
        for feed in ("epics", "releases"):
            is_empty = answers[feed].status_code == 200 and answers[feed].content != expected[feed]
            assert not is_empty or (feed, fault) == (name, FAILURES["403"])
        assert world.workspace.last_error is None
        before = world.faults.count(LISTS[name])
        world.faults.clear()
        world.clock.move(hours=25)
        await bodies(world)
        assert world.faults.count(LISTS[name]) > before


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("name", LISTS)
async def test_what_was_read_of_a_list_outlives_its_failure(name: str, fault: Fault) -> None:
    async with serving(settings(FEEDS), edition=COMMERCIAL) as world:
        expected = await bodies(world)
        world.faults.add(LISTS[name], fault, times=None)
        for _ in range(3):
            world.clock.move(hours=1)
            assert await bodies(world) == expected
