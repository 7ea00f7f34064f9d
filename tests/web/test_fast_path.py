"""The shortcut answers as the route does, whatever is asked, and leaves to litestar what is not its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from app_world import HOST, NOW, World, serving, settings
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from litestar.types import Receive, Scope, Send
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Feed
from icsfeed.http_headers import http_date
from icsfeed.web.fast_path import FastPath
from icsfeed.web.feed_response import FeedEndpoint
from icsfeed.web.state import ServerState

pytestmark = pytest.mark.anyio

FEEDS = {
    "all": Feed(everything=True, public=True),
    "prop": Feed(project="PROP", subscribers=("phone", "lost"), revoked=("lost",)),
    "nobody": Feed(unassigned=True, where=replace(Feed().where, label=("none such",)), public=True),
}
CORS = "https://intranet.example.com"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(settings(FEEDS, cors=(CORS,), auto=Auto(projects=True, assignees=True))) as world:
        yield world


class Refused(Exception):
    """The request was left to the server."""


async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Refused


def alone(world: World) -> FastPath:
    """The shortcut with no server behind it."""
    endpoint = FeedEndpoint(world.service, ServerState(world.clock), "Accept-Encoding, Origin")
    return FastPath(world.service, endpoint, refuse)


async def ask(app: Any, method: str, url: str, headers: list[tuple[str, str]]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as client:
        request = httpx.Request(method, HOST + url, headers=[("Host", "x"), *headers])
        return await client.send(request)


def told(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return answer.status_code, sorted(answer.headers.raw), answer.content


tags = st.sampled_from(
    ["*", '"other"', "garbage", "", '"ETAG"', 'W/"ETAG"', '"x", "ETAG-gzip"', '"ETAG-gzip"']
)
moments = st.sampled_from([http_date(NOW), "Thu, 01 Jan 1998 00:00:00 GMT", "yesterday", ""])
codings = st.sampled_from(["gzip", "gzip;q=0", "*", "br, gzip;q=0.5", "identity", "GZIP, deflate", ""])
named = st.sampled_from(
    ["if-none-match", "if-modified-since", "accept-encoding", "user-agent", "accept", "origin"]
)
some = st.one_of(tags, moments, codings, st.sampled_from([CORS, "text/html", "Thunderbird/128"]))
asked = st.lists(st.tuples(named, some), max_size=5)


@given(
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["all", "prop", "nobody", "project-ops", "assignee-anna", "unknown"]),
    st.sampled_from(["", "?days=9", "?x", "/"]),
    asked,
)
@example("GET", "all", "", [("if-none-match", '"other"'), ("if-none-match", '"ETAG"')])
@example("GET", "prop", "", [("if-none-match", '"other"'), ("if-modified-since", http_date(NOW))])
@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
async def test_both_ways_say_the_same(
    world: World, method: str, feed: str, query: str, headers: list[tuple[str, str]]
) -> None:
    url = world.path(feed) + query
    etag = (await ask(world.app, "GET", world.path(feed), [])).headers.get("etag", "").strip('"')
    sent = [(name, value.replace("ETAG", etag)) for name, value in headers]
    short = await ask(world.app, method, url, sent)
    world.clock.move(2)
    assert world.service.at_hand(feed) is None
    assert told(await ask(world.app, method, url, sent)) == told(short)


@pytest.mark.parametrize("feed", ["all", "prop", "assignee-anna"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_feed_at_hand_needs_no_routing(world: World, feed: str, method: str) -> None:
    long = await ask(world.app, method, world.path(feed), [])
    assert told(await ask(alone(world), method, world.path(feed), [])) == told(long)
    etag = long.headers["etag"]
    assert (await ask(alone(world), method, world.path(feed), [("If-None-Match", etag)])).status_code == 304


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("POST", "/feeds/all.ics", []),
        ("GET", "/feeds/all.ics?days=3", []),
        ("GET", "/feeds/all.ics", [("Origin", CORS)]),
        ("GET", "/feeds/all", []),
        ("GET", "/feeds/nobody.ics", []),
        ("GET", "/feeds/x/all.ics", []),
        ("GET", "/feeds/prop.ics", []),
        ("GET", "/feeds/x/y/all.ics", []),
        ("GET", "/embed/all.ics", []),
        ("GET", "/", []),
    ],
)
async def test_all_else_is_left_to_the_server(
    world: World, method: str, url: str, headers: list[tuple[str, str]]
) -> None:
    for feed in ("all", "prop"):
        await world.get(feed)
    with pytest.raises(Refused):
        await ask(alone(world), method, url, headers)


async def test_a_revoked_link_is_left_to_the_server(world: World) -> None:
    await world.get("prop")
    assert (await ask(alone(world), "GET", world.path("prop", "phone"), [])).status_code == 200
    with pytest.raises(Refused):
        await ask(alone(world), "GET", world.path("prop", "lost"), [])


async def test_a_feed_is_at_hand_for_a_second(world: World) -> None:
    first = (await world.get("all")).content
    world.change("PROP", 1, name="Changed")
    world.clock.move(0.9)
    assert world.service.at_hand("all") is not None
    world.clock.move(61)
    assert world.service.at_hand("all") is None
    assert (await world.get("all")).content != first
    world.clock.move(-3600)
    assert world.service.at_hand("all") is None


async def test_what_was_begun_before_a_sync_is_not_at_hand_after_it(world: World) -> None:
    world.change("PROP", 1, name="Before the sync")
    async with world.service.store.lock("history/all", 2):  # a rendering waits for it
        readers = [asyncio.create_task(world.get("all"))]
        await asyncio.sleep(0.1)
        world.change("PROP", 1, name="After the sync")
        await next(iter(world.service.workspaces.values())).sync()
        readers.append(asyncio.create_task(world.get("all")))
        await asyncio.sleep(0.1)
    for reader in readers:
        assert b"Before the sync" in (await reader).content
    assert world.service.at_hand("all") is None
    assert b"After the sync" in (await world.get("all")).content


async def test_readers_are_counted_by_both_ways(world: World) -> None:
    server = ServerState(world.clock)
    shortcut = FastPath(world.service, FeedEndpoint(world.service, server, ""), refuse)
    etag = (await world.get("prop")).headers["etag"]
    await ask(shortcut, "GET", world.path("prop"), [("User-Agent", "Thunderbird/128")])
    await ask(shortcut, "GET", world.path("prop", "phone"), [("If-None-Match", etag)])
    assert server.reader_log.answers == {200: 1, 304: 1}
    found = {(one.subscriber, one.status) for one in server.reader_log.readers("prop")}
    assert found == {("", 200), ("phone", 304)}
