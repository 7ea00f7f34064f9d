"""Time to start: --help compared with a bare Python; the first 200 with stored copies and without."""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from measure import Row, on_the_wire, times_faster, times_the_cost
from processes import first_good, get, icsfeed, plane

PAGE_SECONDS = 2.6
"""What Plane v1.3.1 on two cores takes for a page of 1000 issues."""
FEEDS = {"all": {"everything": True, "public": True}}


def measure(issues: int, rounds: int = 9) -> list[Row]:
    """Return the rows of the command line and of the start of a server."""
    script = str(Path(sys.executable).with_name("icsfeed"))
    helped, bare = _in_turns([[script, "--help"], [sys.executable, "-c", "pass"]], rounds)
    kept, cold, size = _starts(issues)
    return [
        times_the_cost("icsfeed --help, CPU", "python -c pass", helped, bare, 6),
        times_faster(
            f"serve to the first 200, {issues:,} issues kept",
            f"cold read, {PAGE_SECONDS:g} s a page as Plane takes",
            kept,
            cold,
            10,
            on_the_wire(size),
        ),
    ]


def _in_turns(commands: Sequence[Sequence[str]], rounds: int) -> list[float]:
    found: list[list[float]] = [[] for _ in commands]
    for turn in range(rounds + 1):
        for times, command in zip(found, commands, strict=True):
            used = _cpu_of(command)
            if turn:
                times.append(used)
    return [median(times) for times in found]


def _cpu_of(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _starts(issues: int) -> tuple[float, float, int]:
    """Return the seconds to the first 200 with stored copies and without, and the bytes of that answer."""
    with TemporaryDirectory() as folder, plane(issues, str(PAGE_SECONDS)) as source:
        cold, _ = _start(source.url, folder)
        kept, size = _start(source.url, folder)
        return kept, cold, size


def _start(plane_url: str, folder: str) -> tuple[float, int]:
    began = monotonic()
    with icsfeed(plane_url, FEEDS, folder) as server:
        size = len(first_good(f"{server.url}/feeds/all.ics").body)
        taken = monotonic() - began
        while get(f"{server.url}/health/ready").status != 200:
            pass
        return taken, size
