"""Conditional requests and compression of a feed (RFC 9110, 8.8, 12.5.3 and 13)."""

import gzip
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
from app_world import NOW, TODAY, Clock, World, serving, settings
from plane.sample import sample

from icsfeed.feeds.rendered import render_dated
from icsfeed.http_headers import http_date
from icsfeed.ics.write import Header
from icsfeed.web.feeds.headers import ResponseChoice, feed_headers

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving() as made:
        yield made


# Validators


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{etag}", 304),
        ("W/{etag}", 304),
        ("*", 304),
        (" * ", 304),
        ('"other", {etag}', 304),
        ('W/"other",W/{etag} , "more"', 304),
        ('"a,b", {etag}', 304),
        ('"other"', 200),
        ('W/"other"', 200),
        ("{bare}", 200),
        ("", 200),
        ('"', 200),
        ('"**"', 200),
    ],
)
async def test_if_none_match_is_compared_weakly_with_each_tag(
    world: World, header: str, status: int, encoding: str
) -> None:
    etag = (await world.get("property", accept_encoding=encoding)).headers["etag"]
    asked = header.format(etag=etag, bare=etag.strip('"'))
    answer = await world.get("property", if_none_match=asked, accept_encoding=encoding)
    assert answer.status_code == status


@pytest.mark.parametrize(("first", "then"), [("", "gzip"), ("gzip", ""), ("gzip", "gzip"), ("", "")])
async def test_a_copy_is_recognised_whatever_encoding_it_came_in(world: World, first: str, then: str) -> None:
    etag = (await world.get("property", accept_encoding=first)).headers["etag"]
    answer = await world.get("property", accept_encoding=then, if_none_match=etag)
    assert answer.status_code == 304


async def test_each_encoding_has_an_etag_of_its_own(world: World) -> None:
    plain = await world.get("property")
    zipped = await world.get("property", accept_encoding="gzip")
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert zipped.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, 304), (1, 304), (86_400, 304), (-1, 200), (-86_400, 200)]
)
async def test_if_modified_since_counts_in_whole_seconds(world: World, seconds: int, status: int) -> None:
    modified = (await world.service.rendered("property")).last_modified
    since = http_date(modified + timedelta(seconds=seconds))
    assert (await world.get("property", if_modified_since=since)).status_code == status


@pytest.mark.parametrize(
    "value", ["", "yesterday", "Sat, 99 Nov 2026 09:00:00 GMT", "0", "2026-11-23T10:00:00Z"]
)
async def test_a_date_that_cannot_be_read_is_as_if_it_were_not_there(world: World, value: str) -> None:
    assert (await world.get("property", if_modified_since=value)).status_code == 200


async def test_if_none_match_wins_over_if_modified_since(world: World) -> None:
    first = await world.get("property")
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    other = await world.get("property", if_none_match='"other"', if_modified_since=modified)
    same = await world.get(
        "property", if_none_match=etag, if_modified_since=http_date(NOW - timedelta(days=999))
    )
    assert (other.status_code, same.status_code) == (200, 304)


@pytest.mark.parametrize("feed", ["property", "everything"])
@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_304_has_the_headers_of_the_200_and_no_body(world: World, feed: str, encoding: str) -> None:
    full = await world.get(feed, accept_encoding=encoding)
    for condition in (
        {"if_none_match": full.headers["etag"]},
        {"if_modified_since": full.headers["last-modified"]},
    ):
        answer = await world.get(feed, accept_encoding=encoding, **condition)
        assert (answer.status_code, answer.content) == (304, b"")
        for name in ("etag", "last-modified", "cache-control", "vary"):
            assert answer.headers[name] == full.headers[name]
        # RFC 9110, 8.6: not unless it is that of the 200.
        assert "content-length" not in answer.headers
        assert "content-encoding" not in answer.headers


async def test_a_changed_feed_is_sent_again() -> None:
    async with serving() as world:
        first = await world.get("property")
        world.clock.move(61)
        world.change("PROP", 1, name="Changed")
        for name, header in (("if_none_match", "etag"), ("if_modified_since", "last-modified")):
            assert (await world.get("property", **{name: first.headers[header]})).status_code == 200


@pytest.mark.parametrize("feed", ["property", "everything"])
async def test_if_none_match_may_stand_on_several_lines(world: World, feed: str) -> None:
    etag = (await world.get(feed)).headers["etag"]
    for tags, status in (
        (['"a"', etag], 304),
        ([etag, '"a"'], 304),
        (['"a"', '"b"'], 200),
        (["", etag], 304),
    ):
        sent = [("if-none-match", tag) for tag in tags]
        assert (await world.client.get(world.path(feed), headers=sent)).status_code == status


async def test_two_dates_are_as_if_there_were_none(world: World) -> None:
    modified = (await world.get("property")).headers["last-modified"]
    sent = [("if-modified-since", modified)] * 2
    assert (await world.client.get(world.path("property"), headers=sent)).status_code == 200


@pytest.mark.parametrize("query", ["", "?priority=urgent", "?days=9"])
async def test_last_modified_is_never_after_date_though_planes_clock_is_ahead(query: str) -> None:
    ahead = Clock(NOW + timedelta(minutes=20))
    async with serving(data=sample(TODAY, clock=ahead)) as world:
        world.change("PROP", 1, priority="urgent", target_date="2026-11-25")
        for minutes in (0, 0, 10, 15):
            world.clock.move(minutes=minutes)
            answer = await world.get("property", query)
            assert _moment(answer) <= world.clock.now
        assert answer.headers["last-modified"] == "Mon, 23 Nov 2026 10:20:00 GMT", "the same from then on"
        again = await world.get("property", query, if_modified_since=answer.headers["last-modified"])
        assert again.status_code == 304


async def test_last_modified_is_never_after_date_though_a_feed_changes_twice_in_a_second() -> None:
    async with serving() as world:
        seen = set()
        for number in range(4):
            world.change("PROP", 1, name=f"Changed {number}")
            await world.workspace.sync()
            answer = await world.get("property")
            assert f"Changed {number}".encode() in answer.content
            assert _moment(answer) <= world.clock.now
            since = answer.headers["last-modified"]
            world.change("PROP", 1, name=f"Changed {number} again")
            await world.workspace.sync()
            assert (await world.get("property", if_modified_since=since)).status_code == 200
            seen.add(answer.headers["etag"])
        assert len(seen) == 4


def _moment(answer: httpx.Response) -> datetime:
    return parsedate_to_datetime(answer.headers["last-modified"])


async def test_a_precondition_does_not_help_those_without_the_link(world: World) -> None:
    assert (await world.ask("GET", "/feeds/icsf_x/property.ics", if_none_match="*")).status_code == 404


# Compression


@pytest.mark.parametrize("feed", ["property", "everything"])
@pytest.mark.parametrize(
    ("lines", "status", "coding"),
    [
        ([], 200, None),
        (["br", "gzip"], 200, "gzip"),
        (["gzip;q=0", "*"], 200, None),
        (["gzip;q=0.1, identity"], 200, None),
        (["gzip;q=0"], 200, None),
        (["identity;q=0"], 200, "gzip"),
        (["*;q=0"], 406, None),
        (["gzip;q=0, identity;q=0"], 406, None),
        (["gzip;q=0", "*;q=0"], 406, None),
    ],
)
async def test_a_feed_comes_in_a_coding_that_is_taken(
    world: World, lines: list[str], status: int, coding: str | None, feed: str
) -> None:
    sent = [("accept-encoding", line) for line in lines]
    for _ in range(2):  # by the long way and by the short one
        answer = await world.client.get(world.path(feed), headers=sent)
        assert (answer.status_code, answer.headers.get("content-encoding")) == (status, coding)
        assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_compressed_feed_is_the_same_feed(world: World) -> None:
    plain = await world.get("property", accept_encoding="identity")
    async with world.client.stream(
        "GET", world.path("property"), headers={"accept-encoding": "gzip"}
    ) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(raw))
    assert len(raw) < len(plain.content) / 2
    assert "content-encoding" not in plain.headers
    alike = ("content-type", "last-modified", "cache-control", "vary", "content-disposition")
    assert all(answer.headers[name] == plain.headers[name] for name in alike)


async def test_compression_can_be_switched_off() -> None:
    async with serving(settings(gzip=False)) as world:
        answer = await world.get("property", accept_encoding="gzip")
        assert "content-encoding" not in answer.headers
        assert answer.content.startswith(b"BEGIN:VCALENDAR")
        # A copy from before it was switched off is still good.
        zipped = answer.headers["etag"][:-1] + '-gzip"'
        assert (await world.get("property", if_none_match=zipped)).status_code == 304


async def test_errors_are_not_compressed(world: World) -> None:
    answer = await world.ask("GET", "/feeds/x.ics", accept_encoding="gzip")
    assert "content-encoding" not in answer.headers


def test_an_answer_names_its_file_after_the_url() -> None:
    rendered = render_dated(Header(name="n", refresh=60), [], NOW)
    sent = feed_headers(rendered, ResponseChoice(is_gzip=False, is_unchanged=False), "a.b-c_d.ics", 10, NOW)
    assert sent["Content-Disposition"] == 'inline; filename="a.b-c_d.ics"'
    assert sent["Cache-Control"] == "public, max-age=10, stale-if-error=86400"
    assert sent["ETag"] == rendered.etag
