"""What is remembered of a target between its pushes. It saves requests, and never changes a result."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from icsfeed.adapters.caldav import Listed
from icsfeed.adapters.store import Store
from icsfeed.core.config import PushTarget
from icsfeed.core.ics_object import Stored
from icsfeed.core.push_plan import Accepted, Present

TRUSTED_FOR = timedelta(days=1)
"""How long an etag stands for what it was seen on: SOGo's start again after delete and create."""
NEVER = datetime.min.replace(tzinfo=UTC)


class Object(Struct, frozen=True):
    """One object: what it said of itself when it had this etag."""

    etag: str
    stored: Stored


class Memory(Struct, frozen=True):
    """A record of the store. `asked`: the settings it is for. `read_at`: when all objects were last read."""

    asked: tuple[str, ...] = ()
    url: str = ""
    read_at: datetime = NEVER
    objects: Mapping[str, Object] = {}
    accepted: Mapping[str, Accepted] = {}

    def is_recent(self, now: datetime) -> bool:
        """Whether etags may stand for what they were seen on."""
        return timedelta(0) <= now - self.read_at < TRUSTED_FOR

    def known(self, listed: Mapping[str, Listed], now: datetime) -> dict[str, Present]:
        """The listed objects of which it is known what they hold."""
        found = {path: self.objects.get(path) for path in listed} if self.is_recent(now) else {}
        return {
            path: Present(path, one.etag, one.stored)
            for path, one in found.items()
            if one is not None and one.etag and one.etag == listed[path].etag
        }

    def uid_at(self, path: str) -> str:
        """The UID of ours that was last seen there, whatever its etag; empty where there was none."""
        known = self.objects.get(path)
        return known.stored.uid if known is not None else ""


async def recall(store: Store, name: str, target: PushTarget) -> Memory:
    """What is remembered of a target; nothing where its settings have changed."""
    memory = await store.get_record(_key(name), Memory)
    return memory if memory is not None and memory.asked == _asked(target) else Memory()


async def remember(
    store: Store,
    name: str,
    target: PushTarget,
    old: Memory,
    *,
    url: str,
    present: Iterable[Present],
    accepted: Mapping[str, Accepted],
    now: datetime,
) -> None:
    """Keep it for the next push, where it has changed. Of what cannot be read now the last is kept."""
    seen = {one.href: one for one in present}
    objects = {path: known for path, known in old.objects.items() if path in seen}
    objects |= {path: Object(one.etag, one.stored) for path, one in seen.items() if one.stored is not None}
    read_at = old.read_at if old.is_recent(now) else now
    memory = Memory(_asked(target), url, read_at, objects, accepted)
    if memory != old:
        await store.put_record(_key(name), memory)


def _key(name: str) -> str:
    return f"push/{name}"


def _asked(target: PushTarget) -> tuple[str, ...]:
    return (target.url, target.collection or "", target.username or "")
