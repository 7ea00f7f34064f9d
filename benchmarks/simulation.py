"""A server over the tests' Plane in simulated time, and every request that it makes.

Sleeps, time-outs and budgets are the loop's own: its time leaps to where the next of them ends. So
nothing depends on the machine, and a run makes the same requests each time.
"""

import asyncio
import re
import sys
from bisect import bisect_left
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid5

import httpx
import msgspec
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Cache, Config, Feed
from icsfeed.demo.data import DemoProject
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.sample import SPACE
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from leaping import START, Simulation  # shared with the tests
from plane.api import create_plane
from plane.data import PlaneData
from plane.sample import sample

T = TypeVar("T")

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
"""The beginning of every simulation: a Monday."""
LATENCY_SECONDS = 0.2
"""From a request to its answer; Plane counts the request halfway."""
KINDS = ("checks", "issues", "ids", "states", "labels", "cycles", "modules", "links", "members", "projects")


def simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a simulation of its own and return its result."""
    loop = Simulation()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def timer() -> float:
    """Return the time of the loop, in seconds."""
    return asyncio.get_running_loop().time()


def clock() -> datetime:
    """Return the simulated date and time."""
    return NOW + timedelta(seconds=timer() - START)


class Counted(NamedTuple):
    """A request. `at`: when it arrived at Plane; `size`: bytes of the answer's body as it was sent."""

    at: float
    kind: str
    status: int
    size: int


class Wire(httpx.AsyncBaseTransport):
    """A transport to the tests' Plane with LATENCY_SECONDS, which records requests."""

    def __init__(self, data: PlaneData, edition: Edition) -> None:
        plane = create_plane(data, clock, edition=edition)
        self._plane = httpx.ASGITransport(plane)  # type: ignore[arg-type]
        self.counted: list[Counted] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(LATENCY_SECONDS / 2)
        at = timer()
        response = await self._plane.handle_async_request(request)
        size = int(response.headers["Content-Length"])
        self.counted.append(Counted(at, kind_of(request.url), response.status_code, size))
        await asyncio.sleep(LATENCY_SECONDS / 2)
        return response


def kind_of(url: httpx.URL) -> str:
    """Return the kind of a request, one of `KINDS`; the last word of an unknown path."""
    last = url.path.rstrip("/").rpartition("/")[2]
    if last == "work-items" and "/projects/" not in url.path:
        return "checks"
    if last in ("work-items", "issues"):
        return "ids" if url.params.get("fields") == "id" else "issues"
    return "links" if last in ("cycle-issues", "module-issues") else last


def long_project(issues: int) -> PlaneData:
    """Return the demo's sample with so many issues in one project (WEB)."""
    return sample(NOW.date(), issues=issues, clock=clock)


def many_projects(count: int) -> PlaneData:
    """Return the demo's sample with copies of its three projects, `count` in all."""
    data = sample(NOW.date(), clock=clock)
    models = islice(cycle(data.projects.values()), count)
    copies = [_copied(model, number) for number, model in enumerate(models, 1)]
    data.projects = {project.row["id"]: project for project in copies}
    return data


def _copied(project: DemoProject, number: int) -> DemoProject:
    """Return a copy of the project and its objects with new ids."""
    parts = (project.states, project.labels, project.cycles, project.modules, project.issues)
    own = {project.row["id"]: "", **{id_: "" for part in parts for id_ in part}}
    new = {id_: str(uuid5(SPACE, f"{number}/{id_}")) for id_ in own}
    text = msgspec.json.encode(project).decode()
    text = re.sub(r"[0-9a-f-]{36}", lambda found: new.get(found[0], found[0]), text)
    copy = msgspec.json.decode(text, type=DemoProject)
    copy.row.update(identifier=f"P{number}", name=f"Project {number}")
    return copy


def settings(feed: Feed, cache: Cache) -> Config:
    """Return a configuration with one feed over the sample, called `feed`, with cycles and modules."""
    auto = Auto(projects=False, assignees=False)
    return replace(demo_config(), feeds={"feed": feed}, auto=auto, cache=cache)


@asynccontextmanager
async def serving(
    data: PlaneData, config: Config, edition: Edition = COMMUNITY
) -> AsyncIterator[tuple[FeedService, Wire]]:
    """Open the real service over a Plane that serves `data`, with the rate limit of a person's key."""
    wire = Wire(data, edition)
    async with opened(config, transports={"demo": wire}, clock=clock, timer=timer) as service:
        yield service, wire


def busiest(counted: Sequence[Counted], window: float = 60.0) -> int:
    """Return the most requests within any `window` seconds."""
    times = [request.at for request in counted]
    return max((bisect_left(times, at + window) - number for number, at in enumerate(times)), default=0)
