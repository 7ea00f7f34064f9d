"""1,500 slow connections from one address, on loopback: others are served, and the server still works."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import httpx
import pytest
from cli_world import BARE, SECRET, line_with, plane_served
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG, sample_id

FLOOD = 1_500
FEEDS = "feeds: {property: {project: PROP, public: true}}\nadmin_token: an admin token that nobody guesses\n"
STARTS = {
    "nothing": b"",
    "a request line": b"GET /health HTTP/1.1\r\n",
    "a webhook's body": b"POST /webhooks/plane HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
}


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    """This process has the client ends of the connections."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (min(hard, 8_192), hard))
    yield
    setrlimit(RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _served(folder: Path, plane: str, soft: int, hard: int, more: str = "") -> Iterator[tuple[Any, str]]:
    """`icsfeed serve` with so many descriptors, and its address."""
    own = f"secret: {SECRET}\nworkspaces: {{{SLUG}: {{url: {plane}, api_key: {API_KEY}}}}}\n{FEEDS}{more}"
    (folder / "feeds.yaml").write_text(own, encoding="utf-8")
    limited = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    command = ["sh", "-c", limited, "sh", sys.executable, "-m", "icsfeed", "serve", "--port", "0"]
    env = {**BARE, "STATE_DIRECTORY": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, line_with(process, "listening on").rpartition(" ")[2]
        finally:
            process.terminate()


def _flood(stack: ExitStack, port: int, start: bytes) -> int:
    """Open the connections and return how many of them the server keeps."""
    sockets = []
    for _ in range(FLOOD):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        with suppress(OSError):
            client.sendall(start)
        sockets.append(client)
    time.sleep(0.5)
    return sum(_is_open(client) for client in sockets)


def _is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return not client.recv(1) and False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _another(address: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=5)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(("soft", "hard", "kept"), [(1_024, 1_024, 192), (256, 2_048, 448)])
def test_one_address_does_not_lock_others_out_nor_the_server_itself(
    tmp_path: Path, soft: int, hard: int, kept: int, start: bytes
) -> None:
    data = sample(datetime.now(UTC).date())
    with (
        plane_served(data) as plane,
        _served(tmp_path, plane, soft, hard) as (process, url),
        ExitStack() as stack,
        _another("127.0.0.2") as other,
    ):
        assert other.get(f"{url}/feeds/property.ics").status_code == 200
        assert _flood(stack, httpx.URL(url).port or 0, start) <= kept
        began = time.monotonic()
        data.patch_issue(sample_id("issue", "PROP", "1"), {"name": "Renamed meanwhile"})
        admin = {"authorization": "Bearer an admin token that nobody guesses"}
        assert other.post(f"{url}/webhooks/sync", headers=admin).status_code == 202
        while "Renamed meanwhile" not in other.get(f"{url}/feeds/property.ics").text:
            assert time.monotonic() - began < 10
        config = tmp_path / "feeds.yaml"
        config.write_text(config.read_text(encoding="utf-8") + "language: de\n", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        assert "configuration loaded" in line_with(process, "configuration")
        health = other.get(f"{url}/api/v1/health").json()
        assert (health["status"], health["store"], health["configuration"]) == ("healthy", "ok", "ok")
        assert time.monotonic() - began < 20


def test_a_reserve_is_left_though_a_trusted_proxy_takes_all_that_there_is(tmp_path: Path) -> None:
    data = sample(datetime.now(UTC).date())
    with (
        plane_served(data) as plane,
        _served(tmp_path, plane, 1_024, 1_024, "trusted_proxies: [127.0.0.1]\n") as (process, url),
        ExitStack() as stack,
    ):
        assert httpx.get(f"{url}/feeds/property.ics").status_code == 200
        assert _flood(stack, httpx.URL(url).port or 0, STARTS["a request line"]) <= 768
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 1_024 - 200
        process.send_signal(signal.SIGHUP)
        assert "configuration loaded" in line_with(process, "configuration")
        refused = httpx.get(f"{url}/health")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
