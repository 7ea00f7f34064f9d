"""Pushes to real servers: Radicale and xandikos, each with an empty folder, on loopback."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from dav_world import DavServer, person_event, radicale, xandikos
from push_world import FEED, Disturbed, pushing_to, target

from icsfeed.config.schema import Feed, PushTarget, Secret
from icsfeed.dav.names import object_name
from icsfeed.errors import LoginRefused, NoCollection, PushBusy
from icsfeed.feeds.mapping import issue_uid
from icsfeed.push.object import read_object
from icsfeed.push.report import PushEvents
from icsfeed.push.session import MAX_CONCURRENT_REQUESTS

pytestmark = pytest.mark.anyio

CHANGES: list[dict[str, Any]] = [
    {"name": "New, better; \\n ü"},
    {"target_date": "2027-01-15"},
    {"target_date": None},
]
PARTY = person_event("party@example.com", "Party")


@pytest.fixture(params=[radicale, xandikos], scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with request.param(tmp_path_factory.mktemp("dav")) as running:
        yield running


@pytest.fixture
def dav(server: DavServer, request: pytest.FixtureRequest) -> DavServer:
    """Return the server with the name of a calendar that does not exist yet and that no other test uses."""
    server.calendar = request.node.originalname.replace("_", "-")
    return server


def plane(dav: DavServer, **settings: Any) -> PushTarget:
    return target(dav.calendar_url, **{**dav.login, **settings})


async def test_the_first_push_creates_the_calendar_and_writes_everything_once(
    dav: DavServer, tmp_path: Path
) -> None:
    async with pushing_to(plane(dav), tmp_path, issues=150) as it:
        report = await it.push()
        wanted = len(await it.wanted())
        assert (report.is_good, report.counts, wanted > 100) == (True, {"created": wanted}, True)
        # A listing that fails, a look, the making, the listing; a verifying read for each 100.
        assert report.requests == wanted + 4 + -(-wanted // 100)
        contents = dav.person().contents()
        assert await it.problems(contents) == []
        assert set(contents) == {object_name(uid) for uid in await it.wanted()}


async def test_a_push_without_changes_is_one_request(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        first = await it.push()
        second = await it.push()
    assert (second.requests, second.counts) == (1, {"kept": first.counts["created"]})


async def test_ten_changes_of_each_kind_are_a_request_each_and_at_most_four_more(
    dav: DavServer, tmp_path: Path
) -> None:
    async with pushing_to(plane(dav), tmp_path, issues=120) as it:
        await it.push()
        data, issues = it.world.data, it.issues()
        for number, row in enumerate(issues[:30]):
            data.patch_issue(row["id"], CHANGES[number % 3])
        for number in range(10):
            data.create_issue(issues[0]["project"], {"name": f"Made {number}", "target_date": "2027-02-01"})
        report = await it.push()
        assert {word: report.counts[word] for word in ("created", "updated", "deleted")} == {
            "created": 10,
            "updated": 20,
            "deleted": 10,
        }
        assert report.is_good
        # xandikos tells the first few that are written at the same time to wait (423).
        assert report.requests <= 40 + 4 + (0 if dav.user else MAX_CONCURRENT_REQUESTS)
        assert await it.problems(dav.person().contents()) == []


async def test_lost_state_costs_one_listing_and_rewrites_nothing(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        first = await it.push()
        before = dav.person().contents()
        await it.forget()
        again = await it.push()
        assert (again.counts, again.requests) == ({"kept": first.counts["created"]}, 2)
        assert dav.person().contents() == before
        assert (await it.push()).requests == 1


async def test_events_of_people_are_never_touched(dav: DavServer, tmp_path: Path) -> None:
    person = dav.person()
    person.make()
    person.put("party.ics", PARTY)
    before = person.get("party.ics")
    async with pushing_to(plane(dav, create=False), tmp_path) as it:
        assert (await it.push()).is_good
        for row in it.issues():
            it.world.data.delete_issue(row["id"])
        await it.push(force=True)
        assert await it.problems(person.contents()) == []
    assert person.get("party.ics") == before


async def test_what_a_person_changed_is_restored_and_what_they_added_stays(
    dav: DavServer, tmp_path: Path
) -> None:
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Mine\r\nTRIGGER:-PT5M\r\nEND:VALARM"
    async with pushing_to(plane(dav), tmp_path) as it:
        await it.push()
        person = dav.person()
        one, other = [name for name in person.hrefs() if "issue" in name][:2]
        for name in (one, other):
            person.edit(name, "END:VEVENT", f"X-THEIRS:kept\r\n{alarm}\r\nEND:VEVENT")
        report = await it.push()
        assert report.counts == {"kept": len(await it.wanted())}
        person.edit(one, "SUMMARY:", "SUMMARY:Changed ")
        report = await it.push()
        assert (report.counts["updated"], report.requests) == (1, 4)
        for name in (one, other):
            stored = read_object(person.get(name).encode())
            assert any(line.startswith("X-THEIRS:kept") for line in stored.extras)
            assert ["TRIGGER:-PT5M" in found for found in stored.alarms] == [True]
        assert await it.problems(person.contents()) == []


async def test_what_a_person_deleted_moved_or_copied_is_repaired(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        await it.push()
        person = dav.person()
        gone, moved = person.hrefs()[:2]
        person.delete(gone)
        text = person.get(moved)
        person.delete(moved)
        person.put("moved-by-a-person.ics", text)
        report = await it.push()
        assert (report.counts["created"], report.counts["updated"], report.is_good) == (1, 0, True)
        assert await it.problems(person.contents()) == []
        assert "moved-by-a-person.ics" in person.hrefs()


async def test_a_collection_that_another_program_filled_is_adopted(dav: DavServer, tmp_path: Path) -> None:
    person = dav.person()
    person.make()
    async with pushing_to(plane(dav), tmp_path) as it:
        uids = list(await it.wanted())
        for number, uid in enumerate(uids[:15]):
            person.put(f"{number}.ics", person_event(uid, "by another program"))
        refused = await it.push()
        assert (len(refused.failures), refused.counts["created"]) == (15, len(uids) - 15)
        assert all("adopt" in failure.reason for failure in refused.failures)
        assert person.get("0.ics").count("by another program") == 1
    async with pushing_to(plane(dav, adopt=True), tmp_path) as it:
        taken = await it.push()
        assert (taken.is_good, taken.counts["adopted"], taken.counts["created"]) == (True, 15, 0)
        assert await it.problems(person.contents()) == []
        assert len(person.hrefs()) == len(uids)
        assert (await it.push()).requests == 1


async def test_what_people_change_during_a_push_is_decided_again(dav: DavServer, tmp_path: Path) -> None:
    disturbed, person = Disturbed(), dav.person()
    async with pushing_to(plane(dav), tmp_path, transport=disturbed) as it:
        await it.push()
        one, other, third = [row["id"] for row in it.issues()[:3]]
        edited, deleted, gone = [object_name(issue_uid(issue)) for issue in (one, other, third)]
        it.world.data.patch_issue(one, {"name": "Newer"})
        it.world.data.delete_issue(other)
        it.world.data.delete_issue(third)

        def people() -> None:
            for name in (edited, deleted):
                person.edit(name, "END:VEVENT", "X-THEIRS:kept\r\nEND:VEVENT")
            person.delete(gone)

        disturbed.before = people
        report = await it.push()
        assert report.is_good, report.as_json()
        assert disturbed.before is None
        assert (report.counts["updated"], report.counts["deleted"]) == (1, 2)
        assert await it.problems(person.contents()) == []
        assert "X-THEIRS:kept" in person.get(edited)
        assert (await it.push()).requests == 1


async def test_a_name_with_characters_that_xml_forbids_breaks_no_calendar(
    dav: DavServer, tmp_path: Path
) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        issue = it.issues()[0]["id"]
        it.world.data.patch_issue(issue, {"name": "a\ufffeb\uffff"})
        assert (await it.push()).is_good
        assert await it.problems(dav.person().contents()) == []
        assert "ab" in dav.person().get(object_name(issue_uid(issue)))
        assert (await it.push()).requests == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_lost_response_is_detected(dav: DavServer, tmp_path: Path, method: str) -> None:
    disturbed = Disturbed()
    async with pushing_to(plane(dav), tmp_path, transport=disturbed) as it:
        await it.push()
        for row in it.issues()[:2]:
            it.world.data.delete_issue(row["id"])
        for number in range(2):
            fields = {"name": f"Made {number}", "target_date": "2027-02-01"}
            it.world.data.create_issue(it.issues()[0]["project"], fields)
        disturbed.loses = method
        report = await it.push()
        assert (report.is_good, disturbed.loses) == (True, ""), report.as_json()
        assert await it.problems(dav.person().contents()) == []
        assert (await it.push()).requests == 1


async def test_a_second_push_at_the_same_time_is_busy(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        await it.push()
        it.world.change("PROP", 1, name="Changed")
        during = []

        async def second() -> None:
            during.append(await it.push())

        tasks: list[asyncio.Task[None]] = []
        events = PushEvents(lambda *_: tasks.append(asyncio.create_task(second())))
        first = await it.push(events=events)
        await asyncio.gather(*tasks)
    assert first.is_good
    assert [type(report.error) for report in during] == [PushBusy]


async def test_a_server_restart_during_a_push_loses_and_doubles_nothing(
    dav: DavServer, tmp_path: Path
) -> None:
    async with pushing_to(plane(dav), tmp_path, issues=100) as it:

        def progress(_name: str, done: int, _all: int) -> None:
            if done in (20, 50):
                dav.stop()
                dav.start()

        report = await it.push(events=PushEvents(progress))
        assert report.is_good, report.as_json()
        assert await it.problems(dav.person().contents()) == []
        assert (await it.push()).requests == 1


async def test_a_calendar_is_found_by_its_name_even_from_the_servers_own_address(
    dav: DavServer, tmp_path: Path
) -> None:
    starts = {"t": dav.url, "server": urljoin(dav.url, "/")}
    named = {name: target(url, collection="Plane & <all>", **dav.login) for name, url in starts.items()}
    async with pushing_to(named, tmp_path) as it:
        first = await it.push()
        assert first.url == f"{dav.url}plane-all/"
        assert await it.problems(dav.person("plane-all").contents()) == []
        for name in starts:
            await it.forget()
            again = await it.push(name)
            assert (again.url, again.counts) == (first.url, {"kept": first.counts["created"]})


async def test_a_dry_run_says_what_would_be_done_and_changes_nothing(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        before = await it.push(dry_run=True)
        assert before.actions is not None
        assert {action.kind for action in before.actions} == {"create"}
        assert before.counts == {"created": len(await it.wanted())}
        assert not dav.person().is_there()
        await it.push()
        it.world.data.delete_issue(it.issues()[0]["id"])
        contents = dav.person().contents()
        after = await it.push(dry_run=True)
        assert after.actions is not None
        assert [action.kind for action in after.actions] == ["delete"]
        assert dav.person().contents() == contents


async def test_tasks_go_into_a_calendar_of_tasks(dav: DavServer, tmp_path: Path) -> None:
    tasks = Feed(everything=True, component="vtodo", undated=True)
    async with pushing_to(plane(dav), tmp_path, feed=tasks) as it:
        report = await it.push()
        assert report.is_good, report.as_json()
        contents = dav.person().contents()
        assert await it.problems(contents) == []
        assert all("BEGIN:VTODO" in text and "BEGIN:VEVENT" not in text for text in contents.values())
        assert (await it.push()).requests == 1


async def test_two_feeds_share_a_calendar_without_touching_each_others(
    dav: DavServer, tmp_path: Path
) -> None:
    url = dav.calendar_url
    both = {"t": target(url, **dav.login), "mine": target(url, feed="mine", **dav.login)}
    async with pushing_to(both, tmp_path, more={"mine": Feed(project="PROP")}) as it:
        await it.push("t")
        before = dav.person().contents()
        overlapping = await it.push("mine")
        assert {failure.reason for failure in overlapping.failures} == {
            f"the feed {FEED!r} has written this UID here; "
            f"if this feed had that name before, `adopt: [{FEED}]` takes it over"
        }
        assert dav.person().contents() == before


async def test_a_missing_calendar_ends_a_push_that_may_not_create_it(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav, create=False), tmp_path) as it:
        report = await it.push()
    assert (type(report.error), report.requests) == (NoCollection, 1)
    assert "`create: true`" in str(report.error)


async def test_a_wrong_password_ends_a_push_at_once(dav: DavServer, tmp_path: Path) -> None:
    if not dav.user:
        return  # xandikos asks for none
    async with pushing_to(plane(dav, password="no-wonderland"), tmp_path) as it:
        report = await it.push()
    assert (type(report.error), report.requests) == (LoginRefused, 1)
    assert "no-wonderland" not in str(report.as_json())


async def test_a_feed_that_became_empty_deletes_nothing_without_force(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        await it.push()
        before = dav.person().contents()
        for key in ("WEB", "PROP", "OPS"):
            for row in it.issues(key):
                it.world.data.patch_issue(row["id"], {"target_date": None})
        tried = await it.push(dry_run=True)
        assert (tried.counts, tried.actions, len(tried.spared)) == ({}, (), len(before))
        refused = await it.push()
        assert refused.refused is not None
        assert {action.href.rpartition("/")[2] for action in refused.spared} == set(before)
        assert dav.person().contents() == before
        forced = await it.push(force=True)
        assert (forced.is_good, forced.counts) == (True, {"deleted": len(before)})
        assert dav.person().hrefs() == []


async def test_a_server_without_concurrent_writes_gets_one_at_a_time_in_later_pushes(
    dav: DavServer, tmp_path: Path
) -> None:
    most: list[int] = []
    under_way = 0

    class Counting(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way
            under_way += 1
            most.append(under_way)
            try:
                return await super().handle_async_request(request)
            finally:
                under_way -= 1

    async with pushing_to(plane(dav), tmp_path, issues=60, transport=Counting()) as it:
        for round_ in range(3):
            for row in it.issues():
                it.world.data.patch_issue(row["id"], {"name": f"Round {round_}"})
            most.clear()
            report = await it.push()
            assert report.is_good, report.as_json()
        assert max(most) == (4 if dav.user else 1)
        assert report.requests == report.counts["updated"] + 1 + -(-report.counts["updated"] // 100)


async def test_a_renamed_feed_says_so_and_adopts_what_it_wrote_before(dav: DavServer, tmp_path: Path) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        created = (await it.push()).counts["created"]
    renamed = {"renamed": Feed(everything=True)}
    async with pushing_to(plane(dav, feed="renamed"), tmp_path, more=renamed) as it:
        stuck = await it.push()
        assert len(stuck.failures) == created
        assert all(f"`adopt: [{FEED}]`" in one.reason for one in stuck.failures)
    async with pushing_to(plane(dav, feed="renamed", adopt=(FEED,)), tmp_path, more=renamed) as it:
        taken = await it.push()
        assert (taken.is_good, taken.counts) == (True, {"adopted": created})
        assert (await it.push()).requests == 1


async def test_real_servers_keep_the_objects_of_two_installations(dav: DavServer, tmp_path: Path) -> None:
    here, there = (
        Secret("the secret of this installation ....."),
        Secret("that of another installation ........."),
    )
    prop, web = Feed(project="PROP"), Feed(project="WEB")
    for secret, feed in ((here, prop), (there, web), (here, prop)):
        async with pushing_to(plane(dav), tmp_path, feed=feed, secret=secret) as it:
            report = await it.push(force=True)
            assert (report.is_good, report.counts["deleted"]) == (True, 0), report.as_json()


async def test_an_update_of_an_event_that_somebody_was_invited_to_has_a_higher_sequence(
    dav: DavServer, tmp_path: Path
) -> None:
    async with pushing_to(plane(dav), tmp_path) as it:
        await it.push()
        row = it.issues("PROP")[0]
        name = object_name(issue_uid(row["id"]))
        text = dav.person().get(name)
        raised = int(re.search(r"SEQUENCE:(\d+)", text)[1]) + 500_000_000  # type: ignore[index]
        dav.person().edit(name, re.search(r"SEQUENCE:\d+", text)[0], f"SEQUENCE:{raised}")  # type: ignore[index]
        it.world.data.patch_issue(row["id"], {"name": "Newer"})
        report = await it.push()
        assert (report.is_good, report.counts["updated"], report.warnings) == (True, 1, ())
        assert f"SEQUENCE:{raised + 1}" in dav.person().get(name)
        assert (await it.push()).requests == 1
