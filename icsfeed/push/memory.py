"""What is stored about a target between pushes.

It saves requests, and it recognises our objects when another program has dropped their marks. A push
without it gives the same result otherwise. The stored names of fields must not change.
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
"""How long an equal etag means an equal object: SOGo 5.8 reuses etags after a delete and a create."""
NEVER = datetime.min.replace(tzinfo=UTC)


class ObjectRecord(Struct, frozen=True):
    """The content of an object when it had this etag (as the server lists it)."""

    etag: str
    stored: ParsedObject


class TargetRecord(Struct, frozen=True):
    """The stored record of a target, by path and by UID.

    `asked`: the settings that it belongs to. `read_at`: when all objects were last read. `objects`: by
    path. `accepted`: by UID. `mark`: our mark at that time. `one_at_a_time`: the server answers 423 to
    concurrent writes (xandikos 0.4).
    """

    asked: tuple[str, ...] = ()
    url: str = ""
    read_at: datetime = NEVER
    objects: Mapping[str, ObjectRecord] = {}
    accepted: Mapping[str, Accepted] = {}
    mark: str = ""
    one_at_a_time: bool = False

    def is_recent(self, now: datetime) -> bool:
        """Return whether objects with a known etag need not be read."""
        return timedelta(0) <= now - self.read_at < ETAGS_TRUSTED_FOR

    def with_our_mark(self, remote: RemoteObject, claim: Claim) -> RemoteObject:
        """Return the object with our mark if we wrote it, and its mark is missing or an earlier one of ours.

        Some apps drop X- properties when a person edits an event, and a new `secret` changes our mark. That
        we once wrote this UID to this path counts as a mark then. The hash is emptied, so that the plan
        writes the object again, with the current mark.
        """
        record, stored = self.objects.get(remote.href), remote.stored
        if record is None or stored is None or not stored.uid or stored.uid != record.stored.uid:
            return remote
        was_ours = record.stored.owner == (self.mark or claim.feed)
        # An object with another mark of the same feed name might be another installation's: take it only
        # if nobody wrote it since we did.
        is_unchanged = bool(remote.etag) and remote.etag == record.etag
        has_old_mark = is_unchanged and not claim.owns(stored) and feed_in_mark(stored.owner) == claim.feed
        if was_ours and (not stored.owner or has_old_mark):
            return replace(remote, stored=replace(stored, owner=claim.mark, hash=""))
        return remote

    def objects_after(
        self, remote: Mapping[str, RemoteObject], uncertain: Iterable[str]
    ) -> Mapping[str, ObjectRecord]:
        """Return the records of the objects after a push, by path.

        `uncertain`: paths of failed writes, which may have been done; without an etag they are read next
        time. Objects that could not be read keep their old entry, which tells whose they were.
        """
        kept = {path: known for path, known in self.objects.items() if path in remote}
        kept |= {path: replace(self.objects[path], etag="") for path in uncertain if path in self.objects}
        return kept | {
            path: ObjectRecord(entry.etag, entry.stored)
            for path, entry in remote.items()
            if entry.stored is not None
        }


async def remote_objects(
    collection: Collection,
    listed: Mapping[str, ListedObject],
    record: TargetRecord,
    claim: Claim,
    now: datetime,
) -> list[RemoteObject]:
    """Return all listed objects; read those whose etag is not in the record.

    Objects that cannot be read are included without content, so that the plan leaves them alone.
    """
    remote: dict[str, RemoteObject] = {}
    for path, entry in listed.items():
        known = record.objects.get(path) if record.is_recent(now) else None
        if not entry.is_calendar:
            remote[path] = RemoteObject(path, entry.etag, ParsedObject())
        elif known is not None and entry.etag and entry.etag == known.etag:
            remote[path] = RemoteObject(path, entry.etag, known.stored)
    bodies = await collection.read(listed.keys() - remote.keys())
    for path, body in bodies.items():
        # The body's own etag: the object may have changed after the listing.
        remote[path] = RemoteObject(path, body.etag or listed[path].etag, read_object(body.data))
    for path in listed.keys() - remote.keys():
        known = record.objects.get(path)
        last_uid = known.stored.uid if known is not None else ""
        remote[path] = RemoteObject(path, listed[path].etag, None, last_uid)
    return [record.with_our_mark(remote[path], claim) for path in listed]


async def load_record(store: Store, name: str, target: PushTarget) -> TargetRecord:
    """Return the record of a target; an empty one if there is none, or the target's settings have changed."""
    record = await store.get_record(record_key(name), TargetRecord)
    asked = (target.url, target.collection or "", target.username or "")
    return record if record is not None and record.asked == asked else TargetRecord(asked)


def record_key(name: str) -> str:
    """Return the key of a target's record in the store."""
    return f"push/{name}"
