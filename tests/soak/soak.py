"""Hours of changes, faults and restarts, and an oracle that checks every answer. Opt-in:

ICSFEED_SOAK_SECONDS=180 ICSFEED_SOAK_SEED=1 .venv/bin/pytest tests/soak/soak.py -s

Episodes of one simulated hour, with the seeds that follow, until the time is over (default 20 s, at
most 600). A seed says what changes, fails and is asked, and when; it is printed before its episode
begins. With PYTHONHASHSEED set, an episode goes the same way each time.
"""

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import httpx
import pytest
from litestar.stores.base import StorageObject

sys.path.append(str(Path(__file__).parents[1]))

from app_world import HOST, TODAY, UNLIMITED, World, events, settings
from plane import faults as f
from plane.api import create_plane
from plane.data import PlaneData
from plane.faults import Fault, Faults
from plane.sample import sample
from simulated import BACKEND, LoopClock

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import Feed
from icsfeed.demo.data import DemoProject
from icsfeed.server.build import opened
from icsfeed.store.backends import Backend, PrivateFiles
from icsfeed.store.store import Store
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

pytestmark = pytest.mark.anyio

BUDGET_SECONDS = min(600.0, float(os.environ.get("ICSFEED_SOAK_SECONDS", "20")))
SEED = int(os.environ.get("ICSFEED_SOAK_SEED") or time.time_ns() % 1_000_000)
EPISODE_SECONDS = 3_600.0
"""Simulated."""
MAX_AGE_SECONDS = 60 + 1 + 4
"""An answer is no older than the TTL of issues, the second that a view is cached, and some slack ..."""
RECOVERY_SECONDS = 300 + 120 + MAX_AGE_SECONDS
"""... once Plane has had no faults for so long: the longest backoff, and a request that still hangs."""
FEEDS = {
    "property": Feed(project="PROP"),
    "ops": Feed(project="OPS", dates="due"),
    "everything": Feed(everything=True),
    "plan": Feed(everything=True, include=("issues", "cycles", "modules")),
}

Item = tuple[str, str, date]
"""UID, the version in the summary, DTSTART."""
Part = tuple[Item | None, str, int]
"""An event: the item when it is of an issue, LAST-MODIFIED, SEQUENCE."""


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return BACKEND


class Files(PrivateFiles):
    """The same files, read without a thread: with threads, a seed would not repeat an episode."""

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        assert renew_for is None
        return self._read(Path(str(self._path_from_key(key))))

    @staticmethod
    def _read(path: Path) -> bytes | None:
        return StorageObject.from_bytes(path.read_bytes()).data if path.is_file() else None


class Oracle:
    """The history of Plane: for each project the items that a feed shows, and when it had them."""

    def __init__(self, data: PlaneData, clock: LoopClock) -> None:
        self.data, self.clock = data, clock
        self.past: dict[str, list[tuple[float, frozenset[Item]]]] = {}
        self.note()

    def note(self) -> None:
        """Record the state of Plane if it has changed."""
        for project in self.data.projects.values():
            past = self.past.setdefault(project.row["identifier"], [])
            if (now := items_of(project)) not in (state for _, state in past[-1:]):
                past.append((self.clock.timer(), now))

    def when(self, key: str, found: frozenset[Item]) -> list[tuple[float, float]]:
        """Return the periods in which the project had exactly these items."""
        past = self.past[key]
        ends = [start for start, _ in past[1:]] + [self.clock.timer()]
        return [(start, end) for (start, state), end in zip(past, ends, strict=True) if state == found]

    def key_of(self, uid: str) -> str:
        return next(
            key for key, past in self.past.items() for _, state in past for item in state if item[0] == uid
        )


def items_of(project: DemoProject) -> frozenset[Item]:
    return frozenset(
        (f"plane-issue-{row['id']}@calplanebot", version(row["name"]), date.fromisoformat(row["target_date"]))
        for row in project.shown()
        if row["target_date"]
    )


def parts_of(body: bytes) -> dict[str, Part]:
    """Read the events line by line, in a fiftieth of a parser's time."""
    found: dict[str, Part] = {}
    for block in body.decode().replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]:
        fields = dict(re.findall(r"(?m)^([A-Z-]+)(?:;[^:\r]*)?:(.*)\r$", block))
        uid = fields["UID"]
        item = None
        if uid.startswith("plane-issue-"):
            item = (uid, version(fields["SUMMARY"]), date.fromisoformat(fields["DTSTART"]))
        found[uid] = (item, fields["LAST-MODIFIED"], int(fields.get("SEQUENCE", 0)))
    return found


def version(text: str) -> str:
    found: str = re.findall(r"\bv\d+\b", text)[0]
    return found


class Reader:
    """A reader that polls a feed and checks each answer."""

    def __init__(self, feed: str, oracle: Oracle, shared: "Shared") -> None:
        self.feed, self.oracle, self.shared = feed, oracle, shared
        self.body = b""
        self.etag = self.last_modified = ""
        self.seen: dict[str, float] = {}
        self.revisions: Mapping[str, Part] = {}

    async def run(self, world: World, rng: Random) -> None:
        while True:
            await asyncio.sleep(rng.choice((0.5, 7, 20, 61, 200)) * rng.random())
            asked = self.oracle.clock.timer()
            headers = {"if_none_match": self.etag} if self.etag and rng.random() < 0.5 else {}
            self.check(await world.get(self.feed, **headers), asked)

    def check(self, answer: httpx.Response, asked: float) -> None:
        counts = self.shared.counts
        counts[f"{int(answer.status_code)}"] += 1
        if answer.status_code == 503:
            assert not self.body, "a feed that was served before is gone"
            return
        assert answer.status_code in (200, 304), answer
        assert answer.headers["etag"] == self.etag or answer.status_code == 200
        if answer.status_code == 200:
            self.body = answer.content
        self.etag = answer.headers["etag"]
        assert self.shared.bodies.setdefault(self.etag, self.body) == self.body
        self._check_items(asked)

    def _check_items(self, asked: float) -> None:
        parts = self.shared.parts(self.etag)
        found: dict[str, set[Item]] = {key: set() for key in self.keys}
        for uid, (item, _, _) in parts.items():
            if item:
                found[self.shared.key_of(uid)].add(item)
        for key, items in found.items():
            times = self.oracle.when(key, frozenset(items))
            assert times, f"{self.feed}: {key} was never like this: {self._nearest(key, items)}"
            seen = self.seen.get(key, 0.0)
            later = [start for start, end in times if start >= seen or end > seen]
            assert later, f"{self.feed}: {key} went back in time"
            self.seen[key] = max(later[0], seen)
            if asked - self.shared.troubled > RECOVERY_SECONDS:
                self.shared.counts["fresh"] += 1
                assert times[-1][1] >= asked - MAX_AGE_SECONDS, f"{key} is {asked - times[-1][1]:.0f} s old"
            self.shared.oldest = max(self.shared.oldest, asked - times[-1][1])
        self._check_revisions(parts)

    def _nearest(self, key: str, items: set[Item]) -> object:
        return min((items ^ state for _, state in self.oracle.past[key]), key=len)

    @property
    def keys(self) -> Sequence[str]:
        project = FEEDS[self.feed].project
        return [project] if project else list(self.oracle.past)

    def _check_revisions(self, parts: Mapping[str, Part]) -> None:
        for uid, (item, at, number) in parts.items():
            if uid in self.revisions:
                before, earlier, lower = self.revisions[uid]
                assert at >= earlier, f"{uid}: LAST-MODIFIED fell from {earlier} to {at}"
                assert number >= lower, f"{uid}: SEQUENCE fell"
                assert item == before or at > earlier, f"{uid} changed at the same LAST-MODIFIED"
        self.revisions = parts


class Shared:
    """What all readers of an episode share."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.troubled = 0.0
        self.oldest = 0.0
        self._keys: dict[str, str] = {}
        self._parts: dict[str, Mapping[str, Part]] = {}
        self.oracle: Oracle | None = None

    def parts(self, etag: str) -> Mapping[str, Part]:
        """Return the events of a body by UID. Every fiftieth body is also read by icalendar."""
        if etag not in self._parts:
            self._parts[etag] = parts_of(self.bodies[etag])
            if len(self._parts) % 50 == 1:
                assert set(events(self.bodies[etag])) == set(self._parts[etag])
        return self._parts[etag]

    def key_of(self, uid: str) -> str:
        if uid not in self._keys and self.oracle:
            self._keys[uid] = self.oracle.key_of(uid)
        return self._keys[uid]


async def changing(data: PlaneData, oracle: Oracle, counts: Counter[str], rng: Random) -> None:
    while True:
        await asyncio.sleep(rng.choice((0, 1, 10, 60)) * rng.random())
        counts["changes"] += 1
        change(data, rng.choice(list(data.projects.values())), counts["changes"] + 1_000, rng)
        oracle.note()


def change(data: PlaneData, project: DemoProject, number: int, rng: Random) -> None:
    issues, due = project.shown(), TODAY + timedelta(days=rng.randrange(-30, 200))
    fields = {"name": f"Thing v{number}", "target_date": due.isoformat()}
    issue = rng.choice(issues)["id"] if issues else ""
    match rng.randrange(10) if issue else 0:
        case 0 | 1:
            data.create_issue(project.row["id"], {**fields, "state": rng.choice(list(project.states))})
        case 2 | 3:
            data.patch_issue(issue, {"name": fields["name"]})
        case 4:
            data.patch_issue(issue, {"target_date": rng.choice((None, fields["target_date"]))})
        case 5:
            data.patch_issue(issue, {"state": rng.choice(list(project.states)), "priority": "high"})
        case 6:
            data.delete_issue(issue)
        case 7:
            data.archive_issue(issue)
        case 8 if project.cycles:
            data.add_to(rng.choice([*project.cycles, *project.modules]), [issue])
        case _:
            label = rng.choice(list(project.labels.values()))
            data.edit(label, name=f"label {number}")


def trouble(rng: Random) -> Fault:
    return rng.choice(
        [
            f.server_error(),
            f.bad_gateway(),
            f.wrong_type(),
            f.throttled(rng.choice((1, 30, 120))),
            f.redirected(),
            f.delayed(rng.choice((0.3, 3, 40, 1e6))),
            f.cut_off(),
            f.refused(),
            f.raising(httpx.ConnectError("refused")),
            f.raising(httpx.ReadTimeout("")),
            f.repeated(),
            f.answering(404, b'{"error": "The requested resource does not exist."}'),
        ]
    )


async def failing(faults: Faults, shared: Shared, clock: LoopClock, rng: Random) -> None:
    where = ("", "", "projects/\\?", "(work-items)/", "members", "cycles", "order_by=created_at", "states")
    while True:
        await asyncio.sleep(1_500 * rng.random())
        shared.counts["faults"] += 1
        faults.add(rng.choice(where), trouble(rng), times=rng.choice((1, 3, 20, None)))
        end = clock.timer() + 600 * rng.random()
        while clock.timer() < end:
            shared.troubled = clock.timer()
            await asyncio.sleep(10)
        shared.troubled = clock.timer()
        faults.clear()


@asynccontextmanager
async def server(data: PlaneData, faults: Faults, clock: LoopClock, folder: Path) -> AsyncIterator[World]:
    """Run the service, over the files that the previous run has left."""
    config = settings(FEEDS)
    plane = create_plane(data, clock, faults=faults, limits=UNLIMITED)
    store = Store(Backend(Files(folder), "files"))
    transports = {"demo": httpx.ASGITransport(plane)}  # type: ignore[arg-type]
    async with opened(config, transports=transports, store=store, clock=clock, timer=clock.timer) as service:
        world = World(
            service, create_app(service, ServerState(clock, clock.timer)), data, faults, clock, HOST
        )
        watch = asyncio.create_task(BackgroundRefresh(world.workspace, config.cache, clock.timer).run())
        async with world.client:
            yield world
        await ended([watch])


async def ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Stop the tasks; raise what one of them has raised."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def episode(seed: int, folder: Path) -> Shared:
    rng, clock, shared = Random(seed), LoopClock(), Shared()
    data = sample(TODAY, clock=clock)
    data.new_id = lambda: str(UUID(int=rng.getrandbits(128)))
    for number, issue in enumerate([i for p in data.projects.values() for i in p.issues.values()]):
        issue["name"] = f"Thing v{number}"
    oracle, faults = Oracle(data, clock), Faults()
    shared.oracle = oracle
    readers = [Reader(feed, oracle, shared) for feed in FEEDS for _ in range(2)]
    end = clock.timer() + EPISODE_SECONDS
    background = [
        asyncio.create_task(changing(data, oracle, shared.counts, Random(seed + 0.1))),
        asyncio.create_task(failing(faults, shared, clock, Random(seed + 0.2))),
    ]
    while clock.timer() < end:
        async with server(data, faults, clock, folder) as world:
            reading = [asyncio.create_task(reader.run(world, Random(rng.random()))) for reader in readers]
            await asyncio.wait(
                [*reading, *background], timeout=1_800 * rng.random(), return_when="FIRST_COMPLETED"
            )
            await ended(reading)
        shared.counts["lives"] += 1
        if any(task.done() for task in background):
            break
    await ended(background)
    shared.counts["requests"] = faults.count()
    assert min(shared.counts[name] for name in ("200", "304", "changes", "faults", "fresh")) > 0
    return shared


async def test_every_answer_is_a_past_state_of_plane(tmp_path: Path) -> None:
    started, total, seed = time.monotonic(), Counter[str](), SEED
    while seed == SEED or time.monotonic() - started < BUDGET_SECONDS:
        print(f"soak: seed {seed}", end=" ", flush=True)  # noqa: T201
        shared = await episode(seed, tmp_path / str(seed))
        print(dict(shared.counts), f"oldest {shared.oldest:.0f} s")  # noqa: T201
        total += shared.counts
        seed += 1
    print(f"soak: {seed - SEED} episodes", dict(total))  # noqa: T201
