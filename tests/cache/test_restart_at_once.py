"""After a restart readers get the stored copy at once, however slow Plane is; only what is stale is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from app_world import TODAY, event
from msgspec.structs import replace
from plane.data import PlaneData
from plane.faults import Faults, delayed
from redis_world import opened_store, redis_server
from test_persistence_restart import ALL, CONFIG, Machine, files, rendered
from test_refresh_incremental import NAMES_REST, Server, edit, project_id, server

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import Config, Duration, Feed, Filter
from icsfeed.feeds.rendered import Rendered
from icsfeed.plane.webhook import WebhookChange
from icsfeed.store.store import Store

pytestmark = pytest.mark.anyio

SOON = 2.0
"""Seconds within which a copy is served though Plane does not answer; the deadline is longer."""
PATIENT = replace(CONFIG, cache=replace(CONFIG.cache, deadline=Duration(20)))
LINKS = "/(cycle-issues|module-issues)/"


def hanging(pattern: str = "") -> Faults:
    faults = Faults()
    faults.add(pattern, delayed(60), times=None)
    return faults


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@asynccontextmanager
async def watched(
    machine: Machine, config: Config = PATIENT, faults: Faults | None = None, store: Store | None = None
) -> AsyncIterator[Server]:
    """A server as `icsfeed serve` starts it: with its background refresh."""
    store = store or files(machine.folder)
    async with server(config, machine.data, machine.clock, store=store, faults=faults) as found:
        background = BackgroundRefresh(found.service.workspaces["demo"], config.cache, machine.clock.timer)
        background.start()
        yield found
        await background.stop()


async def at_once(found: Server) -> dict[str, Rendered]:
    async with asyncio.timeout(SOON):
        return await rendered(found)


@pytest.mark.parametrize("seconds", [1, 61, 3500])
async def test_a_copy_is_served_at_once_though_plane_hangs(machine: Machine, seconds: float) -> None:
    config = replace(PATIENT, cache=replace(type(PATIENT.cache)(), deadline=Duration(20)))
    before = await machine.run(config)
    machine.clock.move(seconds)
    async with watched(machine, config, hanging()) as found:
        assert await at_once(found) == before
        machine.clock.move(2)
        assert await at_once(found) == before, "until Plane has answered"


async def test_what_is_stale_is_read_in_the_background(machine: Machine) -> None:
    before = await machine.run(PATIENT)
    edit(machine.data, 3)
    machine.clock.move(61)
    async with watched(machine) as found:
        assert await at_once(found) == before
        async with asyncio.timeout(10):
            resources = found.service.workspaces["demo"].resources
            while not resources.restored.isdisjoint(machine.data.projects):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            machine.clock.move(2)
        assert b"Edited 3" in (await rendered(found))["all"].body
        await found.is_right()


async def test_a_restored_copy_is_not_shown_once_a_webhook_says_that_a_project_is_gone(
    machine: Machine,
) -> None:
    config = replace(PATIENT, feeds={"all": ALL["all"]})
    await machine.run(config)
    machine.clock.move(10)
    faults = Faults()
    faults.add(r"projects/\?", delayed(0.5), times=None)
    async with watched(machine, config, faults) as found:
        assert event((await at_once(found))["all"].body, "WEB", 1) is not None
        del machine.data.projects[project_id("WEB")]
        gone = frozenset({project_id("WEB")})
        change = WebhookChange(
            action="delete", resources=frozenset({"projects"}), projects=gone, project_gone=True
        )
        background = BackgroundRefresh(
            found.service.workspaces["demo"],
            config.cache,
            machine.clock.timer,
            sleep=lambda _: asyncio.sleep(0),
        )
        background.touch(change)
        machine.clock.move(2)
        assert event((await rendered(found))["all"].body, "WEB", 1) is None
        await background.close()


async def test_a_copy_that_is_older_than_an_hour_is_read_first(machine: Machine) -> None:
    await machine.run(PATIENT)
    edit(machine.data, 3)
    machine.clock.move(3700)
    async with watched(machine) as found:
        assert b"Edited 3" in (await rendered(found))["all"].body


async def test_without_a_background_refresh_plane_is_read_first(machine: Machine) -> None:
    """As for an export, whose files stay as they are."""
    await machine.run(PATIENT)
    edit(machine.data, 3)
    assert b"Edited 3" in (await machine.run(PATIENT, seconds=61))["all"].body


async def test_a_feed_of_a_project_that_is_not_in_the_stored_list_waits_for_it(machine: Machine) -> None:
    workspace = PATIENT.workspaces["demo"]
    narrow = replace(PATIENT, feeds={"prop": ALL["prop"]})
    await machine.run(replace(narrow, workspaces={"demo": replace(workspace, projects=("prop",))}))
    async with watched(machine, replace(PATIENT, feeds={"web": Feed(project="WEB")})) as found:
        assert event((await rendered(found))["web"].body, "WEB", 1) is not None


async def test_a_wider_configuration_and_a_sync_are_waited_for(machine: Machine) -> None:
    workspace = PATIENT.workspaces["demo"]
    config = replace(PATIENT, feeds={"all": ALL["all"]})
    await machine.run(replace(config, workspaces={"demo": replace(workspace, projects=("prop",))}))
    async with watched(machine, config) as found:
        assert event((await rendered(found))["all"].body, "WEB", 1) is not None
    async with watched(machine, config) as found:
        edit(machine.data, 3)
        found.service.expire()
        machine.clock.move(2)
        assert b"Edited 3" in (await rendered(found))["all"].body


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_what_was_served_before_everything_was_read_is_served_after_a_restart(
    machine: Machine, how: str
) -> None:
    config = replace(CONFIG, cache=replace(NAMES_REST, deadline=Duration(1)))
    async with server(
        config, machine.data, machine.clock, store=files(machine.folder), faults=hanging(LINKS)
    ) as one:
        before = await rendered(one)
        assert b"Sprint" in before["all"].body
        if how == "killed":
            async with watched(machine, faults=hanging()) as found:
                assert await at_once(found) == before
    faults = hanging(LINKS)
    async with watched(machine, faults=faults) as found:
        assert await at_once(found) == before
        await asyncio.sleep(0.3)
    assert faults.count(LINKS) > 0, "what was not read is read now"
    assert faults.count() == faults.count(LINKS), "and what is fresh is not"


async def test_what_was_read_before_a_stop_is_not_read_again(machine: Machine) -> None:
    cache = replace(CONFIG.cache, states=Duration(60), labels=Duration(60), deadline=Duration(1))
    config = replace(CONFIG, cache=cache)
    before = await machine.run(config)
    machine.clock.move(61)
    async with server(
        config, machine.data, machine.clock, store=files(machine.folder), faults=hanging("/labels/")
    ) as found:
        assert await rendered(found) == before
    faults = Faults()
    assert await machine.run(config, faults=faults, seconds=1) == before
    assert faults.count("/labels/") == faults.count() > 0


async def test_members_that_were_read_before_a_stop_are_not_read_again(machine: Machine) -> None:
    """They are saved at the stop even where the refresh was cancelled before it could."""
    await machine.run()
    machine.clock.move(1)
    async with server(CONFIG, machine.data, machine.clock, store=files(machine.folder)) as found:
        workspace = found.service.workspaces["demo"]
        read_at = machine.clock()
        workspace.resources.members.confirm(read_at)
    async with server(CONFIG, machine.data, machine.clock, store=files(machine.folder)) as found:
        assert found.service.workspaces["demo"].resources.members.read_at == read_at


def ended_cycle(data: PlaneData) -> str:
    """The name of a cycle that ended two days ago."""
    project = data.projects[project_id("PROP")]
    row = next(row for row in project.cycles.values() if project.links.get(row["id"]))
    start, end = TODAY - timedelta(days=20), TODAY - timedelta(days=2)
    data.edit(row, name="Long ago", start_date=f"{start}T00:00:00Z", end_date=f"{end}T00:00:00Z")
    return "Long ago"


async def test_the_issues_of_an_ended_cycle_that_a_feed_names_outlive_the_process(machine: Machine) -> None:
    feed = Feed(project="PROP", where=Filter(cycle=(ended_cycle(machine.data),)), details="full")
    config = replace(PATIENT, feeds={"ended": feed, "prop": ALL["prop"]})
    before = await machine.run(config)
    assert b"BEGIN:VEVENT" in before["ended"].body
    for seconds in (1, 600):
        machine.clock.move(seconds)
        async with watched(machine, config, hanging()) as found:
            assert await at_once(found) == before


async def test_a_replica_that_starts_serves_at_once_what_another_has_read(
    machine: Machine, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as redis:
        async with opened_store(redis.address) as store, watched(machine, store=store) as one:
            before = await rendered(one)
            machine.clock.move(61)
            async with (
                opened_store(redis.address) as other,
                watched(machine, faults=hanging(), store=other) as two,
            ):
                assert await at_once(two) == before
