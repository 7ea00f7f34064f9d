"""From a configuration to a running service: the clients, the workspaces, the feeds."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import random

import httpx
from msgspec import Struct

from icsfeed import logs
from icsfeed.cache.workspace import Workspace
from icsfeed.config import schema as settings
from icsfeed.config.file import secret_in
from icsfeed.config.schema import Config
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import needs
from icsfeed.feeds.service import FeedService
from icsfeed.model import Needs
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.rate_limit import Budget
from icsfeed.store.store import Store, open_store


def utc_now() -> datetime:
    """The time of day in UTC."""
    return datetime.now(UTC)


class OpenWorkspace(Struct, frozen=True):
    """A workspace, what it was opened with, and what must be closed with it."""

    made_of: tuple[object, ...]
    workspace: Workspace
    closing: AsyncExitStack


class WorkspacePool:
    """The workspaces of a process, with one HTTP client for each and one budget for each key.

    `transports` replaces the network for a workspace, by its name. `patient`: wait where Plane refuses a
    request. `sparing`: read nothing that the feeds do without. `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        store: Store,
        *,
        transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
        patient: bool = False,
        sparing: bool = False,
        clock: Callable[[], datetime] = utc_now,
        timer: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random,
    ) -> None:
        self._store = store
        self._transports = transports or {}
        self._patient = patient
        self._sparing = sparing
        self._clock, self._timer, self._chance = clock, timer, chance
        self._budgets: dict[str, Budget] = {}
        self._opened: list[OpenWorkspace] = []
        self._large = asyncio.Lock()

    async def service(self, config: Config) -> FeedService:
        """The feeds of a configuration. A workspace that is open with the same settings is taken as it is."""
        active = {name: own for name, own in config.workspaces.items() if own.active}
        workspaces = {name: await self._workspace(name, own, config) for name, own in active.items()}
        # What is rendered of less than everything is no feed that anybody has seen.
        history = open_store("memory", {}) if self._sparing else None
        service = FeedService(config, workspaces, self._clock, self._store, history=history)
        await service.start()
        return service

    async def release(self, service: FeedService) -> None:
        """Close the workspaces that this service does not use; its own go on from where they ended."""
        used = set(service.workspaces.values())
        unused = [one for one in self._opened if one.workspace not in used]
        self._opened = [one for one in self._opened if one.workspace in used]
        for one in unused:
            await one.closing.aclose()
            successor = service.workspaces.get(one.workspace.name)
            if successor is not None:
                await successor.succeed(one.workspace)

    async def close(self) -> None:
        """Close all workspaces."""
        opened, self._opened = self._opened, []
        for one in opened:
            await one.closing.aclose()

    async def _workspace(self, name: str, own: settings.WorkspaceConfig, config: Config) -> Workspace:
        needed = _needs_of(config, name)
        made_of = (name, own, config.cache, needed)
        for one in self._opened:
            if one.made_of == made_of:
                return one.workspace
            if one.made_of[0] == name:
                await one.workspace.persistence.flush()
        closing = AsyncExitStack()
        plane = await closing.enter_async_context(self._client(name, own))
        workspace = Workspace(
            name,
            plane,
            config.cache,
            store=self._store,
            budget=self._budgets.setdefault(_key(own), Budget(timer=self._timer)),
            clock=self._clock,
            timer=self._timer,
            chance=self._chance,
            keys=own.projects,
            needs=needed,
            origin=_origin(name, own),
            reader=sha256(_key(own).encode()).hexdigest()[:16],
            sparing=self._sparing,
        )
        closing.push_async_callback(workspace.close)
        self._opened.append(OpenWorkspace(made_of, workspace, closing))
        await workspace.start()
        return workspace

    @asynccontextmanager
    async def _client(self, name: str, own: settings.WorkspaceConfig) -> AsyncIterator[PlaneClient]:
        async with open_client(
            _key(own), self._transports.get(name), url=own.url, ca_file=own.ca_file
        ) as client:
            read_key = partial(_read_key, Path(own.api_key_file)) if own.api_key_file else None
            slug = own.slug or name
            yield PlaneClient(
                own.url, slug, client=client, patient=self._patient, read_key=read_key, large=self._large
            )


@asynccontextmanager
async def opened(
    config: Config,
    *,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    store: Store | None = None,
    patient: bool = False,
    sparing: bool = False,
    clock: Callable[[], datetime] = utc_now,
    timer: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random,
) -> AsyncIterator[FeedService]:
    """The feeds of a configuration, closed at the end with all that they use; see `WorkspacePool`.

    `store`: where the last good copies are kept; memory by default.
    """
    async with AsyncExitStack() as stack:
        kept = store or open_store("memory", {})
        stack.push_async_callback(kept.close)
        pool = WorkspacePool(
            kept,
            transports=transports,
            patient=patient,
            sparing=sparing,
            clock=clock,
            timer=timer,
            chance=chance,
        )
        stack.push_async_callback(pool.close)
        yield await pool.service(config)


def _read_key(file: Path) -> str | None:
    """The key that is in its file now, which no log shows either."""
    key = secret_in(file)
    if key:
        logs.hide(key)
    return key


def _key(own: settings.WorkspaceConfig) -> str:
    return own.api_key.reveal() if own.api_key else ""


def _origin(name: str, own: settings.WorkspaceConfig) -> str:
    """Another one for another Plane or another of its workspaces; a digest: addresses may hold passwords."""
    return sha256(f"{own.url.rstrip('/')}/{own.slug or name}".encode()).hexdigest()


def _needs_of(config: Config, workspace: str) -> Needs:
    """What the feeds of this workspace need, all together."""
    own = [feed for feed in config.feeds.values() if (feed.workspace or workspace) == workspace]
    every = [needs(feed, Query()) for feed in own]
    return Needs(
        links=config.auto.projects or config.auto.assignees or any(feed.details == "full" for feed in own),
        periods=any(one.must_know_periods for one in every),
    )
