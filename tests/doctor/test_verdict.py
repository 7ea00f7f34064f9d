"""From what was seen of a feed to what each calendar app will make of it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from making import whole
from msgspec.structs import replace

from icsfeed.doctor.clients import CLIENTS, EVERYBODY, PAGE
from icsfeed.doctor.observations import Observations, Reply
from icsfeed.doctor.verdict import Verdict, is_readable, judge, report, severity
from icsfeed.ics.component import Component
from icsfeed.ics.write import Header, write

MOMENT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EVENT = Component(
    kind="VEVENT",
    uid="plane-issue-1@calplanebot",
    summary="Repair the lift",
    first=date(2026, 12, 1),
    last=date(2026, 12, 1),
    status="CONFIRMED",
    created=MOMENT,
    revised=MOMENT,
)
GOOD = whole(Header(name="A feed", refresh=3600), [write(EVENT)])
HEADERS = {
    "content-type": "text/calendar; charset=utf-8",
    "etag": '"1"',
    "last-modified": "Mon, 23 Nov 2026 10:00:00 GMT",
    "access-control-allow-origin": PAGE,
}
OK = Reply(status=200, headers=HEADERS, body=GOOD, hops=("https://cal.example.com",))
UNCHANGED = Reply(status=304)


def seen(body: bytes = GOOD, **changes: Any) -> Observations:
    """A good feed with these changes."""
    answer = replace(OK, body=body)
    whole: dict[str, Any] = {
        "url": "https://cal.example.com/feeds/x.ics",
        "addresses": ("93.184.216.34",),
        "first": answer,
        "again": answer,
        "apps": dict.fromkeys(EVERYBODY, answer),
        "head": replace(answer, body=b""),
        "authorized": answer,
        "matched": UNCHANGED,
        "since": UNCHANGED,
        "zipped": answer,
        "robots": True,
    }
    return Observations(**{**whole, **changes})


def verdicts(found: Observations) -> Mapping[str, Verdict]:
    return {verdict.app: verdict for verdict in judge(found)}


def app(name: str, **changes: Any) -> Mapping[str, Reply]:
    """All apps are answered well, but this one."""
    return {**dict.fromkeys(EVERYBODY, OK), name: replace(OK, **changes)}


def without(name: str) -> bytes:
    """The good calendar without a property."""
    lines = GOOD.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(name.encode()))


def with_line(line: str) -> bytes:
    """The good calendar with one more line in its event."""
    return GOOD.replace(b"\r\nSTATUS:", b"\r\n" + line.encode() + b"\r\nSTATUS:")


def test_every_app_works_with_a_feed_of_ours() -> None:
    assert [(v.app, v.word, v.reasons) for v in judge(seen())] == [(c.name, "works", ()) for c in CLIENTS]


TASK = GOOD.replace(b"VEVENT", b"VTODO")
TWO = whole(Header(name="A feed", refresh=3600), [write(EVENT), write(EVENT)])
MIXED = GOOD.replace(
    b"END:VCALENDAR", b"BEGIN:VTODO\r\nUID:t\r\nDTSTAMP:1\r\nLAST-MODIFIED:1\r\nEND:VTODO\r\nEND:VCALENDAR"
)


@pytest.mark.parametrize(
    ("found", "name", "word", "said"),
    [
        # The address
        (seen(addresses=("10.0.0.5",)), "Google Calendar", "fails", "10.0.0.5, which the internet cannot"),
        (seen(addresses=("10.0.0.5",)), "Nextcloud", "fails", "does not read unless"),
        (seen(addresses=("fd00::1",)), "Outlook", "limited",
         "only Outlook on a computer in the same network"),
        (seen(addresses=("10.0.0.5",)), "Thunderbird", "works", ""),
        (seen(url="https://x/" + "a" * 210), "Google Calendar", "limited", "220 characters"),
        (seen(url="https://x/" + "a" * 300), "Google Calendar", "fails", "310 characters"),
        (seen(url="http://x/"), "ICSx5", "works", "anyone on the network path"),
        (seen(robots=False), "Google Calendar", "fails", "robots.txt forbids it"),
        (seen(robots=False), "Thunderbird", "works", ""),
        # Each app's own answer
        (seen(apps=app("Google Calendar", status=403)), "Google Calendar", "fails", "bot protection"),
        (seen(apps=app("Apple Calendar", status=401)), "Apple Calendar", "fails", "asks for a password"),
        (seen(apps=app("Thunderbird", status=503)), "Thunderbird", "fails",
         "503: a server error; the subscr"),
        (seen(apps=app("Thunderbird", status=404)), "Thunderbird", "fails", "nothing is at this address"),
        (seen(apps=app("Thunderbird", status=410)), "Thunderbird", "fails",
         "disables the calendar permanently"),
        (seen(apps=app("Fastmail, Proton", status=429)), "Fastmail, Proton", "fails", "is disabled if"),
        (seen(apps=app("ICSx5", status=206)), "ICSx5", "fails", "206: not a usable response"),
        (seen(apps=app("Thunderbird", body=b"<p>")), "Thunderbird", "fails", "removes every event"),
        (seen(apps=app("vdirsyncer", body=b"", headers={})), "vdirsyncer", "fails", "(without a type)"),
        (seen(apps={"ICSx5": Reply(reason="no answer in time")}), "ICSx5", "fails", "no answer in time"),
        (seen(apps=app("Outlook", headers={})), "Outlook", "limited", "Content-Type is missing"),
        (seen(apps=app("ICSx5", hops=("https://x",) * 7)), "ICSx5", "fails", "redirects 6 times"),
        (seen(apps=app("ICSx5", hops=("https://x",) * 6)), "ICSx5", "works", ""),
        (seen(apps=app("ICSx5", hops=("https://x", "http://x"))), "ICSx5", "fails", "https to http"),
        (seen(apps=app("ICSx5", hops=("http://x", "https://x"))), "ICSx5", "works", ""),
        (seen(apps=app("Home Assistant", seconds=12)), "Home Assistant", "limited", "took 12 s"),
        (seen(apps=app("Home Assistant", seconds=31)), "Home Assistant", "fails", "waits 30 s"),
        # The conversation
        (seen(head=Reply(status=405)), "Outlook", "fails", "HEAD is answered with 405"),
        (seen(authorized=Reply(status=401)), "Outlook", "fails", "answered with 401; Outlook sends"),
        (seen(authorized=Reply(reason="gone")), "Outlook", "fails", "not answered: gone"),
        (seen(matched=OK), "Thunderbird", "works", "If-None-Match is answered with 200 instead of 304"),
        (seen(since=Reply(status=500)), "ICSx5", "fails", "If-Modified-Since it is answered with 500"),
        (seen(since=Reply(reason="gone")), "ICSx5", "works", "not answered: gone"),
        (seen(matched=None, since=None), "ICSx5", "works", "neither ETag nor Last-Modified"),
        (seen(zipped=Reply(reason="its compression is broken")), "Outlook", "fails", "compression is broken"),
        (seen(zipped=replace(OK, body=b"other")), "Outlook", "limited", "differs from the plain one"),
        (seen(apps=app("FullCalendar", headers=HEADERS | {"access-control-allow-origin": "https://y"})),
         "FullCalendar", "limited", "(CORS)"),
        # Its form
        (seen(GOOD[:-20]), "Apple Calendar", "fails", "truncated"),
        (seen(with_line("NO COLON")), "Google Calendar", "fails", "the whole file is rejected"),
        (seen(with_line("NO COLON")), "Apple Calendar", "limited", "cannot be read (1 of that kind)"),
        (seen(GOOD.replace(b"lift", b"l\xff")), "Home Assistant", "fails", "not UTF-8"),
        (seen(without("PRODID")), "Home Assistant", "fails", "it has no PRODID"),
        (seen(without("PRODID")), "Thunderbird", "works", ""),
        (seen(GOOD.replace(b"\r\n", b"\n")), "Outlook", "works", "do not end in CR LF"),
        (seen(with_line("COMMENT:" + "x" * 80)), "ICSx5", "works", "longer than 75 octets"),
        (seen(with_line("COMMENT:" + "x" * 950_000)), "Google Calendar", "limited", "some services read no"),
        (seen(first=replace(OK, is_whole=False)), "Thunderbird", "limited", "not examined further"),
        # What it holds
        (seen(without("REFRESH-INTERVAL").replace(b"X-PUBLISHED-TTL:PT1H\r\n", b"")),
         "Nextcloud", "limited", "once a week"),
        (seen(whole(Header(name="A", refresh=3600), [])), "vdirsyncer", "limited", "empty"),
        (seen(whole(Header(name="A", refresh=3600), [])), "ICSx5", "works", "it is empty"),
        (seen(without("UID")), "vdirsyncer", "fails", "1 without UID"),
        (seen(without("UID")), "Thunderbird", "limited", "duplicated or lost"),
        (seen(TWO), "vdirsyncer", "fails", "1 share a UID"),
        (seen(TWO), "Nextcloud", "limited", "one of them is shown"),
        (seen(GOOD.replace(b"NAME:A", b"UID:u\r\nNAME:A", 1)), "vdirsyncer", "limited", "itself has a UID"),
        (seen(MIXED.replace(b"NAME:A", b"UID:u\r\nNAME:A", 1)), "vdirsyncer", "fails", "it keeps one"),
        (seen(MIXED.replace(b"NAME:A", b"UID:u\r\nNAME:A", 1)), "Thunderbird", "works", ""),
        (seen(without("DTSTAMP")), "Home Assistant", "fails", "1 without DTSTAMP"),
        (seen(without("LAST-MODIFIED")), "ICSx5", "works", "1 without LAST-MODIFIED"),
        (seen(TASK), "Google Calendar", "fails", "does not show tasks, and 1"),
        (seen(TASK), "Thunderbird", "works", ""),
        (seen(MIXED), "Outlook", "limited", "does not show tasks"),
        (seen(without("DTSTART")), "Google Calendar", "fails", "1 without DTSTART"),
        (seen(GOOD.replace(b"DTEND;VALUE=DATE:20261202", b"DTEND;VALUE=DATE:20261201")),
         "Home Assistant", "fails", "DTEND = DTSTART"),
        (seen(without("X-MICROSOFT")), "Outlook", "limited", "1 all-day events are shown as busy"),
        (seen(GOOD.replace(b"CONFIRMED", b"CANCELLED")), "Google Calendar", "works", "leaves them out"),
        (seen(with_line("ATTENDEE:mailto:a@x")), "Thunderbird", "limited", "1 with guests"),
        (seen(with_line("X-AT;TZID=Mars/Base:1")), "Outlook", "fails", "time zone Mars/Base"),
        (seen(with_line("BEGIN:VALARM\r\nEND:VALARM")), "Apple Calendar", "works", "1 reminders are dropped"),
        # Two reads
        (seen(again=replace(OK, body=GOOD.replace(b"plane-issue-1", b"plane-issue-2"))),
         "Thunderbird", "limited", "every UID changes"),
        (seen(again=replace(OK, body=GOOD.replace(b"lift", b"roof"))),
         "ICSx5", "limited", "without a later LAST-MODIFIED"),
        (seen(again=replace(OK, body=GOOD.replace(b"lift", b"roof"))), "vdirsyncer", "works",
         "created again"),
        (seen(again=replace(OK, body=GOOD.replace(b"DTSTAMP:2026", b"DTSTAMP:2027"))),
         "Outlook", "works", "bytes change with each read"),
    ],
)  # fmt: skip
def test_what_is_seen_decides_what_becomes_of_an_app(
    found: Observations, name: str, word: str, said: str
) -> None:
    verdict = verdicts(found)[name]
    assert verdict.word == word, verdict
    assert said in " / ".join(reason.text for reason in verdict.reasons)
    assert said or not verdict.reasons or word != "works"


def test_an_event_that_changed_and_says_so_is_no_trouble() -> None:
    later = GOOD.replace(b"lift", b"roof").replace(b"LAST-MODIFIED:20261123", b"LAST-MODIFIED:20261124")
    assert verdicts(seen(again=replace(OK, body=later)))["ICSx5"].word == "works"


def test_the_heaviest_reason_comes_first_and_none_twice() -> None:
    reasons = verdicts(seen(TASK, url="http://x/", robots=False))["Google Calendar"].reasons
    assert [reason.weight for reason in reasons] == ["fails", "fails", "note"]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize(
    ("first", "readable"),
    [
        (OK, True),
        (Reply(reason="gone"), False),
        (Reply(status=404), False),
        (replace(OK, body=b"<p>"), False),
    ],
)
def test_without_a_calendar_there_is_nothing_more_to_say(first: Reply, readable: bool) -> None:
    found = seen(first=first, again=Reply(reason="gone"), head=Reply(reason="gone"))
    assert is_readable(found) is readable
    assert len(judge(found)) == len(CLIENTS)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (seen(), 0),
        (seen(head=Reply(status=405)), 4),
        (seen(first=Reply(reason="gone")), 69),
        (seen(first=Reply(status=404)), 76),
    ],
)
def test_the_exit_code_says_how_bad_it_is(found: Observations, code: int) -> None:
    assert severity(found, judge(found)) == code


def test_a_report_for_scripts_has_the_status_the_size_and_every_app() -> None:
    found = seen()
    shown = report(found, judge(found))
    assert shown["feed"] == {"status": 200, "bytes": len(GOOD)}
    assert {app["app"] for app in shown["apps"]} == {client.name for client in CLIENTS}
    assert report(seen(first=Reply(reason="gone")), ())["feed"] == {}
