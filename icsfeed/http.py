"""HTTP clients with what the environment says of outgoing connections: proxies and trusted certificates.

httpx reads the same variables by itself, but fails on values that curl accepts (`NO_PROXY=[::1]`), and
its errors name neither the variable nor the proxy.
"""

import os
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from icsfeed.errors import BadSetting, Unfit
from icsfeed.hosts import ascii_host

LARGEST_PORT = 65535


def open_http(
    url: str,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
    ca_file: str | None = None,
    limits: httpx.Limits | None = None,
    **options: Any,
) -> httpx.AsyncClient:
    """A client for requests to `url`, and to where that redirects.

    `ca_file` adds to the trusted certificates. `transport` replaces the network, and
    then the environment is not read. Raises BadSetting that names the variable that cannot be used.
    """
    if transport is None:
        context = trusted(environ, ca_file)
        transport = ProxyTransport(environ, context, limits or httpx.Limits())
        with suppress(Unfit):  # The first request says what is wrong with an address.
            transport.proxy_for(web_address(url))
    return httpx.AsyncClient(transport=transport, trust_env=False, **options)


def web_address(text: str) -> httpx.URL:
    """The address that a person or a server gives, if it can be asked. Raises Unfit."""
    try:
        url = httpx.URL(text.strip())
        host = url.host  # httpx decodes it only here
    except (httpx.InvalidURL, UnicodeError):
        raise Unfit("it is not a web address") from None
    if url.scheme not in ("http", "https") or not host:
        raise Unfit("it must begin with https:// or http:// and a host")
    if ":" not in host:
        try:
            ascii_host(host)
        except ValueError as error:
            raise Unfit(str(error)) from None
    if url.port is not None and not 0 < url.port <= LARGEST_PORT:
        raise Unfit("it is not a web address: its port must be from 1 to 65535")
    return url


def trusted(environ: Mapping[str, str], ca_file: str | None = None) -> ssl.SSLContext:
    """The certificates to trust: those of SSL_CERT_FILE, SSL_CERT_DIR or httpx; and those of `ca_file`.

    With `ca_file` the system's own authorities count too. Raises BadSetting.
    """
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _add_file(context, file, "SSL_CERT_FILE")
    elif folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _add_folders(context, folder)
    else:
        try:
            context = httpx.create_ssl_context(trust_env=False)
        except OSError as error:  # Python opens the file of keys with every default context.
            raise BadSetting("SSLKEYLOGFILE", f"the file cannot be written: {error.strerror}") from None
    if ca_file is not None:
        if not (file or folder):
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
    """Folders of certificates under the names that `openssl rehash` gives: OpenSSL reads them late."""
    found = [name for folder in folders.split(os.pathsep) for name in _names(folder)]
    if not any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in found):
        message = f"{folders} holds no certificates: it must be a folder prepared with `openssl rehash`"
        raise BadSetting("SSL_CERT_DIR", message)
    context.load_verify_locations(capath=folders)


def _names(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        return []


class Proxy(Struct, frozen=True):
    """A proxy and the variable that names it. `shown` is its address without a user name and password."""

    variable: str
    url: httpx.URL
    shown: str


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy that the environment names for it.

    Errors of a proxied request say so. Raises BadSetting when its proxy cannot be used.
    """

    def __init__(self, environ: Mapping[str, str], context: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._environ, self._context, self._limits = environ, context, limits
        self._open: dict[str, httpx.AsyncHTTPTransport] = {}

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """The proxy for requests to `url`; None: they go directly."""
        for name in (f"{url.scheme}_proxy", "all_proxy"):
            variable = name if name in self._environ else name.upper()
            if value := self._environ.get(variable, "").strip():
                excluded = self._environ.get("no_proxy", self._environ.get("NO_PROXY", ""))
                return None if is_excluded(url, excluded) else _proxy(variable, value)
        return None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx.AsyncBaseTransport."""
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
        if key not in self._open:
            self._open[key] = httpx.AsyncHTTPTransport(
                verify=self._context,
                limits=self._limits,
                trust_env=False,
                proxy=httpx.Proxy(proxy.url, ssl_context=_for_proxy(proxy, self._context)) if proxy else None,
            )
        return self._open[key]

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._open.values():
            await transport.aclose()


def _for_proxy(proxy: Proxy, context: ssl.SSLContext) -> ssl.SSLContext | None:
    """The certificates to trust of a proxy that is itself reached by TLS; httpx takes them for no other."""
    return context if proxy.url.scheme == "https" else None


def _proxy(variable: str, value: str) -> Proxy:
    """Raises BadSetting. No message shows the value: it may hold a password."""
    scheme = value.partition("://")[0].lower() if "://" in value else "http"
    if scheme not in ("http", "https"):
        shown = f"{scheme}://" if re.fullmatch("[a-z0-9+.-]{1,20}", scheme) else "its scheme"
        raise BadSetting(variable, f"{shown} is not supported: name an http:// or https:// proxy")
    try:
        url = web_address(value if "://" in value else f"http://{value}")
    except Unfit:
        text = "is not the address of a proxy, such as http://proxy.example.com:3128"
        raise BadSetting(variable, text) from None
    return Proxy(variable, url, f"{url.scheme}://{url.netloc.decode()}")


def is_excluded(url: httpx.URL, no_proxy: str) -> bool:
    """Whether NO_PROXY names this address: `*`, a domain, an IP address or network, with a port or without.

    A domain includes its subdomains, as in curl.
    """
    return any(_names_host(entry, url) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _names_host(entry: str, url: httpx.URL) -> bool:
    if entry == "*":
        return True
    scheme, separator, rest = entry.rpartition("://")
    host, port = _split(rest.rstrip("/"))
    if (separator and scheme not in ("all", url.scheme)) or (port and port != str(_port(url))):
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


def _split(entry: str) -> tuple[str, str]:
    """Host and port. An IPv6 address has a port only behind brackets."""
    found = re.fullmatch(r"\[([^\]]*)\](/\d+)?(?::(\d+))?|([^:]+):(\d+)", entry)
    if not found:
        return entry, ""
    return (found[1] + (found[2] or ""), found[3] or "") if found[1] is not None else (found[4], found[5])


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
