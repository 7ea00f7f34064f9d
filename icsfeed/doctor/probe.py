"""Asks for a feed in each way that calendar apps ask: bounded in time and size, redirects by hand.

A user name and password in the address go to its own scheme, host and port alone.
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
from icsfeed.doctor.observations import FeedResponse, NoResponse, Observations, Reply
from icsfeed.errors import InvalidValue
from icsfeed.http import REQUEST_ERRORS, open_http, read_body, request_failure, web_address

SIZE = 10 * 1024 * 1024
"""Bytes of a body, unpacked: what is beyond is not read."""
PEEK = 4096
"""Bytes that tell whether an answer is a calendar at all."""
ONE, ALL = 40.0, 180.0
"""Seconds for one answer with its redirects, and for everything."""
REDIRECTS = 10
PLAIN = {"User-Agent": "icsfeed-doctor", "Accept": "*/*", "Accept-Encoding": "identity"}


def open_doctor(
    url: str,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
) -> httpx.AsyncClient:
    """An HTTP client that adds nothing of its own, follows nothing by itself and keeps no cookies.

    Raises ValueError when `url` is no address, and ConfigError when the environment cannot be used.
    """
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
    """Return what is seen of the feed at `url`, with a client of its own. Raises InvalidValue: no address."""
    async with open_doctor(url) as client:
        return await examine(client, url)


async def examine(
    client: httpx.AsyncClient, url: str, timer: Callable[[], float] = monotonic
) -> Observations:
    """Everything that is seen of the feed at `url` (http, https or webcal). Raises ValueError: no address."""
    asked = address(url)
    probe = _Probe(client, asked, timer, timer() + ALL)
    hosts = await _addresses(asked.host)
    first = await probe.ask(PLAIN)
    apps = {app.name: await probe.ask(app.headers, limit=PEEK) for app in CLIENTS}
    head = await probe.ask(PLAIN, method="HEAD")
    authorized = await probe.ask({**PLAIN, "Authorization": "Bearer none"}, limit=PEEK)
    zipped = await probe.ask({**PLAIN, "Accept-Encoding": "gzip"})
    again = await probe.ask(PLAIN)
    return Observations(
        url=str(asked.copy_with(userinfo=b"")),
        addresses=hosts,
        first=first,
        again=again,
        apps=apps,
        head=head,
        authorized=authorized,
        matched=await _with_validator(probe, again, "etag", "If-None-Match"),
        since=await _with_validator(probe, again, "last-modified", "If-Modified-Since"),
        zipped=zipped,
        robots=await _robots(probe),
    )


def address(url: str) -> httpx.URL:
    """The web address in what a person gives: webcal is https. Raises InvalidValue."""
    return web_address(re.sub(r"^\s*webcals?:", "https:", url, flags=re.IGNORECASE))


class _Probe:
    """Asks one address again and again, until time is up."""

    def __init__(
        self, client: httpx.AsyncClient, url: httpx.URL, timer: Callable[[], float], until: float
    ) -> None:
        self.url = url
        self._client, self._timer, self._until = client, timer, until

    async def ask(
        self, headers: Mapping[str, str], *, method: str = "GET", limit: int = SIZE, path: str | None = None
    ) -> Reply:
        """The answer at the end of the redirects; of its body at most `limit` bytes."""
        url = self.url if path is None else self.url.copy_with(raw_path=path.encode())
        started = self._timer()
        seconds = min(ONE, self._until - started)
        if seconds <= 0:
            return NoResponse(f"not asked: the others took {ALL:.0f} s")
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(method, url, headers, limit, started)
        except REQUEST_ERRORS as error:
            return NoResponse(request_failure(error).text)

    async def _follow(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], limit: int, started: float
    ) -> Reply:
        hops: list[str] = []
        for _ in range(REDIRECTS + 1):
            hops.append(f"{url.scheme}://{url.netloc.decode()}")
            request = self._client.build_request(method, url, headers=headers)
            response = await self._client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    body, is_whole = await read_body(response, limit)
                    found = {name.lower(): value for name, value in response.headers.items()}
                    return FeedResponse(
                        status=response.status_code,
                        headers=found,
                        body=body,
                        is_whole=is_whole,
                        hops=tuple(hops),
                        seconds=self._timer() - started,
                    )
                url = self._led(url, response.headers["location"])
            except (InvalidValue, ValueError, httpx.InvalidURL):
                return NoResponse("it redirects to what is not a web address")
            finally:
                await response.aclose()
            if _origin(url) != _origin(self.url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
        return NoResponse(f"it redirects more than {REDIRECTS} times")

    def _led(self, url: httpx.URL, location: str) -> httpx.URL:
        """Where a redirect leads, with the user name and password only at the place they were given for."""
        to = web_address(str(url.join(location)))
        return to.copy_with(userinfo=self.url.userinfo if _origin(to) == _origin(self.url) else b"")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


async def _with_validator(probe: _Probe, reply: Reply, name: str, header: str) -> Reply | None:
    """Ask whether what was answered is still good; None where there is nothing to ask with."""
    value = reply.headers.get(name) if isinstance(reply, FeedResponse) else None
    return await probe.ask({**PLAIN, header: value}, limit=PEEK) if value else None


async def _robots(probe: _Probe) -> bool:
    """Whether robots.txt lets Google read the feed; without one everybody may."""
    reply = await probe.ask(PLAIN, limit=512 * 1024, path="/robots.txt")
    if not isinstance(reply, FeedResponse) or reply.status != 200:
        return True
    rules = RobotFileParser()
    rules.parse(reply.body.decode("utf-8", "replace").splitlines())
    return rules.can_fetch("Google-Calendar-Importer", str(probe.url.copy_with(userinfo=b"")))


async def _addresses(host: str) -> tuple[str, ...]:
    """The addresses of a host; none where its name is not known."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(where[0]).partition("%")[0] for *_, where in found))
