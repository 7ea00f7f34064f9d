"""Faults of servers: each has an exit code and a reason, and no event is lost or duplicated."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from app_world import settings
from dav_memory import (
    CALENDAR,
    HOST,
    PATH,
    URL,
    Fault,
    MemoryDav,
    answering,
    losing_the_response,
    multistatus,
    not_answering,
    precondition,
    refusing_the_connection,
    status,
)
from plane import faults as f
from push_world import FEED, Pushing, no_sleep, pushing_to, target

from icsfeed.cli.support import push_code
from icsfeed.config.schema import Feed, PushTarget
from icsfeed.dav.names import object_name
from icsfeed.errors import NoCopy
from icsfeed.push.memory import TargetRecord
from icsfeed.push.object import read_object
from icsfeed.push.report import PushEvents, TargetReport

pytestmark = pytest.mark.anyio

TARGET = target(URL, username="alice", password="wonderland")
SMALL = Feed(project="PROP")


def pushing(dav: MemoryDav, folder: Path, to: PushTarget = TARGET) -> AbstractAsyncContextManager[Pushing]:
    """Push the issues of one project to this server."""
    return pushing_to(to, folder, transport=dav.transport, feed=SMALL, sleep=no_sleep)


def contents(dav: MemoryDav) -> dict[str, str]:
    return {name: data.decode() for name, data in dav.objects.items()}


def texts_of(report: TargetReport) -> str:
    """Return all texts of a report for people."""
    reasons = [failure.reason for failure in report.failures]
    return " ".join([str(report.error or ""), *reasons, *report.warnings])


def sabre(tag: str, text: str) -> bytes:
    """Return an error of sabre/dav, whose elements are not preconditions."""
    return f"<d:error xmlns:d='DAV:' xmlns:s='http://sabredav.org/ns'><s:{tag}>{text}</s:{tag}></d:error>".encode()


NO_TRASH = sabre("message", "Deleted calendar object with uid already exists in this calendar collection.")
SABRE = sabre("exception", "Forbidden")
DESTROYED = b"(null)"
"""What SOGo 5.8 stores of an object with an emoji at its fold column."""


@pytest.mark.parametrize(
    ("fault", "tries", "code", "words"),
    [
        pytest.param(answering(401), 1, 77, "does not accept the user name", id="401"),
        pytest.param(answering(403), 1, 77, "may not write", id="403"),
        pytest.param(answering(403, SABRE), 1, 77, "may not write", id="403 of sabre"),
        pytest.param(
            answering(403, precondition("need-privileges", "DAV:")), 1, 77, "may not", id="privileges"
        ),
        pytest.param(
            answering(403, precondition("no-uid-conflict")), 1, 4, "this UID in another", id="uid 403"
        ),
        pytest.param(
            answering(409, precondition("no-uid-conflict")), 1, 4, "this UID in another", id="uid 409"
        ),
        pytest.param(
            answering(412, precondition("no-uid-conflict")), 1, 4, "this UID in another", id="uid 412"
        ),
        pytest.param(
            answering(403, precondition("unique-scheduling-object-resource")), 1, 4, "this UID", id="unique"
        ),
        pytest.param(
            answering(409, b"Event UID already in use. (x)"), 1, 4, "this UID in another", id="SOGo"
        ),
        pytest.param(answering(400, NO_TRASH), 1, 4, "trash bin", id="trash bin"),
        pytest.param(answering(403, b" " * 300 + NO_TRASH), 1, 4, "trash bin", id="trash bin, at length"),
        pytest.param(
            answering(412, precondition("valid-calendar-data")), 1, 4, "valid-calendar-data", id="412+"
        ),
        pytest.param(answering(403, precondition("max-resource-size")), 1, 4, "max-resource-size", id="size"),
        pytest.param(
            answering(403, precondition("supported-calendar-component")),
            1,
            78,
            "kind of component",
            id="kind",
        ),
        pytest.param(answering(400), 1, 4, "rejects it: 400", id="400"),
        pytest.param(answering(413), 1, 4, "rejects it: 413", id="413"),
        pytest.param(answering(415), 1, 4, "rejects it: 415", id="415"),
        pytest.param(answering(404), 1, 4, "rejects it: 404", id="404 though the calendar is there"),
        pytest.param(answering(405), 1, 4, "rejects it: 405", id="405"),
        pytest.param(answering(409), 1, 4, "rejects it: 409", id="409"),
        pytest.param(answering(423), 6, 69, "locked", id="423"),
        pytest.param(answering(429, Retry_After="3"), 6, 69, "429 at every attempt", id="429"),
        pytest.param(answering(500), 4, 4, "rejects it: 500", id="500"),
        pytest.param(answering(502), 6, 69, "502 at every attempt", id="502"),
        pytest.param(answering(503), 6, 69, "503 at every attempt", id="503"),
        pytest.param(answering(504), 6, 69, "504 at every attempt", id="504"),
        pytest.param(not_answering, 6, 69, "no answer in time", id="time-out"),
        pytest.param(refusing_the_connection, 6, 69, "no connection", id="refused"),
        pytest.param(answering(507), 1, 73, "full", id="507"),
        pytest.param(answering(301, Location="https://other/"), 1, 78, "redirects", id="redirect"),
        pytest.param(
            lambda _request, _do: multistatus(f"<d:response><d:href>/x</d:href>{status(507)}</d:response>"),
            1,
            73,
            "full",
            id="207 that holds a failure",
        ),
        pytest.param(answering(207, b"<broken"), 1, 4, "rejects it: 207", id="207 that is broken"),
    ],
)
async def test_a_rejected_write_has_a_code_and_a_reason_and_is_repaired_later(
    tmp_path: Path, fault: Fault, tries: int, code: int, words: str
) -> None:
    dav = MemoryDav()
    dav.add_fault("PUT", fault, times=tries, skip=3)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
        wanted = len(await it.wanted())
        assert (push_code([report]), words in texts_of(report)) == (code, True), texts_of(report)
        assert "wonderland" not in texts_of(report)
        ended = report.error is not None
        assert (dav.count("PUT") == wanted + tries - 1) is not ended
        assert ended or report.counts["created"] == len(dav.objects)
        dav.clear_faults()
        again = await it.push()
        assert again.is_good, again.as_json()
        assert await it.problems(contents(dav)) == []
        assert len(dav.objects) == wanted


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        pytest.param(answering(401), 77, "does not accept", id="401"),
        pytest.param(answering(403), 77, "may not read", id="403"),
        pytest.param(answering(404), 78, "no such calendar", id="404"),
        pytest.param(answering(405), 76, "is not CalDAV", id="405"),
        pytest.param(answering(200, b"<html>hello"), 76, "is not CalDAV", id="a web page"),
        pytest.param(
            answering(301, Location=f"{HOST}/new/?t=1"), 78, f"{HOST}/new/: use that", id="redirect"
        ),
        pytest.param(answering(301, Location="http://[x/"), 78, "it redirects to", id="redirect nowhere"),
        pytest.param(answering(500), 69, "500 at every attempt", id="500"),
        pytest.param(answering(503), 69, "503 at every attempt", id="503"),
        pytest.param(not_answering, 69, "no answer in time", id="time-out"),
        pytest.param(answering(207, b""), 76, "XML is broken", id="nothing"),
        pytest.param(answering(207, b"<d:multistatus xmlns:d='DAV:'>"), 76, "XML is broken", id="cut off"),
        pytest.param(answering(207, b"<x/>"), 76, "not a multistatus", id="something else"),
        pytest.param(
            answering(
                207, b"<!DOCTYPE x [<!ENTITY a 'b'>]><d:multistatus xmlns:d='DAV:'>&a;</d:multistatus>"
            ),
            76,
            "DTD or entities",
            id="entities",
        ),
        pytest.param(answering(207, b"<a>" * 200 + b"</a>" * 200), 76, "nested too deeply", id="deep"),
        pytest.param(
            answering(207, b"\x1f\x8b broken", Content_Encoding="gzip"), 76, "compression", id="gzip"
        ),
        pytest.param(lambda _request, _do: multistatus(), 76, "incomplete", id="without the calendar itself"),
        pytest.param(
            lambda _request, _do: multistatus(
                f"<d:response><d:href>{PATH}</d:href><d:propstat><d:prop><d:resourcetype>{CALENDAR}"
                f"</d:resourcetype></d:prop>{status(200)}</d:propstat></d:response>"
                f"<d:response><d:href>{PATH}</d:href>{status(507)}</d:response>"
            ),
            76,
            "incomplete",
            id="507 inside: only a part",
        ),
        pytest.param(
            lambda _request, _do: multistatus(
                f"<d:response><d:href>{PATH}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/>"
                f"</d:resourcetype></d:prop>{status(200)}</d:propstat></d:response>"
            ),
            78,
            "not a calendar",
            id="a folder",
        ),
        pytest.param(
            lambda _request, _do: multistatus(
                f"<d:response><d:href>{PATH}</d:href>{status(404)}</d:response>"
            ),
            78,
            "no such calendar",
            id="404 inside",
        ),
        pytest.param(
            lambda _request, _do: multistatus(
                f"<d:response><d:href>https%3A//dav.example.com{PATH}</d:href>{status(404)}</d:response>"
            ),
            78,
            "no such calendar",
            id="404 inside, for an address of xandikos 0.2's making",
        ),
    ],
)
async def test_an_unusable_listing_ends_the_run_and_nothing_is_written(
    tmp_path: Path, fault: Fault, code: int, words: str
) -> None:
    dav = MemoryDav()
    no_create = target(URL, username="alice", password="wonderland", create=False)
    async with pushing(dav, tmp_path, no_create) as it:
        await it.push()
        before = dict(dav.objects)
        it.world.data.delete_issue(it.issues("PROP")[0]["id"])
        dav.add_fault("PROPFIND", fault, times=99)
        report = await it.push()
        assert (push_code([report]), words in texts_of(report)) == (code, True), texts_of(report)
        assert "wonderland" not in texts_of(report)
        assert dav.objects == before
        dav.clear_faults()
        assert (await it.push()).counts["deleted"] == 1
        assert await it.problems(contents(dav)) == []


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("PUT", 404, id="404"),
        pytest.param("PUT", 403, id="403, as Cyrus says it"),
        pytest.param("REPORT", 404, id="when it is read"),
    ],
)
async def test_a_calendar_deleted_during_a_run_ends_it(tmp_path: Path, method: str, answer: int) -> None:
    dav = MemoryDav()

    def vanish(_request: httpx.Request, _do: Callable[[], httpx.Response]) -> httpx.Response:
        dav.exists = False
        return httpx.Response(answer)

    dav.add_fault(method, vanish, times=99, skip=3 if method == "PUT" else 0)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
        assert (push_code([report]), "no such calendar" in texts_of(report)) == (78, True)
        assert method == "REPORT" or dav.count("PUT") < 9
        dav.clear_faults()
        dav.objects.clear()
        assert (await it.push()).is_good
        assert await it.problems(contents(dav)) == []


@pytest.mark.parametrize("names_conditions", [False, True])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_after_a_lost_response_nothing_is_done_twice(
    tmp_path: Path, method: str, names_conditions: bool
) -> None:
    dav = MemoryDav(names_conditions=names_conditions)
    async with pushing(dav, tmp_path) as it:
        if method == "DELETE":
            await it.push()
            it.world.data.delete_issue(it.issues("PROP")[0]["id"])
        dav.add_fault(method, losing_the_response)
        report = await it.push()
        assert report.is_good, report.as_json()
        assert await it.problems(contents(dav)) == []
        assert len(dav.objects) == len(await it.wanted())
        assert (await it.push()).requests == 1


@pytest.mark.parametrize("names_conditions", [False, True])
async def test_an_object_changed_after_the_listing_is_decided_again(
    tmp_path: Path, names_conditions: bool
) -> None:
    dav = MemoryDav(names_conditions=names_conditions)
    async with pushing(dav, tmp_path) as it:
        await it.push()
        row = it.issues("PROP")[0]
        name = object_name(f"plane-issue-{row['id']}@calplanebot")
        it.world.data.patch_issue(row["id"], {"name": "Newer"})

        def edited(_request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            dav.objects[name] = dav.objects[name].replace(b"END:VEVENT", b"X-THEIRS:1\r\nEND:VEVENT")
            return do()

        dav.add_fault("PUT", edited)
        report = await it.push()
        assert (report.is_good, report.counts["updated"]) == (True, 1)
        assert read_object(dav.objects[name]).extras == ("X-THEIRS:1",)
        assert await it.problems(contents(dav)) == []


async def test_an_object_replaced_by_somebody_is_left_alone(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        one, other = it.issues("PROP")[:2]
        names = [object_name(f"plane-issue-{row['id']}@calplanebot") for row in (one, other)]
        it.world.data.patch_issue(one["id"], {"name": "Newer"})
        it.world.data.delete_issue(other["id"])
        stranger = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:party\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

        def replaced(_request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            dav.objects.update(dict.fromkeys(names, stranger))
            return do()

        dav.add_fault("PUT", replaced)
        report = await it.push()
        assert push_code([report]) == 4
        assert [dav.objects[name] for name in names] == [stranger, stranger]
        assert {failure.reason for failure in report.failures} == {"another object is at this address now"}


async def test_one_object_that_is_gone_does_not_hide_the_others(tmp_path: Path) -> None:
    """sabre/dav 1.8 answers 404 to a multiget for an object that somebody has deleted."""
    dav = MemoryDav(fails_on_absent=True)
    async with pushing(dav, tmp_path) as it:
        wanted = list(await it.wanted())
        gone = object_name(wanted[3])

        def deleted(_request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            dav.objects.pop(gone)
            return do()

        dav.add_fault("REPORT", deleted)
        report = await it.push()
        assert [failure.href.rpartition("/")[2] for failure in report.failures] == [gone]
        assert report.counts["created"] == len(wanted) - 1
        assert (await it.push()).counts["created"] == 1
        assert await it.problems(contents(dav)) == []


@pytest.mark.parametrize("is_new", [False, True])
async def test_an_object_rejected_repeatedly_without_a_reason_is_reported(
    tmp_path: Path, is_new: bool
) -> None:
    """Radicale answers 412 if an object is too large."""
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        row = it.issues("PROP")[0]
        if is_new:
            it.world.data.create_issue(row["project"], {"name": "Made", "target_date": "2027-02-01"})
        else:
            it.world.data.patch_issue(row["id"], {"name": "Newer"})
        dav.add_fault("PUT", answering(412), times=9)
        report = await it.push()
    assert (push_code([report]), "too large" in texts_of(report)) == (4, True)
    assert dav.count("PUT") <= report.counts["kept"] + 1 + 2


async def test_a_server_that_also_changes_the_times_is_recognised_by_its_etag(tmp_path: Path) -> None:
    def reformed(data: bytes) -> bytes:
        return data.replace(b"STATUS:CONFIRMED", b"STATUS:TENTATIVE").replace(
            b"LAST-MODIFIED:2", b"LAST-MODIFIED:3"
        )

    dav = MemoryDav(reform=reformed)
    async with pushing(dav, tmp_path) as it:
        assert (await it.push()).is_good
        assert (await it.push()).requests == 1


async def test_many_objects_on_which_the_server_fails_end_the_run(tmp_path: Path) -> None:
    dav = MemoryDav()
    dav.add_fault("PUT", answering(500), times=10_000)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
    assert (push_code([report]), "keeps failing" in texts_of(report)) == (69, True)
    assert dav.count("PUT") <= 4 * (5 + 4)


async def test_after_the_first_failure_one_request_at_a_time_is_sent(tmp_path: Path) -> None:
    dav, under_way, most = MemoryDav(), 0, []
    inner = dav.transport

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way
            under_way += 1
            most.append(under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return await inner.handle_async_request(request)

    dav.add_fault("PUT", answering(423), skip=5)
    async with pushing_to(TARGET, tmp_path, transport=Slow(), sleep=no_sleep, issues=30) as it:
        assert (await it.push()).is_good
    assert max(most) == 4
    # Those that were under way when it faltered are the last that are not alone.
    assert set(most[5 + 2 * 4 :]) == {1}


async def test_an_unreadable_object_of_ours_is_kept_and_reported(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        await it.forget()
        row = it.issues("PROP")[0]
        name = object_name(f"plane-issue-{row['id']}@calplanebot")

        def without_it(_request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            kept = dav.objects.pop(name)
            answer = do()
            dav.objects[name] = kept
            return answer

        dav.add_fault("REPORT", without_it, times=2)
        report = await it.push()
        assert "cannot be read" in texts_of(report)
        it.world.data.delete_issue(row["id"])
        await it.forget()
        report = await it.push()
        assert report.is_good
        assert name in dav.objects
        assert (await it.push()).counts["deleted"] == 1


@pytest.mark.parametrize("absent", [True, False])
async def test_a_server_that_ignores_conditions_loses_nothing(tmp_path: Path, absent: bool) -> None:
    dav = MemoryDav(unconditional=True, names_absent=absent)
    party = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:party\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    async with pushing(dav, tmp_path) as it:
        taken = object_name(next(iter(await it.wanted())))
        dav.objects = {"party.ics": party, taken: party}
        report = await it.push()
        assert len(report.failures) == 1
        assert (dav.objects["party.ics"], dav.objects[taken]) == (party, party)


async def test_a_server_that_drops_our_marks_is_reported_at_the_first_push(tmp_path: Path) -> None:
    def unmarked(data: bytes) -> bytes:
        return b"".join(line for line in data.splitlines(True) if not line.startswith(b"X-ICSFEED"))

    dav = MemoryDav(reform=unmarked)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
    assert (push_code([report]), "drops our marks" in texts_of(report)) == (4, True)
    assert report.counts["created"] == 0


async def test_what_a_server_alters_is_accepted_and_reported_once(tmp_path: Path) -> None:
    dav = MemoryDav(reform=lambda data: data.replace(b"STATUS:CONFIRMED", b"STATUS:TENTATIVE"))
    async with pushing(dav, tmp_path) as it:
        first = await it.push()
        assert (first.is_good, "alters" in texts_of(first)) == (True, True)
        second = await it.push()
        assert (second.requests, second.warnings) == (1, ())
        row = it.issues("PROP")[0]
        it.world.data.patch_issue(row["id"], {"name": "Newer"})
        assert (await it.push()).counts["updated"] == 1
        name = object_name(f"plane-issue-{row['id']}@calplanebot")
        dav.objects[name] = dav.objects[name].replace(b"SUMMARY:", b"SUMMARY:Changed ")
        assert (await it.push()).counts["updated"] == 1
        assert b"Changed" not in dav.objects[name]


async def test_an_edit_before_verification_is_not_accepted(
    tmp_path: Path,
) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        name = object_name(next(iter(await it.wanted())))

        def edited(_request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            text = dav.objects[name].replace(b"SUMMARY:", b"SUMMARY:Changed ")
            dav.objects[name] = text.replace(b"LAST-MODIFIED:2", b"LAST-MODIFIED:3")
            return do()

        dav.add_fault("REPORT", edited)
        assert (await it.push()).warnings == ()
        assert (await it.push()).counts["updated"] == 1
        assert await it.problems(contents(dav)) == []


@pytest.mark.parametrize("is_new", [False, True])
async def test_a_destroyed_object_is_reported_with_advice_and_deleted(tmp_path: Path, is_new: bool) -> None:
    dav = MemoryDav(reform=lambda data: DESTROYED if "🎉".encode() in data else data)
    async with pushing(dav, tmp_path) as it:
        wanted = len(await it.wanted())
        if not is_new:
            await it.push()
        it.world.data.patch_issue(it.issues("PROP")[0]["id"], {"name": "Party 🎉"})
        for _ in range(2):
            report = await it.push()
            assert (push_code([report]), len(report.failures)) == (4, 1)
            assert "`strip_emoji: true`" in texts_of(report)
            assert (DESTROYED in dav.objects.values(), len(dav.objects)) == (False, wanted - 1)


async def test_a_destroyed_object_of_an_earlier_push_is_replaced_without_emoji(tmp_path: Path) -> None:
    dav = MemoryDav(reform=lambda data: DESTROYED if "🎉".encode() in data else data)
    stripped = target(URL, username="alice", password="wonderland", strip_emoji=True)
    async with pushing(dav, tmp_path, stripped) as it:
        row = it.issues("PROP")[0]
        it.world.data.patch_issue(row["id"], {"name": "Party 🎉"})
        name = object_name(f"plane-issue-{row['id']}@calplanebot")
        dav.objects[name] = DESTROYED
        report = await it.push()
        assert (report.is_good, report.counts["updated"]) == (True, 1)
        assert b"Party" in dav.objects[name]
        assert (await it.push()).requests == 1


async def test_an_object_that_the_server_fails_on_is_reported_with_advice(tmp_path: Path) -> None:
    """SOGo 5.8 answers 500 for a task with an emoji at its fold column."""
    dav = MemoryDav()

    def fails(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
        return httpx.Response(500) if "🎉".encode() in request.content else do()

    dav.add_fault("PUT", fails, times=99)
    async with pushing(dav, tmp_path) as it:
        it.world.data.patch_issue(it.issues("PROP")[0]["id"], {"name": "Party 🎉"})
        report = await it.push()
        assert [failure.reason for failure in report.failures] == [
            "the server rejects it: 500; if an emoji is the reason, `strip_emoji: true` helps"
        ]


async def test_an_unreadable_object_of_ours_is_not_created_again(
    tmp_path: Path,
) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        dav.objects["moved.ics"] = dav.objects.pop(object_name(next(iter(await it.wanted()))))
        assert (await it.push()).is_good
        dav.objects["moved.ics"] += b"\r\n"
        before = set(dav.objects)
        dav.add_fault("REPORT", lambda _request, _do: multistatus(), times=2)
        for _ in range(2):
            report = await it.push()
            assert (push_code([report]), "cannot be read now" in texts_of(report)) == (4, True)
            assert set(dav.objects) == before
        assert (await it.push()).is_good
        assert set(dav.objects) == before


async def test_etags_are_not_trusted_for_longer_than_a_day(tmp_path: Path) -> None:
    """SOGo 5.8 reuses etags after a delete and a create: the same etag, another object."""
    dav = MemoryDav(tagging=lambda _data: '"1"')
    async with pushing(dav, tmp_path) as it:
        await it.push()
        name = object_name(next(iter(await it.wanted())))
        dav.objects[name] = dav.objects[name].replace(b"SUMMARY:", b"SUMMARY:Changed ")
        assert (await it.push()).requests == 1
        it.world.clock.move(days=1)
        assert (await it.push()).counts["updated"] == 1
        assert b"Changed" not in dav.objects[name]
        assert (await it.push()).requests == 1


@pytest.mark.parametrize(
    ("told_as", "weak"), [("W/{}", True), ("", False), ('"ü€"', False), ('"a\nb"', False)]
)
async def test_an_etag_that_is_weak_or_missing_never_makes_a_write_unconditional(
    tmp_path: Path, told_as: str, weak: bool
) -> None:
    dav = MemoryDav()
    real = dav.tagging
    async with pushing(dav, tmp_path) as it:
        await it.push()
        it.world.data.patch_issue(it.issues("PROP")[0]["id"], {"name": "Newer"})
        it.world.data.delete_issue(it.issues("PROP")[1]["id"])

        def record(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            dav.tagging = lambda data: told_as.format(real(data))
            answer = do()
            dav.tagging = real
            return answer

        dav.add_fault("PROPFIND", record, times=9)
        dav.add_fault("REPORT", record, times=9)
        report = await it.push()
        changed = report.counts.get("updated", 0), report.counts.get("deleted", 0)
        assert changed == ((1, 1) if weak else (0, 0))
        assert ("no etag" in texts_of(report)) is not weak


async def test_hrefs_of_other_hosts_and_of_subfolders_are_ignored(tmp_path: Path) -> None:
    dav = MemoryDav()

    def more(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
        body = (
            do()
            .content.decode()
            .replace(
                "</d:multistatus>",
                "".join(
                    f"<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:getetag>1</d:getetag></d:prop>"
                    f"{status(200)}</d:propstat></d:response>"
                    for href in (
                        f"https://evil.example.com{PATH}x.ics",
                        f"{PATH}below/x.ics",
                        "/elsewhere.ics",
                        "//[",
                    )
                )
                + "</d:multistatus>",
            )
        )
        return httpx.Response(207, content=body.encode())

    dav.add_fault("PROPFIND", more, times=9)
    async with pushing(dav, tmp_path) as it:
        assert (await it.push()).is_good
        assert (await it.push()).requests == 1
    assert {request.url.host for request in dav.requests} == {"dav.example.com"}
    assert all("evil" not in request.content.decode() for request in dav.requests)


@pytest.mark.parametrize("spelling", [lambda name: name.replace("-", "%2D"), lambda name: name])
async def test_hrefs_may_be_quoted_in_any_way(tmp_path: Path, spelling: Callable[[str], str]) -> None:
    dav = MemoryDav(quoting=spelling)
    async with pushing(dav, tmp_path) as it:
        first = await it.push()
        assert (await it.push()).counts == {"kept": first.counts["created"]}
        it.world.data.patch_issue(it.issues("PROP")[0]["id"], {"name": "Newer"})
        assert (await it.push()).counts["updated"] == 1


async def test_a_partial_read_of_plane_deletes_nothing_and_says_so(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        before = set(dav.objects)
        it.world.data.delete_issue(it.issues("PROP")[0]["id"])
        it.world.data.create_issue(
            it.issues("PROP")[0]["project"], {"name": "Made", "target_date": "2027-02-01"}
        )
        it.world.faults.add("/states/", f.server_error(), None)
        it.world.clock.move(seconds=600)
        report = await it.push(force=True)
        assert before <= set(dav.objects)
        assert "Plane was not read completely" in texts_of(report)
        assert "the states of PROP" in texts_of(report)
        assert report.refused is not None
        assert (report.refused.final, push_code([report])) == (True, 75)


async def test_a_feed_that_was_never_read_is_not_pushed(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        it.world.faults.add("", f.server_error(), None)
        report = await it.push()
    assert (push_code([report]), dav.requests) == (75, [])
    assert FEED not in texts_of(report)


async def test_the_error_is_that_of_the_feeds_workspace(tmp_path: Path) -> None:
    own = settings().workspaces["demo"]
    north, south = Feed(workspace="north", everything=True), Feed(workspace="demo", everything=True)
    both = {"demo": own, "north": own}
    async with pushing_to(TARGET, tmp_path, feed=north, more={"south": south}, workspaces=both) as it:
        it.world.faults.add("", f.refused(), None)
        with pytest.raises(NoCopy):
            await it.world.service.view("south")
        it.world.faults.clear()
        it.world.faults.add("", f.server_error(), None)
        report = await it.push()
    assert push_code([report]) == 75, texts_of(report)


async def test_basic_is_sent_at_once_and_digest_only_where_nothing_else_is_offered(tmp_path: Path) -> None:
    dav = MemoryDav()
    seen: list[str] = []

    def digest(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
        seen.append(request.headers.get("authorization", "").split(" ")[0])
        if seen[-1] == "Digest":
            return do()
        challenge = 'Digest realm="dav", nonce="abc", qop="auth", algorithm=MD5'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})

    dav.add_fault("", digest, times=10_000)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
        assert report.is_good, report.as_json()
        wanted = len(await it.wanted())
    assert seen[0] == "Basic"
    assert set(seen[1:]) == {"Digest"}
    assert report.requests == wanted + 2 + 1


async def test_a_token_is_sent_as_a_bearer_token(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path, target(URL, token="secret-token")) as it:
        assert (await it.push()).is_good
    assert {request.headers["authorization"] for request in dav.requests} == {"Bearer secret-token"}


SEQUENCE = (
    b"<html><head><title>x</title></head><body>Cannot decrease the sequence: alice:wonderland</body></html>"
)


@pytest.mark.parametrize("status", [400, 403, 409, 413, 500, 507])
async def test_the_servers_error_text_is_reported_without_the_password(tmp_path: Path, status: int) -> None:
    dav = MemoryDav()
    dav.add_fault("PUT", answering(status, SEQUENCE), times=4, skip=2)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
    assert "; the server says: Cannot decrease the sequence: alice:***" in texts_of(report)
    assert "wonderland" not in str(report.as_json())


async def test_a_password_that_the_cut_falls_into_is_not_shown_in_part(tmp_path: Path) -> None:
    dav = MemoryDav()
    dav.add_fault("PUT", answering(413, b"x" * 195 + b" wonderland"), times=4, skip=2)
    async with pushing(dav, tmp_path) as it:
        report = await it.push()
    assert "xxx" in texts_of(report)
    assert "wond" not in str(report.as_json())


@pytest.mark.parametrize(
    ("status", "title", "hinted"), [(409, "🎉", False), (500, "🎉", True), (500, "x", False)]
)
async def test_the_advice_about_emoji_is_given_if_one_may_be_the_reason(
    tmp_path: Path, status: int, title: str, hinted: bool
) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        it.world.data.patch_issue(it.issues("PROP")[0]["id"], {"name": title})
        dav.add_fault("PUT", answering(status, b"No."), times=4)
        report = await it.push()
    assert len(report.failures) == 1
    assert ("strip_emoji" in texts_of(report)) is hinted


async def test_on_a_full_server_deletions_free_space_for_one_more_attempt(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with pushing(dav, tmp_path) as it:
        await it.push()
        room = len(dav.objects)

        def full(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
            is_new = "if-none-match" in request.headers
            return httpx.Response(507) if is_new and len(dav.objects) >= room else do()

        dav.add_fault("PUT", full, times=999)
        gone, *others = it.issues("PROP")
        it.world.data.delete_issue(gone["id"])
        for number in range(2):
            it.world.data.create_issue(gone["project"], {"name": f"{number}", "target_date": "2027-02-01"})
        it.world.data.patch_issue(others[0]["id"], {"name": "Newer"})
        report = await it.push()
        assert (push_code([report]), "full" in texts_of(report)) == (73, True)
        assert (report.counts["deleted"], report.counts["created"], report.counts["updated"]) == (1, 1, 1)
        it.world.data.delete_issue(others[1]["id"])
        report = await it.push()
        assert (report.is_good, report.counts["deleted"], report.counts["created"]) == (True, 1, 1)
        assert await it.problems(contents(dav)) == []


async def test_a_full_server_does_not_override_the_deletion_limits(tmp_path: Path) -> None:
    dav = MemoryDav()
    careful = target(URL, username="alice", password="wonderland", min_delete=0, max_delete_ratio=0.0)
    async with pushing(dav, tmp_path, careful) as it:
        await it.push()
        before = set(dav.objects)
        it.world.data.delete_issue(it.issues("PROP")[0]["id"])
        fields = {"name": "Made", "target_date": "2027-02-01"}
        it.world.data.create_issue(it.issues("PROP")[0]["project"], fields)
        dav.add_fault("PUT", answering(507), times=99)
        report = await it.push()
        assert (push_code([report]), set(dav.objects)) == (73, before)


async def test_a_server_that_answers_423_gets_one_write_at_a_time_from_then_on(tmp_path: Path) -> None:
    """xandikos 0.4 answers 423 to concurrent writes."""
    dav = MemoryDav()
    waited: list[float] = []
    waits: list[str] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with pushing_to(TARGET, tmp_path, transport=dav.transport, feed=SMALL, sleep=sleep) as it:
        dav.add_fault("PUT", answering(423), skip=1)
        events = PushEvents(wait=lambda _name, reason: waits.append(reason))
        assert (await it.push(events=events)).is_good
        assert any(text.startswith("waiting ") and text.endswith("it answers 423") for text in waits)
        assert ("projects read" in waits[0], waits[-1], len(waited)) == (True, "", 1)
        memory = await it.context.store.get_record("push/t", TargetRecord)
        assert memory is not None
        assert memory.one_at_a_time


async def test_a_stopped_push_reports_what_was_done(tmp_path: Path) -> None:
    dav, stopped = MemoryDav(), list[TargetReport]()
    async with pushing(dav, tmp_path) as it:
        task: asyncio.Task[TargetReport] | None = None

        def progress(_name: str, done: int, _all: int) -> None:
            if done == 3 and task is not None:
                task.cancel()

        task = asyncio.create_task(it.push(events=PushEvents(progress, report=stopped.append)))
        with pytest.raises(asyncio.CancelledError):
            await task
        (report,) = stopped
        assert ("stopped before it was complete" in texts_of(report), report.counts["created"] >= 3) == (
            True,
            True,
        )
        assert report.counts["created"] <= len(dav.objects)
        assert (await it.push()).is_good
        assert await it.problems(contents(dav)) == []
