"""What was kept before a restart does not outlive a configuration that lets out less."""

import httpx
import pytest
from app_world import TODAY, Clock
from plane.api import create_plane
from plane.faults import Faults
from plane.sample import sample

from icsfeed.config.schema import Config, Feed, Secret, WorkspaceConfig
from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.server.build import opened
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio


async def test_a_project_that_is_let_out_no_more_is_gone_after_a_restart() -> None:
    clock, store = Clock(), open_store("memory", {})
    transport = httpx.ASGITransport(create_plane(sample(TODAY, clock=clock), clock))  # type: ignore[arg-type]
    bodies = []
    for projects in ((), ("OPS",)):
        workspace = WorkspaceConfig(
            url="https://plane.example.com", slug=SLUG, api_key=Secret(API_KEY), projects=projects
        )
        config = Config(workspaces={"demo": workspace}, feeds={"all": Feed(everything=True, public=True)})
        async with opened(
            config, transports={"demo": transport}, store=store, clock=clock, timer=clock.timer
        ) as service:
            bodies.append((await service.rendered("all")).body)
    assert b"PROP-" in bodies[0]
    assert b"PROP-" not in bodies[1]
    assert b"OPS-" in bodies[1]


async def test_another_key_asks_at_once_which_projects_it_may_read() -> None:
    clock, store, faults = Clock(), open_store("memory", {}), Faults()
    plane = create_plane(sample(TODAY, clock=clock), clock, faults=faults)
    transports = {"demo": httpx.ASGITransport(plane)}  # type: ignore[arg-type]
    asked = []
    for key in (API_KEY, API_KEY, "plane_api_of_somebody_else"):
        workspace = WorkspaceConfig(url="https://plane.example.com", slug=SLUG, api_key=Secret(key))
        config = Config(workspaces={"demo": workspace}, feeds={"all": Feed(everything=True, public=True)})
        async with opened(
            config, transports=transports, store=store, clock=clock, timer=clock.timer
        ) as service:
            before = faults.count()
            assert (await service.rendered("all")).body, "the copy is served meanwhile"
            asked.append(faults.count() > before)
    assert asked == [True, False, True]


async def test_workspaces_that_share_a_key_plan_for_a_share_of_its_budget() -> None:
    clock = Clock()
    plane = httpx.ASGITransport(create_plane(sample(TODAY, clock=clock), clock))  # type: ignore[arg-type]
    own = WorkspaceConfig(url="https://plane.example.com", slug=SLUG, api_key=Secret(API_KEY))
    other = WorkspaceConfig(url="https://plane.example.com", slug=SLUG, api_key=Secret("plane_api_another"))
    config = Config(workspaces={"a": own, "b": own, "c": other}, feeds={})
    transports = dict.fromkeys(config.workspaces, plane)
    async with opened(config, transports=transports, clock=clock, timer=clock.timer) as service:
        budgets = {name: workspace.budget for name, workspace in service.workspaces.items()}
        assert budgets["a"] is budgets["b"] is not budgets["c"]
        assert (budgets["a"].users, budgets["c"].users) == (2, 1)
        await service.workspaces["a"].close()
        assert budgets["a"].users == 1
    assert (budgets["a"].users, budgets["c"].users) == (0, 0)
