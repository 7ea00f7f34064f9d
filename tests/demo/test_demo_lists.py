"""Pages and orders of lists that are longer than the recorded ones."""

from datetime import UTC, date, datetime

import httpx
import msgspec
import pytest
from plane.world import RECORDINGS, connect

from icsfeed.demo.api import create_plane
from icsfeed.demo.paging import PageWindow, ordered, page
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import API_KEY, sample, sample_id

pytestmark = pytest.mark.anyio

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WEB = f"/api/v1/workspaces/acme-demo/projects/{sample_id('project', 'WEB')}/"


async def _walk(client: httpx.AsyncClient, path: str) -> list[str]:
    """Return all ids, page after page."""
    found, cursor = [], ""
    while True:
        answer = (await client.get(f"{path}{cursor}")).json()
        found += [row["id"] for row in answer["results"]]
        if not answer["next_page_results"]:
            return found
        cursor = f"&cursor={answer['next_cursor']}"


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
async def test_a_walk_over_the_pages_finds_every_issue_once(size: int) -> None:
    data = sample(TODAY, issues=50)
    async with connect(create_plane(data, lambda: NOW), API_KEY) as client:
        found = await _walk(client, f"{WEB}issues/?per_page={size}&fields=id")
    assert len(found) == 50
    assert set(found) == set(data.projects[sample_id("project", "WEB")].issues)


@pytest.mark.parametrize(
    ("total", "asked", "answer"),
    [
        (0, PageWindow(10), (0, 0, False, False)),
        (20, PageWindow(10), (10, 2, True, False)),
        (20, PageWindow(10, 1), (10, 2, False, True)),
        (21, PageWindow(10, 2), (1, 3, False, True)),
    ],
)
def test_a_page_states_its_place_in_the_list(
    total: int, asked: PageWindow, answer: tuple[int, int, bool, bool]
) -> None:
    body = page([{"id": str(number)} for number in range(total)], asked)
    keys = ("count", "total_pages", "next_page_results", "prev_page_results")
    assert tuple(body[key] for key in keys) == answer


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
