"""How a flood of wrong links affects readers with good ones: their latency without it and during it.

Each connection of a flood sends wrong links as fast as they are answered. Everything runs on this
machine's loopback.
"""
# ruff: noqa: T201 - printing is what it is for

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from msgspec import Struct, to_builtins

FLOODS = (16, 500)
"""Connections that send wrong links."""


class Phase(Struct, frozen=True):
    """Latency of good readers in milliseconds, their answers by status, and the wrong links meanwhile."""

    median_ms: float
    p99_ms: float
    good: dict[int, int]
    wrong: dict[int, int]
    wrong_per_second: float


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    """Send a GET on an open connection and return its status."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(head.split(b" ", 2)[1])


async def flood(port: int, counts: Counter[int]) -> None:
    """Send wrong links until cancelled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            counts[await ask(reader, writer, f"/feeds/icsf_{os.urandom(13).hex()}/property.ics")] += 1
    finally:
        writer.close()


async def phase(port: int, path: str, reads: int, connections: int) -> Phase:
    """Measure `reads` good reads, one after the other, while other connections send wrong links."""
    wrong, good, waited = Counter[int](), Counter[int](), list[float]()
    tasks = [asyncio.create_task(flood(port, wrong)) for _ in range(connections)]
    await asyncio.sleep(1 if tasks else 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    before = wrong.total()
    for _ in range(reads):
        started = time.perf_counter()
        good[await ask(reader, writer, path)] += 1
        waited.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.002)
    rate = (wrong.total() - before) / (time.perf_counter() - began)
    writer.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    waited.sort()
    worst = waited[min(len(waited) - 1, len(waited) * 99 // 100)]
    return Phase(round(median(waited), 2), round(worst, 2), dict(good), dict(wrong), round(rate))


@contextlib.contextmanager
def served() -> Iterator[tuple[int, str]]:
    """Run `icsfeed demo`; yield its port and the path of a good link."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "STATE_DIRECTORY": folder}
        demo = _started("demo", "--port", "0", "--json", folder=folder, env=env)
        try:
            started = json.loads(demo.stdout.readline()) if demo.stdout else {}
            yield urlsplit(started["url"]).port or 0, urlsplit(started["feeds"]["property"]["ics"]).path
        finally:
            demo.terminate()
            demo.wait(20)


def _started(*arguments: str, folder: str, env: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "icsfeed", *arguments]
    return subprocess.Popen(command, cwd=Path(folder), env=env, stdout=subprocess.PIPE, text=True)  # noqa: S603


async def main(reads: int) -> dict[str, Phase]:
    """Return all phases, measured on one server."""

    with served() as (port, path):
        return {f"{count}_connections": await phase(port, path, reads, count) for count in (0, *FLOODS)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=1000, help="good reads in each phase")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(main(given.reads))
    if given.json:
        print(json.dumps(to_builtins(found, str_keys=True)))
    else:
        for name, one in found.items():
            print(
                f"{name:<15} median {one.median_ms} ms, 99 % within {one.p99_ms} ms, {one.good}; "
                f"wrong links: {one.wrong_per_second:.0f}/s {one.wrong}"
            )
