"""The servers of the benchmarks as processes: icsfeed as installed, a Plane, a bare ASGI app, nginx.

Each in a process of its own, on a free port of this machine, ended at the end.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from msgspec import Struct

HERE = Path(__file__).parent
START_SECONDS = 180.0
"""How long a server may take to its first answer."""
SECRET = b"plane_wh_benchmarks"
"""The webhook's."""
TICKS = os.sysconf("SC_CLK_TCK")


class MissingProgram(SystemExit):
    """A program from Debian is not installed."""


class Running(Struct):
    """A running server. `url` has no slash at its end."""

    url: str
    pids: tuple[int, ...]

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used so far."""
        return sum(_cpu(pid) for pid in self.pids)

    def memory(self) -> float:
        """Return its own memory in MB (USS: what its end would free)."""
        return sum(_private(pid) for pid in self.pids) / 1e6


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def program(name: str, package: str) -> str:
    """Return the path of a program; raise MissingProgram with the package to install."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingProgram(f"this benchmark needs {name}: apt-get install {package}")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def started(command: Sequence[str], url: str, environ: Mapping[str, str] = {}) -> Iterator[Running]:
    """Start a server; yield it once its port is open."""
    process = subprocess.Popen(  # noqa: S603
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _wait(process, int(url.rpartition(":")[2]))
        yield Running(url, (process.pid,))
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended: {process.communicate()[1].decode()[-2000:]}")
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} did not listen")


@contextmanager
def plane(issues: int, *more: str) -> Iterator[Running]:
    """Run the tests' Plane with the corpus."""
    port = free_port()
    command = [sys.executable, str(HERE / "plane_server.py"), str(port), str(issues), *more]
    with started(command, f"http://127.0.0.1:{port}") as running:
        yield running


@contextmanager
def icsfeed(plane_url: str, feeds: Mapping[str, object], folder: str, **more: object) -> Iterator[Running]:
    """Run `icsfeed serve` over that Plane. `folder`: its state directory."""
    port = free_port()
    settings = {
        "secret": "the benchmarks have no secrets to keep",
        "workspaces": {
            "acme": {
                "url": plane_url,
                "slug": "acme-demo",
                "api_key": "plane_api_demo0000000000000000000000demo",
                "webhook_secret": SECRET.decode(),
            }
        },
        "feeds": feeds,
        **more,
    }
    file = Path(folder, "feeds.yaml")
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "icsfeed", "serve", "--config", str(file), "--port", str(port)]
    environ = {"STATE_DIRECTORY": folder, "LOG_LEVEL": "ERROR"}
    with started(command, f"http://127.0.0.1:{port}", environ) as running:
        yield running


@contextmanager
def bare(body: bytes, headers: Mapping[str, str], script: str = "bare_server.py") -> Iterator[Running]:
    """Run a bare ASGI app that sends this body with these headers, on the server of that script."""
    port = free_port()
    with TemporaryDirectory() as folder:
        Path(folder, "body").write_bytes(body)
        Path(folder, "headers").write_text(json.dumps(dict(headers)))
        command = [sys.executable, str(HERE / script), str(port), folder]
        with started(command, f"http://127.0.0.1:{port}") as running:
            yield running


class Answer(Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes


def get(url: str, headers: Mapping[str, str] = {}) -> Answer:
    """Send a request on a connection of its own."""
    try:
        with urlopen(Request(url, headers=dict(headers)), timeout=60) as found:  # noqa: S310
            return Answer(found.status, {k.lower(): v for k, v in found.headers.items()}, found.read())
    except HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def first_good(url: str) -> Answer:
    """Repeat a request until the answer is 200."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            answer = get(url)
        except URLError:
            answer = None
        if answer is not None and answer.status == 200:
            return answer
        time.sleep(0.01)
    raise SystemExit(f"{url} was never answered with 200")


def measured(text: str) -> tuple[int, float]:
    """Return how many requests `wrk` says that it made, and in how many seconds; end where one failed."""
    done = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if done is None or "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"wrk: {text}")
    return int(done[1]), float(done[2])
