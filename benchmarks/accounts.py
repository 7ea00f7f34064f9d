"""CalDAV accounts: what a calendar of 10,000 costs an app that syncs, relative to a 304 of its feed.

And how long others wait while all of it is searched.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from load import deliver, rename
from measure import Row, on_the_wire, times_the_cost
from processes import Running, first_good, icsfeed, plane

ROUNDS, TIMES = 5, 2_000
"""Rounds of that many requests each, in turns with the baseline."""
FEEDS = {"all": {"everything": True}, "small": {"project": "PROP", "public": True}}
CALENDAR = "/dav/all/all/"
SPACES = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
CTAG = f"<propfind {SPACES}><prop><s:getctag/></prop></propfind>"
SYNC = (
    f"<sync-collection {SPACES}><sync-token>{{token}}</sync-token><sync-level>1</sync-level>"
    "<prop><getetag/></prop></sync-collection>"
)
OBJECT = (
    f"<c:calendar-multiget {SPACES}><prop><getetag/><c:calendar-data/></prop><href>{{href}}</href>"
    "</c:calendar-multiget>"
)
QUERY = (
    f'<c:calendar-query {SPACES}><prop><getetag/></prop><c:filter><c:comp-filter name="VCALENDAR">'
    '<c:comp-filter name="VEVENT">{inner}</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>'
)
SEARCHES = {
    "by time": '<c:time-range start="20261101T000000Z" end="20261201T000000Z"/>',
    "by text": '<c:prop-filter name="SUMMARY"><c:text-match>nowhere</c:text-match></c:prop-filter>',
}


class Connection(HTTPConnection):
    """Sends headers and body together, as curl and OkHttp do, where http.client sends one after the other."""

    _headers = b""
    _has_body = False

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> None:
        self._has_body = bool(body)
        super().request(method, url, body, headers or {}, **more)

    def send(self, data: Any) -> None:
        if self._has_body:
            self._headers, self._has_body = data, False
        else:
            self._headers, data = b"", self._headers + data
            super().send(data)


class Client:
    """An app that is logged in, on a connection that stays open."""

    def __init__(self, server: Running, token: str) -> None:
        url = urlsplit(server.url)
        self._connection = Connection(url.hostname or "", url.port, timeout=120)
        self._login = {"Authorization": "Basic " + base64.b64encode(f"all:{token}".encode()).decode()}
        self.feed = f"/feeds/{token}/all.ics"
        self.etag = ""

    def ask(self, method: str, path: str, body: str = "", headers: Mapping[str, str] = {}) -> str:
        """Return the body of a good answer. The ETag stays in `etag`."""
        self._connection.request(method, path, body, {**self._login, **headers})
        with self._connection.getresponse() as answer:
            if answer.status not in (200, 207, 304):
                raise SystemExit(f"{method} {path}: {answer.status}")
            self.etag = answer.headers.get("ETag", "")
            return answer.read().decode()

    def sync(self, token: str) -> str:
        return self.ask("REPORT", CALENDAR, SYNC.format(token=token))

    def close(self) -> None:
        self._connection.close()


def measure(issues: int) -> list[Row]:
    """Return the rows."""
    with _served(issues) as (source, server, client):
        old = _between(client.sync(""), "<d:sync-token>")
        # A change: the next sync with the old token has one object.
        rename(source.url, 1)
        deliver(server.url)
        began = perf_counter()
        while CALENDAR not in (changes := client.sync(old)):
            if perf_counter() - began > 30:
                raise SystemExit("the change never arrived")
            time.sleep(0.05)
        href, new = _between(changes, "<d:href>"), _between(changes, "<d:sync-token>")
        client.ask("HEAD", client.feed)
        known = {"If-None-Match": client.etag}
        cases: dict[str, Callable[[], str]] = {
            "304": lambda: client.ask("GET", client.feed, "", known),
            "ctag": lambda: client.ask("PROPFIND", CALENDAR, CTAG, {"Depth": "0"}),
            "unchanged": lambda: client.sync(new),
            "changed": lambda: client.sync(old) + client.ask("REPORT", CALENDAR, OBJECT.format(href=href)),
        }
        sizes = {name: on_the_wire(len(work().encode())) for name, work in cases.items()}
        costs = _costs(server, cases)
        waits = [_wait(server, client, name, inner, issues) for name, inner in SEARCHES.items()]
    return [
        _row("ctag", f"the ctag of {issues:,}", costs, sizes, 2),
        _row("unchanged", f"a sync of {issues:,}, none changed", costs, sizes, 2),
        _row("changed", f"a sync of {issues:,}, one changed and read", costs, sizes, 10),
        *waits,
    ]


@contextmanager
def _served(issues: int) -> Iterator[tuple[Running, Running, Client]]:
    with (
        TemporaryDirectory() as folder,
        plane(issues) as source,
        icsfeed(source.url, FEEDS, folder) as server,
    ):
        first_good(f"{server.url}/feeds/small.ics")
        command = [sys.executable, "-m", "icsfeed", "urls", "all", "--config", f"{folder}/feeds.yaml"]
        links = subprocess.run([*command, "--json"], capture_output=True, check=True)  # noqa: S603
        client = Client(server, json.loads(links.stdout)["feeds"]["all"]["ics"].split("/")[-2])
        first_good(server.url + client.feed)
        yield source, server, client
        client.close()


def _between(text: str, start: str) -> str:
    return text.partition(start)[2].partition("</")[0]


def _costs(server: Running, cases: Mapping[str, Callable[[], str]]) -> dict[str, float]:
    """Return the seconds of the server's CPU for each case: the median of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, work in cases.items():
            before = server.cpu()
            for _ in range(TIMES):
                work()
            found[name].append((server.cpu() - before) / TIMES)
    return {name: median(times) for name, times in found.items()}


def _row(case: str, what: str, costs: Mapping[str, float], sizes: Mapping[str, str], wanted: float) -> Row:
    return times_the_cost(f"{what}, CPU", "a 304 of its feed", costs[case], costs["304"], wanted, sizes[case])


def _wait(server: Running, client: Client, name: str, inner: str, issues: int) -> Row:
    """Return the row for the longest wait of another reader while all objects are searched."""
    began = perf_counter()
    searching = Thread(target=client.ask, args=("REPORT", CALENDAR, QUERY.format(inner=inner)))
    searching.start()
    waits = []
    while searching.is_alive():
        asked = perf_counter()
        first_good(f"{server.url}/feeds/small.ics")
        waits.append((perf_counter() - asked) * 1000)
        time.sleep(0.002)
    ours, whole = max(waits), (perf_counter() - began) * 1000
    what = f"another reader's longest wait while {issues:,} are searched {name}"
    return Row(what, "the search", f"{ours:.3g} ms", f"{whole:.3g} ms", round(ours, 1), "ms", "max", 250)
