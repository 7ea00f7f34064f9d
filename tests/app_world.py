"""A whole server in process: the embedded Plane, the real client, service and web app; a clock by hand."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from icalendar import Calendar
from litestar import Litestar
from msgspec.structs import replace
from plane.api import create_plane
from plane.data import PlaneData
from plane.editions import Variant
from plane.faults import Faults
from plane.sample import sample

from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Config, Feed
from icsfeed.demo.access import KeyLimits
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import sample_id
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.service import FeedService
from icsfeed.server.build import opened
from icsfeed.store.store import Store
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
"""A Monday."""
TODAY = date(2026, 11, 23)
HOST = "https://cal.example.com"
UNLIMITED = KeyLimits(person=1_000_000)


class Clock:
    """Stands still until it is moved: the time of day, and with `timer` seconds that only grow."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.seconds = 1_000.0

    def __call__(self) -> datetime:
        return self.now

    def timer(self) -> float:
        return self.seconds

    def move(self, seconds: float = 0, **more: float) -> None:
        moved = timedelta(seconds=seconds, **more)
        self.now += moved
        self.seconds += moved.total_seconds()


class World:
    """A running server and the Plane behind it."""

    server: ServerState

    def __init__(
        self, service: FeedService, app: Litestar, data: PlaneData, faults: Faults, clock: Clock, base: str
    ) -> None:
        self.service = service
        self.app = app
        self.data = data
        self.faults = faults
        self.clock = clock
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url=base)
        # What httpx adds of its own would be asked by every request.
        for name in ("accept", "accept-encoding", "user-agent"):
            del self.client.headers[name]

    @property
    def workspace(self) -> Workspace:
        return self.service.workspaces["demo"]

    def path(self, feed: str, subscriber: str = "") -> str:
        return self.service.links.ics_path(feed, subscriber)

    async def get(self, feed: str, query: str = "", /, **headers: str) -> httpx.Response:
        """The feed by its link. `if_none_match="..."` is a header."""
        return await self.ask("GET", self.path(feed) + query, **headers)

    async def ask(self, method: str, path: str, /, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, headers=named)

    def issue(self, key: str, number: int) -> Row:
        """A row of the sample, as Plane holds it."""
        return self.data.issue(sample_id("issue", key, str(number)))

    def change(self, key: str, number: int, **changes: Any) -> Row:
        return self.data.patch_issue(sample_id("issue", key, str(number)), changes)


@asynccontextmanager
async def serving(
    config: Config | None = None,
    *,
    data: PlaneData | None = None,
    clock: Clock | None = None,
    issues: int = 0,
    limits: KeyLimits = UNLIMITED,
    version: str | None = None,
    edition: Edition = COMMUNITY,
    variant: Variant = Variant(),  # noqa: B008 - frozen
    base: str = HOST,
    more: Mapping[str, PlaneData] = {},
    store: Store | None = None,
) -> AsyncIterator[World]:
    """The server of a configuration (default: the demo's) over one Plane; `more`: other workspaces' own.

    `store`: closed at the end; in memory by default.
    """
    config = config or settings()
    clock = clock or Clock()
    data = data or sample(TODAY, issues=issues, clock=clock, edition=edition)
    faults = Faults()
    plane = create_plane(
        data, clock, faults=faults, limits=limits, version=version, edition=edition, variant=variant
    )
    planes = {name: create_plane(other, clock, limits=limits) for name, other in more.items()}
    transports = {
        name: httpx.ASGITransport(planes.get(name, plane))  # type: ignore[arg-type]
        for name in config.workspaces
    }
    async with opened(
        config, store=store, transports=transports, clock=clock, timer=clock.timer, chance=lambda: 0.0
    ) as service:
        server = ServerState(clock, clock.timer)
        world = World(service, create_app(service, server), data, faults, clock, base)
        world.server = server
        async with world.client:
            yield world


def settings(feeds: Mapping[str, Feed] | None = None, **changes: Any) -> Config:
    """The demo's configuration, with other feeds or settings."""
    config = replace(demo_config(), **changes)
    return config if feeds is None else replace(config, feeds=feeds)


def quick(config: Config | None = None, deadline: float = 0.05) -> Config:
    """A configuration whose readers wait hardly at all, or as long as is said."""
    config = config or settings()
    return replace(config, cache=replace(config.cache, deadline=deadline))


def events(body: bytes) -> dict[str, Any]:
    """The components of a calendar by UID, read by another parser, which must find nothing wrong."""
    calendar = Calendar.from_ical(body)
    assert not calendar.errors
    found = [part for part in calendar.subcomponents if part.name in ("VEVENT", "VTODO")]
    assert all(not part.errors for part in found)
    by_uid = {str(part["uid"]): part for part in found}
    assert len(by_uid) == len(found)
    return by_uid


def event(body: bytes, key: str, number: int) -> Any:
    """The event of an issue of the sample; None where it is not in the feed."""
    return events(body).get(f"plane-issue-{sample_id('issue', key, str(number))}@calplanebot")


def titles(body: bytes) -> set[str]:
    return {str(part["summary"]) for part in events(body).values()}
