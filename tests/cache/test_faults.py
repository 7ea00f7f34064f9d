"""The fault table: what a subscriber, the health page and Plane see of each way in which Plane can fail."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import httpx
import pytest
from app_world import World, event, events, quick, settings, titles
from plane import faults as f
from plane.faults import Fault
from simulated import BACKEND, LoopClock, living

from icsfeed.config.schema import Cache, Config, Duration, Feed
from icsfeed.demo.sample import sample_id
from icsfeed.demo.wire import Handler, PlaneRequest, PlaneResponse

pytestmark = pytest.mark.anyio

BOUND = 300 + 60 + 30
"""Seconds from Plane's recovery to a right feed: the longest backoff, the issues' TTL, and looks between."""
FULL = 3_600
"""Seconds after which issues are read whole again; as configured here."""
HEALTHY = 550
"""Requests that a healthy server makes in an hour of these three projects."""
ISSUES = r"projects/[^/]+/(work-items|issues)/\?"
FEED = "everything"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return BACKEND


def config() -> Config:
    feeds = {FEED: Feed(everything=True, public=True, stale_notice=Duration(86_400))}
    return settings(feeds, cache=Cache(full=Duration(FULL)))


class Case(NamedTuple):
    """A row. `where`: which requests fail. `reason`: what /health/ready says while there is no copy.

    `retry`: the least Retry-After. `most`: requests in the hour.
    `late`: seconds that a request may still hang after the fault. `pages`: the lists are long.
    """

    fault: Callable[[World], Fault]
    reason: str
    where: str = ""
    retry: int = 1
    most: int = 60
    late: int = 0
    pages: bool = False


def always(fault: Fault) -> Callable[[World], Fault]:
    return lambda _: fault


def raising(error: Exception) -> Callable[[World], Fault]:
    return always(f.raising(error))


def denied(status: int, body: bytes) -> Callable[[World], Fault]:
    return always(f.answering(status, body))


def shifting(world: World) -> Fault:
    """After each page the oldest issue is deleted, so that the pages that follow move up."""
    project = world.data.projects[sample_id("project", "WEB")]

    async def fault(call: PlaneRequest, handler: Handler) -> PlaneResponse:
        reply = await handler(call)
        if project.row["id"] in call.path:
            world.data.delete_issue(next(iter(project.issues)))
            for _ in range(0 if "cursor=" in call.query else 3):
                world.data.create_issue(project.row["id"], {"name": "one more", "target_date": "2026-12-01"})
        return reply

    return fault


TLS = httpx.ConnectError(
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"
)
FORBIDDEN = b'{"detail":"You do not have permission to perform this action."}'
CASES = {
    "time-out": Case(raising(httpx.ReadTimeout("")), "unreachable"),
    "never any answer": Case(always(f.delayed(1e9)), "unreachable", late=120),
    "refused connection": Case(raising(httpx.ConnectError("Connection refused")), "unreachable"),
    "connection lost": Case(raising(httpx.RemoteProtocolError("peer closed")), "unreachable"),
    "TLS error": Case(raising(TLS), "unreachable"),
    "401": Case(denied(401, b'{"detail":"Authentication credentials were not provided."}'), "key refused"),
    "403, the key": Case(always(f.refused()), "key refused"),
    "403, no permission": Case(denied(403, FORBIDDEN), "no access"),
    "404": Case(denied(404, b'{"error": "The requested resource does not exist."}'), "not found"),
    "404, no such path": Case(denied(404, b'{"error": "Page not found."}'), "not plane"),
    "429": Case(always(f.throttled(120)), "throttled", retry=100),
    "429 for an hour": Case(always(f.throttled(3600)), "throttled", retry=3000, most=2, late=600),
    "500": Case(always(f.server_error()), "server error"),
    "502 with HTML": Case(always(f.bad_gateway()), "unreachable"),
    "cut-off JSON": Case(always(f.cut_off()), "bad answer"),
    "wrong content type": Case(always(f.wrong_type()), "not plane"),
    "endless redirect": Case(always(f.redirected()), "not plane"),
    "slow drip": Case(always(f.dripping(1, 5.0)), "unreachable", late=120),
    # Of one resource only: the rest of Plane is read as ever.
    "issues: 403": Case(denied(403, FORBIDDEN), "no access", ISSUES, most=HEALTHY),
    "issues: 500": Case(always(f.server_error()), "server error", ISSUES, most=200),
    "issues: cut off": Case(always(f.cut_off()), "bad answer", ISSUES, most=HEALTHY),
    "issues: duplicate ids": Case(always(f.repeated()), "bad answer", ISSUES, most=HEALTHY),
    "members: 500": Case(always(f.server_error()), "server error", "members/", most=HEALTHY),
    "states: cut off": Case(always(f.cut_off()), "bad answer", "states/", most=HEALTHY),
    "pages that never settle": Case(shifting, "bad answer", ISSUES, most=1000, pages=True),
    "a missing page": Case(
        denied(404, b'{"error": "The requested resource does not exist."}'),
        "not found",
        "cursor=",
        most=HEALTHY,
        pages=True,
    ),
}


@pytest.mark.parametrize("query", ["", "?cycle=Sprint%2011"])
@pytest.mark.parametrize("feed", ["everything", "project-prop"])
async def test_nobody_waits_longer_than_the_deadline(feed: str, query: str) -> None:
    async with living(quick(deadline=5.0), watching=False) as world:
        world.faults.add("", f.delayed(30), None)
        clock = asyncio.get_running_loop().time
        started = clock()
        assert (await world.get(feed, query)).status_code == 503
        assert clock() - started == pytest.approx(5.0)


async def test_one_project_that_fails_keeps_no_other_from_being_fresh() -> None:
    for fault, where in ((f.server_error(), "WEB"), (f.cut_off(), "WEB"), (f.server_error(), "")):
        async with living() as world:
            await world.get(FEED)
            project = f"projects/{sample_id('project', where)}/" if where else "members/"
            world.faults.add(project, fault, times=None)
            await asyncio.sleep(900)
            for n in range(5):
                world.change("PROP", 3, name=f"Change {n}")
                await asyncio.sleep(150)
                answer = await world.get("property")
                assert any(f"Change {n}" in title for title in titles(answer.content)), (where, n)


async def reading(world: World, minutes: int) -> list[httpx.Response]:
    """One reader who comes every minute."""
    answers = []
    for _ in range(minutes):
        await asyncio.sleep(60)
        answers.append(await world.get(FEED))
    return answers


async def reasons(world: World) -> tuple[int, dict[str, str]]:
    answer = await world.ask("GET", "/health/ready")
    return answer.status_code, answer.json()["reasons"]


async def problem(world: World) -> str | None:
    """What health says is wrong with the workspace."""
    health = (await world.ask("GET", "/api/v1/health")).json()
    found: str | None = health["copies"]["demo"]["problem"]
    assert (health["status"], health["metrics"]["plane_api_connection"]) == (
        ("degraded", found) if found else ("healthy", "ok")
    )
    return found


async def recovers(world: World, wait: float = 0) -> None:
    """All is well again: what was changed meanwhile is in the feed within the bound, by itself."""
    world.faults.clear()
    world.change("PROP", 3, name="Changed meanwhile")
    await asyncio.sleep(BOUND + wait)
    asked = world.faults.count()
    answer = await world.get(FEED)
    assert world.faults.count() - asked <= 40
    assert answer.status_code == 200
    assert any("Changed meanwhile" in title for title in titles(answer.content))
    assert await reasons(world) == (200, {})
    assert await problem(world) is None


@pytest.mark.parametrize("name", CASES)
async def test_a_cold_server_says_503_and_when_to_come_back(name: str) -> None:
    case = CASES[name]
    version = "v0.22" if case.pages else "v1.3.1"
    async with living(config(), issues=250 if case.pages else 0, version=version) as world:
        world.faults.add(case.where, case.fault(world), times=None)
        first = await world.get(FEED)
        answers = [first, *await reading(world, 59)]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["content-type"] for answer in answers} == {"text/plain; charset=utf-8"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 3601 for answer in answers)
        assert max(int(answer.headers["retry-after"]) for answer in answers) >= case.retry
        assert await reasons(world) == (503, {"demo": case.reason})
        assert await problem(world) == case.reason
        assert world.faults.count() <= case.most
        await recovers(world, wait=case.retry + case.late)


@pytest.mark.parametrize("name", CASES)
async def test_a_warm_server_serves_the_last_good_copy(name: str) -> None:
    case = CASES[name]
    version = "v0.22" if case.pages else "v1.3.1"
    async with living(config(), issues=250 if case.pages else 0, version=version) as world:
        good = await world.get(FEED)
        assert good.status_code == 200
        world.faults.add(case.where, case.fault(world), times=None)
        world.change("PROP", 3, name="Not to be seen yet")
        for issue in world.data.projects[sample_id("project", "WEB")].shown()[:11]:  # more than a small page
            world.data.patch_issue(issue["id"], {"priority": "high"})
        before = world.faults.count()
        answers = await reading(world, 60)
        assert {answer.status_code for answer in answers} == {200}
        if not case.where:
            assert {answer.content for answer in answers} == {good.content}
        assert await reasons(world) == (200, {})
        assert await problem(world) == case.reason
        assert world.faults.count() - before <= case.most
        await recovers(world, wait=case.retry + case.late)


# One bad object, lists that settle, clocks, and a whole day


@pytest.mark.parametrize("bad", [{"sequence_id": "x"}, {"id": None}, {"target_date": "soon"}])
async def test_a_malformed_issue_is_left_out_alone_and_comes_back(bad: dict[str, object]) -> None:
    async with living(config()) as world:
        world.faults.add(ISSUES, f.malformed(**bad), times=None)
        for _ in range(3):
            answer = await world.get(FEED)
            assert answer.status_code == 200
            broken = set(events(answer.content))
            assert await reasons(world) == (200, {})
            await asyncio.sleep(600)
        world.faults.clear()
        await asyncio.sleep(FULL + BOUND)  # nothing says that it is well again until all is read once more
        whole = set(events((await world.get(FEED)).content))
    async with living(config()) as world:
        right = set(events((await world.get(FEED)).content))
    assert broken <= right
    assert 1 <= len(right - broken) <= 6  # of each project the oldest, and the one that changed last
    assert whole == right


@pytest.mark.parametrize("bad", [{"sequence_id": "x"}, {"target_date": "soon"}])
async def test_an_issue_that_becomes_malformed_leaves_only_itself(bad: dict[str, object]) -> None:
    async with living(config()) as world:
        right = set(events((await world.get(FEED)).content))
        row = world.change("PROP", 3, priority="low")
        world.faults.add(ISSUES, f.malformed(**bad), times=None)
        await asyncio.sleep(BOUND)
        answer = await world.get(FEED)
        assert answer.status_code == 200
        gone = right - set(events(answer.content))
        assert len(gone) <= 6
        assert f"plane-issue-{row['id']}@calplanebot" in gone
        world.faults.clear()
        world.change("PROP", 3, name="Well again")
        await asyncio.sleep(BOUND)
        assert event((await world.get(FEED)).content, "PROP", 3) is not None


async def test_pages_that_shift_once_are_read_again_at_once() -> None:
    async with living(config(), issues=250, version="v0.22") as world:
        project = world.data.projects[sample_id("project", "WEB")]
        oldest = next(iter(project.issues))
        path = ISSUES.replace("[^/]+", project.row["id"])
        world.faults.add(path, f.followed_by(lambda: world.data.delete_issue(oldest)))
        first = await world.get(FEED)
        found = events(first.content)
        dated = {row["id"] for row in project.shown() if row["target_date"]}
        assert {f"plane-issue-{id_}@calplanebot" for id_ in dated} <= set(found)
        assert f"plane-issue-{oldest}@calplanebot" not in found
        assert world.faults.count(path) <= 8


@pytest.mark.parametrize("days", [1, -1])
@pytest.mark.parametrize("warm", [True, False])
async def test_a_clock_that_is_put_forth_or_back_a_day_costs_nothing(days: int, warm: bool) -> None:
    clock = LoopClock()
    async with living(config(), clock=clock) as world:
        good = set(events((await world.get(FEED)).content)) if warm else set()
        clock.put(days=days)
        for put in (0, -days, 0):
            clock.put(days=put)
            before = world.faults.count()
            world.change("PROP", 3, name=f"After {put} {before}")
            await asyncio.sleep(200)
            answer = await world.get(FEED)
            assert answer.status_code == 200
            assert any(f"After {put} {before}" in title for title in titles(answer.content))
            assert good <= set(events(answer.content))
            assert await reasons(world) == (200, {})
            assert world.faults.count() - before <= 60


async def test_an_outage_of_a_day_is_survived_and_shown_and_ends_by_itself() -> None:
    async with living(config()) as world:
        good = await world.get(FEED)
        world.faults.add("", f.bad_gateway(), times=None)
        before, etag, statuses, noticed = world.faults.count(), good.headers["etag"], set(), []
        for minute in range(0, 26 * 60, 5):
            await asyncio.sleep(300)
            answer = await world.get(FEED, if_none_match=etag)
            statuses.add(answer.status_code)
            etag = answer.headers["etag"]
            if answer.status_code == 200:
                new = set(events(answer.content)) - set(events(good.content))
                assert set(events(good.content)) <= set(events(answer.content))
                noticed += [minute / 60] if new else []
        assert statuses == {200, 304}
        assert 23.5 < noticed[0] < 24.5
        assert world.faults.count() - before < 26 * 60 / 5 + 40
        assert await reasons(world) == (200, {})
        assert await problem(world) == "unreachable"
        world.faults.clear()
        await asyncio.sleep(BOUND)
        again = await world.get(FEED)
        assert set(events(again.content)) == set(events(good.content))
