"""Objects are written with our marks and parsed however a server alters them; marks say whose they are."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import DUE, component, components, config, issue, parsed
from msgspec.structs import replace

from icsfeed.config.schema import Feed, Secret
from icsfeed.feeds.mapping import is_our_uid, probe_uid
from icsfeed.ics.component import Component
from icsfeed.push.object import (
    Claim,
    ParsedObject,
    feed_in_mark,
    hash_of,
    owner_mark,
    read_object,
    write_object,
)

OWNER = "team"
PLAIN = component(issue())
ALARMED = replace(PLAIN, alarms=(timedelta(hours=-15), timedelta(hours=9)))
TODO = component(issue(), component="vtodo")
FEEDS = {"all": Feed(everything=True, public=True)}
PERSON_ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Mine", "TRIGGER:-PT5M", "END:VALARM")


def _edited(made: Component, old: str, new: str) -> bytes:
    text = write_object(made, OWNER).decode()
    assert old in text
    return text.replace(old, new).encode()


def _added(made: Component, *lines: str) -> bytes:
    """Return the object with lines added at the end, as a calendar app would."""
    end = f"END:{made.kind}"
    return _edited(made, end, "\r\n".join([*lines, end]))


@pytest.mark.parametrize("made", [PLAIN, ALARMED, TODO, *components(issue(start=DUE), dates="span")])
def test_an_object_is_one_component_without_the_properties_of_a_feed(made: Component) -> None:
    calendar = parsed(write_object(made, OWNER))
    assert set(calendar) == {"VERSION", "PRODID", "CALSCALE"}
    (one,) = calendar.subcomponents
    assert (one.name, one["UID"]) == (made.kind, made.uid)
    assert not {"METHOD", "ORGANIZER", "ATTENDEE"} & set(one)
    assert {"DTSTAMP", "X-ICSFEED-OWNER", "X-ICSFEED-HASH"} <= set(one)
    assert len(one.walk("VALARM")) == len(made.alarms)


@pytest.mark.parametrize("made", [PLAIN, ALARMED, TODO])
def test_an_object_has_the_owner_and_the_hash(made: Component) -> None:
    stored = read_object(write_object(made, OWNER))
    assert (stored.uid, stored.owner, stored.hash) == (made.uid, OWNER, hash_of(made))
    assert Claim(OWNER).owns(stored)
    assert not Claim("other").owns(stored)
    assert (stored.extras, stored.alarms) == ((), ())


def test_an_object_names_its_project_by_the_address_in_it() -> None:
    assert read_object(write_object(PLAIN, OWNER)).project == "prop"
    assert read_object(write_object(replace(PLAIN, url=None), OWNER)).project == ""


def test_the_hash_ignores_times_of_revision() -> None:
    later = replace(PLAIN, revised=PLAIN.revised + timedelta(days=1))
    assert hash_of(later) == hash_of(PLAIN)
    for other in (
        replace(PLAIN, summary="x"),
        replace(PLAIN, alarms=(timedelta(0),)),
        replace(PLAIN, color="red"),
    ):
        assert hash_of(other) != hash_of(PLAIN)


def test_the_hash_is_the_same_in_every_version() -> None:
    """A different hash would rewrite every object of every collection."""
    assert hash_of(PLAIN) == "fd1f5972f2354b29d0a286083a7d5ec40f8d051cf0e867f2865f280ed105e147"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SUMMARY:[1] Issue 1", "SUMMARY:Moved"),
        ("DTSTART;VALUE=DATE:20261201", "DTSTART:20261201T090000Z"),
        ("DTEND;VALUE=DATE:20261202", "DTEND;VALUE=DATE:20261203"),
        ("STATUS:CONFIRMED", "STATUS:TENTATIVE"),
        ("TRANSP:TRANSPARENT", "TRANSP:OPAQUE"),
        ("END:VEVENT", "RRULE:FREQ=DAILY\r\nEND:VEVENT"),
        ("END:VEVENT", "LOCATION:Here\r\nEND:VEVENT"),
        ("END:VEVENT", "PRIORITY:2\r\nEND:VEVENT"),
        ("END:VEVENT", "CATEGORIES:Mine\r\nEND:VEVENT"),
        ("END:VCALENDAR", f"BEGIN:VEVENT\r\nUID:{PLAIN.uid}\r\nEND:VEVENT\r\nEND:VCALENDAR"),
    ],
)
def test_the_facts_differ_if_people_see_a_difference(old: str, new: str) -> None:
    changed = read_object(_edited(PLAIN, old, new))
    assert changed.facts != read_object(write_object(PLAIN, OWNER)).facts
    assert changed.uid == PLAIN.uid


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\r\n", "\n"),
        ("PRODID:-//icsfeed//icsfeed//EN", "PRODID:-//server//EN\r\nX-WR-CALNAME:x"),
        ("END:VEVENT", "CLASS:PUBLIC\r\nPRIORITY:0\r\nEND:VEVENT"),
        ("STATUS:CONFIRMED", "STATUS:confirmed"),
        ("SEQUENCE:", "SEQUENCE:1"),
        ("END:VEVENT", "\r\n".join([*PERSON_ALARM, "END:VEVENT"])),
        ("END:VEVENT", "X-THEIRS:1\r\nEND:VEVENT"),
    ],
)
def test_the_facts_ignore_spelling_and_additions(old: str, new: str) -> None:
    assert read_object(_edited(PLAIN, old, new)).facts == read_object(write_object(PLAIN, OWNER)).facts


def test_categories_are_words_between_commas_however_a_server_splits_them() -> None:
    made = replace(PLAIN, categories=("Law, tax", "Bug"))
    same = read_object(write_object(made, OWNER)).facts
    for spelled in (r"CATEGORIES:Bug,Law,tax", "CATEGORIES:tax,Law\r\nCATEGORIES:Bug"):
        assert read_object(_edited(made, r"CATEGORIES:Law\, tax,Bug", spelled)).facts == same


def test_a_backslash_read_as_a_line_break_is_no_change() -> None:
    made = replace(PLAIN, description=r"in C:\New folder")
    same = read_object(write_object(made, OWNER)).facts
    assert read_object(_edited(made, r"C:\\New", r"C:\new")).facts == same
    assert read_object(_edited(made, r"C:\\New", r"C:\\Old")).facts != same


def test_what_others_added_stays_on_an_update() -> None:
    old = read_object(_added(ALARMED, "X-THEIRS;P=1:a\\, b", "X-LONG:" + "ü" * 100, *PERSON_ALARM))
    assert old.alarms == (PERSON_ALARM,)
    made = write_object(replace(ALARMED, summary="New"), OWNER, old)
    (event,) = parsed(made).walk("VEVENT")
    assert (event["SUMMARY"], event["X-LONG"]) == ("New", "ü" * 100)
    assert b"X-THEIRS;P=1:a\\, b\r\n" in made
    assert sorted(str(alarm["DESCRIPTION"]) for alarm in event.walk("VALARM")) == ["Mine", "New", "New"]
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    again = read_object(made)
    assert (again.extras, again.alarms) == (old.extras, old.alarms)
    other = (*PERSON_ALARM[:-1], "X-OTHER:1", PERSON_ALARM[-1])
    two = read_object(_added(PLAIN, *PERSON_ALARM, *other))
    assert read_object(write_object(PLAIN, OWNER, two)).alarms == (PERSON_ALARM, other)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\r"])
def test_a_line_of_others_stays_one_line_whatever_is_in_it(separator: str) -> None:
    old = read_object(_added(PLAIN, f"X-NOTE:a{separator}BEGIN:VALARM"))
    made = write_object(PLAIN, OWNER, old)
    assert b"X-NOTE:a BEGIN:VALARM\r\n" in made
    assert read_object(made).extras == ("X-NOTE:a BEGIN:VALARM",)


def test_our_alarms_follow_the_configuration_and_are_not_doubled() -> None:
    old = read_object(write_object(ALARMED, OWNER))
    assert b"VALARM" not in write_object(PLAIN, OWNER, old)
    unmarked = read_object(_edited(ALARMED, f"X-ICSFEED-OWNER:{OWNER}\r\nEND:VALARM", "END:VALARM"))
    assert len(unmarked.alarms) == 2
    assert write_object(ALARMED, OWNER, unmarked) == _after(ALARMED, unmarked)


def test_a_text_that_looks_like_an_alarm_is_a_text() -> None:
    made = replace(PLAIN, summary="x" * 61 + "END:VALARM", description="BEGIN:VALARM\nEND:VALARM\nEND:VEVENT")
    stored = read_object(write_object(made, OWNER))
    assert (stored.uid, stored.hash, stored.alarms) == (made.uid, hash_of(made), ())


@pytest.mark.parametrize(
    ("data", "uids"),
    [
        (b"BEGIN:VCALENDAR\r\n", ()),
        (_edited(PLAIN, PLAIN.uid, "someone@example.com"), ("someone@example.com",)),
        (_edited(PLAIN, PLAIN.uid, r"a\,b@example.com"), ("a,b@example.com",)),
        (
            _edited(PLAIN, "END:VCALENDAR", "BEGIN:VEVENT\r\nUID:2\r\nEND:VEVENT\r\nEND:VCALENDAR"),
            (PLAIN.uid, "2"),
        ),
    ],
)
def test_a_foreign_object_has_only_uids(data: bytes, uids: tuple[str, ...]) -> None:
    assert read_object(data) == ParsedObject(uids)
    assert read_object(data).uid == ""


@pytest.mark.parametrize("data", [b"(null)", b"", b"\xff\xfe\x00"])
def test_an_object_without_a_calendar_in_it_is_blank(data: bytes) -> None:
    assert read_object(data) == ParsedObject(blank=True)


def test_a_time_zone_in_an_object_is_not_a_component_of_its_own() -> None:
    zone = "BEGIN:VTIMEZONE\r\nTZID:X\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT"
    assert read_object(_edited(PLAIN, "BEGIN:VEVENT", zone)).uid == PLAIN.uid


@pytest.mark.parametrize(
    ("uid", "ours"),
    [
        ("plane-issue-1@calplanebot", True),
        ("plane-issue-1-start@calplanebot", True),
        ("plane-cycle-1@calplanebot", True),
        ("plane-module-1@calplanebot", True),
        ("icsfeed-overdue-team@calplanebot", True),
        (probe_uid("1"), True),
        ("plane-issue-@calplanebot", False),
        ("plane-issue-1@example.com", False),
        ("plane-issue-1@calplanebot.example.com", False),
        ("xplane-issue-1@calplanebot", False),
        ("plane-issue-a@b@calplanebot", False),
        ("", False),
    ],
)
def test_our_uids_are_recognised(uid: str, ours: bool) -> None:
    assert is_our_uid(uid) is ours


@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_any_texts_have_the_same_facts_when_read_back(
    summary: str, description: str, categories: list[str]
) -> None:
    made = replace(PLAIN, summary=summary, description=description, categories=tuple(categories))
    stored = read_object(write_object(made, OWNER))
    assert (stored.uid, stored.owner, stored.hash) == (made.uid, OWNER, hash_of(made))
    again = read_object(write_object(made, OWNER, stored))
    assert replace(again, revision="") == replace(stored, revision="")


@given(st.binary())
def test_any_bytes_can_be_parsed(data: bytes) -> None:
    assert not Claim(OWNER).owns(read_object(data))


def _after(made: Component, old: ParsedObject) -> bytes:
    return write_object(replace(made, least_sequence=old.sequence + 1), OWNER)


@pytest.mark.parametrize(
    ("held", "written"),
    [
        ("SEQUENCE:0", PLAIN.sequence),
        (f"SEQUENCE:{PLAIN.sequence}", PLAIN.sequence + 1),
        (f"SEQUENCE:{PLAIN.sequence + 7}", PLAIN.sequence + 8),
        ("SEQUENCE:2147483647", 2147483647),
        ("SEQUENCE:many", PLAIN.sequence),
        ("SEQUENCE:-3", PLAIN.sequence),
        ("X-NONE:1", PLAIN.sequence),
    ],
)
def test_an_update_never_lowers_the_stored_sequence(held: str, written: int) -> None:
    """SOGo raises it when a person invites somebody, and answers 409 to a lower one."""
    old = read_object(_edited(PLAIN, f"SEQUENCE:{PLAIN.sequence}", held))
    made = write_object(PLAIN, OWNER, old)
    assert f"SEQUENCE:{written}\r\n".encode() in made
    assert read_object(made).hash == hash_of(PLAIN)


def test_a_mark_names_the_feed_and_the_installation() -> None:
    one = owner_mark("all", replace(config(), feeds=FEEDS))
    other = owner_mark("all", replace(config(), feeds=FEEDS, secret=Secret("t" * 32)))
    assert feed_in_mark(one) == feed_in_mark(other) == "all"
    assert one == owner_mark("all", replace(config(), feeds=FEEDS))
    assert one != other


def test_without_a_secret_a_mark_names_the_workspace_of_plane() -> None:
    bare = replace(config(), feeds=FEEDS, secret=None)
    moved = {"acme": replace(bare.workspaces["acme"], url="https://other.example.com")}
    assert owner_mark("all", bare) == owner_mark("all", bare)
    assert owner_mark("all", bare) != owner_mark("all", replace(bare, workspaces=moved))
    assert "plane.example.com" not in owner_mark("all", bare)
