"""Milestones, releases, initiatives and types, from Plane's answers to bytes and pages, in each edition."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from app_world import TODAY, Clock, World, events, serving, settings
from ical.calendar_stream import IcsCalendarStream
from msgspec.structs import replace
from plane import faults as f
from plane.api import create_plane
from plane.editions import Variant
from plane.sample import sample

from icsfeed.cli.check import check
from icsfeed.config.schema import Config, Feed, Filter, Included, Secret
from icsfeed.demo.editions import COMMERCIAL, COMMUNITY
from icsfeed.demo.sample import sample_id
from icsfeed.server.build import opened

pytestmark = pytest.mark.anyio

PLANNED: tuple[Included, ...] = ("issues", "cycles", "modules", "milestones", "releases", "initiatives")
FEEDS = {
    "all": Feed(everything=True),
    "plan": Feed(everything=True, include=PLANNED),
    "deutsch": Feed(everything=True, include=PLANNED, language="de", details="brief"),
    "plans": Feed(everything=True, include=PLANNED[3:]),
    "busy": Feed(everything=True, include=PLANNED, details="busy"),
    "title": Feed(everything=True, include=PLANNED, details="title", public=True),
    "property": Feed(project="PROP", include=("milestones",)),
    "mine": Feed(assignee="anna", include=("milestones",)),
    "epics": Feed(everything=True, where=Filter(type=("epic",)), summary="{type}: {name}"),
}
LISTS = r"milestones/|releases/|initiatives/|(work-item|issue)-types/"
VARIANTS = {
    "as documented": Variant(),
    "pages for arrays, arrays for pages": Variant(
        paged=("milestones", "milestone_work_items", "types"), bare=("releases", "initiatives")
    ),
    "older path of the types": Variant(type_path="issue-types"),
    "a page is clipped": Variant(too_large="clip"),
    "no parameters": Variant(too_large=(400, {"error": "Invalid request"})),
}


def config(**changes: Any) -> Config:
    return settings(FEEDS, **changes)


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with serving(config(), edition=COMMERCIAL) as made:
        yield made


def summaries(body: bytes, kind: str = "") -> set[str]:
    return {str(part["SUMMARY"]) for uid, part in events(body).items() if uid.startswith(f"plane-{kind}")}


@pytest.mark.parametrize("feed", FEEDS)
async def test_other_parsers_read_the_same(world: World, feed: str) -> None:
    body = (await world.get(feed)).content
    theirs = IcsCalendarStream.calendar_from_ics(body.decode())
    ours = events(body)
    assert {event.uid: event.summary for event in theirs.events} == {
        uid: str(part["SUMMARY"]) for uid, part in ours.items()
    }
    assert max(map(len, body.split(b"\r\n"))) <= 75


async def test_what_has_a_date_is_shown_and_nothing_else(world: World) -> None:
    body = (await world.get("plan")).content
    assert summaries(body, "milestone") == {
        "◆ Warm before the frost",
        "◆ Books closed",
        "◆ Nobody fears the restore",
    }
    assert summaries(body, "release") == {"Website 2.0 (v2.0)", "Tenant portal (2.1-beta)", "Fax gateway"}
    assert summaries(body, "initiative") == {"No cold flat this winter", "Paperless, except for the plumber"}
    by_name = {str(part["SUMMARY"]): part for part in events(body).values()}
    assert str(by_name["Tenant portal (2.1-beta)"]["STATUS"]) == "TENTATIVE"
    assert str(by_name["Fax gateway"]["STATUS"]) == "CANCELLED"
    released = by_name["Website 2.0 (v2.0)"]
    assert (released["DTSTART"].dt, str(released["STATUS"])) == (TODAY - timedelta(days=12), "CONFIRMED")
    assert "Progress: 1 of 3 done" in str(by_name["◆ Warm before the frost"]["DESCRIPTION"])
    assert "erledigt" in (await world.get("deutsch")).text


async def test_a_feed_that_does_not_include_them_is_as_in_community(world: World) -> None:
    async with serving(config(), edition=COMMUNITY) as community:
        same = (await community.get("all")).content
        assert (await world.get("all")).content == same
        # Nothing of it is there, and all the rest is.
        assert summaries((await community.get("plan")).content, "(milestone|release|initiative)") == set()
        assert (await community.get("plan")).status_code == 200


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
async def test_however_plane_lists_them_the_bytes_are_the_same(world: World, variant: Variant) -> None:
    async with serving(config(), edition=COMMERCIAL, variant=variant) as other:
        for feed in FEEDS:
            assert (await other.get(feed)).content == (await world.get(feed)).content, feed


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 501])
async def test_without_them_feeds_show_the_rest(status: int) -> None:
    lacks = dict.fromkeys(("milestones", "releases", "initiatives", "types"), status)
    async with serving(config(), edition=COMMERCIAL, variant=Variant(lacks=lacks)) as world:
        everything = {uid for uid in events((await world.get("plan")).content) if "plane-issue" in uid}
        assert len(everything) > 20
        assert world.workspace.last_error is None
        assert world.workspace.is_ready
        findings = [each async for each in check(world.service)]
    warned = {each.text.split(",")[0] for each in findings if each.about == "feed plan"}
    assert {"needs milestones", "needs releases", "needs initiatives"} <= warned
    # A feed of epics is not empty because the key may not read the types: it is not there.
    failed = [each.about for each in findings if each.level == "error"]
    assert failed == (["feed epics"] if status == 403 else [])
    assert ("feed epics", "needs types") in {(each.about, each.text.split(",")[0]) for each in findings}


async def test_community_is_asked_once_a_day_for_what_feeds_need() -> None:
    clock = Clock()
    async with serving(config(), edition=COMMUNITY, clock=clock) as world:
        await world.get("plan")
        await world.get("epics")
        # The types have two spellings.
        assert world.faults.count(LISTS) == 5
        for _ in range(20):
            clock.move(3_600)
            await world.get("plan")
            await world.get("epics")
        assert world.faults.count(LISTS) == 5


async def test_community_is_never_asked_where_no_feed_needs_them() -> None:
    async with serving(settings({"all": Feed(everything=True)}), edition=COMMUNITY) as world:
        await world.get("all")
        await world.get("all", "?priority=urgent")
        assert world.faults.count(LISTS) == 0


@pytest.mark.parametrize(
    "fault",
    [
        f.answering(
            403, b'{"detail": "You do not have permission to perform this action."}', "application/json"
        ),
        f.answering(404, b'{"error": "Page not found."}', "application/json"),
        f.answering(404, b"<html>Not found</html>", "text/html"),
        f.answering(200, b'{"data": []}', "application/json"),
        f.answering(200, b"null", "application/json"),
        f.answering(500, b"{}", "application/json"),
    ],
    ids=["forbidden", "no such path", "a page", "another envelope", "null", "a fault"],
)
async def test_what_was_read_stays_whatever_these_lists_answer_later(fault: f.Fault) -> None:
    clock = Clock()
    async with serving(config(), edition=COMMERCIAL, clock=clock) as world:
        before = {feed: (await world.get(feed)).content for feed in FEEDS}
        world.faults.add(LISTS, fault, times=None)
        for _ in range(3):
            clock.move(3_700)
            assert {feed: (await world.get(feed)).content for feed in FEEDS} == before
        assert world.workspace.last_error is None
        world.change("PROP", 1, name="Changed meanwhile")
        clock.move(70)
        assert "Changed meanwhile" in (await world.get("plan")).text


async def test_a_busy_feed_and_titles_alone_say_no_more_than_of_cycles(world: World) -> None:
    busy = (await world.get("busy")).text
    for word in (
        "milestone",
        "release",
        "initiative",
        "TENTATIVE",
        "CANCELLED",
        "v2.0",
        "◆",
        "plane.example",
    ):
        assert word not in busy, word
    title = (await world.get("title")).text
    assert "Progress" not in title
    assert "◆ Warm before the frost" in title


async def test_a_feed_of_one_project_or_person_has_the_milestones_of_their_projects(world: World) -> None:
    assert summaries((await world.get("property")).content) == {"◆ Warm before the frost", "◆ Books closed"}
    assert "◆ Warm before the frost" in summaries((await world.get("mine")).content)


async def test_epics_are_found_by_type_and_say_so(world: World) -> None:
    expected = {"Epic: Replace the heating in house 7", "Epic: Translate to English"}
    assert summaries((await world.get("epics")).content) == expected
    assert len(events((await world.get("all", "?type=epic")).content)) == 2


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("Milestone", "Release", "Initiative")), ("de", ("Meilenstein", "Release", "Initiative"))],
)
async def test_pages_and_frames_call_them_by_their_names(
    world: World, language: str, words: tuple[str, ...]
) -> None:
    links, html = world.service.links, {"accept": "text/html"}
    page = (await world.ask("GET", f"{links.page_path('plans', '')}?lang={language}", **html)).text
    assert [word for word in words if f'<span class="tag">{word}</span>' not in page] == []
    agenda = f"{links.embed_path('plans', '')}?view=agenda&lang={language}"
    assert f'<span class="tag">{words[0]}</span>' in (await world.ask("GET", agenda, **html)).text
    month = f"{links.embed_path('plans', '')}?view=month&date=2026-12-01"
    assert "◆ Warm before the frost" in (await world.ask("GET", month, **html)).text


async def test_the_status_names_what_plane_does_not_give() -> None:
    admin = Secret("a" * 20)
    async with serving(config(admin_token=admin), edition=COMMUNITY) as world:
        await world.get("plan")
        await world.get("epics")
        headers = {"authorization": f"Bearer {admin.reveal()}"}
        answer = await world.ask("GET", "/status", accept="application/json", **headers)
        lists = ["initiatives", "milestones", "releases", "types"]
        assert answer.json()["workspaces"][0]["unavailable"] == lists
        page = await world.ask("GET", "/status", accept="text/html", **headers)
        assert "Not provided by Plane" in page.text
        assert ", ".join(lists) in page.text


async def test_what_was_never_shown_otherwise_is_as_old_as_plane_says(world: World) -> None:
    for part in events((await world.get("plans")).content).values():
        assert part["LAST-MODIFIED"].dt == part["CREATED"].dt, "of the sample none was edited"


async def test_a_changed_milestone_and_progress_are_newer() -> None:
    clock = Clock()
    data = sample(TODAY, clock=clock, edition=COMMERCIAL)
    async with serving(config(), data=data, edition=COMMERCIAL, clock=clock) as world:
        uid = f"plane-milestone-{sample_id('milestone', 'PROP', 'Warm before the frost')}@calplanebot"
        before = events((await world.get("plan")).content)[uid]
        clock.move(400)
        done = next(
            row
            for row in data.projects[sample_id("project", "PROP")].states.values()
            if row["group"] == "completed"
        )
        data.patch_issue(sample_id("issue", "PROP", "2"), {"state": done["id"]})
        clock.move(400)
        after = events((await world.get("plan")).content)[uid]
        assert "Progress: 2 of 3 done" in str(after["DESCRIPTION"])
        assert after["LAST-MODIFIED"].dt > before["LAST-MODIFIED"].dt
        assert after["SEQUENCE"] > before["SEQUENCE"]


async def test_a_workspace_that_is_limited_to_projects_shows_their_milestones() -> None:
    limited = config()
    feeds = {"plan": Feed(everything=True, include=("issues", "milestones"))}
    demo = replace(limited.workspaces["demo"], projects=("OPS",))
    limited = replace(limited, feeds=feeds, workspaces={**limited.workspaces, "demo": demo})
    async with serving(limited, edition=COMMERCIAL) as world:
        assert summaries((await world.get("plan")).content, "milestone") == {"◆ Nobody fears the restore"}


async def test_a_command_that_reads_only_what_it_needs_renders_the_same(world: World) -> None:
    plane = create_plane(sample(TODAY, edition=COMMERCIAL), edition=COMMERCIAL)
    transport = httpx.ASGITransport(plane)  # type: ignore[arg-type]
    clock = Clock()
    async with opened(
        config(), transports={"demo": transport}, clock=clock, timer=clock.timer, sparing=True
    ) as service:
        for feed in ("plans", "property"):
            assert (await service.rendered(feed)).body == (await world.get(feed)).content


async def test_a_webhook_of_a_milestone_has_it_read_at_once() -> None:
    clock = Clock()
    data = sample(TODAY, clock=clock, edition=COMMERCIAL)
    async with serving(config(), data=data, edition=COMMERCIAL, clock=clock) as world:
        await world.get("plans")
        project = sample_id("project", "PROP")
        data.create_milestone(project, "Roof is on", TODAY)
        clock.move(2)
        for known in world.workspace.resources.all_projects:
            world.workspace.resources.expire(known, {"milestones"} if known.id == project else ())
        world.faults.requests.clear()
        assert "◆ Roof is on" in summaries((await world.get("plans")).content)
        assert world.faults.count("milestones/$|milestones/[?]") == 1
        assert world.faults.count("/(issues|states|labels|cycles|modules)/") == 0
