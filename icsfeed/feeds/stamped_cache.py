"""A cache of values that hold while the stamp of what they were made of does."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from cachetools import LRUCache

from icsfeed.errors import FeedError, UnknownFeed
from icsfeed.single_flight import SingleFlight

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = logging.getLogger("icsfeed.feeds")


class _Entry(NamedTuple, Generic[V]):
    stamp: object
    value: V


class StampedCache(Generic[K, V]):
    """Values by key; the least recently used go first.

    `max_size` is in the unit of `size_of`, which counts values by default. A value that is larger than that
    is returned and not stored.
    """

    def __init__(self, max_size: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        self._size_of = size_of
        self._entries: LRUCache[K, _Entry[V]] = LRUCache(max_size, lambda entry: size_of(entry.value))
        self._making: SingleFlight[V] = SingleFlight()

    def last(self, key: K) -> V | None:
        """Return the newest value, whether it still holds or not."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def holds(self, key: K, stamp: object) -> bool:
        """Return whether the newest value has this stamp."""
        entry = self._entries.get(key)
        return entry is not None and entry.stamp == stamp

    async def value(self, key: K, stamp: object, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the value if it has this stamp, else make it, once for all who ask meanwhile.

        The value may have another stamp where one was being made already (see `holds`).
        """
        entry = self._entries.get(key)
        if entry is not None and entry.stamp == stamp:
            return entry.value

        async def make_and_store() -> V:
            value = await make()
            # With the stamp of the reader who began, not of those who joined: theirs may be newer.
            self._store(key, _Entry(stamp, value))
            return value

        # By key, not by stamp: while data changes faster than values are made, readers would otherwise start
        # one after the other for the same feed.
        return await self._making.result(key, make_and_store)

    def update(self, key: K, value: V) -> None:
        """Replace a value that is stored, under the stamp that it has."""
        entry = self._entries.get(key)
        if entry is not None:
            self._store(key, _Entry(entry.stamp, value))

    async def or_last(self, key: K, current: Awaitable[V]) -> V:
        """Return what `current` gives; where it fails, the last value with a warning in the log.

        Raises what `current` raises where there is no such value, and UnknownFeed.
        """
        try:
            return await current
        except UnknownFeed:
            raise
        except Exception as error:
            last = self.last(key)
            if last is None:
                raise
            # A fault of ours must not cost readers their calendar, but needs a traceback to be found.
            fault = None if isinstance(error, FeedError) else error
            log.warning("%s; serving the last good copy", error, exc_info=fault)
            return last

    def _store(self, key: K, entry: _Entry[V]) -> None:
        if self._size_of(entry.value) <= self._entries.maxsize:
            self._entries[key] = entry
