"""Query parameters on a feed's URL narrow it, end to end, and never widen it."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
from app_world import NOW, TODAY, World, events, serving, settings, titles
from msgspec.structs import replace

from icsfeed.config.schema import Duration, Feed, Filter, Match, Window
from icsfeed.demo.sample import sample_id
from icsfeed.demo.settings import demo_config
from icsfeed.feeds.query import parse_query
from icsfeed.feeds.rendered import Rendered
from icsfeed.feeds.service import FeedService

pytestmark = pytest.mark.anyio

FEEDS = {
    **demo_config().feeds,
    "busy": Feed(everything=True, details="busy"),
    "open": Feed(everything=True, done="drop"),
    "soon": Feed(everything=True, window=Window(Duration(7 * 86_400), Duration(14 * 86_400))),
    "not-legal": Feed(project="PROP", where=Filter(exclude=Match(label=("Legal, contracts",)))),
    "tasks": Feed(everything=True, component="vtodo", undated=True),
    "names": Feed(project="PROP", details="title", categories=()),
}


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    """For tests that only read."""
    async with serving(settings(FEEDS)) as made:
        yield made


@pytest.fixture
async def fresh() -> AsyncIterator[World]:
    """For tests that change what is there."""
    async with serving(settings(FEEDS)) as made:
        yield made


async def _numbers(world: World, feed: str, query: str) -> set[int]:
    """The numbers of the issues in a feed: `[12] Name`."""
    answer = await world.get(feed, query)
    assert answer.status_code == 200, answer.text
    return {int(title[1:].partition("]")[0]) for title in titles(answer.content)}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?priority=urgent", {1}),
        ("?priority=urgent,low&priority=!low", {1}),
        ("?priority=URGENT", {1}),
        ("?state=started", {2, 4, 8, 14}),
        ("?state=In%20Review", {8}),
        ("?state=in+review", {8}),
        ("?label=Heating", {2, 3, 4, 5, 6}),
        ("?label=Legal%2C%20contracts", {1, 8, 9, 17}),
        ("?label=Legal,%20contracts", {1, 8, 9, 17}),
        ("?label=none", {11, 16}),
        ("?label=Heating&label=!Budget", {3, 5, 6}),
        ("?assignee=anna", {1, 8, 13, 17, 18}),
        ("?assignee=anna@example.com", {1, 8, 13, 17, 18}),
        ("?assignee=Anna%20Schr%C3%B6der", {1, 8, 13, 17, 18}),
        ("?cycle=Sprint%2011", {3, 15}),
        ("?cycle=sprint%2011", {3, 15}),
        ("?module=Safety%20round", {19, 20}),
        ("?module=none&priority=urgent", {1}),
        ("?cycle=none&priority=high", {17}),
        ("?from=2026-12-20", {10, 17, 18, 19, 20}),
        ("?days=1", {1, 7, 12, 13}),
        ("?days=0", {1, 12, 13}),
        ("?done=drop&label=Safety", {7, 19, 20}),
        ("?label=no-such-label", set()),
        ("?assignee=nobody-at-all", set()),
        ("?priority=&state=&from=&days=", set(range(1, 21))),
        ("?utm_source=x&fbclid=1&_=2&Priority=urgent&priority[]=urgent", set(range(1, 21))),
        ("?", set(range(1, 21))),
        ("?&&=&%", set(range(1, 21))),
        ("?label=%ff%fe", set()),
    ],
)
async def test_a_parameter_narrows_a_feed(world: World, query: str, numbers: set[int]) -> None:
    assert await _numbers(world, "property", query) == numbers


async def test_unknown_parameters_change_no_byte_and_no_header(world: World) -> None:
    plain = await world.get("property")
    answer = await world.get("property", "?utm_source=x&token=abc&a=b;c")
    assert (answer.content, answer.headers) == (plain.content, plain.headers)


async def test_how_it_looks_can_be_chosen_too(world: World) -> None:
    todo = await world.get("property", "?component=vtodo")
    assert {part.name for part in events(todo.content).values()} == {"VTODO"}
    alarmed = await world.get("property", "?alarm=-PT15H,-P1D&priority=urgent")
    assert alarmed.content.count(b"BEGIN:VALARM") == 2
    both = await world.get("property", "?dates=start-and-due&label=Heating")
    assert sum(uid.endswith("-start@calplanebot") for uid in events(both.content)) == 4
    checked = await world.get("property", "?done=check")
    assert "✓ [15] Chimney sweep" in titles(checked.content)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?priority=urgent,highest", "priority"),
        ("?from=tomorrow", "from"),
        ("?from=2026-13-01", "from"),
        ("?to=20261231", "to"),
        ("?from=2026-02-01&to=2026-01-01", "to"),
        ("?days=-1", "days"),
        ("?days=99999", "days"),
        ("?days=1.5", "days"),
        ("?days=" + "9" * 5000, "days"),
        ("?days=1&days=2", "days"),
        ("?component=vjournal", "component"),
        ("?alarm=soon", "alarm"),
        ("?done=hide", "done"),
        ("?dates=all", "dates"),
    ],
)
async def test_a_bad_value_is_named_in_an_error_of_our_format(world: World, query: str, field: str) -> None:
    answer = await world.get("property", query)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept-Encoding"
    body = answer.json()
    reason = body["details"]["reason"]
    assert body == {
        "status": "error",
        "message": f"{field}: {reason}",
        "error_code": "INVALID_PARAMETER",
        "details": {"field": field, "reason": reason},
        "timestamp": "2026-11-23T10:00:00Z",
    }
    assert len(reason) > 10


@pytest.mark.parametrize(
    "given", ["?days=<script>alert(1)</script>", "?from=icsf_aaaaaaaaaaaaaaaaaaaaaaaaaa"]
)
async def test_an_error_does_not_repeat_what_was_sent(world: World, given: str) -> None:
    answer = await world.get("property", given)
    assert answer.status_code == 400
    assert given.partition("=")[2] not in answer.text


async def test_a_bad_value_is_told_before_plane_was_ever_read(fresh: World) -> None:
    assert (await fresh.get("property", "?days=x")).status_code == 400
    assert fresh.faults.count() == 0


# Never wider

QUERIES = (
    "?priority=urgent,high,medium,low,none",
    "?state=completed,cancelled,backlog,unstarted,started",
    "?label=Legal%2C%20contracts",
    "?assignee=ben,clara,dan,eva",
    "?cycle=Sprint%2011",
    "?module=none",
    "?from=1900-01-01&to=9999-12-31",
    "?days=36500",
    "?done=keep",
    "?done=cancelled",
    "?dates=span",
    "?dates=start-and-due",
    "?component=vtodo",
    "?component=vevent",
    "?project=OPS&everything=true&workspace=other&undated=true&include=cycles&details=full&public=true",
)


@pytest.mark.parametrize(
    "feed",
    ["property", "anna", "urgent", "unassigned", "open", "soon", "not-legal", "tasks"],
)
async def test_no_query_shows_an_issue_that_the_feed_does_not(world: World, feed: str) -> None:
    whole = _issues(await world.get(feed))
    parts = {query: _issues(await world.get(feed, query)) for query in QUERIES}
    assert {query: part - whole for query, part in parts.items()} == {query: set() for query in QUERIES}


def _issues(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200
    lines = answer.text.replace("\r\n ", "").split("\r\n")
    return {line.replace("-start@", "@") for line in lines if line.startswith("UID:plane-")}


@pytest.mark.parametrize("query", QUERIES)
async def test_no_query_tells_more_of_an_issue_than_a_busy_feed_does(world: World, query: str) -> None:
    answer = await world.get("busy", query)
    if answer.status_code == 400:
        assert answer.json()["details"]["field"] in query
        return
    assert titles(answer.content) <= {"Busy"}
    for word in (b"Heating", b"CATEGORIES", b"PRIORITY", b"DESCRIPTION", b"\nURL", b"COLOR"):
        assert word not in answer.content


@pytest.mark.parametrize(
    "query",
    [
        "priority=urgent",
        "priority=!urgent",
        "state=started",
        "label=!x",
        "assignee=anna",
        "cycle=none",
        "module=x",
        "dates=span",
    ],
)
async def test_a_busy_feed_cannot_be_probed(world: World, query: str) -> None:
    answer = await world.get("busy", f"?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"]["field"] == query.partition("=")[0]


# The validators of a narrowed feed


async def test_a_narrowed_feed_has_bytes_and_an_etag_of_its_own_the_same_each_time(world: World) -> None:
    first, again = [await world.get("property", "?priority=urgent") for _ in range(2)]
    whole = await world.get("property")
    assert (first.content, first.headers) == (again.content, again.headers)
    assert first.headers["etag"] != whole.headers["etag"]
    asked = await world.get("property", "?priority=urgent", if_none_match=first.headers["etag"])
    other = await world.get("property", "?priority=urgent", if_none_match=whole.headers["etag"])
    assert (asked.status_code, other.status_code) == (304, 200)


async def test_a_narrowed_feed_is_never_older_than_the_whole(fresh: World) -> None:
    narrow = parse_query([("priority", "urgent")])
    for number in (1, 20, 3):
        fresh.clock.move(61)
        fresh.change("PROP", number, name=f"Changed {number}")
        part = (await fresh.service.rendered("property", narrow)).last_modified
        assert part >= (await fresh.service.rendered("property")).last_modified == fresh.clock.now


async def test_last_modified_of_a_narrowed_feed_moves_when_an_issue_leaves_it(fresh: World) -> None:
    module, cycle = sample_id("module", "PROP", "Safety round"), sample_id("cycle", "PROP", "Sprint 11")
    changes: dict[str, Callable[[], object]] = {
        "?priority=urgent": lambda: fresh.change("PROP", 1, priority="low"),
        "?state=unstarted": lambda: fresh.data.delete_issue(sample_id("issue", "PROP", "7")),
        "?module=Safety+round": lambda: fresh.data.project_of(module).links[module].popitem(),
        # No feed shows in which cycles that have ended an issue was.
        "?cycle=Sprint+11": lambda: fresh.data.project_of(cycle).links[cycle].popitem(),
    }
    for query, change in changes.items():
        before = await fresh.get("property", query)
        change()
        fresh.clock.move(301)
        after = await fresh.get("property", query)
        assert len(events(after.content)) == len(events(before.content)) - 1
        assert after.headers["etag"] != before.headers["etag"]
        since = {"if_modified_since": before.headers["last-modified"]}
        assert (await fresh.get("property", query, **since)).status_code == 200
        fresh.clock.move(301)
        assert (await fresh.get("property", query)).headers == after.headers


async def test_days_count_in_the_configured_zone() -> None:
    config = replace(settings(FEEDS), timezone="Pacific/Auckland")
    async with serving(config) as world:
        # 10:00 UTC is 23:00 there, the same day; two hours later it is tomorrow.
        assert 7 not in await _numbers(world, "property", "?days=0")
        world.clock.move(hours=2)
        assert 7 in await _numbers(world, "property", "?days=0")
        assert world.service.today() == TODAY + timedelta(days=1)
        assert NOW.date() == TODAY


async def test_however_many_narrowings_are_asked_for_few_bytes_are_kept(world: World) -> None:
    one = world.service
    service = FeedService(one.config, one.workspaces, world.clock, one.store, narrowed_bytes=100_000)

    async def narrowed(days: int) -> Rendered:
        return await service.rendered("busy", parse_query([("days", str(days))]))

    whole, first = await service.rendered("busy"), await narrowed(20)
    assert await narrowed(20) is first
    count = 100_000 // len(first.body)
    for days in range(21, 22 + count):
        await narrowed(days)
    again = await narrowed(20)
    assert again is not first, "it was let go of"
    assert again == first
    assert await service.rendered("busy") is whole, "whole feeds stay"
