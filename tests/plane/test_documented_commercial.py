"""Commercial as Plane documents it, and as nobody has recorded it.

Sources: the developer documents (github.com/makeplane/developer-docs, 18 August 2026) and the Python SDK
(github.com/makeplane/plane-python-sdk, 23 July 2026). The words of refusals are guesses: icsfeed must not
depend on them.
"""

from collections.abc import Mapping
from datetime import date

import httpx
import pytest
from msgspec.structs import replace

from icsfeed.demo.access import KeyLimits
from icsfeed.demo.data import DemoKey
from icsfeed.demo.editions import COMMERCIAL, COMMUNITY, Edition
from icsfeed.demo.sample import API_KEY, SLUG, sample_id
from plane.api import create_plane
from plane.data import PlaneData
from plane.editions import FEATURES, Variant
from plane.recorded import load_recorded
from plane.sample import sample
from plane.world import RECORDINGS, Clock, connect

pytestmark = pytest.mark.anyio

SPACE = f"/api/v1/workspaces/{SLUG}/"
PROJECT = f"{SPACE}projects/{sample_id('project', 'PROP')}/"
SERVICE = "plane_service_0123456789abcdef"
MILESTONE = {"id", "title", "target_date", "external_id", "external_source", "created_at", "updated_at"}
INITIATIVE = {
    *("id", "created_at", "updated_at", "name", "description", "description_html", "lead"),
    *("start_date", "end_date", "state", "workspace", "logo_props"),
}
RELEASE = {
    *("id", "name", "description", "status", "target_date", "release_date", "lead", "tag", "is_latest"),
    *("is_prerelease", "created_at", "updated_at", "workspace"),
}
TYPE = {
    *("id", "created_at", "updated_at", "name", "description", "deleted_at", "project_ids", "logo_props"),
    *("is_epic", "is_default", "is_active", "level"),
}
PLANS = [
    *(f"{SPACE}work-items/", f"{SPACE}work-items/count/", f"{SPACE}initiatives/", f"{SPACE}releases/"),
    *(f"{PROJECT}milestones/", f"{PROJECT}work-item-types/"),
    f"{PROJECT}milestones/{sample_id('milestone', 'PROP', 'Books closed')}/work-items/",
]


@pytest.fixture
def world(clock: Clock) -> PlaneData:
    data = sample(date(2026, 11, 21), clock=clock, edition=COMMERCIAL)
    data.keys[SERVICE] = DemoKey(SERVICE, sample_id("user", "anna"), kind="service")
    return data


async def ask(
    data: PlaneData,
    path: str,
    *,
    edition: Edition = COMMERCIAL,
    variant: Variant = Variant(),  # noqa: B008 - frozen
    headers: dict[str, str] | None = None,
    params: Mapping[str, str] = {},
) -> httpx.Response:
    app = create_plane(data, edition=edition, variant=variant, limits=KeyLimits(person=10_000))
    async with connect(app, API_KEY) as client:
        if headers is not None:
            client.headers.pop("X-API-Key")
        return await client.get(path, params=params, headers=headers)


async def test_a_page_is_of_100_and_its_envelope_is_the_documented_one(world: PlaneData) -> None:
    page = (await ask(world, f"{SPACE}work-items/")).json()
    assert (page["next_cursor"], page["prev_cursor"], page["extra_stats"]) == ("100:1:0", "", {})
    assert (page["total_results"], page["count"], page["total_pages"]) == (41, 41, 1)
    short = (await ask(world, f"{SPACE}work-items/", params={"per_page": "20", "cursor": "20:2:0"})).json()
    assert (short["count"], short["next_page_results"], short["prev_page_results"]) == (1, False, True)


async def test_a_larger_page_is_refused_in_some_words_or_clipped(world: PlaneData) -> None:
    refused = await ask(world, f"{PROJECT}work-items/", params={"per_page": "1000"})
    words = Variant(too_large=(400, {"per_page": ["Ensure this value is at most 100."]}))
    other = await ask(world, f"{PROJECT}work-items/", variant=words, params={"per_page": "1000"})
    clipped = await ask(
        world, f"{PROJECT}work-items/", variant=Variant(too_large="clip"), params={"per_page": "1000"}
    )
    assert (refused.status_code, other.status_code) == (400, 400)
    assert other.json() == {"per_page": ["Ensure this value is at most 100."]}
    assert (clipped.status_code, clipped.json()["next_cursor"]) == (200, "100:1:0")


@pytest.mark.parametrize("parameter", ["fields", "expand"])
async def test_unknown_names_are_an_error_that_names_them(parameter: str, world: PlaneData) -> None:
    for path in (
        f"{SPACE}work-items/",
        f"{PROJECT}work-items/",
        f"{PROJECT}cycles/",
        f"{PROJECT}milestones/",
    ):
        refused = await ask(world, path, params={parameter: "id,bogus"})
        assert refused.status_code == 400
        assert "bogus" in refused.text
    lenient = replace(COMMERCIAL, refuses_names=False)
    assert (
        await ask(world, f"{SPACE}work-items/", edition=lenient, params={"fields": "bogus"})
    ).status_code == 200


async def test_relations_can_be_expanded_as_documented(world: PlaneData) -> None:
    answer = await ask(world, f"{PROJECT}work-items/", params={"expand": "assignees,state", "per_page": "1"})
    assert "group" in answer.json()["results"][0]["state"]


async def test_a_key_may_come_as_bearer_and_a_service_token_has_300_requests(world: PlaneData) -> None:
    path = "/api/v1/users/me/"
    app = create_plane(world, edition=COMMERCIAL)
    async with connect(app, "") as client:
        client.headers.pop("X-API-Key")
        person = await client.get(path, headers={"Authorization": f"Bearer {API_KEY}"})
        service = await client.get(path, headers={"Authorization": f"Bearer {SERVICE}"})
        unknown = await client.get(path, headers={"Authorization": "Bearer plane_unknown"})
        basic = await client.get(path, headers={"Authorization": f"Basic {API_KEY}"})
    left = [answer.headers["x-ratelimit-remaining"] for answer in (person, service)]
    assert left == ["59", "299"]
    assert "x-ratelimit-reset" in service.headers
    assert (unknown.status_code, basic.status_code) == (403, 401)


@pytest.mark.parametrize("edition", [COMMUNITY, replace(COMMERCIAL, takes_bearer=False)])
async def test_community_reads_no_bearer(edition: Edition, world: PlaneData) -> None:
    bearer = {"Authorization": f"Bearer {API_KEY}"}
    answer = await ask(world, "/api/v1/users/me/", edition=edition, headers=bearer)
    assert answer.status_code == 401


async def test_work_items_of_all_projects_that_the_key_may_see(world: PlaneData) -> None:
    rows = (await ask(world, f"{SPACE}work-items/", params={"order_by": "-updated_at"})).json()["results"]
    assert {row["project"] for row in rows} == world.projects.keys()
    assert [row["updated_at"] for row in rows] == sorted((row["updated_at"] for row in rows), reverse=True)
    world.projects[sample_id("project", "OPS")].members.clear()
    left = (await ask(world, f"{SPACE}work-items/")).json()["results"]
    assert {row["project"] for row in left} == world.projects.keys() - {sample_id("project", "OPS")}


async def test_the_count_is_that_of_the_list(world: PlaneData) -> None:
    whole = (await ask(world, f"{SPACE}work-items/count/")).json()
    urgent = (await ask(world, f"{SPACE}work-items/count/", params={"pql": 'priority = "urgent"'})).json()
    assert whole == {"grouped_by": None, "sub_grouped_by": None, "total_count": 41, "grouped_counts": {}}
    assert urgent["total_count"] == 2
    world.delete_issue(sample_id("issue", "PROP", "1"))
    assert (await ask(world, f"{SPACE}work-items/count/")).json()["total_count"] == 40


async def test_milestones_are_bare_and_dated(world: PlaneData) -> None:
    rows = (await ask(world, f"{PROJECT}milestones/")).json()
    assert all(row.keys() == MILESTONE for row in rows)
    assert {row["title"]: row["target_date"] for row in rows} == {
        "Warm before the frost": "2026-12-10",
        "Books closed": "2027-01-21",
        "Everybody knows where the stopcock is": None,
    }
    none = f"{SPACE}projects/{sample_id('project', 'WEB')}/milestones/"
    assert (await ask(world, none)).json() == []


async def test_the_work_items_of_a_milestone_are_links(world: PlaneData) -> None:
    milestone = sample_id("milestone", "PROP", "Warm before the frost")
    path = f"{PROJECT}milestones/{milestone}/work-items/"
    rows = (await ask(world, path)).json()
    assert all(row.keys() == {"id", "issue", "milestone"} for row in rows)
    assert [world.issue(row["issue"])["name"] for row in rows] == [
        "Replace the heating in house 7",
        "Collect three quotes",
        "Apply for the funding",
    ]
    world.add_to(milestone, [sample_id("issue", "PROP", "1")])
    world.remove_from(milestone, rows[0]["issue"])
    assert len((await ask(world, path)).json()) == 3


async def test_initiatives_and_releases_are_pages_with_both_dates(world: PlaneData) -> None:
    initiatives = (await ask(world, f"{SPACE}initiatives/")).json()["results"]
    releases = (await ask(world, f"{SPACE}releases/")).json()["results"]
    assert all(row.keys() >= INITIATIVE for row in initiatives)
    assert all(row.keys() >= RELEASE for row in releases)
    assert {row["name"]: (row["start_date"], row["end_date"]) for row in initiatives} == {
        "No cold flat this winter": ("2026-10-22", "2027-02-04"),
        "Paperless, except for the plumber": ("2026-12-11", "2027-06-09"),
        "A roof garden on every roof": (None, None),
    }
    assert {row["status"]: (row["target_date"], row["release_date"]) for row in releases} == {
        "released": ("2026-11-07", "2026-11-09"),
        "unreleased": ("2026-12-25", None),
        "cancelled": ("2026-11-26", None),
    }


async def test_an_epic_is_a_work_item_whose_type_is_one(world: PlaneData) -> None:
    types = (await ask(world, f"{PROJECT}work-item-types/")).json()
    assert all(row.keys() >= TYPE for row in types)
    epic = next(row["id"] for row in types if row["is_epic"])
    rows = (await ask(world, f"{PROJECT}work-items/")).json()["results"]
    assert [row["name"] for row in rows if row["type_id"] == epic] == ["Replace the heating in house 7"]
    new = world.create_issue(sample_id("project", "PROP"), {"name": "New"})
    assert new["type_id"] == next(row["id"] for row in types if row["is_default"])


@pytest.mark.parametrize("path", PLANS)
async def test_community_has_none_of_it(path: str, world: PlaneData) -> None:
    answer = await ask(world, path, edition=COMMUNITY)
    assert (answer.status_code, answer.json()) == (404, {"error": "Page not found."})


@pytest.mark.parametrize("status", [402, 403, 404])
@pytest.mark.parametrize("feature", FEATURES)
async def test_a_plan_may_lack_any_of_it(feature: str, status: int, world: PlaneData) -> None:
    variant = Variant(lacks={feature: status})
    statuses = [(await ask(world, path, variant=variant)).status_code for path in PLANS]
    assert statuses.count(status) == len(FEATURES[feature])
    assert statuses.count(200) == len(PLANS) - len(FEATURES[feature])


async def test_lists_may_be_pages_or_bare_and_types_have_an_older_path(world: PlaneData) -> None:
    variant = Variant(paged=["milestones", "types"], bare=["releases"], type_path="issue-types")
    milestones = (await ask(world, f"{PROJECT}milestones/", variant=variant)).json()
    types = (await ask(world, f"{PROJECT}issue-types/", variant=variant)).json()
    releases = (await ask(world, f"{SPACE}releases/", variant=variant)).json()
    moved = await ask(world, f"{PROJECT}work-item-types/", variant=variant)
    assert (milestones["total_results"], types["total_results"], len(releases)) == (3, 3, 3)
    assert moved.status_code == 404


async def test_it_says_which_edition_it_is(world: PlaneData) -> None:
    stated = (await ask(world, "/api/instances/")).json()["instance"]
    assert (stated["edition"], stated["current_version"]) == ("PLANE_COMMERCIAL", "v2.7.0")


async def test_an_older_commercial_keeps_its_small_pages(world: PlaneData) -> None:
    async with connect(create_plane(world, edition=COMMERCIAL, version="v1.3.1"), API_KEY) as client:
        page = (await client.get(f"{SPACE}work-items/")).json()
        stated = (await client.get("/api/instances/")).json()["instance"]
    assert (page["next_cursor"], stated["current_version"]) == ("100:1:0", "v1.3.1")


async def test_the_same_workspace_has_the_same_rows_behind_both_editions() -> None:
    data = load_recorded(RECORDINGS)
    lists = [f"/api/v1/workspaces/acme/projects/{key}/" for key in data.projects]
    paths = [f"{path}{name}/" for path in lists for name in ("work-items", "states", "cycles", "modules")]
    async with connect(create_plane(data)) as plain, connect(create_plane(data, edition=COMMERCIAL)) as other:
        for path in paths:
            one, two = await plain.get(path), await other.get(path)
            assert one.status_code == two.status_code
            assert one.json().get("results") == two.json().get("results")
