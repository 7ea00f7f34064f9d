"""OpenAPI: what it says of each route is what the route answers, and all of that."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from app_world import World, quick, serving, settings
from msgspec.structs import replace
from plane import faults as f
from redis_world import redis_server

from icsfeed.config.schema import AuthProxy, Config, Feed, Secret
from icsfeed.feeds.query import FIELDS, parse_query
from icsfeed.store.store import open_store
from icsfeed.web.token_throttle import PER_MINUTE, TokenThrottle

pytestmark = pytest.mark.anyio

TOKEN, HOOK = "an admin token that nobody guesses", "a webhook's secret of some length"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
HTML = {"accept": "text/html"}
FEEDS = {
    "property": Feed(project="PROP"),
    "team": Feed(project="OPS", subscribers=("anna",), revoked=("carl",)),
    "everything": Feed(everything=True, public=True),
    "own": Feed(assignee="anna@example.com"),
}
PROXY = AuthProxy("X-Email", ("127.0.0.1/32",))


def _config(**changes: Any) -> Config:
    config = settings(FEEDS, admin_token=Secret(TOKEN), **{"auth_proxy": PROXY, **changes})
    hooked = replace(config.workspaces["demo"], webhook_secret=Secret(HOOK))
    return replace(config, workspaces={"demo": hooked})


class Seen(NamedTuple):
    """An answer to a request of a route."""

    method: str
    route: str
    answer: httpx.Response


class Asking:
    """Asks a server, and keeps what it answers by the routes of its description."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.described, self.seen = described, list[Seen]()
        self._routes = {
            route: re.compile(re.sub(r"\{\w+\}", "[^/]+", route)) for route in sorted(described, key=len)
        }

    async def ask(
        self, world: World, path: str, headers: Mapping[str, str] = {}, method: str = "GET", body: bytes = b""
    ) -> int:
        answer = await world.client.request(method, path, headers=dict(headers), content=body)
        bare = path.partition("?")[0]
        route = next(route for route, pattern in self._routes.items() if pattern.fullmatch(bare))
        self.seen.append(Seen(method, route, answer))
        return answer.status_code


def _paths(world: World) -> list[str]:
    token = world.service.links.token("property")
    pages = [world.service.links.page_path("property"), world.service.links.embed_path("property")]
    feeds = [
        f"/feeds/{token}/property.ics",
        f"/feeds/{token}/property.atom",
        f"/feeds/{token}/property.json",
        f"/feeds/{token}/property.mobileconfig",
        "/feeds/everything.mobileconfig",
        "/feeds/everything.ics",
        "/feeds/everything.atom",
        "/feeds/everything.json",
        "/feeds/everything",
        "/embed/everything",
    ]
    rest = ["/", "/health", "/health/ready", "/api/v1/health", "/robots.txt", "/me", "/me/links"]
    return [*feeds, *pages, *rest, "/webhooks/status", "/status", "/metrics"]


async def _everywhere(asking: Asking, world: World) -> None:
    """All routes, for programs and browsers, for the administrator, and out of bounds."""
    for path in _paths(world):
        for sent in ({}, HTML, ADMIN, {**ADMIN, **HTML}, {**HTML, "x-email": "nobody@example.com"}):
            for query in ("", "?days=x", "?view=x", "?lang=de"):
                await asking.ask(world, path + query, sent)
        await asking.ask(world, path, {"host": "a b"})
        await asking.ask(world, path + "?x=" + "y" * 9_000)
        await asking.ask(world, path, {**ADMIN, **HTML, "sec-fetch-site": "cross-site"})
        await asking.ask(world, path, {"accept-encoding": "*;q=0"})
        await asking.ask(world, path, {"if-none-match": "*"})
        if not path.startswith(("/status", "/metrics", "/webhooks")):
            await asking.ask(world, path, HTML, method="HEAD")
    for path in ("/webhooks/plane", "/webhooks/sync", "/status/revoke"):
        await asking.ask(world, path, {"host": "a b"}, "POST")
        await asking.ask(world, path + "?x=" + "y" * 9_000, {}, "POST")


async def _links(asking: Asking, world: World) -> None:
    world.server.token_throttle = TokenThrottle(world.clock.timer, _at_once)
    revoked = world.service.links.page_path("team", "carl")
    embed = world.service.links.embed_path("team", "carl")
    for path in (revoked, embed, f"{revoked}.ics", *("/feeds/x.ics", "/embed/x", "/feeds/icsf_x/property")):
        await asking.ask(world, path, HTML)
        await asking.ask(world, path)
    for _ in range(PER_MINUTE):
        await world.client.get("/feeds/x.ics")
    for path in ("/feeds/x.ics", "/embed/x", "/feeds/icsf_x/property.ics", "/embed/icsf_x/property"):
        assert await asking.ask(world, path) == 429


async def _at_once(_seconds: float) -> None:
    return None


async def _webhooks(asking: Asking, world: World) -> None:
    def signed(body: bytes) -> dict[str, str]:
        return {"x-plane-signature": hmac.new(HOOK.encode(), body, sha256).hexdigest()}

    good = b'{"event":"issue","action":"update","data":{"id":"x","project":"y"}}'
    for body, sent in ((good, signed(good)), (good, {}), (b"{", signed(b"{")), (b"x" * 1_100_000, {})):
        await asking.ask(world, "/webhooks/plane", sent, "POST", body)
    for _ in range(100):
        await world.client.post("/webhooks/plane")
    assert await asking.ask(world, "/webhooks/plane", {}, "POST") == 429


async def _administrators(asking: Asking, world: World) -> None:
    for sent in ({}, HTML, ADMIN, ADMIN, {**ADMIN, **HTML}):
        await asking.ask(world, "/webhooks/sync", sent, "POST")
    await world.server.sync.close()
    await asking.ask(world, "/webhooks/sync", {**ADMIN, "sec-fetch-site": "cross-site"}, "POST")
    for _ in range(10):
        await world.client.get("/status", headers={"authorization": "Bearer guess"})
    for path in ("/status", "/webhooks/status", "/metrics"):
        assert await asking.ask(world, path, {**ADMIN, **HTML}) == 429
        assert await asking.ask(world, path, ADMIN) == 429
    assert await asking.ask(world, "/webhooks/sync", ADMIN, "POST") == 429


async def _own_links(asking: Asking, folder: Path) -> None:
    anna = {**HTML, "x-email": "anna@example.com"}
    sent = {
        **anna,
        "sec-fetch-site": "same-origin",
        "content-type": "application/x-www-form-urlencoded",
    }
    with redis_server(folder) as redis:
        async with serving(_config(), store=open_store(redis.address, {})) as world:
            shown = (await world.client.get("/me/links", headers=anna)).text
            form = "form=" + re.findall('name="form" value="([^"]*)"', shown)[0]
            make = f"{form}&device=phone&feed=property"
            for body in (make, make):
                await asking.ask(world, "/me/links", sent, "POST", body.encode())
            path = f"/me/links/{world.service.own.links[0].id}"
            for body in (
                f"{form}&act=rename&device=x",
                f"{form}&act=renew",
                f"{form}&act=x",
                f"{form}&act=narrow&narrowing=days=x",
            ):
                await asking.ask(world, path, sent, "POST", body.encode())
            for at in ("/me/links", path, "/me/sign-out"):
                for headers in (
                    {**anna, "sec-fetch-site": "cross-site"},
                    HTML,
                    {**sent, "content-type": "text/plain"},
                ):
                    await asking.ask(world, at, headers, "POST", form.encode())
                await asking.ask(world, at, sent, "POST", b"x" * 40_000)
                await asking.ask(world, at, {"host": "a b"}, "POST")
                await asking.ask(world, at + "?x=" + "y" * 9_000, {}, "POST")
            await asking.ask(world, "/me/sign-out", sent, "POST", form.encode())
            redis.stop()
            for at, body in (("/me/links", make), (path, f"{form}&act=revoke"), ("/me/sign-out", form)):
                assert await asking.ask(world, at, sent, "POST", body.encode()) == 503
            for _ in range(60):
                await world.client.post("/me/sign-out", headers=sent, content=form)
            for at in ("/me/links", path, "/me/sign-out"):
                assert await asking.ask(world, at, sent, "POST", form.encode()) == 429


async def _invitations(asking: Asking, folder: Path) -> None:
    ours = {**HTML, "sec-fetch-site": "same-origin"}
    with redis_server(folder) as redis:
        async with serving(_config(auth_proxy=None), store=open_store(redis.address, {})) as world:
            world.server.token_throttle = TokenThrottle(world.clock.timer, _at_once)
            _, token = await world.service.own.invite("anna@example.com")
            _, other = await world.service.own.invite("anna@example.com")
            path = f"/me/invite/{token}"
            await asking.ask(world, path, HTML)
            for headers in (HTML, ours, ours, {"host": "a b"}):
                await asking.ask(world, path, headers, "POST")
            await asking.ask(world, path, HTML)
            await asking.ask(world, path + "?x=" + "y" * 9_000)
            redis.stop()
            assert await asking.ask(world, f"/me/invite/{other}", ours, "POST") == 503
            for _ in range(PER_MINUTE):
                await world.client.get("/me/invite/x")
            assert await asking.ask(world, "/me/invite/x", HTML) == 429
    async with serving(_config()) as world:
        for headers in (HTML, {}):
            await asking.ask(world, "/me/invite/x", headers)


async def _revocations(asking: Asking, folder: Path) -> None:
    form, body = {**ADMIN, "content-type": "application/x-www-form-urlencoded"}, "revoke={}"
    async with serving(_config(), store=open_store("file", {"STATE_DIRECTORY": str(folder)})) as world:
        for sent in (form, {**form, **HTML}):
            made = await world.service.own.make("anna@example.com", "phone")
            for who in (
                {**sent, "authorization": "Bearer x"},
                {**sent, "sec-fetch-site": "cross-site"},
                sent,
                sent,
            ):
                await asking.ask(world, "/status/revoke", who, "POST", body.format(made.link.id).encode())
        for _ in range(10):
            await world.client.get("/status", headers={"authorization": "Bearer guess"})
        for sent in (form, {**form, **HTML}):
            assert await asking.ask(world, "/status/revoke", sent, "POST") == 429
    # Nobody listens there.
    async with serving(_config(), store=open_store("redis://127.0.0.1:1/0", {})) as world:
        for sent in (form, {**form, **HTML}):
            assert await asking.ask(world, "/status/revoke", sent, "POST", b"revoke=aaaaaaaa") == 503


@pytest.fixture(scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    async with serving(_config()) as world:
        found = Asking((await world.ask("GET", "/openapi.json")).json()["paths"])
        await world.get("everything")
        await found.ask(world, "/me", {**HTML, "x-email": "anna@example.com"})
        for step in (_everywhere, _links, _webhooks, _administrators):
            await step(found, world)
    await _own_links(found, tmp_path_factory.mktemp("links"))
    await _invitations(found, tmp_path_factory.mktemp("invitations"))
    await _revocations(found, tmp_path_factory.mktemp("state"))
    async with serving(quick(_config())) as world:  # Plane does not answer
        world.faults.add("", f.bad_gateway(), times=None)
        await _everywhere(found, world)
    async with serving(quick(_config())) as world:
        world.faults.add("work-items/", f.bad_gateway(), times=None)
        await world.get("everything")
        await found.ask(world, "/me", {**HTML, "x-email": "anna@example.com"})
    other = replace(_config(), auth_proxy=None, admin_token=None)
    async with serving(replace(other, workspaces=settings().workspaces)) as world:
        await _everywhere(found, world)
        await found.ask(world, "/webhooks/plane", {}, "POST")
        for path in ("/me/links", "/me/links/x", "/me/sign-out"):
            await found.ask(world, path, HTML, "POST")
    return found


async def test_every_answer_is_described_with_its_type(asking: Asking) -> None:
    assert len(asking.seen) > 500
    for method, route, answer in asking.seen:
        operation = asking.described[route][method.lower()]
        where = f"{method} {route}: {answer.status_code}"
        assert str(answer.status_code) in operation["responses"], where
        types = operation["responses"][str(answer.status_code)].get("content", {})
        if answer.content:
            assert answer.headers["content-type"].partition(";")[0] in types, where


async def test_every_described_answer_is_given(asking: Asking) -> None:
    """Except faults of ours. What GET may answer HEAD may too."""
    given = {(route, str(answer.status_code)) for _, route, answer in asking.seen}
    described = {
        (route, status)
        for route, item in asking.described.items()
        for operation in item.values()
        for status in operation["responses"]
        if status != "500"
    }
    assert described - given == set()


async def test_every_described_type_is_given(asking: Asking) -> None:
    given = {
        (route, str(answer.status_code), answer.headers["content-type"].partition(";")[0])
        for _, route, answer in asking.seen
        if answer.content
    }
    for route in ("/feeds/{token}/{file}", "/feeds/{file}", "/embed/{token}/{name}", "/status", "/"):
        responses = asking.described[route]["get"]["responses"]
        types = {(route, "200", kind) for kind in responses["200"]["content"]}
        assert types - given == set()
    assert ("/feeds/{file}", "200", "text/calendar") in given


async def test_feeds_have_all_their_parameters_and_no_others(asking: Asking) -> None:
    for route, item in asking.described.items():
        for operation in item.values():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert len(names) == len(set(names))
            if route.startswith(("/feeds/", "/embed/")):
                assert set(FIELDS) <= set(names)
                for name in re.findall(r"\{(\w+)\}", route):
                    assert name in names
            assert all(parameter.get("schema") for parameter in operation.get("parameters", ()))


async def test_what_a_parameter_is_described_to_take_is_taken(asking: Asking) -> None:
    """Each value of an enumeration, and the ends of each range; what is beyond is not."""
    parameters = asking.described["/feeds/{file}"]["get"]["parameters"]
    schemas = {one["name"]: one["schema"] for one in parameters if one["name"] in FIELDS}
    for name, schema in schemas.items():
        ends = [schema[end] for end in ("minimum", "maximum") if end in schema]
        for value in (*schema.get("enum", ()), *ends):
            parse_query([(name, str(value))])
    assert set(schemas["component"]["enum"]) == {"vevent", "vtodo"}


async def test_the_administrators_routes_say_how_to_be_one(asking: Asking) -> None:
    secured = {
        route for route, item in asking.described.items() for one in item.values() if "security" in one
    }
    assert secured == {"/webhooks/sync", "/webhooks/status", "/status", "/status/revoke", "/metrics"}
