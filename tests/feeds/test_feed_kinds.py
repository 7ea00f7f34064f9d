"""Every kind of feed is read by two other parsers, and is the same to the byte each time."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from app_world import NOW, TODAY, Clock, World, events, serving, settings
from ical.calendar_stream import IcsCalendarStream
from plane.sample import sample

from icsfeed.config.schema import Duration, Feed, Filter, Match, Window
from icsfeed.config.values import parse_alarm
from icsfeed.demo.settings import demo_config

pytestmark = pytest.mark.anyio

ALARMS = (parse_alarm("-PT15H"), parse_alarm("-P1D"), parse_alarm("PT9H"))
KINDS: Mapping[str, Feed] = {
    **demo_config().feeds,
    "brief": Feed(everything=True, details="brief", language="de"),
    "title": Feed(everything=True, details="title", summary="{key} {state} {priority} {project}: {name}"),
    "busy": Feed(everything=True, details="busy", dates="start-and-due", overdue_digest=True),
    "start-and-due": Feed(project="PROP", dates="start-and-due", alarm=ALARMS),
    "span-alarms": Feed(project="PROP", dates="span", alarm=ALARMS, description="All; of it, \\n too"),
    "keep": Feed(
        projects=("prop", "WEB"), done="keep", categories=("labels", "project", "state", "priority")
    ),
    "check": Feed(everything=True, done="check", colors={"urgent": "tomato", "none": "navy"}),
    "drop": Feed(everything=True, done="drop", color="slateblue", refresh=Duration(86_400)),
    "digest": Feed(everything=True, overdue_digest=True, language="de"),
    "tasks-all": Feed(everything=True, component="vtodo", undated=True, alarm=ALARMS, overdue_digest=True),
    "tasks-busy": Feed(everything=True, component="vtodo", details="busy"),
    "empty": Feed(everything=True, where=Filter(label=("no such label",))),
    "empty-tasks": Feed(everything=True, component="vtodo", where=Filter(label=("no such label",))),
    "cycle": Feed(project="PROP", where=Filter(cycle=("Sprint 11",)), include=("issues", "cycles")),
    "periods": Feed(everything=True, include=("cycles", "modules")),
    "window": Feed(everything=True, window=Window(Duration(0), Duration(0))),
    "not": Feed(everything=True, where=Filter(exclude=Match(priority=("none",), module=("none",)))),
    "awkward": Feed(everything=True, title='A, b; c\\n d: "e" 🌰 ' + "long " * 40, summary="{name}\\n{name}"),
    "gone": Feed(everything=True, revoked=("old",)),
}
AUTO = [f"project-{key}" for key in ("prop", "ops", "web")]
AUTO += [f"assignee-{name}" for name in ("anna", "ben", "clara", "dan", "eva")]


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving(settings(KINDS)) as made:
        yield made


@pytest.fixture(scope="module")
async def restarted() -> AsyncIterator[World]:
    """Another process over the same Plane, an hour later."""
    clock = Clock()
    clock.move(3_600)
    async with serving(settings(KINDS), clock=clock, data=sample(TODAY)) as made:
        yield made


def _check(body: bytes) -> int:
    """How many items two parsers find; they must agree."""
    found = events(body)
    calendar: Any = IcsCalendarStream.calendar_from_ics(body.decode())
    read = {item.uid: item.summary for item in [*calendar.events, *calendar.todos]}
    assert read == {uid: str(part["summary"]) for uid, part in found.items()}
    assert all(event.dtend > event.dtstart for event in calendar.events)
    assert body.endswith(b"END:VCALENDAR\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 75
    assert b"\n" not in body.replace(b"\r\n", b"")
    return len(found)


@pytest.mark.parametrize("feed", [*KINDS, *AUTO])
async def test_every_kind_of_feed_is_read_by_others_and_is_always_the_same(
    world: World, restarted: World, feed: str
) -> None:
    answer = await world.get(feed)
    assert answer.status_code == 200
    assert (_check(answer.content) > 0) is (not feed.startswith("empty"))
    for other in (await world.get(feed), await restarted.get(feed)):
        assert (other.content, other.headers) == (answer.content, answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        "?component=vtodo",
        "?dates=span",
        "?days=30",
        "?priority=urgent,high&alarm=-PT15H",
        "?cycle=none&done=keep",
    ],
)
async def test_every_narrowing_is_read_by_others_and_is_always_the_same(
    world: World, restarted: World, query: str
) -> None:
    answer = await world.get("property", query)
    assert _check(answer.content) > 0
    for other in (await world.get("property", query), await restarted.get("property", query)):
        assert (other.content, other.headers) == (answer.content, answer.headers)


async def test_a_tombstone_is_read_by_others(world: World) -> None:
    answer = await world.ask("GET", world.path("gone", "old"))
    assert _check(answer.content) == 1
    again = await world.ask("GET", world.path("gone", "old"))
    assert (again.content, again.headers) == (answer.content, answer.headers)


async def test_no_feed_holds_a_secret_or_the_time_of_the_request(world: World) -> None:
    for feed in (*KINDS, *AUTO):
        body = (await world.get(feed)).text.replace("\r\n ", "")
        for word in ("icsf_", "plane_api_", "ATTENDEE", "ORGANIZER", "METHOD", "SOURCE", "X-WR-TIMEZONE"):
            assert word not in body
        assert f"{NOW:%Y%m%dT%H%M}" not in body
