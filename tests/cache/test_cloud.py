"""Plane Cloud as a workspace: its addresses, its tokens, and what it costs to learn its limits."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import NOW, TODAY, UNLIMITED, Clock, World, serving, settings
from msgspec.structs import replace
from plane.api import create_plane
from plane.editions import Variant
from plane.sample import sample

from icsfeed.config.schema import Auto, Config, Feed, Secret
from icsfeed.demo.access import KeyLimits
from icsfeed.demo.data import DemoKey
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.server.build import opened

pytestmark = pytest.mark.anyio

TOKEN = "oauth-token-of-an-app"
FEEDS = {"all": Feed(everything=True, include=("issues", "cycles", "modules"), public=True)}


def _config(**workspace: Any) -> Config:
    config = settings(FEEDS, auto=Auto())
    return replace(config, workspaces={"demo": replace(config.workspaces["demo"], **workspace)})


def _by_token(world: World, token: str = TOKEN) -> None:
    """Let Plane take the token of a service."""
    owner = world.data.keys[API_KEY].user
    world.data.keys[token] = DemoKey(token, owner, kind="service")


async def test_a_token_is_sent_as_a_bearer_and_its_limit_is_learned_with_the_first_answer() -> None:
    config = _config(api_key=None, token=Secret(TOKEN))
    async with serving(config, edition=COMMERCIAL, limits=KeyLimits()) as world:
        _by_token(world)
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200
        assert {seen.scheme for seen in world.faults.requests} == {"Bearer"}
        assert world.workspace.budget.limit == 300
        # What is left says that no request waited for a limit of 60.
        assert world.workspace.budget.left == 300 - len(world.faults.requests)


async def test_a_token_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    config = _config(api_key=None, token=Secret("expired-token"), token_file=str(file))
    async with serving(config, edition=COMMERCIAL) as world:
        _by_token(world)
        file.write_text(f"{TOKEN}\n")
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200
        assert {seen.scheme for seen in world.faults.requests} == {"Bearer"}
        assert world.workspace.plane.answers["key refused"] == 1


async def test_community_takes_no_token_and_that_is_said() -> None:
    async with serving(_config(api_key=None, token=Secret(TOKEN))) as world:
        _by_token(world)
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 503
        assert "this edition needs an api_key" in str(world.workspace.last_error)


class Recording(httpx.AsyncBaseTransport):
    """Plane, and the hosts that were asked."""

    def __init__(self, plane: httpx.AsyncBaseTransport) -> None:
        self.plane = plane
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.add(f"{request.url.scheme}://{request.url.host}")
        return await self.plane.handle_async_request(request)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.plane.so",
        "https://app.plane.so",
        f"https://{SLUG}.plane.so",
        f"https://app.plane.so/{SLUG}/projects/0dd17da7-1669-4f23-be89-0cc025bca15b/issues",
    ],
)
async def test_the_api_of_cloud_is_asked_and_links_open_its_web_app(url: str) -> None:
    names_slug = SLUG in url
    config = _config(url=url, slug=None if names_slug else SLUG)
    clock = Clock()
    app = create_plane(sample(TODAY, clock=clock), clock, limits=UNLIMITED, edition=COMMERCIAL)
    plane = Recording(httpx.ASGITransport(app))  # type: ignore[arg-type]
    async with opened(config, transports={"demo": plane}, clock=clock, timer=clock.timer) as service:
        body = (await service.rendered("all")).body.decode().replace("\r\n ", "")
    assert plane.hosts == {"https://api.plane.so"}
    links = re.findall(r"(?m)^URL.*?:(https?://[^/\r]+/[^/\r]+)/", body)
    assert set(links) == {f"https://app.plane.so/{SLUG}"}


@pytest.mark.parametrize(
    ("too_large", "wasted"),
    [
        (None, 1),
        ((400, {"error": "Too many"}), 1),
        ((422, {"per_page": ["not this much"]}), 1),
        ("clip", 0),
    ],
)
async def test_learning_the_page_size_costs_a_workspace_one_request(too_large: Any, wasted: int) -> None:
    options: Any = {"edition": COMMERCIAL, "variant": Variant(too_large=too_large), "issues": 250}
    async with serving(_config(), **options) as world:
        assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200
        assert world.workspace.plane.answers["parameters refused"] == wasted
        for _ in range(3):
            world.clock.move(hours=7)
            assert (await world.ask("GET", "/feeds/all.ics")).status_code == 200
        assert world.workspace.plane.answers["parameters refused"] == wasted
        commercial = (await world.ask("GET", "/feeds/all.ics")).content
    async with serving(_config(), data=sample(TODAY, issues=250, clock=Clock()), clock=Clock(NOW)) as world:
        world.clock.move(hours=21)
        assert (await world.ask("GET", "/feeds/all.ics")).content == commercial
