"""The client reads the answers that were recorded from Plane v1.3.1 as they are."""

from datetime import UTC, date, datetime

import httpx
import pytest

from icsfeed.errors import NoAccess
from icsfeed.model import Label, Person, Project, State
from icsfeed.plane.client import PlaneClient
from icsfeed.text import inflate
from plane.test_plane_world import WEB, always, connect, page, recording, replay, rows_of

pytestmark = pytest.mark.anyio

IDS = recording("ids")
ALICE = IDS["users"]["alice"]


@pytest.fixture
def plane() -> PlaneClient:
    """The recorded workspace acme, with alice's key."""
    return connect(
        replay(
            "projects-list",
            "work-items-list",
            "states-list",
            "labels-list",
            "workspace-members",
            "project-members",
            "cycles-list",
            "modules-list",
            "cycle-issues",
            "module-issues",
            "users-me",
        )
    )


async def test_projects_are_those_joined_and_not_archived(plane: PlaneClient) -> None:
    found = (await plane.projects()).joined

    assert [project.key for project in found] == ["WEB", "MOB", "EMPTY"]
    assert found[0] == WEB
    assert found[1] == Project(IDS["projects"]["MOB"], "MOB", 'Mobile App 📱, v2; "beta"', "UTC")


async def test_every_recorded_issue_is_understood(plane: PlaneClient) -> None:
    read = await plane.issues(WEB)

    assert (len(read.items), read.unreadable, read.total) == (45, 0, 45)
    assert {issue.project for issue in read.items} == {WEB.id}


async def test_an_issue_has_its_dates_links_and_moments_in_utc(plane: PlaneClient) -> None:
    issues = {issue.sequence_id: issue for issue in (await plane.issues(WEB)).items}

    issue = issues[3]
    assert (issue.name, issue.start, issue.due) == (
        "Start and due, three days",
        date(2026, 11, 22),
        date(2026, 11, 24),
    )
    assert (issue.priority, len(issue.assignees), len(issue.labels)) == ("high", 1, 1)
    assert issue.state == IDS["states_WEB"]["In Progress"]
    assert issue.created.tzinfo is UTC
    assert issues[39].parent == issues[38].id
    assert issues[21].completed == datetime(2026, 11, 21, 8, 27, 4, 252891, UTC)
    assert issues[5].due is None
    assert issues[11].due == date(9999, 12, 31)


async def test_names_are_kept_as_they_are_and_descriptions_become_text(plane: PlaneClient) -> None:
    issues = {issue.sequence_id: issue for issue in (await plane.issues(WEB)).items}

    assert issues[33].name == "X\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:injected"
    assert issues[31].name == "   leading and trailing   "
    assert "<" not in inflate(issues[35].text)
    assert 0 < len(inflate(issues[36].text)) < 10_000


async def test_states_have_their_groups(plane: PlaneClient) -> None:
    states = await plane.states(WEB)

    assert State(IDS["states_WEB"]["Done"], "Done", "completed") in states
    assert IDS["states_WEB"]["Triage"] not in {state.id for state in states}
    assert len(states) == len(rows_of("states-list"))


async def test_labels(plane: PlaneClient) -> None:
    assert Label(IDS["labels"]["bug"], "bug") in await plane.labels(WEB)


async def test_members_come_from_the_workspace(plane: PlaneClient) -> None:
    people = await plane.members([WEB])

    assert Person(ALICE, "alice", "alice@acme.test", "Alice Anderson") in people
    assert len(people) == len(rows_of("workspace-members"))


async def test_a_guests_key_finds_the_members_of_its_projects() -> None:
    guest = connect(replay("workspace-members-as-guest", "project-members", "mob-members"))
    mob = Project(IDS["projects"]["MOB"], "MOB", "Mobile")

    people = await guest.members([WEB, mob])

    assert {person.id for person in people} == {
        row["id"] for row in rows_of("project-members") + rows_of("mob-members")
    }
    assert len({person.id for person in people}) == len(people)


async def test_a_plane_without_a_member_list_is_asked_for_the_projects_members() -> None:
    assert len(await connect(replay("project-members")).members([WEB])) == len(rows_of("project-members"))


async def test_one_closed_project_does_not_hide_the_members_of_the_others() -> None:
    closed = Project("2f645c53-0000-4000-8000-000000000000", "GONE", "Gone")

    assert await connect(replay("project-members")).members([closed, WEB])


async def test_members_that_nobody_may_read_are_an_error() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"detail": "You do not have permission to perform this action."})

    with pytest.raises(NoAccess, match="the members of WEB"):
        await connect(refuse).members([WEB])
    assert await connect(refuse).members([]) == ()


async def test_a_member_without_a_display_name_is_called_by_another() -> None:
    people = [
        {"id": "a", "display_name": "", "first_name": "Ann", "last_name": ""},
        {"id": "b", "display_name": None, "first_name": None, "email": "b@acme.test"},
        {"id": "c"},
    ]
    plane = connect(always(httpx.Response(200, json=people)))

    assert [person.name for person in await plane.project_members(WEB)] == ["Ann", "b@acme.test", "c"]


async def test_cycles_have_the_projects_days_and_their_progress(plane: PlaneClient) -> None:
    cycles = {cycle.name: cycle for cycle in await plane.periods(WEB, "cycle")}

    sprint = cycles["Sprint 41"]
    assert (sprint.start, sprint.end) == (date(2026, 11, 4), date(2026, 11, 16))
    assert (sprint.kind, sprint.project, sprint.issues) == ("cycle", WEB.id, None)
    assert (sprint.done, sprint.total) == (1, 1)
    assert (cycles["Someday (no dates)"].start, cycles["Someday (no dates)"].end) == (None, None)


async def test_modules_have_plain_dates_and_no_count_of_what_is_done(plane: PlaneClient) -> None:
    modules = {module.name: module for module in await plane.periods(WEB, "module")}

    checkout = modules["Checkout, payments; v2"]
    assert (checkout.start, checkout.end) == (date(2026, 11, 16), date(2026, 12, 16))
    assert (checkout.total, checkout.done) == (3, None)
    assert modules["Only due date"].end == date(2026, 12, 21)


async def test_archived_cycles_and_modules_are_left_out() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        name = "archived-cycles" if request.url.path.endswith("/cycles/") else "archived-modules"
        return httpx.Response(200, json=page(rows_of(name)))

    plane = connect(handler)
    assert (await plane.periods(WEB, "cycle"), await plane.periods(WEB, "module")) == ((), ())


async def test_the_issues_of_cycles_and_modules(plane: PlaneClient) -> None:
    cycle = next(c for c in await plane.periods(WEB, "cycle") if c.id == IDS["cycles_WEB"]["current"])
    module = next(m for m in await plane.periods(WEB, "module") if m.id == IDS["modules_WEB"]["dated"])

    assert await plane.period_issues(cycle) == {row["id"] for row in rows_of("cycle-issues")}
    assert await plane.period_issues(module) == {row["id"] for row in rows_of("module-issues")}


async def test_whose_key_it_is(plane: PlaneClient) -> None:
    assert await plane.whoami() == Person(ALICE, "alice", "alice@acme.test", "Alice Anderson")


async def test_a_plane_that_is_too_old_does_not_say_whose_key_it_is() -> None:
    assert await connect(replay()).whoami() is None


async def test_the_version_of_plane() -> None:
    def instances(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/instances/"
        return httpx.Response(200, json={"instance": {"current_version": "v1.3.1"}, "config": {}})

    assert await connect(instances).version() == "v1.3.1"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"error": "Page not found."}),
        httpx.Response(200, json={"instance": None}),
        httpx.Response(200, json={"instance": {"current_version": 1}}),
        httpx.Response(200, json=[]),
        httpx.Response(404, html="<h1>Not Found</h1>"),
    ],
)
async def test_a_plane_that_does_not_say_its_version_has_none(answer: httpx.Response) -> None:
    assert await connect(always(answer)).version() is None


async def test_only_what_is_needed_is_asked_for_with_trailing_slashes_and_our_name() -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=page([]))

    plane = connect(handler, url="https://plane.test/sub/")
    await plane.projects()
    await plane.issues(WEB)
    await plane.states(WEB)
    await plane.labels(WEB)
    await plane.periods(WEB, "cycle")

    assert all(request.url.path.startswith("/sub/api/v1/workspaces/acme/projects/") for request in asked)
    assert all(request.url.path.endswith("/") for request in asked)
    assert all(request.url.params["per_page"] == "1000" for request in asked)
    assert all("id" in request.url.params["fields"].split(",") for request in asked)
    assert not any("expand" in request.url.params for request in asked)
    assert all(request.headers["user-agent"].startswith("icsfeed/") for request in asked)
    assert all("gzip" in request.headers["accept-encoding"] for request in asked)
