"""Replicas that share a Redis: one of them reads for all, and all serve the same."""

# ruff: noqa: ASYNC110 -- nothing else runs in this loop meanwhile

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn
from app_world import TODAY, UNLIMITED, Clock
from cli_world import SECRET, line_with, run, running
from msgspec.structs import replace
from plane.api import create_plane
from plane.data import PlaneData
from plane.faults import Faults, delayed
from plane.sample import sample
from redis_world import RedisServer, opened_store, redis_server
from test_refresh_incremental import Server, create, edit, issue_id, project_id, server, watching

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import Auto, Duration, Feed
from icsfeed.demo.sample import API_KEY, SLUG, sample_id
from icsfeed.feeds.rendered import Rendered
from icsfeed.model import Issue
from icsfeed.plane.webhook import read

pytestmark = pytest.mark.anyio

CONFIG = watching({"all": Feed(everything=True, include=("issues", "cycles", "modules"), details="full")})


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


class Replicas:
    """Servers over one Redis and one Plane; `faults` counts what all of them asked."""

    def __init__(self, servers: list[Server], data: PlaneData, faults: Faults, clock: Clock) -> None:
        self.servers = servers
        self.data = data
        self.faults = faults
        self.clock = clock

    async def all(self) -> list[Rendered]:
        """What each serves, asked at the same time."""
        return list(await asyncio.gather(*(one.service.rendered("all") for one in self.servers)))

    async def asked(self, seconds: float = 61) -> list[str]:
        before = len(self.faults.requests)
        self.clock.move(seconds)
        await self.same()
        # Each process asks once whether this edition lists the issues of a workspace: when is not promised.
        lines = [seen.line for seen in self.faults.requests[before:]]
        return [line for line in lines if not re.search(r"workspaces/[^/]+/work-items/", line)]

    async def same(self) -> Rendered:
        one, *others = await self.all()
        assert all(other == one for other in others)
        return one


@asynccontextmanager
async def replicas(
    redis: RedisServer, count: int = 2, config: object = None, data: PlaneData | None = None
) -> AsyncIterator[Replicas]:
    clock, faults = Clock(), Faults()
    data = data or sample(TODAY, issues=40, clock=clock)
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(count):
            store = await stack.enter_async_context(opened_store(redis.address))
            one = server(config or CONFIG, data, clock, store=store, faults=faults)  # type: ignore[arg-type]
            servers.append(await stack.enter_async_context(one))
        yield Replicas(servers, data, faults, clock)


async def test_one_replica_reads_for_all(redis: RedisServer) -> None:
    async with replicas(redis, 3) as three:
        await three.same()
        lines = [seen.line for seen in three.faults.requests]
        assert len(lines) == len(set(lines)), "each list once, though all were asked at once"
        assert len(await three.asked()) == 3
        edit(three.data, 3)
        three.data.delete_issue(issue_id(4))
        assert len(await three.asked()) == 3 + 2
        for number in (0, 1, 2):
            await three.servers[number].is_right()


async def test_the_second_takes_in_what_the_first_has_read(redis: RedisServer) -> None:
    async with replicas(redis) as two:
        first = await two.servers[0].service.rendered("all")
        count = two.faults.count()
        assert await two.servers[1].service.rendered("all") == first
        assert two.faults.count() == count


async def test_what_another_has_read_again_stays_the_same_objects(redis: RedisServer) -> None:
    """Only so is it cheap, in the event loop, to see what has changed."""
    async with replicas(redis) as two:
        await two.same()
        workspace = two.servers[1].service.workspaces["demo"]
        (project,) = [one for one in workspace.resources.all_projects if one.id == project_id()]

        def objects() -> tuple[dict[str, Issue], dict[str, Issue]]:
            listed, _ = workspace.resources.issues[project.id].value or ({}, 0)
            return dict(listed), dict(workspace.snapshots.shown(project))

        before = objects()
        edit(two.data, 3)
        two.clock.move(61)
        await two.same()
        for old, new in zip(before, objects(), strict=True):
            assert old.keys() == new.keys()
            assert [id_ for id_ in old if new[id_] is not old[id_]] == [issue_id(3)]


async def test_what_one_has_revised_by_itself_is_taken_over_by_all(redis: RedisServer) -> None:
    """One that had shown a part calls newer what differs in the whole; Plane is not read for that again."""
    async with replicas(redis) as two:
        first = await two.servers[0].service.rendered("all")
        workspaces = [one.service.workspaces["demo"] for one in two.servers]
        (project,) = [one for one in workspaces[0].resources.all_projects if one.id == project_id()]
        whole = workspaces[0].snapshots.snapshot(project)
        assert whole is not None
        issues = {id_: replace(issue, name="As it was in part") for id_, issue in whole.issues.items()}
        workspaces[1].snapshots.merge_partial(project, replace(whole, issues=issues))
        revised = await two.servers[1].service.rendered("all")
        assert revised.last_modified > first.last_modified
        for _ in range(2):
            for workspace in workspaces:
                await workspace.persistence.sync_from_peers()
            two.clock.move(2)
        assert (await two.same()).body == revised.body


async def test_they_take_turns_and_agree_since_when_all_is_as_it_is(redis: RedisServer) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, states=Duration(70), members=Duration(80)))
    async with replicas(redis, config=config) as two:
        await two.same()
        for step in range(5):
            row = two.data.projects[project_id()].states[sample_id("state", "WEB", "Todo")]
            two.data.edit(row, name=f"Todo {step}")
            user = two.data.users[sample_id("user", "anna")]
            two.data.users[user.id] = replace(user, display_name=f"Anna {step}")
            create(two.data, f"New {step}")
            two.clock.move(65)
            await two.servers[step % 2].service.rendered("all")
            two.clock.move(3)
            await two.servers[1 - step % 2].service.rendered("all")
        two.clock.move(200)
        await two.servers[0].service.rendered("all")
        two.clock.move(2)
        await two.same()
        await two.servers[1].is_right()


async def test_a_webhook_that_one_gets_is_news_for_all_within_three_seconds(redis: RedisServer) -> None:
    async with replicas(redis) as two:
        before = await two.same()
        workspaces = [one.service.workspaces["demo"] for one in two.servers]
        watches = [BackgroundRefresh(one, CONFIG.cache, two.clock.timer) for one in workspaces]
        for watch in watches:
            watch.start()
        edit(two.data, 3)
        body = {"event": "issue", "action": "updated", "data": {"id": issue_id(3), "project": project_id()}}
        watches[0].touch(read(json.dumps(body).encode()))
        async with asyncio.timeout(3):
            while (await two.servers[1].service.rendered("all")) == before:
                two.clock.move(0.1)
                await asyncio.sleep(0.1)
        two.clock.move(2)
        assert b"Edited 3" in (await two.same()).body
        for watch in watches:
            await watch.stop()


async def test_a_full_read_by_one_is_one_for_all(redis: RedisServer) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, full=Duration(1000)))
    async with replicas(redis, config=config) as two:
        await two.same()
        two.clock.move(1100)
        await two.servers[0].service.rendered("all")
        two.clock.move(61)
        await two.servers[1].service.rendered("all")
        assert two.faults.count("order_by=created_at") == 3 + 3


async def test_a_replica_that_died_with_the_lock_delays_the_others_and_no_more(redis: RedisServer) -> None:
    config = replace(CONFIG, cache=replace(CONFIG.cache, deadline=Duration(20)))
    async with replicas(redis, 1, config) as one:
        before = await one.same()
        edit(one.data, 3)
        one.clock.move(61)
        with redis.client() as client:
            client.set(f"icsfeed:lock:demo/{project_id()}", "of one that was killed", px=1500)
        started = time.monotonic()
        found = await one.same()
        assert time.monotonic() - started > 1
        assert found.body != before.body
        await one.servers[0].is_right()


async def test_without_redis_each_carries_on_from_memory_and_recovers(redis: RedisServer) -> None:
    async with replicas(redis) as two:
        before = await two.same()
        redis.stop()
        assert await two.same() == before
        edit(two.data, 3)
        two.clock.move(61)
        found = await two.all()
        assert [b"Edited 3" in one.body for one in found] == [True, True]
        redis.start()
        stores = [one.service.store for one in two.servers]
        async with asyncio.timeout(10):
            while not all(store.healthy for store in stores):
                await asyncio.sleep(0.02)
        edit(two.data, 5)
        await two.asked()  # each asks once whether this edition lists the issues of a workspace
        assert len(await two.asked()) == 3, "one reads for both again"
        for one in two.servers:
            await one.is_right()


@asynccontextmanager
async def watched(found: Server) -> AsyncIterator[BackgroundRefresh]:
    """A server with its background refresh running."""
    workspace = found.service.workspaces["demo"]
    watch = BackgroundRefresh(workspace, CONFIG.cache, found.clock.timer, lambda _: asyncio.sleep(0.05))
    watch.start()
    yield watch
    await watch.stop()


async def until(condition: Callable[[], bool], clock: Clock | None = None) -> None:
    async with asyncio.timeout(30):
        while not condition():
            if clock is not None:
                clock.move(0.5)
            await asyncio.sleep(0.05)


async def test_one_replica_reads_with_a_key_until_it_ends_and_then_the_other(redis: RedisServer) -> None:
    clock, first, second = Clock(), Faults(), Faults()
    data = sample(TODAY, issues=40, clock=clock)
    async with (
        opened_store(redis.address) as store,
        opened_store(redis.address) as other,
        server(CONFIG, data, clock, store=store, faults=first) as one,
        watched(one),
    ):
        await until(lambda: one.service.workspaces["demo"].is_ready, clock)
        async with server(CONFIG, data, clock, store=other, faults=second) as two, watched(two):
            workspace = two.service.workspaces["demo"]
            await until(lambda: workspace.is_ready)
            for step in range(3):
                edit(data, step + 1)
                text = f"Edited {step + 1}".encode()
                clock.move(61)
                seen = asyncio.Event()

                async def look(text: bytes = text, seen: asyncio.Event = seen) -> None:
                    while text not in (await two.service.rendered("all")).body:
                        clock.move(0.5)
                        await asyncio.sleep(0.05)
                    seen.set()

                await asyncio.wait_for(look(), 30)
            assert second.count() == 0, "it has only loaded what the first one has read"
            before = first.count()
            await one.service.workspaces["demo"].lease.close()  # as at its end
            await two.service.workspaces["demo"].lease.obtain(30)
            edit(data, 5)
            clock.move(61)
            await until(lambda: second.count() > 0, clock)
            await asyncio.sleep(0.5)
            assert first.count() == before
            await two.is_right()


async def test_what_a_stopped_replica_holds_does_not_replace_what_is_newer(redis: RedisServer) -> None:
    async with replicas(redis) as two:
        await two.servers[0].service.rendered("all")
        await two.same()
        one, other = (each.service.workspaces["demo"] for each in two.servers)
        [project] = (each for each in one.resources.all_projects if each.id == project_id())
        async with one.persistence.updating(project):
            with redis.client() as client:  # stopped for so long that its lock and its lease have run out
                for key in client.keys("icsfeed:lock:*") + client.keys("icsfeed:lease:*"):
                    client.delete(key)
            edit(two.data, 3)
            two.clock.move(61)
            newer = await two.servers[1].service.rendered("all")
            assert b"Edited 3" in newer.body
            with redis.client() as client:
                stored = client.get(f"icsfeed:demo/project/{project_id()}")
            one.resources.issues[project.id].confirm(two.clock())
            one.resources.labels[project.id].merge({}, two.clock())
        with redis.client() as client:
            assert client.get(f"icsfeed:demo/project/{project_id()}") == stored
        assert other.resources.labels[project.id].value


async def test_after_redis_was_put_back_what_was_served_is_stored_again(redis: RedisServer) -> None:
    async with replicas(redis, 1) as one:
        await one.same()
        with redis.client() as client:
            before = {key: client.dump(key) for key in client.keys("icsfeed:demo/*")}
            edit(one.data, 3)
            await one.asked()
            newer = await one.same()
            assert b"Edited 3" in newer.body
            client.flushall()
            for key, value in before.items():
                client.restore(key, 0, value)
        assert await one.same() == newer, "nothing older after it"
        await one.servers[0].service.workspaces["demo"].persistence.sync_from_peers()
        async with (
            opened_store(redis.address) as store,
            server(CONFIG, one.data, one.clock, store=store) as found,
        ):
            assert b"Edited 3" in (await found.service.rendered("all")).body
            assert [seen.line for seen in found.faults.requests] == []


@contextmanager
def plane_served(data: PlaneData, faults: Faults) -> Iterator[str]:
    """As cli_world's, counting requests."""
    app = create_plane(data, faults=faults, limits=UNLIMITED)
    web = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    web.should_exit = True
    thread.join(timeout=20)


def shown(body: bytes) -> str:
    """A calendar without what says when it changed."""
    return re.sub(r"(?m)^(LAST-MODIFIED|DTSTAMP|SEQUENCE)[:;].*\r\n", "", body.decode())


def test_three_processes_serve_the_same_and_plane_is_asked_once(tmp_path: Path, redis: RedisServer) -> None:
    data, faults = sample(datetime.now(UTC).date()), Faults()
    with plane_served(data, faults) as plane, ExitStack() as stack:
        (tmp_path / "feeds.yaml").write_text(
            f"secret: {SECRET}\nstore: {redis.address}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
            "feeds: {all: {everything: true, details: full}}\n"
            "cache: {issues: 3, deadline: 20}\n",
            encoding="utf-8",
        )
        links = json.loads(run("urls", "--json", cwd=tmp_path).stdout)["feeds"]
        path = httpx.URL(links["all"]["ics"]).path
        faults.requests.clear()
        with redis.client() as client:
            client.flushall()
        processes = [stack.enter_context(running("serve", "--port", "0", cwd=tmp_path)) for _ in range(3)]
        urls = [line_with(process, "listening on").split()[-1] + path for process in processes]
        first = ask(urls)
        assert {answer.status_code for answer in first} == {200}
        assert len({shown(answer.content) for answer in first}) == 1
        until = time.monotonic() + 20
        # One that had a part of it before has revised what differed, and the others take that over.
        while len({(answer.content, answer.headers["etag"]) for answer in first}) > 1:
            assert time.monotonic() < until
            time.sleep(0.1)
            first = ask(urls)
        lines = [seen.line for seen in faults.requests if "order_by=-updated_at" not in seen.line]
        assert [line for line in set(lines) if lines.count(line) > 1] == [], "each list was read once"
        processes[0].kill()
        data.patch_issue(issue_id(3), {"name": "Edited", "target_date": f"{datetime.now(UTC):%Y-%m-%d}"})
        until = time.monotonic() + 20
        while b"Edited" not in (found := ask(urls[1:]))[0].content or found[0].content != found[1].content:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert found[0].headers["etag"] == found[1].headers["etag"]


def test_a_replica_that_is_stopped_lets_go_of_its_locks_and_ends_well(
    tmp_path: Path, redis: RedisServer
) -> None:
    data, faults = sample(datetime.now(UTC).date()), Faults()
    faults.add("/states/", delayed(5), None)
    with plane_served(data, faults) as plane, redis.client() as client:
        (tmp_path / "feeds.yaml").write_text(
            f"secret: {SECRET}\nstore: {redis.address}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
            "feeds: {all: {everything: true}}\n",
            encoding="utf-8",
        )
        with running("serve", "--port", "0", cwd=tmp_path) as process:
            line_with(process, "listening on")
            until = time.monotonic() + 20
            while not client.keys("icsfeed:lock:*"):
                assert time.monotonic() < until
                time.sleep(0.05)
            process.terminate()
            assert process.wait(20) == 0
            assert client.keys("icsfeed:lock:*") == []


def ask(urls: list[str]) -> list[httpx.Response]:
    """All at the same time."""
    answers: dict[str, httpx.Response] = {}

    def get(url: str) -> None:
        answers[url] = httpx.get(url, timeout=30)

    threads = [threading.Thread(target=get, args=[url]) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[url] for url in urls]


async def test_they_give_automatic_feeds_the_same_names_and_links(redis: RedisServer) -> None:
    config = replace(CONFIG, auto=Auto(projects=True, assignees=True))
    async with replicas(redis, 2, config=config) as found:
        anna, ben = (sample_id("user", who) for who in ("anna", "ben"))
        one, two = (replica.service for replica in found.servers)
        await one.auto_feeds()
        found.data.users[ben] = replace(found.data.users[ben], display_name="anna")
        found.clock.move(601)
        await asyncio.gather(one.auto_feeds(), two.auto_feeds())
        assert await one.all_links("") == await two.all_links("")
        assert (await two.auto_feeds())["assignee-anna"].assignee == anna
