"""/webhooks/plane: what is taken, what is refused, and how soon it is in the feed."""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from app_world import HOST, TODAY, Clock, World, event, events, serving, settings
from litestar.di import Provide
from msgspec.structs import replace
from plane.recorded import load_recorded
from plane.sample import sample
from plane.world import RECORDINGS
from test_background import Time, inline_loop

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import Config, Secret
from icsfeed.demo.sample import sample_id
from icsfeed.model import Needs, Project
from icsfeed.plane.webhook import read
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState
from icsfeed.web.webhooks import MAX_BODY_BYTES, Webhooks

pytestmark = pytest.mark.anyio

DATA = Path(__file__).parents[1] / "data"
RECORDED = sorted((DATA / "webhooks").glob("*.json"))
SECRET: str = json.loads((DATA / "plane" / "ids.json").read_bytes())["webhook_acme"]["secret"]
OLD = "plane_wh_the_one_before"
OTHER = "plane_wh_of_another_workspace"
PATH = "/webhooks/plane"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return "asyncio", {"loop_factory": inline_loop}


def recorded(path: Path) -> Any:
    return json.loads(path.read_bytes())


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def delivery(event: str = "issue", action: str = "updated", field: str | None = "name", **data: Any) -> bytes:
    body = {"event": event, "action": action, "data": data, "activity": {"field": field}}
    return json.dumps({**body, "webhook_id": str(uuid4())}).encode()


def hooked(**changes: Any) -> Config:
    config = settings()
    own = replace(config.workspaces["demo"], **{"webhook_secret": Secret(SECRET), **changes})
    return replace(config, workspaces={**config.workspaces, "demo": own})


class Hooks:
    """A server with a clock that is moved, and what Plane does to it."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, world.clock
        self.time = Time(self.clock)
        self.app = create_app(world.service, ServerState(self.clock, self.clock.timer, self.time.sleep))
        self.world = World(world.service, self.app, world.data, world.faults, self.clock, HOST)

    async def post(
        self, body: bytes, signature: str | None = "", address: str = "203.0.113.7", **headers: str
    ) -> httpx.Response:
        """`signature`: empty: the right one; None: none."""
        sent = {"content-type": "application/json", "x-plane-delivery": str(uuid4()), **headers}
        if signature is not None:
            sent["x-plane-signature"] = signature or signed(body)
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            return await client.post(PATH, content=body, headers=raw)

    @property
    def webhooks(self) -> Webhooks:
        made = self.app.dependencies["webhooks"]
        assert isinstance(made, Provide)
        found = made.dependency()
        assert isinstance(found, Webhooks)
        return found

    @property
    def watch(self) -> BackgroundRefresh:
        return self.webhooks._watches["demo"]

    @property
    def counts(self) -> Mapping[str, int]:
        return self.webhooks._deliveries.counts

    async def warm(self) -> None:
        assert await self.world.workspace.view(lambda projects: projects, Needs())


@asynccontextmanager
async def hooks(config: Config | None = None, **more: Any) -> AsyncIterator[Hooks]:
    async with serving(config or hooked(), **more) as world:
        made = Hooks(world)
        async with made.world.client:
            yield made
        for watch in made.webhooks._watches.values():
            await watch.close()


def _error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"status", "message", "error_code", "details", "timestamp"}
    assert body["status"] == "error"
    return answer.status_code, body["error_code"]


# What Plane really sends


@pytest.fixture(scope="module")
async def acme() -> AsyncIterator[Hooks]:
    clock = Clock()
    data = load_recorded(RECORDINGS, clock)
    config = hooked(slug="acme", api_key=Secret(next(iter(data.keys))))
    async with hooks(config, data=data, clock=clock) as made:
        yield made


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_every_recorded_delivery_is_answered_and_marks_what_it_touches(acme: Hooks, path: Path) -> None:
    row = recorded(path)
    body = row["raw_body"].encode()
    headers = {name.lower(): value for name, value in row["headers"]}
    for name in ("host", "content-length", "connection", "accept-encoding"):
        del headers[name]
    touched = read(body)
    acme.clock.move(61)
    await acme.warm()
    answer = await acme.post(body, headers.pop("x-plane-signature"), **headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "processed",
        "message": "Issue sync triggered",
        "issue_id": touched.issue,
        "action": touched.action,
    }
    assert answer.headers["cache-control"] == "no-store"
    resources = acme.world.workspace.resources
    assert resources.projects.is_fresh == ("projects" not in touched.resources)
    for project in resources.all_projects:
        mine = touched.resources if project.id in touched.projects else frozenset[str]()
        assert resources.issues[project.id].is_fresh == ("issues" not in mine)
        assert resources.periods["cycle"][project.id].is_fresh == ("cycles" not in mine)
        assert resources.periods["module"][project.id].is_fresh == ("modules" not in mine)


# Who has signed it


async def test_other_spellings_of_the_signature_and_the_secret_before_are_taken() -> None:
    async with hooks(hooked(webhook_secret_old=Secret(OLD))) as one:
        bodies = [delivery(id="x") for _ in range(3)]
        spelled = [f"sha256={signed(bodies[0])}", signed(bodies[1]).upper(), signed(bodies[2], OLD)]
        for body, signature in zip(bodies, spelled, strict=True):
            assert (await one.post(body, signature)).status_code == 200
        assert one.counts == {"taken": 3}


async def test_forged_ones_change_nothing_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with hooks() as one:
        await one.warm()
        project = sample_id("project", "PROP")
        body = delivery(id="x", project=project)
        signatures = [None, "0" * 64, signed(body + b" "), signed(body, OTHER), "sha256=", "é", signed(b"")]
        with caplog.at_level(logging.DEBUG):
            for signature in signatures:
                answer = await one.post(body, signature)
                assert _error(answer) == (401, "INVALID_SIGNATURE")
                assert SECRET not in answer.text + str(answer.headers)
        assert SECRET not in caplog.text
        assert one.counts == {"invalid_signature": len(signatures)}
        assert one.world.workspace.resources.issues[project].is_fresh


async def test_without_a_secret_nothing_is_taken() -> None:
    async with hooks(settings()) as one:
        answer = await one.post(delivery(id="x"))
        assert _error(answer) == (403, "WEBHOOK_NOT_CONFIGURED")
        assert answer.headers["x-ratelimit-remaining"] == "99"
        assert one.counts == {"webhook_not_configured": 1}


@pytest.mark.parametrize(
    ("secret", "touched"),
    [
        pytest.param(OTHER, {"two"}, id="secrets tell them apart"),
        pytest.param(SECRET, {"demo", "two"}, id="one of Plane's, read with two keys"),
    ],
)
async def test_a_delivery_is_for_the_workspaces_whose_secret_signed_it(
    secret: str, touched: set[str]
) -> None:
    config = hooked()
    two = replace(config.workspaces["demo"], webhook_secret=Secret(secret))
    feeds = {"property": replace(config.feeds["property"], workspace="demo")}
    auto = replace(config.auto, projects=False, assignees=False)
    config = replace(config, workspaces={**config.workspaces, "two": two}, feeds=feeds, auto=auto)
    clock = Clock()
    async with hooks(config, clock=clock, more={"two": sample(TODAY, clock=clock)}) as one:
        project = sample_id("project", "PROP")
        spaces = one.world.service.workspaces
        for space in spaces.values():
            assert await space.view(lambda projects: projects, Needs())
        body = delivery(id="x", project=project)
        assert (await one.post(body, signed(body, secret))).status_code == 200
        assert {
            name for name, space in spaces.items() if not space.resources.issues[project].is_fresh
        } == touched
        assert one.counts == {"taken": 1}


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:11.1.2.3", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("unix", False),
    ],
)
async def test_only_configured_networks_may_send(address: str, allowed: bool) -> None:
    networks = ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32")
    async with hooks(hooked(webhook_from=networks)) as one:
        body = delivery(id="x")
        answer = await one.post(body, address=address)
        assert answer.status_code == (200 if allowed else 401)
        if not allowed:
            forged = await one.post(body, "0" * 64, address="10.9.9.9")
            assert {**answer.json(), "timestamp": ""} == {**forged.json(), "timestamp": ""}


# What it says


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[]",
        b'{"event": "issue", "data": {}}',
        b'{"event": "issue", "action": "updated"}',
        b'{"action": "update", "data": {}}',
        b'{"event": "issue", "action": "updated", "data": []}',
        b'{"event": "issue", "action": "updated", "data": {"id": "<b>"}}',
        b'{"version": "v3", "event": "workitem.updated", "payload": {}}',
        b"[" * 100_000,
    ],
)
async def test_a_genuine_one_that_cannot_be_understood_has_all_issues_read(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Plane does not send again what was refused, and switches a webhook off after five refusals."""
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        one.world.data.delete_issue(one.world.issue("PROP", 1)["id"])
        assert (await one.post(body)).status_code == 200
        await one.time.pass_(3, 1000)
        assert event((await one.world.get("property")).content, "PROP", 1) is None
        assert one.counts == {"not_understood": 1}
        assert [record.levelname for record in caplog.records if "understood" in record.message] == [
            "WARNING"
        ]


async def test_a_page_is_taken_and_touches_nothing() -> None:
    async with hooks() as one:
        await one.warm()
        assert (await one.post(delivery("page", id="x"))).status_code == 200
        before = one.world.faults.count()
        await one.time.pass_(3)
        assert one.world.faults.count() == before


async def test_a_replay_changes_nothing_and_is_counted() -> None:
    async with hooks() as one:
        await one.warm()
        project = sample_id("project", "PROP")
        body = delivery(id="x", project=project)
        await one.post(body)
        await one.time.pass_(3)
        before = one.world.faults.count()
        again = await one.post(body)
        assert (again.status_code, again.json()["status"]) == (200, "processed")
        assert one.world.workspace.resources.issues[project].is_fresh
        await one.time.pass_(3)
        assert one.world.faults.count() == before
        assert one.counts == {"taken": 1, "replayed": 1}


async def test_over_one_mebibyte_is_refused_and_counted() -> None:
    async with hooks() as one:
        fits = delivery(id="x", text="a" * (MAX_BODY_BYTES - 300))
        assert (await one.post(fits)).status_code == 200
        for body in (b"a" * (MAX_BODY_BYTES + 1), delivery(id="x", text="a" * MAX_BODY_BYTES)):
            answer = await one.post(body)
            assert _error(answer) == (413, "TOO_LARGE")
        assert answer.headers["x-ratelimit-remaining"] == "97"
        assert one.counts == {"taken": 1, "too_large": 2}


async def test_get_is_not_allowed() -> None:
    async with hooks() as one:
        assert _error(await one.world.ask("GET", PATH)) == (405, "METHOD_NOT_ALLOWED")


# How often


async def test_a_hundred_a_minute_for_an_address_forged_or_not() -> None:
    async with hooks() as one:
        for number in range(100):
            body = delivery(id="x")
            answer = await one.post(body, "0" * 64 if number % 2 else "")
            assert answer.status_code == (401 if number % 2 else 200)
            assert answer.headers["x-ratelimit-limit"] == "100"
            assert answer.headers["x-ratelimit-remaining"] == str(99 - number)
            assert answer.headers["x-ratelimit-reset"] == "60"
            assert "retry-after" not in answer.headers
        one.clock.move(20)
        refused = await one.post(delivery(id="x"), "0" * 64)
        assert _error(refused) == (429, "RATE_LIMITED")
        assert (refused.headers["retry-after"], refused.headers["x-ratelimit-remaining"]) == ("40", "0")
        assert (await one.post(delivery(id="x"), "0" * 64, address="203.0.113.8")).status_code == 401
        one.clock.move(40)
        assert (await one.post(delivery(id="x"), "0" * 64)).status_code == 401
        assert one.counts == {"taken": 50, "invalid_signature": 52, "rate_limited": 1}


async def test_genuine_deliveries_are_never_refused_however_many_there_are() -> None:
    """Plane changes hundreds of issues at once, and switches a webhook off after five refusals."""
    async with hooks() as one:
        await one.warm()
        for _ in range(100):
            await one.post(b"{}", "0" * 64)
        project = sample_id("project", "PROP")
        one.clock.move(5)
        before = one.world.faults.count()
        for _ in range(150):
            assert (await one.post(delivery(id="x", project=project))).status_code == 200
        await one.time.pass_(3, 1000)
        assert one.world.faults.count() - before == 1
        assert (await one.post(delivery(id="x"), "0" * 64)).status_code == 429


# In the feed


def moved(one: Hooks, number: int = 1, **changes: Any) -> bytes:
    row = one.world.change("PROP", number, **changes)
    return delivery(id=row["id"], project=row["project"])


async def test_the_answer_does_not_wait_for_plane() -> None:
    async with hooks() as one:
        await one.warm()
        hang = asyncio.Event()

        async def hanging(call: Any, handler: Any) -> Any:
            await hang.wait()
            return await handler(call)

        one.world.faults.add("", hanging)
        for _ in range(3):
            answer = await asyncio.wait_for(one.post(moved(one, name="Later")), 2)
            assert answer.status_code == 200
            await one.time.pass_(1)
        hang.set()


async def test_a_change_is_in_the_feed_within_three_seconds() -> None:
    async with hooks() as one:
        assert str(event((await one.world.get("property")).content, "PROP", 1)["dtstart"].dt) != "2026-12-24"
        body = moved(one, target_date="2026-12-24", start_date=None, name="Moved")
        await one.post(body)
        before = one.world.faults.count()
        await one.time.pass_(3, 1000)
        assert one.world.faults.count() > before
        read = one.world.faults.count()
        found = event((await one.world.get("property")).content, "PROP", 1)
        assert str(found["dtstart"].dt) == "2026-12-24"
        assert one.world.faults.count() == read, "no request on the reader's time"


async def test_ten_deliveries_are_one_request() -> None:
    async with hooks() as one:
        await one.warm()
        before = one.world.faults.count()
        for number in range(10):
            await one.post(moved(one, name=f"Name {number}"))
            await one.time.pass_(0.05)
        await one.time.pass_(3, 1000)
        assert one.world.faults.count() - before == 1
        assert str(event((await one.world.get("property")).content, "PROP", 1)["summary"]).endswith("Name 9")


@pytest.mark.parametrize("with_project", [True, False])
async def test_a_deletion_removes_the_event(with_project: bool) -> None:
    async with hooks() as one:
        row = one.world.issue("PROP", 1)
        assert event((await one.world.get("property")).content, "PROP", 1)
        one.world.data.delete_issue(row["id"])
        where = {"project": row["project"]} if with_project else {}
        await one.post(delivery(action="deleted", field=None, id=row["id"], **where))
        await one.time.pass_(3, 1000)
        read = one.world.faults.count()
        assert event((await one.world.get("property")).content, "PROP", 1) is None
        assert one.world.faults.count() == read


async def test_a_cycles_new_days_are_in_the_feed() -> None:
    async with hooks() as one:
        before = (await one.world.get("plan")).content
        project = next(project for project in one.world.data.projects.values() if project.cycles)
        row = next(iter(project.cycles.values()))
        one.world.data.edit(row, name="Renamed cycle")
        await one.post(delivery("cycle", id=row["id"], project=project.row["id"]))
        await one.time.pass_(3, 1000)
        read = one.world.faults.count()
        after = (await one.world.get("plan")).content
        assert b"Renamed cycle" not in before
        assert any("Renamed cycle" in str(part["summary"]) for part in events(after).values())
        assert one.world.faults.count() == read
        assert one.world.faults.count("cycle-issues") > 0


async def test_a_deleted_project_leaves_the_list() -> None:
    async with hooks() as one:
        await one.warm()
        gone = sample_id("project", "PROP")
        del one.world.data.projects[gone]
        await one.post(delivery("project", "deleted", None, id=gone))
        await one.time.pass_(3, 1000)
        projects: tuple[Project, ...] = one.world.workspace.resources.all_projects
        assert projects
        assert gone not in {project.id for project in projects}
