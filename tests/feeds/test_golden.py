"""Whole feeds, byte for byte. A person reads each file against docs/mapping.md before it is accepted."""

import pytest
from golden_feeds import GOLDEN
from ical.calendar_stream import IcsCalendarStream
from making import parsed
from regolden import FOLDER


@pytest.mark.parametrize("name", GOLDEN)
def test_a_feed_is_the_golden_file_byte_for_byte(name: str) -> None:
    """When the change is meant: `.venv/bin/python tests/feeds/regolden.py`, and read what it changed."""
    assert GOLDEN[name]() == (FOLDER / f"{name}.ics").read_bytes()


def test_every_golden_file_belongs_to_a_feed() -> None:
    assert {file.stem for file in FOLDER.glob("*.ics")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_two_independent_parsers_read_the_same_items(name: str) -> None:
    octets = (FOLDER / f"{name}.ics").read_bytes()
    ours = parsed(octets)
    theirs = IcsCalendarStream.calendar_from_ics(octets.decode())
    assert [str(event["UID"]) for event in ours.events] == [event.uid for event in theirs.events]
    assert [str(todo["UID"]) for todo in ours.todos] == [todo.uid for todo in theirs.todos]
    for mine, other in zip(ours.events, theirs.events, strict=True):
        assert (mine["SUMMARY"], mine.start, mine.end) == (other.summary, other.dtstart, other.dtend)
        assert mine.get("DESCRIPTION", "") == (other.description or "")
