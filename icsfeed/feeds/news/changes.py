"""What has changed in a feed: decided from its last state, its state now, and the time.

Plane has no list of changes that a feed could be made of. So the state of a feed is stored when its news are
read, and compared when they are read again.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

Closed: TypeAlias = Literal["", "completed", "cancelled", "closed"]
"""How an item was closed; `closed`: the feed does not show which of the two. Empty: it is open."""
EventKind: TypeAlias = Literal[
    "due", "ends", "overdue", "new", "moved", "completed", "cancelled", "closed", "reopened"
]

MAX_AGE = timedelta(days=30)
"""How long events are kept and shown."""
MAX_CHANGES = 500
"""Changes that are stored for a feed: more than are shown, because links narrow the feed."""
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_CLOCKS_DIFFER = timedelta(hours=1)
"""How far Plane's clock may be behind ours."""


class ItemState(Struct, frozen=True, array_like=True, gc=False):
    """What events are about: an item's due date (the end of a cycle), how it was closed, its revision."""

    due: date
    closed: Closed
    revised: datetime


class NewsEvent(Struct, frozen=True, array_like=True, gc=False):
    """Something that happened to the item `uid` at a time. `was`: the due date that it had before.

    `key` tells it from other events of the same kind and item: the day, or the item's revision.
    """

    uid: str
    kind: EventKind
    at: datetime
    due: date
    key: str
    was: date | None = None


class NewsLog(Struct, frozen=True):
    """A feed's last state, as it was read from Plane at `read_at`, and its last changes, the oldest first.

    `settings` is a digest of what the feed holds and shows. `digest` is that of the news as they were last
    published, `changed` when they became so, `updated` when their newest entry happened. Stored: fields must
    keep their names.
    """

    settings: str
    states: Mapping[str, ItemState]
    read_at: datetime
    changes: tuple[NewsEvent, ...] = ()
    digest: str = ""
    changed: datetime = NEVER
    updated: datetime = NEVER


def advanced(
    log: NewsLog | None, states: Mapping[str, ItemState], settings: str, read_at: datetime, now: datetime
) -> NewsLog:
    """Return the log with these states as the last ones, and with what has changed since.

    The first state is no news, nor is what appears because the feed is set up differently.
    """
    if log is None:
        return NewsLog(settings, states, read_at)
    if log.settings != settings:
        # Changes seen before may say more than the feed shows now.
        return replace(log, settings=settings, states=states, read_at=read_at, changes=())
    if read_at < log.read_at:  # another replica has read more
        return log
    # Later than all that readers have seen: some readers take only what is newer (Home Assistant).
    last = log.changes[-1].at if log.changes else NEVER
    at, since = max(_whole(now), last + _SECOND), log.read_at - _CLOCKS_DIFFER
    changes = [change for change in log.changes if change.uid in states and at - change.at <= MAX_AGE]
    # Of an issue too another replica may have read more.
    known = log.states
    states = {
        uid: max(state, known.get(uid, state), key=lambda it: it.revised) for uid, state in states.items()
    }
    for uid, state in states.items():
        changes += _changes(uid, known.get(uid), state, since, at)
    return replace(log, states=states, read_at=read_at, changes=tuple(changes[-MAX_CHANGES:]))


def _changes(
    uid: str, before: ItemState | None, state: ItemState, since: datetime, at: datetime
) -> Iterator[NewsEvent]:
    key = state.revised.isoformat()
    if before is None:
        # What has not changed itself comes back: its project could not be read, or a window reached it.
        if not state.closed and state.revised > since:
            yield NewsEvent(uid, "new", at, state.due, key)
        return
    if state.due != before.due and not state.closed:
        yield NewsEvent(uid, "moved", at, state.due, key, before.due)
    if state.closed != before.closed:
        yield NewsEvent(uid, state.closed or "reopened", at, state.due, key)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def published(log: NewsLog, digest: str, newest: datetime, now: datetime) -> NewsLog:
    """Return the log after its news were made: their digest, and the time of their newest entry."""
    # As of a calendar: the first news count from their newest entry, so that a restart changes nothing.
    changed = max(_whole(now), log.changed + _SECOND) if log.digest else max(newest, log.changed)
    changed = log.changed if log.digest == digest else changed
    return replace(log, digest=digest, changed=changed, updated=max(newest, log.updated))
