"""News of feeds over HTTP: access, validators and headers as of calendars; what they say from day to day."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_world import HOST, NOW, Clock, World, quick, serving, settings
from news_checks import ATOM, atom_document, json_feed_document
from plane import faults as f
from plane.sample import sample
from redis_world import RedisServer, redis_server

from icsfeed.config.schema import Auto, Config, Feed
from icsfeed.demo.sample import sample_id
from icsfeed.feeds.links import Grant
from icsfeed.feeds.news.publisher import NewsFeeds
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

FEEDS = {
    "all": Feed(everything=True, public=True),
    "prop": Feed(project="PROP", title="Property", subscribers=("phone", "lost"), revoked=("lost",)),
    "anna": Feed(assignee="anna"),
    "busy": Feed(project="PROP", details="busy"),
    "tasks": Feed(project="PROP", component="vtodo", language="de"),
}
CORS = "https://intranet.example.com"


def _config(**changes: Any) -> Config:
    return settings(FEEDS, cors=(CORS,), auto=Auto(projects=True), timezone="Europe/Berlin", **changes)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(_config()) as world:
        yield world


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


async def ask(
    world: World, feed: str = "prop", extension: str = "json", query: str = "", /, **headers: str
) -> httpx.Response:
    path = world.service.links.page_path(feed)
    return await world.ask("GET", f"{path}.{extension}{query}", **headers)


async def items(world: World, feed: str = "prop", query: str = "") -> list[dict[str, Any]]:
    answer = await ask(world, feed, "json", query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = json_feed_document(answer.content)["items"]
    moments = [item["date_published"] for item in found]
    assert moments == sorted(moments, reverse=True)
    other = atom_document((await ask(world, feed, "atom", query)).content)
    assert [one.findtext(f"{ATOM}id") for one in other.findall(f"{ATOM}entry")] == [it["id"] for it in found]
    return found


async def titles(world: World, feed: str = "prop", query: str = "") -> list[str]:
    return [item["title"] for item in await items(world, feed, query)]


def modified(answer: httpx.Response) -> datetime:
    return parsedate_to_datetime(answer.headers["last-modified"])


def change(world: World, number: int, **changes: Any) -> None:
    world.clock.move(minutes=2)
    world.change("PROP", number, **changes)
    world.clock.move(minutes=2)


# As calendars are answered


@pytest.mark.parametrize(
    ("extension", "media"), [("atom", "application/atom+xml"), ("json", "application/feed+json")]
)
async def test_headers_are_those_of_a_calendar(world: World, extension: str, media: str) -> None:
    for feed in ("prop", "all"):
        calendar, answer = await ask(world, feed, "ics"), await ask(world, feed, extension)
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"
        assert answer.headers["content-disposition"] == f'inline; filename="{feed}.{extension}"'
        assert answer.headers.keys() == calendar.headers.keys()
        same = ("cache-control", "x-robots-tag", "referrer-policy", "x-content-type-options", "vary")
        assert [answer.headers[name] for name in same] == [calendar.headers[name] for name in same]
        assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"].startswith("public, max-age=")


@pytest.mark.parametrize("extension", ["atom", "json"])
async def test_conditions_head_gzip_and_cors(world: World, extension: str) -> None:
    answer = await ask(world, "prop", extension)
    etag, modified = answer.headers["etag"], answer.headers["last-modified"]
    for condition in ({"if_none_match": etag}, {"if_modified_since": modified}):
        unchanged = await ask(world, "prop", extension, **condition)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    head = await world.ask("HEAD", world.service.links.page_path("prop") + f".{extension}")
    assert (head.content, head.headers) == (b"", answer.headers)
    packed = await ask(world, "prop", extension, accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == answer.content
    assert int(packed.headers["content-length"]) < len(answer.content)
    assert (await ask(world, "prop", extension, origin=CORS)).headers["access-control-allow-origin"] == CORS
    assert (
        await world.ask("POST", world.service.links.page_path("prop") + f".{extension}")
    ).status_code == 405


@pytest.mark.parametrize("extension", ["atom", "json"])
async def test_a_wrong_link_opens_nothing(world: World, extension: str) -> None:
    token = world.service.links.token("prop")
    paths = (f"/feeds/icsf_{'a' * 26}/prop", "/feeds/prop", "/feeds/none", f"/feeds/{token}/anna")
    for path in paths:
        answer, calendar = [await world.ask("GET", f"{path}.{end}") for end in (extension, "ics")]
        assert (answer.status_code, answer.content) == (404, calendar.content)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("extension", ["atom", "json"])
async def test_a_revoked_link_has_one_entry_that_says_so(world: World, extension: str) -> None:
    path = f"{world.service.links.page_path('prop', 'lost')}.{extension}"
    answer = await world.ask("GET", path)
    assert answer.status_code == 200
    assert answer.text.count("This calendar link was revoked") == 1
    assert "Renew" not in answer.text
    check = atom_document if extension == "atom" else json_feed_document
    check(answer.content)
    assert (await world.ask("GET", path, if_none_match=answer.headers["etag"])).status_code == 304


@pytest.mark.parametrize("extension", ["atom", "json"])
async def test_the_addresses_are_those_of_the_link_and_its_query(world: World, extension: str) -> None:
    for subscriber in ("", "phone"):
        path = world.service.links.page_path("prop", subscriber)
        answer = await world.ask("GET", f"{path}.{extension}?utm_source=x&priority=urgent&label=a%26b")
        query = "?priority=urgent&label=a%26b"
        if extension == "json":
            feed = json_feed_document(answer.content)
            found = {feed["feed_url"], feed["home_page_url"]}
        else:
            found = {one.get("href") for one in atom_document(answer.content).findall(f"{ATOM}link")}
        assert found == {f"{HOST}{path}.{extension}{query}", f"{HOST}{path}{query}"}
        assert answer.text.count("icsf_") == 2


async def test_a_configured_address_is_used() -> None:
    async with serving(_config(public_url="https://example.com/cal")) as world:
        feed = (await world.ask("GET", "/cal/feeds/all.json", host="evil.example.com")).json()
        assert feed["feed_url"] == "https://example.com/cal/feeds/all.json"


async def test_a_bad_parameter_is_named(world: World) -> None:
    answer = await ask(world, "prop", "atom", "?days=x")
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "days")
    assert (await ask(world, "busy", "json", "?state=started")).status_code == 400


async def test_without_plane_there_is_the_last_copy_or_503_and_never_an_empty_feed() -> None:
    async with serving(quick(_config())) as world:
        world.faults.add("", f.bad_gateway(), times=None)
        for extension in ("atom", "json"):
            answer = await ask(world, "prop", extension)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    async with serving(_config()) as world:
        before = await items(world)
        world.faults.add("", f.bad_gateway(), times=None)
        world.clock.move(minutes=10)
        assert await items(world) == before != []


async def test_logs_have_the_feed_and_no_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await ask(world, "prop", "atom", user_agent="Slackbot 1.0 (+https://api.slack.com/robots)")
    await ask(world, "prop", "json", user_agent="Miniflux/2.2")
    (first, _) = [r.__dict__["about"] for r in caplog.records if r.name == "icsfeed.request"]
    assert (first["feed"], first["app"]) == ("prop", "Slack")
    assert (world.service.links.token("prop") or "") not in repr(
        [r.__dict__ for r in caplog.records if r.name != "httpx"]
    )
    assert [reader.app for reader in world.server.reader_log.readers()["prop"]] == ["Slack", "a feed reader"]


async def test_pages_name_the_news_for_feed_readers(world: World) -> None:
    path = world.service.links.page_path("prop")
    page = await world.ask("GET", f"{path}?priority=high")
    for extension, media in (("atom", "application/atom+xml"), ("json", "application/feed+json")):
        href = f"{HOST}{path}.{extension}?priority=high"
        assert f'<link rel="alternate" type="{media}" href="{href}" title="Property">' in page.text


async def test_nothing_is_made_unless_it_is_asked_for(world: World) -> None:
    await ask(world, "prop", "ics")
    assert await world.service.store.get("news/prop") is None
    await ask(world)
    assert await world.service.store.get("news/prop") is not None


# From day to day


async def test_what_is_due_comes_at_midnight_in_the_zone_and_stays_the_same() -> None:
    clock = Clock(datetime(2026, 11, 23, 22, 58, tzinfo=UTC))  # 23:58 in Berlin
    async with serving(_config(), clock=clock) as world:
        world.change("PROP", 1, target_date="2026-11-24")
        before = await ask(world)
        assert not any("[1]" in item["title"] for item in before.json()["items"])
        clock.move(minutes=1)
        assert (await ask(world)).headers["etag"] == before.headers["etag"]
        clock.move(minutes=2)
        newest = (await items(world))[0]
        due = next(item for item in await items(world) if "[1]" in item["title"])
        assert due["title"].startswith("Due 2026-11-24: [1]")
        assert due["date_published"] == newest["date_published"] == "2026-11-23T23:00:00Z"
        after = await ask(world)
        assert modified(after) > modified(before)
        clock.move(hours=20)
        assert (await ask(world, "prop", "json", if_none_match=after.headers["etag"])).status_code == 304
        clock.move(hours=5)
        late = next(item for item in await items(world) if "[1]" in item["title"])
        assert late["title"].startswith("Overdue (due 2026-11-24): [1]")
        assert late["id"] != due["id"]


async def test_a_due_date_moved_forth_and_back_is_new_each_time(world: World) -> None:
    await items(world)
    seen: list[str] = []
    for day in ("2026-12-10", "2026-12-20", "2026-12-10"):
        change(world, 1, target_date=day)
        first = (await items(world))[0]
        assert first["title"].split(": ")[0].endswith(f"to {day}")
        assert first["id"] not in seen
        seen.append(first["id"])
    assert [item["id"] for item in await items(world)][:3] == seen[::-1]


async def test_done_and_reopened(world: World) -> None:
    (before,) = [item for item in await items(world) if "[1]" in item["title"]]
    change(world, 1, state=sample_id("state", "PROP", "Done"))
    assert [title for title in await titles(world) if "[1]" in title] == [
        "Done: [1] Renew the insurance of house 7"
    ]
    change(world, 1, state=sample_id("state", "PROP", "Todo"))
    again = [item for item in await items(world) if "[1]" in item["title"]]
    assert [item["title"].split(":")[0] for item in again] == ["Reopened (due 2026-11-19)", "Done"]
    assert before["id"] not in {item["id"] for item in again}


async def test_a_new_issue_and_one_that_is_assigned_are_new_where_they_appear(world: World) -> None:
    await items(world)
    await items(world, "anna")
    anna = sample_id("user", "anna")
    change(world, 4, assignees=[anna], target_date="2026-12-24")
    assert (await titles(world, "anna"))[0].startswith("New (due 2026-12-24): [PROP-4]")
    # In the feed of the project it was before.
    assert (await titles(world))[0].startswith("Moved from")


async def test_a_removed_issue_takes_its_news_along(world: World) -> None:
    await items(world)
    change(world, 1, target_date="2026-12-10")
    assert (await titles(world))[0].startswith("Moved")
    change(world, 1, target_date=None)
    assert not any("[1]" in title for title in await titles(world))


async def test_links_narrow_news(world: World) -> None:
    await items(world, "prop", "?priority=low")
    change(world, 1, target_date="2026-12-10")
    assert (await titles(world, "prop", "?priority=urgent"))[0].startswith("Moved")
    assert not any("[1]" in title for title in await titles(world, "prop", "?priority=low"))
    before = await ask(world, "prop", "json", "?priority=urgent")
    change(world, 1, name="Another title")
    after = await ask(world, "prop", "json", "?priority=urgent")
    assert after.headers["etag"] != before.headers["etag"]
    assert modified(after) > modified(before)
    assert [item["id"] for item in after.json()["items"]] == [item["id"] for item in before.json()["items"]]


async def test_news_that_become_what_they_were_are_newer_all_the_same(world: World) -> None:
    name = world.issue("PROP", 1)["name"]
    answers = [await ask(world)]
    for title in ("Another", name):
        change(world, 1, name=title)
        answers.append(await ask(world))
    assert answers[0].content == answers[2].content != answers[1].content
    times = [modified(answer) for answer in answers]
    assert times == sorted(set(times))
    assert (
        await ask(world, "prop", "json", if_modified_since=answers[1].headers["last-modified"])
    ).is_success


async def test_a_busy_feed_does_not_say_what_changed(world: World) -> None:
    await items(world, "busy")
    change(world, 1, target_date="2026-11-23")
    found = await items(world, "busy")
    assert {item["content_text"] for item in found} == {"Busy"}
    assert {item["_icsfeed"]["event"] for item in found} == {"due"}
    text = (await ask(world, "busy", "atom")).text
    assert "plane.example.com" not in text
    assert sample_id("issue", "PROP", "1") not in text


async def test_tasks_in_german(world: World) -> None:
    assert (await titles(world, "tasks"))[-1].startswith("Überfällig (fällig am 19.11.2026): [1]")


async def test_replicas_and_restarts_agree(redis: RedisServer) -> None:
    clock = Clock()
    data = sample(NOW.date(), clock=clock)
    config = _config()

    def replica() -> AbstractAsyncContextManager[World]:
        return serving(config, data=data, clock=clock, store=open_store(redis.address, {}))

    async with replica() as one, replica() as two:
        assert (await ask(one)).content == (await ask(two)).content
        change(one, 1, target_date="2026-12-10")
        first = await ask(one)
        clock.move(minutes=5)
        second = await ask(two)
        assert first.content == second.content
        assert [second.headers[name] for name in ("etag", "last-modified")] == [
            first.headers[name] for name in ("etag", "last-modified")
        ]
        change(two, 1, target_date="2026-12-11")
        assert (await ask(two)).content == (await ask(one)).content
        last = await ask(one)
    clock.move(hours=1)
    async with replica() as again:
        assert (await ask(again)).content == last.content
        assert (await ask(again, "prop", "json", if_none_match=last.headers["etag"])).status_code == 304


async def test_another_configuration_of_the_server_goes_on_from_the_stored_state(world: World) -> None:
    await items(world)
    change(world, 1, target_date="2026-12-10")
    before = await ask(world)
    page = HOST + world.service.links.page_path("prop")
    for _ in range(2):
        again = NewsFeeds(world.service)
        assert (await again.rendered("prop", "json", page, (), Grant())).body == before.content
        world.clock.move(hours=1)
    world.change("PROP", 1, target_date="2026-12-11")
    world.clock.move(minutes=2)
    body = (await again.rendered("prop", "json", page, (), Grant())).body
    assert [item["title"][:31] for item in json_feed_document(body)["items"]][:2] == [
        "Moved from 2026-12-10 to 2026-1",
        "Moved from 2026-11-19 to 2026-1",
    ]


async def test_a_project_that_is_away_for_a_while_brings_no_news(world: World) -> None:
    before = await items(world, "all")
    world.faults.add(sample_id("project", "PROP"), f.bad_gateway(), times=None)
    world.clock.move(hours=3)
    during = await items(world, "all")
    world.faults.clear()
    world.clock.move(hours=3)
    assert await items(world, "all") == during == before


async def test_what_fails_leaves_the_last_news(world: World) -> None:
    class Failing(NewsFeeds):
        fails = False

        def _whole_news(self, *args: Any) -> Any:
            if self.fails:
                raise RuntimeError
            return super()._whole_news(*args)

    news = Failing(world.service)
    before = await news.rendered("prop", "json", HOST, (), Grant())
    news.fails = True
    change(world, 1, target_date="2026-12-10")
    assert await news.rendered("prop", "json", HOST, (), Grant()) == before
