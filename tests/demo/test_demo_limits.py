"""The rate limit of a key, and the answers that do not count against it."""

from datetime import timedelta

import pytest
from plane.world import Clock, connect

from icsfeed.demo.access import KeyLimits
from icsfeed.demo.api import create_plane
from icsfeed.demo.data import DemoData, DemoKey

pytestmark = pytest.mark.anyio

ME = "/api/v1/users/me/"
SERVICE = "plane_api_5e4f1ce0000000000000000000000007"


async def test_the_61st_request_of_a_minute_is_refused_until_the_first_is_a_minute_old(
    data: DemoData, clock: Clock
) -> None:
    async with connect(create_plane(data, clock)) as client:
        left = []
        for _ in range(60):
            left.append((await client.get(ME)).headers["x-ratelimit-remaining"])
            clock.move(0.5)
        refused = await client.get(ME)
        clock.move(30)
        allowed = await client.get(ME)
    assert left == [str(number) for number in range(59, -1, -1)]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert refused.json() == {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    assert "x-ratelimit-remaining" not in refused.headers
    assert allowed.status_code == 200


async def test_reset_says_now_and_a_minute_and_nothing_else(data: DemoData, clock: Clock) -> None:
    async with connect(create_plane(data, clock)) as client:
        first = (await client.get(ME)).headers["x-ratelimit-reset"]
        clock.move(10)
        second = (await client.get(ME)).headers["x-ratelimit-reset"]
    assert (int(first), int(second)) == (int(clock.now.timestamp()) + 50, int(clock.now.timestamp()) + 60)


async def test_service_keys_have_more_and_both_can_be_set(data: DemoData, clock: Clock) -> None:
    async with connect(create_plane(data, clock), SERVICE) as client:
        assert (await client.get(ME)).headers["x-ratelimit-remaining"] == "299"
    async with connect(create_plane(data, clock, limits=KeyLimits(person=1))) as client:
        assert [(await client.get(ME)).status_code for _ in range(2)] == [200, 429]


async def test_each_key_has_its_own_limit(data: DemoData, clock: Clock) -> None:
    app = create_plane(data, clock, limits=KeyLimits(person=1))
    bob = "plane_api_b0b00000000000000000000000000002"
    async with connect(app) as client:
        answers = [await client.get(ME), await client.get(ME, headers={"X-API-Key": bob})]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/users/me", 301),
        ("/api/v1/nope/", 404),
        ("/api/v1/workspaces/nope/projects/", 403),
        ("/api/instances/", 200),
    ],
)
async def test_what_is_refused_before_the_work_begins_is_not_counted(
    path: str, status: int, data: DemoData, clock: Clock
) -> None:
    async with connect(create_plane(data, clock)) as client:
        assert (await client.get(path)).status_code == status
        assert (await client.get(ME)).headers["x-ratelimit-remaining"] == "59"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_a_wrong_method_is_counted(method: str, data: DemoData, clock: Clock) -> None:
    async with connect(create_plane(data, clock)) as client:
        answer = await client.request(method, ME)
    assert answer.status_code == 405
    assert answer.headers["x-ratelimit-remaining"] == "59"


async def test_a_key_expires_while_the_server_runs(data: DemoData, clock: Clock) -> None:
    user = next(iter(data.users))
    data.keys["short"] = DemoKey("short", user, expires=clock.now + timedelta(seconds=5))
    async with connect(create_plane(data, clock), "short") as client:
        assert (await client.get(ME)).status_code == 200
        clock.move(5)
        assert (await client.get(ME)).json() == {"detail": "Given API token is not valid"}
