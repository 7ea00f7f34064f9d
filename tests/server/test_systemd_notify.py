"""What systemd is notified of, over a real datagram socket."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import CLOCK_MONOTONIC, clock_gettime_ns

import pytest

from icsfeed.server.systemd import Notifier, feed_watchdog, notifier, watchdog_interval

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket like systemd's, and its name as in $NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@icsfeed-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0"))
        server.settimeout(5)
        yield server, name


def test_each_state_is_one_datagram(listening: tuple[socket.socket, str]) -> None:
    server, name = listening
    systemd = notifier({"NOTIFY_SOCKET": name})
    systemd.ready("listening on\nhttp://x")
    systemd.alive()
    systemd.stopping()
    assert [server.recv(500) for _ in range(3)] == [
        b"READY=1\nSTATUS=listening on http://x",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_reload_states_its_beginning(listening: tuple[socket.socket, str]) -> None:
    server, name = listening
    before = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
    with Notifier(name).reloading():
        after = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
    state, _, since = server.recv(500).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(since) <= after
    assert server.recv(500) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all", "@nobody-listens-here", "x" * 200])
def test_where_nobody_listens_only_the_log_says_so(
    address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "icsfeed.notify")
    Notifier(address).ready("x")
    assert ("cannot notify systemd of READY=1" in caplog.text) == bool(address)


def test_a_full_queue_does_not_block_the_server(
    listening: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "icsfeed.notify")
    _, name = listening

    def fill() -> None:
        for _ in range(2_000):
            Notifier(name).alive()

    sender = threading.Thread(target=fill, daemon=True)
    sender.start()
    sender.join(20)
    assert not sender.is_alive(), "it waits for somebody to read"
    assert "cannot notify systemd of WATCHDOG=1" in caplog.text, "the queue was full"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_interval_is_half_of_the_watchdogs_timeout(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_interval(environ, 7) == seconds


async def test_the_watchdog_is_notified_until_the_end(listening: tuple[socket.socket, str]) -> None:
    server, name = listening
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await feed_watchdog(Notifier(name), {"WATCHDOG_USEC": "30000000"}, 7, sleep)
    assert slept == [15.0] * 3
    assert [server.recv(500) for _ in range(3)] == [b"WATCHDOG=1"] * 3


async def test_without_a_watchdog_nothing_is_sent(listening: tuple[socket.socket, str]) -> None:
    server, name = listening
    await feed_watchdog(Notifier(name), {}, 7)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(500)
