"""Requests to a CalDAV server: retries, pauses, authentication and TLS."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from dav_memory import URL, Fault, answering, not_answering, refusing_the_connection

from icsfeed.config.schema import PushTarget, Secret
from icsfeed.errors import BadSetting, LoginRefused, NoServer, NotCalDav, NotTrusted, PushError
from icsfeed.push import session as caldav_http
from icsfeed.push.session import DavResponse, DavServer, open_server

pytestmark = pytest.mark.anyio

Answer = Callable[[httpx.Request], httpx.Response]


class Waits:
    """Sleep not at all, and record the requested seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def reached(answer: Answer, waits: Waits, chance: float = 1.0) -> AsyncIterator[DavServer]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield DavServer(client, waits, lambda: chance)


def fails(fault: Fault) -> Answer:
    return lambda request: fault(request, lambda: httpx.Response(200))


async def ask(server: DavServer) -> DavResponse:
    return await server.request("PUT", URL, "the object", body=b"x")


@pytest.mark.parametrize(
    ("code", "waits"),
    [(423, 5), (429, 5), (500, 3), (502, 5), (503, 5), (504, 5), (507, 0), (501, 0), (412, 0)],
)
async def test_temporary_failures_are_retried_with_longer_and_longer_pauses(code: int, waits: int) -> None:
    asleep = Waits()
    async with reached(fails(answering(code)), asleep) as server:
        response = await ask(server)
        assert (response.status, server.requests) == (code, waits + 1)
    assert asleep.seconds == [4, 8, 16, 32, 60][:waits]


@pytest.mark.parametrize("fault", [not_answering, refusing_the_connection])
async def test_a_connection_that_fails_is_tried_six_times(fault: Fault) -> None:
    asleep = Waits()
    async with reached(fails(fault), asleep, chance=0.0) as server:
        with pytest.raises(NoServer):
            await ask(server)
        assert server.requests == 6
    assert asleep.seconds == [2, 4, 8, 16, 30]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "9999"}, 120),
        (
            {"Retry-After": "Wed, 25 Nov 2026 10:00:30 GMT", "Date": "Wed, 25 Nov 2026 10:00:00 GMT"},
            30,
        ),
        ({"Retry-After": "Wed, 25 Nov 2026 10:00:00 GMT", "Date": "Wed, 25 Nov 2026 10:00:30 GMT"}, 0),
        ({"Retry-After": "Wed, 25 Nov 2026 10:00:30 GMT"}, 4),
        ({"Retry-After": "soon"}, 4),
        ({"Retry-After": "-5"}, 4),
        ({"Retry-After": ""}, 4),
    ],
)
async def test_retry_after_is_honoured_up_to_its_limit(headers: dict[str, str], seconds: float) -> None:
    asleep, answers = Waits(), iter([httpx.Response(503, headers=headers), httpx.Response(201)])
    async with reached(lambda _: next(answers), asleep) as server:
        assert (await ask(server)).status == 201
    assert asleep.seconds == [seconds]


async def test_a_response_that_is_too_large_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(1024 * 1024)

    async with reached(lambda _: httpx.Response(207, content=endless()), Waits()) as server:
        with pytest.raises(NotCalDav, match="larger than"):
            await ask(server)
    assert sent <= caldav_http.ANSWER_LIMIT // (1024 * 1024) + 2


async def test_a_response_that_is_compressed_twice_is_not_decompressed() -> None:
    bomb = gzip.compress(gzip.compress(bytes(10_000_000)))
    answer = httpx.Response(207, stream=httpx.ByteStream(bomb), headers={"Content-Encoding": "gzip, gzip"})
    async with reached(lambda _: answer, Waits()) as server:
        with pytest.raises(NotCalDav, match="not asked for"):
            await ask(server)


@pytest.mark.parametrize(
    ("challenge", "user"),
    [
        ('Digest realm="x"', "alice"),
        ("Digest realm", "alice"),
        ('Digest realm="x", nonce="n", qop="auth-int"', "alice"),
        ('Digest realm="x", nonce="n", algorithm="SHA-512-256"', "alice"),
        ('Digest realm="x", nonce="n", qop="auth"', "älice"),
    ],
)
async def test_a_digest_that_cannot_be_answered_is_a_refused_login(challenge: str, user: str) -> None:
    to = PushTarget(feed="f", url=URL, username=user, password=Secret("wonderland"))
    transport = httpx.MockTransport(lambda _: httpx.Response(401, headers={"WWW-Authenticate": challenge}))
    async with open_server(to, transport=transport) as server:
        with pytest.raises(LoginRefused, match="unknown kind of Digest") as refused:
            await ask(server)
    assert "wonderland" not in str(refused.value)
    assert server.requests == 1


async def test_a_token_that_is_not_ascii_is_refused_without_quoting_it() -> None:
    with pytest.raises(LoginRefused) as refused:
        async with open_server(PushTarget(feed="f", url=URL, token=Secret("tökén"))):
            raise AssertionError("it cannot be opened")
    assert "kén" not in str(refused.value)


async def test_a_password_that_cannot_be_sent_is_refused_without_quoting_it() -> None:
    async with (
        served(None) as url,
        open_server(PushTarget(feed="f", url=url, token=Secret("x\nyz"))) as server,
    ):
        with pytest.raises(LoginRefused) as refused:
            await server.request("PUT", url, "the object")
    assert "yz" not in str(refused.value)


def test_a_user_name_and_a_password_may_hold_any_letters() -> None:
    request = httpx.Request("GET", URL)
    next(caldav_http.BasicOrDigestAuth("älice:x", "wönder land").auth_flow(request))
    assert request.headers["authorization"].startswith("Basic ")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def served(authority: trustme.CA | None, host: str = "localhost") -> AsyncIterator[str]:
    """Run a server that answers 204 to everything, over TLS if there is a CA; yield its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    context = None
    if authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host).configure_cert(context)
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        scheme = "https" if authority else "http"
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/"


async def outcome(url: str, **settings: object) -> int | PushError:
    target = PushTarget(feed="f", url=url, username="a", password=Secret("p"), **settings)  # type: ignore[arg-type]
    try:
        async with open_server(target, sleep=Waits(), attempts=2) as server:
            return (await server.request("DELETE", url, "x")).status
    except PushError as error:
        return error


async def test_a_certificate_of_the_targets_own_ca_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    async with served(authority) as url:
        assert await outcome(url, ca_file=ca_file) == 204
        refused = await outcome(url)
    assert isinstance(refused, NotTrusted)
    assert "certificate" in str(refused)
    assert "ca_file" in str(refused)


async def test_a_certificate_for_another_host_is_not_accepted(authority: trustme.CA, ca_file: str) -> None:
    async with served(authority, host="other.example.com") as url:
        assert isinstance(await outcome(url, ca_file=ca_file), NotTrusted)


async def test_a_server_without_tls_is_an_error(ca_file: str) -> None:
    async with served(None) as url:
        found = await outcome(url.replace("http:", "https:"), ca_file=ca_file)
    assert isinstance(found, NotTrusted)
    assert "https://" in str(found)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_ca_file_without_a_certificate_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, encoding="utf-8")
    with pytest.raises(BadSetting, match=r"ca_file: .*ca\.pem"):
        await outcome("https://localhost/", ca_file=str(tmp_path / "ca.pem"))
