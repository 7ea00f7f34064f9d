"""Replicas as processes in simulated time, with a real Redis and one Plane, and what is seen of them.

Time goes on when every replica has nothing to do. What happens at the same time really happens at the same
time: the processes race for Redis. A replica that is killed is killed by the kernel, in the middle of
whatever it does.
"""

import heapq
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fcntl import F_SETPIPE_SZ, fcntl
from hashlib import sha256
from itertools import count
from math import ceil
from pathlib import Path
from random import Random
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import redis
from app_world import NOW
from fleet_world import Scale, plane_data
from msgspec import msgpack

from icsfeed.demo.access import KeyLimits
from icsfeed.demo.api import PlaneServer
from icsfeed.demo.editions import COMMUNITY
from icsfeed.demo.routes import ROUTES
from icsfeed.demo.wire import PlaneRequest
from icsfeed.store.backends import NAMESPACE

EXPIRIES = "simulation:expiries"
EXCUSED_SECONDS = 30.0
READY_SECONDS = 5.0
"""Between two questions whether a replica is ready."""
PIPE_BYTES = 1 << 20
HUNG_SECONDS = 300.0
"""Real time after which a replica that neither works nor waits is a fault."""

Answered = Callable[[Mapping[str, Any] | None], None]
"""Takes an answer; None: the replica was killed before it."""


class Replica:
    """A process. It is idle `until` a time, by its own account of the `sent` messages."""

    def __init__(self, name: str, address: str, scale: Scale, seed: int, log: Path) -> None:
        self.name = name
        down, self.down = os.pipe()
        self.up, up = os.pipe()
        command = [sys.executable, str(Path(__file__).with_name("fleet_replica.py")), str(down), str(up)]
        command += [address, msgpack.encode(scale).hex(), str(seed)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, pass_fds=(down, up), stdout=output, stderr=output)
        for end, file in ((down, self.down), (up, self.up)):
            os.close(end)
            fcntl(file, F_SETPIPE_SZ, PIPE_BYTES)  # a replica that is stopped reads nothing
        self.is_ready = self.is_idle = self.is_paused = False
        self.until: float | None = None
        self.sent = 0
        self.waiting: dict[int, Answered] = {}
        self.buffer = bytearray()

    def send(self, message: Mapping[str, object]) -> None:
        self.sent += 1
        self.is_idle = False
        data = msgpack.encode(message)
        data = struct.pack("!I", len(data)) + data
        while data:
            data = data[os.write(self.down, data) :]

    def close(self) -> None:
        os.close(self.down)
        os.close(self.up)


class Fleet:
    """Replicas, their Redis and their Plane. `at` plans what is done at a simulated time."""

    def __init__(self, scale: Scale, address: str, folder: Path, seed: int) -> None:
        self.scale, self.address, self.folder = scale, address, folder
        self.now = 0.0
        self.rng = Random(seed)
        self.data = plane_data(scale, self.clock)
        self.plane = PlaneServer(self.data, self.clock, ROUTES, KeyLimits(), COMMUNITY)
        self.redis: Any = redis.Redis.from_url(address)
        self.replicas: dict[str, Replica] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        """By replica and key."""
        self.refused = 0
        self.clashes: list[str] = []
        self.excused_until = 0.0
        """Until when two may read with one key: Redis has lost the leases, or a stopped replica goes on."""
        self.takeovers: list[float] = []
        self._holders: dict[bytes | None, Replica] = {}
        self._orphans: dict[str, tuple[float, bytes]] = {}
        self._in_flight: defaultdict[str, set[tuple[Replica, int]]] = defaultdict(set)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._selector = DefaultSelector()

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.now)

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Plan what is done then, or at the next step of time."""
        seconds = ceil(seconds / self.scale.grid) * self.scale.grid
        heapq.heappush(self._events, (seconds, next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(self.now + seconds, do)

    # --- replicas

    def start(self, name: str) -> None:
        log = self.folder / f"{name}.log"
        replica = Replica(name, self.address, self.scale, self.rng.randrange(1 << 30), log)
        self.replicas[name] = replica
        self._selector.register(replica.up, EVENT_READ, replica)
        replica.send({"now": self.now, "path": "the time"})

    def _ask_until_ready(self, replica: Replica) -> None:
        """Let a replica take requests once it says that it is ready, as a load balancer would."""

        def answered(answer: Mapping[str, Any] | None) -> None:
            if answer is not None and answer["status"] == 200:
                replica.is_ready = True
            elif answer is not None:
                self.after(READY_SECONDS, lambda: self._ask_until_ready(replica))

        if self.replicas.get(replica.name) is replica:
            self.ask(replica.name, "/health/ready", {}, answered)

    def kill(self, name: str) -> None:
        """Kill a replica, wherever it is in what it does."""
        replica = self.replicas.pop(name)
        time.sleep(self.rng.random() * 0.003)
        replica.process.kill()
        self._left(replica)

    def stop(self, name: str) -> None:
        """End a replica as a service manager would. It gets the time that it needs."""
        self.replicas[name].process.terminate()

    def _left(self, replica: Replica) -> None:
        replica.process.wait()
        self._selector.unregister(replica.up)
        replica.close()
        for key in self._in_flight:
            self._in_flight[key] = {each for each in self._in_flight[key] if each[0] is not replica}
            holder = self.redis.get(lease_of(key))
            if self._holders.get(holder) is replica:
                self._orphans[key] = (self.now, holder)
        for answered in tuple(replica.waiting.values()):
            answered(None)

    def pause(self, name: str) -> None:
        """Stop the process: it holds what it holds, and does nothing."""
        replica = self.replicas[name]
        replica.process.send_signal(signal.SIGSTOP)
        replica.is_paused = True

    def resume(self, name: str) -> None:
        if (replica := self.replicas.get(name)) is not None and replica.is_paused:
            replica.process.send_signal(signal.SIGCONT)
            replica.is_paused = False
            self.excused_until = self.now + EXCUSED_SECONDS
            replica.send({"now": self.now})

    def serving(self) -> Sequence[str]:
        """Return the replicas that take requests."""
        return sorted(n for n, each in self.replicas.items() if each.is_ready and not each.is_paused)

    def ask(self, name: str, path: str, headers: Mapping[str, str], answered: Answered) -> None:
        """Send a request to a replica."""
        replica, number = self.replicas[name], next(self._numbers)
        replica.waiting[number] = answered
        message = {"now": self.now, "number": number, "method": "GET", "path": path}
        replica.send({**message, "headers": dict(headers), "body": b""})

    # --- Redis

    def dump(self) -> dict[bytes, bytes]:
        """Return what Redis holds, as a copy on disk would: without what is about to expire."""
        keys = [
            key for key in self.redis.keys(f"{NAMESPACE}:*") if b":lock:" not in key and b":lease:" not in key
        ]
        return {key: self.redis.dump(key) for key in keys}

    def put_back(self, dumped: Mapping[bytes, bytes]) -> None:
        """Let Redis hold what it held before, as after a failover or from a copy; nothing: all is lost."""
        self.redis.flushall()
        for key, value in dumped.items():
            self.redis.restore(key, 0, value, replace=True)  # the replicas write meanwhile
        self.excused_until = self.now + EXCUSED_SECONDS

    # --- time

    def run(self, until: float) -> None:
        """Let time go on."""
        while True:
            self._settle()
            moments = [
                each.until for each in self.replicas.values() if each.until is not None and not each.is_paused
            ]
            moments += [self._events[0][0]] if self._events else []
            if min(moments, default=until) >= until:
                self.now = until
                return
            self.now = max(self.now, min(moments))
            self._expire()
            self._note_takeovers()
            for replica in self.replicas.values():
                if replica.until is not None and replica.until <= self.now and not replica.is_paused:
                    replica.send({"now": self.now})
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def _expire(self) -> None:
        """Remove from Redis what has expired by now."""
        for member in self.redis.zrangebyscore(EXPIRIES, "-inf", self.now):
            key, _, value = member.partition(b"\0")
            if self.redis.get(key) == value:
                self.redis.delete(key)
            self.redis.zrem(EXPIRIES, member)

    def _note_takeovers(self) -> None:
        for key, (killed_at, before) in tuple(self._orphans.items()):
            if (holder := self.redis.get(lease_of(key))) is not None and holder != before:
                self.takeovers.append(self.now - killed_at)
                del self._orphans[key]

    def _settle(self) -> None:
        """Wait until every replica has nothing to do."""
        until = time.monotonic() + HUNG_SECONDS
        while not all(each.is_idle or each.is_paused for each in self.replicas.values()):
            for selected, _ in self._selector.select(1):
                self._read(selected.data)
            if time.monotonic() > until:
                busy = [each.name for each in self.replicas.values() if not each.is_idle]
                raise RuntimeError(f"{busy} neither work nor wait")

    def _read(self, replica: Replica) -> None:
        data = os.read(replica.up, 1 << 20)
        if not data:
            if self.replicas.get(replica.name) is replica:
                del self.replicas[replica.name]
            self._left(replica)
            return
        buffer = replica.buffer
        buffer.extend(data)
        while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack("!I", buffer[:4])[0]):
            message = msgpack.decode(bytes(buffer[4 : 4 + size]))
            del buffer[: 4 + size]
            self._heard(replica, message)

    def _heard(self, replica: Replica, message: Mapping[str, Any]) -> None:
        if "idle" in message:
            replica.until = message["idle"]
            replica.is_idle = message["seen"] == replica.sent
        elif "plane" in message:
            self._to_plane(replica, message)
        elif "answer" in message:
            replica.waiting.pop(message["answer"])(message)
        else:
            self._ask_until_ready(replica)

    # --- Plane

    def _to_plane(self, replica: Replica, message: Mapping[str, Any]) -> None:
        key = message["headers"].get("x-api-key", "")
        others = {other.name for other, _ in self._in_flight[key]} - {replica.name}
        if others and self.now > self.excused_until:
            self.clashes.append(f"{self.now:.0f} s: {replica.name} reads with a key, as {others} does")
        request_id = (replica, message["plane"])
        self._in_flight[key].add(request_id)
        self.requests[replica.name, key] += 1
        self._holders[self.redis.get(lease_of(key))] = replica
        request = PlaneRequest(message["method"], message["path"], message["query"], message["headers"], b"")
        response = asyncio_result(self.plane(request))
        self.refused += response.status == 429

        def answer() -> None:
            self._in_flight[key].discard(request_id)
            if self.replicas.get(replica.name) is replica:
                replica.send(
                    {
                        "now": self.now,
                        "plane": message["plane"],
                        "status": response.status,
                        "headers": response.headers,
                        "body": response.body,
                    }
                )

        self.after(self.scale.grid, answer)

    def close(self) -> None:
        for replica in self.replicas.values():
            replica.process.kill()
            replica.process.wait()
            replica.close()
        self._selector.close()
        self.redis.close()


def lease_of(key: str) -> str:
    """Return where Redis has the lease of this API key."""
    return f"{NAMESPACE}:lease:{sha256(key.encode()).hexdigest()[:16]}"


def asyncio_result(work: Any) -> Any:
    """Return the result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it waits")
