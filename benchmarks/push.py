"""Requests and seconds of a push, compared with vdirsyncer with the same items and the same server."""
# ruff: noqa: T201 - printing is what it is for

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct, to_builtins

from icsfeed.config.schema import Auto, Config, Feed, PushTarget, Secret
from icsfeed.dav.names import object_name
from icsfeed.demo.access import KeyLimits
from icsfeed.demo.sample import FILLED
from icsfeed.demo.settings import demo_config
from icsfeed.push.object import write_object
from icsfeed.push.plan import desired_objects
from icsfeed.push.run import PushContext, push
from icsfeed.server.build import opened
from icsfeed.store.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from plane.api import create_plane
from plane.data import PlaneData
from plane.sample import sample

USER, PASSWORD = "alice", "wonderland"
DAY = datetime(2026, 11, 23, 10, tzinfo=UTC)
CHANGED = 10
STALE_SECONDS = 61.0
"""After which issues are read again."""


class Cost(Struct, frozen=True):
    """A run. `requests` are counted by a proxy, for both programs alike."""

    requests: int
    seconds: float


class Results(Struct, frozen=True):
    """The number of items, and the cost of each run by program and case."""

    items: int
    costs: Mapping[str, Mapping[str, Cost]]


class Clock:
    """The real time, plus what `leap` adds instead of waiting."""

    def __init__(self) -> None:
        self.leapt = 0.0

    def timer(self) -> float:
        return time.monotonic() + self.leapt

    def __call__(self) -> datetime:
        return DAY + timedelta(seconds=self.timer())

    def leap(self, seconds: float) -> None:
        self.leapt += seconds


class Way:
    """A proxy that counts connections: Radicale answers one request on each."""

    def __init__(self, port: int) -> None:
        self.requests = 0
        self._port = port

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward a connection."""
        self.requests += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(_pour(reader, back), _pour(there, writer), return_exceptions=True)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65_536):
            sink.write(piece)
            await sink.drain()
    finally:
        sink.close()


@asynccontextmanager
async def radicale(folder: Path) -> AsyncIterator[tuple[str, Way]]:
    """Run Radicale with two empty calendars behind the counting proxy; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\n"
        f"htpasswd_encryption = plain\n[storage]\nfilesystem_folder = {folder}/collections\n"
        "[logging]\nlevel = error\n",
        encoding="utf-8",
    )
    command, quiet = (
        (sys.executable, "-m", "radicale", "-C", str(folder / "config")),
        asyncio.subprocess.DEVNULL,
    )
    server = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    way = Way(port)
    try:
        await _make_calendars(f"http://127.0.0.1:{port}/{USER}/")
        async with await asyncio.start_server(way.carry, "127.0.0.1", 0) as listening:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/{USER}/", way
    finally:
        server.kill()
        await server.wait()


async def _make_calendars(url: str) -> None:
    async with httpx.AsyncClient(auth=(USER, PASSWORD)) as client:
        for _ in range(200):
            try:
                made = [await client.request("MKCALENDAR", f"{url}{name}/") for name in ("ours", "theirs")]
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                if all(one.status_code == httpx.codes.CREATED for one in made):
                    return
    raise SystemExit("Radicale does not start, or makes no calendars")


def dated(items: int) -> PlaneData:
    """Return the demo's sample with so many issues in one project, all with due dates."""
    data = sample(DAY.date(), issues=items)
    for row in filled(data):
        row["target_date"] = row["target_date"] or "2026-12-01"
    return data


def filled(data: PlaneData) -> list[dict[str, Any]]:
    """Return the issues of that project."""
    projects = data.projects.values()
    return list(next(project for project in projects if project.row["identifier"] == FILLED).issues.values())


def settings(url: str) -> Config:
    """Return a configuration with a feed of that project, pushed to `ours`."""
    target = PushTarget(feed="feed", url=f"{url}ours/", username=USER, password=Secret(PASSWORD))
    base = demo_config()
    return Config(
        workspaces=base.workspaces,
        secret=base.secret,
        feeds={"feed": Feed(project=FILLED)},
        auto=Auto(),
        push={"target": target},
    )


class Rig:
    """Both programs over one server."""

    def __init__(self, folder: Path, url: str, way: Way, data: PlaneData) -> None:
        self.folder, self.url, self.way, self.data = folder, url, way, data
        self.clock = Clock()

    async def cost(self, work: Callable[[], Any]) -> Cost:
        """Return the cost of a run."""
        requests, start = self.way.requests, time.perf_counter()
        await work()
        seconds = time.perf_counter() - start
        await asyncio.sleep(0.1)
        return Cost(self.way.requests - requests, round(seconds, 2))

    async def vdirsyncer(self, *arguments: str) -> None:
        """Run vdirsyncer to its end."""
        command = (sys.executable, "-m", "vdirsyncer", "-c", str(self.folder / "vdirsyncer.conf"), *arguments)
        environment = {**os.environ, "HOME": str(self.folder)}
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=quiet, stderr=quiet)
        if await process.wait():
            raise SystemExit(f"vdirsyncer {' '.join(arguments)} failed")

    def configure_vdirsyncer(self) -> None:
        """Return its configuration: from a folder of files to the calendar `theirs`."""
        (self.folder / "files").mkdir()
        (self.folder / "vdirsyncer.conf").write_text(
            f'[general]\nstatus_path = "{self.folder}/status/"\n'
            '[pair plane]\na = "here"\nb = "there"\ncollections = null\n'
            f'[storage here]\ntype = "filesystem"\npath = "{self.folder}/files"\nfileext = ".ics"\n'
            f'[storage there]\ntype = "caldav"\nurl = "{self.url}theirs/"\n'
            f'username = "{USER}"\npassword = "{PASSWORD}"\n',
            encoding="utf-8",
        )

    def change(self) -> None:
        """Rename a few issues."""
        for row in filled(self.data)[:CHANGED]:
            self.data.patch_issue(row["id"], {"name": f"Changed: {row['name']}"})
        self.clock.leap(STALE_SECONDS)


async def measure(items: int) -> Results:
    """Measure each case, first with icsfeed, then with vdirsyncer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with radicale(folder) as (url, way):
            return await _measure_cases(Rig(folder, url, way, dated(items)))


async def _measure_cases(rig: Rig) -> Results:
    plane = create_plane(rig.data, rig.clock, limits=KeyLimits(person=1_000_000))
    transport = httpx.ASGITransport(plane)  # type: ignore[arg-type]
    config, clock, store = settings(rig.url), rig.clock, open_store("memory", {})
    world = PushContext(lambda: rig.folder / "locks", store, clock, clock.timer)
    costs: dict[str, dict[str, Cost]] = {"icsfeed": {}, "vdirsyncer": {}}
    rig.configure_vdirsyncer()
    async with opened(config, transports={"demo": transport}, clock=clock, timer=clock.timer) as service:

        async def ours() -> None:
            report = await push("target", service, world)
            if not report.is_good:
                raise SystemExit(f"the push failed: {report.problems}")

        async def files() -> int:
            wanted = desired_objects((await service.calendar("feed")).components, "feed")
            for uid, item in wanted.items():
                path, data = rig.folder / "files" / object_name(uid), write_object(item.component, "feed")
                if not path.exists() or path.read_bytes() != data:
                    path.write_bytes(data)
            return len(wanted)

        count = await files()
        for case in ("first", "unchanged", f"changed_{CHANGED}"):
            if case.startswith("changed"):
                rig.change()
                await files()
            costs["icsfeed"][case] = await rig.cost(ours)
            if case == "first":
                await rig.vdirsyncer("discover", "plane")
            costs["vdirsyncer"][case] = await rig.cost(lambda: rig.vdirsyncer("sync", "plane"))
    return Results(count, costs)


def table(results: Results) -> str:
    """Return a table with a row for each program and case."""
    rows = [f"{results.items} items      case        requests  seconds"]
    for program, cases in results.costs.items():
        rows += [
            f"{program:<14}  {case:<10}  {cost.requests:>8}  {cost.seconds:>7.2f}"
            for case, cost in cases.items()
        ]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000, help="objects of the calendar (1000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args(arguments)
    results = asyncio.run(measure(given.items))
    if given.json:
        print(json.dumps(to_builtins(results)))
        return
    print(f"Pushing to Radicale on this machine ({CHANGED} items changed at last)\n")
    print(table(results))


if __name__ == "__main__":
    main()
