"""The server libraries uvicorn, on which icsfeed runs, and granian: the same apps on both, in turns."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from measure import Row, on_the_wire
from msgspec import Struct
from processes import (
    HERE,
    Running,
    bare,
    first_good,
    free_port,
    get,
    icsfeed,
    measured,
    plane,
    program,
    started,
)

CONNECTIONS, SECONDS, ROUNDS = 200, 3, 5
SCRIPT = "granian_server.py"
FEEDS = {"hot": {"project": "WEB", "public": True}}
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
"""In milliseconds."""


class Load(Struct):
    """What wrk measured, and the CPU that an answer took; all times in milliseconds."""

    rate: float
    median: float
    p99: float
    cpu: float


class Case(Struct):
    """A request to the same app on both servers."""

    what: str
    path: str
    headers: Mapping[str, str]
    wire: str
    uvicorn: Running
    granian: Running


def measure() -> list[Row]:
    """Return the rows of each case, and of the memory that both hold after it; none without granian."""
    wrk = program("wrk", "wrk")
    if find_spec("granian") is None:
        # Not an exit: the rows of all other subjects would be lost.
        print("left out: it needs granian, pip install --group benchmarks", file=sys.stderr)  # noqa: T201
        return []
    with ExitStack() as stack:
        ours = stack.enter_context(_icsfeed())
        cases = list(_cases(stack, *ours))
        found: dict[str, list[tuple[Load, Load]]] = {case.what: [] for case in cases}
        for _ in range(ROUNDS):
            for case in cases:
                found[case.what].append((_load(wrk, case, case.uvicorn), _load(wrk, case, case.granian)))
        rows = [row for case in cases for row in _rows(case, found[case.what])]
        uvicorn, granian = (server.memory() for server in ours)
    return [*rows, _row("icsfeed: memory", uvicorn, granian, "MB", "")]


@contextmanager
def _icsfeed() -> Iterator[tuple[Running, Running]]:
    """Yield icsfeed on uvicorn and on granian, with the same feed of the same Plane."""
    port = free_port()
    command = [sys.executable, str(HERE / SCRIPT), str(port)]
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        plane(22) as source,
        icsfeed(source.url, FEEDS, one) as uvicorn,
    ):
        shutil.copy(Path(one, "feeds.yaml"), other)
        environ = {"STATE_DIRECTORY": other, "LOG_LEVEL": "ERROR"}
        with started([*command, other], f"http://127.0.0.1:{port}", environ) as granian:
            yield uvicorn, granian


def _cases(stack: ExitStack, uvicorn: Running, granian: Running) -> Iterator[Case]:
    path, gzip = "/feeds/hot.ics", {"Accept-Encoding": "gzip"}
    plain, packed = first_good(uvicorn.url + path), get(uvicorn.url + path, gzip)
    if first_good(granian.url + path).body != plain.body:
        raise SystemExit("the servers send different feeds")
    sent = {name: value for name, value in plain.headers.items() if name not in ("date", "connection")}
    both = [stack.enter_context(bare(plain.body, sent, script)) for script in ("bare_server.py", SCRIPT)]
    whole, small = on_the_wire(len(plain.body)), on_the_wire(len(packed.body), "gzip")
    unchanged = {**gzip, "If-None-Match": packed.headers["etag"]}
    yield Case("a bare app's 200", "/", {}, whole, *both)
    yield Case("icsfeed's 200", path, {}, whole, uvicorn, granian)
    yield Case("icsfeed's gzip 200", path, gzip, small, uvicorn, granian)
    yield Case("icsfeed's 304", path, unchanged, on_the_wire(0), uvicorn, granian)


def _rows(case: Case, found: list[tuple[Load, Load]]) -> Iterator[Row]:
    for name, field, unit in (
        ("answers a second", "rate", ""),
        ("p50", "median", "ms"),
        ("p99", "p99", "ms"),
        ("CPU", "cpu", "ms"),
    ):
        uvicorn, granian = (
            median(getattr(load, field) for load in loads) for loads in zip(*found, strict=True)
        )
        yield _row(f"{case.what}: {name}", uvicorn, granian, unit, case.wire)


def _row(what: str, uvicorn: float, granian: float, unit: str, wire: str) -> Row:
    """Return a row for information: `ours` is uvicorn, the baseline granian."""
    value = round(uvicorn / granian, 2)
    return Row(
        what, "the same on granian", _shown(uvicorn, unit), _shown(granian, unit), value, "x", "", 0, wire
    )


def _shown(value: float, unit: str) -> str:
    return f"{value:,.3g} {unit}" if unit else f"{value:,.0f}"


def _load(wrk: str, case: Case, server: Running) -> Load:
    given = [part for name, value in case.headers.items() for part in ("-H", f"{name}: {value}")]
    limits = [f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "10s"]
    command = [wrk, "--latency", "-t1", *limits, *given, server.url + case.path]
    before = server.cpu()
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    used = server.cpu() - before
    count, seconds = measured(text)
    return Load(count / seconds, _latency(text, "50"), _latency(text, "99"), 1000 * used / count)


def _latency(text: str, percentile: str) -> float:
    found = re.search(rf"^ +{percentile}% +([\d.]+)(us|ms|s)\b", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk: {text}")
    return float(found[1]) * UNITS[found[2]]
