"""Memory of the server: idle, with 10,000 long issues and their feed, and with slow readers."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from time import sleep

from measure import Row, on_the_wire
from processes import Running, first_good, get, icsfeed, plane

SETTLE_SECONDS = 3.0
"""After the last answer: what was written to disk is freed meanwhile."""
READERS = 60
NARROWED = "/feeds/all.ics?dates=span"
FEEDS = {"all": {"everything": True, "public": True}}


def measure(issues: int) -> list[Row]:
    """Return the rows: USS in a fresh process, less that of the idle server, or that without the readers."""
    idle, _ = _held(1, {})
    read, wire = _held(issues, FEEDS)
    what = f"{issues:,} issues of 2 KB and their feed"
    value = round(read - idle, 1)
    unread, slow_readers, size = _with_readers(issues)
    held = f"{slow_readers:.0f} MB", f"{unread:.0f} MB"
    slow = f"{READERS} readers who stopped reading a narrowed feed"
    return [
        Row(what, "idle server", f"{read:.0f} MB", f"{idle:.0f} MB", value, "MB more", "max", 60, wire),
        Row(
            slow,
            "none of them",
            *held,
            round(slow_readers - unread, 1),
            "MB more",
            "max",
            30,
            on_the_wire(size),
        ),
    ]


def _held(issues: int, feeds: Mapping[str, object]) -> tuple[float, str]:
    with (
        TemporaryDirectory() as folder,
        plane(issues) as source,
        icsfeed(source.url, feeds, folder) as server,
    ):
        return _after(server, feeds)


def _after(server: Running, feeds: Mapping[str, object]) -> tuple[float, str]:
    """Return the MB after every feed was sent, plain and as gzip, and the sizes of the last one."""
    wire = ""
    for name in feeds:
        plain = first_good(f"{server.url}/feeds/{name}.ics")
        packed = get(f"{server.url}/feeds/{name}.ics", {"Accept-Encoding": "gzip"})
        wire = f"{on_the_wire(len(plain.body))}, {on_the_wire(len(packed.body), 'gzip')}"
    if not feeds:
        first_good(f"{server.url}/health")
    sleep(SETTLE_SECONDS)
    return server.memory(), wire


def _with_readers(issues: int) -> tuple[float, float, int]:
    """Return the MB without and with READERS that have stopped reading, and the bytes of the feed."""
    with (
        TemporaryDirectory() as folder,
        plane(issues) as source,
        icsfeed(source.url, FEEDS, folder) as server,
    ):
        _after(server, FEEDS)
        size = len(first_good(f"{server.url}{NARROWED}").body)
        sleep(SETTLE_SECONDS)
        before = server.memory()
        with _stopped(server.url):
            return before, server.memory(), size


@contextmanager
def _stopped(url: str) -> Iterator[None]:
    """Open connections that read the first byte of the narrowed feed and no more."""
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as open_:
        for _ in range(READERS):
            one = open_.enter_context(socket.create_connection((host, int(port))))
            one.sendall(f"GET {NARROWED} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            one.recv(1)
        sleep(SETTLE_SECONDS)
        yield
