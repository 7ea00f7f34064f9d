"""Whatever stands between us and Plane's answer is one of our errors, and none of them tells the key."""

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NotFound,
    NotPlane,
    PlaneError,
    ServerError,
    Throttled,
    Unreachable,
)
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.fetch import fetch
from plane.test_plane_world import KEY, WEB, always, connect, page, recorded, row

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}

RECORDED = [
    ("err-401-missing-key", KeyRefused),
    ("err-401-invalid-key", KeyRefused),
    ("err-401-expired-key", KeyRefused),
    ("err-401-inactive-key", KeyRefused),
    ("err-bearer-token", KeyRefused),
    ("err-wrong-workspace-projects", NoAccess),
    ("err-wrong-workspace-workitems", NoAccess),
    ("err-other-workspace-not-member", NoAccess),
    ("err-nonexistent-project", NoAccess),
    ("err-deleted-project", NoAccess),
    ("err-project-of-other-workspace", NoAccess),
    ("err-secret-project-not-member", NoAccess),
    ("err-malformed-project-id", NotFound),
    ("err-nonexistent-issue", NotFound),
    ("err-method-not-allowed", BadAnswer),
    ("page-cursor-garbage", BadAnswer),
    ("page-per-page-zero", ServerError),
    ("page-order-bogus", ServerError),
    ("ratelimit-request-61", Throttled),
    ("no-trailing-slash", NotPlane),
]

MADE_UP = {
    "html instead of the api": (httpx.Response(200, html="<h1>Plane</h1>"), NotPlane, "not Plane's API"),
    "html not found": (httpx.Response(404, html="nginx"), NotPlane, "404"),
    "html forbidden": (httpx.Response(403, html="a firewall"), NotPlane, "403"),
    "no content type": (httpx.Response(200, content=b"{}"), NotPlane, "not Plane's API"),
    "nothing at all": (httpx.Response(204), NotPlane, "204"),
    "a login page elsewhere": (
        httpx.Response(302, headers={"location": f"https://me:{KEY}@login.test:8443/?key={KEY}"}),
        NotPlane,
        "https://login.test:8443: check the url",
    ),
    "https instead of http": (
        httpx.Response(301, headers={"location": "https://plane.test/api/"}),
        NotPlane,
        "redirects to https://plane.test:",
    ),
    "a redirect to nowhere": (
        httpx.Response(308, headers={"location": "https://plane.test:port/"}),
        Unreachable,
        "Invalid URL in location",
    ),
    "a redirect to no host name": (
        httpx.Response(308, headers={"location": "https://xn--zzzzzzzz99999.x/"}),
        Unreachable,
        "not a web address",
    ),
    "cut off": (httpx.Response(200, content=b'{"results": [{"id"', headers=JSON), BadAnswer, "cut off"),
    "empty": (httpx.Response(200, content=b"", headers=JSON), BadAnswer, "cut off"),
    "nested too deep": (httpx.Response(200, content=b"[" * 200_000, headers=JSON), BadAnswer, "cut off"),
    "not text": (httpx.Response(200, content=b'"\xff\xfe"', headers=JSON), BadAnswer, "cut off"),
    "bad gateway": (httpx.Response(502, html="nginx"), Unreachable, "502"),
    "service unavailable": (
        httpx.Response(503, json={}),
        Unreachable,
        "gateway in front of Plane failed",
    ),
    "an origin that cloudflare does not reach": (httpx.Response(522, html="cf"), Unreachable, "522"),
    "a fault of Plane's own": (
        httpx.Response(500, json={"error": "x"}),
        ServerError,
        "the server failed with 500",
    ),
    "a fault without json": (httpx.Response(500, html="x"), ServerError, "the server failed with 500"),
    "a strange status": (httpx.Response(418, json={"detail": ["tea"]}), BadAnswer, "418"),
    "an unreadable refusal": (httpx.Response(403, content=b"{", headers=JSON), NoAccess, "membership"),
    "a refusal that is a list": (httpx.Response(404, json=["no"]), NotFound, "nothing at this address"),
}

BROKEN = {
    "refused": (httpx.ConnectError("All connection attempts failed"), "no connection"),
    "slow to connect": (httpx.ConnectTimeout(""), "no answer in time"),
    "slow to answer": (httpx.ReadTimeout(""), "no answer in time"),
    "hung up": (httpx.RemoteProtocolError("Server disconnected"), "Server disconnected"),
    "reset": (httpx.ReadError(""), "ReadError"),
    "untrusted": (
        httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"),
        "TLS certificate is not accepted .*self-signed",
    ),
    "raw tls": (ssl.SSLError(1, "[SSL: TLSV1_ALERT] alert"), "alert"),
    "no address": (httpx.UnsupportedProtocol("missing http://"), "not a web address"),
}


@pytest.mark.parametrize(("name", "error"), RECORDED, ids=[name for name, _ in RECORDED])
async def test_recorded_refusals(name: str, error: type[PlaneError]) -> None:
    with pytest.raises(PlaneError) as caught:
        await connect(always(recorded(name))).issues(WEB)

    assert isinstance(caught.value, error)
    assert caught.value.what == "the issues of WEB of workspace 'acme' at https://plane.test"


@pytest.mark.parametrize(("answer", "error", "text"), MADE_UP.values(), ids=MADE_UP)
async def test_other_answers(answer: httpx.Response, error: type[PlaneError], text: str) -> None:
    with pytest.raises(PlaneError, match=text) as caught:
        await connect(always(answer)).projects()
    assert type(caught.value) is error


@pytest.mark.parametrize(("failure", "text"), BROKEN.values(), ids=BROKEN)
async def test_no_answer_is_unreachable(failure: Exception, text: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(Unreachable, match=text) as caught:
        await connect(handler).projects()
    assert caught.value.retry_after is None


SENT = "Sat, 21 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "58"}, 58),
        ({}, 60),
        ({"retry-after": ""}, 60),
        ({"retry-after": "soon"}, 60),
        ({"retry-after": "-5"}, 60),
        ({"retry-after": "1.5"}, 60),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "9" * 400}, 3600),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:42 GMT", "date": SENT}, 42),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:42 -0000", "date": SENT}, 42),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT", "date": SENT}, 1),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:42 GMT"}, 60),
        ({"retry-after": "Sat, 21 Nov 99999 10:00:42 GMT", "date": SENT}, 60),
    ],
)
async def test_throttled_says_when_to_come_back(headers: dict[str, str], seconds: float) -> None:
    body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    answer = httpx.Response(429, headers=headers, json=body)

    with pytest.raises(Throttled) as caught:
        await connect(always(answer)).issues(WEB)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(("headers", "seconds"), [({}, None), ({"retry-after": "30"}, 30.0)])
async def test_a_server_error_hands_on_its_retry_after(
    headers: dict[str, str], seconds: float | None
) -> None:
    with pytest.raises(Unreachable) as caught:
        await connect(always(httpx.Response(503, headers=headers))).projects()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [429, 500, 302])
async def test_an_error_on_a_later_page_is_no_shorter_list(status: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if "cursor" in request.url.params:
            return httpx.Response(status, headers={"location": "/login"})
        return httpx.Response(200, json=page([row(1)], next_page_results=True, total_results=2))

    with pytest.raises(PlaneError):
        await connect(handler).issues(WEB)


async def test_redirects_are_not_followed() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": "https://elsewhere.test/"})

    with pytest.raises(NotPlane):
        await connect(handler).projects()
    assert asked == ["plane.test"]


async def test_an_answer_may_be_compressed() -> None:
    body = gzip.compress(httpx.Response(200, json=page([row(1)])).content)
    answer = httpx.Response(200, headers={**JSON, "content-encoding": "gzip"}, content=body)

    assert len((await connect(always(answer)).issues(WEB)).items) == 1


async def test_broken_compression_is_a_bad_answer() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"not gzip"

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={**JSON, "content-encoding": "gzip"}, content=pieces())

    with pytest.raises(BadAnswer, match="compression"):
        await connect(handler).projects()


async def test_an_answer_packed_twice_is_not_unpacked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield gzip.compress(gzip.compress(b"[]"))

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={**JSON, "content-encoding": "gzip, gzip"}, content=pieces())

    with pytest.raises(BadAnswer, match="not asked for"):
        await connect(handler).projects()


async def test_an_answer_without_bounds_is_given_up() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1024

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=JSON, content=endless())

    client = open_client(KEY, httpx.MockTransport(handler))
    with pytest.raises(BadAnswer, match="larger than 10,000 bytes"):
        await fetch(client, "https://plane.test/", {}, "it", limit=10_000)


async def test_an_answer_that_only_drips_is_given_up() -> None:
    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=JSON, content=drips())

    client = open_client(KEY, httpx.MockTransport(handler))
    with pytest.raises(Unreachable, match="no answer in time"):
        await fetch(client, "https://plane.test/", {}, "it", seconds=0.05)


LEAKS: list[httpx.Response | Exception] = [
    *(answer for answer, _, _ in MADE_UP.values()),
    *(failure for failure, _ in BROKEN.values()),
    httpx.Response(403, json={"detail": f"Given API token is not valid: {KEY}"}),
    httpx.Response(400, json={"detail": f"Cannot exceed {KEY}"}),
    httpx.Response(
        200, json={"results": [{"id": KEY * 9}, {"id": 1, "name": KEY}], "next_page_results": False}
    ),
    httpx.Response(200, json=page([row(1, target_date=KEY), row(2)])),
    httpx.LocalProtocolError(f"Illegal header value b'{KEY}'"),
]


@pytest.mark.parametrize("outcome", LEAKS)
async def test_the_key_is_in_no_error_log_or_repr(
    outcome: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if isinstance(outcome, Exception):
            raise outcome
        assert request.headers["x-api-key"] == KEY
        return outcome

    caplog.set_level(logging.DEBUG)
    plane = connect(handler, url="https://user:pass-word@plane.test")
    shown = [repr(plane), str(vars(plane))]
    try:
        await plane.issues(WEB)
    except PlaneError as error:
        shown += [str(error), repr(error), str(vars(error)), repr(error.__cause__)]

    ours = [record.getMessage() for record in caplog.records if record.name == "icsfeed.plane"]
    assert not any(KEY in text for text in (*shown, caplog.text))
    assert "pass-word" not in "".join((repr(plane), *shown[2:], *ours))


@pytest.mark.parametrize("key", ["schlüssel", "  spaced ", "half \ud800", "", "漢"])
async def test_any_text_can_be_sent_as_a_key_and_refused(key: str) -> None:
    with pytest.raises(KeyRefused):
        await connect(always(recorded("err-401-invalid-key")), key=key).projects()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(answer: bytes) -> AsyncIterator[str]:
    """A real server that reads a request, says `answer` and hangs up; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64 * 1024)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _projects(url: str, key: str = KEY) -> object:
    async with open_client(key, httpx.AsyncHTTPTransport()) as client:
        return await PlaneClient(url, "acme", client=client).projects()


async def test_a_key_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    async with served(b"") as url:
        with pytest.raises(KeyRefused) as caught:
            await _projects(url, "plane_api\nsecret")
    assert "secret" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"r',
    ],
    ids=["silent", "another protocol", "cut off on the way"],
)
async def test_a_real_server_that_breaks_off_is_unreachable(answer: bytes) -> None:
    async with served(answer) as url:
        with pytest.raises(Unreachable, match="no connection"):
            await _projects(url)


async def test_a_real_port_where_nobody_listens_is_unreachable() -> None:
    async with served(b"") as url:
        pass
    with pytest.raises(Unreachable, match="no connection"):
        await _projects(url)


async def test_tls_where_there_is_none_is_unreachable() -> None:
    async with served(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        with pytest.raises(Unreachable, match="does not speak TLS there: try http"):
            await _projects(url.replace("http:", "https:"))


class Rotated:
    """A Plane that accepts one key, and the file that the key is in."""

    def __init__(self, key: str, file: str | None) -> None:
        self.key, self.file, self.reads = key, file, 0
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.headers["x-api-key"])
        if self.sent[-1] != self.key:
            return httpx.Response(403, json={"detail": "Given API token is not valid"})
        return httpx.Response(200, json=page([row(1)]))

    def read(self) -> str | None:
        self.reads += 1
        return self.file

    def client(self, key: str = "old") -> PlaneClient:
        http = open_client(key, httpx.MockTransport(self))
        return PlaneClient("https://plane.test", "acme", client=http, read_key=self.read)


async def test_a_refused_key_is_read_again_from_its_file() -> None:
    plane = Rotated("new", " new ")
    client = plane.client()
    assert len((await client.issues(WEB)).items) == 1
    assert (plane.sent, plane.reads) == (["old", "new"], 1)
    await client.issues(WEB)
    assert (plane.sent, plane.reads) == (["old", "new", "new"], 1), "and kept"


async def test_requests_that_were_under_way_with_the_old_key_are_made_again() -> None:
    plane = Rotated("new", "new")
    client = plane.client()
    found = await asyncio.gather(*(client.issues(WEB) for _ in range(4)))
    assert [len(one.items) for one in found] == [1] * 4


@pytest.mark.parametrize("file", ["old", None, "", "also wrong"])
async def test_a_key_that_stays_refused_is_an_error(file: str | None) -> None:
    plane = Rotated("new", file)
    with pytest.raises(KeyRefused):
        await plane.client().issues(WEB)
    assert len(plane.sent) <= 2
