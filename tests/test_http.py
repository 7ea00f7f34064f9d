"""Outgoing requests: proxies and certificates, bounded bodies, Retry-After, and what errors say."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.errors import BadSetting, ConfigError
from icsfeed.http import (
    REQUEST_ERRORS,
    is_excluded,
    open_http,
    read_body,
    request_failure,
    retry_after,
    shorten,
    trusted,
)

pytestmark = pytest.mark.anyio
PLANE = "https://plane.example.com/api/"
NOON = "Wed, 25 Nov 2026 12:00:00 GMT"


@asynccontextmanager
async def proxy_answering(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that gives one answer to whatever is asked; its port and the first lines."""
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


@pytest.mark.parametrize(
    ("url", "no_proxy", "excluded"),
    [
        ("http://localhost:8000", "localhost,[::1]", True),
        ("http://[::1]:8000", "localhost,[::1]", True),
        ("http://[::1]:8000", "::1", True),
        ("http://[::1]:8000", "[::1]:9000", False),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://[fd00::7]/", "fd00::/8", True),
        ("http://[fd00::7]/", "[fd00::]/8", True),
        ("https://10.2.3.4/", "10.0.0.0/8", True),
        ("https://11.2.3.4/", "10.0.0.0/8", False),
        ("https://plane.example.com", ".example.com", True),
        ("https://plane.example.com", "*.example.com", True),
        ("https://plane.example.com", "EXAMPLE.com", True),
        ("https://example.com", ".example.com", True),
        ("https://plane.notexample.com", "example.com", False),
        ("https://plane.example.com", "plane.example.com:443", True),
        ("https://plane.example.com", "plane.example.com:80", False),
        ("https://plane.example.com", "http://plane.example.com", False),
        ("https://plane.example.com", "*", True),
        ("https://plane.example.com", "a b, *", True),
        ("https://plane.example.com", "", False),
        ("https://plane.example.com", "[, ]::, :, ://, /, *.", False),
        ("https://müller.example", "müller.example", True),
        ("https://müller.example", "xn--mller-kva.example", True),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(url: str, no_proxy: str, excluded: bool) -> None:
    assert is_excluded(httpx.URL(url), no_proxy) is excluded


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"HTTPS_PROXY": "socks5://u:pass@p:1080"}, "HTTPS_PROXY"),
        ({"https_proxy": "ftp://u:pass@p"}, "https_proxy"),
        ({"ALL_PROXY": "socks5h://u:pass@p:1080"}, "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://u:pass@p:pass"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://[pass"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://u:pass@127.0.0.1:99999"}, "https_proxy"),
        ({"https_proxy": "http://127.0.0.1:0"}, "https_proxy"),
        ({"ALL_PROXY": "http://u:pass@xn--a:1"}, "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://a..b:1"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": f"http://{'a' * 300}"}, "HTTPS_PROXY"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_FILE": "/dev/null"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_FILE": "/"}, "SSL_CERT_FILE"),
        ({"SSL_CERT_DIR": "/nowhere"}, "SSL_CERT_DIR"),
        ({"SSL_CERT_DIR": "/dev"}, "SSL_CERT_DIR"),
    ],
)
async def test_an_unusable_value_is_one_line_that_names_the_variable(
    environ: Mapping[str, str], variable: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        open_http(PLANE, environ=environ)
    text = str(refused.value)
    assert text.startswith(f"{variable}: ")
    assert "\n" not in text
    assert "pass" not in text
    assert isinstance(refused.value, ConfigError)


@pytest.mark.parametrize(
    "environ",
    [
        {"ALL_PROXY": "socks5://p:1080", "HTTPS_PROXY": "http://p:3128"},
        {"HTTP_PROXY": "ftp://p"},
        {"HTTPS_PROXY": "socks5://p", "NO_PROXY": ".example.com"},
        {"HTTPS_PROXY": "socks5://p", "https_proxy": ""},
        {"HTTPS_PROXY": "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
    ],
)
async def test_a_wrong_variable_that_is_not_needed_is_ignored(environ: Mapping[str, str]) -> None:
    async with open_http(PLANE, environ=environ):
        pass


async def test_a_proxy_without_a_scheme_is_an_http_proxy() -> None:
    async with proxy_answering(OK) as (port, asked):
        environ = {"http_proxy": f"127.0.0.1:{port}", "NO_PROXY": "localhost,[::1]"}
        async with open_http("http://plane.invalid/x", environ=environ) as client:
            assert (await client.get("http://plane.invalid/x")).text == "hi"
    assert asked[0].startswith(b"GET http://plane.invalid/x HTTP/1.1")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_error_of_a_proxied_request_says_so_without_its_password(scheme: str) -> None:
    async with proxy_answering(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as (port, asked):
        shown = f"http://127.0.0.1:{port}"
        environ = {"ALL_PROXY": f"http://user:hidden@127.0.0.1:{port}"}
        async with open_http(f"{scheme}://plane.invalid/", environ=environ) as client:
            with pytest.raises(httpx.ProxyError) as refused:
                await client.get(f"{scheme}://plane.invalid/")
    assert "407" in str(refused.value)
    assert f"through the proxy {shown} that ALL_PROXY names" in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert b"Proxy-Authorization: Basic" in asked[0]


async def test_an_unreachable_proxy_is_named(free_tcp_port: int) -> None:
    environ = {"HTTPS_PROXY": f"http://127.0.0.1:{free_tcp_port}"}
    async with open_http(PLANE, environ=environ) as client:
        with pytest.raises(httpx.ProxyError, match=f"127.0.0.1:{free_tcp_port} that HTTPS_PROXY names"):
            await client.get(PLANE)


def test_certificates_of_a_file_are_added_to_the_trusted_ones(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    plain, more = len(trusted({}).get_ca_certs()), len(trusted({}, str(authority)).get_ca_certs())
    assert more > plain > 50
    assert len(trusted({"SSL_CERT_FILE": str(authority)}).get_ca_certs()) == 1


def test_a_file_of_tls_keys_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys")
    with pytest.raises(BadSetting, match="SSLKEYLOGFILE"):
        trusted({})


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7),
        (" 0 ", "", 0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", NOON, 30),
        ("Wed, 25 Nov 2026 12:00:30 -0000", NOON, 30),
        ("Wed, 25 Nov 2026 11:00:00 GMT", NOON, 0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", "", None),
        ("Wed, 25 Nov 2026 12:00:30 GMT", "today", None),
        *((value, NOON, None) for value in ("soon", "-5", "1.5", "", "Wed, 25 Nov 99999 12:00:30 GMT")),
    ],
)
def test_retry_after_is_in_seconds_or_a_date_by_the_servers_own_clock(
    value: str, date: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": value, **({"date": date} if date else {})}) == seconds


@given(st.text(), st.text())
def test_any_headers_give_seconds_or_nothing(value: str, date: str) -> None:
    seconds = retry_after({"retry-after": value, "date": date})
    assert seconds is None or seconds >= 0


def test_a_servers_words_become_one_short_line() -> None:
    assert shorten(" a\r\n\tb  c ") == "a b c"
    assert len(shorten("word " * 1000)) == 200


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (TimeoutError(), "timeout", "no answer in time"),
        (httpx.ReadTimeout("slow"), "timeout", "no answer in time"),
        (httpx.InvalidURL("no"), "url", "not a web address"),
        (httpx.UnsupportedProtocol("missing http://"), "url", "not a web address"),
        (UnicodeError("label too long"), "redirect", "redirects to what is not a web address"),
        (httpx.LocalProtocolError("Illegal header value b'hidden'"), "header", "cannot be sent"),
        (httpx.DecodingError("its compression is broken"), "encoding", "its compression is broken"),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong"), "tls", "does not speak TLS there"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] expired"), "certificate", "expired"),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT] alert"), "tls", "TLSV1_ALERT"),
        (
            httpx.ConnectError("All connection attempts\nfailed"),
            "connection",
            "All connection attempts failed",
        ),
        (httpx.ReadError(""), "connection", "no connection (ReadError)"),
        (httpx.ProxyError("refused, through http://ssl-proxy.example.com"), "connection", "refused"),
        (httpx.ProxyError("refused, through http://certificate.example.com"), "connection", "refused"),
    ],
)
def test_a_failed_request_is_explained_without_its_secrets(error: Exception, kind: str, text: str) -> None:
    assert isinstance(error, REQUEST_ERRORS)
    failure = request_failure(error)
    assert failure.kind == kind
    assert text in failure.text
    assert "hidden" not in failure.text


@pytest.mark.parametrize(("limit", "is_whole"), [(5, False), (6, True), (7, True)])
@pytest.mark.parametrize("coding", ["", "identity", "gzip", "X-GZIP", "deflate"])
async def test_a_body_is_read_up_to_the_limit(coding: str, limit: int, is_whole: bool) -> None:
    zipped, body = gzip.compress(b"secret"), b"secret"
    content = {"gzip": zipped, "X-GZIP": zipped, "deflate": zlib.compress(body)}.get(coding, body)
    response = httpx.Response(200, headers={"Content-Encoding": coding}, stream=httpx.ByteStream(content))
    assert await read_body(response, limit) == (b"secret"[:limit], is_whole)


@pytest.mark.parametrize(
    ("coding", "content", "reason"),
    [
        ("br", b"x", "not asked for"),
        ("gzip, gzip", b"x", "not asked for"),
        ("gzip", b"plain", "broken"),
        ("gzip", gzip.compress(b"secret")[:-4], "cut off"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_says_why(coding: str, content: bytes, reason: str) -> None:
    response = httpx.Response(200, headers={"Content-Encoding": coding}, stream=httpx.ByteStream(content))
    with pytest.raises(httpx.DecodingError, match=reason):
        await read_body(response, 100)


async def test_an_empty_body_counts_as_unpacked() -> None:
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b""))
    assert await read_body(response, 100) == (b"", True)
