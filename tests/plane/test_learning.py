"""What a Plane refuses is learned once: the size of pages, named fields; readers see no error."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icsfeed.errors import BadAnswer, NoAccess, Unreachable
from icsfeed.model import Project
from icsfeed.plane.client import PlaneClient, open_client
from icsfeed.plane.shapes import IssueRow, StateRow, fields_of
from icsfeed.plane.traits import FIRST_SECONDS, MIN_PAGE_ROWS
from plane.test_plane_world import KEY, WEB, always, connect, page, row, rows

pytestmark = pytest.mark.anyio

COMMUNITY = {"detail": "Invalid per_page value. Cannot exceed {}."}
REFUSALS: Sequence[tuple[int, Any]] = (
    (400, COMMUNITY),
    (400, {"per_page": ["Ensure this value is less than or equal to {}."]}),
    (400, {"error": "Maximum page size is {}"}),
    (422, {"detail": [{"loc": ["query", "per_page"], "msg": "must be between 1 and {}"}]}),
    (400, {"error": "Bad request"}),
    (422, {"error_code": 4091, "error_message": "INVALID_PAGINATION"}),
    (400, []),
    (400, "no"),
    (400, {}),
)


class Strict:
    """A Plane that takes pages of `largest`, and `fields` of the names it knows; it counts its refusals.

    `cut`: whether it sends a smaller page without a word; its cursors then have this size, or the wanted one.
    """

    def __init__(
        self,
        found: list[Any],
        *,
        largest: int = 1000,
        refusal: tuple[int, Any] = REFUSALS[0],
        unknown: Sequence[str] = (),
        cut: bool = False,
        cursor_of_cut: bool = True,
        is_broken: bool = False,
    ) -> None:
        self.found, self.largest, self.refusal, self.unknown = found, largest, refusal, unknown
        self.cut, self.cursor_of_cut, self.is_broken = cut, cursor_of_cut, is_broken
        self.requests: list[httpx.Request] = []
        self.refused = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        params = request.url.params
        asked = int(params.get("per_page", self.largest))
        names = params.get("fields", "").split(",")
        if self.is_broken or {*names} & {*self.unknown} or (asked > self.largest and not self.cut):
            self.refused += 1
            status, body = self.refusal
            return httpx.Response(status, json=json.loads(json.dumps(body).replace("{}", str(self.largest))))
        size = min(asked, self.largest)
        number = int(params.get("cursor", "0:0:0").split(":")[1])
        # A cursor counts in pages of its size: one of the wanted size passes over what was cut off.
        step = size if self.cursor_of_cut else asked
        start = number * step
        more = start + size < len(self.found)
        following = f"{step}:{number + 1}:0"
        body = page(self.found[start : start + size], next_cursor=following, next_page_results=more)
        return httpx.Response(200, json={**body, "total_results": len(self.found), "extra_stats": {}})


@pytest.mark.parametrize("status", [400, 403, 404, 413, 414, 416])
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
async def test_a_gateway_that_refuses_large_pages_costs_one_request(status: int, kind: str) -> None:
    requests: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.params["per_page"])
        if int(requests[-1]) > 100:
            headers = {"content-type": kind}
            return httpx.Response(status, headers=headers, content=b'{"message": "blocked"}')
        return httpx.Response(200, json=page([row(1)], next_page_results=False))

    plane = connect(gateway)
    for _ in range(3):
        assert [issue.sequence_id for issue in (await plane.issues(WEB)).items] == [1]
    assert requests == ["1000", "100", "100", "100"]


async def test_once_a_large_page_was_sent_a_refusal_is_about_something_else() -> None:
    answers = [httpx.Response(200, json=page([row(1)])), httpx.Response(403, json={"detail": "no"})]
    requests: list[httpx.Request] = []

    def plane(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answers[len(requests) - 1]

    client = connect(plane)
    await client.issues(WEB)
    with pytest.raises(NoAccess):
        await client.states(WEB)
    assert len(requests) == 2


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[1]))
async def test_a_page_size_that_is_refused_in_any_words_costs_one_request(refusal: tuple[int, Any]) -> None:
    plane = Strict(rows(250), largest=100, refusal=refusal)
    client = connect(plane)

    for _ in range(2):
        assert len((await client.issues(WEB)).items) == 250
    assert (plane.refused, len(plane.requests)) == (1, 1 + 2 * 3)
    await client.states(WEB)
    assert plane.refused == 1, "learned for all lists"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[1]))
async def test_a_maximum_that_no_document_names_is_learned_too(refusal: tuple[int, Any]) -> None:
    plane = Strict(rows(120), largest=50, refusal=refusal)
    client = connect(plane)

    assert len((await client.issues(WEB)).items) == 120
    assert plane.refused <= 3
    before = plane.refused
    assert len((await client.issues(WEB)).items) == 120
    assert plane.refused == before


@pytest.mark.parametrize("cursor_of_cut", [True, False])
async def test_a_page_that_is_cut_without_a_word_is_read_on(cursor_of_cut: bool) -> None:
    plane = Strict(rows(250), largest=100, cut=True, cursor_of_cut=cursor_of_cut)
    client = connect(plane)

    for _ in range(2):
        assert len((await client.issues(WEB)).items) == 250
    assert len(plane.requests) == 2 * 3 + (not cursor_of_cut)
    assert {request.url.params["per_page"] for request in plane.requests[1:]} == {"100"}


async def test_a_short_page_is_not_taken_for_the_largest() -> None:
    few = MIN_PAGE_ROWS - 1
    plane = Strict(rows(few + 1), largest=few, cut=True)
    client = connect(plane)
    await client.issues(WEB)
    await client.issues(WEB)

    assert plane.requests[2].url.params["per_page"] == "1000"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[1]))
async def test_fields_that_are_refused_are_not_named_again(refusal: tuple[int, Any]) -> None:
    plane = Strict(rows(3), unknown=["type_id", "created_by"], refusal=refusal)
    client = connect(plane)

    for _ in range(3):
        assert len((await client.issues(WEB)).items) == 3
    assert plane.refused <= 3, "at first it may have been the size"
    assert [request.url.params.get("fields") for request in plane.requests[-2:]] == [None, None]
    await client.issue_ids(WEB)
    assert plane.requests[-1].url.params["fields"] == "id", "other lists name theirs"
    assert plane.requests[-1].url.params["per_page"] == "1000", "and the size was not at fault"


async def test_a_plane_that_refuses_fields_and_sizes_is_read() -> None:
    plane = Strict(rows(130), largest=100, unknown=["id"], refusal=(400, {"error": "no"}))
    client = connect(plane)

    assert len((await client.issues(WEB)).items) == 130
    assert len((await client.issues(WEB)).items) == 130
    before = plane.refused
    assert before <= 3
    assert len((await client.issues(WEB)).items) == 130
    assert plane.refused == before


async def test_the_look_for_changes_does_without_names_too() -> None:
    plane = Strict(rows(3), unknown=["type_id"])
    client = connect(plane)
    issues = (await client.issues(WEB)).items
    before = plane.refused

    assert await client.recent_issues(WEB, max(issue.updated for issue in issues)) is not None
    assert plane.refused == before


async def test_a_refusal_for_another_cause_is_an_error_and_is_soon_asked_for_once() -> None:
    plane = Strict(rows(3), is_broken=True, refusal=(400, {"error": "Something else"}))
    client = connect(plane)

    with pytest.raises(BadAnswer, match="Plane answered with 400"):
        await client.issues(WEB)
    first = len(plane.requests)
    assert first <= 4
    with pytest.raises(BadAnswer, match="400"):
        await client.issues(WEB)
    assert len(plane.requests) == first + 1
    plane.is_broken = False
    assert len((await client.issues(WEB)).items) == 3
    assert plane.requests[-1].url.params["fields"] == fields_of(IssueRow), "nothing wrong was learned"
    assert plane.requests[-1].url.params["per_page"] == "1000"


class Slow(httpx.AsyncBaseTransport):
    """Answers after others had the time to ask, or not at all."""

    def __init__(self, plane: Strict, failures: int = 0) -> None:
        self._plane = plane
        self._failures = failures

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        self._failures -= 1
        if self._failures >= 0:
            raise httpx.ConnectError("refused")
        return self._plane(request)


async def test_lists_that_are_read_at_the_same_time_learn_together() -> None:
    plane = Strict(rows(150), largest=100, unknown=["group"], refusal=(400, {"error": "no"}))
    client = PlaneClient("https://plane.test", "acme", client=open_client(KEY, Slow(plane)))
    projects = [Project(f"p{number}", f"P{number}", "") for number in range(6)]

    await asyncio.gather(*(client.issues(project) for project in projects))
    assert plane.refused == 1
    await asyncio.gather(*(client.states(project) for project in projects))
    assert plane.refused == 2


async def test_a_first_request_that_fails_holds_up_nobody_for_long() -> None:
    client = PlaneClient("https://plane.test", "acme", client=open_client(KEY, Slow(Strict(rows(3)), 1)))
    projects = [Project(f"p{number}", f"P{number}", "") for number in range(3)]

    reads = await asyncio.gather(*(client.issues(project) for project in projects), return_exceptions=True)

    assert [isinstance(read, Unreachable) for read in reads] == [True, False, False]


async def test_a_first_request_that_hangs_holds_up_nobody_for_long() -> None:
    hanging = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if "/p0/" in request.url.path:
            await hanging.wait()
        return httpx.Response(200, json=page([row(1)]))

    client = PlaneClient("https://plane.test", "acme", client=open_client(KEY, httpx.MockTransport(answer)))
    first = asyncio.create_task(client.issues(Project("p0", "P0", "")))
    await asyncio.sleep(0)

    async with asyncio.timeout(FIRST_SECONDS * 3):
        assert len((await client.issues(Project("p1", "P1", ""))).items) == 1
    hanging.set()
    assert len((await first).items) == 1


async def test_every_list_may_be_a_bare_array() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[row(1), row(2)])

    assert [issue.sequence_id for issue in (await connect(handler).issues(WEB)).items] == [1, 2]


async def test_a_bare_array_may_be_empty_but_not_of_members() -> None:
    client = connect(lambda _: httpx.Response(200, json=[]))

    assert await client.labels(WEB) == ()
    for answer in (httpx.Response(200, json=[]), httpx.Response(200, json=page([]))):
        with pytest.raises(BadAnswer, match="it is empty"):
            await connect(always(answer)).project_members(WEB)


async def test_members_may_come_in_pages() -> None:
    people = [{"id": f"u{number}", "display_name": f"p{number}"} for number in range(150)]
    plane = Strict(people, largest=100)

    assert len(await connect(plane).project_members(WEB)) == 150
    assert [request.url.params.get("per_page") for request in plane.requests] == [None, "100"]


@settings(deadline=None, max_examples=50)
@given(
    largest=st.integers(10, 1000),
    refusal=st.sampled_from(REFUSALS),
    unknown=st.sampled_from([(), ("type_id",), ("id",), ("group", "name")]),
    cut=st.booleans(),
    cursor_of_cut=st.booleans(),
)
async def test_whatever_a_plane_refuses_its_lists_are_read_whole_and_learning_ends(**options: Any) -> None:
    plane = Strict([{**row(n), "group": "started"} for n in range(1, 61)], **options)
    client = connect(plane)
    for _ in range(3):
        assert len((await client.issues(WEB)).items) == 60
        assert len(await client.states(WEB)) == 60
    before = plane.refused
    assert before <= 8

    assert len((await client.issues(WEB)).items) == len(await client.states(WEB)) == 60
    assert plane.refused == before
    assert fields_of(StateRow) == "id,name,group"
