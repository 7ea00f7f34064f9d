"""Pages and orders of lists longer than the recorded ones, and the versions that page differently."""

from datetime import date

import httpx
import msgspec
import pytest
from demo_world import RECORDINGS, connect

from icsfeed.demo.api import create_plane
from icsfeed.demo.data import PlaneData
from icsfeed.demo.paging import Window, ordered, page
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import API_KEY, sample, sample_id

pytestmark = pytest.mark.anyio

TODAY = date(2026, 11, 21)
WEB = f"/api/v1/workspaces/acme-demo/projects/{sample_id('project', 'WEB')}/"


async def _walk(client: httpx.AsyncClient, path: str) -> list[str]:
    """All ids, page after page."""
    found, cursor = [], ""
    while True:
        told = (await client.get(f"{path}{cursor}")).json()
        found += [row["id"] for row in told["results"]]
        if not told["next_page_results"]:
            return found
        cursor = f"&cursor={told['next_cursor']}"


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
async def test_a_walk_over_the_pages_finds_every_issue_once(size: int) -> None:
    data = sample(TODAY, issues=50)
    async with connect(create_plane(data), API_KEY) as client:
        found = await _walk(client, f"{WEB}issues/?per_page={size}&fields=id")
    assert len(found) == 50
    assert set(found) == set(data.projects[sample_id("project", "WEB")].issues)


@pytest.mark.parametrize(
    ("total", "asked", "told"),
    [
        (0, Window(10), (0, 0, False, False)),
        (20, Window(10), (10, 2, True, False)),
        (20, Window(10, 1), (10, 2, False, True)),
        (21, Window(10, 2), (1, 3, False, True)),
    ],
)
def test_a_page_says_where_it_is(total: int, asked: Window, told: tuple[int, int, bool, bool]) -> None:
    body = page([{"id": str(number)} for number in range(total)], asked)
    keys = ("count", "total_pages", "next_page_results", "prev_page_results")
    assert tuple(body[key] for key in keys) == told


@pytest.mark.parametrize(
    "name", ["order-target_date", "order-desc-target_date", "order-start_date", "order-desc-updated_at"]
)
def test_the_order_is_the_recorded_one(name: str) -> None:
    recording = msgspec.json.decode((RECORDINGS / f"{name}.json").read_bytes())
    rows = recording["body"]["results"]
    order = recording["request"]["path"].partition("order_by=")[2].partition("&")[0]
    shuffled = sorted(rows, key=lambda row: row["updated_at"])
    assert ordered(shuffled, order) == rows


def test_nulls_are_the_largest_and_a_whole_second_comes_before_its_parts() -> None:
    rows: list[Row] = [{"at": "2026-01-01T00:00:00.5Z"}, {"at": None}, {"at": "2026-01-01T00:00:00Z"}]
    assert [row["at"] for row in ordered(rows, "at")] == [rows[2]["at"], rows[0]["at"], None]
    assert [row["at"] for row in ordered(rows, "-at")] == [None, rows[0]["at"], rows[2]["at"]]


@pytest.mark.parametrize("version", ["v0.24.1", "v0.22"])
async def test_older_versions_lack_paths(version: str, data: PlaneData, web: str) -> None:
    missing = [f"{web}work-items/", "/api/v1/workspaces/acme/work-items/WEB-1/", "/api/v1/users/me/"]
    missing.append("/api/v1/workspaces/acme/members/")
    async with connect(create_plane(data, version=version)) as client:
        answers = [await client.get(path) for path in missing]
        listed = await client.get(f"{web}issues/?per_page=5")
        found = await client.get("/api/v1/workspaces/acme/issues/WEB-1/")
        instance = (await client.get("/api/instances/")).json()
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (404, {"error": "Page not found."})
    ] * 4
    assert (listed.json()["count"], found.json()["sequence_id"]) == (5, 1)
    assert instance["instance"]["current_version"] == version


async def test_older_versions_refuse_a_cursor_of_another_page_size(data: PlaneData, web: str) -> None:
    async with connect(create_plane(data, version="v0.24.1")) as client:
        answer = await client.get(f"{web}issues/?per_page=10&cursor=20:1:0")
    assert answer.status_code == 500


async def test_v0_22_has_small_pages_and_plain_cycle_dates(data: PlaneData, web: str) -> None:
    async with connect(create_plane(data, version="v0.22")) as client:
        refused = await client.get(f"{web}issues/?per_page=101")
        pages = (await client.get(f"{web}issues/")).json()
        cycles = (await client.get(f"{web}cycles/")).json()["results"]
        project = (await client.get(web)).json()
    assert refused.json() == {"detail": "Invalid per_page value. Cannot exceed 100."}
    assert pages["next_cursor"] == "100:1:0"
    assert [(row["start_date"], row["end_date"]) for row in cycles][:2] == [
        (None, None),
        ("2026-11-04", "2026-11-16"),
    ]
    assert "timezone" not in project
