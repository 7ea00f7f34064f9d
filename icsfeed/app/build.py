"""From a configuration to a running service: the clients, the workspaces, the feeds."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from random import random

import httpx

from icsfeed.adapters.plane import PlaneClient, open_client
from icsfeed.adapters.quota import Budget
from icsfeed.adapters.store import Store, open_store
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
    store: Store | None = None,
    patient: bool = False,
    clock: Callable[[], datetime] = utc_now,
    timer: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random,
) -> AsyncIterator[FeedService]:
    """The feeds of a configuration, with one HTTP client for each active workspace, closed at the end.

    `transports` replaces the network for a workspace, by its name. `store`: where the last good copies
    are kept, and closed at the end; memory by default. `patient`: wait where Plane refuses a request.
    """
    async with AsyncExitStack() as stack:
        kept = store or open_store("memory", {})
        stack.push_async_callback(kept.close)
        budgets: dict[str, Budget] = {}
        workspaces = {}
        for name, workspace in config.workspaces.items():
            if workspace.active:
                transport = (transports or {}).get(name)
                plane = await stack.enter_async_context(_client(name, workspace, transport, patient))
                key = workspace.api_key.reveal() if workspace.api_key else ""
                budget = budgets.setdefault(key, Budget(timer=timer))
                workspaces[name] = Workspace(
                    name,
                    plane,
                    config.cache,
                    store=kept,
                    budget=budget,
                    clock=clock,
                    timer=timer,
                    chance=chance,
                    keys=workspace.projects,
                    links=_tells_periods(config, name),
                )
                stack.push_async_callback(workspaces[name].close)
                await workspaces[name].start()
        yield FeedService(config, workspaces, clock, kept)


@asynccontextmanager
async def _client(
    name: str, workspace: settings.Workspace, transport: httpx.AsyncBaseTransport | None, patient: bool
) -> AsyncIterator[PlaneClient]:
    key = workspace.api_key.reveal() if workspace.api_key else ""
    async with open_client(key, transport=transport) as client:
        yield PlaneClient(workspace.url, workspace.slug or name, client=client, patient=patient)


def _tells_periods(config: Config, workspace: str) -> bool:
    """Whether a feed of this workspace says which cycle and module an issue is in."""
    own = (feed for feed in config.feeds.values() if (feed.workspace or workspace) == workspace)
    return config.auto.projects or config.auto.assignees or any(feed.details == "full" for feed in own)
