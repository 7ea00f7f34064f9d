"""What becomes of each issue that a real Plane v1.3.1 answered with: its event, or why there is none."""

import json
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest
from icalendar import Calendar
from plane.api import create_plane
from plane.recorded import load_recorded
from plane.world import ALICE, RECORDINGS

from icsfeed.config.schema import Config, Feed, Secret, WorkspaceConfig
from icsfeed.server.build import opened

pytestmark = pytest.mark.anyio

BUG, RED, ORANGE = ("bug",), "red", "orange"
FAMILY = "👩\u200d👩\u200d👧\u200d👦"


class Event(NamedTuple):
    """An event as a calendar app shows it: `last` is its last day, inclusive."""

    number: int
    title: str
    first: str
    last: str = ""
    color: str = ""
    cancelled: bool = False
    labels: tuple[str, ...] = ()


FATES: dict[str, Event | str] = {
    "due-only": Event(1, "Due date only", "2026-11-26", color="yellow"),
    "start-only": "it has no due date",
    "both": Event(3, "Start and due, three days", "2026-11-22", "2026-11-24", ORANGE, labels=BUG),
    "same-day": Event(4, "Start equals due", "2026-11-25"),
    "no-dates": "it has no due date",
    "overdue": Event(
        6, "Overdue item", "2026-11-11", color=RED, labels=("bug", "feature, big; one", "área/ünïcode 🎉")
    ),
    "leap": Event(7, "Leap day due", "2028-02-29"),
    "dst": Event(8, "Due on DST switch day", "2027-03-28"),
    "year-end": Event(9, "Spans new year", "2026-12-30", "2027-01-02"),
    "far-past": Event(10, "Far past", "1970-01-01", cancelled=True),
    "far-future": "an event on 9999-12-31 has no day to end on",
    "prio-urgent": Event(12, "Priority urgent", "2026-11-28", color=RED),
    "prio-high": Event(13, "Priority high", "2026-11-28", color=ORANGE),
    "prio-medium": Event(14, "Priority medium", "2026-11-28", color="yellow"),
    "prio-low": Event(15, "Priority low", "2026-11-28", color="green"),
    "prio-none": Event(16, "Priority none", "2026-11-28"),
    "state-Backlog": Event(17, "State Backlog", "2026-11-29"),
    "state-Todo": Event(18, "State Todo", "2026-11-29"),
    "state-In Progress": Event(19, "State In Progress", "2026-11-29"),
    "state-In Review": Event(20, "State In Review", "2026-11-29"),
    "state-Done": Event(21, "State Done", "2026-11-29", cancelled=True),
    "state-Cancelled": Event(22, "State Cancelled", "2026-11-29", cancelled=True),
    "state-Duplicate": Event(23, "State Duplicate", "2026-11-29", cancelled=True),
    "unicode": Event(24, f"Ünïcödé 漢字 عربى עברית 😀{FAMILY} \u202ertl\u202c", "2026-11-30"),
    "ics-meta": Event(25, 'Commas, semicolons; back\\slash "quotes" : colon\\n literal', "2026-11-30"),
    "newline": Event(26, "Line one Line two Line three\tTab", "2026-11-30"),
    "ctrl": Event(27, "Control bell  esc   ls   nel \ufeff bom", "2026-11-30"),
    "long-ascii": Event(28, "L" * 255, "2026-12-01"),
    "long-multibyte": Event(29, "漢" * 255, "2026-12-01"),
    "long-emoji": Event(30, (FAMILY * 40)[:255], "2026-12-01"),
    "spaces": Event(31, "   leading and trailing   ", "2026-12-01"),
    "html-name": Event(32, "<b>bold</b> & <script>alert(1)</script>", "2026-12-01"),
    "inject": Event(33, "X END:VEVENT BEGIN:VEVENT UID:injected", "2026-12-01"),
    "rich": Event(34, "Rich description", "2026-12-02", labels=("deadline",)),
    "xss": Event(35, "XSS description (raw in DB)", "2026-12-02"),
    "huge-desc": Event(36, "Huge description", "2026-12-02"),
    "empty-desc": Event(37, "Empty-string description", "2026-12-02"),
    "parent": Event(38, "Parent item", "2026-11-21", "2026-12-11"),
    "sub-1": Event(39, "Sub-item 1", "2026-12-03"),
    "sub-2": Event(40, "Sub-item 2 (of sub 1)", "2026-12-04", cancelled=True),
    "assigned-carol": Event(41, "Assigned to a guest", "2026-12-05"),
    "assigned-frank": Event(42, "Assigned to a removed member", "2026-12-05"),
    "external": Event(43, "External id", "2026-12-06"),
    "draft": "Plane does not list drafts",
    "archived": "Plane does not list archived issues",
    "triage": "Plane does not list what waits in the intake",
    "deleted": "it is deleted",
    "hist-label": Event(
        48, "Label and assignee removed later (soft-deleted link rows)", "2026-12-07", labels=BUG
    ),
    "intake-accepted": Event(49, "Intake accepted", "2026-12-07"),
    "intake-rejected": "Plane does not list what the intake rejected",
    "intake-snoozed": "Plane does not list what waits in the intake",
}


async def _events() -> dict[str, Event]:
    """The events of a feed over project WEB, by the id of their issue."""
    config = Config(
        workspaces={"acme": WorkspaceConfig(url="https://plane.example.com", api_key=Secret(ALICE))},
        feeds={"web": Feed(project="WEB", dates="span", public=True)},
    )
    transport = httpx.ASGITransport(create_plane(load_recorded(RECORDINGS)))  # type: ignore[arg-type]
    async with opened(config, transports={"acme": transport}) as service:
        calendar = Calendar.from_ical((await service.rendered("web")).body)
    found = {}
    for event in calendar.walk("VEVENT"):
        assert event.errors == []
        number, _, title = str(event["SUMMARY"]).removeprefix("[").partition("] ")
        first, last = event.decoded("DTSTART"), event.decoded("DTEND") - timedelta(days=1)
        labels = tuple(str(label) for label in getattr(event.get("CATEGORIES"), "cats", ()))
        found[str(event["UID"])] = Event(
            int(number),
            title,
            str(first),
            str(last) if last != first else "",
            str(event.get("COLOR", "")),
            event["STATUS"] == "CANCELLED",
            labels,
        )
    return found


async def test_each_recorded_issue_has_its_fate() -> None:
    named = json.loads((RECORDINGS / "ids.json").read_text(encoding="utf-8"))["issues_WEB"]
    ids = {name: issue["id"] for name, issue in named.items()}
    expected = {
        f"plane-issue-{ids[name]}@calplanebot": fate
        for name, fate in FATES.items()
        if isinstance(fate, Event)
    }
    assert ids.keys() == FATES.keys()
    assert await _events() == expected
