"""Changes: what Plane accepts, what it refuses, and what moves when something is saved."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from plane.api import create_plane
from plane.data import PlaneData
from plane.sanitize import sanitized
from plane.world import RECORDINGS, Clock, connect

pytestmark = pytest.mark.anyio

BOB = "plane_api_b0b00000000000000000000000000002"
DONE = "3e324a2b-2e3e-4764-ba70-d23f59bb0073"
TODO = "4b69ec16-87b0-430a-b2b3-ae121b804cfa"
DUE_ONLY = "02387346-52e2-4710-b3da-9c75299efcb9"
PARENT = "038674e9-cebf-40af-8e4f-346e9c5b35e1"
CURRENT = "0ae532c4-95e4-4ff2-9e42-52e77f72a743"
UPCOMING = "b73263b4-4c73-47a0-b54a-a58031faed65"
MODULE = "d269f699-d863-4271-be9c-2b8abeb9739e"


async def _write(data: PlaneData, method: str, path: str, body: object = None) -> Any:
    async with connect(create_plane(data)) as client:
        return await client.request(method, path, json=body)


async def test_a_new_issue_is_listed_first_and_has_the_next_number(data: PlaneData, web: str) -> None:
    body = {"name": " New ", "target_date": "2027-01-31"}
    made = await _write(data, "POST", f"{web}work-items/", body)
    listed = await _write(data, "GET", f"{web}work-items/?per_page=1")
    assert made.status_code == 201
    assert made.json()["name"] == "New"
    assert made.json()["sequence_id"] == 52
    assert listed.json()["results"] == [made.json()]
    assert listed.json()["total_results"] == 46


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, {"name": ["This field is required."]}),
        ({"name": None}, {"name": ["This field may not be null."]}),
        ({"name": 5}, {"name": ["Not a valid string."]}),
        (
            {"name": "x", "target_date": "2027-02-30"},
            {"target_date": ["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]},
        ),
        ({"name": "x", "state": "nope"}, {"state": ['Invalid pk "nope" - object does not exist.']}),
        (
            {"name": "", "priority": 1},
            {"name": ["This field may not be blank."], "priority": ['"1" is not a valid choice.']},
        ),
    ],
)
async def test_wrong_fields_are_named(body: object, answer: object, data: PlaneData, web: str) -> None:
    refused = await _write(data, "POST", f"{web}work-items/", body)
    assert (refused.status_code, refused.json()) == (400, answer)


async def test_a_body_that_is_no_object_is_refused(data: PlaneData, web: str) -> None:
    refused = await _write(data, "POST", f"{web}work-items/", ["x"])
    assert refused.status_code == 400


async def test_every_save_moves_updated_at_even_when_the_clock_stands_still(
    data: PlaneData, web: str
) -> None:
    path = f"{web}work-items/{DUE_ONLY}/"
    before = (await _write(data, "GET", path)).json()
    first = (await _write(data, "PATCH", path, {"name": before["name"]})).json()
    second = (await _write(data, "PATCH", path, {"name": before["name"]})).json()
    times = [datetime.fromisoformat(row["updated_at"]) for row in (before, first, second)]
    assert times[0] < times[1] < times[2]
    assert first["updated_by"] == before["created_by"]
    assert {k: first[k] for k in first if "updated" not in k} == {
        k: before[k] for k in before if "updated" not in k
    }


async def test_completed_at_moves_with_every_save_of_a_done_issue(data: PlaneData, clock: Clock) -> None:
    done = data.patch_issue(DUE_ONLY, {"state": DONE})["completed_at"]
    clock.move(60)
    again = data.patch_issue(DUE_ONLY, {"name": "x"})["completed_at"]
    assert done < again
    assert data.patch_issue(DUE_ONLY, {"state": TODO})["completed_at"] is None


async def test_a_patch_may_set_the_target_before_the_start(data: PlaneData, web: str) -> None:
    path = f"{web}work-items/b1601b41-7fcc-42a3-a811-07f482f6f550/"
    saved = await _write(data, "PATCH", path, {"target_date": "2026-11-01"})
    assert saved.status_code == 200
    assert saved.json()["start_date"] > saved.json()["target_date"]


async def test_a_date_is_taken_away_with_null(data: PlaneData, web: str) -> None:
    changes = {"target_date": None, "parent": PARENT, "external_id": "E-1"}
    saved = (await _write(data, "PATCH", f"{web}work-items/{DUE_ONLY}/", changes)).json()
    assert {name: saved[name] for name in changes} == changes


async def test_a_deleted_issue_is_gone_everywhere(data: PlaneData, web: str) -> None:
    gone = await _write(data, "DELETE", f"{web}work-items/{PARENT}/")
    again = await _write(data, "GET", f"{web}work-items/{PARENT}/")
    sprint = (await _write(data, "GET", f"{web}cycles/{CURRENT}/cycle-issues/?fields=id")).json()
    assert (gone.status_code, gone.content, again.status_code) == (204, b"", 404)
    assert {"id": PARENT} not in sprint["results"]
    assert data.issue("72dc9fa2-d7cd-4974-a956-f603d94a7e14")["parent"] is None


async def test_an_archived_issue_is_neither_listed_nor_found(data: PlaneData, web: str) -> None:
    data.archive_issue(DUE_ONLY)
    assert (await _write(data, "GET", f"{web}work-items/{DUE_ONLY}/")).status_code == 404
    assert (await _write(data, "GET", f"{web}work-items/?per_page=1")).json()["total_results"] == 44


async def test_an_issue_is_in_one_cycle_at_most(data: PlaneData, web: str) -> None:
    before = data.issue(PARENT)["updated_at"]
    links = await _write(data, "POST", f"{web}cycles/{UPCOMING}/cycle-issues/", {"issues": [PARENT]})
    sprints = (await _write(data, "GET", f"{web}cycles/")).json()["results"]
    recorded = msgspec.json.decode((RECORDINGS / "mut-cycle-issue-add.json").read_bytes())["body"]
    assert links.json()[0]["issue"] == PARENT
    assert links.json()[0].keys() == recorded[0].keys()
    assert {row["id"]: row["total_issues"] for row in sprints}[CURRENT] == 3
    assert {row["id"]: row["total_issues"] for row in sprints}[UPCOMING] == 2
    assert data.issue(PARENT)["updated_at"] > before


async def test_joining_a_module_does_not_move_updated_at_but_leaving_does(data: PlaneData, web: str) -> None:
    path, before = f"{web}modules/{MODULE}/module-issues/", data.issue(PARENT)["updated_at"]
    await _write(data, "POST", path, {"issues": [PARENT]})
    assert data.issue(PARENT)["updated_at"] == before
    left = await _write(data, "DELETE", f"{path}{PARENT}/")
    assert left.status_code == 204
    assert data.issue(PARENT)["updated_at"] > before


@pytest.mark.parametrize(
    ("method", "tail", "body", "status"),
    [
        ("POST", f"cycles/{CURRENT}/cycle-issues/", {}, 400),
        ("POST", f"cycles/{TODO}/cycle-issues/", {"issues": [PARENT]}, 404),
        ("DELETE", f"cycles/{CURRENT}/cycle-issues/{DUE_ONLY}/", None, 404),
        ("GET", f"cycles/{CURRENT}/cycle-issues/{DUE_ONLY}/", None, 405),
        ("POST", "states/", {"name": "x"}, 405),
    ],
)
async def test_links_that_make_no_sense_are_refused(
    method: str, tail: str, body: object, status: int, data: PlaneData, web: str
) -> None:
    assert (await _write(data, method, f"{web}{tail}", body)).status_code == status


async def test_an_edited_state_moves_no_issue(data: PlaneData) -> None:
    project = data.project_of(DUE_ONLY)
    before = [issue["updated_at"] for issue in project.issues.values()]
    data.edit(project.states[TODO], name="To do")
    assert project.states[TODO]["name"] == "To do"
    assert [issue["updated_at"] for issue in project.issues.values()] == before


async def test_an_unknown_object_is_nowhere(data: PlaneData) -> None:
    with pytest.raises(KeyError):
        data.project_of("nope")


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("a & b < c", "a &amp; b &lt; c"),
        ("<P CLASS=x>y</P>", '<p class="x">y</p>'),
        ('<a href="https://x.example/?a=1&amp;b=2">y</a>',
         '<a href="https://x.example/?a=1&amp;b=2" rel="noopener noreferrer">y</a>'),
        ("<style>p{}</style><iframe src='//x'>in</iframe><br/>", "in<br>"),
        ('<ul data-type="taskList"><li data-checked="true">x</li></ul>',
         '<ul data-type="taskList"><li data-checked="true">x</li></ul>'),
        ('<img src=" JavaScript:x()" alt="a &quot;b&quot;">', '<img alt="a &quot;b&quot;">'),
    ],
)  # fmt: skip
async def test_descriptions_are_cleaned(html: str, clean: str) -> None:
    assert sanitized(html) == clean
