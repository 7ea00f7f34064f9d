"""What a calendar file shows, right or wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.doctor.body import read_body

GOOD = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n"
    b"BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nEND:VTIMEZONE\r\n"
    b"BEGIN:VEVENT\r\nUID:a\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;TZID=Europe/Berlin:20260102T100000\r\n"
    b"SUMMARY:One;two\r\n : three\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM\r\nEND:VEVENT\r\n"
    b"BEGIN:VTODO\r\nUID:b\r\nRECURRENCE-ID:20260101\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
)


def test_a_good_file_is_read_whole() -> None:
    body = read_body(GOOD)
    assert (body.is_calendar, body.is_utf8, body.is_whole, body.has_crlf) == (True, True, True, True)
    assert (body.malformed, body.overlong) == ((), ())
    assert {"VERSION", "PRODID", "REFRESH-INTERVAL"} <= body.values.keys()
    assert body.zones == body.used_zones == frozenset({"Europe/Berlin"})
    event, task = body.items
    assert (event.kind, event.key, event.alarms) == ("VEVENT", ("a", ""), 1)
    assert event.value("SUMMARY") == "One;two: three"
    assert event.values["DTSTART"] == ";TZID=Europe/Berlin:20260102T100000"
    assert task.key == ("b", "20260101")
    assert body.of("VTODO") == (task,)


def test_volatile_properties_are_not_content() -> None:
    one = read_body(GOOD).items[0]
    other = read_body(GOOD.replace(b"DTSTAMP:2026", b"DTSTAMP:2027").replace(b"UID:a", b"UID:z")).items[0]
    assert one.content == other.content
    assert one.content != read_body(GOOD.replace(b"three", b"four")).items[0].content


@pytest.mark.parametrize(
    ("wrong", "field", "value"),
    [
        pytest.param(GOOD.replace(b"\r\n", b"\n"), "has_crlf", False, id="lone line feeds"),
        pytest.param(GOOD[:-20], "is_whole", False, id="cut off"),
        pytest.param(GOOD.replace(b"One", b"\xff"), "is_utf8", False, id="Latin-1"),
        pytest.param(GOOD.replace(b"One", b"x" * 90), "overlong", (12,), id="not folded"),
        pytest.param(GOOD.replace(b"UID:a", b"UID a"), "malformed", (9,), id="no colon"),
        pytest.param(GOOD.replace(b"UID:a", b"UID:a\x01"), "malformed", (9,), id="control character"),
        pytest.param(GOOD.replace(b"UID:a", b"U_D:a"), "malformed", (9,), id="not a name"),
        pytest.param(GOOD.replace(b"END:VALARM", b"END:VEVENT"), "malformed", (16, 17, 22), id="wrong END"),
        pytest.param(b"X:1\r\n" + GOOD, "malformed", (1,), id="before the beginning"),
        pytest.param(GOOD + b"END:VCALENDAR\r\n", "malformed", (23,), id="one END too many"),
        pytest.param(b"<html>", "is_calendar", False, id="a page"),
        pytest.param(b"", "is_whole", False, id="nothing"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, "is_calendar", True, id="a byte order mark"),
        pytest.param(b"\r\n" + GOOD, "malformed", (), id="an empty line"),
    ],
)
def test_each_mistake_is_found(wrong: bytes, field: str, value: object) -> None:
    assert getattr(read_body(wrong), field) == value


@given(st.binary(max_size=400) | st.text('BEGIN:VCALENDAR;="\r\n ,x\\é', max_size=400).map(str.encode))
def test_any_bytes_can_be_read(data: bytes) -> None:
    assert isinstance(read_body(data).is_whole, bool)
