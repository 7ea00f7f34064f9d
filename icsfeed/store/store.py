"""Where the last good snapshots are kept: files, memory or Redis; and the locks that replicas share.

A store never stands between a reader and a feed: what cannot be kept stays in memory, the log says
once what to do, and a task of the store's own tries again until it is written.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from msgspec import MsgspecError, Struct, convert, msgpack, to_builtins

from icsfeed.store.backends import DAMAGED, NAMESPACE, Backend, PrivateFiles, place_of

if TYPE_CHECKING:
    from redis.asyncio.lock import Lock

T = TypeVar("T", bound=Struct)

MAGIC, FORMAT = b"icsfeed\0", b"\x01"
HEADER = len(MAGIC) + len(FORMAT) + sha256().digest_size
SMALL = 64 * 1024
"""Bytes that take less to hash than the way to a thread and back, which is long where the server is busy."""
RETRY = 5.0
"""Seconds between attempts after a failure."""

log = logging.getLogger("icsfeed.store")


class Store:
    """Values by key, until they are removed. No method raises because the place fails.

    `last_error` says how the place fails; None: it does not.
    """

    def __init__(self, place: Backend, retry: float = RETRY) -> None:
        self.last_error: str | None = None
        self._place, self._retry, self._closed = place, retry, False
        self._owed: dict[str, bytes | None] = {}
        self._seen: dict[str, bytes] = {}
        self._writing = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recovery: asyncio.Task[None] | None = None

    @property
    def healthy(self) -> bool:
        """Whether the place worked when it was last used."""
        return self.last_error is None

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use the same place at the same time."""
        return self._place.redis is not None

    async def get(self, key: str) -> bytes | None:
        """What was put last, here or by another replica.

        None: nothing was, or the place fails, or another version of icsfeed wrote it, or it is damaged:
        then it has been reported and set aside under another name for a person to look at.
        """
        if key in self._owed:
            return self._owed[key]
        with self._guarded():
            usable = self.healthy or self._place.redis is None  # a full disk can be read
            raw = await self._raw(key) if usable else None
            if raw is None or await asyncio.to_thread(_is_whole, raw):
                return raw and raw[HEADER:]
            await self._decline(key, raw)
        return None

    async def put(self, key: str, value: bytes | None) -> None:
        """Keep a value. While the place fails it is kept in memory and written afterwards, unless
        another replica has written the key by then."""
        self._owed[key] = value
        if self.healthy:
            with self._guarded():
                await self._settle()

    async def remove(self, key: str) -> None:
        """Forget a value; a failure is borne as by `put`."""
        await self.put(key, None)

    async def get_record(self, key: str, kind: type[T]) -> T | None:
        """The record that was put last; None as for `get`, and for one of another version's shape."""
        value = await self.get(key)
        try:
            return None if value is None else await asyncio.to_thread(decode, value, kind)
        except (MsgspecError, ValueError) as error:
            log.warning("%s in %s is no %s: %s; read anew", key, self._place.name, kind.__name__, error)
            return None

    async def put_record(self, key: str, record: Struct) -> None:
        """Keep a record; what comes back is equal to it. Records are small: what is large is put as bytes."""
        await self.put(key, encode(record))

    @asynccontextmanager
    async def lock(self, name: str, seconds: float, wait: float = 0.0) -> AsyncIterator[bool]:
        """True: nobody else holds it; False: another still did after `wait` seconds.

        Redis shares it among replicas: it is renewed while the holder lives and outlives it by at most
        `seconds`. Without Redis, or when that fails, it holds among the tasks of this process.
        """
        until = asyncio.get_running_loop().time() + wait
        own = self._locks.setdefault(name, asyncio.Lock())
        async with AsyncExitStack() as stack:
            held = await _acquired(own, wait)
            if held:
                stack.callback(own.release)
            if held and self._place.redis is not None and self.healthy:
                left = max(0.0, until - asyncio.get_running_loop().time())
                key = f"{NAMESPACE}:lock:{name}"
                lock = self._place.redis.lock(key, seconds, 0.05, True, left, thread_local=False)
                held = await self._claim(lock, seconds, stack)
            yield held

    async def close(self) -> None:
        """Try once more to write what is owed, and let go of the place."""
        self._closed = True
        await _end(self._recovery)
        with suppress(*self._place.failures):
            await self._settle(again=True)
        if self._place.redis is not None:
            await self._place.redis.aclose()

    async def _raw(self, key: str) -> bytes | None:
        try:
            raw = await self._place.shelf.get(key)
        except MsgspecError:  # litestar's own envelope is damaged
            raw = b""
        if raw is not None:
            self._seen[key] = raw[:HEADER]
        return raw

    async def _decline(self, key: str, raw: bytes) -> None:
        if raw.startswith(MAGIC) and not raw.startswith(MAGIC + FORMAT):
            log.info("%s in %s is in another version's format; read anew", key, self._place.name)
            return
        async with self._writing:
            if self._seen.get(key) != raw[:HEADER]:
                return  # written or set aside meanwhile
            if isinstance(self._place.shelf, PrivateFiles):
                await self._place.shelf.set_aside(key)
            else:
                await self._place.shelf.set(key + DAMAGED, raw)
                await self._place.shelf.delete(key)
            del self._seen[key]
        log.error("%s in %s is damaged; set aside, to be read anew", key, self._place.name)

    async def _settle(self, *, again: bool = False) -> None:
        """Write what is owed; `again` after a failure. Raises the place's failures."""
        async with self._writing:
            for key, value in tuple(self._owed.items()):
                if not self.healthy and not again:
                    return
                if self.healthy or not await self._is_newer_there(key):
                    await self._write(key, value)
                if self._owed.get(key) is value:
                    self._owed.pop(key, None)

    async def _is_newer_there(self, key: str) -> bool:
        seen, raw = self._seen.get(key), await self._raw(key)
        return raw is not None and raw[:HEADER] != seen and _is_whole(raw)

    async def _write(self, key: str, value: bytes | None) -> None:
        if value is None:
            await self._place.shelf.delete(key)
        else:
            raw = _framed(value) if len(value) <= SMALL else await asyncio.to_thread(_framed, value)
            await self._place.shelf.set(key, raw)
            self._seen[key] = raw[:HEADER]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except self._place.failures as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        for hidden in self._place.hidden:
            reason = reason.replace(hidden, "***")
        first, self.last_error = self.healthy, f"{self._place.name}: {reason}"
        if first and not self._closed:
            log.error("cannot keep snapshots in %s. To do: %s", self.last_error, self._place.advice)
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        while not self.healthy:
            await asyncio.sleep(self._retry)
            with self._guarded():
                await self._place.shelf.set("probe", b"")
                await self._place.shelf.delete("probe")
                while self._owed:
                    await self._settle(again=True)
                self.last_error = None
                log.info("keeping snapshots in %s again", self._place.name)

    async def _claim(self, lock: "Lock", seconds: float, stack: AsyncExitStack) -> bool:
        """Hold the lock until the stack ends. Redis fails: each carries on by itself."""
        with self._guarded():
            if not await lock.acquire():
                return False
            stack.push_async_callback(self._release, lock)
            stack.push_async_callback(_end, asyncio.create_task(self._renew(lock, seconds / 3)))
        return True

    async def _renew(self, lock: "Lock", pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            with self._guarded(), suppress(ValueError):  # redis's LockError is one: it was lost
                await lock.reacquire()

    async def _release(self, lock: "Lock") -> None:
        with self._guarded(), suppress(ValueError):
            await lock.release()


def open_store(address: str, environ: Mapping[str, str], *, retry: float = RETRY) -> Store:
    """The store of the configuration's `store:`; `retry`: seconds between attempts while it fails.

    Raises ConfigError when the address cannot be used. Whether the place works shows when it is used.
    """
    return Store(place_of(address, environ), retry)


def encode(record: Struct) -> bytes:
    """MessagePack; JSON where text holds half surrogate pairs, which Plane may send and UTF-8 cannot hold."""
    try:
        return msgpack.encode(record)
    except UnicodeEncodeError:
        return json.dumps(to_builtins(record), ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode(value: bytes, kind: type[T]) -> T:
    """What `encode` made. Raises MsgspecError or ValueError."""
    if value.startswith(b"{"):
        return convert(json.loads(value.decode("utf-8", "surrogatepass")), kind)
    return msgpack.decode(value, type=kind)


def _framed(value: bytes) -> bytes:
    return b"".join((MAGIC, FORMAT, sha256(value).digest(), value))


def _is_whole(raw: bytes) -> bool:
    start, value = raw[:HEADER], memoryview(raw)[HEADER:]
    return start == MAGIC + FORMAT + sha256(value).digest()


async def _acquired(lock: asyncio.Lock, wait: float) -> bool:
    try:
        async with asyncio.timeout(wait):
            return await lock.acquire()
    except TimeoutError:
        return False


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
