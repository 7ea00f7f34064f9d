"""The same workspace gives the same calendars whatever edition of Plane it is on, and however it is read."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from app_world import TODAY, UNLIMITED, Clock, settings
from msgspec.structs import replace
from plane.api import create_plane
from plane.data import PlaneData
from plane.editions import Variant
from plane.faults import Fault, Faults, edited, server_error
from plane.sample import sample

from icsfeed.config.schema import Cache, Config, Duration, Feed
from icsfeed.demo.editions import COMMERCIAL, COMMUNITY, Edition
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import sample_id
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened

pytestmark = pytest.mark.anyio

DAY = Duration(86_400)
NAMES_REST = Cache(projects=DAY, members=DAY, states=DAY, labels=DAY, cycles=DAY, modules=DAY)
FEEDS = {
    "all": Feed(everything=True, include=("issues", "cycles", "modules"), details="full"),
    "web": Feed(project="WEB", dates="span"),
    "tasks": Feed(projects=("PROP", "OPS"), component="vtodo", undated=True),
    "anna": Feed(assignee="anna@example.com"),
}
WHOLE = r"workspaces/[^/]+/work-items/\?"
EACH = r"projects/[^/]+/(work-items|issues)/\?"


class Server:
    """A server over the sample on one edition."""

    def __init__(self, service: FeedService, faults: Faults, clock: Clock) -> None:
        self.service, self.faults, self.clock = service, faults, clock

    async def bodies(self) -> dict[str, bytes]:
        return {name: (await self.service.rendered(name)).body for name in self.service.config.feeds}

    async def counts(self, seconds: float = 61) -> tuple[int, int]:
        """How often the list of the workspace, and those of projects, were read for feeds after a while."""
        before = self.faults.count(WHOLE), self.faults.count(EACH)
        self.clock.move(seconds)
        await self.bodies()
        return self.faults.count(WHOLE) - before[0], self.faults.count(EACH) - before[1]


@asynccontextmanager
async def server(
    data: PlaneData,
    clock: Clock,
    edition: Edition = COMMERCIAL,
    *,
    variant: Variant = Variant(),  # noqa: B008 - frozen
    config: Config | None = None,
) -> AsyncIterator[Server]:
    faults = Faults()
    plane = create_plane(data, clock, faults=faults, limits=UNLIMITED, edition=edition, variant=variant)
    transports = {"demo": httpx.ASGITransport(plane)}  # type: ignore[arg-type]
    config = config or settings(FEEDS, cache=NAMES_REST)
    async with opened(config, transports=transports, clock=clock, timer=clock.timer) as service:
        yield Server(service, faults, clock)


def the_sample() -> tuple[PlaneData, Clock]:
    clock = Clock()
    return sample(TODAY, issues=30, clock=clock, edition=COMMERCIAL), clock


def an_issue(data: PlaneData, key: str, number: int) -> Row:
    return data.issue(sample_id("issue", key, str(number)))


def edit(data: PlaneData) -> None:
    data.patch_issue(sample_id("issue", "WEB", "3"), {"name": "Edited", "target_date": "2026-12-05"})


def create(data: PlaneData) -> None:
    data.create_issue(sample_id("project", "OPS"), {"name": "New", "target_date": "2026-12-01"})


def delete(data: PlaneData) -> None:
    data.delete_issue(sample_id("issue", "WEB", "4"))


def move(data: PlaneData) -> None:
    """Commercial moves an issue with its id; it gets a number of the other project."""
    web, ops = (data.projects[sample_id("project", key)] for key in ("WEB", "OPS"))
    row = web.issues.pop(sample_id("issue", "WEB", "5"))
    state = next(iter(ops.states))
    ops.issues[row["id"]] = row
    data.edit(row, project=ops.row["id"], sequence_id=99, state=state, labels=[], target_date="2026-12-09")


def archive(data: PlaneData) -> None:
    data.archive_issue(sample_id("issue", "WEB", "6"))


def draft(data: PlaneData) -> None:
    data.patch_issue(sample_id("issue", "WEB", "7"), {"is_draft": True})


def restore(data: PlaneData) -> None:
    """Plane is restored from a backup of last month."""
    for number in (3, 8):
        an_issue(data, "WEB", number).update(name="Restored", updated_at="2026-10-20T08:00:00.000000Z")


CHANGES = {each.__name__: each for each in (edit, create, delete, move, archive, draft, restore)}


async def test_an_unchanged_workspace_costs_two_requests_a_refresh() -> None:
    data, clock = the_sample()
    async with server(data, clock) as plane:
        assert await plane.counts(0) == (0, len(data.projects))
        assert await plane.counts() == (1, len(data.projects)), "the first check"
        for _ in range(4):
            assert await plane.counts() == (1, 1)


async def test_community_is_asked_once_a_day_and_read_as_before() -> None:
    data, clock = the_sample()
    async with server(data, clock, COMMUNITY) as plane:
        await plane.counts(0)
        assert await plane.counts() == (1, len(data.projects))
        for _ in range(4):
            assert await plane.counts() == (0, len(data.projects))
        assert await plane.counts(86_400) == (0, len(data.projects)), "it is time to read them whole"
        assert await plane.counts() == (1, len(data.projects))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_the_calendars_are_the_same_on_both_editions(change: Callable[[PlaneData], None]) -> None:
    data, clock = the_sample()
    async with server(data, clock, COMMUNITY) as community, server(data, clock) as commercial:
        assert await community.bodies() == await commercial.bodies()
        for _ in range(2):
            clock.move(61)
            assert await community.bodies() == await commercial.bodies()
        change(data)
        clock.move(61)
        bodies = await community.bodies()
        assert bodies == await commercial.bodies()
        clock.move(61)
        assert await community.bodies() == await commercial.bodies() == bodies
        assert commercial.faults.count(WHOLE) == 4


UNKNOWN: Mapping[str, tuple[Variant, Fault | None]] = {
    "a plan without it": (Variant(lacks={"work_items": 402}), None),
    "no right to it": (Variant(lacks={"work_items": 403}), None),
    "no total": (Variant(), edited(lambda page: page.pop("total_results"))),
    "no total, and no count": (
        Variant(lacks={"count": 404}),
        edited(lambda page: page.pop("total_results")),
    ),
    "a total that stands still": (Variant(), edited(lambda page: page.update(total_results=77))),
    "a bare array": (Variant(bare=["work_items"]), None),
    "no order": (Variant(), edited(lambda page: page["results"].reverse())),
    "no projects": (Variant(), edited(lambda page: [row.pop("project") for row in page["results"]])),
    "no times": (Variant(), edited(lambda page: [row.pop("updated_at") for row in page["results"]])),
    "other times": (
        Variant(),
        edited(lambda page: [row.update(updated_at=row["updated_at"][:19]) for row in page["results"]]),
    ),
    "other ids": (
        Variant(),
        edited(lambda page: [row.update(id=f"x{row['id']}"[:36]) for row in page["results"]]),
    ),
    "nothing": (Variant(), edited(lambda page: page.update(results=[], total_results=0))),
    "no rows": (Variant(), edited(lambda page: page.update(results=[]))),
    "a failure": (Variant(), server_error()),
}


@pytest.mark.parametrize(("variant", "fault"), UNKNOWN.values(), ids=UNKNOWN)
async def test_a_list_of_another_shape_costs_requests_and_never_a_calendar(
    variant: Variant, fault: Fault | None
) -> None:
    data, clock = the_sample()
    async with (
        server(data, clock, COMMUNITY) as community,
        server(data, clock, variant=variant) as commercial,
    ):
        if fault is not None:
            commercial.faults.add(WHOLE, fault, times=None)
        for change in (lambda _: None, lambda _: None, edit, create, move):
            change(data)
            clock.move(61)
            assert await community.bodies() == await commercial.bodies()
        assert commercial.service.workspaces["demo"].last_error is None


async def test_a_list_whose_total_hides_deletions_shows_them_when_their_project_has_its_turn() -> None:
    data, clock = the_sample()
    async with server(data, clock) as plane:
        plane.faults.add(WHOLE, edited(lambda page: page.update(total_results=77)), times=None)
        edit(data)
        for _ in range(3):
            await plane.counts()
        assert b"[3]" in (await plane.bodies())["web"]
        data.delete_issue(sample_id("issue", "WEB", "3"))
        for _ in data.projects:
            await plane.counts()
        assert b"[3]" not in (await plane.bodies())["web"]


async def test_projects_that_icsfeed_does_not_read_do_no_harm() -> None:
    data, clock = the_sample()
    config = settings(FEEDS, cache=NAMES_REST)
    only = replace(config.workspaces["demo"], projects=("PROP", "WEB", "OPS"))
    model = data.projects[sample_id("project", "OPS")]
    other = replace(
        model, row={**model.row, "id": sample_id("project", "ELSE"), "identifier": "ELSE"}, issues={}
    )
    data.projects[other.row["id"]] = other
    async with server(data, clock, config=replace(config, workspaces={"demo": only})) as plane:
        for _ in range(3):
            await plane.counts()
        assert await plane.counts() == (1, 1)
        new = data.create_issue(other.row["id"], {"name": "Elsewhere"})
        assert await plane.counts() == (1, 1)
        data.patch_issue(new["id"], {"name": "Edited elsewhere"})
        assert await plane.counts() == (1, 1)
        data.delete_issue(new["id"])
        assert await plane.counts() == (1, 3), "any project may have lost one"
        assert await plane.counts() == (1, 1)
