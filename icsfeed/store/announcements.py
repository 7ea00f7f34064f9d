"""What one replica announces to the others through the store: which of many values it has stored again."""

from collections.abc import Iterable, Mapping, Set

from msgspec import Struct

from icsfeed.store.store import Store


class StoredVersions(Struct, frozen=True):
    """By the name of a value, what differs with every other version of it."""

    versions: Mapping[str, str] = {}


class Announcements:
    """Announcements under one key. `changed` returns what others have announced since it was last called.

    Two replicas that announce at the same moment may lose one of both: it is announced again with the next
    version of that value. Where nothing is shared nothing is announced.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._known: Mapping[str, str | None] = {}

    async def announce(self, name: str, version: str) -> None:
        """Announce that a value has been stored in this version."""
        if self._store.is_shared and self._known.get(name) != version:
            stored = await self._store.get_record(self._key, StoredVersions) or StoredVersions()
            await self._store.put_record(self._key, StoredVersions({**stored.versions, name: version}))
            self._known = {**self._known, name: version}

    async def changed(self, names: Iterable[str]) -> Set[str]:
        """Return those of these values of which another version is stored than we know, or none any more."""
        if not (self._store.is_shared and self._store.healthy):
            return frozenset()
        stored = await self._store.get_record(self._key, StoredVersions) or StoredVersions()
        found = {name for name in names if stored.versions.get(name) != self._known.get(name)}
        self._known = {**self._known, **{name: stored.versions.get(name) for name in found}}
        return found
