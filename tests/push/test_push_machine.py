"""Random feeds, edits by people and faults: a push without faults afterwards repairs everything."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from dav_memory import (
    URL,
    Fault,
    MemoryDav,
    answering,
    losing_the_response,
    not_answering,
    precondition,
    refusing_the_connection,
)
from dav_world import person_event
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from push_world import Pushing, no_sleep, pushing_to, target

from icsfeed.config.schema import Feed
from icsfeed.push.object import read_object

T = TypeVar("T")

FAULTS: list[Fault] = [
    *(losing_the_response, not_answering, refusing_the_connection),
    *(answering(code) for code in (401, 403, 404, 409, 412, 413, 423, 429, 500, 503, 507)),
    *(answering(code, precondition("no-uid-conflict")) for code in (403, 409, 412)),
    *(answering(207, b"<broken"), answering(301, Location="https://other.example.com/")),
]
ISSUES = st.integers(0, 8)
ALARM = b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Mine\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"


class Collection(RuleBasedStateMachine):
    """One calendar that a feed is pushed to, and that people write to as they like.

    `foreign`: what people put there, which must stay. `added`: alarms on events of ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.foreign: dict[str, bytes] = {}
        self.it: Pushing

    @initialize(unconditional=st.booleans(), absent=st.booleans())
    def start(self, unconditional: bool, absent: bool) -> None:
        self.dav = MemoryDav(unconditional=unconditional, names_absent=absent)
        to = target(URL, username="alice", password="wonderland")
        small = Feed(project="PROP", alarm=())
        self.opening = pushing_to(
            to, Path(self.folder.name), transport=self.dav.transport, feed=small, sleep=no_sleep
        )
        self.it = self.do(self.opening.__aenter__())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.settle()
        self.do(self.opening.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()

    @rule(number=ISSUES, name=st.text(max_size=20))
    def an_issue_is_renamed(self, number: int, name: str) -> None:
        self.change(number, name=name)

    @rule(number=ISSUES, day=st.sampled_from(["2026-12-01", "2027-01-31"]))
    def an_issue_gets_another_day(self, number: int, day: str) -> None:
        self.change(number, target_date=day)

    @rule(number=ISSUES)
    def an_issue_loses_its_day(self, number: int) -> None:
        self.change(number, target_date=None)

    @rule()
    def an_issue_is_made(self) -> None:
        issue = {"name": "New", "target_date": "2027-02-01"}
        self.it.world.data.create_issue(self.project(), issue)

    @rule(number=ISSUES)
    def an_issue_is_deleted(self, number: int) -> None:
        rows = self.it.issues("PROP")
        if len(rows) > 2:
            self.it.world.data.delete_issue(rows[number % len(rows)]["id"])

    @rule(number=st.integers(0, 3))
    def a_person_puts_an_event_there(self, number: int) -> None:
        self.put_foreign(f"party-{number}.ics", person_event(f"party-{number}", "Party").encode())

    @rule()
    def a_person_copies_one_of_ours_into_an_event_of_theirs(self) -> None:
        for name, data in list(self.dav.objects.items())[:1]:
            self.put_foreign(f"copy-of-{name}", data.replace(b"@calplanebot", b"@copy"))

    @rule(number=ISSUES, edit=st.sampled_from([b"SUMMARY:Changed", b"STATUS:TENTATIVE", b"LOCATION:Here"]))
    def a_person_edits_one_of_ours(self, number: int, edit: bytes) -> None:
        name = self.ours(number)
        if name:
            lines = self.dav.objects[name].split(b"\r\n")
            kept = [line for line in lines if not line.startswith(edit.partition(b":")[0])]
            kept.insert(kept.index(b"END:VEVENT"), edit)
            self.dav.objects[name] = b"\r\n".join(kept)

    @rule(number=ISSUES)
    def a_person_adds_an_alarm_to_one_of_ours(self, number: int) -> None:
        name = self.ours(number)
        if name and ALARM not in self.dav.objects[name]:
            self.dav.objects[name] = self.dav.objects[name].replace(b"END:VEVENT", ALARM + b"END:VEVENT")

    @rule(number=ISSUES)
    def a_person_deletes_one_of_ours(self, number: int) -> None:
        name = self.ours(number)
        if name:
            del self.dav.objects[name]

    @rule(number=ISSUES)
    def a_person_moves_one_of_ours(self, number: int) -> None:
        name = self.ours(number)
        if name and f"moved-{name}" not in self.dav.objects:
            self.dav.objects[f"moved-{name}"] = self.dav.objects.pop(name)

    @rule(number=ISSUES)
    def a_person_doubles_one_of_ours(self, number: int) -> None:
        name = self.ours(number)
        if name:
            self.dav.objects[f"again-{name}"] = self.dav.objects[name]

    @rule(
        fault=st.sampled_from(FAULTS),
        method=st.sampled_from(["PUT", "DELETE", "REPORT", "PROPFIND", ""]),
        times=st.integers(1, 9),
        skip=st.integers(0, 9),
    )
    def a_push_meets_trouble(self, fault: Fault, method: str, times: int, skip: int) -> None:
        self.dav.add_fault(method, fault, times, skip)
        self.do(self.it.push(force=True))
        self.dav.clear_faults()
        self.check_foreign()

    @rule()
    def what_was_remembered_is_lost(self) -> None:
        self.do(self.it.forget())

    @rule()
    def settle(self) -> None:
        """A push without faults repairs everything, and the next one does nothing."""
        alarms = {name for name, data in self.dav.objects.items() if ALARM in data}
        report = self.do(self.it.push(force=True))
        assert report.is_good, report.as_json()
        assert (
            self.do(self.it.problems({name: data.decode() for name, data in self.dav.objects.items()})) == []
        )
        self.check_foreign()
        assert all(ALARM in self.dav.objects[name] for name in alarms & self.dav.objects.keys())
        again = self.do(self.it.push())
        assert (again.requests, again.is_good) == (1, True)

    def check_foreign(self) -> None:
        found = {name: data for name, data in self.dav.objects.items() if name in self.foreign}
        assert found == self.foreign

    def put_foreign(self, name: str, data: bytes) -> None:
        self.dav.objects[name] = self.foreign[name] = data

    def ours(self, number: int) -> str | None:
        """Draw one of our objects."""
        names = sorted(name for name, data in self.dav.objects.items() if read_object(data).uid)
        return names[number % len(names)] if names else None

    def project(self) -> str:
        projects = self.it.world.data.projects.items()
        return next(id_ for id_, project in projects if project.row["identifier"] == "PROP")

    def change(self, number: int, **changes: Any) -> None:
        rows = self.it.issues("PROP")
        if len(rows) > 2:
            self.it.world.data.patch_issue(rows[number % len(rows)]["id"], changes)


TestCollection = Collection.TestCase
TestCollection.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
