"""The filters of calendar-query, asked of objects that icsfeed writes."""

from datetime import UTC, date, datetime, timedelta
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.ics.component import Component
from icsfeed.ics.read import read
from icsfeed.ics.write import CLOSING, OBJECT_OPENING, write
from icsfeed.web.dav.filters import WrittenComponent, in_span, read_filter, read_span
from icsfeed.web.dav.outcomes import DavError

NOW, DAY = datetime(2026, 11, 1, 8, tzinfo=UTC), date(2026, 11, 23)
BERLIN, HAWAII = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Honolulu")
EVENT = Component(
    kind="VEVENT",
    uid="a@b",
    summary="Grüße, Anna",
    first=DAY,
    last=DAY,
    status="CONFIRMED",
    created=NOW,
    revised=NOW,
    categories=("one", "two"),
    alarms=(timedelta(hours=-1),),
)
TASK = replace(EVENT, kind="VTODO", first=None, status="NEEDS-ACTION")


def data(component: Component) -> bytes:
    return OBJECT_OPENING + write(component) + CLOSING


def filter_of(inner: str, kind: str = "VEVENT") -> Element:
    calendar = f'<comp-filter name="VCALENDAR">{inner}</comp-filter>'
    text = f'<filter xmlns="urn:ietf:params:xml:ns:caldav">{calendar}</filter>'
    found: Element = fromstring(text.replace("KIND", kind))
    return found


def holds(inner: str, component: Component = EVENT, zone: ZoneInfo = BERLIN) -> bool:
    return read_filter(filter_of(inner, component.kind), zone).holds(write(component))


def asked(inner: str) -> str:
    return f'<comp-filter name="KIND">{inner}</comp-filter>'


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", True),
        (asked(""), True),
        ('<comp-filter name="VJOURNAL"/>', False),
        ('<comp-filter name="VJOURNAL"><is-not-defined/></comp-filter>', True),
        (asked("<is-not-defined/>"), False),
        ('<prop-filter name="VERSION"/>', True),
        ('<prop-filter name="METHOD"/>', False),
        (asked('<prop-filter name="SUMMARY"><text-match>GRÜSSE</text-match></prop-filter>'), False),
        (asked('<prop-filter name="summary"><text-match>, anna</text-match></prop-filter>'), True),
        (
            asked(
                '<prop-filter name="SUMMARY"><text-match collation="i;octet">anna</text-match></prop-filter>'
            ),
            False,
        ),
        (
            asked(
                '<prop-filter name="SUMMARY"><text-match negate-condition="yes">anna</text-match>'
                "</prop-filter>"
            ),
            False,
        ),
        (asked('<prop-filter name="LOCATION"/>'), False),
        (asked('<prop-filter name="LOCATION"><is-not-defined/></prop-filter>'), True),
        (asked('<prop-filter name="DTSTART"><param-filter name="VALUE"/></prop-filter>'), True),
        (
            asked(
                '<prop-filter name="DTSTART"><param-filter name="TZID"><is-not-defined/></param-filter>'
                "</prop-filter>"
            ),
            True,
        ),
        (
            asked(
                '<prop-filter name="DTSTART"><param-filter name="VALUE"><text-match>time</text-match>'
                "</param-filter></prop-filter>"
            ),
            False,
        ),
        (asked('<prop-filter name="DTSTART"><param-filter name="TZID"/></prop-filter>'), False),
        (asked('<prop-filter name="CREATED"><time-range start="20261101T080000Z"/></prop-filter>'), True),
        (asked('<prop-filter name="CREATED"><time-range end="20261101T080000Z"/></prop-filter>'), False),
        (
            asked('<prop-filter name="LAST-MODIFIED"><time-range start="20270101T000000Z"/></prop-filter>'),
            False,
        ),
        (asked('<comp-filter name="VALARM"/>'), True),
        (asked('<comp-filter name="VALARM"><is-not-defined/></comp-filter>'), False),
        (asked('<time-range start="20261122T230000Z" end="20261123T230000Z"/>'), True),
        (asked('<time-range start="20261123T230000Z"/>'), False),
        (asked('<time-range end="20261122T230000Z"/>'), False),
        (asked('<time-range start="00010101T000000Z" end="99991231T235959Z"/>'), True),
    ],
)
def test_filters(inner: str, expected: bool) -> None:
    assert holds(inner) is expected


def test_days_begin_at_the_midnight_of_the_zone() -> None:
    last_hour = asked('<time-range start="20261123T230000Z" end="20261124T000000Z"/>')
    assert not holds(last_hour, zone=BERLIN)
    assert holds(last_hour, zone=HAWAII)


@pytest.mark.parametrize(
    ("task", "inside"),
    [
        (TASK, True),
        (replace(TASK, first=date(2026, 11, 1)), True),
        (replace(TASK, last=date(2026, 11, 22)), False),
        (replace(TASK, last=date(2026, 11, 24)), False),
        (replace(TASK, last=None), True),
        (replace(TASK, last=None, status="COMPLETED", completed=NOW), False),
        (replace(TASK, last=None, status="COMPLETED", completed=NOW + timedelta(days=30)), True),
    ],
)
def test_tasks_on_a_day(task: Component, inside: bool) -> None:
    assert holds(asked('<time-range start="20261122T230000Z" end="20261123T230000Z"/>'), task) is inside


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(0, 9), st.integers(-9, 9), st.integers(1, 9))
def test_a_range_overlaps_exactly_the_days_of_an_event(day: date, length: int, off: int, days: int) -> None:
    """Also read quickly, from the bytes: in the zone UTC, whole days."""
    event = replace(EVENT, first=day, last=day + timedelta(days=length))
    start = day + timedelta(days=off)
    end = start + timedelta(days=days)
    text = f'<time-range start="{start:%Y%m%d}T000000Z" end="{end:%Y%m%d}T000000Z"/>'
    wanted = read_filter(filter_of(asked(text)), ZoneInfo("UTC"))
    expected = start <= day + timedelta(days=length) and end > day
    assert wanted.holds(write(event)) is expected


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        (asked('<time-range start="20260101"/>'), "valid-filter"),
        (asked('<time-range start="20261301T000000Z"/>'), "valid-filter"),
        (asked('<time-range start="20260101T000000"/>'), "valid-filter"),
        (asked("<time-range/>"), "valid-filter"),
        (asked('<time-range start="20260102T000000Z" end="20260101T000000Z"/>'), "valid-filter"),
        ("<comp-filter/>", "valid-filter"),
        (asked("<is-not-defined/><prop-filter name='X'/>"), "valid-filter"),
        (
            '<comp-filter name="VALARM"><time-range start="20260101T000000Z"/></comp-filter>',
            "supported-filter",
        ),
        (
            asked('<prop-filter name="SUMMARY"><time-range start="20260101T000000Z"/></prop-filter>'),
            "supported-filter",
        ),
        (asked("<other/>"), "supported-filter"),
        (asked("<prop-filter name='X'/>" * 200), "supported-filter"),
        (
            asked("<prop-filter name='X'><text-match collation='i;x'>a</text-match></prop-filter>"),
            "supported-collation",
        ),
    ],
)
def test_filters_that_are_refused(inner: str, condition: str) -> None:
    with pytest.raises(DavError) as caught:
        read_filter(filter_of(inner), BERLIN)
    assert caught.value.status == 403
    assert caught.value.condition.endswith(f"}}{condition}")


def test_a_filter_is_one_for_a_calendar() -> None:
    for root in (None, Element("x")):
        with pytest.raises(DavError):
            read_filter(root, BERLIN)


TEXTS = st.text(st.sampled_from('aÄß,;:\\\n" x漢👍'), max_size=120)


@given(TEXTS, TEXTS, st.booleans(), st.sampled_from(["VEVENT", "VTODO"]))
def test_what_is_read_of_a_component_is_what_a_whole_read_gives(
    summary: str, description: str, alarm: bool, kind: str
) -> None:
    component = replace(
        EVENT if kind == "VEVENT" else TASK,
        summary=summary,
        description=description,
        alarms=EVENT.alarms if alarm else (),
        url="https://plane.example.com/?" + "x" * 100,
    )
    octets = write(component)
    quick, (whole,) = WrittenComponent(octets), read(octets.decode()).components
    assert quick.name == whole.name
    assert quick.parts == whole.parts
    for name in {
        line.name for line in (*whole.lines, *(line for part in whole.parts for line in part.lines))
    }:
        assert quick.value(name) == whole.value(name)
        assert [line.text for line in quick.named(name)] == [line.text for line in whole.named(name)]
    assert quick.value("X.*") == ""


@pytest.mark.parametrize(
    ("name", "inner", "expected"),
    [("VCALENDAR", "<is-not-defined/>", False), ("VEVENT", "<is-not-defined/>", True), ("VEVENT", "", False)],
)
def test_an_object_is_a_calendar_and_nothing_else(name: str, inner: str, expected: bool) -> None:
    asked = f'<comp-filter name="{name}">{inner}</comp-filter>'
    text = f'<filter xmlns="urn:ietf:params:xml:ns:caldav">{asked}</filter>'
    assert read_filter(fromstring(text), BERLIN).holds(write(EVENT)) is expected


def test_a_line_that_is_none_is_left_out() -> None:
    assert WrittenComponent(b"BEGIN:VEVENT\r\nX;a=b\r\nEND:VEVENT\r\n").named("X") == []


@pytest.mark.parametrize("value", ["", "2026", "20261399", "20260101T000000"])
def test_dates_that_cannot_be_read_are_in_no_range(value: str) -> None:
    span = read_span(Element("x", {"start": "20260101T000000Z"}), BERLIN)
    assert not in_span(lambda name: {"DTSTART": value}.get(name, ""), "VEVENT", span, BERLIN)
