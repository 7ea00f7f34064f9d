"""The hot path: the CPU of an answer, relative to a bare ASGI app that sends the same bytes."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory

from measure import Row, on_the_wire, times_the_cost
from processes import Running, bare, first_good, get, icsfeed, measured, plane, program

SECONDS = 2
CONNECTIONS = 16
FEED_BYTES = 50_000
"""Size of the feed, approximately."""


def measure(rounds: int = 5) -> list[Row]:
    """Return rows for 200, 304 and gzip, each measured in turns with the bare app."""
    wrk = program("wrk", "wrk")
    with _feed() as (url, server):
        plain = first_good(url)
        sent = {name: value for name, value in plain.headers.items() if name not in ("date", "connection")}
        packed = get(url, {"Accept-Encoding": "gzip"})
        zipped = packed.headers["etag"]
        with bare(plain.body, sent) as least:
            cases: dict[str, Callable[[], float]] = {
                "bare": lambda: _cost(wrk, least, f"{least.url}/", {}),
                "200": lambda: _cost(wrk, server, url, {}),
                "304": lambda: _cost(wrk, server, url, {"If-None-Match": zipped, "Accept-Encoding": "gzip"}),
                "gzip": lambda: _cost(wrk, server, url, {"Accept-Encoding": "gzip"}),
            }
            found: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(rounds):
                for name, cost in cases.items():
                    found[name].append(cost())
    cost_of = {name: median(values) for name, values in found.items()}
    size = f"{len(plain.body) / 1000:.0f} KB"
    return [
        times_the_cost(
            f"200 of {size}, CPU",
            "a bare ASGI app",
            cost_of["200"],
            cost_of["bare"],
            1.5,
            on_the_wire(len(plain.body)),
        ),
        times_the_cost("304, CPU", "that app's 200", cost_of["304"], cost_of["bare"], 1.2, on_the_wire(0)),
        times_the_cost(
            "gzip 200, CPU",
            "our plain 200",
            cost_of["gzip"],
            cost_of["200"],
            1.1,
            on_the_wire(len(packed.body), "gzip"),
        ),
    ]


@contextmanager
def _feed() -> Iterator[tuple[str, Running]]:
    """Yield a link with a token to a feed of that size, and the server."""
    feeds = {"hot": {"project": "WEB", "public": True}}
    with TemporaryDirectory() as folder, plane(22) as source, icsfeed(source.url, feeds, folder) as server:
        yield f"{server.url}/feeds/hot.ics", server


def _cost(wrk: str, server: Running, url: str, headers: Mapping[str, str]) -> float:
    """Return the seconds of CPU for a request on a connection that stays open."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *given, url]
    before = server.cpu()
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    used = server.cpu() - before
    count, _ = measured(text)
    return used / count
