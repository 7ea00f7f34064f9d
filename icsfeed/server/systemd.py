"""Tells systemd how the server is (sd_notify(3)), where systemd has started it; else does nothing.

A datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import CLOCK_MONOTONIC, clock_gettime_ns

log = logging.getLogger("icsfeed.notify")


class Notifier:
    """Says what it is told to say. It never raises: a server does not fail because nobody listens."""

    def __init__(self, address: str | None) -> None:
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address

    def ready(self, status: str) -> None:
        """The server answers."""
        self._send("READY=1", f"STATUS={' '.join(status.split())}")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """While in it, the configuration is being read again."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def stopping(self) -> None:
        """No new requests are taken; the last answers go out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The event loop still turns."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as own:
                own.setblocking(False)
                own.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.debug("systemd was not told %s: %s", lines[0], error.strerror)


def notifier(environ: Mapping[str, str]) -> Notifier:
    """For the process with this environment."""
    return Notifier(environ.get("NOTIFY_SOCKET"))


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """How often, in seconds, the watchdog wants to hear from this process: half of its patience.

    None: there is none, or it watches another process.
    """
    given = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not given.isascii() or not given.isdecimal():
        return None
    return int(given) / 2_000_000 or None


async def keep_alive(
    told: Notifier,
    environ: Mapping[str, str],
    pid: int,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Keep the watchdog quiet for as long as the event loop turns; ends where there is no watchdog."""
    interval = watchdog_interval(environ, pid)
    while interval:
        told.alive()
        await sleep(interval)
