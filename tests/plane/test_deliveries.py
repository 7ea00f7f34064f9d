"""Webhooks of version 2 as Plane's documents show them (developers.plane.so/dev-tools/intro-webhooks,
18 August 2026): nobody has recorded one.
"""

from datetime import date

import pytest

from icsfeed.demo.data import DemoProject
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.sample import SLUG, sample_id
from icsfeed.plane.webhook import is_signed
from plane.data import PlaneData
from plane.deliveries import EVENTS, PLANES_EXAMPLE, Webhook
from plane.sample import sample

SECRET = "plane_wh_0123456789abcdef"
FIELDS = {
    *("version", "delivery_id", "event_id", "entity_id", "entity_type", "event", "webhook_id"),
    *("workspace_id", "data", "previous_attributes"),
}
EXAMPLE_OF_A_WORK_ITEM = {
    *("id", "name", "point", "type_id", "is_draft", "priority", "state_id", "label_ids", "parent_id"),
    *("created_at", "deleted_at", "project_id", "sort_order", "start_date", "updated_at", "archived_at"),
    *("external_id", "sequence_id", "target_date", "assignee_ids", "completed_at", "workspace_id"),
    *("created_by_id", "updated_by_id", "external_source", "description_json", "last_activity_at"),
    "estimate_point_id",
}


@pytest.fixture
def world() -> PlaneData:
    return sample(date(2026, 11, 21), edition=COMMERCIAL)


@pytest.fixture
def project(world: PlaneData) -> DemoProject:
    return world.projects[sample_id("project", "PROP")]


def test_each_documented_event_has_the_documented_fields_and_headers(
    world: PlaneData, project: DemoProject
) -> None:
    deliveries = dict(Webhook(world, SLUG, SECRET).each(project))
    assert tuple(deliveries) == EVENTS
    assert len(EVENTS) == 43
    for event, delivery in deliveries.items():
        body, headers = delivery.json, delivery.headers
        assert body.keys() == FIELDS
        assert (body["version"], body["event"], headers["X-Plane-Event"]) == ("v2", event, event)
        assert headers["X-Plane-Delivery"] == body["delivery_id"]
        assert is_signed(delivery.body, headers["X-Plane-Signature"], [SECRET])
        assert (body["data"] == {}) == event.endswith(".deleted")
        assert bool(body["previous_attributes"]) == event.endswith(".deleted")


def test_a_work_item_is_the_record_of_the_example(world: PlaneData) -> None:
    row = world.patch_issue(sample_id("issue", "PROP", "1"), {"name": "New"})
    body = Webhook(world, SLUG, SECRET).work_item("updated", row, {"name": "Old"}).json
    assert body["data"].keys() == EXAMPLE_OF_A_WORK_ITEM
    assert body["data"]["state_id"] == row["state"]
    assert body["data"]["updated_at"].endswith("+00:00")
    assert body["data"]["parent_id"] is None
    assert body["previous_attributes"] == {"name": "Old"}
    assert (body["entity_type"], body["entity_id"]) == ("issue", row["id"])


def test_a_deleted_work_item_is_told_by_what_it_was(world: PlaneData) -> None:
    row = world.issue(sample_id("issue", "PROP", "1"))
    world.delete_issue(row["id"])
    body = Webhook(world, SLUG, SECRET).work_item("deleted", row).json
    assert (body["data"], body["previous_attributes"]["name"]) == ({}, row["name"])


def test_a_comment_and_a_link_name_their_work_item(world: PlaneData) -> None:
    hook, row = Webhook(world, SLUG, SECRET), world.issue(sample_id("issue", "PROP", "1"))
    comment, link = hook.comment("created", row).json, hook.part("link", "created", row).json
    assert (comment["data"]["id"], comment["data"]["comment"]["issue_id"]) == (row["id"], row["id"])
    assert comment["entity_type"] == "issue"
    assert (link["data"]["issue_id"], link["data"]["project_id"]) == (row["id"], row["project"])
    assert (link["entity_type"], link["entity_id"]) == ("issue_link", row["id"])


def test_it_spells_as_planes_own_example_does(world: PlaneData) -> None:
    row = world.issue(sample_id("issue", "PROP", "1"))
    hook = Webhook(world, SLUG, SECRET, spelling=PLANES_EXAMPLE)
    body = hook.work_item("updated", row, {"last_activity_at": "2026-03-31T11:44:41.242868Z"}).json
    assert body["event"] == "WebhookScope.ScopeChoices.WORK_ITEM_UPDATED"
    assert body["data"]["parent_id"] == "None"
    assert body["previous_attributes"] == {"last_activity_at": "2026-03-31 11:44:41.242868+00"}


def test_a_retry_is_another_delivery_of_the_same_event(world: PlaneData) -> None:
    hook = Webhook(world, SLUG, SECRET)
    first = hook.work_item("created", world.issue(sample_id("issue", "PROP", "1")))
    second = hook.again(first)
    assert first.json["event_id"] == second.json["event_id"]
    assert first.json["delivery_id"] != second.json["delivery_id"]
    assert is_signed(second.body, second.headers["X-Plane-Signature"], [SECRET])


def test_a_delivery_can_lack_and_have_anything(world: PlaneData) -> None:
    body = Webhook(world, SLUG, SECRET).send({"event": "sticker.created", "data": ...}).json
    assert (body["event"], "data" in body) == ("sticker.created", False)
