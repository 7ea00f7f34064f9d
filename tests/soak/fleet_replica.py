"""A replica as a process whose time fleet.py drives. Arguments: two pipes, Redis, the scale, a seed.

It is the server as it is run, over a real Redis: only the clock, the way to Plane and the way of requests are
others. Where it has nothing to do it says until when, and waits to be given the time. While it waits for
Redis no time passes.
"""

import asyncio
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from selectors import EpollSelector, SelectorKey
from typing import Any

import httpx
from litestar.stores.redis import RedisStore
from msgspec import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError

sys.path.append(str(Path(__file__).parents[1]))

from app_world import NOW
from fleet_world import Scale, settings
from leaping import Inline

from icsfeed.server.build import WorkspacePool
from icsfeed.server.reload import open_app
from icsfeed.store.backends import NAMESPACE, Backend
from icsfeed.store.leases import LEASE_SECONDS, RENEWAL_SECONDS
from icsfeed.store.store import Store
from icsfeed.web.state import ServerState

EXPIRIES = "simulation:expiries"
"""A sorted set in Redis: `key NUL value` by the simulated time at which that value of the key expires."""
SLOWER = 1_000
"""Times that Redis' own expiry takes longer: the driver's comes first."""


class Driven(EpollSelector):
    """Waits for input, or until the driver says that time has passed."""

    def __init__(self, up: int, grid: float) -> None:
        super().__init__()
        self.now = 0.0
        self.working = 0
        self.seen = 0
        self._up, self._grid = up, grid

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if not self.working:
            # On a grid, so that what comes at about the same time is one step of the driver.
            until = None if timeout is None else self._grid * -(-(self.now + timeout) // self._grid)
            self.send({"idle": until, "seen": self.seen})
        return super().select(None)

    def send(self, message: Mapping[str, object]) -> None:
        data = msgpack.encode(message)
        data = struct.pack("!I", len(data)) + data
        while data:
            data = data[os.write(self._up, data) :]


class DrivenLoop(asyncio.SelectorEventLoop):
    def __init__(self, selector: Driven) -> None:
        self.driven = selector
        super().__init__(selector)
        self.set_default_executor(Inline())

    def time(self) -> float:
        return self.driven.now


class DrivenRedis(Redis):
    """Redis in the simulation's time: what expires is listed, and the driver removes it."""

    driven: Driven

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.driven.working += 1
        try:
            command, value, at = args[0], "", 0
            keys: tuple[Any, ...] = ()
            if command == "SET" and "PX" in args:
                at = args.index("PX") + 1
                keys, value = args[1:2], args[2]
            elif command in ("EVAL", "EVALSHA") and len(args) == 5 + int(args[2]):
                at = len(args) - 1
                keys, value = args[3 : 3 + int(args[2])], args[at - 1]
            if at and int(args[at]):
                expires = self.driven.now + int(args[at]) / 1000
                named = value if isinstance(value, bytes) else str(value).encode()
                for key in keys:
                    member = str(key).encode() + b"\0" + named
                    await super().execute_command(  # type: ignore[no-untyped-call]
                        *("ZADD", EXPIRIES, "GT", expires, member)  # a wish does not shorten a lease
                    )
                args = (*args[:at], int(args[at]) * SLOWER, *args[at + 1 :])
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            self.driven.working -= 1


class ToPlane(httpx.AsyncBaseTransport):
    """Sends requests to Plane through the driver."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._count += 1
        number = self._count
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        path, _, query = request.url.raw_path.decode().partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._driven.send(
            {"plane": number, "method": request.method, "path": path, "query": query, "headers": headers}
        )
        try:
            answer = await future
        finally:
            del self._waiting[number]
        return httpx.Response(answer["status"], headers=answer["headers"], content=answer["body"])

    def answered(self, message: Mapping[str, Any]) -> None:
        future = self._waiting.get(message["plane"])
        if future is not None and not future.done():
            future.set_result(message)


def messages(buffer: bytearray) -> Iterator[Mapping[str, Any]]:
    """Take the complete messages out of what was received."""
    while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack("!I", buffer[:4])[0]):
        yield msgpack.decode(bytes(buffer[4 : 4 + size]))
        del buffer[: 4 + size]


async def run(  # noqa: C901 - small functions that share a clock
    down: int, driven: Driven, address: str, scale: Scale, seed: int
) -> None:
    loop = asyncio.get_running_loop()
    plane, buffer, requests = ToPlane(driven), bytearray(), asyncio.Queue[Mapping[str, Any]]()

    def heard() -> None:
        data = os.read(down, 1 << 20)
        if not data:
            os._exit(0)  # the driver is gone
        buffer.extend(data)
        for message in messages(buffer):
            driven.seen += 1
            driven.now = max(driven.now, message["now"])
            if "plane" in message:
                plane.answered(message)
            elif "path" in message:
                requests.put_nowait(message)

    # The time comes with the first message.
    os.set_blocking(down, False)
    loop.add_reader(down, heard)
    driven.send({"idle": None, "seen": 0})
    await requests.get()

    def clock() -> datetime:
        return NOW + timedelta(seconds=driven.now)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(scale.tick if seconds == 1 else seconds)

    async def sleep_between_renewals(seconds: float) -> None:
        await asyncio.sleep(LEASE_SECONDS / 3 if seconds == RENEWAL_SECONDS else seconds)

    client: Any = DrivenRedis.from_url(address)
    client.driven = driven
    backend = Backend(RedisStore(client, NAMESPACE), "Redis", "", (OSError, RedisError), client)
    store, config, rng = Store(backend), settings(scale), Random(seed)
    pool = WorkspacePool(
        store,
        transports=dict.fromkeys(config.workspaces, plane),
        clock=clock,
        timer=loop.time,
        chance=rng.random,
        sleep=sleep_between_renewals,
    )
    server = ServerState(clock, loop.time, sleep)
    tasks: set[asyncio.Task[None]] = set()
    async with open_app(config, pool, store, server) as app:
        web = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),  # type: ignore[arg-type]
            base_url="https://cal.example.com",
        )

        async def answer(message: Mapping[str, Any]) -> None:
            response = await web.request(
                message["method"], message["path"], headers=message["headers"], content=message["body"]
            )
            headers = dict(response.headers)
            driven.send(
                {
                    "answer": message["number"],
                    "status": response.status_code,
                    "headers": headers,
                    "body": response.content,
                }
            )

        driven.send({"started": True})
        while True:
            task = asyncio.create_task(answer(await requests.get()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def main() -> None:
    down, up, address, scale, seed = sys.argv[1:]
    plan = msgpack.decode(bytes.fromhex(scale), type=Scale)
    driven = Driven(int(up), plan.grid)
    with asyncio.Runner(loop_factory=lambda: DrivenLoop(driven)) as runner:
        runner.run(run(int(down), driven, address, plan, int(seed)))


main()
