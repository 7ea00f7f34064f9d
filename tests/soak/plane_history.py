"""What Plane held and when, and what answers of a feed must be in the light of that.

Every answer is a past state of the project, whole; no older than its bound; and never an older one than the
same reader was shown before.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import Struct

from icsfeed.demo.data import DemoProject

Item = tuple[str, str, date]
"""UID, the version in the summary, DTSTART."""
State = frozenset[Item]


class Violation(AssertionError):
    """An answer that breaks a promise."""


class Event(Struct, frozen=True):
    """An item of a feed as it was sent."""

    item: Item
    modified: str
    sequence: int


class History:
    """The states of one project: what a feed of it shows, and since when."""

    def __init__(self, project: DemoProject) -> None:
        self.project = project
        self.past: list[tuple[float, State]] = []

    def note(self, now: float) -> None:
        """Record the state of Plane if it has changed."""
        if (state := state_of(self.project)) not in (last for _, last in self.past[-1:]):
            self.past.append((now, state))

    def periods(self, state: State, now: float) -> list[tuple[float, float]]:
        """Return from when to when the project was like this."""
        ends = [start for start, _ in self.past[1:]] + [now]
        return [(start, end) for (start, past), end in zip(self.past, ends, strict=True) if past == state]


class Reader:
    """One who polls a feed, and checks what it is sent."""

    def __init__(self, path: str, history: History, bound: float) -> None:
        self.path, self.history, self.bound = path, history, bound
        self.etag = ""
        self.events: Mapping[str, Event] = {}
        self.seen = 0.0

    def headers(self, *, conditional: bool) -> dict[str, str]:
        return {"if-none-match": self.etag} if conditional and self.etag else {}

    def check(self, answer: Mapping[str, Any], asked: float, answered: float) -> float:
        """Check an answer to a request that was made at `asked`; return its age. Raises Violation."""
        status, headers = answer["status"], answer["headers"]
        if status not in (200, 304):
            raise Violation(f"{self.path}: status {status}")
        if status == 304 and headers["etag"] != self.etag:
            raise Violation(f"{self.path}: 304 with another ETag")
        if status == 200:
            events = events_of(answer["body"])
            self._check_revisions(events)
            self.etag, self.events = headers["etag"], events
        state = frozenset(event.item for event in self.events.values())
        if not state:
            raise Violation(f"{self.path} is empty")
        periods = self.history.periods(state, answered)
        if not periods:
            raise Violation(f"{self.path} was never like this")
        # What was seen began when the state before it ended.
        later = [(start, end) for start, end in periods if end > self.seen or end == answered]
        if not later:
            back = self.seen - periods[-1][1]
            raise Violation(f"{self.path}: older after newer, by {back:.0f} s at least")
        self.seen = max(self.seen, later[0][0])
        age = max(0.0, asked - later[-1][1])
        if age > self.bound:
            raise Violation(f"{self.path}: {age:.0f} s old")
        return age

    def _check_revisions(self, events: Mapping[str, Event]) -> None:
        for uid, event in events.items():
            before = self.events.get(uid)
            if before is None:
                continue
            if event.modified < before.modified or event.sequence < before.sequence:
                raise Violation(f"{self.path}: a revision ran backwards")
            if event.item != before.item and event.modified == before.modified:
                raise Violation(f"{self.path}: a change without a revision")


def state_of(project: DemoProject) -> State:
    return frozenset(
        (f"plane-issue-{row['id']}@calplanebot", version(row["name"]), date.fromisoformat(row["target_date"]))
        for row in project.shown()
        if row["target_date"]
    )


def events_of(body: bytes) -> dict[str, Event]:
    """Read the events line by line, in a fiftieth of a parser's time."""
    found: dict[str, Event] = {}
    for block in body.decode().replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]:
        fields = dict(re.findall(r"(?m)^([A-Z-]+)(?:;[^:\r]*)?:(.*)\r$", block))
        item = (fields["UID"], version(fields["SUMMARY"]), date.fromisoformat(fields["DTSTART"]))
        if item[0] in found:
            raise Violation(f"{item[0]} is there twice")
        found[item[0]] = Event(item, fields["LAST-MODIFIED"], int(fields.get("SEQUENCE", 0)))
    return found


def version(text: str) -> str:
    found: str = re.findall(r"\bv\d+\b", text)[0]
    return found
