"""The older versions of Plane lack paths, and page and date differently."""

import pytest

from plane.api import create_plane
from plane.data import PlaneData
from plane.world import connect

pytestmark = pytest.mark.anyio


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
