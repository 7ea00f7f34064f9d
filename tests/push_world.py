"""A feed of the sample workspace pushed to a server, for tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from app_world import World, serving, settings
from msgspec.structs import replace

from icsfeed.config.schema import Feed, PushTarget, Secret
from icsfeed.demo.rows import Row
from icsfeed.push import run as pushing
from icsfeed.push.object import Claim, owner_mark, read_object
from icsfeed.push.plan import DesiredObject, desired_objects, is_up_to_date
from icsfeed.push.report import TargetReport
from icsfeed.push.session import open_server
from icsfeed.store.store import Store, open_store

FEED = "everything"


async def no_sleep(_seconds: float) -> None:
    """Return at once."""


async def short_sleep(_seconds: float) -> None:
    """Sleep 50 ms in place of the pause before a retry: a restarting server needs a moment."""
    await asyncio.sleep(0.05)


def target(url: str, **settings: Any) -> PushTarget:
    """Return a target that creates its calendar; passwords and tokens may be plain text."""
    for name in settings.keys() & {"password", "token"}:
        settings[name] = Secret(settings[name])
    return replace(PushTarget(feed=FEED, url=url, create=True), **settings)


class Disturbed(httpx.AsyncHTTPTransport):
    """Real requests. `before`: called once before a write; `loses`: the method whose response gets lost."""

    before: Callable[[], None] | None = None
    loses = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.before is not None and request.method in ("PUT", "DELETE"):
            before, self.before = self.before, None
            before()
        response = await super().handle_async_request(request)
        if request.method == self.loses:
            self.loses = ""
            await response.aclose()
            raise httpx.ReadError("connection reset", request=request)
        return response


class Pushing:
    """The service of a sample workspace, and the context of its pushes."""

    def __init__(self, world: World, context: pushing.PushContext) -> None:
        self.world = world
        self.context = context

    async def push(self, name: str = "t", **options: Any) -> TargetReport:
        """Push after a minute has passed, so that Plane is read again."""
        self.world.clock.move(seconds=61)
        return await pushing.push(name, self.world.service, self.context, **options)

    async def wanted(self) -> dict[str, DesiredObject]:
        """Return the objects of the feed by UID."""
        calendar = await self.world.service.calendar(FEED)
        return desired_objects(calendar.components, self.mark)

    @property
    def mark(self) -> str:
        """Return the owner mark of the feed."""
        return owner_mark(FEED, self.world.service.config)

    async def forget(self) -> None:
        """Remove the stored records of all targets."""
        for name in self.world.service.config.push:
            await self.context.store.remove(f"push/{name}")

    def issues(self, key: str = "WEB") -> list[Row]:
        """Return the rows of a project's issues with a due date."""
        projects = self.world.data.projects.values()
        project = next(project for project in projects if project.row["identifier"] == key)
        return [row for row in project.issues.values() if row["target_date"]]

    async def problems(self, contents: Mapping[str, str]) -> list[str]:
        """Return what is wrong with a collection: nothing if it holds each object of the feed once."""
        wanted, found = await self.wanted(), dict[str, str]()
        problems = []
        for name, text in contents.items():
            stored = read_object(text.encode())
            if Claim(self.mark).owns(stored):
                problems += (
                    [f"{stored.uid} twice: {found[stored.uid]}, {name}"] if stored.uid in found else []
                )
                problems += [] if stored.uid in wanted else [f"{name} should be gone"]
                found[stored.uid] = name
                if stored.uid in wanted and not is_up_to_date(wanted[stored.uid], stored):
                    problems.append(f"{name} is not right")
        return problems + [f"{uid} is missing" for uid in wanted.keys() - found.keys()]


@asynccontextmanager
async def pushing_to(
    targets: Mapping[str, PushTarget] | PushTarget,
    folder: Path,
    *,
    issues: int = 0,
    feed: Feed | None = None,
    more: Mapping[str, Feed] = {},
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Callable[[float], Awaitable[object]] = short_sleep,
    store: Store | None = None,
    **others: Any,
) -> AsyncIterator[Pushing]:
    """Serve a sample workspace whose feed `everything` is pushed to the targets (a single one is named `t`).

    `more`: other feeds; `others`: other keys of the configuration.
    """
    named = {"t": targets} if isinstance(targets, PushTarget) else targets
    config = settings({FEED: feed or Feed(everything=True, title="All of it"), **more}, push=named, **others)
    async with serving(config, issues=issues) as world:
        connect = partial(open_server, transport=transport, sleep=sleep)
        kept = store or open_store("memory", {})
        clock = world.clock
        yield Pushing(world, pushing.PushContext(lambda: folder / "locks", kept, clock, clock.timer, connect))
