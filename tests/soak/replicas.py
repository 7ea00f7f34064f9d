"""Three servers over one Redis and one Plane, a history of what they answer, and what goes wrong meanwhile.

Redis is real, and so are its delays. The time of the servers and of Plane goes twenty times faster, in steps
that the loop makes: where the machine is busy, it stands still.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from hashlib import sha256
from itertools import count
from random import Random
from typing import NamedTuple
from uuid import UUID

import httpx
from app_world import HOST, TODAY, Clock, World, settings
from history import Answer, History, Read, Request
from msgspec.structs import replace
from plane.api import create_plane
from plane.faults import Faults
from plane.sample import sample
from redis.asyncio import Redis
from redis_world import RedisServer
from soak import Oracle, change, parts_of

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cache.persistence import LOCK_SECONDS
from icsfeed.config.schema import Cache, Duration, Feed
from icsfeed.demo.access import KeyLimits
from icsfeed.plane.webhook import read
from icsfeed.server.build import opened
from icsfeed.store.backends import NAMESPACE, backend_of
from icsfeed.store.store import Store
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

SPEED, STEP = 20.0, 0.01
"""Seconds of the servers in one of ours; and how often their clock moves."""
TTL = 20
BOUND = TTL + 1 + 5 + LOCK_SECONDS + 4
"""A copy's TTL, the second that a view is reused, `cache.deadline`, the lock of one that died, and a read."""
FEEDS = {
    "property": Feed(project="PROP"),
    "everything": Feed(everything=True, include=("issues", "cycles")),
}
CACHE = Cache(issues=Duration(TTL), webhook_ttl=Duration(TTL))
# The deadline is waited for in our seconds.
CONFIG = settings(FEEDS, cache=replace(CACHE, deadline=CACHE.deadline / SPEED))

OpenStore = Callable[[str], Store]


class Line:
    """A replica's connection to Redis, to be cut. `address`: for its `store:`."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if self.is_cut:
                writer.transport.abort()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.redis.port)
            self._writers |= {writer, back}
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
            self._writers -= {writer, back}

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()


class LockedStore(Store):
    """A store that says which locks it holds: those of a server that was killed expire by its time."""

    def __init__(self, address: str) -> None:
        super().__init__(backend_of(address, {}), retry=0.05)
        self.held: Counter[str] = Counter()

    @asynccontextmanager
    async def lock(self, name: str, seconds: float, wait: float = 0.0) -> AsyncIterator[bool]:
        async with super().lock(name, seconds, wait) as held:
            is_shared = held and self.healthy
            self.held[name] += is_shared
            try:
                yield held
            finally:
                self.held[name] -= is_shared


class Replica:
    """One server, which can be killed and started again. `life` counts its starts."""

    def __init__(self, name: str, world: "Replicas", open_store: OpenStore) -> None:
        self.name, self.life = name, 0
        self.line = Line(world.redis)
        self.running: World | None = None
        self.watch: BackgroundRefresh | None = None
        self._world, self._open_store = world, open_store
        self._stack = AsyncExitStack()
        self._answers: dict[str, Answer] = {}
        self.store: Store | None = None

    def holds(self, name: str) -> bool:
        return isinstance(self.store, LockedStore) and self.store.held[name] > 0

    async def start(self) -> None:
        self.life += 1
        self._answers = {}
        world, self.line = self._world, Line(self._world.redis)
        self.store = store = self._open_store(await self.line.open())
        transport = Seen(self, world)
        options = {"transports": {"demo": transport}, "clock": world.clock, "timer": world.clock.timer}
        options["sleep"] = lambda seconds: asyncio.sleep(seconds / SPEED)
        service = await self._stack.enter_async_context(opened(CONFIG, store=store, **options))  # type: ignore[arg-type]
        app = create_app(service, ServerState(world.clock, world.clock.timer))
        running = World(service, app, world.data, world.faults, world.clock, HOST)
        await self._stack.enter_async_context(running.client)
        self.watch = BackgroundRefresh(
            running.workspace, CONFIG.cache, world.clock.timer, lambda seconds: asyncio.sleep(seconds / SPEED)
        )
        self.watch.start()
        self.running = running

    async def kill(self) -> None:
        """End it without its saving anything or releasing a lock."""
        locks = list(+self.store.held) if isinstance(self.store, LockedStore) else []
        held = [f"{NAMESPACE}:lock:{name}" for name in locks]
        lease = self.running.workspace.lease if self.running is not None else None
        if lease is not None and lease.is_held:
            held.append(lease.keys[0])
        self.running = None
        await self.line.close()
        if self.watch is not None:
            await self.watch.stop()
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        if held:
            self._world.expire_later(held)

    async def ask(self, feed: str, rng: Random) -> None:
        """Ask for a feed, and note the answer."""
        running, clock, life = self.running, self._world.clock, self.life
        if running is None:
            return
        asked, order, before = clock.timer(), next(self._world.order), self._answers.get(feed)
        headers = {"if_none_match": before.etag} if before and rng.random() < 0.3 else {}
        try:
            response = await running.get(feed, **headers)
        except Exception:
            if self.life == life and self.running is running:
                raise
            return  # it was killed meanwhile
        if self.running is not running:
            return
        orders = order, next(self._world.order)
        answer = Answer(self.name, life, feed, asked, clock.timer(), orders, response.status_code)
        if response.status_code in (200, 304):
            etag, modified = response.headers["etag"], response.headers["last-modified"]
            answer = answer._replace(etag=etag, last_modified=modified)
        if response.status_code == 200:
            contents = contents_of(response.text)
            parts = {uid: (*part, contents[uid][0]) for uid, part in parts_of(response.content).items()}
            repeated = tuple(uid for uid, found in contents.items() if len(found) > 1)
            answer = answer._replace(parts=parts, repeated=repeated)
        elif response.status_code == 304 and before is not None:
            answer = answer._replace(parts=before.parts)
        self._world.answers.append(answer)
        if answer.parts:
            self._answers[feed] = answer


def contents_of(body: str) -> dict[str, list[str]]:
    """Return digests of the events by UID, of all but their revisions."""
    found: dict[str, list[str]] = {}
    for block in body.replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]:
        lines = block.partition("END:VEVENT")[0].split("\r\n")
        uid = next(line.removeprefix("UID:") for line in lines if line.startswith("UID:"))
        rest = [line for line in lines if not line.startswith(("LAST-MODIFIED", "SEQUENCE", "DTSTAMP"))]
        found.setdefault(uid, []).append(sha256("\n".join(rest).encode()).hexdigest()[:8])
    return found


class Seen(httpx.AsyncBaseTransport):
    """The way of one replica to Plane: slow, and noted."""

    def __init__(self, replica: Replica, world: "Replicas") -> None:
        self._replica, self._world = replica, world
        self._plane = httpx.ASGITransport(world.plane)  # type: ignore[arg-type]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        replica, world, sent = self._replica, self._world, self._world.clock.timer()
        found = re.search(r"/projects/([^/]+)/(?:work-items|issues)/$", request.url.path)
        is_locked = found is not None and replica.holds(f"demo/{found[1]}")
        await asyncio.sleep(world.rng.choice((0, 0.002, 0.02)))
        response = await self._plane.handle_async_request(request)
        await asyncio.sleep(world.rng.choice((0, 0.002, 0.02)))
        wait = float(response.headers.get("retry-after", 0)) if response.status_code == 429 else None
        world.requests.append(Request(replica.name, replica.life, sent, world.clock.timer(), wait))
        if found:
            world.reads.append(Read(replica.name, found[1], sent, world.clock.timer(), is_locked))
        return response


class Chances(NamedTuple):
    """Seconds of ours between two of a kind, on the average."""

    change: float = 0.04
    kill: float = 1.2
    cut: float = 2.5
    pause: float = 2.0


class Replicas:
    """The world: a Plane whose history is known, servers, readers, and what disturbs them."""

    def __init__(self, redis: RedisServer, seed: int, open_store: OpenStore = LockedStore) -> None:
        self.redis, self.rng, self.clock, self.faults = redis, Random(seed), Clock(), Faults()
        self.data = data = sample(TODAY, clock=self.clock)
        data.new_id = lambda: str(UUID(int=self.rng.getrandbits(128)))
        for number, issue in enumerate([i for p in data.projects.values() for i in p.issues.values()]):
            issue["name"] = f"Thing v{number}"
        self.oracle = Oracle(data, self.clock)  # type: ignore[arg-type]
        self.plane = create_plane(
            data, self.clock, faults=self.faults, limits=KeyLimits(person=120)
        )  # so that no copy waits for the budget
        self.answers: list[Answer] = []
        self.reads: list[Read] = []
        self.requests: list[Request] = []
        self.order = count()
        self.counts: Counter[str] = Counter()
        self.troubled: list[tuple[float, float]] = []
        self.replicas = [Replica(name, self, open_store) for name in "abc"]
        self._expiring: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float, chances: Chances = Chances()) -> History:  # noqa: B008 - a constant
        """Let all happen for so many seconds of ours, and return what was seen."""
        for replica in self.replicas:
            await replica.start()
        tasks = [asyncio.create_task(self._pass_time())]
        tasks += [asyncio.create_task(self._read(replica)) for replica in self.replicas for _ in range(2)]
        happens = [(self._change, chances.change), (self._kill, chances.kill)]
        happens += [(self._cut, chances.cut), (self._pause, chances.pause)]
        tasks += [asyncio.create_task(self._repeat(*each)) for each in happens]
        await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_EXCEPTION")
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for replica in self.replicas:
            await replica.kill()
        ended += await asyncio.gather(*self._expiring, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return self._history()

    def _history(self) -> History:
        keys = [project.row["identifier"] for project in self.data.projects.values()]
        feeds = {name: [feed.project] if feed.project else keys for name, feed in FEEDS.items()}
        seen = self.answers, self.reads, self.requests
        return History(self.oracle.past, feeds, *seen, self.troubled, BOUND, self.clock.timer())

    def expire_later(self, keys: list[str]) -> None:
        """Let locks and leases expire that a killed server held: Redis would count by our time."""

        async def expire() -> None:
            async with Redis(port=self.redis.port, socket_timeout=10) as client:
                before = {key: await client.get(key) for key in keys}
                await asyncio.sleep(LOCK_SECONDS / SPEED)
                for key, holder in before.items():
                    # Not one that another took because it was released at the last moment.
                    is_old = await client.pttl(key) <= 1_000 * LOCK_SECONDS * (1 - 1 / SPEED)
                    if is_old and await client.get(key) == holder:
                        await client.delete(key)

        task = asyncio.create_task(expire())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _pass_time(self) -> None:
        while True:
            await asyncio.sleep(STEP)
            self.clock.move(STEP * SPEED)

    async def _read(self, replica: Replica) -> None:
        while True:
            await asyncio.sleep(self.rng.choice((0, 0.02, 0.1)))
            await replica.ask(self.rng.choice(list(FEEDS)), self.rng)

    async def _repeat(self, happen: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await asyncio.sleep(2 * seconds * self.rng.random())
            self.counts[happen.__name__.strip("_")] += 1
            await happen()

    async def _change(self) -> None:
        project = self.rng.choice(list(self.data.projects.values()))
        if len(project.shown()) > 5 or self.rng.random() < 0.2:
            change(self.data, project, self.counts["change"] + 1_000, self.rng)
        self.oracle.note()
        watch = self.rng.choice(self.replicas).watch
        if self.rng.random() < 0.3 and watch is not None:
            body = {"event": "issue", "action": "updated", "data": {"project": project.row["id"], "id": "x"}}
            watch.touch(read(json.dumps(body).encode()))

    async def _kill(self) -> None:
        replica = self.rng.choice(self.replicas)
        await replica.kill()
        await asyncio.sleep(self.rng.choice((0, 0.3)))
        await replica.start()

    async def _cut(self) -> None:
        """A replica loses Redis for a while."""
        line, start = self.rng.choice(self.replicas).line, self.clock.timer()
        line.cut()
        await asyncio.sleep(self.rng.random())
        line.is_cut = False
        await self._recovered(start)

    async def _pause(self) -> None:
        """Redis does not answer for a moment."""
        start = self.clock.timer()
        self.redis.pause()
        try:
            await asyncio.sleep(0.3 * self.rng.random())
        finally:
            self.redis.resume()
        self.troubled.append((start, self.clock.timer()))

    async def _recovered(self, start: float) -> None:
        stores = [replica.store for replica in self.replicas]
        while not all(store is None or store.healthy for store in stores):  # noqa: ASYNC110 - a property
            await asyncio.sleep(STEP)
        self.troubled.append((start, self.clock.timer()))
