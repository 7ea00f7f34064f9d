"""The sample workspace: the same all day, with something for every feature, and large on demand."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import click
import msgspec
import pytest
from plane.world import RECORDINGS, connect

from icsfeed.cli.server_commands import demo
from icsfeed.demo.api import create_plane
from icsfeed.demo.data import DemoData
from icsfeed.demo.editions import COMMERCIAL, EDITIONS
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import API_KEY, SLUG, sample, sample_id
from icsfeed.demo.sample_tables import EPICS, MILESTONES

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _dumped(data: DemoData) -> bytes:
    return msgspec.json.encode([data.users, data.workspaces, data.projects])


def _issues(data: DemoData) -> list[Row]:
    return [issue for project in data.projects.values() for issue in project.shown()]


def test_the_same_day_gives_the_same_bytes() -> None:
    assert _dumped(sample(TODAY)) == _dumped(sample(TODAY))


def test_another_day_gives_the_same_ids_and_later_dates() -> None:
    one, two = _issues(sample(TODAY)), _issues(sample(TODAY + timedelta(days=3)))
    assert [issue["id"] for issue in one] == [issue["id"] for issue in two]
    assert [issue["name"] for issue in one] == [issue["name"] for issue in two]
    assert one[0]["target_date"] < two[0]["target_date"]


def test_it_has_something_for_every_feature() -> None:
    data = sample(TODAY)
    issues, today = _issues(data), TODAY.isoformat()
    groups = {data.projects[issue["project"]].group(issue) for issue in issues}
    overdue = [
        issue["name"]
        for issue in issues
        if issue["priority"] == "urgent" and issue["target_date"] and issue["target_date"] < today
    ]
    html = "".join(issue["description_html"] for issue in issues)
    names = "".join(issue["name"] for issue in issues)
    assert len(data.projects) == 3
    assert 35 <= len(issues) <= 50
    assert {issue["priority"] for issue in issues} == {"urgent", "high", "medium", "low", "none"}
    assert groups == {"backlog", "unstarted", "started", "completed", "cancelled"}
    assert overdue == ["Renew the insurance of house 7"]
    assert any(issue["parent"] for issue in issues)
    assert any(issue["start_date"] and not issue["target_date"] for issue in issues)
    assert any(not issue["start_date"] and not issue["target_date"] for issue in issues)
    assert any(len(issue["assignees"]) > 1 for issue in issues)
    assert any(
        "," in label["name"] for project in data.projects.values() for label in project.labels.values()
    )
    assert all(mark in html for mark in ("<ol>", "taskList", "mention-component", "href=", "C:\\Next"))
    assert "@" not in html
    assert "ü" in names
    assert "🌰" in names


def test_everything_an_issue_names_exists() -> None:
    data = sample(TODAY, issues=200)
    for project in data.projects.values():
        for issue in project.issues.values():
            assert issue["state"] in project.states
            assert set(issue["labels"]) <= set(project.labels)
            assert {user for user in issue["assignees"] if project.role(user) is None} == set()
            assert issue["parent"] is None or issue["parent"] in project.issues
            assert issue["created_at"] <= issue["updated_at"] < f"{TODAY}T23"
        assert set(project.links) <= set(project.cycles) | set(project.modules)


def test_numbers_are_unique_and_without_gaps() -> None:
    for project in sample(TODAY, issues=100).projects.values():
        numbers = Counter(issue["sequence_id"] for issue in project.issues.values())
        assert set(numbers) == set(range(1, len(project.issues) + 1))


def test_a_large_sample_has_as_many_issues_as_asked_for() -> None:
    data = sample(TODAY, issues=10_000)
    assert len(data.projects[sample_id("project", "WEB")].issues) == 10_000


@pytest.mark.anyio
async def test_its_key_reads_it_all() -> None:
    base = f"/api/v1/workspaces/{SLUG}/"
    async with connect(create_plane(sample(TODAY), lambda: NOW), API_KEY) as client:
        projects = (await client.get(f"{base}projects/")).json()["results"]
        members = (await client.get(f"{base}members/")).json()
        cycles = (await client.get(f"{base}projects/{projects[0]['id']}/cycles/")).json()["results"]
        modules = (await client.get(f"{base}projects/{projects[0]['id']}/modules/")).json()["results"]
    assert [row["identifier"] for row in projects] == ["PROP", "OPS", "WEB"]
    assert len(members) == 5
    assert {row["name"]: row["start_date"] for row in cycles}["Sprint 12"] == "2026-11-13T23:00:01Z"
    assert {row["name"]: row["target_date"] for row in modules}["Heating renewal"] == "2026-12-21"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "recording"),
    [
        ("", "projects-list"),
        ("states/", "states-list"),
        ("labels/", "labels-list"),
        ("cycles/", "cycles-list"),
        ("modules/", "modules-list"),
        ("work-items/", "work-items-list"),
    ],
)
async def test_its_rows_have_every_key_of_plane_and_no_other(path: str, recording: str) -> None:
    tape = msgspec.json.decode((RECORDINGS / f"{recording}.json").read_bytes())["body"]
    base = f"/api/v1/workspaces/{SLUG}/projects/" + (f"{sample_id('project', 'PROP')}/" if path else "")
    async with connect(create_plane(sample(TODAY), lambda: NOW), API_KEY) as client:
        answer = (await client.get(f"{base}{path}")).json()
    assert answer["results"][0].keys() == tape["results"][0].keys()


def test_commercial_has_the_same_issues_with_types_and_what_is_planned() -> None:
    plain, planned = sample(TODAY), sample(TODAY, edition=COMMERCIAL)
    kinds = Counter(
        project.types[issue["type_id"]]["name"]
        for project in planned.projects.values()
        for issue in project.shown()
    )
    assert kinds == {"Task": 36, "Bug": 3, "Epic": 2}
    for issue in _issues(planned):
        issue["type_id"] = None
    assert _issues(planned) == _issues(plain)
    assert [len(project.milestones) for project in planned.projects.values()] == [3, 1, 0]
    space = planned.workspaces[SLUG]
    assert (len(space.initiatives), len(space.releases)) == (3, 3)
    assert not plain.workspaces[SLUG].releases


def test_commercial_names_only_issues_that_there_are() -> None:
    for data in (sample(TODAY, edition=COMMERCIAL), sample(TODAY, edition=COMMERCIAL, issues=100)):
        for project in data.projects.values():
            links = [link for held in project.links.values() for link in held]
            assert set(links) <= project.issues.keys()
    names = {issue["name"] for issue in _issues(sample(TODAY))}
    tasks = {task for milestones in MILESTONES.values() for held in milestones for task in held.tasks}
    assert names >= {*EPICS, *tasks}


def test_the_command_offers_every_edition() -> None:
    option = next(option for option in demo.params if option.name == "edition")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(EDITIONS)
