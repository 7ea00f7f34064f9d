"""Latency of one connection while 10,000 issues are read, rendered, compressed and put on a page."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter, sleep

from measure import Row
from processes import first_good, get, icsfeed, plane

PAUSE_SECONDS = 0.002
"""Between an answer and the next request."""
FEEDS = {
    "small": {"project": "PROP", "public": True},
    "all": {"everything": True, "public": True},
}


def measure(issues: int) -> list[Row]:
    """Return p99.9 and maximum compared with those of a server that has nothing else to do, both on cores of
    their own and while other programs use all cores."""
    return [*_rows(issues, 0, ""), *_rows(issues, os.cpu_count() or 1, ", other programs on all cores")]


def _rows(issues: int, others: int, circumstances: str) -> Iterator[Row]:
    with (
        TemporaryDirectory() as folder,
        plane(issues) as source,
        icsfeed(source.url, FEEDS, folder) as server,
        _spinning(others),
    ):
        first_good(f"{server.url}/feeds/small.ics")
        reading = Thread(target=_read, args=[f"{server.url}/feeds/all"])
        reading.start()
        busy = sorted(_asked(server.url, "/feeds/small.ics", reading.is_alive))
        until = perf_counter() + 5
        idle = sorted(_asked(server.url, "/feeds/small.ics", lambda: perf_counter() < until))
    what = f"an answer's wait, {issues:,} issues read, rendered, compressed and on a page meanwhile"
    yield _row(f"{what}{circumstances}, p99.9", busy, idle, 0.999)
    yield _row(f"the same{circumstances}, the longest", busy, idle, 1)


@contextmanager
def _spinning(programs: int) -> Iterator[None]:
    """Run programs that want a whole core each."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(programs)]  # noqa: S603
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def _read(page: str) -> None:
    """Read the large feed, plain and then as gzip, which is made for its first reader, and its page."""
    first_good(f"{page}.ics")
    get(f"{page}.ics", {"Accept-Encoding": "gzip"})
    get(page, {"Accept": "text/html"})


def _row(what: str, busy: list[float], idle: list[float], share: float) -> Row:
    ours, theirs = (times[ceil(share * len(times)) - 1] * 1000 for times in (busy, idle))
    value = round(ours - theirs, 1)
    return Row(what, "the idle server's", f"{ours:.3g} ms", f"{theirs:.3g} ms", value, "ms more", "max", 30)


def _asked(url: str, path: str, going_on: Callable[[], bool]) -> list[float]:
    """Return the seconds that each answer took."""
    host, port = url.removeprefix("http://").split(":")
    question = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    taken = []
    with socket.create_connection((host, int(port))) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while going_on():
            began = perf_counter()
            one.sendall(question)
            _answer(one)
            taken.append(perf_counter() - began)
            sleep(PAUSE_SECONDS)
    return taken


def _answer(one: socket.socket) -> None:
    """Read an answer to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += one.recv(65_536)
    head, _, body = found.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise SystemExit(head.decode())
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    left = int(length.split()[1]) - len(body)
    while left > 0:
        left -= len(one.recv(65_536))
