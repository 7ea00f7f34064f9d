"""Each recorded issue of WEB, as a person would say it: the table that reading Plane's JSON must give."""

import json
from datetime import date
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from icsfeed.model import Issue, Priority, Project
from icsfeed.plane.client import PlaneClient, open_client

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[1] / "data" / "plane"


def recording(name: str) -> str:
    return (RECORDINGS / f"{name}.json").read_text(encoding="utf-8")


IDS = json.loads(recording("ids"))
WEB = Project(IDS["projects"]["WEB"], "WEB", "Website relaunch", "Europe/Berlin")


class Summary(NamedTuple):
    """An issue in words: names instead of ids, dates as they are written."""

    name: str
    due: str = ""
    start: str = ""
    priority: Priority = "none"
    state: str = "Todo"
    labels: str = ""
    assignees: str = ""
    parent: int = 0


WEB_ISSUES = {
    1: Summary("Due date only", "2026-11-26", priority="medium"),
    2: Summary("Start date only", start="2026-11-23", priority="low"),
    3: Summary(
        "Start and due, three days", "2026-11-24", "2026-11-22", "high", "In Progress", "bug", "alice"
    ),
    4: Summary("Start equals due", "2026-11-25", "2026-11-25", state="In Progress", assignees="bob"),
    5: Summary("No dates at all", state="Backlog"),
    6: Summary(
        "Overdue item",
        "2026-11-11",
        priority="urgent",
        labels="área/ünïcode 🎉 + feature, big; one + bug",
        assignees="zoe + bob + alice",
    ),
    7: Summary("Leap day due", "2028-02-29"),
    8: Summary("Due on DST switch day", "2027-03-28"),
    9: Summary("Spans new year", "2027-01-02", "2026-12-30"),
    10: Summary("Far past", "1970-01-01", state="Done"),
    11: Summary("Far future", "9999-12-31"),
    12: Summary("Priority urgent", "2026-11-28", priority="urgent"),
    13: Summary("Priority high", "2026-11-28", priority="high"),
    14: Summary("Priority medium", "2026-11-28", priority="medium"),
    15: Summary("Priority low", "2026-11-28", priority="low"),
    16: Summary("Priority none", "2026-11-28"),
    17: Summary("State Backlog", "2026-11-29", state="Backlog"),
    18: Summary("State Todo", "2026-11-29"),
    19: Summary("State In Progress", "2026-11-29", state="In Progress"),
    20: Summary("State In Review", "2026-11-29", state="In Review"),
    21: Summary("State Done", "2026-11-29", state="Done"),
    22: Summary("State Cancelled", "2026-11-29", state="Cancelled"),
    23: Summary("State Duplicate", "2026-11-29", state="Duplicate"),
    24: Summary("Ünïcödé 漢字", "2026-11-30", assignees="zoe"),
    25: Summary("Commas, semicolons; back\\slash", "2026-11-30"),
    26: Summary("Line one\nLine two\r\nLine three\tTab", "2026-11-30"),
    27: Summary("Control\x07 bell \x1b esc", "2026-11-30"),
    28: Summary("L" * 255, "2026-12-01"),
    29: Summary("漢" * 80, "2026-12-01"),
    30: Summary("👩\u200d👩\u200d👧\u200d👦", "2026-12-01"),
    31: Summary("   leading and trailing   ", "2026-12-01"),
    32: Summary("<b>bold</b> & <script>alert(1)</script>", "2026-12-01"),
    33: Summary("X\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:", "2026-12-01"),
    34: Summary(
        "Rich description",
        "2026-12-02",
        state="In Progress",
        labels="deadline",
        assignees="bob + alice",
    ),
    35: Summary("XSS description (raw in DB)", "2026-12-02"),
    36: Summary("Huge description", "2026-12-02"),
    37: Summary("Empty-string description", "2026-12-02"),
    38: Summary("Parent item", "2026-12-11", "2026-11-21", state="In Progress", assignees="alice"),
    39: Summary("Sub-item 1", "2026-12-03", assignees="bob", parent=38),
    40: Summary("Sub-item 2 (of sub 1)", "2026-12-04", state="Done", parent=39),
    41: Summary("Assigned to a guest", "2026-12-05", assignees="carol"),
    42: Summary("Assigned to a removed member", "2026-12-05", assignees="frank"),
    43: Summary("External id", "2026-12-06"),
    48: Summary("Label and assignee removed later (soft-", "2026-12-07", labels="bug", assignees="alice"),
    49: Summary("Intake accepted", "2026-12-07"),
}
"""By number. Names longer than the one here start with it. Numbers 44 to 47 and 50 to 51 are draft,
archived, in triage, deleted and rejected: Plane lists none of them."""


def summary(issue: Issue, numbers: dict[str, int]) -> Summary:
    users, labels, states = (
        {value: key for key, value in IDS[kind].items()} for kind in ("users", "labels", "states_WEB")
    )
    return Summary(
        issue.name,
        str(issue.due or ""),
        str(issue.start or ""),
        issue.priority,
        states[issue.state or ""],
        " + ".join(labels[label] for label in issue.labels),
        " + ".join(users[user] for user in issue.assignees),
        numbers[issue.parent] if issue.parent else 0,
    )


async def read(name: str) -> dict[int, Issue]:
    """The issues of a recorded answer by number. A page of several is taken for the whole list."""
    body = json.loads(recording(name))["body"]
    whole = {**body, "next_page_results": False, "total_results": len(body["results"])}
    answer = httpx.Response(200, json=whole)
    client = open_client("plane_api_key", httpx.MockTransport(lambda _: answer))
    found = await PlaneClient("https://plane.test", "acme", client=client).issues(WEB)
    assert found.unreadable == 0
    return {issue.sequence_id: issue for issue in found.items}


async def test_every_recorded_issue_is_read_as_it_was_entered() -> None:
    issues = await read("work-items-list")

    numbers = {issue.id: number for number, issue in issues.items()}
    assert sorted(issues) == sorted(WEB_ISSUES)
    for number, expected in WEB_ISSUES.items():
        found = summary(issues[number], numbers)
        assert found.name.startswith(expected.name)
        assert found == expected._replace(name=found.name), f"WEB-{number}"


async def test_due_dates_are_dates_and_no_moments() -> None:
    assert (await read("work-items-list"))[8].due == date(2027, 3, 28)


async def test_an_expanded_answer_means_the_same() -> None:
    plain, expanded = await read("work-items-list"), await read("work-items-expand-all")

    assert expanded
    for number, issue in expanded.items():
        same = ("id", "name", "due", "start", "priority", "state", "parent", "created")
        assert [getattr(issue, name) for name in same] == [getattr(plain[number], name) for name in same]
        assert set(issue.assignees) == set(plain[number].assignees)
        assert set(issue.labels) == set(plain[number].labels)


@pytest.mark.parametrize("name", ["guest-work-items", "work-items-page1", "work-items-page2"])
async def test_the_same_issues_are_read_from_any_recorded_page(name: str) -> None:
    everything = await read("work-items-list")
    rows = json.loads(recording(name))["body"]["results"]

    found = await read(name)

    assert sorted(found) == sorted(row["sequence_id"] for row in rows)
    assert {number: issue.due for number, issue in found.items()} == {
        number: everything[number].due for number in found
    }
