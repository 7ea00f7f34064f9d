"""The socket to listen on: an address of one or both IP families, or a Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from icsfeed import errors
from icsfeed.server.live_status import UNIX_SCHEME

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_INHERITED = 3
"""The descriptor of the first socket from systemd (SD_LISTEN_FDS_START)."""


def inherited_listener(environ: Mapping[str, str], pid: int) -> socket.socket | None:
    """Return the socket on which systemd listens for the process (sd_listen_fds(3)); None: there is none.

    Raise InvalidValue if there are several: clients of the others would never get an answer.
    """
    count = environ.get("LISTEN_FDS", "0")
    if environ.get("LISTEN_PID") != str(pid) or count == "0":
        return None
    if count != "1":
        raise errors.InvalidValue(f"systemd passes {count} sockets; the unit must have one ListenStream=")
    listener = socket.socket(fileno=FIRST_INHERITED)
    listener.set_inheritable(False)
    _send_at_once(listener)
    return listener


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on a host and a port; on `::` in both IP families. Raise OSError.

    An IPv6 address may stand in brackets. If a name has several addresses, use its first IPv4 address.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    addresses = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(addresses, key=lambda info: info[0] != socket.AF_INET)
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address, family=family, dualstack_ipv6=both)
    _send_at_once(listener)
    return listener


def _send_at_once(listener: socket.socket) -> None:
    """Set TCP_NODELAY, which accepted connections inherit.

    asyncio sets it only on sockets whose `proto` is IPPROTO_TCP, and create_server leaves that 0: each body
    would wait up to 40 ms for the ACK of its headers.
    """
    if listener.family != socket.AF_UNIX:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def open_unix_listener(path: str) -> socket.socket:
    """Listen on a Unix socket; replace one that no server uses any more. Raise OSError.

    All who may enter its folder may connect, as every process of this machine may to a port of loopback.
    """
    _remove_if_unused(Path(path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        Path(path).chmod(0o666)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _remove_if_unused(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def remove_socket(url: str) -> None:
    """Remove the Unix socket if `url` is the address of one."""
    if url.startswith(UNIX_SCHEME):
        Path(url.removeprefix(UNIX_SCHEME)).unlink(missing_ok=True)


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listener: `http://HOST:PORT`, or `unix:PATH`."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"{UNIX_SCHEME}{Path(name).absolute()}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"
