"""Loaded with the recorded workspace it answers the recorded requests as Plane v1.3.1 did."""

import re
from typing import Any

import httpx
import msgspec
import pytest

from plane.api import create_plane
from plane.data import PlaneData
from plane.recorded import load_recorded
from plane.world import RECORDINGS, connect

pytestmark = pytest.mark.anyio

BIG_WORKSPACE = {"order-target_date", "order-desc-target_date", "order-start_date", "order-desc-updated_at"}
NEEDS_A_STORY = {
    path.stem for path in RECORDINGS.glob("mut-*.json") if path.stem not in {"mut-issue-create"}
} | {"ratelimit-request-60", "ratelimit-request-61"}
NOT_SERVED = {"archived-cycles", "archived-modules"}
SHAPE_ONLY = {path.stem for path in RECORDINGS.glob("post-*.json")} | {
    "mut-issue-create",
    "cycles-view-current-as-bob-timezone",
    "cycles-view-current-as-carol-timezone",
    "headers-conditional",
    "ratelimit-request-01",
    "service-token-headers",
}
"""Writes, whose ids and times are new, and answers of an earlier seed of the workspace."""
HEADERS = ("content-type", "allow", "location", "vary", "x-frame-options", "x-content-type-options")
CUT = "(as in work-items-list.json)"


def _load() -> dict[str, Any]:
    left_out = BIG_WORKSPACE | NEEDS_A_STORY | NOT_SERVED | {"ids"}
    return {
        path.stem: msgspec.json.decode(path.read_bytes())
        for path in sorted(RECORDINGS.glob("*.json"))
        if path.stem not in left_out
    }


TAPE = _load()
EXACT = sorted(TAPE.keys() - SHAPE_ONLY)


async def _replayed(data: PlaneData, recording: Any) -> httpx.Response:
    """Asks what was asked; ids of the earlier seed differ in one digit."""
    request = recording["request"]
    path = re.sub(r"-5([0-9a-f]{3}-[89ab])", r"-4\1", request["path"])
    transport = httpx.ASGITransport(app=create_plane(data))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://plane") as client:
        body = None if request["body"] is None else msgspec.json.encode(request["body"])
        return await client.request(request["method"], path, headers=request["headers"], content=body)


def _header(recording: Any, name: str) -> str | None:
    return next((value for key, value in recording["headers"] if key.lower() == name), None)


def _json(response: httpx.Response, huge: str) -> Any:
    text = response.text.replace(msgspec.json.encode(huge).decode()[1:-1], CUT) if huge else response.text
    return msgspec.json.decode(text) if text else None


def _shape(value: Any) -> Any:
    """Keys and types; of a list the shape of its first item. The earlier seed had no created_by."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items() if key != "created_by"} | {
            "created_by": "created_by" in value
        }
    if isinstance(value, list):
        return [_shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.fixture(scope="module")
def reading() -> PlaneData:
    """For tests that change nothing."""
    return load_recorded(RECORDINGS)


@pytest.mark.parametrize("name", TAPE)
async def test_status_and_headers_are_those_of_plane(name: str) -> None:
    recording = TAPE[name]
    response = await _replayed(load_recorded(RECORDINGS), recording)
    assert response.status_code == int(recording["status_line"].split()[1])
    actual = {key: response.headers.get(key) for key in HEADERS}
    assert actual == {key: _header(recording, key) for key in HEADERS}
    limits = ("x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "etag", "last-modified")
    assert [key for key in limits if key in response.headers] == [k for k in limits if _header(recording, k)]


@pytest.mark.parametrize("name", EXACT)
async def test_the_body_is_that_of_plane(name: str, reading: PlaneData) -> None:
    recording = TAPE[name]
    response = await _replayed(reading, recording)
    huge = max((row["description_html"] for row in TAPE["work-items-list"]["body"]["results"]), key=len)
    body = _json(response, huge if "cut out" in recording.get("note", "") else "")
    if "trimmed" in recording.get("note", ""):
        body["results"] = body["results"][: len(recording["body"]["results"])]
    assert body == recording.get("body")


@pytest.mark.parametrize("name", sorted(SHAPE_ONLY))
async def test_the_body_has_the_keys_and_types_of_plane(name: str, reading: PlaneData) -> None:
    response = await _replayed(load_recorded(RECORDINGS), TAPE[name])
    assert _shape(response.json()) == _shape(TAPE[name]["body"])


@pytest.mark.parametrize(
    "name", ["post-xss", "post-crlf-name", "post-assignee-guest", "post-assignee-nonmember"]
)
async def test_a_created_issue_differs_from_the_recorded_one_only_in_what_is_new(name: str) -> None:
    response = await _replayed(load_recorded(RECORDINGS), TAPE[name])
    new = {"id", "created_at", "updated_at", "sequence_id", "sort_order"}
    actual = {key: value for key, value in response.json().items() if key not in new}
    assert actual == {key: value for key, value in TAPE[name]["body"].items() if key not in new}


@pytest.mark.parametrize(("who", "offset"), [("carol", "+05:30"), ("bob", "-05:00")])
async def test_datetimes_are_in_the_time_zone_of_the_key(who: str, offset: str, reading: PlaneData) -> None:
    recording = TAPE[f"cycles-view-current-as-{who}-timezone"]
    actual = (await _replayed(reading, recording)).json()[0]
    assert actual["start_date"] == recording["body"][0]["start_date"]
    assert actual["end_date"] == recording["body"][0]["end_date"]
    assert actual["created_at"].endswith(offset)


def test_most_recordings_are_held_against_it() -> None:
    assert len(EXACT) > 100


async def test_what_no_key_may_ask_is_refused_before_it_is_counted(reading: PlaneData) -> None:
    async with connect(create_plane(reading)) as client:
        assert (await client.get("/api/v1/workspaces/acme/")).status_code == 401
        assert (await client.get("/api/v1/users/me/")).headers["x-ratelimit-remaining"] == "59"


def test_the_recordings_fit_into_a_repository() -> None:
    assert sum(path.stat().st_size for path in RECORDINGS.glob("*.json")) < 1_000_000
