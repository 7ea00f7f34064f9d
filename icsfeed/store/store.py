"""Where the last good copies are stored: files, memory or Redis; and the locks that replicas share.

A store never comes between a reader and a feed: what cannot be written stays in memory, the log says once
what to do, and a task of the store's own tries again until it is written.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from litestar.stores.memory import MemoryStore
from msgspec import MsgspecError, Struct, convert, msgpack, to_builtins

from icsfeed.errors import ConfigError, StoreFailed
from icsfeed.files import file_lock
from icsfeed.single_flight import cancel
from icsfeed.store.backends import DAMAGED, NAMESPACE, Backend, PrivateFiles, backend_of

if TYPE_CHECKING:
    from redis.asyncio.lock import Lock

T = TypeVar("T", bound=Struct)

MAGIC, FORMAT = b"icsfeed\0", b"\x01"
HEADER_BYTES = len(MAGIC) + len(FORMAT) + sha256().digest_size
MAX_INLINE_BYTES = 64 * 1024
"""Values that take less to hash than the way to a thread and back, which is long where the server is busy."""
MAX_WRITES = 8
"""Values written at a time."""
RETRY_SECONDS = 5.0
"""Between attempts after a failure."""
LOCK_POLL_SECONDS = 0.01

log = logging.getLogger("icsfeed.store")


class Store:
    """Values by key, until they are removed. No method raises because the backend fails.

    `last_error` says how the backend fails; None: it does not.
    """

    def __init__(self, backend: Backend, retry: float = RETRY_SECONDS) -> None:
        self.last_error: str | None = None
        self._backend, self._retry, self._closed = backend, retry, False
        self._unwritten: dict[str, bytes | None] = {}
        # The headers, with the digests, of what we last read or wrote: another one is a replica's.
        self._headers: dict[str, bytes] = {}
        self._writing = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recovery: asyncio.Task[None] | None = None
        self._later: asyncio.Task[None] | None = None

    @property
    def healthy(self) -> bool:
        """Whether the backend worked when it was last used."""
        return self.last_error is None

    @property
    def reached(self) -> str:
        """What the values are in, for people, without passwords."""
        return self._backend.reached

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use the same backend at the same time."""
        return self._backend.redis is not None

    @property
    def is_durable(self) -> bool:
        """Whether values outlive the process."""
        return not isinstance(self._backend.values, MemoryStore)

    async def stamp(self, key: str) -> object:
        """Return what changes with every other value of a key, without reading it; None where that fails."""
        values, redis = self._backend.values, self._backend.redis
        with self._failures_noted():
            if isinstance(values, PrivateFiles):
                return await values.stamp(key)
            if redis is not None:
                return await redis.getrange(f"{NAMESPACE}:{key}", 0, HEADER_BYTES - 1)
            return (await values.get(key) or b"")[:HEADER_BYTES]
        return None

    async def holds(self, key: str, digest: bytes) -> bool:
        """Whether the value of this SHA-256 is still in Redis; True where the store is another, or fails."""
        if self._backend.redis is None or key in self._unwritten:
            return True
        stamp = await self.stamp(key)
        return not self.healthy or (isinstance(stamp, bytes) and stamp.endswith(digest))

    async def get(self, key: str) -> bytes | None:
        """Return what was put last, here or by another replica.

        None: nothing was, or the backend fails, or another version of icsfeed wrote it, or it is damaged:
        then it has been reported and set aside under another name for a person to look at.
        """
        if key in self._unwritten:
            return self._unwritten[key]
        with self._failures_noted():
            usable = self.healthy or self._backend.redis is None  # a full disk can be read
            raw = await self._read(key) if usable else None
            if raw is None or await asyncio.to_thread(_is_intact, raw):
                return raw and raw[HEADER_BYTES:]
            if raw.startswith(MAGIC) and not raw.startswith(MAGIC + FORMAT):
                log.info("%s in %s has another version's format; ignored", key, self._backend.name)
            else:
                await self._set_aside(key, raw)
        return None

    async def put(self, key: str, value: bytes | None) -> None:
        """Store a value; None removes it.

        While the backend fails it stays in memory and is written afterwards, unless another replica has
        written the key by then.
        """
        self._unwritten[key] = value
        if self.healthy:
            with self._failures_noted():
                await self._write_all()

    def put_soon(self, key: str, value: bytes) -> None:
        """As `put`, without waiting: `get` returns it at once, and `close` writes what is not written yet."""
        self._unwritten[key] = value
        if self.healthy and (self._later is None or self._later.done()):
            self._later = asyncio.create_task(self._write_later())

    async def _write_later(self) -> None:
        with self._failures_noted():
            while self._unwritten and self.healthy:
                await self._write_all()

    async def remove(self, key: str) -> None:
        """Remove a value; failures as in `put`."""
        await self.put(key, None)

    async def get_record(self, key: str, kind: type[T]) -> T | None:
        """Return the record that was put last; None as in `get`, and for one of another version's shape."""
        value = await self.get(key)
        try:
            return None if value is None else await asyncio.to_thread(decode, value, kind)
        except (MsgspecError, ValueError) as error:
            log.warning("%s in %s is no %s: %s; ignored", key, self._backend.name, kind.__name__, error)
            return None

    async def put_record(self, key: str, record: Struct) -> None:
        """Store a record; `get_record` returns an equal one. For small records: `put` large ones encoded."""
        await self.put(key, encode(record))

    async def write_record(self, key: str, record: Struct) -> None:
        """Store a record now, or raise StoreFailed: then it is not written later either."""
        if self.healthy:
            await self.put(key, encode(record))
        if not self.healthy:
            self._unwritten.pop(key, None)
            raise StoreFailed(self.last_error or "")

    @asynccontextmanager
    async def lock(self, name: str, seconds: float, wait: float = 0.0) -> AsyncIterator[bool]:
        """Hold a lock inside. True: nobody else holds it; False: another still did after `wait` seconds.

        Redis shares it among replicas: it is renewed while the holder lives and outlives it by at most
        `seconds`. With files it holds among the processes of this machine. In memory, or when that fails, it
        holds among the tasks of this process.
        """
        until = asyncio.get_running_loop().time() + wait
        in_process = self._locks.setdefault(name, asyncio.Lock())
        async with AsyncExitStack() as stack:
            held = False
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    held = await in_process.acquire()
            if held:
                stack.callback(in_process.release)
            if held and self._backend.redis is not None and self.healthy:
                left = max(0.0, until - asyncio.get_running_loop().time())
                key = f"{NAMESPACE}:lock:{name}"
                lock = self._backend.redis.lock(key, seconds, 0.05, True, left, thread_local=False)
                with self._failures_noted():  # where Redis fails, each replica continues by itself
                    held = await lock.acquire()
                    if held:
                        stack.push_async_callback(self._release, lock)
                        renewal = asyncio.create_task(self._renew(lock, seconds / 3))
                        stack.push_async_callback(cancel, [renewal])
            elif held and self._backend.locks is not None:
                held = await self._lock_file(stack, self._backend.locks, name, until)
            yield held

    async def _lock_file(self, stack: AsyncExitStack, folder: Path, name: str, until: float) -> bool:
        """Lock a file, which the kernel releases when the process dies; where that fails, go on without."""
        while True:
            attempt = file_lock(folder, name)
            try:
                held = attempt.__enter__()
            except ConfigError:  # this user may not write there: values cannot be written either
                return True
            if held or asyncio.get_running_loop().time() >= until:
                stack.push(attempt)
                return held
            attempt.__exit__(None, None, None)
            await asyncio.sleep(LOCK_POLL_SECONDS)

    async def _renew(self, lock: "Lock", pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            with self._failures_noted(), suppress(ValueError):  # redis's LockError is one: it was lost
                await lock.reacquire()

    async def _release(self, lock: "Lock") -> None:
        with self._failures_noted(), suppress(ValueError):
            await lock.release()

    async def run_script(
        self, script: str, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> int | None:
        """Return the number that a Lua script of Redis returns; None: the store is another, or it fails."""
        if self._backend.redis is not None and self.healthy:
            with self._failures_noted():
                return int(await self._backend.redis.eval(script, len(keys), *keys, *arguments))
        return None

    async def get_shared(self, keys: Sequence[str]) -> Sequence[str | None]:
        """Return what Redis has under these keys; None for each where the store is another, or it fails."""
        if self._backend.redis is not None and self.healthy:
            with self._failures_noted():
                values = await self._backend.redis.mget(keys)
                return [str(value, "utf-8") if isinstance(value, bytes) else None for value in values]
        return [None] * len(keys)

    async def close(self) -> None:
        """Try once more to write what is unwritten, and close the backend."""
        self._closed = True
        if self._recovery is not None:
            await cancel([self._recovery])
        if self._later is not None:
            await self._later
        with suppress(*self._backend.failures):
            await self._write_all(retry=True)
        for client in (self._backend.redis, *self._backend.sentinels):
            if client is not None:
                await client.aclose()

    async def _read(self, key: str) -> bytes | None:
        try:
            raw = await self._backend.values.get(key)
        except MsgspecError:  # litestar's own envelope is damaged
            raw = b""
        if raw is not None:
            self._headers[key] = raw[:HEADER_BYTES]
        return raw

    async def _set_aside(self, key: str, raw: bytes) -> None:
        values = self._backend.values
        async with self._writing:
            if self._headers.get(key) != raw[:HEADER_BYTES]:
                return  # written or set aside meanwhile
            if isinstance(values, PrivateFiles):
                await values.set_aside(key)
            else:
                await values.set(key + DAMAGED, raw)
                await values.delete(key)
            del self._headers[key]
        log.error("%s in %s is damaged; set aside, to be read again from Plane", key, self._backend.name)

    async def _write_all(self, *, retry: bool = False) -> None:
        """Write what is unwritten; `retry`: after a failure. Raises the backend's failures."""
        async with self._writing:
            # Several at a time: a change may concern hundreds of feeds, each with a record of its own.
            unwritten = tuple(self._unwritten.items())
            for start in range(0, len(unwritten), MAX_WRITES):
                if not self.healthy and not retry:
                    return
                some = unwritten[start : start + MAX_WRITES]
                writes = (self._write(key, value) for key, value in some)
                for result in await asyncio.gather(*writes, return_exceptions=True):
                    if result is not None:
                        raise result

    async def _write(self, key: str, value: bytes | None) -> None:
        # While the backend failed for us, another replica may have written something newer.
        before = None if self.healthy else self._headers.get(key)
        raw = None if self.healthy else await self._read(key)
        if raw is None or raw[:HEADER_BYTES] == before or not _is_intact(raw):
            if value is None:
                await self._backend.values.delete(key)
            else:
                is_large = len(value) > MAX_INLINE_BYTES
                raw = await asyncio.to_thread(_framed, value) if is_large else _framed(value)
                await self._backend.values.set(key, raw)
                self._headers[key] = raw[:HEADER_BYTES]
        if self._unwritten.get(key) is value:
            self._unwritten.pop(key, None)

    @contextmanager
    def _failures_noted(self) -> Iterator[None]:
        """Note the backend's failures instead of raising them, and begin to try again."""
        try:
            yield
        except self._backend.failures as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            for hidden in self._backend.hidden:
                reason = reason.replace(hidden, "***")
            was_healthy, self.last_error = self.healthy, f"{self._backend.name}: {reason}"
            if was_healthy and not self._closed:
                log.error("cannot store copies in %s. To do: %s", self.last_error, self._backend.advice)
                self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        while not self.healthy:
            await asyncio.sleep(self._retry)
            with self._failures_noted():
                await self._backend.values.set("probe", b"")
                await self._backend.values.delete("probe")
                while self._unwritten:
                    await self._write_all(retry=True)
                self.last_error = None
                log.info("storing copies in %s again", self._backend.name)


def open_store(address: str, environ: Mapping[str, str], *, retry: float = RETRY_SECONDS) -> Store:
    """Return the store of the configuration's `store:`; `retry`: seconds between attempts while it fails.

    Raises ConfigError when the address cannot be used. Whether the backend works shows when it is used.
    """
    return Store(backend_of(address, environ), retry)


def encode(record: Struct) -> bytes:
    """Encode as MessagePack; as JSON where text has lone surrogates, which Plane may send and UTF-8 lacks."""
    try:
        return msgpack.encode(record)
    except UnicodeEncodeError:
        return json.dumps(to_builtins(record), ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode(value: bytes, kind: type[T]) -> T:
    """Decode what `encode` returned. Raises MsgspecError or ValueError."""
    if value.startswith(b"{"):
        return convert(json.loads(value.decode("utf-8", "surrogatepass")), kind)
    return msgpack.decode(value, type=kind)


def _framed(value: bytes) -> bytes:
    return b"".join((MAGIC, FORMAT, sha256(value).digest(), value))


def _is_intact(raw: bytes) -> bool:
    start, value = raw[:HEADER_BYTES], memoryview(raw)[HEADER_BYTES:]
    return start == MAGIC + FORMAT + sha256(value).digest()
