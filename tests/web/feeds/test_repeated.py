"""Requests that repeat one of a moment ago: answered as that one was, and only while nothing has changed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from app_world import HOST, World, serving, settings

from icsfeed.config.schema import Auto, Feed
from icsfeed.feeds.automatic_names import AssignedNames
from icsfeed.web.feeds.repeated import ENTRY_BYTES, RepeatedRequests

pytestmark = pytest.mark.anyio

FEEDS = {
    "all": Feed(everything=True, public=True),
    "prop": Feed(project="PROP", subscribers=("phone",)),
    "gone": Feed(project="PROP", subscribers=("lost",), revoked=("lost",)),
}
SITE = "https://intranet.example.com"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS, cors=(SITE,), auto=Auto(projects=True))) as world:
        yield world


async def repeat(world: World, path: str, method: str = "GET", /, **headers: str) -> httpx.Response | None:
    """Ask what is remembered alone; None: it would have asked the server."""
    reached = False

    async def server(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal reached
        reached = True
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    remembered: RepeatedRequests = world.app.state.endpoint.repeated
    transport = httpx.ASGITransport(remembered.around(server))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        for name in ("accept", "accept-encoding", "user-agent"):  # as in `World`
            del client.headers[name]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await client.request(method, path, headers=sent)
    return None if reached else answer


def same(one: httpx.Response, other: httpx.Response | None) -> bool:
    assert other is not None, "it was not remembered"
    return (one.status_code, one.headers.raw, one.content) == (
        other.status_code,
        other.headers.raw,
        other.content,
    )


async def test_the_same_request_gets_the_same_answer(world: World) -> None:
    path = world.path("prop", "phone")
    etag = (await world.get("prop", user_agent="first")).headers["etag"]
    for method, headers in (
        ("GET", {}),
        ("HEAD", {}),
        ("GET", {"accept_encoding": "gzip", "user_agent": "Thunderbird/128"}),
        ("GET", {"if_none_match": etag}),
        ("HEAD", {"if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    ):
        first = await world.ask(method, path, **headers)
        assert same(first, await repeat(world, path, method, **headers))
        assert same(first, await repeat(world, path, method, **headers)), "also the third time"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("?days=9", {}),
        ("", {"user_agent": "another"}),
        ("", {"accept_encoding": "gzip"}),
        ("", {"if_none_match": '"x"'}),
        ("", {"host": "other.example.com"}),
        ("", {"origin": SITE}),
    ],
)
async def test_other_words_are_another_request(world: World, path: str, headers: dict[str, str]) -> None:
    await world.get("all")
    assert await repeat(world, world.path("all") + path, **headers) is None
    assert await repeat(world, world.path("all")) is not None


@pytest.mark.parametrize(
    ("feed", "subscriber", "query", "headers"),
    [
        ("prop", "", "?days=9", {}),
        ("gone", "lost", "", {}),
        ("unknown", "", "", {}),
        ("all", "", "", {"origin": SITE}),
        ("all", "", "", {"accept_encoding": "identity;q=0, *;q=0"}),
    ],
)
async def test_other_answers_are_not_remembered(
    world: World, feed: str, subscriber: str, query: str, headers: dict[str, str]
) -> None:
    path = world.path(feed, subscriber) + query
    await world.ask("GET", path, **headers)
    assert await repeat(world, path, **headers) is None


async def test_news_and_pages_are_not_remembered(world: World) -> None:
    for path in ("/feeds/all.atom", "/feeds/all", "/robots.txt"):
        assert (await world.ask("GET", path)).status_code == 200
        assert await repeat(world, path) is None


async def test_a_feed_that_has_changed_is_not_repeated(world: World) -> None:
    first = await world.get("all")
    world.change("PROP", 1, name="Changed")
    world.clock.move(0.5)
    assert same(first, await repeat(world, world.path("all")))
    world.clock.move(61)
    assert await repeat(world, world.path("all")) is None
    second = await world.get("all")
    assert b"Changed" in second.content
    assert same(second, await repeat(world, world.path("all")))


async def test_after_a_sync_nothing_is_repeated(world: World) -> None:
    await world.get("all")
    await world.workspace.sync()
    assert await repeat(world, world.path("all")) is None


async def test_links_that_may_open_other_feeds_are_looked_up_again(world: World) -> None:
    path = (await world.service.all_links(""))["project-prop"]["ics"]
    assert (await world.ask("GET", path)).status_code == 200
    assert await repeat(world, path) is not None
    world.service.links.set_automatic({}, AssignedNames())
    assert await repeat(world, path) is None


async def test_a_date_of_change_in_the_future_is_sent_as_now_each_time(world: World) -> None:
    await world.get("all")
    moment = world.service.at_hand("all")
    assert moment is not None
    world.clock.now = moment.last_modified - timedelta(seconds=30)
    await world.get("all")
    assert await repeat(world, world.path("all")) is None


async def test_readers_are_counted_and_noted(world: World) -> None:
    path = world.path("prop", "phone")
    await world.ask("GET", path, user_agent="Thunderbird/128")
    world.clock.move(0.5)
    assert await repeat(world, path, user_agent="Thunderbird/128") is not None
    assert world.server.reader_log.answers == {200: 2}
    (reader,) = world.server.reader_log.readers()["prop"]
    assert (reader.subscriber, reader.app, reader.at) == ("phone", "Thunderbird", world.clock())


async def test_what_is_remembered_has_a_limit(world: World) -> None:
    etag = (await world.get("all")).headers["etag"]
    endpoint = world.app.state.endpoint
    endpoint.repeated = RepeatedRequests(world.service, world.server.reader_log, limit=2 * ENTRY_BYTES)
    apps = ("first", "second", "third")
    for app in apps:
        await world.get("all", user_agent=app, if_none_match=etag)
    path = world.path("all")
    asked = [await repeat(world, path, user_agent=app, if_none_match=etag) for app in apps]
    assert [answer is not None for answer in asked] == [False, True, True]
