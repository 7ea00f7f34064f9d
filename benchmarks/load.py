"""200 connections to 500 feeds, 90 % conditional, while webhooks report changes; compared with nginx."""

import hmac
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from urllib.request import Request, urlopen
from uuid import uuid4

from measure import Row, on_the_wire
from msgspec import Struct
from processes import HERE, SECRET, Running, first_good, free_port, get, icsfeed, plane, program, started

from icsfeed.demo.sample import API_KEY, SLUG, sample_id

CONNECTIONS, FEEDS, SECONDS, CHANGE_SECONDS = 200, 500, 12, 3.0
"""All feeds are of one project: a change every three seconds renders all of them again."""


class Load(Struct):
    """What wrk measured; latencies in milliseconds."""

    requests: int
    errors: int
    seconds: float
    median: float
    p99: float
    longest: float


def measure() -> list[Row]:
    """Return the rows of the load test."""
    wrk, nginx = program("wrk", "wrk"), program("nginx", "nginx-light")
    feeds = {f"f{n}": {"project": "WEB", "title": f"Feed {n}", "public": True} for n in range(FEEDS)}
    with TemporaryDirectory() as folder, plane(22) as source, icsfeed(source.url, feeds, folder) as server:
        paths = [f"/feeds/{name}.ics" for name in feeds]
        bodies = {path: first_good(server.url + path).body for path in paths}
        with _changes(source, server) as count:
            ours = _load(wrk, server, paths, folder)
            changed = count()
        packed = (get(server.url + path, {"Accept-Encoding": "gzip"}).body for path in paths)
        wire = on_the_wire(round(sum(map(len, packed)) / FEEDS), "gzip a 200")
        with _static(nginx, folder, bodies) as files:
            theirs = _load(wrk, files, paths, folder)
    return [
        *_rows(ours, theirs, wire),
        Row("issues changed meanwhile", "", str(changed), "", changed, "", "min", 1),
    ]


def _rows(ours: Load, theirs: Load, wire: str) -> Iterator[Row]:
    what, baseline = f"{CONNECTIONS} connections, {FEEDS} feeds", "nginx, the same files"
    yield Row(
        f"{what}: errors", baseline, str(ours.errors), str(theirs.errors), ours.errors, "errors", "max", 0
    )
    for name, one, other in (
        ("p50", ours.median, theirs.median),
        ("p99", ours.p99, theirs.p99),
        ("longest", ours.longest, theirs.longest),
    ):
        value = round(one / other, 2)
        yield Row(f"{what}: {name}", baseline, f"{one:.3g} ms", f"{other:.3g} ms", value, "x", "", 0)
    rate, other = ours.requests / ours.seconds, theirs.requests / theirs.seconds
    value = round(other / rate, 2)
    yield Row(
        f"{what}: answers a second", baseline, f"{rate:,.0f}", f"{other:,.0f}", value, "x fewer", "", 0, wire
    )


def _load(wrk: str, server: Running, paths: list[str], folder: str) -> Load:
    etags = {path: get(server.url + path, {"Accept-Encoding": "gzip"}).headers["etag"] for path in paths}
    file = Path(folder, "asked")
    file.write_text("".join(f"{path} {etag}\n" for path, etag in etags.items()))
    command = [
        wrk,
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "--timeout",
        "10s",
        "-s",
        str(HERE / "load.lua"),
        server.url,
    ]
    environ = {**os.environ, "FEEDS": str(file)}
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)  # noqa: S603
    line = next(line for line in run.stdout.splitlines() if line.startswith("RESULT"))
    requests, errors, duration, *times = map(int, line.split()[1:])
    return Load(requests, errors, duration / 1e6, *(time / 1000 for time in times))


@contextmanager
def _changes(source: Running, server: Running) -> Iterator[Callable[[], int]]:
    """Change an issue every CHANGE_SECONDS and send its webhook, until the end; yield their count."""
    over = Event()
    counted: list[bool] = []

    def change() -> None:
        while not over.wait(CHANGE_SECONDS):
            rename(source.url, len(counted))
            deliver(server.url)
            counted.append(True)

    thread = Thread(target=change)
    thread.start()
    try:
        yield lambda: len(counted)
    finally:
        over.set()
        thread.join()


def rename(plane_url: str, number: int) -> None:
    """Change an issue of the feed `hot`."""
    project, issue = sample_id("project", "WEB"), sample_id("issue", "WEB", str(number % 20 + 1))
    url = f"{plane_url}/api/v1/workspaces/{SLUG}/projects/{project}/work-items/{issue}/"
    _send("PATCH", url, {"X-API-Key": API_KEY}, json.dumps({"name": f"Changed {number}"}).encode())


def deliver(url: str) -> None:
    """Send the webhook of that change."""
    data = {"id": sample_id("issue", "WEB", "1"), "project": sample_id("project", "WEB")}
    body = json.dumps(
        {"event": "issue", "action": "updated", "data": data, "delivery": str(uuid4())}
    ).encode()
    _send(
        "POST",
        f"{url}/webhooks/plane",
        {"X-Plane-Signature": hmac.digest(SECRET, body, "sha256").hex()},
        body,
    )


def _send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
    sent = Request(url, body, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310
    with urlopen(sent, timeout=30) as answer:  # noqa: S310
        answer.read()


@contextmanager
def _static(nginx: str, folder: str, bodies: Mapping[str, bytes]) -> Iterator[Running]:
    """Run nginx with the same files on disk, and one worker, as icsfeed is one process."""
    root, port = Path(folder, "static"), free_port()
    root.joinpath("feeds").mkdir(parents=True)
    for path, body in bodies.items():
        root.joinpath(path[1:]).write_bytes(body)
    conf = root / "nginx.conf"
    own = "user root;" if os.geteuid() == 0 else ""  # else its worker could not read the folder
    conf.write_text(
        f"{own} daemon off; worker_processes 1; pid {root}/pid; error_log /dev/null;"
        f"events {{ worker_connections 1024; }} http {{ access_log off; sendfile on; "
        f"types {{ text/calendar ics; }} server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    with started([nginx, "-c", str(conf), "-p", str(root)], f"http://127.0.0.1:{port}") as running:
        yield running
