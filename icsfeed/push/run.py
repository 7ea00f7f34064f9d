"""One push: a feed's components into a collection, by a plan, under guards, reported (caldav.md, 3)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec import Struct

from icsfeed.cache.budget_wait import waiting
from icsfeed.config.schema import PushTarget
from icsfeed.errors import IcsfeedError, NoCopy, PushBusy, PushStopped
from icsfeed.feeds.service import FeedService
from icsfeed.files import file_lock
from icsfeed.push.action import DeletionLimits
from icsfeed.push.collection import Collection
from icsfeed.push.discovery import open_collection
from icsfeed.push.memory import TargetRecord, load_record, remote_objects, save_record
from icsfeed.push.object import Claim, owner_mark
from icsfeed.push.plan import RemoteObject, desired_objects, plan, refuse_deletions, unread_parts
from icsfeed.push.read_feed import FeedContents, read_feed
from icsfeed.push.report import PushProgress, TargetReport
from icsfeed.push.scheduler import group_by_server
from icsfeed.push.session import Connect, ignore, open_server
from icsfeed.push.writer import ObjectWriter, Progress
from icsfeed.store.store import Store

PLANE_WAIT_SECONDS = 60.0
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


async def push(
    name: str,
    service: FeedService,
    context: PushContext,
    *,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress = ignore,
    waits: Callable[[str], None] = ignore,
    stopped: Callable[[TargetReport], None] = ignore,
) -> TargetReport:
    """Make the collection of the target `name` hold exactly its feed, and say what was done.

    What we raise on purpose is in the report, beside what was done before it. `waits` is told what we wait
    for. One that is cancelled tells `stopped` what was done until then.
    """
    started, target = context.timer(), service.config.push[name]
    tally = PushProgress(target.url)
    error: IcsfeedError | None = None
    try:
        with file_lock(context.folder(), name) as is_held:
            async with context.store.lock(f"push/{name}", LOCK_SECONDS) as is_shared:
                if not (is_held and is_shared):
                    raise PushBusy(name, "another run is writing to it; try later")
                claim = Claim(owner_mark(target.feed, service.config), target.adopt)
                run = _PushRun(name, target, claim, context, tally, waits)
                async with _reading(service, waits):
                    reading = await read_feed(service, target.feed, PLANE_WAIT_SECONDS)
                await run.go(reading, dry_run=dry_run, force=force, progress=progress)
    except asyncio.CancelledError:
        halted = PushStopped(name, "stopped before it was complete; the next push does the rest")
        stopped(tally.report(name, target.feed, context.timer() - started, halted, dry_run=dry_run))
        raise
    except NoCopy as caught:
        error = service.why_unread(target.feed) or caught
    except IcsfeedError as caught:
        error = caught
    return tally.report(name, target.feed, context.timer() - started, error, dry_run=dry_run)


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
    context: PushContext,
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
                context,
                dry_run=dry_run,
                force=force,
                progress=partial(counts, name),
                waits=partial(waits, name),
                stopped=take,
            )
            take(report)

    await asyncio.gather(*map(push_each, group_by_server(service.config.push, names).values()))


class _PushRun:
    """One run for the target `name`. What it comes to is in the `tally`, whatever happens."""

    def __init__(
        self,
        name: str,
        target: PushTarget,
        claim: Claim,
        context: PushContext,
        tally: PushProgress,
        waits: Callable[[str], None],
    ) -> None:
        self._name = name
        self._target = target
        self._claim = claim
        self._context = context
        self._tally = tally
        self._waits = waits

    async def go(self, reading: FeedContents, *, dry_run: bool, force: bool, progress: Progress) -> None:
        """Everything, in the order of caldav.md. Raises what ends it early."""
        memory = await load_record(self._context.store, self._name, self._target)
        async with self._context.connect(self._target) as server:
            server.on_wait = self._waits
            if memory.one_at_a_time:
                server.disable_concurrency()
            try:
                feed, header = reading.feed, reading.calendar.header
                collection, listed = await open_collection(
                    server, self._target, memory.url, feed, header, dry_run=dry_run
                )
                self._tally.url = collection.url
                now = self._context.clock()
                present = await remote_objects(collection, listed, memory, self._claim, now)
                writer = await self._planned(reading, collection, present, memory, force=force)
                if not dry_run:
                    await writer.carry_out(progress)
                    await writer.verify()
                    await save_record(
                        self._context.store,
                        self._name,
                        self._target,
                        memory,
                        mark=self._claim.mark,
                        url=collection.url,
                        present=writer.present.values(),
                        unknown=writer.unknown,
                        accepted=writer.accepted,
                        one_at_a_time=server.was_locked,
                        now=self._context.clock(),
                    )
            finally:
                self._tally.requests = server.requests

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
            ours = [one for one in present if not reading.may_still_exist(one, wanted)]
        if len(ours) < len(present):
            text = (
                "the key may not read a project any more: its objects stay as they are; --force deletes them"
            )
            tally.warnings.append(f"{reading.error}; {text}" if reading.error else text)
        tally.plan = plan(wanted, ours, claim, collection.path, accepted=memory.accepted)
        limits = DeletionLimits(target.min_delete, target.max_delete_ratio)
        tally.refused = refuse_deletions(tally.plan, len(wanted), limits, reading.missing, force=force)
        unread = unread_parts(reading.missing, force=force)
        if unread:
            tally.unread = reading.error
            why = f" ({reading.error})" if reading.error else ""
            text = f"Plane was not read whole, and nothing is deleted in this run; missing: {unread}{why}"
            tally.warnings.append(text)
        with_our_mark = partial(memory.with_our_mark, claim=claim)
        return ObjectWriter(collection, wanted, claim, present, memory.accepted, tally, with_our_mark)
