"""Requests of a feed: the headers of each app, redirects by hand, bounds, and credentials that stay."""

import gzip
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from icsfeed.doctor.clients import CLIENTS
from icsfeed.doctor.observations import Observations, Reply
from icsfeed.doctor.probe import (
    MAX_BODY_BYTES,
    MAX_REDIRECTS,
    PEEK_BYTES,
    TOTAL_SECONDS,
    address,
    examine,
    open_doctor,
)
from icsfeed.errors import InvalidValue

pytestmark = pytest.mark.anyio

BODY = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
URL = "https://127.0.0.1/feeds/x.ics"
GZIP = {"Content-Encoding": "gzip"}
Site = Callable[[httpx.Request], httpx.Response]


async def look(site: Site, url: str = URL, timer: Callable[[], float] = lambda: 0.0) -> Observations:
    async with open_doctor(url, httpx.MockTransport(site)) as client:
        return await examine(client, url, timer)


def good(request: httpx.Request) -> httpx.Response:
    """A site without faults."""
    if "if-none-match" in request.headers or "if-modified-since" in request.headers:
        return httpx.Response(304)
    headers = {"Content-Type": "text/calendar", "ETag": '"1"', "Last-Modified": "then"}
    return httpx.Response(200, headers=headers, content=b"" if request.method == "HEAD" else BODY)


def answered(reply: object) -> Reply:
    assert isinstance(reply, Reply)
    assert reply.status, reply.reason
    return reply


async def test_each_app_is_imitated_with_its_own_headers() -> None:
    asked: list[httpx.Request] = []

    def site(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return good(request)

    seen = await look(site)
    for client in CLIENTS:
        assert any(client.headers.items() <= _sent(request).items() for request in asked), client.name
    google = next(_sent(request) for request in asked if "Google" in request.headers.get("user-agent", ""))
    assert "Accept" not in google
    assert seen.apps.keys() == {client.name for client in CLIENTS}
    assert {request.method for request in asked} == {"GET", "HEAD"}
    assert (answered(seen.first).body, answered(seen.matched).status, answered(seen.since).status) == (
        BODY,
        304,
        304,
    )


def _sent(request: httpx.Request) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in request.headers.raw}


async def test_without_validators_there_is_nothing_to_ask_again_with() -> None:
    seen = await look(lambda _: httpx.Response(200, content=BODY))
    assert (seen.matched, seen.since) == (None, None)


@pytest.mark.parametrize(
    "led", ["https://elsewhere.example.com/y", "http://127.0.0.1/y", "https://127.0.0.1:8443/y"]
)
async def test_a_password_is_not_sent_to_where_a_redirect_leads(led: str) -> None:
    carried: dict[str, set[bool]] = {}

    def site(request: httpx.Request) -> httpx.Response:
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        carried.setdefault(origin, set()).add("authorization" in request.headers)
        return (
            httpx.Response(302, headers={"Location": led}) if origin == "https://127.0.0.1" else good(request)
        )

    seen = await look(site, "https://user:password@127.0.0.1/x.ics")
    assert answered(seen.first).hops == ("https://127.0.0.1", led[:-2])
    assert carried == {"https://127.0.0.1": {True}, led[:-2]: {False}}
    assert "password" not in repr(seen)


async def test_a_password_goes_along_on_its_own_host_and_one_of_a_redirect_is_not_used() -> None:
    sent = set()

    def site(request: httpx.Request) -> httpx.Response:
        if "authorization" in request.headers:
            sent.add(request.headers["authorization"])
        if request.url.path == "/x.ics":
            return httpx.Response(301, headers={"Location": "https://evil:word@127.0.0.1/y.ics"})
        return good(request)

    await look(site, "https://user:password@127.0.0.1/x.ics")
    assert sent == {"Basic dXNlcjpwYXNzd29yZA=="}


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (lambda r: httpx.Response(302, headers={"Location": str(r.url)}), f"more than {MAX_REDIRECTS} times"),
        (lambda _: httpx.Response(302, headers={"Location": "ftp://x/"}), "not a web address"),
        (lambda _: httpx.Response(302, headers={"Location": "file:///etc/passwd"}), "not a web address"),
        (lambda _: httpx.Response(302, headers={"Location": "https://x:99999/"}), "not a web address"),
        (lambda _: httpx.Response(302, headers={"Location": "https://a..b/"}), "not a web address"),
        (lambda _: httpx.Response(302, headers={"Location": "https://x:port/"}), "Invalid URL"),
        (
            lambda _: httpx.Response(302, headers={"Location": "https://xn--zzzzzzzz99999.x/"}),
            "not a web address",
        ),
        (
            lambda _: httpx.Response(200, headers=GZIP, stream=httpx.ByteStream(b"no gzip")),
            "broken",
        ),
    ],
)
async def test_an_unusable_response_has_a_reason(site: Site, reason: str) -> None:
    first = (await look(site)).first
    assert not first.status
    assert reason in first.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError("refused"), "no connection (refused)"),
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.RemoteProtocolError(""), "no connection (RemoteProtocolError)"),
    ],
)
async def test_a_failed_connection_has_a_reason(error: Exception, reason: str) -> None:
    def site(_request: httpx.Request) -> httpx.Response:
        raise error

    assert (await look(site)).first == Reply(reason=reason)


async def test_no_more_is_read_than_is_needed() -> None:
    def site(_request: httpx.Request) -> httpx.Response:
        packed = gzip.compress(BODY + b"x" * (MAX_BODY_BYTES * 3), mtime=0)
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=packed)

    seen = await look(site)
    first, google = answered(seen.first), answered(seen.apps["Google Calendar"])
    assert (len(first.body), first.is_whole) == (MAX_BODY_BYTES, False)
    assert (len(google.body), google.is_whole) == (PEEK_BYTES, False)


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd"])
async def test_what_may_unpack_without_bounds_is_not_unpacked(coding: str) -> None:
    read = []

    class Packed(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            read.append(coding)
            yield b""

    seen = await look(lambda _: httpx.Response(200, headers={"Content-Encoding": coding}, stream=Packed()))
    assert seen.first == Reply(reason="it is compressed in a way that was not asked for")
    assert not read


async def test_no_cookie_is_sent_back() -> None:
    sent = []

    def site(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        answer = good(request)
        answer.headers["Set-Cookie"] = "wall=passed; Path=/"
        return answer

    await look(site)
    await look(site, "https://cal.example.com/x.ics")
    assert set(sent) == {None}


async def test_requests_stop_when_the_total_time_is_over() -> None:
    seconds = iter([0.0, *([1.0] * 4), *([TOTAL_SECONDS + 1] * 200)])
    seen = await look(good, timer=lambda: next(seconds))
    assert seen.first.status
    assert seen.again == Reply(reason=f"not requested: the others took {TOTAL_SECONDS:.0f} s")


@pytest.mark.parametrize(
    ("status", "text", "allowed"),
    [
        (200, "User-agent: *\nAllow: /\n", True),
        (200, "User-agent: *\nDisallow: /feeds/\n", False),
        (200, "User-agent: Other\nDisallow: /\n", True),
        (404, "User-agent: *\nDisallow: /\n", True),
    ],
)
async def test_robots_are_asked_for(status: int, text: str, allowed: bool) -> None:
    def site(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=text) if request.url.path == "/robots.txt" else good(request)

    assert (await look(site)).robots is allowed


async def test_the_addresses_of_the_host_are_looked_up() -> None:
    assert (await look(good)).addresses == ("127.0.0.1",)
    assert (await look(good, "https://nowhere.invalid/x.ics")).addresses == ()


@pytest.mark.parametrize(
    ("given", "address_"),
    [("webcal://x/y.ics", "https://x/y.ics"), (" https://x/y ", "https://x/y"), ("http://x", "http://x")],
)
def test_what_a_person_gives_becomes_an_address(given: str, address_: str) -> None:
    assert str(address(given)) == address_


@pytest.mark.parametrize(
    "given", ["", "x", "ftp://x/", "file:///etc/passwd", "https://", "https://x:port/", "/feeds/x.ics"]
)
def test_other_addresses_are_rejected(given: str) -> None:
    with pytest.raises(InvalidValue, match=r"web address|must begin"):
        address(given)
