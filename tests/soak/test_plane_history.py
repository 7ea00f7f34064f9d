"""The checker of histories finds what it is there for, and nothing else."""

from collections.abc import Mapping

import pytest
from app_world import TODAY
from fleet_world import Scale, plane_data
from plane.data import PlaneData
from plane_history import History, Reader, Violation, events_of

from icsfeed.demo.data import DemoProject

BOUND = 60.0


class Case:
    """A project whose answers are made by hand. `past` has the bodies of its states."""

    def __init__(self) -> None:
        self.data: PlaneData = plane_data(Scale(1, 1), lambda: self.data.clock())
        [self.project] = self.data.projects.values()
        self.history = History(self.project)
        self.past: list[bytes] = []
        self.reader = Reader("/feed", self.history, BOUND)
        self.note(0.0)

    def note(self, now: float) -> None:
        self.history.note(now)
        self.past.append(body_of(self.project, len(self.past)))

    def change(self, now: float) -> None:
        issue = next(iter(self.project.issues.values()))
        issue["name"] = f"Thing v{1000 + now:.0f}"
        self.note(now)

    def get(self, state: int, now: float) -> float:
        return self.reader.check(answer(self.past[state], f'"{state}"'), now, now)


def body_of(project: DemoProject, revision: int) -> bytes:
    events = [
        f"BEGIN:VEVENT\r\nUID:plane-issue-{row['id']}@calplanebot\r\nSUMMARY:{row['name']}\r\n"
        f"DTSTART;VALUE=DATE:{row['target_date'].replace('-', '')}\r\n"
        f"LAST-MODIFIED:2026112{revision}T000000Z\r\nSEQUENCE:{revision}\r\nEND:VEVENT\r\n"
        for row in project.shown()
    ]
    return "".join(("BEGIN:VCALENDAR\r\n", *events, "END:VCALENDAR\r\n")).encode()


def answer(body: bytes, etag: str, status: int = 200) -> Mapping[str, object]:
    return {"status": status, "headers": {"etag": etag}, "body": body}


@pytest.fixture
def case() -> Case:
    found = Case()
    found.change(100.0)
    found.change(200.0)
    return found


def test_an_answer_is_as_old_as_what_is_in_it(case: Case) -> None:
    assert case.get(0, 130.0) == 30.0
    assert case.get(1, 210.0) == 10.0
    assert case.get(2, 900.0) == 0.0


def test_one_that_is_older_than_its_bound_is_found(case: Case) -> None:
    with pytest.raises(Violation, match="70 s old"):
        case.get(0, 170.0)


def test_older_after_newer_is_found(case: Case) -> None:
    case.get(2, 210.0)
    with pytest.raises(Violation, match="ran backwards"):
        case.get(1, 215.0)


def test_older_after_newer_is_found_where_revisions_are_the_same(case: Case) -> None:
    for number, body in enumerate(case.past):
        case.past[number] = body.replace(f"2026112{number}".encode(), b"20261120").replace(
            f"SEQUENCE:{number}".encode(), b"SEQUENCE:0"
        )
    case.get(0, 90.0)
    with pytest.raises(Violation, match="without a revision"):
        case.get(2, 210.0)
    case.reader.events = {}
    case.get(2, 210.0)
    case.reader.events = {}
    with pytest.raises(Violation, match="older after newer, by 0 s"):
        case.get(1, 215.0)


def test_a_state_that_never_was_is_found(case: Case) -> None:
    mixed = case.past[0].replace(b"Thing v1\r", b"Thing v777\r")
    with pytest.raises(Violation, match="never like this"):
        case.reader.check(answer(mixed, '"x"'), 10.0, 10.0)


def test_an_empty_calendar_is_found(case: Case) -> None:
    with pytest.raises(Violation, match="empty"):
        case.reader.check(answer(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", '"x"'), 10.0, 10.0)


def test_an_item_that_is_there_twice_is_found(case: Case) -> None:
    head, event, rest = case.past[0].partition(b"BEGIN:VEVENT\r\n")
    one = rest.partition(b"END:VEVENT\r\n")[0]
    with pytest.raises(Violation, match="twice"):
        events_of(head + event + one + b"END:VEVENT\r\n" + event + rest)


def test_errors_and_foreign_confirmations_are_found(case: Case) -> None:
    with pytest.raises(Violation, match="status 503"):
        case.reader.check(answer(b"", "", 503), 10.0, 10.0)
    case.get(0, 10.0)
    with pytest.raises(Violation, match="another ETag"):
        case.reader.check(answer(b"", '"other"', 304), 11.0, 11.0)
    assert case.reader.check(answer(b"", '"0"', 304), 150.0, 150.0) == 50.0


def test_the_state_is_dated_by_the_day(case: Case) -> None:
    assert {item[2].year for item in case.history.past[0][1]} <= {TODAY.year, TODAY.year + 1}
