"""Notifications to systemd (sd_notify(3)); without systemd they do nothing.

A notification is a datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import CLOCK_MONOTONIC, clock_gettime_ns

log = logging.getLogger("icsfeed.notify")


class Notifier:
    """Sends notifications; never raises, since a server does not fail because nobody hears it."""

    def __init__(self, address: str | None) -> None:
        # "@" stands for the null byte that an abstract socket's name begins with (unix(7)).
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Report that the server answers. `status` is shown by `systemctl status`."""
        self._send("READY=1", f"STATUS={' '.join(status.split())}")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Report the beginning of a reload, and at the end of the block that the server is ready again."""
        # Type=notify-reload wants the time of the beginning, to tell this reload from an earlier one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def stopping(self) -> None:
        """Report that the server takes no new requests and sends its last answers."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Report that the event loop runs."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)  # a full queue must not hold up the event loop
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.debug("cannot notify systemd of %s: %s", lines[0], error.strerror)


def notifier(environ: Mapping[str, str]) -> Notifier:
    """Return the notifier of a process with this environment."""
    return Notifier(environ.get("NOTIFY_SOCKET"))


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Return how often to notify the watchdog, in seconds: half of its timeout, as sd_notify(3) recommends.

    None: there is no watchdog, or it watches another process.
    """
    timeout = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not timeout.isascii() or not timeout.isdecimal():
        return None
    return int(timeout) / 2_000_000 or None


async def feed_watchdog(
    systemd: Notifier,
    environ: Mapping[str, str],
    pid: int,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Notify the watchdog until cancelled; return at once if there is none."""
    interval = watchdog_interval(environ, pid)
    while interval:
        systemd.alive()
        await sleep(interval)
