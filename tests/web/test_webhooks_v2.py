"""Plane's webhooks of version 2 (documents of August 2026, never recorded), delivered to a running server."""

from collections.abc import Callable, Mapping
from datetime import date

import pytest
from app_world import TODAY, Clock, event, events
from msgspec.structs import replace
from plane.deliveries import DOCUMENTED, EVENTS, PLANES_EXAMPLE, Spelling, Webhook
from plane.sample import sample
from plane.test_webhook import touched_by
from test_background import inline_loop
from test_webhooks import OTHER, SECRET, Hooks, hooked, hooks, signed

from icsfeed.config.schema import Config, Secret
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import SLUG, sample_id
from icsfeed.demo.settings import demo_config
from icsfeed.model import Needs

pytestmark = pytest.mark.anyio

PROJECT = sample_id("project", "PROP")
ITEM = sample_id("issue", "PROP", "1")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, Mapping[str, object]]:
    return "asyncio", {"loop_factory": inline_loop}


def webhook(one: Hooks, spelling: Spelling = DOCUMENTED) -> Webhook:
    return Webhook(one.world.data, SLUG, SECRET, spelling=spelling)


def commercial() -> Config:
    """The configuration whose feed `plan` has milestones too."""
    config = hooked()
    return replace(config, feeds={**config.feeds, "plan": demo_config(COMMERCIAL).feeds["plan"]})


REQUESTS = {
    "projects": r"/projects/\?",
    "issues": f"/projects/{PROJECT}/work-items/",
    "cycles": f"/projects/{PROJECT}/cycles/",
    "modules": f"/projects/{PROJECT}/modules/",
    "milestones": f"/projects/{PROJECT}/milestones/",
}


@pytest.mark.parametrize("spelling", [DOCUMENTED, PLANES_EXAMPLE], ids=["documented", "example"])
@pytest.mark.parametrize("name", EVENTS)
async def test_each_event_is_taken_and_what_it_touches_is_read(name: str, spelling: Spelling) -> None:
    async with hooks(commercial(), edition=COMMERCIAL) as one:
        assert (await one.world.get("plan")).is_success
        before = {what: one.world.faults.count(path) for what, path in REQUESTS.items()}
        total = one.world.faults.count()
        delivery = dict(webhook(one, spelling).each(one.world.data.projects[PROJECT]))[name]
        answer = await one.post(delivery.body)
        assert (answer.status_code, answer.json()["status"]) == (200, "processed")
        await one.time.pass_(3, 1000)
        read = {what for what, path in REQUESTS.items() if one.world.faults.count(path) > before[what]}
        assert read == {*filter(None, [touched_by(name)])}
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


@pytest.mark.parametrize(
    ("spelling", "previous"),
    [
        pytest.param(DOCUMENTED, None, id="as documented"),
        pytest.param(PLANES_EXAMPLE, None, id="as in the example"),
        pytest.param(DOCUMENTED, {"id": ITEM}, id="without a project"),
        pytest.param(DOCUMENTED, "None", id="as the entity alone"),
    ],
)
async def test_a_deleted_item_is_gone_within_three_seconds(spelling: Spelling, previous: object) -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.delete_issue(row["id"])
        sent = webhook(one, spelling).work_item("deleted", row)
        if previous is not None:
            sent = webhook(one).send(sent.json | {"previous_attributes": previous})
        await one.post(sent.body)
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3


async def test_a_deletion_shows_although_an_item_was_created_at_the_same_time() -> None:
    """Their number is the same as before."""
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.delete_issue(row["id"])
        new = one.world.data.create_issue(PROJECT, {"name": "New", "target_date": "2026-12-24"})
        await one.post(webhook(one).work_item("created", new).body)
        await one.post(webhook(one).work_item("deleted", row).body)
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3
        assert new["id"] in (await one.world.get("property")).text


async def test_an_archived_item_is_gone_within_three_seconds_and_comes_back() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.issue("PROP", 1)
        one.world.data.archive_issue(row["id"])
        await one.post(webhook(one).work_item("archived", row).body)
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None) <= 3
        row["archived_at"] = None  # `updated_at` stays as it was
        await one.post(webhook(one).work_item("updated", row, {"archived_at": "2026-11-23"}).body)
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is not None) <= 3


@pytest.mark.parametrize(
    ("kind", "verb"),
    [
        *(("cycle", "archived"), ("cycle", "deleted"), ("module", "archived"), ("module", "deleted")),
        ("milestone", "deleted"),
    ],
)
async def test_a_period_that_ends_is_gone_within_three_seconds(kind: str, verb: str) -> None:
    async with hooks(commercial(), edition=COMMERCIAL) as one:
        project = one.world.data.projects[PROJECT]
        rows: dict[str, Row] = getattr(project, f"{kind}s")
        row = next(iter(rows.values()))
        uid = f"plane-{kind}-{row['id']}@calplanebot"
        assert uid in events((await one.world.get("plan")).content)
        del rows[row["id"]]
        await one.post(webhook(one).whole(kind, verb, row | {"project": PROJECT}).body)
        assert await seconds_until(one, lambda body: uid not in events(body), "plan") <= 3


@pytest.mark.parametrize("place", [{"project": PROJECT}, {}], ids=["in its project", "without a project"])
async def test_a_milestone_that_moves_is_shown_within_three_seconds(place: Row) -> None:
    async with hooks(commercial(), edition=COMMERCIAL) as one:
        row = next(iter(one.world.data.projects[PROJECT].milestones.values()))
        uid = f"plane-milestone-{row['id']}@calplanebot"
        assert uid in events((await one.world.get("plan")).content)
        row["target_date"] = "2026-12-24"
        await one.post(webhook(one).whole("milestone", "updated", row | place).body)

        def is_moved(body: bytes) -> bool:
            return bool(events(body)[uid]["dtstart"].dt == date(2026, 12, 24))

        assert await seconds_until(one, is_moved, "plan") <= 3


@pytest.mark.parametrize("verb", ["archived", "deleted"])
async def test_a_project_that_ends_is_gone_within_three_seconds(verb: str) -> None:
    """Also where Plane no longer lists it, which alone could mean that the key's owner has left it."""
    async with hooks() as one:
        assert event((await one.world.get("everything")).content, "PROP", 1)
        row = one.world.data.projects.pop(PROJECT).row
        await one.post(webhook(one).whole("project", verb, row).body)
        assert await seconds_until(one, lambda body: event(body, "PROP", 1) is None, "everything") <= 3
        assert one.world.workspace.last_error is None


# Repetitions


async def test_a_repetition_changes_nothing_and_another_event_does() -> None:
    async with hooks() as one:
        await one.warm()
        row = one.world.issue("PROP", 1)
        hook = webhook(one)
        sent = hook.work_item("updated", row)
        await one.post(sent.body)
        await one.time.pass_(3)
        before = one.world.faults.count()
        again = await one.post(hook.again(sent).body)
        assert (again.status_code, again.json()["message"]) == (200, "Seen before")
        await one.time.pass_(3)
        assert one.world.faults.count() == before
        await one.post(hook.work_item("updated", row).body)
        await one.time.pass_(3)
        assert one.world.faults.count() == before + 1
        assert one.counts == {"taken": 2, "replayed": 1}


@pytest.mark.parametrize("event_id", ["None", None, ""])
async def test_without_an_event_id_only_the_same_body_is_a_repetition(event_id: object) -> None:
    async with hooks() as one:
        await one.warm()
        first, second = (
            webhook(one).send({"data": {"id": ITEM}, "event_id": event_id}).body for _ in range(2)
        )
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
        body = webhook(one).work_item("updated", one.world.issue("PROP", 1)).body
        for secret in (SECRET, OTHER):
            assert (await one.post(body, signed(body, secret))).json()["message"] == "Issue sync triggered"
        assert [space.resources.issues[PROJECT].is_fresh for space in spaces.values()] == [False, False]


# What nobody knows yet


async def test_an_unknown_event_has_its_project_read_again() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        row = one.world.change("PROP", 1, name="Renamed")
        sent = webhook(one).whole("tessera", "moved", {"id": "t1", "project": row["project"]})
        assert (await one.post(sent.body)).is_success
        assert await seconds_until(one, lambda body: b"Renamed" in body) <= 3
        assert one.counts == {"not_understood": 1}


async def test_a_filter_in_plane_that_leaves_items_out_delays_them_until_the_next_poll() -> None:
    async with hooks() as one:
        assert event((await one.world.get("property")).content, "PROP", 1)
        one.world.change("PROP", 1, name="Nobody says so")
        one.clock.move(61)
        assert "Nobody says so" in (await one.world.get("property")).text
