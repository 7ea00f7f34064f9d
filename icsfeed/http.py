"""What all our HTTP clients need: proxies and certificates, bounded bodies, Retry-After, failures in words.

httpx reads the proxy variables by itself, but 0.28 fails on values that curl accepts (`NO_PROXY=[::1]`),
and its errors name neither the variable nor the proxy.
"""

import os
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import httpx
from msgspec import Struct

from icsfeed import __version__
from icsfeed.errors import BadSetting, InvalidValue
from icsfeed.hosts import ascii_host
from icsfeed.http_headers import parse_http_date

USER_AGENT = f"icsfeed/{__version__}"
ACCEPT_ENCODING = "gzip"
"""httpx would ask for all that is installed (br, zstd), and unpack whatever it receives in one go."""

CHUNK_BYTES = 64 * 1024
"""Bytes that are unpacked at once: a thousand times what was sent, where it was made to exhaust memory."""
EXCERPT_LENGTH = 200
"""Characters of a server's own words that are shown."""
MAX_PORT = 65535
_COMPRESSED = ("gzip", "x-gzip", "deflate")


def open_http(
    url: str,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
    ca_file: str | None = None,
    limits: httpx.Limits | None = None,
    **options: Any,
) -> httpx.AsyncClient:
    """Return a client for requests to `url`, and to where that redirects.

    `ca_file` adds to the trusted certificates. `transport` replaces the network; then the environment is
    not read. Raises BadSetting that names the variable which cannot be used.
    """
    if transport is None:
        context = trusted(environ, ca_file)
        transport = ProxyTransport(environ, context, limits or httpx.Limits())
        with suppress(InvalidValue):  # The first request says what is wrong with an address.
            transport.proxy_for(web_address(url))
    return httpx.AsyncClient(transport=transport, trust_env=False, **options)


def web_address(text: str) -> httpx.URL:
    """Parse an address that a person or a server gave. Raise InvalidValue if no request can be sent to it."""
    try:
        url = httpx.URL(text.strip())
        host = url.host  # httpx decodes it only here
    except (httpx.InvalidURL, UnicodeError):
        raise InvalidValue("it is not a web address") from None
    if url.scheme not in ("http", "https") or not host:
        raise InvalidValue("it must begin with https:// or http:// and a host")
    if ":" not in host:
        ascii_host(host)
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        raise InvalidValue("it is not a web address: its port must be from 1 to 65535")
    return url


def shorten(text: str) -> str:
    """Return a server's own words as one line of at most 200 characters, for a message."""
    return " ".join(text.split())[:EXCERPT_LENGTH]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After in seconds from now (RFC 9110, 10.2.3); None where it is missing or cannot be read.

    `headers` are looked up in lower case.
    """
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    # A date is compared with the response's own Date, so that the two clocks need not agree.
    until, now = parse_http_date(value), parse_http_date(headers.get("date", ""))
    return max(0.0, (until - now).total_seconds()) if until and now else None


async def body_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body of a streamed response; a compressed one is unpacked in chunks of `CHUNK_BYTES` at most.

    Raises httpx.DecodingError, with a text for people, for a coding other than gzip and deflate, for
    several codings, and for a body that cannot be unpacked.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    # Compressed twice, a kilobyte can hold gigabytes before anything is counted: httpx would unpack both.
    if coding not in ("", "identity", *_COMPRESSED):
        raise httpx.DecodingError("it is compressed in a way that was not asked for")
    if coding not in _COMPRESSED:
        async for received in response.aiter_bytes():
            yield received
        return
    # Not by httpx 0.28, which unpacks each received chunk at once: 64 KiB can become 64 MiB.
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
    is_empty = True
    async for received in cast(httpx.AsyncByteStream, response.stream):
        is_empty = is_empty and not received
        try:
            while chunk := unpacker.decompress(received, CHUNK_BYTES):
                yield chunk
                received = unpacker.unconsumed_tail
        except zlib.error:
            raise httpx.DecodingError("its compression is broken") from None
    if not is_empty and not unpacker.eof:
        raise httpx.DecodingError("its compression is cut off")


async def read_body(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Return the first `limit` bytes of a body, unpacked, and whether that is all of it."""
    body = bytearray()
    async for chunk in body_chunks(response):
        body += chunk
        if len(body) > limit:
            return bytes(body[:limit]), False
    return bytes(body), True


FailureKind: TypeAlias = Literal[
    "timeout", "url", "redirect", "header", "encoding", "certificate", "tls", "connection"
]

REQUEST_ERRORS = (
    *(TimeoutError, UnicodeError, ssl.SSLError),
    *(httpx.TransportError, httpx.DecodingError, httpx.InvalidURL),
)
"""What a request and the reading of its response raise when the server, or the way to it, fails."""


class RequestFailure(NamedTuple):
    """Why there is no usable response. `text` is for a person, and holds no secret."""

    kind: FailureKind
    text: str


def request_failure(error: Exception) -> RequestFailure:
    """Return what one of `REQUEST_ERRORS` means."""
    words = shorten(str(error))
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return RequestFailure("timeout", "no answer in time")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return RequestFailure("url", "its address is not a web address")
        case UnicodeError():  # httpx 0.28 parses the host of a redirect even when it does not follow it.
            return RequestFailure("redirect", "it redirects to what is not a web address")
        case httpx.LocalProtocolError():  # Its text quotes the header: a key or a password.
            return RequestFailure("header", "a header holds characters that cannot be sent")
        case httpx.DecodingError():
            return RequestFailure("encoding", words)
    if "WRONG_VERSION_NUMBER" in words.upper():
        return RequestFailure(
            "tls", "it does not speak TLS there: try http:// in place of https://, or another port"
        )
    # Words of OpenSSL, and not any name in a proxy's address: `ssl-proxy.example.com` refuses a connection.
    if "CERTIFICATE_VERIFY" in words.upper():
        return RequestFailure("certificate", f"its TLS certificate is not accepted ({words})")
    if isinstance(error, ssl.SSLError) or "[SSL" in words or "_ssl.c" in words:
        return RequestFailure("tls", f"TLS fails ({words}): is it https:// there, and on this port?")
    return RequestFailure("connection", f"no connection ({words or type(error).__name__})")


def trusted(environ: Mapping[str, str], ca_file: str | None = None) -> ssl.SSLContext:
    """Return the certificates to trust: those of SSL_CERT_FILE, SSL_CERT_DIR or httpx; and of `ca_file`.

    With `ca_file` the system's own authorities are trusted too. Raises BadSetting.
    """
    file, folders = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _add_file(context, file, "SSL_CERT_FILE")
    elif folders:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _add_folders(context, folders)
    else:
        try:
            context = httpx.create_ssl_context(trust_env=False)
        except OSError as error:  # Python opens SSLKEYLOGFILE with every default context.
            raise BadSetting("SSLKEYLOGFILE", f"the file cannot be written: {error.strerror}") from None
    if ca_file is not None:
        if not (file or folders):
            context.load_default_certs()
        _add_file(context, ca_file, "ca_file")
    return context


def _add_file(context: ssl.SSLContext, file: str, name: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        raise BadSetting(name, f"{file} holds no certificate that can be used (PEM)") from None
    except OSError as error:
        raise BadSetting(name, f"{file} cannot be read: {error.strerror}") from None


def _add_folders(context: ssl.SSLContext, folders: str) -> None:
    # OpenSSL opens a folder only while it verifies, and passes over one that is not prepared.
    names: list[str] = []
    for folder in folders.split(os.pathsep):
        with suppress(OSError):
            names += (path.name for path in Path(folder).iterdir())
    if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in names):
        message = f"{folders} holds no certificates: it must be a folder prepared with `openssl rehash`"
        raise BadSetting("SSL_CERT_DIR", message)
    context.load_verify_locations(capath=folders)


class Proxy(Struct, frozen=True):
    """A proxy and the variable that names it. `shown` is its address without user name and password."""

    variable: str
    url: httpx.URL
    shown: str


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends each request directly, or through the proxy that the environment names for it.

    Errors of a proxied request say so. Raises BadSetting when its proxy cannot be used.
    """

    def __init__(self, environ: Mapping[str, str], context: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._environ, self._context, self._limits = environ, context, limits
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for requests to `url`; None: they go directly."""
        for name in (f"{url.scheme}_proxy", "all_proxy"):
            variable = name if name in self._environ else name.upper()
            if value := self._environ.get(variable, "").strip():
                no_proxy = self._environ.get("no_proxy", self._environ.get("NO_PROXY", ""))
                return None if is_excluded(url, no_proxy) else _parse_proxy(variable, value)
        return None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, as httpx.AsyncBaseTransport says."""
        proxy = self.proxy_for(request.url)
        if proxy is None:
            return await self._transport(None).handle_async_request(request)
        through = f"through the proxy {proxy.shown} that {proxy.variable} names"
        try:
            response = await self._transport(proxy).handle_async_request(request)
        except httpx.LocalProtocolError:
            raise
        except httpx.TimeoutException:
            raise httpx.ProxyError(f"no answer in time {through}") from None
        except (httpx.TransportError, ssl.SSLError) as error:
            raise httpx.ProxyError(f"{str(error) or type(error).__name__}, {through}") from None
        if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise httpx.ProxyError(f"407 Proxy Authentication Required, {through}")
        return response

    def _transport(self, proxy: Proxy | None) -> httpx.AsyncHTTPTransport:
        key = str(proxy.url) if proxy else ""
        if key not in self._transports:
            # httpx accepts certificates to trust only for a proxy that is itself reached over TLS.
            context = self._context if proxy and proxy.url.scheme == "https" else None
            self._transports[key] = httpx.AsyncHTTPTransport(
                verify=self._context,
                limits=self._limits,
                trust_env=False,
                proxy=httpx.Proxy(proxy.url, ssl_context=context) if proxy else None,
            )
        return self._transports[key]

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()


def _parse_proxy(variable: str, value: str) -> Proxy:
    """Raise BadSetting if a proxy cannot be used. No message shows the value: it may hold a password."""
    scheme = value.partition("://")[0].lower() if "://" in value else "http"
    if scheme not in ("http", "https"):
        shown = f"{scheme}://" if re.fullmatch("[a-z0-9+.-]{1,20}", scheme) else "its scheme"
        raise BadSetting(variable, f"{shown} is not supported: name an http:// or https:// proxy")
    try:
        url = web_address(value if "://" in value else f"http://{value}")
    except InvalidValue:
        text = "is not the address of a proxy, such as http://proxy.example.com:3128"
        raise BadSetting(variable, text) from None
    return Proxy(variable, url, f"{url.scheme}://{url.netloc.decode()}")


def is_excluded(url: httpx.URL, no_proxy: str) -> bool:
    """Return whether NO_PROXY names this address: `*`, a domain, an IP address or network, each with a port
    or without. A domain includes its subdomains, as in curl.
    """
    return any(_names_host(entry, url) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _names_host(entry: str, url: httpx.URL) -> bool:
    if entry == "*":
        return True
    scheme, separator, rest = entry.rpartition("://")
    host, port = rest.rstrip("/"), ""
    # An IPv6 address has a port only behind brackets.
    if match := re.fullmatch(r"\[([^\]]*)\](/\d+)?(?::(\d+))?|([^:]+):(\d+)", host):
        host, port = (match[1] or match[4] or "") + (match[2] or ""), match[3] or match[5] or ""
    url_port = url.port or (443 if url.scheme == "https" else 80)
    if (separator and scheme not in ("all", url.scheme)) or (port and port != str(url_port)):
        return False
    try:
        network = ip_network(host, strict=False)
    except ValueError:
        domain = host.lstrip("*").strip(".")
        names = {url.host.lower().rstrip("."), url.raw_host.decode("ascii").lower().rstrip(".")}
        return any(bool(domain) and f".{name}".endswith(f".{domain}") for name in names)
    try:
        return ip_address(url.host) in network
    except ValueError:
        return False
