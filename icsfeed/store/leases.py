"""Leases that replicas share in Redis: the one that holds a lease does some work for all of them.

A lease is kept until another replica wants it or its holder dies, so that the same replica goes on with the
same work. Without Redis, or while it fails, each process works by itself.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from secrets import token_hex

from icsfeed.single_flight import cancel
from icsfeed.store.backends import NAMESPACE
from icsfeed.store.store import Store

LEASE_SECONDS = 10.0
"""How long a lease outlives a holder that dies."""
RENEWAL_SECONDS = 1.0
"""Between two renewals, at which the holder learns who wants its lease."""
POLL_SECONDS = 0.25
WANTED_MS = 3_000
"""How long a wish is known after it was last expressed."""

# KEYS: the lease, who wants it. ARGV: the holder, milliseconds.
_TAKE = """
local wanted = redis.call('get', KEYS[2])
if wanted and wanted ~= ARGV[1] then return 0 end
if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('del', KEYS[2])
return 1
"""
_RENEW = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('pexpire', KEYS[1], ARGV[2])
return redis.call('exists', KEYS[2])
"""
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_WANT = "if redis.call('set', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end return 0"

Sleep = Callable[[float], Awaitable[None]]


class Lease:
    """The right to do one kind of work. `on_wanted`: called when another replica wants it.

    A task that uses a lease which was lost (Redis forgot it, or this process was stopped for a while) is
    cancelled: another replica is at work.
    """

    def __init__(self, leases: "Leases", store: Store, name: str, owner: str, sleep: Sleep) -> None:
        self.keys = (f"{NAMESPACE}:lease:{name}", f"{NAMESPACE}:lease:{name}:wanted")
        self.is_held = False
        self.on_wanted: list[Callable[[], None]] = []
        self._leases, self._store, self._owner, self._sleep = leases, store, owner, sleep
        self._held_until = 0.0
        self._is_wanted = False
        self._users: list[asyncio.Task[object] | None] = []
        self._renewing: asyncio.Task[None] | None = None

    async def take(self) -> bool:
        """Return whether the work may be done here: the lease is ours, or could be taken, or not shared."""
        now = asyncio.get_running_loop().time()
        if self._is_wanted or (self.is_held and now > self._held_until):  # this process was stopped
            return False
        if not self.is_held:
            taken = await self._run(_TAKE, LEASE_SECONDS * 1000)
            if taken is None:
                return True
            if taken:
                self.is_held, self._held_until = True, now + LEASE_SECONDS
                if self._renewing is None or self._renewing.done():
                    self._renewing = asyncio.create_task(self._renew())
        return self.is_held

    async def obtain(
        self, wait: float, patience: float = 0.0, is_needed: Callable[[], Awaitable[bool]] | None = None
    ) -> bool:
        """Take it within `wait` seconds, while `is_needed()`; return whether the work may be done here.

        After `patience` seconds the holder is asked for it.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not (may := await self.take()) and loop.time() < began + wait:
            if is_needed is not None and not await is_needed():
                break
            if loop.time() >= began + patience:
                await self._run(_WANT, WANTED_MS)
            await self._sleep(POLL_SECONDS)
        return may

    @asynccontextmanager
    async def use(
        self, wait: float, patience: float = 0.0, is_needed: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator[bool]:
        """Hold the lease inside, where `obtain` returns True; that is what this gives."""
        if not await self.obtain(wait, patience, is_needed):
            yield False
            return
        task = asyncio.current_task()
        self._users.append(task)
        try:
            yield True
        finally:
            self._users.remove(task)
            await self._yield_if_wanted()

    async def balance(self) -> None:
        """Take it from a replica that holds at least two more leases than this one."""
        await self._leases.balance(self)

    async def _renew(self) -> None:
        while self.is_held:
            await self._sleep(RENEWAL_SECONDS)
            now = asyncio.get_running_loop().time()
            state = await self._run(_RENEW, LEASE_SECONDS * 1000)
            if state is None or state < 0:
                self.is_held = self._is_wanted = False
                for user in self._users if state is not None else ():
                    if user is not None:
                        user.cancel()
                continue
            self._held_until = now + LEASE_SECONDS
            if state and not self._is_wanted:
                self._is_wanted = True
                for on_wanted in self.on_wanted:
                    on_wanted()
            await self._yield_if_wanted()

    async def _yield_if_wanted(self) -> None:
        if self.is_held and self._is_wanted and not self._users:
            await self.release()

    async def release(self) -> None:
        """Let others take it."""
        if self.is_held:
            self.is_held = False
            await self._run(_RELEASE, 0)
        self._is_wanted = False

    async def close(self) -> None:
        """Release it; nothing uses it any more."""
        await self.release()
        if self._renewing is not None:
            await cancel([self._renewing])

    async def _run(self, script: str, milliseconds: float) -> int | None:
        """Return what a script returns; None: the store is not shared, or fails."""
        return await self._store.run_script(script, self.keys, (self._owner, int(milliseconds)))


class Leases:
    """The leases of one process, by name. `sleep` waits so many seconds."""

    def __init__(self, store: Store, sleep: Sleep = asyncio.sleep) -> None:
        self._store, self._sleep = store, sleep
        self._owner = token_hex(8)
        self._leases: dict[str, Lease] = {}
        self._balancing = asyncio.Lock()

    def of(self, name: str) -> Lease:
        """Return the lease of this name."""
        if name not in self._leases:
            self._leases[name] = Lease(self, self._store, name, self._owner, self._sleep)
        return self._leases[name]

    async def balance(self, lease: Lease) -> None:
        """Take this lease from a replica that holds at least two more than this one."""
        async with self._balancing:  # one at a time, and counted again: or this one would have too many
            leases = tuple(self._leases.values())
            holders = await self._store.get_shared([each.keys[0] for each in leases])
            counts = Counter(filter(None, holders))
            holder = dict(zip(leases, holders, strict=True)).get(lease)
            if holder and counts[holder] >= counts[self._owner] + 2:
                await lease.obtain(LEASE_SECONDS)

    async def close(self) -> None:
        """Release all of them."""
        await asyncio.gather(*(lease.close() for lease in self._leases.values()))
