"""Build the feed service of a configuration: the Plane clients, the workspaces, and the feeds over them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import random
from typing import TypedDict, Unpack

import httpx
from msgspec import Struct

from icsfeed import logs
from icsfeed.cache.workspace import Workspace
from icsfeed.config.addresses import plane_address, slug_of
from icsfeed.config.file import secret_in
from icsfeed.config.schema import Config, WorkspaceConfig
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs
from icsfeed.feeds.service import FeedService
from icsfeed.model import Needs
from icsfeed.own_links.registry import OwnLinks
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.rate_limit import Budget
from icsfeed.store.leases import Leases
from icsfeed.store.store import Store, open_store


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class OpenWorkspace(Struct, frozen=True):
    """A workspace, the settings that it was opened with, and what must be closed with it."""

    settings: tuple[object, ...]
    workspace: Workspace
    resources: AsyncExitStack


class PoolOptions(TypedDict, total=False):
    """What may be given to a WorkspacePool."""

    transports: Mapping[str, httpx.AsyncBaseTransport]
    wait_if_throttled: bool
    sparing: bool
    clock: Callable[[], datetime]
    timer: Callable[[], float]
    chance: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class WorkspacePool:
    """The workspaces of a process, with one HTTP client for each, and one rate limit budget and one lease for
    each key.

    `transports` replaces the network, by the name of the workspace. `wait_if_throttled`: repeat requests that
    Plane refuses for its rate limit. `sparing`: read nothing that the feeds do without. `chance` returns
    numbers from 0 to 1. `sleep` waits so many seconds between looks at who reads with a key.
    """

    def __init__(
        self,
        store: Store,
        *,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        wait_if_throttled: bool = False,
        sparing: bool = False,
        clock: Callable[[], datetime] = utc_now,
        timer: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._transports = transports or {}
        self._wait_if_throttled = wait_if_throttled
        self._sparing = sparing
        self._clock, self._timer, self._chance = clock, timer, chance
        self._own = OwnLinks(store, clock, timer)
        self._leases = Leases(store, sleep)
        self._budgets: dict[str, Budget] = {}
        self._opened: list[OpenWorkspace] = []
        # Shared by all clients: only one large answer of Plane at a time is decoded in memory.
        self._large = asyncio.Lock()

    async def open_service(self, config: Config) -> FeedService:
        """Return the feeds of a configuration. A workspace that is open with the same settings is reused."""
        workspaces = {
            name: await self._open_workspace(name, workspace, config)
            for name, workspace in config.workspaces.items()
            if workspace.active
        }
        # What is rendered from an incomplete read reaches no reader, and must not be stored as the revision
        # that readers have seen.
        history = open_store("memory", {}) if self._sparing else None
        service = FeedService(
            config,
            workspaces,
            self._clock,
            self._store,
            history=history,
            own=self._own,
            timer=self._timer,
        )
        await service.start()
        return service

    async def close_unused(self, service: FeedService) -> None:
        """Close the workspaces that this service does not use.

        A workspace that the service has opened with other settings continues from where the old one ends.
        """
        used = set(service.workspaces.values())
        unused = [opened for opened in self._opened if opened.workspace not in used]
        self._opened = [opened for opened in self._opened if opened.workspace in used]
        for opened in unused:
            await opened.resources.aclose()
            successor = service.workspaces.get(opened.workspace.name)
            if successor is not None:
                # The old one was read until now: take over what it has stored since `_open_workspace`.
                await successor.succeed(opened.workspace)

    async def close(self) -> None:
        """Close all workspaces."""
        opened, self._opened = self._opened, []
        for workspace in opened:
            await workspace.resources.aclose()
        await self._leases.close()

    async def _open_workspace(self, name: str, workspace: WorkspaceConfig, config: Config) -> Workspace:
        needed = _needs_of(config, name)
        settings = (name, workspace, config.cache, needed)
        for opened in self._opened:
            if opened.settings == settings:
                return opened.workspace
            if opened.workspace.name == name:
                # The new one starts from the store: what the old one knows has to be in there first.
                await opened.workspace.persistence.save_all_changed()
        key = _key_of(workspace)
        reader = sha256(key.encode()).hexdigest()[:16]
        address = f"{plane_address(workspace.url).api.rstrip('/')}/{slug_of(name, workspace)}"
        resources = AsyncExitStack()
        plane = await resources.enter_async_context(self._open_client(name, workspace))
        new = Workspace(
            name,
            plane,
            config.cache,
            store=self._store,
            budget=self._budgets.setdefault(key, Budget(timer=self._timer)),
            clock=self._clock,
            timer=self._timer,
            chance=self._chance,
            keys=workspace.projects,
            needs=needed,
            # Digests, since they are stored: an address may hold a password.
            origin=sha256(address.encode()).hexdigest(),
            reader=reader,
            sparing=self._sparing,
            lease=self._leases.of(reader),
        )
        resources.push_async_callback(new.close)
        self._opened.append(OpenWorkspace(settings, new, resources))
        await new.start()
        return new

    @asynccontextmanager
    async def _open_client(self, name: str, workspace: WorkspaceConfig) -> AsyncIterator[PlaneClient]:
        transport = self._transports.get(name)
        file = workspace.token_file or workspace.api_key_file
        url, is_token = plane_address(workspace.url).api, workspace.token is not None
        async with open_client(
            _key_of(workspace), transport, is_token=is_token, url=url, ca_file=workspace.ca_file
        ) as client:
            yield PlaneClient(
                url,
                slug_of(name, workspace),
                client=client,
                wait_if_throttled=self._wait_if_throttled,
                read_key=partial(_read_key, Path(file)) if file else None,
                large=self._large,
            )


@asynccontextmanager
async def opened(
    config: Config,
    *,
    store: Store | None = None,
    **options: Unpack[PoolOptions],
) -> AsyncIterator[FeedService]:
    """Yield the feeds of a configuration; close them at the end, with the store and all that they use.

    `store` has the last good copies of Plane; in memory by default. `options`: see `WorkspacePool`.
    """
    async with AsyncExitStack() as stack:
        store = store or open_store("memory", {})
        stack.push_async_callback(store.close)
        pool = WorkspacePool(store, **options)
        stack.push_async_callback(pool.close)
        yield await pool.open_service(config)


def _key_of(workspace: WorkspaceConfig) -> str:
    """Return the API key or the token with which a workspace is read."""
    key = workspace.token or workspace.api_key
    return key.reveal() if key else ""


def _read_key(file: Path) -> str | None:
    """Return the key that is in its file now, and hide it from the log; None if it cannot be read."""
    key = secret_in(file)
    if key:
        logs.hide(key)
    return key


def _needs_of(config: Config, workspace: str) -> Needs:
    """Return what the feeds of this workspace need, taken together."""
    feeds = [feed for feed in config.feeds.values() if (feed.workspace or workspace) == workspace]
    return Needs(
        # Automatic feeds have full details, the default, which name cycles and modules.
        links=config.auto.projects or config.auto.assignees or any(feed.details == "full" for feed in feeds),
        periods=any(needs(feed, Query()).must_know_periods for feed in feeds),
        lists=frozenset().union(*(needs(feed, Query()).lists for feed in feeds)),
    )
