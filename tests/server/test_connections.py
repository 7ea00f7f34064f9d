"""Limits of connections, on real sockets under uvicorn; the test moves the clock."""

import asyncio
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from cli_world import first_json, running

from icsfeed.server.connections import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_PER_ADDRESS,
    MAX_SECONDS,
    Admission,
    BoundedProtocol,
    Phase,
    close_slow_connections,
    with_date,
)

HEADER_SECONDS, BODY_SECONDS, EXCHANGE_SECONDS = (MAX_SECONDS[phase] for phase in Phase)

LARGE = 64 * 1024 * 1024
"""Bytes of an answer: more than the two sockets hold between them."""


class Site(NamedTuple):
    """A server on loopback, and the loop that it runs on."""

    server: uvicorn.Server
    loop: asyncio.AbstractEventLoop
    port: int

    @contextmanager
    def open(self) -> Iterator[socket.socket]:
        """Open a connection; wait at the end until the server has none any more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            while not self.connections:
                time.sleep(0.005)
            yield client
        while self.connections:
            time.sleep(0.005)

    @property
    def connections(self) -> set[Any]:
        return self.server.server_state.connections

    def wait_for_headers(self) -> None:
        """Wait until the headers of the connection's request are read."""
        while not any(connection.cycle for connection in self.connections):
            time.sleep(0.005)

    def check_after(self, seconds: float) -> None:
        """Check the connections as if so many seconds had passed."""

        def look() -> None:
            for connection in tuple(self.connections):
                connection.close_if_slow(self.loop.time() + seconds)
            done.set()

        done = threading.Event()
        self.loop.call_soon_threadsafe(look)
        assert done.wait(20)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body that was sent; /large with many bytes, /slow after a while, /never not at all."""
    if scope["path"] == "/never":
        await asyncio.sleep(3600)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.1)
    if scope["path"] == "/early":
        await _say(send, b"early")
        return
    message, body = await receive(), b""
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
        message = await receive()
    body = b"x" * LARGE if scope["path"] == "/large" else body
    await _say(send, body)


async def _say(send: Any, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    config = uvicorn.Config(
        _app,
        http=partial(BoundedProtocol, admission=Admission(1_000, lambda _: False)),  # type: ignore[arg-type]
        port=0,
        log_config=None,
        lifespan="off",
        ws="none",
    )
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
    """Return what the server sends until the connection ends."""
    received = b""
    try:
        while piece := client.recv(1 << 20):
            received += piece
    except ConnectionResetError:
        pass
    return received


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


def test_a_request_in_time_is_answered_and_the_next_one_too(site: Site) -> None:
    with site.open() as client:
        for _ in range(3):
            client.sendall(GET + b"\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
            site.check_after(EXCHANGE_SECONDS * 10)  # idle: not for us to end


@pytest.mark.parametrize(
    "sent", [b"", b"GET", GET, GET + b"X-Slow: drip"], ids=["nothing", "a word", "a line", "a header"]
)
def test_headers_that_do_not_come_end_the_connection(site: Site, sent: bytes) -> None:
    with site.open() as client:
        client.sendall(sent)
        time.sleep(0.05)
        site.check_after(HEADER_SECONDS - 2)
        assert site.connections
        site.check_after(HEADER_SECONDS + 2)
        assert _rest(client) == b""


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"]
)
def test_a_body_that_does_not_come_ends_the_connection(site: Site, sent: bytes) -> None:
    with site.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + sent)
        site.wait_for_headers()
        site.check_after(BODY_SECONDS - 2)
        assert site.connections
        site.check_after(BODY_SECONDS + 2)
        assert _rest(client) == b""


def test_a_body_that_trickles_in_has_no_more_time(site: Site) -> None:
    with site.open() as client:
        client.sendall(b"REPORT /dav/x/x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<")
        site.wait_for_headers()
        time.sleep(0.5)
        client.sendall(b"d")
        time.sleep(0.05)
        site.check_after(BODY_SECONDS - 0.4)
        assert _rest(client) == b""


def test_a_body_that_drips_on_after_its_answer_ends_the_connection(site: Site) -> None:
    with site.open() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n12345")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        for _ in range(3):
            client.sendall(b"drip")  # each of them stops uvicorn's timer
            time.sleep(0.02)
        site.check_after(EXCHANGE_SECONDS + 2)
        assert _rest(client) in (b"", b"early")


def test_an_answer_that_does_not_come_ends_the_connection(site: Site) -> None:
    with site.open() as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        site.wait_for_headers()
        site.check_after(EXCHANGE_SECONDS + 2)
        assert _rest(client) == b""


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["kept alive", "closing"])
def test_a_client_that_does_not_read_is_disconnected(site: Site, more: bytes) -> None:
    with site.open() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        assert client.recv(1024)
        site.check_after(EXCHANGE_SECONDS - 2)
        assert site.connections
        site.check_after(EXCHANGE_SECONDS + 2)
        assert len(_rest(client)) < LARGE


def test_a_header_without_end_is_cut(site: Site) -> None:
    with site.open() as client, pytest.raises(OSError, match=r"reset|pipe"):
        client.sendall(GET + b"X-Long: " + b"x" * MAX_HEADER_BYTES * 1000)


@pytest.mark.parametrize(
    "headers",
    [b"X-A: b\r\n" * (MAX_HEADERS + 1), b"X-Long: " + b"x" * (MAX_HEADER_BYTES + 1) + b"\r\n"],
    ids=["many", "long"],
)
def test_too_many_headers_are_a_400(site: Site, headers: bytes) -> None:
    with site.open() as client:
        client.sendall(GET + headers + b"\r\n")
        received = _rest(client)
        assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


def test_as_many_headers_as_apps_send_are_fine(site: Site) -> None:
    with site.open() as client:
        client.sendall(GET + b"X-A: b\r\n" * (MAX_HEADERS - 1) + b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_a_large_body_is_not_taken_for_a_header(site: Site) -> None:
    body = b"y" * (MAX_HEADER_BYTES * 3)
    with site.open() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        received = b""
        while len(received) < len(body):
            received += client.recv(1 << 20)
        assert received.startswith(b"HTTP/1.1 200 OK")


def test_pipelined_requests_are_answered_in_turn(site: Site) -> None:
    with site.open() as client:
        client.sendall((GET + b"\r\n") * 3 + GET + b"Connection: close\r\n\r\n")
        assert _rest(client).count(b"HTTP/1.1 200 OK") == 4


def test_an_address_has_a_quarter_of_all_connections_and_no_more_than_its_share() -> None:
    for capacity, share in ((8, 2), (768, 192), (65_000, MAX_PER_ADDRESS)):
        admission = Admission(capacity, lambda _: False)
        assert [admission.admit("192.0.2.1") for _ in range(share + 1)] == [True] * share + [False]
        assert admission.admit("192.0.2.2")
        admission.release("192.0.2.1")
        assert [admission.admit("192.0.2.1") for _ in range(2)] == [True, False]


def test_a_customers_ipv6_network_is_one_address_and_so_is_a_mapped_one() -> None:
    admission = Admission(8, lambda _: False)
    assert [admission.admit(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert [admission.admit(address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")][
        2
    ] is False


def test_a_trusted_proxy_may_have_all_but_not_more() -> None:
    admission = Admission(8, lambda address: address == "10.0.0.1")
    assert [admission.admit("10.0.0.1") for _ in range(9)] == [True] * 8 + [False]
    assert not admission.admit("192.0.2.1")


BREW = b"BREW /coffee HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
OPEN = b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (BREW, [501]),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", [501]),
        (b"M-SEARCHES * HTTP/1.1\r\n\r\n", [501]),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", [501]),
        (b"PURGE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [200]),
        (b"hello\r\n\r\n", [400]),
        (b"B[]W / HTTP/1.1\r\n\r\n", [400]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", [400]),
        (SLOW + BREW, [200, 501]),
        (SLOW + SLOW + BREW + SLOW, [200, 200, 501]),
        (b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + BREW, [200, 501]),
        (SLOW + b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", [200, 501]),
        (SLOW + b"hello\r\n\r\n", [200, 400]),
        (SLOW + b"GET / HTTP/1.1\r\nHost x\r\n\r\n", [200, 400]),
        (SLOW + GET + b"X-A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", [200, 400]),
        (OPEN + b"no length\r\n", [400]),
        (SLOW + OPEN + b"no length\r\n", [200, 400]),
        (SLOW + SLOW + OPEN + b"2\r\nab\r\nno length\r\n" + SLOW, [200, 200, 400]),
    ],
)
def test_what_cannot_be_parsed_is_refused_after_the_answers_before_it(
    site: Site, sent: bytes, statuses: list[int]
) -> None:
    with site.open() as client:
        client.sendall(sent)
        received = _rest(client)
    heads = re.findall(rb"HTTP/1\.1 ([0-9]{3}) .*?\r\n\r\n", received, re.DOTALL)
    assert [int(status) for status in heads] == statuses
    if statuses[-1] != 200:
        last = received[received.rindex(b"HTTP/1.1 ") :].lower()
        assert (last.count(b"\r\ndate: "), last.count(b"\r\nconnection: close\r\n")) == (1, 1)


@pytest.mark.parametrize("at", [1, 3, 4, 5, 9, 20])
def test_an_unknown_method_that_comes_in_pieces_is_refused_as_one_in_whole(site: Site, at: int) -> None:
    with site.open() as client:
        client.sendall(SLOW)
        assert client.recv(12) == b"HTTP/1.1 200"
        client.sendall(BREW[:at])
        time.sleep(0.05)
        client.sendall(BREW[at:])
        assert b"HTTP/1.1 501" in _rest(client)


def test_what_is_sent_after_a_refusal_is_not_read(site: Site) -> None:
    with site.open() as client:
        client.sendall(SLOW + BREW)
        time.sleep(0.05)
        client.sendall(SLOW)
        assert _rest(client).count(b"HTTP/1.1 ") == 2


def test_last_modified_of_a_fresh_feed_is_never_after_date(tmp_path: Path) -> None:
    with running("demo", "--port", "0", "--json", cwd=tmp_path) as demo:
        links = first_json(demo)["feeds"]
        for name in sorted(links) * 2:
            answer = httpx.get(links[name]["ics"])
            (date,) = answer.headers.get_list("date")
            modified = parsedate_to_datetime(answer.headers["last-modified"])
            assert modified <= parsedate_to_datetime(date)


@pytest.mark.anyio
async def test_a_date_is_of_the_moment_that_the_answer_begins() -> None:
    moments = [datetime(2026, 11, 23, 10, 0, second, 999_999, UTC) for second in (0, 7, 7)]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for _ in range(3):
        await with_date(_app, lambda: moments.pop(0))({"path": "/"}, _nothing, send)  # type: ignore[arg-type]
    starts = [message for message in sent if message["type"] == "http.response.start"]
    dates = [dict(message["headers"])[b"date"] for message in starts]
    assert dates == [b"Mon, 23 Nov 2026 10:00:00 GMT", *[b"Mon, 23 Nov 2026 10:00:07 GMT"] * 2]


async def _nothing() -> Any:
    return {"type": "http.request", "body": b""}


@pytest.mark.anyio
async def test_slow_connections_are_looked_for_until_the_end() -> None:
    checked: list[float] = []

    class Late(BoundedProtocol):
        def __init__(self) -> None:
            pass

        def close_if_slow(self, now: float) -> None:
            checked.append(now)
            task.cancel()

    task = asyncio.create_task(close_slow_connections({Late(), object()}))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(checked) == 1


def test_a_websocket_library_that_happens_to_be_installed_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "websockets.py").touch()  # uvicorn would take it, and fail on it
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with running("demo", "--port", "0", "--json", cwd=tmp_path, env={"PYTHONPATH": path}) as demo:
        url = first_json(demo)["url"]
        asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        assert httpx.get(f"{url}/health", headers=asked).status_code == 200
