"""Bounds of a connection, on real sockets under uvicorn; the clock is moved by hand."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from cli_world import first_json, running

from icsfeed.connections import (
    EXCHANGE_SECONDS,
    HEADER_BYTES,
    HEADER_COUNT,
    HEADER_SECONDS,
    Bounded,
    let_go_of_the_late,
)

LARGE = 64 * 1024 * 1024
"""Bytes of an answer: more than the two sockets hold between them."""


class Site(NamedTuple):
    """A server on loopback, and the loop that it runs on."""

    server: uvicorn.Server
    loop: asyncio.AbstractEventLoop
    port: int

    @contextmanager
    def open(self) -> Iterator[socket.socket]:
        """A connection; afterwards the server has none any more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            while not self.connections:
                time.sleep(0.005)
            yield client
        while self.connections:
            time.sleep(0.005)

    @property
    def connections(self) -> set[Any]:
        return self.server.server_state.connections

    def until_asked(self) -> None:
        """Until the headers of the one connection's request are read."""
        while not any(connection.cycle for connection in self.connections):
            time.sleep(0.005)

    def later(self, seconds: float) -> None:
        """What is done to the connections as if so many seconds had passed."""

        def look() -> None:
            for connection in tuple(self.connections):
                connection.let_go_if_late(self.loop.time() + seconds)
            done.set()

        done = threading.Event()
        self.loop.call_soon_threadsafe(look)
        assert done.wait(20)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what was sent; at /large with much, at /never not at all."""
    if scope["path"] == "/never":
        await asyncio.sleep(3600)
    message, body = await receive(), b""
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
        message = await receive()
    body = b"x" * LARGE if scope["path"] == "/large" else body
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    config = uvicorn.Config(_app, http=Bounded, port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Site(server, loops[0], server.servers[0].sockets[0].getsockname()[1])
    server.force_exit = server.should_exit = True
    thread.join(timeout=20)


def _rest(client: socket.socket) -> bytes:
    """What the server still says; it ends with the connection."""
    said = b""
    try:
        while piece := client.recv(1 << 20):
            said += piece
    except ConnectionResetError:
        pass
    return said


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


def test_a_request_in_time_is_answered_and_the_next_one_too(site: Site) -> None:
    with site.open() as client:
        for _ in range(3):
            client.sendall(GET + b"\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
            site.later(EXCHANGE_SECONDS * 10)  # idle: not for us to end


@pytest.mark.parametrize(
    "sent", [b"", b"GET", GET, GET + b"X-Slow: drip"], ids=["nothing", "a word", "a line", "a header"]
)
def test_headers_that_do_not_come_end_the_connection(site: Site, sent: bytes) -> None:
    with site.open() as client:
        client.sendall(sent)
        time.sleep(0.05)
        site.later(HEADER_SECONDS - 2)
        assert site.connections
        site.later(HEADER_SECONDS + 2)
        assert _rest(client) == b""


def test_a_body_that_does_not_come_ends_the_connection(site: Site) -> None:
    with site.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        site.until_asked()
        site.later(EXCHANGE_SECONDS - 2)
        assert site.connections
        site.later(EXCHANGE_SECONDS + 2)
        assert _rest(client) == b""


def test_an_answer_that_does_not_come_ends_the_connection(site: Site) -> None:
    with site.open() as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        site.until_asked()
        site.later(EXCHANGE_SECONDS + 2)
        assert _rest(client) == b""


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["kept alive", "closing"])
def test_a_client_that_does_not_read_is_let_go(site: Site, more: bytes) -> None:
    with site.open() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        assert client.recv(1024)
        site.later(EXCHANGE_SECONDS - 2)
        assert site.connections
        site.later(EXCHANGE_SECONDS + 2)
        assert len(_rest(client)) < LARGE


def test_a_header_without_end_is_cut(site: Site) -> None:
    with site.open() as client, pytest.raises(OSError, match=r"reset|pipe"):
        client.sendall(GET + b"X-Long: " + b"x" * HEADER_BYTES * 1000)


@pytest.mark.parametrize(
    "headers",
    [b"X-A: b\r\n" * (HEADER_COUNT + 1), b"X-Long: " + b"x" * (HEADER_BYTES + 1) + b"\r\n"],
    ids=["many", "long"],
)
def test_too_many_headers_are_a_400(site: Site, headers: bytes) -> None:
    with site.open() as client:
        client.sendall(GET + headers + b"\r\n")
        said = _rest(client)
        assert said == b"" or said.startswith(b"HTTP/1.1 400 ")


def test_as_many_headers_as_apps_send_are_fine(site: Site) -> None:
    with site.open() as client:
        client.sendall(GET + b"X-A: b\r\n" * (HEADER_COUNT - 1) + b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_large_body_is_not_taken_for_a_header(site: Site) -> None:
    body = b"y" * (HEADER_BYTES * 3)
    with site.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        said = b""
        while len(said) < len(body):
            said += client.recv(1 << 20)
        assert said.startswith(b"HTTP/1.1 200 OK")


def test_pipelined_requests_are_answered_in_turn(site: Site) -> None:
    with site.open() as client:
        client.sendall((GET + b"\r\n") * 3 + GET + b"Connection: close\r\n\r\n")
        assert _rest(client).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.anyio
async def test_the_late_are_looked_for_until_the_end() -> None:
    looked: list[float] = []

    class Late(Bounded):
        def __init__(self) -> None:
            pass

        def let_go_if_late(self, now: float) -> None:
            looked.append(now)
            task.cancel()

    task = asyncio.create_task(let_go_of_the_late({Late(), object()}))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(looked) == 1


def test_a_websocket_library_that_happens_to_be_installed_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "websockets.py").touch()  # uvicorn would take it, and fail on it
    with running("demo", "--port", "0", "--json", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as demo:
        url = first_json(demo)["url"]
        asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        assert httpx.get(f"{url}/health", headers=asked).status_code == 200
