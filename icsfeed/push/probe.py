"""Try a target: does it exist, may we read and write, and does an object come back as it was written."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

from icsfeed.config.schema import ComponentKind, PushTarget
from icsfeed.dav.names import object_name
from icsfeed.errors import Rejected
from icsfeed.feeds.mapping import probe_uid
from icsfeed.ics.component import Component
from icsfeed.push.collection import Collection, no_calendar
from icsfeed.push.discovery import find_calendar
from icsfeed.push.object import Claim, read_object, write_object
from icsfeed.push.session import Connect, open_server

PROBE_DAY = date(2000, 1, 1)
PROBE_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Far in the past: nobody sees the probe in a calendar app in the moment that it exists."""


async def try_target(
    target: PushTarget, kind: ComponentKind, mark: str, connect: Connect = open_server
) -> AsyncIterator[str]:
    """Yield what works, in sentences. Raise the first PushError. `mark`: the owner mark of the target's feed.

    One object is written and deleted. If the process ends in between, the next push deletes it, because it
    has our mark. Nothing is retried.
    """
    async with connect(target, attempts=1) as server:
        calendar = await find_calendar(server, target, kind)
        if not calendar.exists:
            if not target.create:
                raise no_calendar(calendar.url)
            yield f"the server accepts the login; the first push creates {calendar.url}"
            return
        collection = Collection(server, calendar.url)
        listed = await collection.list()
        yield f"{collection.url} is a calendar with {len(listed)} objects"
        is_todo = kind == "vtodo"
        probe = Component(
            kind="VTODO" if is_todo else "VEVENT",
            uid=probe_uid(secrets.token_hex(8)),
            summary="icsfeed check",
            first=None if is_todo else PROBE_DAY,
            last=PROBE_DAY,
            status="NEEDS-ACTION" if is_todo else "CONFIRMED",
            created=PROBE_TIME,
            revised=PROBE_TIME,
        )
        path = collection.path + object_name(probe.uid)
        await collection.put(path, write_object(probe, mark), None)
        # Read it back, since a success status does not prove that the server keeps an object and its marks.
        body = (await collection.read([path])).get(path)
        if body is not None:
            await collection.delete(path, body.etag)
        if body is None or not Claim(mark).owns(read_object(body.data)):
            raise Rejected(path, "what was read back is not what was written: see the server's log")
        yield "an object was written, read and deleted"
