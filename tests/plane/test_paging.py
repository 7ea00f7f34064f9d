"""Lists are read to the last page, in the fewest pages, and count only when they were one moment's."""

import asyncio
import json
from itertools import count, repeat
from typing import Any

import httpx
import pytest

from icsfeed.errors import BadAnswer, NotFound
from icsfeed.model import Project
from icsfeed.plane.client import PlaneClient, open_client
from plane.test_plane_world import (
    KEY,
    WEB,
    Change,
    ScriptedPlane,
    always,
    connect,
    page,
    recorded,
    recording,
    row,
    rows,
    rows_of,
)

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


def remove_first(rows: list[Any]) -> None:
    del rows[0]


def insert_first(rows: list[Any]) -> None:
    rows.insert(0, row(900_000 + len(rows)))


def append(rows: list[Any]) -> None:
    rows.append(row(900_000 + len(rows)))


def nothing(rows: list[Any]) -> None:
    pass


async def test_ten_thousand_issues_take_ten_requests() -> None:
    plane = ScriptedPlane(rows(10_000))

    read = await connect(plane).issues(WEB)

    assert (len(read.items), read.total, len(plane.requests)) == (10_000, 10_000, 10)
    assert set(plane.asked("per_page")) == {"1000"}
    assert plane.asked("cursor")[:3] == [None, "1000:1:0", "1000:2:0"]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000])
async def test_every_issue_is_read_at_the_edges_of_pages(size: int) -> None:
    plane = ScriptedPlane(rows(size))

    assert len((await connect(plane).issues(WEB)).items) == size
    assert len(plane.requests) == max(1, -(-size // 1000))


async def test_a_plane_that_allows_less_is_taken_at_its_word_and_remembered() -> None:
    plane = ScriptedPlane(rows(250), largest=100)
    client = connect(plane)

    assert len((await client.issues(WEB)).items) == 250
    assert plane.asked("per_page") == ["1000", "100", "100", "100"]
    assert len((await client.issues(WEB)).items) == 250
    assert plane.asked("per_page")[4:] == ["100", "100", "100"]


async def test_the_recorded_refusal_of_a_page_size_is_understood() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.params["per_page"] == "1000":
            answer = recorded("page-per-page-1001")
            return httpx.Response(answer.status_code, json={"detail": answer.json()["detail"][:-2] + "."})
        return httpx.Response(200, json=page([row(1)]))

    assert recording("page-per-page-1001")["body"]["detail"].endswith("Cannot exceed 1000.")
    assert len((await connect(handler).issues(WEB)).items) == 1


async def test_a_plane_that_refuses_the_size_it_allows_is_a_bad_answer() -> None:
    refusal = httpx.Response(400, json={"detail": "Invalid per_page value. Cannot exceed 1000."})

    with pytest.raises(BadAnswer, match="1000"):
        await connect(always(refusal)).issues(WEB)


async def test_a_plane_that_gives_less_without_a_word_is_read_to_the_end() -> None:
    plane = ScriptedPlane(rows(250), largest=100, clamps=True)

    assert len((await connect(plane).issues(WEB)).items) == 250
    assert plane.asked("cursor") == [None, "100:1:0", "100:2:0"]
    assert plane.asked("per_page") == ["1000", "100", "100"]


async def test_cursors_are_handed_on_as_they_are_whatever_they_look_like() -> None:
    pages = {None: ([row(1)], "opaque"), "opaque": ([row(2)], "")}

    def handler(request: httpx.Request) -> httpx.Response:
        found, following = pages[request.url.params.get("cursor")]
        more = {"next_cursor": following, "next_page_results": bool(following)}
        return httpx.Response(200, json={**page(found), **more, "total_results": 2})

    assert len((await connect(handler).issues(WEB)).items) == 2


async def test_recorded_pages_are_walked_by_their_cursors() -> None:
    everything = rows_of("work-items-list")

    def handler(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        if cursor is None:
            return recorded("work-items-page1")
        if cursor == "10:1:0":
            return recorded("work-items-page2")
        rest = page(everything[20:], next_page_results=False)
        return httpx.Response(200, json={**rest, "total_results": 45})

    assert {issue.id for issue in (await connect(handler).issues(WEB)).items} == {
        found["id"] for found in everything
    }


@pytest.mark.parametrize("path", ["work-items", "issues"])
async def test_issues_are_found_under_either_path_and_the_path_is_remembered(path: str) -> None:
    plane = ScriptedPlane(rows(3), path=path)
    client = connect(plane)

    for _ in range(3):
        assert len((await client.issues(WEB)).items) == 3
    assert len(plane.requests) == (3 if path == "work-items" else 4)


async def test_a_plane_that_is_upgraded_while_we_run_is_found_again() -> None:
    plane = ScriptedPlane(rows(3), path="issues")
    client = connect(plane)
    await client.issues(WEB)

    plane.path = "work-items"

    assert len((await client.issues(WEB)).items) == 3


async def test_a_plane_that_knows_neither_path_is_not_found() -> None:
    with pytest.raises(NotFound, match="issues of WEB"):
        await connect(ScriptedPlane([], path="tickets")).issues(WEB)


class Slow(httpx.AsyncBaseTransport):
    """Answers after others had the time to ask."""

    def __init__(self, plane: ScriptedPlane) -> None:
        self._plane = plane

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return self._plane(request)


@pytest.mark.parametrize(("path", "largest"), [("issues", 1000), ("work-items", 100), ("issues", 100)])
async def test_projects_read_at_the_same_time_find_an_older_planes_ways_together(
    path: str, largest: int
) -> None:
    plane = ScriptedPlane(rows(250), path=path, largest=largest)
    client = PlaneClient("https://plane.test", "acme", client=open_client(KEY, Slow(plane)))
    projects = [Project(f"p{number}", f"P{number}", "") for number in range(4)]

    reads = await asyncio.gather(*(client.issues(project) for project in projects))

    assert [len(read.items) for read in reads] == [250] * 4


@pytest.mark.parametrize("change", [remove_first, insert_first], ids=["removed", "inserted"])
async def test_pages_that_shift_are_read_again(change: Change) -> None:
    plane = ScriptedPlane(rows(250), largest=100, clamps=True, changes=[change])

    read = await connect(plane).issues(WEB)

    assert [issue.sequence_id for issue in read.items] == [found["sequence_id"] for found in plane.rows]
    assert None in plane.asked("cursor")[1:]


async def test_an_issue_that_appears_at_the_end_is_read_at_once() -> None:
    plane = ScriptedPlane(rows(250), largest=100, clamps=True, changes=[append])

    assert len((await connect(plane).issues(WEB)).items) == 251
    assert len(plane.requests) == 3


async def test_issues_are_asked_for_in_the_order_of_their_creation() -> None:
    plane = ScriptedPlane(rows(1))
    await connect(plane).issues(WEB)

    assert plane.asked("order_by") == ["created_at"]


@pytest.mark.parametrize("change", [remove_first, insert_first], ids=["removed", "inserted"])
async def test_pages_that_never_settle_are_a_bad_answer_after_three_readings(change: Change) -> None:
    plane = ScriptedPlane(rows(1000), largest=100, clamps=True, changes=repeat(change))

    with pytest.raises(BadAnswer, match="changed during each of 3"):
        await connect(plane).issues(WEB)
    assert plane.asked("cursor").count(None) == 3


async def test_the_third_reading_counts_when_it_is_good() -> None:
    changes = [remove_first, nothing, nothing, remove_first]
    plane = ScriptedPlane(rows(250), largest=100, clamps=True, changes=changes)

    assert len((await connect(plane).issues(WEB)).items) == 248
    assert plane.asked("cursor").count(None) == 3


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"total_results": 2}, "fewer than the total"),
        ({"total_results": 0}, "more than the total"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_list_that_does_not_have_the_length_it_states_does_not_count(
    fields: dict[str, object], why: str
) -> None:
    with pytest.raises(BadAnswer, match="changed during each of 3"):
        await connect(always(httpx.Response(200, json=page([row(1)], **fields)))).issues(WEB)


async def test_an_issue_that_is_listed_twice_does_not_count() -> None:
    with pytest.raises(BadAnswer):
        await connect(always(httpx.Response(200, json=page([row(1), row(1)])))).issues(WEB)


@pytest.mark.parametrize(
    ("found", "cursor"),
    [([row(1)], "100:1:0"), ([], None)],
    ids=["the cursor repeats", "pages are empty"],
)
async def test_pages_without_an_end_are_a_bad_answer(found: list[Any], cursor: str | None) -> None:
    numbers = count(1)

    def handler(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        results = [row(number)] if found else []
        following = cursor or f"100:{number}:0"
        more = {"next_cursor": following, "next_page_results": True, "total_results": 1_000_000}
        return httpx.Response(200, json=page(results, **more))

    with pytest.raises(BadAnswer, match="no end"):
        await connect(handler).issues(WEB)
    assert next(numbers) < 5


async def test_endless_new_pages_stop_when_they_pass_the_total() -> None:
    numbers = count(1)

    def handler(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        more = {"next_cursor": f"1:{number}:0", "next_page_results": True, "total_results": 3}
        return httpx.Response(200, json=page([row(number)], **more))

    with pytest.raises(BadAnswer):
        await connect(handler).issues(WEB)
    assert next(numbers) < 20


async def test_endless_new_pages_without_a_total_stop_too() -> None:
    numbers = count(1)

    def handler(request: httpx.Request) -> httpx.Response:
        number = next(numbers)
        more = {"next_cursor": f"1:{number}:0", "next_page_results": True, "total_results": None}
        return httpx.Response(200, json=page([row(number)], **more))

    with pytest.raises(BadAnswer, match="no end"):
        await connect(handler).issues(WEB)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"results": []},
        {"results": None, "next_page_results": False},
        {"results": {}, "next_page_results": False},
        {"results": [], "next_page_results": "false"},
        "text",
        7,
        None,
    ],
)
async def test_an_answer_that_is_no_page_is_never_an_empty_list(body: object) -> None:
    with pytest.raises(BadAnswer, match="not a page"):
        await connect(always(httpx.Response(200, headers=JSON, content=json.dumps(body)))).projects()


@pytest.mark.parametrize("more", [{}, {"next_page_results": None}], ids=["missing", "null"])
@pytest.mark.parametrize("total", [None, "3", 3.0, [], True], ids=repr)
async def test_pages_are_read_to_the_end_without_a_word_on_whether_there_are_more(
    more: dict[str, object], total: object
) -> None:
    def plane(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("cursor", "2:0:0").split(":")[1])
        found = [row(1), row(2), row(3)][2 * number : 2 * number + 2]
        body = {"results": found, "next_cursor": f"2:{number + 1}:0", "total_results": total, **more}
        return httpx.Response(200, json=body)

    assert [issue.sequence_id for issue in (await connect(plane).issues(WEB)).items] == [1, 2, 3]


async def test_a_cursor_that_is_none_ends_no_list_in_the_middle() -> None:
    body = {"results": [row(1)], "next_page_results": True, "next_cursor": False}
    with pytest.raises(BadAnswer):
        await connect(always(httpx.Response(200, json=body))).issues(WEB)
