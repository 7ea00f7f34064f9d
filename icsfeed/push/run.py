"""One push: read the feed, list the collection, plan, write, delete, verify, store the record, report.

The order is what makes it safe: nothing is written unless the listing is complete, and nothing is deleted
unless Plane was read completely.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import PushTarget
from icsfeed.errors import IcsfeedError, NoCopy, PushBusy, PushStopped
from icsfeed.feeds.service import FeedService
from icsfeed.files import file_lock
from icsfeed.push.action import DeletionLimits
from icsfeed.push.discovery import open_collection
from icsfeed.push.memory import TargetRecord, load_record, record_key, remote_objects
from icsfeed.push.object import Claim, owner_mark
from icsfeed.push.plan import (
    DesiredObject,
    RemoteObject,
    desired_objects,
    plan,
    refuse_deletions,
    unread_parts,
)
from icsfeed.push.read_feed import FeedContents, read_feed, reading_progress
from icsfeed.push.report import PushEvents, PushProgress, TargetReport
from icsfeed.push.scheduler import group_by_server
from icsfeed.push.session import Connect, DavServer, open_server
from icsfeed.push.writer import ObjectWriter
from icsfeed.store.store import Store

PLANE_WAIT_SECONDS = 60.0
"""Seconds that a push waits for Plane longer than readers do: after a partial read it deletes nothing."""
LOCK_SECONDS = 30.0
"""Seconds after which the lock of a replica that died expires."""
SILENT = PushEvents()


class PushContext(Struct, frozen=True):
    """What every push needs: the folder of lock files, the store of records, clocks, and connections.

    `folder` may raise ConfigError if there is none.
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
    events: PushEvents = SILENT,
    *,
    dry_run: bool = False,
    force: bool = False,
) -> TargetReport:
    """Make the collection of the target `name` hold exactly its feed, and return the report.

    Errors of icsfeed are in the report, with what was done before them.
    """
    started, target = context.timer(), service.config.push[name]
    progress = PushProgress(target.url)
    error: IcsfeedError | None = None
    try:
        # Two locks: the file's for processes on this machine, the store's for replicas elsewhere.
        with file_lock(context.folder(), name) as has_file_lock:
            async with context.store.lock(f"push/{name}", LOCK_SECONDS) as has_store_lock:
                if not (has_file_lock and has_store_lock):
                    raise PushBusy(name, "another run is writing to it; try later")
                claim = Claim(owner_mark(target.feed, service.config), target.adopt)
                run = _PushRun(name, target, claim, context, progress, events, dry_run, force)
                async with reading_progress(service, run.on_wait):
                    contents = await read_feed(service, target.feed, PLANE_WAIT_SECONDS)
                await run.run(contents)
    except asyncio.CancelledError:
        stop = PushStopped(name, "stopped before it was complete; the next push does the rest")
        events.report(progress.report(name, target.feed, context.timer() - started, stop, dry_run=dry_run))
        raise
    except NoCopy as caught:
        # "Not read yet" helps nobody: name the error that Plane gave.
        error = service.why_unread(target.feed) or caught
    except IcsfeedError as caught:
        error = caught
    report = progress.report(name, target.feed, context.timer() - started, error, dry_run=dry_run)
    events.report(report)
    return report


async def push_all(
    names: Sequence[str],
    service: FeedService,
    context: PushContext,
    events: PushEvents,
    *,
    dry_run: bool = False,
    force: bool = False,
) -> None:
    """Push to these targets. Those on one server are pushed to one after the other."""

    async def push_each(names_on_server: Sequence[str]) -> None:
        for name in names_on_server:
            await push(name, service, context, events, dry_run=dry_run, force=force)

    await asyncio.gather(*map(push_each, group_by_server(service.config.push, names).values()))


class _PushRun(Struct, frozen=True):
    """One run for the target `name`. Its results are in `progress`, also after an error."""

    name: str
    target: PushTarget
    claim: Claim
    context: PushContext
    progress: PushProgress
    events: PushEvents
    dry_run: bool
    force: bool

    def on_wait(self, reason: str) -> None:
        """Say what the push waits for."""
        self.events.wait(self.name, reason)

    async def run(self, contents: FeedContents) -> None:
        """Push what was read of the feed. Raise the PushError that ends the run early."""
        record = await load_record(self.context.store, self.name, self.target)
        async with self.context.connect(self.target) as server:
            server.on_wait = self.on_wait
            # xandikos 0.4 answered concurrent writes with 423 in an earlier run: do not provoke that again.
            if record.one_at_a_time:
                server.disable_concurrency()
            try:
                await self._push(contents, server, record)
            finally:
                self.progress.requests = server.requests

    async def _push(self, contents: FeedContents, server: DavServer, record: TargetRecord) -> None:
        collection, listed = await open_collection(
            server, self.target, record.url, contents.feed, contents.calendar.header, dry_run=self.dry_run
        )
        self.progress.url = collection.url
        now = self.context.clock()
        remote = await remote_objects(collection, listed, record, self.claim, now)
        desired = await self._plan(contents, collection.path, remote, record)
        if self.dry_run:
            return
        writer = ObjectWriter(collection, desired, self.claim, remote, record, self.progress)
        await writer.carry_out(partial(self.events.progress, self.name))
        await writer.verify()
        # Only after verification, and not after an error: a record must not vouch for etags that were never
        # read back.
        new = replace(
            record,
            url=collection.url,
            read_at=record.read_at if record.is_recent(now) else now,
            objects=record.objects_after(writer.remote, writer.uncertain),
            accepted=writer.accepted,
            mark=self.claim.mark,
            one_at_a_time=record.one_at_a_time or server.was_locked,
        )
        if new != record:
            await self.context.store.put_record(record_key(self.name), new)

    async def _plan(
        self,
        contents: FeedContents,
        base: str,
        remote: Sequence[RemoteObject],
        record: TargetRecord,
    ) -> Mapping[str, DesiredObject]:
        """Put the plan and the refusal of deletions into `progress`; return the desired objects by UID."""
        target, claim, progress, force = self.target, self.claim, self.progress, self.force
        # In a thread: serialising and parsing thousands of components would block a server's event loop.
        components, strip_emoji = contents.calendar.components, target.strip_emoji
        desired = await asyncio.to_thread(desired_objects, components, claim.mark, strip_emoji=strip_emoji)
        progress.force = force
        planned = remote if force else [one for one in remote if not contents.may_still_exist(one, desired)]
        if len(planned) < len(remote):
            text = (
                "the key may no longer read a project: its objects are left as they are; --force deletes them"
            )
            progress.warnings.append(f"{contents.error}; {text}" if contents.error else text)
        progress.plan = plan(desired, planned, claim, base, accepted=record.accepted)
        limits = DeletionLimits(target.min_delete, target.max_delete_ratio)
        progress.refused = refuse_deletions(
            progress.plan, len(desired), limits, contents.missing, force=force
        )
        unread = unread_parts(contents.missing, force=force)
        if unread:
            progress.unread = contents.error
            cause = f" ({contents.error})" if contents.error else ""
            text = f"Plane was not read completely; nothing is deleted in this run; missing: {unread}{cause}"
            progress.warnings.append(text)
        return desired
