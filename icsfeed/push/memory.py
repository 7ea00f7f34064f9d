"""What is remembered of a target between its pushes.

It saves requests, and stands in for a mark that somebody's app has dropped; it never changes a result else.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import PushTarget
from icsfeed.push.collection import Collection, ListedObject
from icsfeed.push.object import Claim, ParsedObject, feed_in_mark, read_object
from icsfeed.push.plan import Accepted, RemoteObject
from icsfeed.store.store import Store

ETAGS_TRUSTED_FOR = timedelta(days=1)
"""How long an etag stands for what it was seen on: SOGo's start again after delete and create."""
NEVER = datetime.min.replace(tzinfo=UTC)


class ObjectRecord(Struct, frozen=True):
    """One object: what it said of itself when it had this etag."""

    etag: str
    stored: ParsedObject


class TargetRecord(Struct, frozen=True):
    """A record of the store. `asked`: the settings it is for. `read_at`: when all objects were last read.

    `mark`: what we marked objects with then. `one_at_a_time`: the server answers 423 to several writes at
    once (xandikos).
    """

    asked: tuple[str, ...] = ()
    url: str = ""
    read_at: datetime = NEVER
    objects: Mapping[str, ObjectRecord] = {}
    accepted: Mapping[str, Accepted] = {}
    mark: str = ""
    one_at_a_time: bool = False

    def is_recent(self, now: datetime) -> bool:
        """Whether etags may stand for what they were seen on."""
        return timedelta(0) <= now - self.read_at < ETAGS_TRUSTED_FOR

    def with_our_mark(self, found: RemoteObject, claim: Claim) -> RemoteObject:
        """The object, as ours where we wrote that UID there and its mark is gone or of an earlier kind.

        Some apps drop X- properties when a person edits; and with the `secret` our mark changes. Its hash is
        emptied, so that it is written again with the mark.
        """
        known, stored = self.objects.get(found.href), found.stored
        if known is None or stored is None or not stored.uid or stored.uid != known.stored.uid:
            return found
        was_ours = known.stored.owner == (self.mark or claim.feed)
        untouched = bool(found.etag) and found.etag == known.etag
        renewed = untouched and not claim.owns(stored) and feed_in_mark(stored.owner) == claim.feed
        if was_ours and (not stored.owner or renewed):
            return replace(found, stored=replace(stored, owner=claim.mark, hash=""))
        return found


async def remote_objects(
    collection: Collection,
    listed: Mapping[str, ListedObject],
    memory: TargetRecord,
    claim: Claim,
    now: datetime,
) -> list[RemoteObject]:
    """All that is there. Only what its etag does not tell is read; what cannot be read is there too."""
    found: dict[str, RemoteObject] = {}
    for path, entry in listed.items():
        record = memory.objects.get(path) if memory.is_recent(now) else None
        if not entry.is_calendar:
            found[path] = RemoteObject(path, entry.etag, ParsedObject())
        elif record is not None and entry.etag and entry.etag == record.etag:
            found[path] = RemoteObject(path, entry.etag, record.stored)
    bodies = await collection.read(listed.keys() - found.keys())
    for path, body in bodies.items():
        found[path] = RemoteObject(path, body.etag or listed[path].etag, read_object(body.data))
    for path in listed.keys() - found.keys():
        before = memory.objects.get(path)
        uid = before.stored.uid if before is not None else ""
        found[path] = RemoteObject(path, listed[path].etag, None, uid)
    return [memory.with_our_mark(found[path], claim) for path in listed]


async def load_record(store: Store, name: str, target: PushTarget) -> TargetRecord:
    """What is remembered of a target; nothing where its settings have changed."""
    memory = await store.get_record(_key(name), TargetRecord)
    return memory if memory is not None and memory.asked == _settings_of(target) else TargetRecord()


async def save_record(
    store: Store,
    name: str,
    target: PushTarget,
    old: TargetRecord,
    *,
    mark: str,
    url: str,
    present: Iterable[RemoteObject],
    unknown: Iterable[str],
    accepted: Mapping[str, Accepted],
    one_at_a_time: bool,
    now: datetime,
) -> None:
    """Keep for the next push what is known after this one. Of what cannot be read now the last is kept.

    `unknown`: the paths of objects of which it is not known what became of them: they are read again.
    """
    seen = {one.href: one for one in present}
    objects = {path: known for path, known in old.objects.items() if path in seen}
    objects |= {path: replace(old.objects[path], etag="") for path in unknown if path in old.objects}
    objects |= {
        path: ObjectRecord(one.etag, one.stored) for path, one in seen.items() if one.stored is not None
    }
    read_at = old.read_at if old.is_recent(now) else now
    memory = TargetRecord(
        _settings_of(target), url, read_at, objects, accepted, mark, old.one_at_a_time or one_at_a_time
    )
    if memory != old:
        await store.put_record(_key(name), memory)


def _key(name: str) -> str:
    return f"push/{name}"


def _settings_of(target: PushTarget) -> tuple[str, ...]:
    return (target.url, target.collection or "", target.username or "")
