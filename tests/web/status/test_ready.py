"""/health/ready: whether every feed can be served, open to anybody, without a name or an address."""

import pytest
from app_world import TODAY, Clock, World, quick, serving, settings
from msgspec.structs import replace
from plane import faults as f
from plane.sample import sample

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.demo.data import DemoProject
from icsfeed.demo.sample import sample_id

pytestmark = pytest.mark.anyio

FORBIDDEN = b'{"detail":"You do not have permission to perform this action."}'
HIDDEN = ("plane.example.com", "acme-demo", "PROP", "OPS", "WEB", "property", "api/v1", "http")


def _watch(world: World) -> BackgroundRefresh:
    return BackgroundRefresh(world.workspace, world.service.config.cache, world.clock.timer)


async def test_unread_is_503_with_a_reason_and_read_is_200() -> None:
    async with serving() as world:
        before = await world.ask("GET", "/health/ready")
        assert before.status_code == 503
        assert before.json()["status"] == "unready"
        assert before.json()["reasons"] == {"demo": "not read yet"}
        assert before.headers["cache-control"] == "no-store"
        assert world.faults.count() == 0
        await _watch(world).refresh_stale()
        after = await world.ask("GET", "/health/ready")
        assert (after.status_code, after.json()["status"], after.json()["reasons"]) == (200, "ready", {})
        assert set(after.json()) == {"status", "reasons", "timestamp"}


async def test_a_part_that_was_read_is_not_enough() -> None:
    async with serving() as world:
        await world.get("property")
        assert (await world.ask("GET", "/health/ready")).status_code == 503


async def test_head_says_the_same_without_a_body() -> None:
    async with serving() as world:
        for status in (503, 200):
            head = await world.ask("HEAD", "/health/ready")
            assert (head.status_code, head.content) == (status, b"")
            await _watch(world).refresh_stale()


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        (f.answering(502, f.BAD_GATEWAY, "text/html"), r""),
        (f.answering(403, b'{"detail":"Given API token is not valid"}', "application/json"), r""),
        (f.answering(404, b'{"error": "Page not found."}', "application/json"), r"states/"),
        (f.answering(200, f.LOGIN_PAGE, "text/html"), r""),
    ],
)
async def test_the_reason_names_no_address_and_no_project(fault: f.Fault, pattern: str) -> None:
    async with serving(quick(settings(), 5)) as world:
        world.faults.add(pattern, fault)
        await _watch(world).refresh_stale()
        answer = await world.ask("GET", "/health/ready")
        assert answer.status_code == 503
        assert answer.json()["reasons"]["demo"] != "not read yet"
        assert [word for word in HIDDEN if word in answer.text] == []


async def test_once_read_an_outage_does_not_make_it_unready() -> None:
    async with serving() as world:
        await _watch(world).refresh_stale()
        world.faults.add("", f.answering(502, f.BAD_GATEWAY, "text/html"))
        world.clock.move(days=1)
        await _watch(world).refresh_stale()
        assert (await world.ask("GET", "/health/ready")).status_code == 200


async def test_a_start_during_an_outage_becomes_ready_without_any_reader() -> None:
    async with serving() as world:
        watch = _watch(world)
        world.faults.add("", f.answering(502, f.BAD_GATEWAY, "text/html"), times=4)
        for _ in range(20):
            await watch.refresh_stale()
            world.clock.move(10)
        assert (await world.ask("GET", "/health/ready")).status_code == 200


async def test_a_new_project_is_read_without_any_reader() -> None:
    async with serving() as world:
        watch = _watch(world)
        await watch.refresh_stale()
        world.clock.move(200)
        _add_project(world)
        await watch.refresh_stale()
        assert len(world.workspace.resources.all_projects) == len(world.data.projects)
        assert (await world.ask("GET", "/health/ready")).status_code == 200


def _add_project(world: World) -> None:
    other = next(iter(world.data.projects.values()))
    row = {**other.row, "id": "11111111-2222-4333-8444-555555555555", "identifier": "NEW", "name": "New"}
    world.data.projects[row["id"]] = DemoProject(other.slug, row, other.members)


async def test_a_project_that_the_key_may_not_read_keeps_nothing_from_being_ready() -> None:
    async with serving() as world:
        world.faults.add(sample_id("project", "OPS"), f.answering(403, FORBIDDEN), times=None)
        await _watch(world).refresh_stale()
        assert (await world.ask("GET", "/health/ready")).status_code == 200
        assert (await world.ask("GET", "/api/v1/health")).json()["copies"]["demo"]["problem"] == "no access"
    async with serving() as world:
        world.faults.add("/work-items/", f.answering(403, FORBIDDEN), times=None)
        await _watch(world).refresh_stale()
        assert (await world.ask("GET", "/health/ready")).json()["reasons"] == {"demo": "no access"}


async def test_a_workspace_without_projects_is_ready_once_that_is_known() -> None:
    config = settings()
    own = replace(config.workspaces["demo"], projects=("NONE",))
    async with serving(replace(config, workspaces={"demo": own})) as world:
        assert (await world.ask("GET", "/health/ready")).status_code == 503
        await _watch(world).refresh_stale()
        assert (await world.ask("GET", "/health/ready")).status_code == 200


async def test_every_active_workspace_counts() -> None:
    config, clock = settings(), Clock()
    two = config.workspaces["demo"]
    feeds = {"property": replace(config.feeds["property"], workspace="demo")}
    spaces = {"demo": two, "two": two, "off": replace(two, active=False)}
    config = replace(config, workspaces=spaces, feeds=feeds)
    async with serving(config, clock=clock, more={"two": sample(TODAY, clock=clock)}) as world:
        await _watch(world).refresh_stale()
        answer = await world.ask("GET", "/health/ready")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"two": "not read yet"})
        await BackgroundRefresh(world.service.workspaces["two"], config.cache, clock.timer).refresh_stale()
        assert (await world.ask("GET", "/health/ready")).status_code == 200
