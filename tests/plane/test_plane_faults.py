"""Each failure on demand does what it says, as often as it was asked for."""

import json

import httpx
import pytest

from plane import faults as f
from plane.api import create_plane
from plane.data import PlaneData
from plane.world import connect, served

pytestmark = pytest.mark.anyio


async def _asked(
    data: PlaneData, web: str, fault: f.Fault, path: str = "work-items/?per_page=10"
) -> httpx.Response:
    faults = f.Faults()
    faults.add(r"/projects/", fault)
    async with connect(create_plane(data, faults=faults)) as client:
        return await client.get(f"{web}{path}")


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (f.server_error(), 500, "application/json"),
        (f.bad_gateway(), 502, "text/html"),
        (f.wrong_type(), 200, "text/html; charset=utf-8"),
        (f.refused(), 403, "application/json"),
        (f.throttled(7), 429, "application/json"),
        (f.answering(503, b"{}"), 503, "application/json"),
    ],
)
async def test_a_fault_answers_in_place_of_plane(
    fault: f.Fault, status: int, kind: str, data: PlaneData, web: str
) -> None:
    answer = await _asked(data, web, fault)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_a_fault_is_used_up_and_then_all_is_well(data: PlaneData, web: str) -> None:
    faults = f.Faults()
    faults.add(r"GET .*/states/", f.bad_gateway(), times=2)
    faults.add(r"/states/", f.server_error())
    async with connect(create_plane(data, faults=faults)) as client:
        statuses = [(await client.get(f"{web}states/")).status_code for _ in range(4)]
        other = await client.get(f"{web}labels/")
    assert statuses == [502, 502, 500, 200]
    assert other.status_code == 200


async def test_a_fault_without_end_lasts_until_it_is_cleared(data: PlaneData, web: str) -> None:
    faults = f.Faults()
    faults.add("", f.server_error(), times=None)
    async with connect(create_plane(data, faults=faults)) as client:
        before = [(await client.get(web)).status_code for _ in range(5)]
        faults.clear()
        after = await client.get(web)
    assert (before, after.status_code) == ([500] * 5, 200)


async def test_requests_are_remembered_without_their_key(data: PlaneData, web: str) -> None:
    faults = f.Faults()
    async with connect(create_plane(data, faults=faults)) as client:
        await client.get(f"{web}work-items/?per_page=1&order_by=-updated_at")
        await client.post(f"{web}work-items/", json={"name": "x"})
        await client.get("/nope")
    assert [seen.line for seen in faults.requests] == [
        f"GET {web}work-items/?per_page=1&order_by=-updated_at",
        f"POST {web}work-items/",
        "GET /nope",
    ]
    assert (faults.count(), faults.count("^GET"), faults.count("per_page=1")) == (3, 2, 1)
    assert "plane_api" not in repr(faults.requests)


@pytest.mark.parametrize("fault", [f.cut_off(), f.edited(lambda page: page.clear())])
async def test_bodies_can_be_read_by_those_who_accept_gzip_too(
    fault: f.Fault, data: PlaneData, web: str
) -> None:
    answer = await _asked(data, web, fault)
    assert "content-encoding" not in answer.headers


async def test_cut_off_json_is_a_sound_answer_with_half_a_body(data: PlaneData, web: str) -> None:
    answer = await _asked(data, web, f.cut_off())
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_an_answer_is_delayed_by_the_given_sleep(data: PlaneData, web: str) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    answer = await _asked(data, web, f.delayed(30, sleep))
    assert (answer.status_code, slept) == (200, [30])


async def test_an_answer_drips(data: PlaneData, web: str) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    answer = await _asked(data, web, f.dripping(100, 0.5, sleep), "members/")
    assert len(answer.json()) == 6
    assert slept == [0.5] * -(-int(answer.headers["content-length"]) // 100)


async def test_an_error_of_the_transport_reaches_the_client(data: PlaneData, web: str) -> None:
    with pytest.raises(httpx.ReadError, match="reset"):
        await _asked(data, web, f.raising(httpx.ReadError("reset")))


async def test_a_redirect_leads_to_itself(data: PlaneData, web: str) -> None:
    answer = await _asked(data, web, f.redirected())
    assert (answer.status_code, answer.headers["location"]) == (302, f"{web}work-items/?per_page=10")


async def test_a_redirect_loop_ends_in_too_many(data: PlaneData, web: str) -> None:
    faults = f.Faults()
    faults.add("", f.redirected(), times=None)
    async with connect(create_plane(data, faults=faults)) as client:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(web, follow_redirects=True)


async def test_pages_shift_while_they_are_read(data: PlaneData, web: str) -> None:
    project = data.project_of("02387346-52e2-4710-b3da-9c75299efcb9").row["id"]
    faults = f.Faults()
    faults.add(r"per_page=20$", f.followed_by(lambda: data.create_issue(project, {"name": "in between"})))
    path = f"{web}work-items/?fields=id&per_page=20"
    async with connect(create_plane(data, faults=faults)) as client:
        pages = [
            (await client.get(f"{path}{more}")).json() for more in ("", "&cursor=20:1:0", "&cursor=20:2:0")
        ]
    ids = [row["id"] for page in pages for row in page["results"]]
    assert [page["total_results"] for page in pages] == [45, 46, 46]
    assert len(ids) - len(set(ids)) == 1


async def test_an_id_is_repeated(data: PlaneData, web: str) -> None:
    body = (await _asked(data, web, f.repeated())).json()
    assert body["results"][0] == body["results"][-1]
    assert body["count"] == len(body["results"]) == 10


@pytest.mark.parametrize(
    "fields", [{"id": ...}, {"target_date": "soon"}, {"name": None}, {"id": ..., "state": 5}]
)
async def test_one_issue_is_malformed(fields: dict[str, object], data: PlaneData, web: str) -> None:
    first, second = (await _asked(data, web, f.malformed(**fields))).json()["results"][:2]
    for name, value in fields.items():
        assert first.get(name, ...) == value
    assert second["id"]


async def test_a_broken_answer_closes_the_connection(data: PlaneData) -> None:
    faults = f.Faults()
    faults.add("", f.broken())
    async with served(create_plane(data, faults=faults)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/api/v1/users/me/")
        assert (await client.get("/api/v1/users/me/")).status_code == 200


async def test_an_error_is_a_500(data: PlaneData) -> None:
    faults = f.Faults()
    faults.add("", f.raising(RuntimeError("on purpose")))
    async with served(create_plane(data, faults=faults)) as client:
        assert (await client.get("/api/v1/users/me/")).status_code == 500
