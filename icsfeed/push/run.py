"""One push: a feed's components into a collection, by a plan, under guards, reported (caldav.md, 3)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from icsfeed.cache.budget_wait import waiting
from icsfeed.config.schema import PushTarget
from icsfeed.errors import IcsfeedError, InsufficientStorage, NoCollection, NoCopy, PushBusy, PushStopped
from icsfeed.feeds.service import FeedService
from icsfeed.files import file_lock
from icsfeed.push.claim import Claim, mark_of
from icsfeed.push.collection import Collection, ListedObject
from icsfeed.push.discovery import find, make
from icsfeed.push.memory import TargetRecord, next_memory, recall, remember
from icsfeed.push.object import ParsedObject, read_object
from icsfeed.push.plan import (
    WRITES,
    DeletionLimits,
    RemoteObject,
    deletions,
    desired_objects,
    guard,
    holding_back,
    plan,
)
from icsfeed.push.read_feed import FeedContents, read
from icsfeed.push.report import PushProgress, TargetReport
from icsfeed.push.session import Connect, DavServer, open_server
from icsfeed.push.writer import ObjectWriter, Progress
from icsfeed.store.store import Store
from icsfeed.text import one_line

PATIENCE = 60.0
"""Seconds that a push waits for Plane longer than a reader does: nothing is deleted after half a read."""
LOCK_SECONDS = 30.0
"""How long a replica that died in the middle keeps the others from pushing."""


class PushContext(Struct, frozen=True):
    """What pushes run in: where their locks are, what is remembered, the time, the network.

    `folder` may raise ConfigError, where there is none.
    """

    folder: Callable[[], Path]
    store: Store
    clock: Callable[[], datetime]
    timer: Callable[[], float] = time.monotonic
    connect: Connect = open_server


def no_progress(_done: int, _total: int) -> None:
    """For those who do not look."""


def _nobody(_what: object) -> None:
    """Listens to nothing."""


def by_server(targets: Mapping[str, PushTarget], names: Iterable[str]) -> Mapping[str, Sequence[str]]:
    """The named targets by the server that they are on: one target never waits for another's server."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(urlsplit(targets[name].url).netloc.lower(), []).append(name)
    return found


async def push(
    name: str,
    service: FeedService,
    world: PushContext,
    *,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
    waits: Callable[[str], None] = _nobody,
    stopped: Callable[[TargetReport], None] = _nobody,
) -> TargetReport:
    """Make the collection of the target `name` hold exactly its feed, and say what was done.

    What we raise on purpose is in the report, beside what was done before it. `waits` is told what we wait
    for. One that is cancelled tells `stopped` what was done until then.
    """
    started, target = world.timer(), service.config.push[name]
    tally = PushProgress(target.url)
    error: IcsfeedError | None = None
    try:
        async with _alone(name, world):
            claim = Claim(mark_of(target.feed, service.config), target.adopt)
            run = _PushRun(name, target, claim, world, tally, waits)
            async with _reading(service, waits):
                reading = await read(service, target.feed, PATIENCE)
            await run.go(reading, dry_run=dry_run, force=force, progress=progress)
    except asyncio.CancelledError:
        halted = PushStopped(name, "stopped before it was complete; the next push does the rest")
        stopped(tally.report(name, target.feed, world.timer() - started, halted, dry_run=dry_run))
        raise
    except NoCopy as caught:
        error = service.why_unread(target.feed) or caught
    except IcsfeedError as caught:
        error = caught
    return tally.report(name, target.feed, world.timer() - started, error, dry_run=dry_run)


@asynccontextmanager
async def _reading(service: FeedService, waits: Callable[[str], None]) -> AsyncIterator[None]:
    """Say that Plane is read, and how long requests have to wait for its limit."""

    async def tell() -> None:
        while True:
            budgets = (one.budget for one in service.workspaces.values() if one.budget.left is not None)
            left = max((budget.wait("reader") for budget in budgets), default=0.0)
            waits(waiting(left) if left >= 1 else "reading Plane")
            await asyncio.sleep(1)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        waits("")


async def push_all(
    names: Sequence[str],
    service: FeedService,
    world: PushContext,
    take: Callable[[TargetReport], None],
    counts: Callable[[str, int, int], None],
    waits: Callable[[str, str], None],
    *,
    dry_run: bool = False,
    force: bool = False,
) -> None:
    """Push to these targets, and give `take` the report of each as soon as there is one.

    Those on one server are pushed to one after the other. Cancelled, it gives the reports of what was under
    way. `counts` and `waits` get a target's name before what `push` tells.
    """

    async def push_each(own: Sequence[str]) -> None:
        for name in own:
            report = await push(
                name,
                service,
                world,
                dry_run=dry_run,
                force=force,
                progress=partial(counts, name),
                waits=partial(waits, name),
                stopped=take,
            )
            take(report)

    await asyncio.gather(*map(push_each, by_server(service.config.push, names).values()))


@asynccontextmanager
async def _alone(name: str, world: PushContext) -> AsyncIterator[None]:
    """Be the only run for this target, on this machine and among replicas. Raises PushBusy."""
    with file_lock(world.folder(), name) as held:
        async with world.store.lock(f"push/{name}", LOCK_SECONDS) as shared:
            if not (held and shared):
                raise PushBusy(name, "another run is writing to it; try later")
            yield


class _PushRun:
    """One run for the target `name`. What it comes to is in the `tally`, whatever happens."""

    def __init__(
        self,
        name: str,
        target: PushTarget,
        claim: Claim,
        world: PushContext,
        tally: PushProgress,
        waits: Callable[[str], None],
    ) -> None:
        self._name = name
        self._target = target
        self._claim = claim
        self._world = world
        self._tally = tally
        self._waits = waits

    async def go(self, reading: FeedContents, *, dry_run: bool, force: bool, progress: Progress) -> None:
        """Everything, in the order of caldav.md. Raises what ends it early."""
        memory = await recall(self._world.store, self._name, self._target)
        async with self._world.connect(self._target) as server:
            server.waits = self._waits
            if memory.one_at_a_time:
                server.one_at_a_time()
            try:
                collection, listed = await self._opened(server, memory, reading, dry_run=dry_run)
                self._tally.url = collection.url
                present = await self._present(collection, listed, memory)
                writes = await self._planned(reading, collection, present, memory, force=force)
                if not dry_run:
                    await self._carry_out(writes, progress)
                    await self._remember(collection, writes, memory, was_locked=server.was_locked)
            finally:
                self._tally.requests = server.requests

    async def _opened(
        self, server: DavServer, memory: TargetRecord, reading: FeedContents, *, dry_run: bool
    ) -> tuple[Collection, Mapping[str, ListedObject]]:
        """The collection, listed; looked for or made where that is needed."""
        url = memory.url or ("" if self._target.collection else self._target.url)
        if url:
            try:
                collection = Collection(server, url)
                return collection, await collection.list()
            except NoCollection as error:
                if not (memory.url or (self._target.create and error.gone)):
                    raise
        kind, header = reading.feed.component, reading.calendar.header
        found = await find(server, self._target, kind)
        collection = Collection(server, found.url)
        if not found.exists:
            if not self._target.create:
                text = "there is no such calendar: make it, or set `create: true`"
                raise NoCollection(found.url, text, gone=True)
            if dry_run:
                return collection, {}
            title = one_line(self._target.collection or header.name)
            await make(server, collection.url, title, header.color_hex, kind)
        return collection, await collection.list()

    async def _present(
        self, collection: Collection, listed: Mapping[str, ListedObject], memory: TargetRecord
    ) -> list[RemoteObject]:
        """All that is there. Only what its etag does not tell is read; what cannot be read is there too."""
        known = memory.known(listed, self._world.clock())
        for path, one in listed.items():
            if not one.is_calendar:
                known[path] = RemoteObject(path, one.etag, ParsedObject())
        bodies = await collection.read(listed.keys() - known.keys())
        for path, body in bodies.items():
            known[path] = RemoteObject(path, body.etag or listed[path].etag, read_object(body.data))
        return [
            memory.recognised(known[path], self._claim)
            if path in known
            else RemoteObject(path, one.etag, None, memory.uid_at(path))
            for path, one in listed.items()
        ]

    async def _planned(
        self,
        reading: FeedContents,
        collection: Collection,
        present: list[RemoteObject],
        memory: TargetRecord,
        *,
        force: bool,
    ) -> ObjectWriter:
        target, claim, tally = self._target, self._claim, self._tally
        components = reading.calendar.components
        wanted = await asyncio.to_thread(
            desired_objects, components, claim.mark, strip_emoji=target.strip_emoji
        )
        tally.force = force
        ours = present
        if not force:
            ours = [one for one in present if not reading.may_hold(one, wanted)]
        if len(ours) < len(present):
            text = (
                "the key may not read a project any more: its objects stay as they are; --force deletes them"
            )
            tally.warnings.append(f"{reading.error}; {text}" if reading.error else text)
        tally.plan = plan(wanted, ours, claim, collection.path, accepted=memory.accepted)
        limits = DeletionLimits(target.min_delete, target.max_delete_ratio)
        tally.refused = guard(tally.plan, len(wanted), limits, reading.missing, force=force)
        unread = holding_back(reading.missing, force=force)
        if unread:
            tally.unread = reading.error
            why = f" ({reading.error})" if reading.error else ""
            text = f"Plane was not read whole, and nothing is deleted in this run; missing: {unread}{why}"
            tally.warnings.append(text)
        recognised = partial(memory.recognised, claim=claim)
        return ObjectWriter(collection, wanted, claim, present, memory.accepted, tally, recognised)

    async def _carry_out(self, writes: ObjectWriter, progress: Progress) -> None:
        made = self._tally.plan
        changes, deletes = made.of(*WRITES), deletions(made, force=self._tally.force)
        deletes = () if self._tally.refused else deletes

        def show() -> None:
            progress(writes.settled, len(changes) + len(deletes))

        try:
            await writes.carry_out(changes, show)
        except InsufficientStorage:
            if not deletes:
                raise
            # The deletions make room; then what did not fit is tried once more.
            await writes.carry_out(deletes, show)
            await writes.carry_out(writes.left(changes), show)
        else:
            await writes.carry_out(deletes, show)
        await writes.verify()

    async def _remember(
        self, collection: Collection, writes: ObjectWriter, memory: TargetRecord, *, was_locked: bool
    ) -> None:
        found = next_memory(
            memory,
            self._target,
            self._claim.mark,
            url=collection.url,
            present=writes.present.values(),
            unknown=writes.unknown,
            accepted=writes.accepted,
            one_at_a_time=was_locked,
            now=self._world.clock(),
        )
        if found != memory:
            await remember(self._world.store, self._name, found)
