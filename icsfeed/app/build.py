"""From a configuration to a running service: the clients, the workspaces, the feeds."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx

from icsfeed.adapters.plane import PlaneClient, open_client
from icsfeed.app.feeds import FeedService
from icsfeed.app.workspace import Workspace
from icsfeed.core import config as settings
from icsfeed.core.config import Config


def utc_now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def opened(
    config: Config,
    *,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    clock: Callable[[], datetime] = utc_now,
    timer: Callable[[], float] = time.monotonic,
) -> AsyncIterator[FeedService]:
    """The feeds of a configuration, with one HTTP client for each active workspace, closed at the end.

    `transports` replaces the network for a workspace, by its name.
    """
    async with AsyncExitStack() as stack:
        workspaces = {}
        for name, workspace in config.workspaces.items():
            if workspace.active:
                transport = (transports or {}).get(name)
                plane = await stack.enter_async_context(_client(name, workspace, transport))
                workspaces[name] = _workspace(name, workspace, config, plane, clock, timer)
                stack.push_async_callback(workspaces[name].close)
        yield FeedService(config, workspaces, clock)


@asynccontextmanager
async def _client(
    name: str, workspace: settings.Workspace, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[PlaneClient]:
    key = workspace.api_key.reveal() if workspace.api_key else ""
    async with open_client(key, transport=transport) as client:
        yield PlaneClient(workspace.url, workspace.slug or name, client=client)


def _workspace(
    name: str,
    workspace: settings.Workspace,
    config: Config,
    plane: PlaneClient,
    clock: Callable[[], datetime],
    timer: Callable[[], float],
) -> Workspace:
    return Workspace(
        name,
        plane,
        config.cache,
        clock=clock,
        timer=timer,
        keys=workspace.projects,
        links=_tells_periods(config, name),
    )


def _tells_periods(config: Config, workspace: str) -> bool:
    """Whether a feed of this workspace says which cycle and module an issue is in."""
    own = (feed for feed in config.feeds.values() if (feed.workspace or workspace) == workspace)
    return config.auto.projects or config.auto.assignees or any(feed.details == "full" for feed in own)
