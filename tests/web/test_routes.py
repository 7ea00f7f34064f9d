"""The other routes, errors as JSON, CORS, and the server behind a prefix."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from app_world import HOST, Clock, World, events, quick, serving, settings
from litestar import Litestar
from plane import faults as f

from icsfeed import __version__
from icsfeed.config.schema import Feed
from icsfeed.feeds.service import FeedService
from icsfeed.store.store import open_store
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState

pytestmark = pytest.mark.anyio

ORIGIN = "https://intranet.example.com"


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving() as made:
        yield made


# For people, monitors and crawlers


async def test_the_root_says_what_this_is(world: World) -> None:
    world.clock.move(90.9)
    answer = await world.ask("GET", "/")
    assert answer.status_code == 200
    assert answer.json() == {
        "name": "icsfeed",
        "version": __version__,
        "description": "Calendar feeds for the due dates of a Plane workspace",
        "status": "running",
        "uptime": 90,
    }


async def test_health_never_touches_plane(world: World) -> None:
    world.clock.now = world.clock.now.replace(hour=10, minute=5, second=7, microsecond=9)
    answer = await world.ask("GET", "/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "timestamp": "2026-11-23T10:05:07Z"}
    assert world.faults.count() == 0


async def test_crawlers_may_ask_for_everything(world: World) -> None:
    answer = await world.ask("GET", "/robots.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "User-agent: *\nAllow: /\n"


async def test_openapi_describes_the_routes(world: World) -> None:
    answer = await world.ask("GET", "/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    described = answer.json()
    assert described["openapi"].startswith("3.")
    assert described["info"]["version"] == __version__
    paths = described["paths"]
    assert set(paths) >= {"/", "/health", "/robots.txt", "/feeds/{file}", "/feeds/{token}/{file}"}
    ids = [method["operationId"] for path in paths.values() for method in path.values()]
    assert len(ids) == len(set(ids))
    assert all(method["summary"] for path in paths.values() for method in path.values())


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/health", "/openapi.json", "/docs", "/feeds/x.ics", "/feeds", "/robots.txt"]
)
async def test_no_page_holds_a_name_a_token_or_a_key(world: World, path: str) -> None:
    token = world.service.links.token("property") or ""
    text = (await world.ask("GET", path, authorization=f"Bearer {token}")).text
    workspace = world.service.config.workspaces["demo"]
    assert workspace.api_key is not None
    secrets = [
        "icsf_",
        "property",
        "anna",
        "PROP",
        "acme-demo",
        "plane.example.com",
        "Acme",
        workspace.api_key.reveal(),
    ]
    assert [secret for secret in secrets if secret in text] == []


# Errors


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "message"),
    [
        ("GET", "/nope", 404, "NOT_FOUND", "Not Found"),
        ("GET", "/feeds", 404, "NOT_FOUND", "Not Found"),
        ("POST", "/nope", 404, "NOT_FOUND", "Not Found"),
        ("GET", "/health/nope", 404, "NOT_FOUND", "Not Found"),
        ("POST", "/health", 405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
        ("DELETE", "/", 405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
        ("POST", "/openapi.json", 405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
    ],
)
async def test_errors_are_json_of_one_format(
    world: World, method: str, path: str, status: int, code: str, message: str
) -> None:
    answer = await world.ask(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    body = answer.json()
    assert body.pop("timestamp").endswith("Z")
    assert body == {"status": "error", "message": message, "error_code": code, "details": {}}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_host_that_cannot_be_is_a_400(world: World) -> None:
    answer = await world.ask("GET", "/health", host="a b/<c>")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_HOST")


async def test_a_fault_of_ours_is_logged_whole_and_told_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A service without the workspace that its feeds are of, which no configuration can lead to.
    service = FeedService(settings(), {}, Clock(), open_store("memory", {}))
    app = create_app(service, ServerState(Clock()))
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        with caplog.at_level(logging.ERROR):
            answer = await client.get(service.links.ics_path("property"))
    assert answer.status_code == 500
    body = answer.json()
    assert (body["error_code"], body["message"]) == (
        "INTERNAL_ERROR",
        "The server failed. Its log says more.",
    )
    assert (body["status"], body["details"], body["timestamp"]) == ("error", {}, "2026-11-23T10:00:00Z")
    assert [word for word in ("KeyError", "demo", "Traceback", ".py") if word in answer.text] == []
    assert "KeyError: 'demo'" in caplog.text


# CORS


async def _cors(origins: tuple[str, ...], asked: str) -> dict[str, str]:
    async with serving(settings(cors=origins)) as world:
        answer = await world.get("everything", origin=asked)
        assert answer.status_code == 200
        return dict(answer.headers)


async def test_a_page_of_a_configured_origin_may_read_feeds() -> None:
    headers = await _cors((ORIGIN,), ORIGIN)
    assert headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in headers
    assert {"etag", "last-modified"} <= set(headers["access-control-expose-headers"].lower().split(", "))


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example.com",
        "http://intranet.example.com",
        f"{ORIGIN}.evil.com",
        f"{ORIGIN}:8443",
        "null",
        "https://intranetxexample.com",
    ],
)
async def test_pages_of_other_origins_may_not(asked: str) -> None:
    assert "access-control-allow-origin" not in await _cors((ORIGIN,), asked)


async def test_without_cors_there_is_no_such_header() -> None:
    headers = await _cors((), ORIGIN)
    assert not [name for name in headers if name.startswith("access-control-")]
    assert headers["vary"] == "Accept-Encoding"


async def test_every_origin_may_be_allowed() -> None:
    assert (await _cors(("*",), "https://any.example.com"))["access-control-allow-origin"] == "*"


async def test_caches_are_told_of_the_origin_and_of_the_encoding() -> None:
    async with serving(settings(cors=(ORIGIN,))) as world:
        etag = (await world.get("everything")).headers["etag"]
        for path in (world.path("everything"), world.path("property"), "/feeds/x.ics"):
            for origin in (ORIGIN, "https://evil.example.com", ""):
                for match in ("", etag):
                    named = {"origin": origin} if origin else {}
                    answer = await world.ask("GET", path, if_none_match=match, **named)
                    assert answer.headers["vary"] == "Accept-Encoding, Origin"


async def test_a_preflight_is_answered_without_reading_anything() -> None:
    async with serving(settings(cors=(ORIGIN,))) as world:
        asked = {"access_control_request_method": "GET", "access_control_request_headers": "if-none-match"}
        answer = await world.ask("OPTIONS", world.path("property"), origin=ORIGIN, **asked)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, ORIGIN)
        other = await world.ask("OPTIONS", world.path("property"), origin="https://evil.example.com", **asked)
        assert "access-control-allow-origin" not in other.headers
        plain = await world.ask("OPTIONS", world.path("property"))
        assert (plain.status_code, plain.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert world.faults.count() == 0


# Behind a prefix


@pytest.mark.parametrize(
    "public_url",
    ["https://www.example.com/tools/cal", "https://x/feeds", "http://x/caf%C3%A9/{a}", "http://x/health"],
)
async def test_behind_a_prefix_it_works_whether_the_proxy_strips_it_or_not(public_url: str) -> None:
    prefix = "/" + public_url.split("/", 3)[3]
    config = settings(
        {"public": Feed(everything=True, public=True), "private": Feed(project="PROP")}, public_url=public_url
    )
    async with serving(config) as world:
        paths = [
            "/",
            "/health",
            "/robots.txt",
            "/openapi.json",
            world.path("public"),
            world.path("private"),
            "/feeds/x.ics",
            "/feeds/a/b/c",
        ]
        for path in paths:
            stripped, kept = await world.ask("GET", path), await world.ask("GET", prefix + path)
            assert kept.status_code == stripped.status_code
            assert (kept.headers, kept.content) == (stripped.headers, stripped.content)
        assert (await world.ask("PUT", prefix + world.path("private"))).headers["allow"]
        assert (await world.ask("OPTIONS", prefix + world.path("private"))).status_code == 204
        described = (await world.ask("GET", f"{prefix}/openapi.json")).json()
        assert "/feeds/{file}" in described["paths"]


async def test_the_prefix_alone_is_the_root() -> None:
    async with serving(settings(public_url="https://x/cal")) as world:
        for path in ("/cal", "/cal/"):
            assert (await world.ask("GET", path)).json()["name"] == "icsfeed"
        for path in ("/calendar", "/cal/cal/health", "/cal/nope", "/x/cal/health", "/calhealth"):
            assert (await world.ask("GET", path)).status_code == 404


async def test_without_a_prefix_there_is_none() -> None:
    for public_url in (None, "https://cal.example.com"):
        async with serving(settings(public_url=public_url)) as world:
            assert (await world.ask("GET", "/cal/health")).status_code == 404


# Start and stop


async def test_starting_reads_plane_before_anybody_asks() -> None:
    async with serving() as world:
        async with world.app.lifespan():
            async with asyncio.timeout(20):
                while not world.service.workspaces["demo"].is_ready:  # noqa: ASYNC110 - as a probe asks
                    await asyncio.sleep(0.01)
        answer = await world.get("property")
        assert len(events(answer.content)) == 20
        issues = [
            seen for seen in world.faults.requests if seen.line.partition("?")[0].endswith("/work-items/")
        ]
        assert len(issues) == len(world.data.projects), "each once: cycles and modules follow"


async def test_stopping_ends_what_is_under_way_at_once() -> None:
    async with serving(quick()) as world:
        world.faults.add("", f.delayed(60), None)
        async with world.app.lifespan():
            assert (await world.get("property")).status_code == 503


async def test_a_server_is_built_of_ready_objects() -> None:
    async with serving() as world:
        first, second = (create_app(world.service, ServerState(world.clock)) for _ in range(2))
    assert isinstance(first, Litestar)
    assert first is not second


async def test_many_servers_live_side_by_side() -> None:
    async with serving() as one, serving(base=f"{HOST}:8443") as other:
        assert (await one.get("property")).content == (await other.get("property")).content
