"""Calendars at hand: answered as those that are rendered first, and none that is out of date."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from app_world import HOST, NOW, World, serving, settings
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Feed
from icsfeed.http_headers import http_date
from icsfeed.web.token_throttle import TokenThrottle

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


async def ask(app: Any, method: str, url: str, headers: list[tuple[str, str]]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as client:
        request = httpx.Request(method, HOST + url, headers=[("Host", "x"), *headers])
        return await client.send(request)


def as_sent(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
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


async def _at_once(_seconds: float) -> None:
    """Wrong links are slowed down."""


@given(
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from(["all", "prop", "nobody", "project-ops", "assignee-anna", "unknown"]),
    st.sampled_from(["", "?days=9", "?x", "/"]),
    asked,
)
@example("GET", "all", "", [("if-none-match", '"other"'), ("if-none-match", '"ETAG"')])
@example("GET", "prop", "", [("if-none-match", '"other"'), ("if-modified-since", http_date(NOW))])
@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
async def test_a_calendar_at_hand_is_answered_as_one_that_is_looked_up(
    world: World, method: str, feed: str, query: str, headers: list[tuple[str, str]]
) -> None:
    world.server.token_throttle = TokenThrottle(world.clock.timer, _at_once)
    url = world.path(feed) + query
    etag = (await ask(world.app, "GET", world.path(feed), [])).headers.get("etag", "").strip('"')
    sent = [(name, value.replace("ETAG", etag)) for name, value in headers]
    short = await ask(world.app, method, url, sent)
    assert as_sent(await ask(world.app, method, url, sent)) == as_sent(short), "repeated"
    world.clock.move(2)
    assert world.service.at_hand(feed) is None
    assert as_sent(await ask(world.app, method, url, sent)) == as_sent(short)


async def test_what_a_page_of_another_origin_was_told_is_told_to_nobody_else(world: World) -> None:
    url = world.path("all")
    assert "access-control-allow-origin" in (await ask(world.app, "GET", url, [("Origin", CORS)])).headers
    assert "access-control-allow-origin" not in (await ask(world.app, "GET", url, [])).headers


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


async def test_a_feed_that_is_asked_for_all_the_time_is_served_while_it_is_renewed(world: World) -> None:
    first = (await world.get("all")).content
    world.change("PROP", 1, name="Changed")
    world.workspace.expire()
    async with world.service.store.lock("history/all", 10):  # a rendering waits for it
        for _ in range(11):  # 9.9 seconds
            world.clock.move(0.9)
            assert (await world.get("all")).content == first
        world.clock.move(0.9)
        assert world.service.at_hand("all") is None, "after ten seconds it is waited for"
    for _ in range(500):
        if (await world.get("all")).content != first:
            break
        await asyncio.sleep(0.02)
    assert b"Changed" in (await world.get("all")).content


async def test_a_feed_that_is_not_is_looked_up_before_it_is_served(world: World) -> None:
    await world.get("all")
    world.change("PROP", 1, name="Changed")
    world.workspace.expire()
    world.clock.move(1)
    assert b"Changed" in (await world.get("all")).content


async def test_what_was_begun_before_a_sync_is_not_at_hand_after_it(world: World) -> None:
    world.change("PROP", 1, name="Before the sync")
    await world.service.view("all")  # read, and not rendered yet
    async with world.service.store.lock("history/all", 2):  # a rendering waits for it
        readers = [await _begun(world)]
        world.change("PROP", 1, name="After the sync")
        await world.workspace.sync()
        readers.append(await _begun(world))
    for reader in readers:
        assert b"Before the sync" in (await reader).content
    assert world.service.at_hand("all") is None
    assert b"After the sync" in (await world.get("all")).content


async def _begun(world: World) -> asyncio.Task[httpx.Response]:
    """A reader, after turns of the event loop in which nothing but the lock keeps it from its answer."""
    reader = asyncio.create_task(world.get("all"))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert not reader.done()
    return reader


async def test_readers_of_what_is_at_hand_are_counted(world: World) -> None:
    etag = (await world.get("prop")).headers["etag"]
    assert world.service.at_hand("prop") is not None
    await ask(world.app, "GET", world.path("prop"), [("User-Agent", "Thunderbird/128")])
    await ask(world.app, "GET", world.path("prop", "phone"), [("If-None-Match", etag)])
    assert world.server.reader_log.answers == {200: 2, 304: 1}
    found = {(one.subscriber, one.status) for one in world.server.reader_log.readers().get("prop", ())}
    assert found == {("", 200), ("phone", 304)}


async def test_answers_with_pages_are_counted(world: World) -> None:
    page = world.path("prop").removesuffix(".ics")
    await ask(world.app, "GET", page, [("Accept", "text/html")])
    await ask(world.app, "GET", "/feeds/unknown", [("Accept", "text/html")])
    await ask(world.app, "GET", page + "?date=x", [("Accept", "text/html")])
    assert world.server.reader_log.answers == {200: 1, 404: 1, 400: 1}
    assert not world.server.reader_log.readers().get("prop", ())
