"""Projects that the key may not read, or not any more: nothing vanishes for it, and everything says so."""

import json
from pathlib import Path

import pytest
from app_world import TODAY, Clock, World, events, quick, serving, settings
from dav_memory import URL, MemoryDav
from msgspec.structs import replace
from plane import faults as f
from plane.data import PlaneData
from plane.sample import sample
from push_world import pushing_to, target
from test_refresh_incremental import server

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cli.check import check
from icsfeed.config.schema import Auto, Feed, Secret
from icsfeed.demo.sample import sample_id
from icsfeed.plane.webhook import read as read_delivery
from icsfeed.push.read_feed import read_feed
from icsfeed.push.scheduler import feed_stamp
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

FEEDS = {
    "all": Feed(everything=True, public=True),
    "two": Feed(projects=("PROP", "OPS")),
    "ops": Feed(project="OPS"),
}
TOKEN = "an admin token that nobody guesses"
CONFIG = settings(FEEDS, auto=Auto(projects=True), admin_token=Secret(TOKEN))
OPS = sample_id("project", "OPS")


def leave(data: PlaneData, network: int = 0) -> None:
    """Anna, whose key it is, leaves a project; a secret one (0) is not even listed afterwards."""
    project = data.projects[OPS]
    project.row["network"] = network
    project.members = [one for one in project.members if one.user != sample_id("user", "anna")]


async def status(world: World) -> str:
    return (
        await world.ask("GET", "/status", authorization=f"Bearer {TOKEN}", accept="application/json")
    ).text


@pytest.mark.parametrize("network", [0, 2], ids=["secret", "public"])
async def test_after_access_is_lost_feeds_stay_and_everything_says_so(
    network: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(CONFIG) as world:
        links = {**(await world.service.all_links("")), "frame": {}}
        before = {name: (await world.get(name)).content for name in (*FEEDS, "project-ops")}
        leave(world.data, network)
        for _ in range(3):
            world.clock.move(130)
            after = {name: (await world.get(name)).content for name in before}
            assert {name: events(body).keys() for name, body in after.items()} == {
                name: events(body).keys() for name, body in before.items()
            }
        warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert len([text for text in warnings if "project OPS" in text and OPS in text]) == 1
        assert "project OPS of workspace" in await status(world)
        assert json.loads(await status(world))["workspaces"][0]["projects"][-1]["lost_since"]
        ready = await world.ask("GET", "/health/ready")
        assert (ready.status_code, ready.json()["unread"]) == (200, {"demo": {"lost": 1}})
        health = (await world.ask("GET", "/api/v1/health")).json()
        assert (health["status"], health["copies"]["demo"]["problem"]) == ("degraded", "no access")
        for kind in ("page", "embed"):
            page = await world.ask("GET", links["all"][kind], accept="text/html")
            assert "cannot access one project" in page.text
        found = [one async for one in check(world.service)]
        assert any("project OPS" in one.text for one in found)
        world.clock.move(days=2)
        assert "Not updated since" in (await world.get("ops")).text


@pytest.mark.parametrize("delivered", ["before", "after"])
async def test_a_project_that_plane_says_was_deleted_is_gone(delivered: str) -> None:
    body = json.dumps({"event": "project", "action": "deleted", "data": {"id": OPS}, "activity": None})
    async with serving(CONFIG) as world:
        await world.get("all")
        watch = BackgroundRefresh(world.workspace, world.service.config.cache, world.clock.timer)
        if delivered == "before":
            watch.touch(read_delivery(body.encode()))
        del world.data.projects[OPS]
        world.clock.move(130)
        count = len(events((await world.get("all")).content))
        if delivered == "after":
            watch.touch(read_delivery(body.encode()))
            world.clock.move(2)
            assert len(events((await world.get("all")).content)) < count
        else:
            assert world.workspace.last_error is None
        assert (await world.get("project-ops")).status_code == 404
        await watch.close()


async def test_what_was_lost_is_kept_over_a_restart_and_another_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    data = sample(TODAY, clock=clock)
    own = CONFIG.workspaces["demo"]
    assert own.api_key is not None
    other = Secret("plane_api_of_somebody_with_fewer_projects")
    data.keys[other.reveal()] = replace(data.keys[own.api_key.reveal()], token=other.reveal())
    for config in (CONFIG, replace(CONFIG, workspaces={"demo": replace(own, api_key=other)})):
        caplog.clear()
        for restart in range(2):
            store = open_store("file", {"STATE_DIRECTORY": str(tmp_path)})
            async with server(config, data, clock, store=store) as found:
                body = (await found.service.rendered("all")).body
                assert any(OPS in str(one.get("url")) for one in events(body).values()), restart
            leave(data)
            clock.move(130)
        assert "project OPS" in caplog.text


@pytest.mark.parametrize("part", ["", ".*states/", ".*labels/", "work-items/"])
async def test_a_project_that_may_not_be_read_is_left_out_and_everything_says_so(part: str) -> None:
    async with serving(quick(CONFIG, 5)) as world:
        world.faults.add(f"{OPS}/{part}", f.answering(403, b'{"detail":"no"}'), None)
        await world.get("all")
        assert [(await world.get(name)).status_code for name in ("all", "two", "ops")] == [200, 200, 503]
        ready = await world.ask("GET", "/health/ready")
        assert (ready.status_code, ready.json()["unread"]) == (200, {"demo": {"closed": 1}})
        page = await world.ask("GET", "/feeds/all", accept="text/html")
        assert "cannot access one project" in page.text
        assert "lacks access" in await status(world)
        found = [one async for one in check(world.service)]
        assert any(one.level == "error" and "project OPS" in one.text for one in found)
        reading = await read_feed(world.service, "all")
        assert [part.final for part in reading.missing] == [False], (
            "where a push had more before, nothing is deleted"
        )
        assert await feed_stamp(world.service, "all") is not None


async def test_nobody_waits_for_a_project_that_may_not_be_read() -> None:
    async with serving(quick(CONFIG, 5)) as world:
        world.faults.add(f"{OPS}/", f.answering(403, b'{"detail":"no"}'), None)
        for _ in range(8):
            assert (await world.get("all")).status_code == 200
            world.clock.move(400)
        assert world.workspace.retry_after == 1


async def test_ready_means_that_feeds_with_cycles_answer_too() -> None:
    config = settings({"all": Feed(everything=True, public=True, include=("issues", "cycles"))})
    async with serving(quick(config, 5)) as world:
        world.faults.add("/cycles/", f.server_error(), None)
        answer, ready = await world.get("all"), await world.ask("GET", "/health/ready")
        assert (answer.status_code, ready.status_code) == (503, 503)
        world.faults.clear()
        world.clock.move(70)
        answer, ready = await world.get("all"), await world.ask("GET", "/health/ready")
        assert (answer.status_code, ready.status_code) == (200, 200)


async def test_check_lists_the_projects_that_the_key_has_not_joined() -> None:
    async with serving(settings({}, auto=Auto())) as world:
        leave(world.data, network=2)
        found = [one async for one in check(world.service)]
    assert any(one.text.endswith("OPS") for one in found)


@pytest.mark.parametrize("before_it", ["a push", "nothing"])
async def test_a_push_leaves_the_objects_of_a_lost_project_alone_until_it_is_forced(
    tmp_path: Path, before_it: str
) -> None:
    dav = MemoryDav()
    to = target(URL, username="alice", password="wonderland")
    async with pushing_to(to, tmp_path, transport=dav.transport) as made:
        await made.push()
        before = dict(dav.objects)
        lost = len([row for row in made.world.data.projects[OPS].issues.values() if row["target_date"]])
        leave(made.world.data)
        made.world.clock.move(130)
        gone = made.issues("WEB")[0]
        made.world.data.delete_issue(gone["id"])
        if before_it == "a push":
            report = await made.push()
            assert dav.objects.keys() == {name for name in before if gone["id"] not in name}
            assert any("project OPS" in text and "--force" in text for text in report.warnings)
        await made.push(force=True)
        assert 0 < len(before) - 1 - len(dav.objects) <= lost
        left = dict(dav.objects)
        await made.push()
        assert dav.objects == left


async def test_what_a_machine_without_memory_finds_of_a_project_that_was_left_stays(tmp_path: Path) -> None:
    dav, to = MemoryDav(), target(URL, username="alice", password="wonderland")
    async with pushing_to(to, tmp_path / "a", transport=dav.transport) as made:
        await made.push()
        before = dict(dav.objects)
    async with pushing_to(to, tmp_path / "b", transport=dav.transport) as made:
        leave(made.world.data, network=2)
        report = await made.push()
        assert dav.objects == before
        assert any("--force" in text for text in report.warnings)
        await made.push(force=True)
        assert 0 < len(dav.objects) < len(before)


async def test_a_lost_project_is_not_asked_for_any_more() -> None:
    async with serving(CONFIG) as world:
        await world.get("all")
        leave(world.data)
        for _ in range(3):
            world.clock.move(130)
            await world.get("all")
        before = world.faults.count(OPS)
        for _ in range(10):
            world.clock.move(400)
            await world.get("all")
        assert world.faults.count(OPS) == before


async def test_projects_that_were_all_archived_are_gone() -> None:
    async with serving(CONFIG) as world:
        await world.get("all")
        for project in world.data.projects.values():
            project.row["archived_at"] = "2026-11-20"
        world.clock.move(130)
        assert not events((await world.get("all")).content)


async def test_a_lost_project_has_no_end(tmp_path: Path) -> None:
    dav = MemoryDav()
    to = target(URL, username="alice", password="wonderland", max_delete_ratio=1.0)
    async with pushing_to(to, tmp_path, transport=dav.transport) as made:
        await made.push()
        before = len(dav.objects)
        leave(made.world.data)
        made.world.clock.move(130)
        await made.push()
        made.world.clock.move(days=31)
        await made.push()
        assert len(dav.objects) >= before
