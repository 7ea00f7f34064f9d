"""Request a feed as each calendar app does: bounded in time and size, redirects followed by hand.

A user name and password in the address are sent to its own scheme, host and port only.
"""

import asyncio
import os
import re
import socket
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic
from urllib.robotparser import RobotFileParser

import httpx

from icsfeed.doctor.clients import CLIENTS
from icsfeed.doctor.observations import Observations, Reply
from icsfeed.errors import InvalidValue
from icsfeed.http import REQUEST_ERRORS, open_http, read_body, request_failure, web_address

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Bytes of an uncompressed body; what is beyond is not read."""
PEEK_BYTES = 4096
"""Bytes of a body that show whether it is a calendar."""
RESPONSE_SECONDS, TOTAL_SECONDS = 40.0, 180.0
"""For one response with its redirects, and for all together."""
MAX_REDIRECTS = 10
PLAIN = {"User-Agent": "icsfeed-doctor", "Accept": "*/*", "Accept-Encoding": "identity"}


def open_doctor(
    url: str,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
) -> httpx.AsyncClient:
    """Open an HTTP client that adds no headers, follows no redirects and keeps no cookies.

    Raises InvalidValue when `url` is no address, and ConfigError when the environment cannot be used.
    """
    # Calendar apps keep no cookies between requests.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    client = open_http(
        str(address(url)),
        transport=transport,
        environ=environ,
        timeout=httpx.Timeout(30, connect=5),
        cookies=no_cookies,
    )
    for name in ("accept", "accept-encoding", "user-agent"):
        del client.headers[name]
    return client


async def examine_url(url: str) -> Observations:
    """Return the responses of the feed at `url`, with a client of its own. Raises InvalidValue."""
    async with open_doctor(url) as client:
        return await examine(client, url)


async def examine(
    client: httpx.AsyncClient, url: str, timer: Callable[[], float] = monotonic
) -> Observations:
    """Return the responses of the feed at `url` (http, https or webcal). Raises InvalidValue."""
    asked = address(url)
    probe = _Probe(client, asked, timer, timer() + TOTAL_SECONDS)
    hosts = await _addresses(asked.host)
    first = await probe.ask(PLAIN)
    apps = {app.name: await probe.ask(app.headers, limit=PEEK_BYTES) for app in CLIENTS}
    head = await probe.ask(PLAIN, method="HEAD")
    authorized = await probe.ask({**PLAIN, "Authorization": "Bearer none"}, limit=PEEK_BYTES)
    zipped = await probe.ask({**PLAIN, "Accept-Encoding": "gzip"})
    again = await probe.ask(PLAIN)  # last, so that the validators below are of the newest state
    return Observations(
        url=str(asked.copy_with(userinfo=b"")),
        addresses=hosts,
        first=first,
        again=again,
        apps=apps,
        head=head,
        authorized=authorized,
        matched=await probe.ask_again(again, "etag", "If-None-Match"),
        since=await probe.ask_again(again, "last-modified", "If-Modified-Since"),
        zipped=zipped,
        robots=await probe.allows_google(),
    )


def address(url: str) -> httpx.URL:
    """Return the web address in a person's input; webcal becomes https. Raises InvalidValue."""
    return web_address(re.sub(r"^\s*webcals?:", "https:", url, flags=re.IGNORECASE))


class _Probe:
    """Sends requests to one address, until TOTAL_SECONDS are over."""

    def __init__(
        self, client: httpx.AsyncClient, url: httpx.URL, timer: Callable[[], float], until: float
    ) -> None:
        self.url = url
        self._client, self._timer, self._until = client, timer, until

    async def ask(
        self,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        limit: int = MAX_BODY_BYTES,
        path: str | None = None,
    ) -> Reply:
        """Return the response after all redirects; at most `limit` bytes of its body."""
        url = self.url if path is None else self.url.copy_with(raw_path=path.encode())
        started = self._timer()
        seconds = min(RESPONSE_SECONDS, self._until - started)
        if seconds <= 0:
            return Reply(reason=f"not requested: the others took {TOTAL_SECONDS:.0f} s")
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(method, url, headers, limit, started)
        except REQUEST_ERRORS as error:
            return Reply(reason=request_failure(error).text)

    async def ask_again(self, reply: Reply, validator: str, header: str) -> Reply | None:
        """Request the feed with a validator of an earlier response; None where that had none."""
        value = reply.headers.get(validator)
        return await self.ask({**PLAIN, header: value}, limit=PEEK_BYTES) if value else None

    async def allows_google(self) -> bool:
        """Return whether robots.txt lets Google read the feed; without one everybody may."""
        # Google reads 500 KiB of a robots.txt and ignores the rest.
        reply = await self.ask(PLAIN, limit=512 * 1024, path="/robots.txt")
        if not reply.is_good:
            return True
        rules = RobotFileParser()
        rules.parse(reply.body.decode("utf-8", "replace").splitlines())
        return rules.can_fetch("Google-Calendar-Importer", str(self.url.copy_with(userinfo=b"")))

    async def _follow(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], limit: int, started: float
    ) -> Reply:
        hops: list[str] = []
        for _ in range(MAX_REDIRECTS + 1):
            hops.append(f"{url.scheme}://{url.netloc.decode()}")
            request = self._client.build_request(method, url, headers=headers)
            response = await self._client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    body, is_whole = await read_body(response, limit)
                    lower = {name.lower(): value for name, value in response.headers.items()}
                    return Reply(
                        status=response.status_code,
                        headers=lower,
                        body=body,
                        is_whole=is_whole,
                        hops=tuple(hops),
                        seconds=self._timer() - started,
                    )
                url = web_address(str(url.join(response.headers["location"])))
                # The user name and password only go where they were given for.
                userinfo = self.url.userinfo if _origin(url) == _origin(self.url) else b""
                url = url.copy_with(userinfo=userinfo)
            except (InvalidValue, ValueError, httpx.InvalidURL):
                return Reply(reason="it redirects to something that is not a web address")
            finally:
                await response.aclose()
            if _origin(url) != _origin(self.url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
        return Reply(reason=f"it redirects more than {MAX_REDIRECTS} times")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


async def _addresses(host: str) -> tuple[str, ...]:
    """Return the IP addresses of a host; none where its name cannot be resolved."""
    loop = asyncio.get_running_loop()
    try:
        entries = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(where[0]).partition("%")[0] for *_, where in entries))
