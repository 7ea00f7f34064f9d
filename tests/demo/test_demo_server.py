"""The demo's Plane over HTTP, behind a real uvicorn and in process; it cannot be written to."""

import gzip
from datetime import UTC, datetime

import pytest
from plane.world import Clock, connect, served

from icsfeed.demo.api import create_plane
from icsfeed.demo.data import DemoData
from icsfeed.demo.sample import API_KEY, SLUG, sample, sample_id
from icsfeed.demo.wire import Handler, PlaneRequest, PlaneResponse

pytestmark = pytest.mark.anyio

ME = "/api/v1/users/me/"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PROJECT = f"/api/v1/workspaces/{SLUG}/projects/{sample_id('project', 'PROP')}/"


async def test_it_answers_over_http(data: DemoData, clock: Clock, web: str) -> None:
    async with served(create_plane(data, clock)) as client:
        page = await client.get(f"{web}work-items/?per_page=10&cursor=10:1:0")
        moved = await client.get(f"{web}work-items")
        head = await client.head(ME)
    assert page.json()["count"] == 10
    assert (moved.status_code, moved.headers["location"]) == (301, f"{web}work-items/")
    assert (head.status_code, head.content) == (405, b"")


async def test_gzip_is_honoured(data: DemoData, clock: Clock, web: str) -> None:
    async with connect(create_plane(data, clock)) as client:
        plain = await client.get(f"{web}states/", headers={"Accept-Encoding": "identity"})
        packed = await client.get(f"{web}states/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 6, mtime=0))
    assert packed.content == plain.content


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_it_cannot_be_written_to(method: str) -> None:
    async with connect(create_plane(sample(NOW.date()), lambda: NOW), API_KEY) as client:
        refused = await client.request(method, f"{PROJECT}work-items/", json={"name": "x"})
    assert (refused.status_code, refused.json()) == (405, {"detail": f'Method "{method}" not allowed.'})


async def test_it_states_its_release_without_a_key() -> None:
    async with connect(create_plane(sample(NOW.date()), lambda: NOW), "") as client:
        instance = (await client.get("/api/instances/")).json()["instance"]
    assert instance["current_version"] == "v1.3.1"


async def test_calls_can_be_handled_in_its_place() -> None:
    async def handle(call: PlaneRequest, plane: Handler) -> PlaneResponse:
        return PlaneResponse(418) if call.path == "/tea" else await plane(call)

    async with connect(create_plane(sample(NOW.date()), lambda: NOW, handle=handle), API_KEY) as client:
        answers = [await client.get("/tea"), await client.get(ME)]
    assert [answer.status_code for answer in answers] == [418, 200]
