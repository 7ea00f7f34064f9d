"""What we write is read back as it was, and what others write is parsed as RFC 5545 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from icsfeed.ics.read import MAX_DEPTH, ContentLine, read, split_texts, unescape
from icsfeed.ics.write import MAX_LINE_OCTETS, escape, fold
from icsfeed.text import multi_line

TEXT = st.text().map(multi_line)


def _line(text: str) -> ContentLine:
    """The one property of a component, read."""
    (part,) = read(f"BEGIN:X\r\n{text}\r\nEND:X\r\n").components
    (line,) = part.lines
    return line


@given(TEXT)
def test_a_text_comes_back_through_escaping_folding_and_reading(text: str) -> None:
    line = _line(fold(f"SUMMARY:{escape(text)}"))
    assert (line.name, unescape(line.value)) == ("SUMMARY", text)


@given(TEXT)
def test_no_folded_line_is_longer_than_75_octets_and_none_is_cut_inside_a_character(text: str) -> None:
    pieces = fold(f"DESCRIPTION:{escape(text)}").encode().split(b"\r\n")
    assert all(len(piece) <= MAX_LINE_OCTETS for piece in pieces)
    assert all(piece.decode() for piece in pieces)


@given(st.lists(TEXT.filter(bool), max_size=5))
def test_a_list_of_texts_comes_back(names: list[str]) -> None:
    assert split_texts(",".join(escape(name) for name in names)) == names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (r"a\, b\; c", "a, b; c"),
        (r"one\ntwo\Nthree", "one\ntwo\nthree"),
        (r"C:\\New", r"C:\New"),
        (r"a\\\, b", r"a\, b"),
        (r"un\known", "unknown"),
        (r"\X", "X"),
        ("ends with \\", "ends with \\"),
        ("not escaped, at all; so", "not escaped, at all; so"),
    ],
)
def test_escapes_mean_what_rfc_5545_says(value: str, text: str) -> None:
    assert unescape(value) == text


@pytest.mark.parametrize(
    ("text", "name", "parameters", "value"),
    [
        ("DTSTART;VALUE=DATE:20261201", "DTSTART", {"VALUE": "DATE"}, "20261201"),
        ("dtstart;value=date:20261201", "DTSTART", {"VALUE": "date"}, "20261201"),
        ('X-A;P="a:b;c,d";Q=e:v:w', "X-A", {"P": "a:b;c,d", "Q": "e"}, "v:w"),
        ('X-A;P="a","b":v', "X-A", {"P": 'a","b'}, "v"),
        ("X-A;P=XX:v", "X-A", {"P": "XX"}, "v"),
        ("URL:https://plane.example.com:8443/a;b", "URL", {}, "https://plane.example.com:8443/a;b"),
        ("SUMMARY:", "SUMMARY", {}, ""),
        ("SUMMARY:folded\r\n  here\r\n\t too", "SUMMARY", {}, "folded here too"),
        ("SUMMARY:bare\n  line breaks", "SUMMARY", {}, "bare line breaks"),
    ],
)
def test_a_line_is_its_name_its_parameters_and_its_value(
    text: str, name: str, parameters: dict[str, str], value: str
) -> None:
    line = _line(text)
    assert (line.name, dict(line.parameters), line.value) == (name, parameters, value)


@pytest.mark.parametrize("text", ["", "no colon", ":no name", "X-A;P=:;", "ü:x", ";P=1:x", "X-A;P=1"])
def test_what_is_not_a_content_line_is_numbered_and_left_out(text: str) -> None:
    parsed = read(f"BEGIN:X\r\n{text}\r\nA:1\r\nEND:X\r\n")
    is_line = text == "X-A;P=:;"
    assert [line.name for line in parsed.components[0].lines] == ["X-A"] * is_line + ["A"]
    assert parsed.malformed == ([] if is_line or not text else [2])
    assert not parsed.unpaired


def test_lines_are_numbered_as_an_editor_does() -> None:
    (part,) = read("\r\nBEGIN:X\r\nA:1\r\n  2\nB:3\nC:4\r\nEND:X").components
    assert [(line.number, line.value) for line in part.lines] == [(3, "1 2"), (5, "3"), (6, "4")]
    assert read("A:1\r\nBEGIN:X\r\nEND:X\r\n").malformed == [1]


def test_components_hold_their_own_lines_and_each_other() -> None:
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:vevent\r\nUID:1\r\nUID:2\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n"
        "END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    (calendar,) = read(text).components
    (event,) = calendar.parts
    assert (event.name, event.value("UID"), event.value("SUMMARY")) == ("VEVENT", "1", "")
    assert list(event.parts[0].texts()) == ["BEGIN:VALARM", "ACTION:DISPLAY", "END:VALARM"]
    assert list(event.texts())[-2:] == ["END:VALARM", "END:VEVENT"]
    assert [part.name for part in calendar.walk()] == ["VCALENDAR", "VEVENT", "VALARM"]
    assert all(part.is_closed for part in calendar.walk())


@pytest.mark.parametrize(
    ("text", "unpaired", "is_cut_off"),
    [
        ("BEGIN:A\r\n", [], True),
        ("END:A\r\n", [1], False),
        ("BEGIN:A\r\nEND:B\r\n", [2], True),
        ("BEGIN:A\r\nBEGIN:B\r\nEND:A\r\nEND:B\r\nEND:A", [3], False),
        ("BEGIN:A\r\n" * 50_000, [*range(MAX_DEPTH + 1, 50_001)], True),
    ],
)
def test_components_that_do_not_pair_are_reported(text: str, unpaired: list[int], is_cut_off: bool) -> None:
    parsed = read(text)
    assert (parsed.unpaired, parsed.is_cut_off) == (unpaired, is_cut_off)


@given(st.text() | st.text('BEGIN:END;="\r\n ,x\\é', max_size=400))
def test_any_text_at_all_is_read(text: str) -> None:
    parsed = read(text)
    parts = [part for outermost in parsed.components for part in outermost.walk()]
    assert parsed.is_cut_off is any(not part.is_closed for part in parts)


@given(st.dictionaries(st.sampled_from(["SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT"]), TEXT, min_size=1))
def test_another_parser_reads_the_same_lines(texts: dict[str, str]) -> None:
    lines = [fold(f"{name}:{escape(text)}") for name, text in texts.items()]
    body = "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT", ""])
    (event,) = read(body).components
    theirs = Calendar.from_ical(body)
    # icalendar takes a literal backslash before an N for a line break: compare what it gets right.
    for name, text in texts.items():
        if "\\" not in text:
            assert unescape(event.value(name)) == str(theirs[name]) == text
