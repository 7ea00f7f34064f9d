"""One line for each request: enough to know who reads what, and no secret."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from app_world import World, serving, settings

from icsfeed.config.schema import Feed

pytestmark = pytest.mark.anyio

FEEDS = {"property": Feed(project="PROP"), "public": Feed(everything=True, public=True)}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"


@pytest.fixture
async def world(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    caplog.set_level(logging.INFO, "icsfeed.request")
    async with serving(settings(FEEDS)) as made:
        yield made


def lines(caplog: pytest.LogCaptureFixture) -> Sequence[dict[str, Any]]:
    found = [record.__dict__["about"] for record in caplog.records if record.name == "icsfeed.request"]
    caplog.clear()
    return found


async def test_a_read_is_told_with_feed_status_bytes_and_app(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first = await world.get("property", "?days=9999&x=secret", user_agent=AGENT)
    await world.get("property", "?days=9999", user_agent=AGENT, if_none_match=first.headers["etag"])
    await world.ask("HEAD", world.path("public"))
    logged = lines(caplog)
    assert logged[0] == {
        "method": "GET",
        "route": "/feeds/{token}/{file}",
        "feed": "property",
        "status": 200,
        "bytes": len(first.content),
        "ms": 0.0,
        "app": "Thunderbird",
    }
    assert [(one["feed"], one["status"], one["bytes"]) for one in logged[1:]] == [
        ("property", 304, 0),
        ("public", 200, 0),
    ]


async def test_pages_and_frames_are_logged_with_their_feed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    links = world.service.links
    paths = [
        links.page_path("property"),
        links.embed_path("property"),
        "/feeds/public",
        "/embed/public?view=x",
    ]
    for path in (*paths, "/embed/secret"):
        await world.ask("GET", path)
    logged = [(one["status"], one.get("feed")) for one in lines(caplog)]
    assert logged == [(200, "property"), (200, "property"), (200, "public"), (400, "public"), (404, None)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/feeds/icsf_aaaaaaaaaaaaaaaaaaaaaaaaaa/property.ics", 404),
        ("/feeds/property.ics", 404),
        ("/feeds/secret/secret.ics", 404),
        ("/secret?secret=secret", 404),
        ("/feeds/a/secret", 404),
    ],
)
async def test_what_is_refused_is_told_without_what_was_asked(
    world: World, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    await world.ask("GET", path, user_agent="secret", cookie="secret", authorization="Bearer secret")
    (logged,) = lines(caplog)
    assert logged["status"] == status
    assert "feed" not in logged
    assert "secret" not in str(logged)
    assert "icsf_" not in str(logged)
    assert "address" not in logged


async def test_what_is_refused_before_it_is_routed_names_no_feed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "icsfeed.request")
    cors = ("https://intranet.example.com",)
    async with serving(settings(FEEDS, allowed_hosts=("cal.example.com",), cors=cors)) as world:
        await world.ask("GET", "/feeds/secret.ics", host="elsewhere.example.com")
        asked = {"origin": "https://elsewhere.example.com", "access-control-request-method": "GET"}
        await world.ask("OPTIONS", "/feeds/secret.ics", host="cal.example.com", **asked)
    logged = lines(caplog)
    assert [(one["status"], one["route"]) for one in logged] == [(400, "none"), (400, "none")]
    assert "secret" not in str(logged)


async def test_a_wrong_parameter_is_told_with_its_feed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.get("property", "?days=x")
    assert [(one["status"], one["feed"]) for one in lines(caplog)] == [(400, "property")]


async def test_what_monitors_ask_is_told_at_debug_only(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.ask("GET", "/health")
    assert lines(caplog) == []
    caplog.set_level(logging.DEBUG, "icsfeed.request")
    await world.ask("GET", "/health")
    assert [one["route"] for one in lines(caplog)] == ["/health"]


async def test_a_quiet_log_costs_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "icsfeed.request")
    await world.get("property")
    assert lines(caplog) == []


async def test_the_address_is_told_where_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "icsfeed.request")
    config = settings(FEEDS, log_addresses=True, trusted_proxies=("127.0.0.1/32",))
    async with serving(config) as world:
        await world.get("public")
        await world.get("public", x_forwarded_for="203.0.113.9")
    assert [one["address"] for one in lines(caplog)] == ["127.0.0.1", "203.0.113.9"]
