"""What a request passes before anything is looked up: whose it is, its host, its length; wrong links."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest
from app_world import Clock, World, serving, settings
from litestar.exceptions import TooManyRequestsException
from msgspec.structs import replace

from icsfeed.config.schema import Feed, Secret
from icsfeed.web.middleware import MAX_URL_BYTES
from icsfeed.web.status.metrics import exposition
from icsfeed.web.token_throttle import (
    AT_ONCE_PER_MINUTE,
    MAX_WAITING,
    PAUSE_SECONDS,
    PER_MINUTE,
    TOTAL_AT_ONCE_PER_MINUTE,
    TokenThrottle,
)

pytestmark = pytest.mark.anyio

FEEDS = {"property": Feed(project="PROP")}
WRONG = f"/feeds/icsf_{'a' * 26}/property.ics"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS, allowed_hosts=("cal.example.com",))) as made:
        yield made


@pytest.mark.parametrize("host", ["cal.example.com", "cal.example.com:443", "127.0.0.1:8765"])
async def test_it_answers_to_its_own_names(world: World, host: str) -> None:
    assert (await world.ask("GET", "/health", host=host)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example.com", "", "cal.example.com@evil.com", "cal.example.com, x"])
@pytest.mark.parametrize("path", ["/health", WRONG, "/", "/nope"])
async def test_it_does_not_answer_to_another(world: World, host: str, path: str) -> None:
    answer = await world.ask("GET", path, host=host)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_HOST")
    assert answer.headers["cache-control"] == "no-store"
    assert "evil" not in answer.text


async def test_an_http_1_1_request_names_one_host_and_an_older_one_may_name_none() -> None:
    async with serving(settings(FEEDS)) as world:

        async def status(version: str, *hosts: bytes) -> int:
            found: list[int] = []

            async def send(message: Any) -> None:
                if message["type"] == "http.response.start":
                    found.append(message["status"])

            headers = [(b"host", host) for host in hosts]
            path = {"path": "/health", "raw_path": b"/health", "query_string": b"", "root_path": ""}
            scope = {"type": "http", "method": "GET", "http_version": version, "headers": headers, **path}
            scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http"}
            await world.app(scope, never, send)  # type: ignore[arg-type]
            return found[0]

        async def never() -> Any:
            raise AssertionError("no body is asked for")

        cases = {("1.1",): 400, ("1.0",): 200, ("0.9",): 200, ("1.1", b"x"): 200, ("1.1", b""): 200}
        cases |= {("1.1", b"x", b"x"): 400, ("1.0", b"x", b"y"): 400, ("1.0", b"x"): 200}
        cases |= {("1.1", b"[::1]:80"): 200, ("1.1", b"a@b"): 400, ("1.1", b"a,b"): 400, ("1.1", b"a:b"): 400}
        cases |= {("1.1", b"[:::::]"): 400, ("1.1", b"[::1]"): 200}
        cases |= {("1.1", b"a/b"): 400, ("1.1", b"[::1"): 400, ("1.1", b"a b"): 400, ("1.1", b"a:"): 200}
        assert {case: await status(*case) for case in cases} == cases  # type: ignore[arg-type]


async def test_two_hosts_are_none(world: World) -> None:
    headers = [("host", "cal.example.com"), ("host", "evil.example.com")]
    assert (await world.client.request("GET", "/health", headers=headers)).status_code == 400


async def test_an_address_that_is_too_long_is_refused(world: World) -> None:
    path = world.path("property")
    longest = f"{path}?x={'y' * (MAX_URL_BYTES - len(path) - 2)}"
    assert (await world.ask("GET", longest)).status_code == 200
    answer = await world.ask("GET", f"{longest}y")
    assert (answer.status_code, answer.json()["error_code"]) == (414, "URL_TOO_LONG")


# Wrong links


class Naps:
    """Sleeps that are counted and not slept; with a gate, until it opens."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.taken: list[float] = []
        self._gate = gate

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if self._gate is not None:
            await self._gate.wait()


async def test_wrong_links_are_slowed_then_refused_and_good_ones_served() -> None:
    async with serving(settings(FEEDS)) as world:
        naps = Naps()
        world.server.token_throttle = TokenThrottle(world.clock.timer, naps)
        statuses = [(await world.ask("GET", WRONG)).status_code for _ in range(PER_MINUTE + 20)]
        assert statuses == [404] * PER_MINUTE + [429] * 20
        assert naps.taken == [PAUSE_SECONDS] * (PER_MINUTE + 20 - AT_ONCE_PER_MINUTE)
        assert (await world.get("property")).status_code == 200
        assert len(naps.taken) == PER_MINUTE + 20 - AT_ONCE_PER_MINUTE
        refused = await world.ask("GET", WRONG)
        named = ("retry-after", "content-type", "connection", "cache-control")
        assert [refused.headers[name] for name in named] == [
            "60",
            "text/plain; charset=utf-8",
            "close",
            "no-store",
        ]
        world.clock.move(61)
        assert (await world.ask("GET", WRONG)).status_code == 404
        assert len(naps.taken) == PER_MINUTE + 21 - AT_ONCE_PER_MINUTE


@pytest.mark.parametrize("path", [WRONG, "/embed/icsf_a/property"])
async def test_a_warning_names_whose_links_are_wrong_and_a_metric_counts(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(settings(FEEDS)) as world:
        world.server.token_throttle = TokenThrottle(world.clock.timer, Naps())
        for _ in range(PER_MINUTE + 20):
            await world.ask("GET", path)
        assert caplog.text.count("too many wrong links from 127.0.0.1") == 1
        assert "icsf_" not in caplog.text
        text = exposition(world.service, world.server).decode()
        assert f'icsfeed_wrong_tokens_total{{kind="link",result="wrong"}} {PER_MINUTE}.0' in text
        assert 'icsfeed_wrong_tokens_total{kind="link",result="refused"} 20.0' in text


@pytest.mark.parametrize(
    "path", ["/feeds/icsf_a/property", "/embed/icsf_a/property", "/embed/property", "/feeds/x"]
)
async def test_wrong_links_to_pages_count_too(path: str) -> None:
    async with serving(settings(FEEDS)) as world:
        naps = Naps()
        world.server.token_throttle = TokenThrottle(world.clock.timer, naps)
        statuses = [
            (await world.ask("GET", path, accept="text/html")).status_code for _ in range(PER_MINUTE + 1)
        ]
        assert statuses == [404] * PER_MINUTE + [429]


@pytest.mark.parametrize(
    ("proxies", "said", "scheme"),
    [(("127.0.0.1/32",), "https", "https"), (("127.0.0.1/32",), "gopher", "http"), ((), "https", "http")],
)
async def test_a_trusted_proxy_says_how_it_was_asked(
    proxies: tuple[str, ...], said: str, scheme: str
) -> None:
    async with serving(settings(FEEDS, trusted_proxies=proxies), base="http://cal.example.com") as world:
        page = world.path("property").removesuffix(".ics")
        answer = await world.ask("GET", page, x_forwarded_proto=said, accept="text/html")
    assert f"{scheme}://cal.example.com/feeds/" in answer.text


async def test_a_flood_from_everywhere_waits_too() -> None:
    naps = Naps()
    links = TokenThrottle(Clock().timer, naps)
    for n in range(TOTAL_AT_ONCE_PER_MINUTE):
        await links.delay(f"198.18.{n // 250}.{n % 250}")
    assert naps.taken == []
    await links.delay("203.0.113.9")
    assert naps.taken == [PAUSE_SECONDS]


async def test_when_too_many_wait_connections_are_closed_instead() -> None:
    gate = asyncio.Event()
    links = TokenThrottle(Clock().timer, Naps(gate))
    for _ in range(AT_ONCE_PER_MINUTE):
        await links.delay("203.0.113.9")
    waiting = [
        asyncio.create_task(links.delay(f"198.51.100.{n % 20}"))
        for n in range(TOTAL_AT_ONCE_PER_MINUTE + MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsException) as refused:
        await links.delay("203.0.113.9")
    assert refused.value.headers == {"Retry-After": "60", "Connection": "close"}
    gate.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await links.delay("192.0.2.1")


async def test_one_that_goes_away_waits_no_longer() -> None:
    links = TokenThrottle(Clock().timer, Naps(asyncio.Event()))
    for _ in range(AT_ONCE_PER_MINUTE):
        await links.delay("203.0.113.9")
    for _ in range(MAX_WAITING + 1):
        task = asyncio.create_task(links.delay("203.0.113.9"))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_neighbours_in_an_ipv6_network_count_as_one() -> None:
    links = TokenThrottle(Clock().timer, Naps())
    for n in range(PER_MINUTE):
        await links.delay(f"2001:db8::{n:x}")
    with pytest.raises(TooManyRequestsException):
        await links.delay("2001:db8::ffff")
    await links.delay("2001:db8:0:1::")


@pytest.mark.parametrize(("method", "path"), [("POST", "/webhooks/plane"), ("GET", "/status")])
async def test_so_they_do_for_webhooks_and_admin_tokens(method: str, path: str) -> None:
    config = settings(FEEDS, trusted_proxies=("127.0.0.1/32",), admin_token=Secret("an-admin-token-of-ours"))
    async with serving(config) as world:
        headers = [
            (
                await world.ask(method, path, authorization="Bearer wrong", x_forwarded_for=f"2001:db8::{n}")
            ).headers
            for n in (1, 2)
        ]
    assert [int(one["x-ratelimit-remaining"]) for one in headers] == [
        int(headers[0]["x-ratelimit-limit"]) - 1,
        int(headers[0]["x-ratelimit-limit"]) - 2,
    ]


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1/32",)])
async def test_forwarded_addresses_count_only_from_trusted_proxies(proxies: tuple[str, ...]) -> None:
    async with serving(settings(FEEDS, trusted_proxies=proxies)) as world:
        world.server.token_throttle = TokenThrottle(world.clock.timer, Naps())
        statuses = {
            (await world.ask("GET", WRONG, x_forwarded_for=f"203.0.113.{n}")).status_code
            for n in range(PER_MINUTE + 1)
        }
    assert statuses == ({404} if proxies else {404, 429})


@pytest.mark.parametrize(("proxies", "status"), [((), 401), (("127.0.0.1/32",), 200)])
async def test_webhook_from_looks_behind_trusted_proxies(proxies: tuple[str, ...], status: int) -> None:
    config = settings(FEEDS, trusted_proxies=proxies)
    own = config.workspaces["demo"]
    own = replace(own, webhook_secret=Secret("hook"), webhook_from=("203.0.113.0/24",))
    config = replace(config, workspaces={"demo": own})
    async with serving(config) as world:
        body = b"{}"
        headers = {
            "X-Plane-Signature": hmac.new(b"hook", body, "sha256").hexdigest(),
            "X-Forwarded-For": "203.0.113.9",
        }
        answer = await world.client.post("/webhooks/plane", content=body, headers=headers)
    assert answer.status_code == status, answer.text
