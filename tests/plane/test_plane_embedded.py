"""Against the embedded Plane, the recorded workspace: every list, every kind of key, every version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import httpx
import msgspec
import pytest

from icsfeed.errors import KeyRefused, NoAccess, Throttled
from icsfeed.model import Project
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.shapes import CycleRow, IssueRow, ModuleRow, ProjectRow, fields_of
from plane.api import create_plane
from plane.data import PlaneData
from plane.faults import Faults, followed_by, repeated
from plane.recorded import load_recorded

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[1] / "data" / "plane"
IDS = msgspec.json.decode((RECORDINGS / "ids.json").read_bytes())
VERSIONS = ["v1.3.1", "v0.24.1", "v0.22"]
KEYS = {
    "alice": IDS["tokens"]["alice"],
    "alice's service": IDS["tokens"]["service (300/min)"],
    "bob": IDS["tokens"]["bob"],
    "guest carol": IDS["tokens"]["carol (guest)"],
    "dave": IDS["tokens"]["dave (workspace member, no project)"],
    "eve": IDS["tokens"]["eve other"],
    "expired": IDS["tokens"]["expired"],
    "inactive": IDS["tokens"]["inactive"],
    "invalid": "plane_api_invalid",
    "none": "",
}
REFUSED = ["expired", "inactive", "invalid", "none"]
JOINED = {
    "alice": ["WEB", "MOB", "EMPTY"],
    "alice's service": ["WEB", "MOB", "EMPTY"],
    "bob": ["WEB", "MOB", "SEC", "PUB"],
    "guest carol": ["WEB"],
    "dave": [],
}
WEB, MOB, EMPTY, SEC = (Project(IDS["projects"][key], key, key) for key in ("WEB", "MOB", "EMPTY", "SEC"))
UNKNOWN = Project("00000000-0000-4000-8000-000000000000", "NIL", "Nil")
SIZES = {
    "WEB": {"issues": 45, "states": 7, "labels": 5, "cycles": 4, "modules": 3},
    "MOB": {"issues": 25, "states": 5, "labels": 2, "cycles": 0, "modules": 0},
    "EMPTY": {"issues": 0, "states": 5, "labels": 0, "cycles": 0, "modules": 0},
}

ON_EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)


@asynccontextmanager
async def embedded(
    who: str = "alice",
    version: str = "v1.3.1",
    *,
    data: PlaneData | None = None,
    faults: Faults | None = None,
    slug: str = "acme",
) -> AsyncIterator[PlaneClient]:
    """A client of the recorded workspace, with somebody's key."""
    app = create_plane(data or load_recorded(RECORDINGS), faults=faults, version=version)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with open_client(KEYS[who], transport) as client:
        yield PlaneClient("http://plane", slug, client=client)


async def sizes(plane: PlaneClient, project: Project) -> dict[str, int]:
    """How many things of each kind a project holds."""
    return {
        "issues": len((await plane.issues(project)).items),
        "states": len(await plane.states(project)),
        "labels": len(await plane.labels(project)),
        "cycles": len(await plane.periods(project, "cycle")),
        "modules": len(await plane.periods(project, "module")),
    }


@ON_EVERY_VERSION
@pytest.mark.parametrize(("who", "keys"), JOINED.items(), ids=JOINED)
async def test_a_key_finds_the_projects_it_has_joined(version: str, who: str, keys: list[str]) -> None:
    async with embedded(who, version) as plane:
        found = (await plane.projects()).joined

    assert [project.key for project in found] == keys
    zones = {project.key: project.timezone for project in found}
    assert zones.get("WEB", "none") == (
        "none" if not keys else "UTC" if version == "v0.22" else "Europe/Berlin"
    )


@ON_EVERY_VERSION
@pytest.mark.parametrize("who", ["alice", "bob", "guest carol"])
@pytest.mark.parametrize("project", [WEB, MOB, EMPTY], ids=lambda project: project.key)
async def test_every_list_of_a_joined_project_is_read_whole(version: str, who: str, project: Project) -> None:
    async with embedded(who, version) as plane:
        if project.key in JOINED[who]:
            assert await sizes(plane, project) == SIZES[project.key]
            return
        for read in (
            plane.issues(project),
            plane.states(project),
            plane.periods(project, "cycle"),
            plane.periods(project, "module"),
        ):
            with pytest.raises(NoAccess, match="check the slug and the membership"):
                await read


@ON_EVERY_VERSION
@pytest.mark.parametrize("project", [WEB, SEC, UNKNOWN], ids=lambda project: project.key)
async def test_a_project_that_is_not_open_to_the_key_is_no_empty_one(version: str, project: Project) -> None:
    async with embedded("dave", version) as plane:
        with pytest.raises(NoAccess):
            await plane.issues(project)


@ON_EVERY_VERSION
@pytest.mark.parametrize("who", REFUSED)
async def test_a_key_that_is_not_valid_is_refused_by_every_list(version: str, who: str) -> None:
    async with embedded(who, version) as plane:
        for read in (
            plane.projects(),
            plane.issues(WEB),
            plane.states(WEB),
            plane.labels(WEB),
            plane.members([WEB]),
            plane.periods(WEB, "cycle"),
            plane.periods(WEB, "module"),
        ):
            with pytest.raises(KeyRefused, match="wrong, expired or disabled"):
                await read


@ON_EVERY_VERSION
@pytest.mark.parametrize(("who", "slug"), [("alice", "other"), ("alice", "nowhere"), ("eve", "acme")])
async def test_a_workspace_that_is_not_open_to_the_key_is_said_to_be(
    version: str, who: str, slug: str
) -> None:
    async with embedded(who, version, slug=slug) as plane:
        with pytest.raises(NoAccess, match=f"workspace '{slug}' .*check the slug"):
            await plane.projects()


@pytest.mark.parametrize(
    ("version", "who", "count"),
    [
        ("v1.3.1", "alice", 7),
        ("v1.3.1", "dave", 7),
        ("v1.3.1", "guest carol", 6),
        ("v0.24.1", "alice", 6),
        ("v0.24.1", "guest carol", 6),
        ("v0.22", "alice", 6),
    ],
)
async def test_members_are_the_workspaces_or_where_that_is_closed_the_projects(
    version: str, who: str, count: int
) -> None:
    async with embedded(who, version) as plane:
        people = {person.name for person in await plane.members([WEB])}

    assert len(people) == count
    assert {"alice", "carol", "bob,the;builder"} <= people


@ON_EVERY_VERSION
async def test_cycles_have_the_days_that_people_entered(version: str) -> None:
    async with embedded("guest carol", version) as plane:
        (web,) = (await plane.projects()).joined
        cycles = {cycle.name: (cycle.start, cycle.end) for cycle in await plane.periods(web, "cycle")}

    assert cycles["Sprint 41"] == (date(2026, 11, 4), date(2026, 11, 16))


@ON_EVERY_VERSION
async def test_what_links_issues_to_cycles_and_modules(version: str) -> None:
    async with embedded("bob", version) as plane:
        periods = [*await plane.periods(WEB, "cycle"), *await plane.periods(WEB, "module")]
        held = {period.id: len(await plane.period_issues(period)) for period in periods}

    cycles, modules = IDS["cycles_WEB"], IDS["modules_WEB"]
    assert held == {
        cycles["current"]: 4,
        cycles["upcoming"]: 1,
        cycles["completed"]: 1,
        cycles["draft"]: 0,
        modules["dated"]: 3,
        modules["nodates"]: 0,
        modules["due-only"]: 0,
    }


@ON_EVERY_VERSION
async def test_moments_are_the_same_for_any_owner_of_the_key(version: str) -> None:
    seen = []
    for who in ("alice", "bob", "guest carol"):
        async with embedded(who, version) as plane:
            seen.append((await plane.issues(WEB)).items)

    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    ("version", "learnt"),
    [
        ("v1.3.1", 0),
        ("v0.24.1", 2),  # issues are elsewhere, and so are members
        ("v0.22", 3),  # and pages are smaller
    ],
)
async def test_a_full_read_costs_a_request_for_each_list_and_is_never_redirected(
    version: str, learnt: int
) -> None:
    faults = Faults()
    async with embedded(version=version, faults=faults) as plane:
        web = ((await plane.projects()).joined)[0]
        await sizes(plane, web)
        await plane.members([web])
        for period in (*await plane.periods(web, "cycle"), *await plane.periods(web, "module")):
            await plane.period_issues(period)
        first = len(faults.requests)
        await plane.issues(web)

    # Seven lists, cycles and modules once more, and what is in four cycles and three modules.
    assert first == 7 + 2 + 7 + learnt
    assert len(faults.requests) == first + 1
    assert all(seen.path.endswith("/") and seen.method == "GET" for seen in faults.requests)


async def test_no_answer_to_any_request_of_ours_is_a_redirect() -> None:
    statuses: list[int] = []

    async def note(response: httpx.Response) -> None:
        statuses.append(response.status_code)

    for version in VERSIONS:
        app = create_plane(load_recorded(RECORDINGS), version=version)
        async with open_client(KEYS["alice"], httpx.ASGITransport(app=app)) as client:  # type: ignore[arg-type]
            client.event_hooks["response"].append(note)
            plane = PlaneClient("http://plane/", "acme", client=client)
            await plane.version()
            await plane.whoami()
            for project in (await plane.projects()).joined:
                await sizes(plane, project)
                await plane.project_members(project)

    assert 301 not in statuses
    assert statuses.count(200) > 60


async def test_what_is_asked_for_is_what_is_needed_and_no_page_of_a_bare_list() -> None:
    faults = Faults()
    async with embedded("guest carol", faults=faults) as plane:
        await plane.projects()
        await sizes(plane, WEB)
        await plane.members([WEB])

    asked = {seen.path.split("/")[-2]: dict(httpx.QueryParams(seen.query)) for seen in faults.requests}
    assert asked == {
        "projects": {"fields": fields_of(ProjectRow), "per_page": "1000"},
        "work-items": {"fields": fields_of(IssueRow), "order_by": "created_at", "per_page": "1000"},
        "states": {"fields": "id,name,group", "per_page": "1000"},
        "labels": {"fields": "id,name", "per_page": "1000"},
        "cycles": {"fields": fields_of(CycleRow), "per_page": "1000"},
        "modules": {"fields": fields_of(ModuleRow), "per_page": "1000"},
        "members": {},
    }
    assert faults.count("/members/") == 2


async def test_the_budget_of_a_key_ends_in_throttled_with_the_seconds_to_wait() -> None:
    async with embedded() as plane:
        for _ in range(60):
            await plane.labels(WEB)
        with pytest.raises(Throttled, match="no more requests for 60 s") as caught:
            await plane.labels(WEB)

    assert caught.value.retry_after == 60


def large(count: int) -> PlaneData:
    """The recorded workspace with so many issues in project MOB."""
    data = load_recorded(RECORDINGS)
    for number in range(count - 25):
        data.create_issue(MOB.id, {"name": f"More {number}"})
    return data


async def test_issues_deleted_and_created_while_an_old_plane_is_walked_are_read_as_they_are_then() -> None:
    data, faults = large(250), Faults()
    first = next(iter(data.projects[MOB.id].issues))
    faults.add(r"issues/.*cursor=", followed_by(lambda: data.delete_issue(first)))

    async with embedded(version="v0.22", data=data, faults=faults) as plane:
        await plane.labels(MOB)
        read = await plane.issues(MOB)

    assert {issue.id for issue in read.items} == set(data.projects[MOB.id].issues)
    assert first not in {issue.id for issue in read.items}
    assert faults.count(r" /api/.*/issues/") == 6


async def test_a_page_that_repeats_a_row_once_is_read_again() -> None:
    faults = Faults()
    faults.add(r"work-items/", repeated())

    async with embedded(faults=faults) as plane:
        assert len((await plane.issues(WEB)).items) == 45
    assert faults.count(r"work-items/") == 2
