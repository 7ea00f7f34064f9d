"""Plane's webhooks of version 2 (documents of August 2026, never recorded), delivered to a running server."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest
from app_world import TODAY, Clock, event, titles
from msgspec.structs import replace
from plane.sample import sample
from plane.test_webhook import V2_EVENTS, enumeration
from test_background import inline_loop
from test_webhooks import OTHER, SECRET, Hooks, hooked, hooks, signed

from icsfeed.config.schema import Secret
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import sample_id
from icsfeed.model import Needs

pytestmark = pytest.mark.anyio

PROJECT = sample_id("project", "PROP")
ITEM = sample_id("issue", "PROP", "1")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return "asyncio", {"loop_factory": inline_loop}


def delivery(name: str, record: Row, *, previous: Row | None = None, **more: Any) -> bytes:
    """A record in the names of version 2; of what was deleted it is in `previous_attributes`."""
    record = {
        **record,
        "project_id": record.get("project"),
        "target_date": record.get("target_date") or "None",
    }
    is_gone = name.lower().endswith("deleted")
    body = {
        "version": "v2",
        "delivery_id": str(uuid4()),
        "event_id": str(uuid4()),
        "entity_id": record.get("id"),
        "event": name,
        "webhook_id": str(uuid4()),
        "data": {} if is_gone else record,
        "previous_attributes": record if is_gone else previous or {},
    }
    return json.dumps(body | more, default=str).encode()


REQUESTS = {
    "projects": r"/projects/\?",
    "issues": f"/projects/{PROJECT}/work-items/",
    "cycles": f"/projects/{PROJECT}/cycles/",
    "modules": f"/projects/{PROJECT}/modules/",
}


@pytest.mark.parametrize("spelling", [str, enumeration], ids=["dots", "enumeration"])
@pytest.mark.parametrize(
    ("kind", "verb"), [(kind, verb) for kind, verbs, _, _ in V2_EVENTS for verb in verbs]
)
async def test_each_event_is_taken_and_what_it_touches_is_read(
    kind: str, verb: str, spelling: Callable[[str], str]
) -> None:
    (touched,) = [set(expected["resources"]) for name, _, _, expected in V2_EVENTS if name == kind]
    async with hooks() as one:
        await one.warm()
        before = {name: one.world.faults.count(path) for name, path in REQUESTS.items()}
        total = one.world.faults.count()
        record: Row = (
            {"id": PROJECT} if kind == "project" else {"id": "x", "issue_id": ITEM, "project": PROJECT}
        )
        answer = await one.post(delivery(spelling(f"{kind}.{verb}"), record))
        assert (answer.status_code, answer.json()["status"]) == (200, "processed")
        await one.time.pass_(3, 1000)
        read = {name for name, path in REQUESTS.items() if one.world.faults.count(path) > before[name]}
        assert read == touched & REQUESTS.keys()
        if not read:
            assert one.world.faults.count() == total
        assert one.counts == {"taken": 1}


# How soon it is in the feed


async def seconds_until(one: Hooks, is_shown: Callable[[bytes], bool], feed: str = "property") -> float:
    """Send no request to Plane in a reader's time; return the seconds until the feed shows it."""
    for tenths in range(100):
        read = one.world.faults.count()
        answer = await one.world.get(feed)
        if answer.status_code == 200 and is_shown(answer.content):
            assert one.world.faults.count() == read
            return tenths / 10
        await one.time.pass_(0.1, 1000)
    raise AssertionError("not shown")


@pytest.mark.parametrize("named", ["as documented", "without a project", "as the entity alone"])
async def test_a_deleted_item_is_gone_within_three_seconds(named: str) -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.delete_issue(row["id"])
        more: dict[str, Any] = {} if named == "as documented" else {"previous_attributes": {"id": row["id"]}}
        if named == "as the entity alone":
            more = {"previous_attributes": "None", "entity_type": "issue"}
        await one.post(delivery("workitem.deleted", row, **more))
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3


async def test_a_deletion_shows_although_an_item_was_created_at_the_same_time() -> None:
    """Their number is the same as before."""
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.delete_issue(row["id"])
        new = one.world.data.create_issue(PROJECT, {"name": "New", "target_date": "2026-12-24"})
        await one.post(delivery("workitem.created", new))
        await one.post(delivery("workitem.deleted", row))
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3
        assert new["id"] in (await one.world.get("property")).text


async def test_an_archived_item_is_gone_within_three_seconds_and_comes_back() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.archive_issue(row["id"])
        await one.post(delivery("workitem.archived", row))
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3
        row["archived_at"] = None  # `updated_at` stays as it was
        await one.post(delivery("workitem.updated", row, previous={"archived_at": "2026-11-23"}))
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is not None) <= 3


@pytest.mark.parametrize("verb", ["archived", "deleted"])
async def test_a_cycle_that_ends_is_gone_within_three_seconds(verb: str) -> None:
    async with hooks() as one:
        project = next(project for project in one.world.data.projects.values() if project.cycles)
        row = next(iter(project.cycles.values()))
        assert any(row["name"] in title for title in titles((await one.world.get("plan")).content))
        del project.cycles[row["id"]]
        await one.post(delivery(f"cycle.{verb}", row | {"project": project.row["id"]}))
        gone = await seconds_until(
            one, lambda body: not any(row["name"] in title for title in titles(body)), "plan"
        )
        assert gone <= 3


@pytest.mark.parametrize("verb", ["archived", "deleted"])
async def test_a_project_that_ends_is_gone_within_three_seconds(verb: str) -> None:
    """Also where Plane no longer lists it, which alone could mean that the key's owner has left it."""
    async with hooks() as one:
        assert event((await one.world.get("everything")).content, "PROP", 1)
        row = one.world.data.projects.pop(PROJECT).row
        await one.post(delivery(f"project.{verb}", row))
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None, "everything") <= 3
        assert one.world.workspace.last_error is None


# Repetitions


async def test_a_repetition_changes_nothing_and_another_event_does() -> None:
    async with hooks() as one:
        await one.warm()
        row = one.world.issue("PROP", 1)
        body = json.loads(delivery("workitem.updated", row))
        await one.post(json.dumps(body).encode())
        await one.time.pass_(3)
        before = one.world.faults.count()
        again = await one.post(json.dumps(body | {"delivery_id": str(uuid4())}).encode())
        assert (again.status_code, again.json()["message"]) == (200, "Seen before")
        await one.time.pass_(3)
        assert one.world.faults.count() == before
        await one.post(json.dumps(body | {"event_id": str(uuid4())}).encode())
        await one.time.pass_(3)
        assert one.world.faults.count() == before + 1
        assert one.counts == {"taken": 2, "replayed": 1}


@pytest.mark.parametrize("event_id", ["None", None, ""])
async def test_without_an_event_id_only_the_same_body_is_a_repetition(event_id: object) -> None:
    async with hooks() as one:
        await one.warm()
        first, second = (delivery("workitem.updated", {"id": ITEM}, event_id=event_id) for _ in range(2))
        answers = [(await one.post(body)).json()["message"] for body in (first, second, first)]
        assert answers == ["Issue sync triggered", "Issue sync triggered", "Seen before"]


async def test_one_event_that_two_webhooks_report_is_news_for_both_workspaces() -> None:
    config = hooked()
    two = replace(config.workspaces["demo"], webhook_secret=Secret(OTHER))
    feeds = {"property": replace(config.feeds["property"], workspace="demo")}
    auto = replace(config.auto, projects=False, assignees=False)
    config = replace(config, workspaces={**config.workspaces, "two": two}, feeds=feeds, auto=auto)
    clock = Clock()
    async with hooks(config, clock=clock, more={"two": sample(TODAY, clock=clock)}) as one:
        spaces = one.world.service.workspaces
        for space in spaces.values():
            assert await space.view(lambda projects: projects, Needs())
        body = delivery("workitem.updated", {"id": ITEM, "project": PROJECT})
        for secret in (SECRET, OTHER):
            assert (await one.post(body, signed(body, secret))).json()["message"] == "Issue sync triggered"
        assert [space.resources.issues[PROJECT].is_fresh for space in spaces.values()] == [False, False]


# What nobody knows yet


async def test_an_unknown_event_has_its_project_read_again() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.change("PROP", 1, name="Renamed")
        assert (await one.post(delivery("tessera.moved", {"id": "t1", "project": row["project"]}))).is_success
        assert await seconds_until(one, lambda body: b"Renamed" in body) <= 3
        assert one.counts == {"not_understood": 1}


async def test_a_filter_in_plane_that_leaves_items_out_delays_them_until_the_next_poll() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        one.world.change("PROP", 1, name="Nobody says so")
        one.clock.move(61)
        assert "Nobody says so" in (await one.world.get("property")).text
