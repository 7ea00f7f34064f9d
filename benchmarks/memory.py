"""What the server holds in memory: idle, after 10,000 long issues and one feed, and after many feeds."""

from collections.abc import Mapping
from tempfile import TemporaryDirectory
from time import sleep

from measure import Row
from processes import Running, first_good, get, icsfeed, plane

SETTLE = 3.0
"""Seconds after the last answer: what was written to disk is let go of."""
FEEDS = {"all": {"everything": True, "public": True}}


def measured(issues: int) -> list[Row]:
    """The memory row: USS, each in a fresh process, less that of the idle server."""
    idle = _held(1, {})
    read = _held(issues, FEEDS)
    what = f"{issues:,} issues of 2 KB and their feed"
    value = round(read - idle, 1)
    return [Row(what, "idle server", f"{read:.0f} MB", f"{idle:.0f} MB", value, "MB more", "max", 60)]


def _held(issues: int, feeds: Mapping[str, object]) -> float:
    with (
        TemporaryDirectory() as folder,
        plane(issues) as source,
        icsfeed(source.url, feeds, folder) as server,
    ):
        return _after(server, feeds)


def _after(server: Running, feeds: Mapping[str, object]) -> float:
    """MB once every feed was sent, plain and as gzip, and the server is at rest."""
    for name in feeds:
        first_good(f"{server.url}/feeds/{name}.ics")
        get(f"{server.url}/feeds/{name}.ics", {"Accept-Encoding": "gzip"})
    if not feeds:
        first_good(f"{server.url}/health")
    sleep(SETTLE)
    return server.memory()
