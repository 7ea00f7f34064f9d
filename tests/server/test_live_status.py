"""The health of a running server, as it reports it."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trustme

from icsfeed.errors import BadSetting, InvalidValue
from icsfeed.server.live_status import MAX_BODY_BYTES, NOT_ICSFEED, LiveState, live_state

pytestmark = pytest.mark.anyio
Site = Callable[[httpx.Request], httpx.Response]
OTHER_SERVER = LiveState(False, False, NOT_ICSFEED)
GOOD = {"copies": {"acme": {"ready": True, "problem": None}}, "store": "ok", "configuration": "ok"}


def reporting(body: object, status: int = 200) -> Site:
    def site(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/health"
        return httpx.Response(status, json=body)

    return site


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (GOOD, LiveState(True, True)),
        ({**GOOD, "copies": {}}, LiveState(True, True)),
        ({**GOOD, "store": "failing"}, LiveState(True, True, {"store": "failing"})),
        ({**GOOD, "feeds": "misconfigured"}, LiveState(True, True, {"feeds": "misconfigured"})),
        ({**GOOD, "configuration": "invalid"}, LiveState(True, True, {"configuration": "invalid"})),
        (
            {**GOOD, "copies": {"acme": {"ready": True, "problem": "key refused"}}},
            LiveState(True, True, {"acme": "key refused"}),
        ),
        (
            {**GOOD, "copies": {"a": {"ready": False}, "b": {"ready": False, "problem": "unreachable"}}},
            LiveState(True, False, {"a": "not read yet", "b": "unreachable"}),
        ),
        ({"status": "ok"}, OTHER_SERVER),
        ({"copies": ["acme"]}, OTHER_SERVER),
        ({"copies": {"acme": 1}}, OTHER_SERVER),
        (["healthy"], OTHER_SERVER),
    ],
)
async def test_the_state_is_what_the_server_reports(body: object, expected: LiveState) -> None:
    assert await live_state("http://x/", transport=httpx.MockTransport(reporting(body))) == expected


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(200, content=b" " * MAX_BODY_BYTES + b'{"copies": {}}'),
    ],
)
async def test_other_servers_are_recognised(answer: httpx.Response) -> None:
    assert await live_state("http://x", transport=httpx.MockTransport(lambda _: answer)) == OTHER_SERVER


@pytest.mark.parametrize(("status", "expected"), [("healthy", LiveState(True, True)), ("ok", OTHER_SERVER)])
async def test_only_whether_it_answers(status: str, expected: LiveState) -> None:
    def site(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/health"
        return httpx.Response(200, json={"status": status})

    assert await live_state("http://x", only_live=True, transport=httpx.MockTransport(site)) == expected


async def test_no_answer_is_a_state_and_a_bad_address_an_error() -> None:
    def site(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("")

    actual = await live_state("http://x", transport=httpx.MockTransport(site))
    assert actual == LiveState(False, False, {"server": "no answer in time"})
    for url in ("http://x:port", "nonsense", "http://127.0.0.1:99999", "ftp://x", "http://a..b"):
        with pytest.raises(InvalidValue, match=r"web address|must begin with https://|host name"):
            await live_state(url)


async def test_the_certificate_authorities_of_the_environment_are_trusted(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status":"healthy"}')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        known = await live_state(url, only_live=True, environ={"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
        assert known == LiveState(True, True)
        assert "certificate" in (await live_state(url, only_live=True, environ={})).problems["server"].lower()
        with pytest.raises(BadSetting):
            await live_state(url, environ={"SSL_CERT_FILE": str(tmp_path / "missing.pem")})
