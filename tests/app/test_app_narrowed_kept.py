"""What was kept before a restart does not outlive a configuration that lets out less."""

import httpx
import pytest
from app_world import TODAY, Clock

from icsfeed.adapters.store import open_store
from icsfeed.app.build import opened
from icsfeed.core.config import Config, Feed, Secret, Workspace
from icsfeed.demo.api import create_plane
from icsfeed.demo.sample import API_KEY, SLUG, sample

pytestmark = pytest.mark.anyio


async def test_a_project_that_is_let_out_no_more_is_gone_after_a_restart() -> None:
    clock, store = Clock(), open_store("memory", {})
    transport = httpx.ASGITransport(create_plane(sample(TODAY, clock=clock), clock))  # type: ignore[arg-type]
    bodies = []
    for projects in ((), ("OPS",)):
        workspace = Workspace(
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
