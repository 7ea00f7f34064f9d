"""The wire format, read back by two parsers that are not ours: icalendar, and ical (Home Assistant's)."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream
from icalendar.parser import unescape_backslash
from making import (
    CREATED,
    PROP,
    body,
    by_id,
    calendar,
    component,
    issue,
    lines,
    material,
    parsed,
    period,
    snapshot,
    unfolded,
    whole,
)
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.ics.component import FIRST_WRITABLE_DAY, Component, is_writable
from icsfeed.ics.write import Header, write
from icsfeed.model import Label, Person
from icsfeed.text import MENTION

PROPERTIES = {
    *("BEGIN", "END", "VERSION", "PRODID", "CALSCALE", "UID"),
    *("NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC", "LAST-MODIFIED", "URL"),
    *("REFRESH-INTERVAL", "X-PUBLISHED-TTL", "DTSTAMP", "DTSTART", "DTEND", "DUE"),
    *("SUMMARY", "STATUS", "CATEGORIES", "PRIORITY", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
    *("CREATED", "SEQUENCE", "ACTION", "TRIGGER", "COMPLETED", "PERCENT-COMPLETE"),
}
NASTY = (
    *(
        "\r\n",
        "\n",
        "\r",
        "\x85",
        "\u2028",
        "\u2029",
        "\t",
        " ",
        "\x00",
        "\x07",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x7f",
    ),
    *("\\", "\\n", "\\N", "C:\\New", ";", ",", ":", '"', "\\;", "\\,", "^n", "%0A", "&#10;", "{name}"),
    *(
        "🔑",
        "👩‍👩‍👧",
        "e\u0301",
        "ü" * 40,
        "日本語" * 20,
        "\u202eabc",
        "שלום",
        "\ufeff",
        "\ud800",
        "\udfff",
        "x" * 80,
    ),
    *(
        "\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:y",
        "\r\n X",
        "BEGIN:VALARM",
        ";VALUE=DATE:",
        "\xa0",
        "\xad",
    ),
)
nasty = st.lists(st.sampled_from(NASTY) | st.text(max_size=4), max_size=12).map("".join)
named = nasty.map(lambda text: f"x{text}")


def normal(text: str) -> str:
    """What arrives of any text: the oracle."""
    text = re.sub("\r\n|[\r\x85\u2028\u2029]", "\n", text)
    text = "".join(char for char in text if char in "\n\t" or category(char) != "Cc")
    return "".join("\ufffd" if category(char) == "Cs" else char for char in text)


def flat(text: str) -> str:
    return normal(text).replace("\n", " ")


def refolded(content: list[str]) -> bytes:
    """Content lines folded again, one character at a time."""
    return b"".join(b"\r\n ".join(_pieces(line)) + b"\r\n" for line in content)


def _pieces(line: str) -> Iterator[bytes]:
    piece, room = b"", 75
    for char in line:
        octets = char.encode()
        if len(piece) + len(octets) > room:
            yield piece
            piece, room = b"", 74
        piece += octets
    yield piece


def assert_well_formed(octets: bytes, components: int) -> None:
    """What every feed promises of its lines, whatever is in it."""
    assert octets.endswith(b"\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", octets)
    for line in octets.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()
    content = unfolded(octets)
    assert {re.split("[:;]", line, maxsplit=1)[0] for line in content} <= PROPERTIES
    assert content.count("BEGIN:VEVENT") + content.count("BEGIN:VTODO") == components
    assert refolded(content) == octets


@given(named, named, named, named, named, nasty, st.sampled_from(["vevent", "vtodo"]))
@example("x\r\nEND:VEVENT", "x,", "xC:\\New", "x\\n", "x\u2028", "\ud800 C:\\New", "vevent")
def test_any_text_arrives_as_its_documented_normal_form(
    name: str, label: str, person: str, project: str, cycle: str, text: str, kind: Any
) -> None:
    text = text.replace(MENTION, "")
    item = issue(name=name, labels=("l",), assignees=("u",), text=text)
    snap = snapshot(
        item,
        labels={"l": Label(id="l", name=label)},
        people={"u": Person(id="u", name=person)},
        project=replace(PROP, name=project),
        periods=[period(cycle, issues=frozenset({item.id}))],
    )
    octets = body(calendar(Feed(project="PROP", component=kind, summary="{name}"), material(snap)))
    assert_well_formed(octets, components=1)
    read = parsed(octets)
    found: Any = read.subcomponents[0]
    for title in ("NAME", "X-WR-CALNAME"):  # icalendar gives them as they are written
        assert unescape_backslash(str(read[title])) == flat(project)
    assert found["SUMMARY"] == flat(name)
    assert found.categories == [flat(label).strip()]
    facts = [f"Assignees: {flat(person)}", f"Labels: {flat(label)}", f"Cycle: {flat(cycle)}"]
    own = ["", normal(text)] if text else []
    url = "https://plane.example.com/acme/projects/prop/issues/i1"
    assert found["DESCRIPTION"] == "\n".join(["PROP-1 · Todo", *facts, *own, "", url])


@given(named, nasty)
@example("xC:\\New", "C:\\New\\news;,")
def test_a_second_parser_reads_the_same(name: str, text: str) -> None:
    made = replace(component(issue(name=name), summary="{name}"), description=text)
    octets = whole(Header(name=name, refresh=3600), [write(made)])
    (found,) = IcsCalendarStream.calendar_from_ics(octets.decode()).events
    assert found.summary == flat(name)
    assert (found.description or "") == normal(text)


@given(nasty, nasty, st.lists(named, min_size=1, max_size=4), nasty)
def test_no_field_can_inject_a_line(uid: str, summary: str, categories: list[str], other: str) -> None:
    made = replace(
        component(issue()),
        uid=uid,
        summary=summary,
        categories=tuple(categories),
        description=other,
        url=f"https://{other}",
        alarms=(timedelta(),),
    )
    header = Header(name=other, refresh=60, description=other, url=f"https://{other}")
    octets = whole(header, [write(made)])
    assert_well_formed(octets, components=1)
    assert unfolded(octets).count("BEGIN:VALARM") == 1


@given(named)
def test_a_parents_uid_is_escaped_like_any_text(uid: str) -> None:
    made = replace(component(issue(), component="vtodo"), related_to=uid)
    (found,) = parsed(whole(Header(name="n", refresh=60), [write(made)])).todos
    assert found["RELATED-TO"] == flat(uid)


@given(st.integers(0, 300), st.sampled_from(["x", "ü", "€", "🔑", "x🔑", "xü"]))
def test_lines_fold_at_75_octets_and_never_inside_a_character(length: int, unit: str) -> None:
    octets = write(component(issue(name=unit * length), summary="{name}"))
    assert refolded(unfolded(octets)) == octets


@pytest.mark.parametrize("octets", [74, 75, 76, 149, 150])
@pytest.mark.parametrize("char", ["x", "ü"])
def test_a_line_folds_only_when_it_is_longer_than_75_octets(octets: int, char: str) -> None:
    room = octets - len("SUMMARY:")
    summary = char * (room // len(char.encode())) + "x" * (room % len(char.encode()))
    written = write(component(issue(name=summary), summary="{name}"))
    wanted = refolded([f"SUMMARY:{summary}"])
    assert wanted in written
    assert (b"\r\n " in wanted) == (octets > 75)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a;b,c:d", r"a\;b\,c:d"),
        ("C:\\New", r"C:\\New"),
        ('"x"', '"x"'),
        ("a\tb", "a\tb"),
        ("\u202eabc", "\u202eabc"),
    ],
)
def test_text_is_escaped_as_rfc_5545_says(text: str, written: str) -> None:
    assert lines(replace(component(issue()), summary=text, description=f"{text}\n-"))["SUMMARY"] == written
    assert lines(replace(component(issue()), description=f"{text}\n-"))["DESCRIPTION"] == rf"{written}\n-"


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(1, 1, 1), ("00010101", "00010102")),
        (date(2027, 12, 31), ("20271231", "20280101")),
        (date(2028, 2, 28), ("20280228", "20280229")),
        (date(9999, 12, 30), ("99991230", "99991231")),
    ],
)
def test_an_event_ends_on_the_day_after(day: date, written: tuple[str, str]) -> None:
    found = lines(component(issue(due=day)))
    assert (found["DTSTART;VALUE=DATE"], found["DTEND;VALUE=DATE"]) == written


@pytest.mark.parametrize("missing", [{"first": None}, {"last": None}, {"first": None, "last": None}])
def test_an_event_without_a_day_raises_an_error(missing: dict[str, None]) -> None:
    with pytest.raises(ValueError, match="needs its first and last day"):
        write(replace(component(issue()), **missing))


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 11, 20, 9, 30, 59, 999_999, tzinfo=UTC), "20261120T093059Z"),
        (datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=5.5))), "20261120T040000Z"),
        (datetime(800, 1, 2, tzinfo=UTC), "08000102T000000Z"),
    ],
)
def test_moments_are_written_in_utc_to_the_second(moment: datetime, written: str) -> None:
    assert lines(component(issue(updated=moment)))["DTSTAMP"] == written


@pytest.mark.parametrize(
    ("alarm", "written"),
    [
        (timedelta(), "PT0S"),
        (timedelta(hours=-15), "-PT15H"),
        (timedelta(hours=9), "PT9H"),
        (timedelta(days=-1), "-P1D"),
        (timedelta(days=-1, hours=-2, minutes=-30), "-P1DT2H30M"),
        (timedelta(days=14, seconds=1), "P14DT1S"),
        (timedelta(minutes=90), "PT1H30M"),
    ],
)
def test_durations_are_written_as_rfc_5545_says(alarm: timedelta, written: str) -> None:
    made = write(component(issue(), alarms=(alarm,)))
    assert f"TRIGGER:{written}\r\n".encode() in made
    (event,) = parsed(whole(Header(name="n", refresh=60), [made])).events
    assert [one.decoded("TRIGGER") for one in event.walk("VALARM")] == [alarm]


def task(**changes: object) -> Component:
    made = component(issue(), categories=())
    return replace(made, **{"kind": "VTODO", "status": "NEEDS-ACTION", "first": None, **changes})


def test_a_task_has_its_dates_and_says_when_it_was_completed() -> None:
    day, first = date(2026, 12, 1), date(2026, 11, 28)
    assert unfolded(write(task(last=day, categories=("Bug", "UX, web"), description="", url=None))) == [
        "BEGIN:VTODO",
        "UID:plane-issue-i1@calplanebot",
        "DTSTAMP:20261120T093000Z",
        "DUE;VALUE=DATE:20261201",
        "SUMMARY:[1] Issue 1",
        "STATUS:NEEDS-ACTION",
        "CATEGORIES:Bug,UX\\, web",
        "CREATED:20261101T080000Z",
        "LAST-MODIFIED:20261120T093000Z",
        "SEQUENCE:1647000",
        "END:VTODO",
    ]
    names = {"DTSTART;VALUE=DATE", "DUE;VALUE=DATE", "COMPLETED", "PERCENT-COMPLETE"}
    assert {key: value for key, value in lines(task(first=first, last=day)).items() if key in names} == {
        "DTSTART;VALUE=DATE": "20261128",
        "DUE;VALUE=DATE": "20261201",
    }
    assert not names & lines(task(last=None)).keys()
    done = lines(task(status="COMPLETED", completed=CREATED))
    assert (done["STATUS"], done["COMPLETED"], done["PERCENT-COMPLETE"]) == (
        "COMPLETED",
        "20261101T080000Z",
        "100",
    )


@pytest.mark.parametrize(
    ("kind", "days", "trigger"),
    [
        ("VEVENT", 0, "TRIGGER:-PT15H"),
        # From the end of the span, which DTEND says as the day after.
        ("VEVENT", 2, "TRIGGER;RELATED=END:-P1DT15H"),
        ("VTODO", 0, "TRIGGER;RELATED=END:-PT15H"),
        ("VTODO", 2, "TRIGGER;RELATED=END:-PT15H"),
    ],
)
def test_an_alarm_counts_from_the_start_of_the_last_day(
    kind: Literal["VEVENT", "VTODO"], days: int, trigger: str
) -> None:
    made = component(issue(), alarms=(timedelta(hours=-15),))
    assert made.last is not None
    spanning = replace(made, kind=kind, first=made.last - timedelta(days=days))
    assert [line for line in unfolded(write(spanning)) if line.startswith("TRIGGER")] == [trigger]


def test_an_event_leaves_its_days_free_also_in_outlook() -> None:
    made = lines(component(issue()))
    assert (made["TRANSP"], made["X-MICROSOFT-CDO-BUSYSTATUS"]) == ("TRANSPARENT", "FREE")


def test_days_that_every_app_can_show_are_written() -> None:
    assert [is_writable(day) for day in (FIRST_WRITABLE_DAY, date.max - timedelta(days=1))] == [True, True]
    assert [is_writable(day) for day in (FIRST_WRITABLE_DAY - timedelta(days=1), date.max)] == [False, False]


# VCALENDAR


HEADER = Header(name="Property, all", refresh=5400)


def test_a_plain_header_has_these_lines_in_this_order() -> None:
    assert unfolded(whole(HEADER, [b""]))[:8] == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//icsfeed//icsfeed//EN",
        "CALSCALE:GREGORIAN",
        "NAME:Property\\, all",
        "X-WR-CALNAME:Property\\, all",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H30M",
        "X-PUBLISHED-TTL:PT1H30M",
    ]


def test_a_header_says_what_is_configured() -> None:
    header = replace(
        HEADER,
        description="All; of it\nhere",
        last_modified=CREATED,
        url="https://plane.example.com/acme/projects/prop/issues",
        color="tomato",
        color_hex="#FF6347",
    )
    plain, full = (set(unfolded(whole(one, []))) for one in (HEADER, header))
    assert plain < full
    assert full - plain == {
        "DESCRIPTION:All\\; of it\\nhere",
        "X-WR-CALDESC:All\\; of it\\nhere",
        "LAST-MODIFIED:20261101T080000Z",
        "URL:https://plane.example.com/acme/projects/prop/issues",
        "COLOR:tomato",
        "X-APPLE-CALENDAR-COLOR:#FF6347",
    }


def test_an_empty_feed_is_a_calendar_that_shows_nothing() -> None:
    octets = whole(HEADER, [])
    (only,) = parsed(octets).subcomponents
    assert (only.name, only["TZID"]) == ("VTIMEZONE", "Etc/UTC")
    theirs = IcsCalendarStream.calendar_from_ics(octets.decode())
    assert not theirs.events
    assert not theirs.todos


def test_nothing_forbidden_is_ever_written() -> None:
    everything = Component(
        kind="VTODO",
        uid="u",
        summary="s",
        first=date(2026, 11, 1),
        last=date(2026, 11, 2),
        status="COMPLETED",
        created=CREATED,
        revised=CREATED,
        description="d",
        categories=("c",),
        color="red",
        priority=1,
        url="https://x",
        completed=CREATED,
        related_to="p",
        alarms=(timedelta(),),
    )
    event = replace(everything, kind="VEVENT", status="CANCELLED", completed=None, related_to=None)
    written = whole(HEADER, [write(everything), write(event)])
    names = {re.split("[:;]", line, maxsplit=1)[0] for line in unfolded(written)}
    assert names - PROPERTIES == {"COLOR", "RELATED-TO"}
    parsed(written)


def test_the_same_input_gives_the_same_bytes() -> None:
    def made() -> bytes:
        items = [issue(n, labels=("l-docs", "l-bug"), assignees=("u-bob", "u-anna")) for n in range(1, 30)]
        cycles = [period(f"S{n}", id=f"c{n}", issues=frozenset(by_id(items))) for n in range(9)]
        return body(calendar(Feed(everything=True), material(snapshot(*items, periods=cycles))))

    assert made() == made()
