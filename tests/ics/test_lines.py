"""Content lines come back as they were written, and what others write is taken apart as RFC 5545 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from icsfeed.ics.lines import FOLD, ContentLine, escape, fold, read_parts, split_texts, unescape
from icsfeed.text import multi_line

TEXT = st.text().map(multi_line)


def _line(text: str) -> ContentLine:
    """The one property of a component, read."""
    (part,) = read_parts(f"BEGIN:X\r\n{text}\r\nEND:X\r\n")
    (line,) = part.lines
    return line


@given(TEXT)
def test_a_text_comes_back_through_escaping_folding_and_reading(text: str) -> None:
    line = _line(fold(f"SUMMARY:{escape(text)}"))
    assert (line.name, unescape(line.value)) == ("SUMMARY", text)


@given(TEXT)
def test_no_folded_line_is_longer_than_75_octets_and_none_is_cut_inside_a_character(text: str) -> None:
    pieces = fold(f"DESCRIPTION:{escape(text)}").encode().split(b"\r\n")
    assert all(len(piece) <= FOLD for piece in pieces)
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
def test_what_is_no_content_line_is_passed_over(text: str) -> None:
    parts = read_parts(f"BEGIN:X\r\n{text}\r\nA:1\r\nEND:X\r\n")
    assert [line.name for line in parts[0].lines][-1] == "A"
    assert len(parts[0].lines) == 1 + (text == "X-A;P=:;")


def test_components_hold_their_own_lines_and_each_other() -> None:
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:vevent\r\nUID:1\r\nUID:2\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n"
        "END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    (calendar,) = read_parts(text)
    (event,) = calendar.parts
    assert (event.name, event.value("UID"), event.value("SUMMARY")) == ("VEVENT", "1", "")
    assert list(event.parts[0].texts()) == ["BEGIN:VALARM", "ACTION:DISPLAY", "END:VALARM"]
    assert list(event.texts())[-2:] == ["END:VALARM", "END:VEVENT"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BEGIN:A\r\n", "has no END"),
        ("END:A\r\n", "has no BEGIN"),
        ("BEGIN:A\r\nEND:B\r\n", "has no BEGIN"),
        ("BEGIN:A\r\n" * 50_000, "too deeply"),
    ],
)
def test_components_that_do_not_pair_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_parts(text)


@given(st.text())
def test_any_text_at_all_is_read_or_refused(text: str) -> None:
    try:
        parts = read_parts(text)
    except ValueError:
        return
    assert all(part.name or part.lines for part in parts) or parts


@given(st.dictionaries(st.sampled_from(["SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT"]), TEXT, min_size=1))
def test_another_parser_reads_the_same_lines(texts: dict[str, str]) -> None:
    lines = [fold(f"{name}:{escape(text)}") for name, text in texts.items()]
    body = "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT", ""])
    (event,) = read_parts(body)
    theirs = Calendar.from_ical(body)
    # icalendar takes a literal backslash before an N for a line break: compare what it gets right.
    for name, text in texts.items():
        if "\\" not in text:
            assert unescape(event.value(name)) == str(theirs[name]) == text
