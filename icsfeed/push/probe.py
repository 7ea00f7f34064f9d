"""Trying a target for real: is it there, may we read it, may we write, and does what we write stay."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

from icsfeed.config.schema import ComponentKind, PushTarget
from icsfeed.errors import Rejected
from icsfeed.feeds.mapping import probe_uid
from icsfeed.ics.component import Component
from icsfeed.push.collection import Collection, no_calendar
from icsfeed.push.discovery import find_calendar
from icsfeed.push.object import has_mark, read_object, write_object
from icsfeed.push.plan import object_name
from icsfeed.push.session import Connect, open_server

DAY = date(2000, 1, 1)
MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


async def try_target(
    target: PushTarget, kind: ComponentKind, mark: str, connect: Connect = open_server
) -> AsyncIterator[str]:
    """What works, in sentences; the first PushError that says what does not is raised. `mark`: whose it is.

    Writes one object and deletes it. If we die in between, the next push deletes it: it is marked as ours.
    """
    async with connect(target, attempts=1) as server:
        found = await find_calendar(server, target, kind)
        if not found.exists:
            if not target.create:
                raise no_calendar(found.url)
            yield f"the server accepts the login; the first push makes {found.url}"
            return
        collection = Collection(server, found.url)
        listed = await collection.list()
        yield f"{collection.url} is a calendar with {len(listed)} objects"
        probe = _probe(kind)
        path = collection.path + object_name(probe.uid)
        await collection.put(path, write_object(probe, mark), None)
        body = (await collection.read([path])).get(path)
        if body is not None:
            await collection.delete(path, body.etag)
        if body is None or not has_mark(read_object(body.data), mark):
            raise Rejected(path, "what was read back is not what was written: see the server's log")
        yield "an object was written, read and deleted"


def _probe(kind: ComponentKind) -> Component:
    todo = kind == "vtodo"
    return Component(
        kind="VTODO" if todo else "VEVENT",
        uid=probe_uid(secrets.token_hex(8)),
        summary="icsfeed check",
        first=None if todo else DAY,
        last=DAY,
        status="NEEDS-ACTION" if todo else "CONFIRMED",
        created=MOMENT,
        revised=MOMENT,
    )
