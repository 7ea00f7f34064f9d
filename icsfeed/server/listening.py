"""The socket that is served on: an address of one family or of both, or a Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

from icsfeed.server.live_status import UNIX


def open_listener(host: str, port: int) -> socket.socket:
    """Listen on a host and a port; on `::` for both families. Raises OSError.

    An IPv6 address may stand in brackets. Of a name with several addresses the first of IPv4 is taken.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address, family=family, dualstack_ipv6=both)
    # Connections inherit it. Without, a body waits 40 ms for the ACK of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def open_unix_listener(path: str) -> socket.socket:
    """Listen on a Unix socket, in the place of one that a server has left behind. Raises OSError.

    Whoever may enter its folder may connect, as anybody on this machine may to a port of loopback.
    """
    _remove_unused(Path(path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        Path(path).chmod(0o666)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _remove_unused(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def leave(url: str) -> None:
    """Leave no Unix socket behind where `url` is the address of one."""
    if url.startswith(UNIX):
        Path(url.removeprefix(UNIX)).unlink(missing_ok=True)


def address_of(listener: socket.socket) -> str:
    """The URL that it is served at; of a Unix socket `unix:` and its path."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"{UNIX}{Path(name).absolute()}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"
