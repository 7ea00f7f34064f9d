"""Plane's webhooks: as recorded (v1.3.1, v1.0.0, v0.24.1), as documented (version 2), and damaged."""

import hmac
import json
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.sample import SLUG, sample_id
from icsfeed.plane.webhook import ALL_OF_PROJECT, CHEAP, Resource, WebhookChange, is_signed, read
from plane.deliveries import DOCUMENTED, EVENTS, PLANES_EXAMPLE, Delivery, Webhook
from plane.sample import sample

DATA = Path(__file__).parents[1] / "data"
RECORDED = sorted((DATA / "webhooks").glob("*.json"))
SECRET: str = json.loads((DATA / "plane" / "ids.json").read_bytes())["webhook_acme"]["secret"]

ACME = "87f10f0a-88d6-41b2-a295-2422b1611a3d"
WEB = "0dd17da7-1669-4f23-be89-0cc025bca15b"
HOOK = "5f484add-605e-4a36-bb5c-9c6d7d9f1185"
SPRINT = "2ae29123-0d67-44d3-894a-8b0507c5b754"

OTHER: dict[str, Any] = {
    "action": "update",
    "data": {
        "id": "b1601b41-7fcc-42a3-a811-07f482f6f550",
        "name": "Renew the lease",
        "target_date": "2026-12-01",
        "state": {"name": "In Progress", "group": "started"},
        "project": {"id": WEB, "identifier": "WEB"},
    },
    "actor": {"id": "db38b3cf-8ca9-48ce-9507-dbc60d8c29d3"},
    "created_at": "2026-11-21T08:00:31Z",
    "workspace": {"id": ACME, "slug": "acme"},
}
"""The shape without an event."""


def recorded(path: Path) -> tuple[bytes, dict[str, str]]:
    """The raw body of a delivery and its headers."""
    row = json.loads(path.read_bytes())
    return row["raw_body"].encode(), {name.lower(): value for name, value in row["headers"]}


def delivery(number: int) -> WebhookChange:
    return read(recorded(RECORDED[number - 1])[0])


def plane(event: str = "issue", action: str = "updated", **more: Any) -> bytes:
    body = {"event": event, "action": action, "data": {"id": "i1", "project": "p1"}, "activity": None}
    return json.dumps(body | more).encode()


def touched(change: WebhookChange) -> tuple[set[str], set[str], str]:
    """What it makes stale, in which projects, and what was not understood."""
    return set(change.resources), set(change.projects), change.problem


def signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def test_all_recordings_are_here() -> None:
    assert len(RECORDED) == 41


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_recorded_delivery_is_signed_and_read(path: Path) -> None:
    body, headers = recorded(path)
    assert len(body) == int(headers["content-length"])
    assert is_signed(body, headers["x-plane-signature"], [SECRET])
    assert not is_signed(body + b" ", headers["x-plane-signature"], [SECRET])
    change = read(body)
    assert change.action == json.loads(body)["action"].removesuffix("d")
    assert change.resources
    assert (change.event_id, change.problem) == (None, "")


def test_a_changed_issue_is_read_again_in_its_project() -> None:
    issue = "b1601b41-7fcc-42a3-a811-07f482f6f550"
    assert delivery(1) == WebhookChange(
        action="update",
        resources=frozenset({"issues"}),
        projects=frozenset({WEB}),
        issue=issue,
    )


def test_a_comment_touches_its_issue() -> None:
    change = delivery(18)
    assert change.issue == "af9cac8e-271e-4001-9982-ee7dac85d737"
    assert change.resources == {"issues"}


@pytest.mark.parametrize(
    ("number", "resource", "period"),
    [
        (20, "cycles", "040fc5be-993a-4864-bdd4-f67a53fe8a86"),
        (23, "modules", "880f08bc-54ba-46d2-a53b-fe32ad97ca24"),
        (35, "cycles", SPRINT),
    ],
)
def test_a_cycle_or_module_is_read_again_and_no_issue(number: int, resource: str, period: str) -> None:
    change = delivery(number)
    assert change.resources == {resource}
    assert change.projects == {WEB}
    assert change.periods == {period}
    assert change.issue is None


@pytest.mark.parametrize(("number", "action"), [(24, "create"), (25, "update"), (26, "delete")])
def test_a_project_is_named_by_its_own_id(number: int, action: str) -> None:
    change = delivery(number)
    assert change.action == action
    assert change.resources == {"projects"}
    assert change.projects == {HOOK}
    assert (change.issue, change.project_gone) == (None, action == "delete")


def test_joining_and_leaving_a_cycle_touch_the_cycle() -> None:
    joined, left = delivery(34), delivery(36)
    assert (joined.action, left.action) == ("create", "delete")
    for change in (joined, left):
        assert change.resources == {"issues", "cycles"}
        assert change.periods == {SPRINT}


def test_a_created_issue_without_any_id_leaves_open_which_project_it_is_in() -> None:
    """Sent of an issue that was gone again before its delivery."""
    change = delivery(41)
    assert change.resources == {"issues"}
    assert not change.projects
    assert change.issue is None


@pytest.mark.parametrize(
    ("activity", "deleted"),
    [
        (None, True),
        ({}, True),
        ({"field": None}, True),
        ({"field": "project"}, True),
        ({"field": "cycles"}, False),
        ({"field": "modules"}, False),
        ({"field": "labels"}, False),
        ({"field": []}, False),
    ],
)
def test_a_project_is_deleted_only_when_no_other_field_is_named(activity: object, deleted: bool) -> None:
    body = plane("project", "deleted", data={"id": "p1"}, activity=activity)
    assert read(body).project_gone is deleted


@pytest.mark.parametrize("event", ["issue", "issue_comment", "cycle", "module"])
def test_the_deletion_of_something_else_is_none_of_a_project(event: str) -> None:
    assert not read(plane(event, "deleted", data={"id": "x", "issue": "i1"})).project_gone


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("create", "create"),
        ("created", "create"),
        ("update", "update"),
        ("UPDATED", "update"),
        ("delete", "delete"),
        ("deleted", "delete"),
        ("archived", "update"),
    ],
)
def test_verbs_are_known_in_both_spellings_and_unknown_ones_are_changes(word: str, action: str) -> None:
    assert read(plane(action=word)).action == action


def test_a_new_time_zone_of_a_project_moves_its_cycles() -> None:
    assert read(plane("project", activity={"field": "timezone"})).resources == {"projects", "cycles"}


@pytest.mark.parametrize("event", ["ping", "state", "pages.x", "teamspace.member.added"])
def test_an_unknown_event_makes_all_of_its_project_stale_and_is_a_problem(event: str) -> None:
    named = read(plane(event))
    problem = f"the event {event.replace('.', '_')} is unknown"
    assert touched(named) == (set(ALL_OF_PROJECT), {"p1"}, problem)
    elsewhere = read(plane(event, data={"id": "x"}))
    assert touched(elsewhere) == (set(CHEAP), set(), problem)


@pytest.mark.parametrize("event", ["Issue", "intake_issue", "issue_link", "issue_reaction"])
def test_other_events_of_an_issue_make_the_issues_stale(event: str) -> None:
    change = read(plane(event))
    assert touched(change) == ({"issues"}, {"p1"}, "")


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_the_shape_without_an_event_is_an_issues(verb: str) -> None:
    assert read(json.dumps(OTHER | {"action": verb}).encode()) == WebhookChange(
        action=verb,  # type: ignore[arg-type]
        resources=frozenset({"issues"}),
        projects=frozenset({WEB}),
        issue="b1601b41-7fcc-42a3-a811-07f482f6f550",
    )


# Version 2

ITEM, PROJECT, CYCLE = "b1601b41-7fcc-42a3-a811-07f482f6f550", WEB, SPRINT


def v2(event: str, data: Any, previous: Any = None, **more: Any) -> bytes:
    body = {
        "version": "v2",
        "delivery_id": "0d4c1e54-0000-4000-8000-000000000001",
        "event_id": "5a9c1e54-0000-4000-8000-000000000002",
        "event": event,
        "webhook_id": HOOK,
        "workspace_id": ACME,
        "data": data,
        "previous_attributes": previous or {},
    }
    return json.dumps(body | more).encode()


TOUCHED: Mapping[str, Resource | None] = {
    "project": "projects",
    "cycle": "cycles",
    "module": "modules",
    "milestone": "milestones",
    **dict.fromkeys(("page", "page.comment", "workitem.vote", "workitem.page_link")),
    **dict.fromkeys(("workitem", "workitem.comment", "workitem.link", "workitem.attachment"), "issues"),
    **dict.fromkeys(("workitem.relation", "workitem.dependency"), "issues"),
}
"""What each documented kind of event makes stale; None: nothing."""
_WORLD = sample(date(2026, 11, 23), edition=COMMERCIAL)
_PROP = _WORLD.projects[sample_id("project", "PROP")]
DELIVERIES: Mapping[str, Mapping[str, Delivery]] = {
    name: dict(Webhook(_WORLD, SLUG, SECRET, spelling=spelling).each(_PROP))
    for name, spelling in {"documented": DOCUMENTED, "example": PLANES_EXAMPLE}.items()
}
"""One of each event, by its spelling."""


def touched_by(event: str) -> Resource | None:
    return TOUCHED[event.rpartition(".")[0]]


@pytest.mark.parametrize("spelling", DELIVERIES)
@pytest.mark.parametrize("event", EVENTS)
def test_each_event_of_version_2_makes_stale_what_it_names(event: str, spelling: str) -> None:
    delivery = DELIVERIES[spelling][event]
    kind, _, verb = event.rpartition(".")
    resource, entity = touched_by(event), delivery.json["entity_id"]
    expected = WebhookChange(
        action={"archived": "update"}.get(verb, verb.removesuffix("d")),  # type: ignore[arg-type]
        event_id=delivery.json["event_id"],
    )
    if resource is not None:
        # The documented example of a comment names its work item, and no project.
        projects = frozenset[str]() if kind == "workitem.comment" else frozenset({_PROP.row["id"]})
        expected = replace(
            expected,
            resources=frozenset({resource}),
            projects=projects,
            periods=frozenset({entity}) if kind in ("cycle", "module", "milestone") else frozenset(),
            issue=entity if resource == "issues" else None,
            project_gone=kind == "project" and verb in ("archived", "deleted"),
        )
    assert read(delivery.body) == expected


@pytest.mark.parametrize(
    ("event", "resource"), [("release.updated", "releases"), ("initiative.deleted", "initiatives")]
)
def test_what_is_in_no_project_needs_none(event: str, resource: str) -> None:
    change = read(v2(event, {"id": "r1", "target_date": "2026-12-01"}))
    assert touched(change) == ({resource}, set(), "")


@pytest.mark.parametrize(
    ("event", "record", "previous", "expected"),
    [
        ("workitem.updated", {"id": ITEM, "project_id": PROJECT}, {"cycle_id": "None"}, {"issues", "cycles"}),
        ("workitem.updated", {"id": ITEM, "project_id": PROJECT}, {"module_ids": []}, {"issues", "modules"}),
        ("project.updated", {"id": PROJECT}, {"timezone": "UTC"}, {"projects", "cycles"}),
        ("workitem.deleted", {}, {"id": ITEM, "project_id": PROJECT, "cycle_id": CYCLE}, {"issues"}),
    ],
)
def test_the_fields_that_changed_say_what_else_is_stale(
    event: str, record: object, previous: object, expected: set[str]
) -> None:
    assert read(v2(event, record, previous)).resources == expected


def test_an_item_that_moved_is_read_in_both_projects() -> None:
    change = read(v2("workitem.updated", {"id": ITEM, "project_id": "new"}, {"project_id": "old"}))
    assert change.projects == {"old", "new"}


@pytest.mark.parametrize(
    ("event", "data", "previous", "entity", "issue"),
    [
        pytest.param("workitem.deleted", {}, {}, ITEM, ITEM, id="only the entity"),
        pytest.param("workitem.deleted", None, "None", ITEM, ITEM, id="nulls for objects"),
        pytest.param(
            "workitem.comment.created", {"id": ITEM, "comment": {"id": "c"}}, {}, "c", ITEM, id="within"
        ),
        pytest.param(
            "workitem.link.deleted", {}, {"id": "l", "issue_id": ITEM}, "l", ITEM, id="a link's item"
        ),
    ],
)
def test_without_a_project_the_item_says_where(
    event: str, data: object, previous: object, entity: str, issue: str
) -> None:
    change = read(v2(event, data, previous, entity_id=entity, project_id="None"))
    assert (change.issue, change.projects, change.problem) == (issue, frozenset(), "")


def test_only_the_end_of_a_project_itself_is_believed() -> None:
    member = {"id": "m1", "project_id": PROJECT}
    for event in ("project.member.deleted", "project.page.archived", "project_member_deleted"):
        change = read(v2(event, {}, member))
        assert touched(change) == ({"projects"}, {PROJECT}, "")
        assert not change.project_gone
    assert read(v2("project.deleted", {}, entity_id=PROJECT)).projects == {PROJECT}


@pytest.mark.parametrize(
    ("event", "resource"),
    [
        ("workitem.restored", "issues"),
        ("work_item.updated", "issues"),
        ("work-item.updated", "issues"),
        ("WORK_ITEM_UPDATED", "issues"),
        ("epic.updated", "issues"),
        ("workitem.reaction.created", "issues"),
        ("cycle.unarchived", "cycles"),
        ("project.restored", "projects"),
    ],
)
def test_other_spellings_and_unknown_verbs_are_changes_of_what_they_name(event: str, resource: str) -> None:
    change = read(v2(event, {"id": PROJECT, "project_id": PROJECT}))
    assert touched(change) == ({resource}, {PROJECT}, "")
    assert not change.project_gone


def test_an_unknown_event_is_of_the_kind_that_its_entity_has() -> None:
    change = read(v2("tessera.updated", {"issue_id": ITEM}, entity_type="issue_link"))
    assert touched(change) == ({"issues"}, set(), "")
    assert change.issue == ITEM
    assert read(v2("tessera.updated", {}, entity_type="page")).resources == frozenset()


def test_a_verb_may_be_given_twice() -> None:
    change = read(v2("workitem.deleted", {}, {"id": ITEM, "project_id": PROJECT}, action="deleted"))
    assert (change.action, change.issue) == ("delete", ITEM)


@pytest.mark.parametrize("odd", ["None", "", None, 7, [], "not an id"])
def test_a_repetition_is_recognised_only_by_an_id(odd: object) -> None:
    change = read(v2("workitem.updated", {"id": ITEM, "project_id": PROJECT}, event_id=odd))
    assert change.event_id is None
    assert touched(change) == ({"issues"}, {PROJECT}, "")


def test_ids_are_compared_as_planes_api_writes_them() -> None:
    data = {"id": ITEM.upper(), "project_id": PROJECT.replace("-", "").upper()}
    change = read(v2("workitem.updated", data))
    assert change.issue == ITEM
    assert change.projects == {PROJECT}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON"),
        (b"event=issue&action=updated", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'"issue"', "the body is not a JSON object"),
        (b"\xff{}", "the body is not JSON"),
        (b'{"action": "upda', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"action": ' + b"9" * 10_000 + b"}", "the body is not JSON"),
        (b"{}", "the event without a name is unknown"),
        (b'{"event": "issue"}', "no id says what it is about"),
        (b'{"action": 1, "data": {}}', "action is not a word"),
        (b'{"event": {}, "action": "update"}', "event is not a word"),
        (plane("bad\r\nevent"), "event is not a word"),
        (plane(data=None), "no id says what it is about"),
        (plane(data=[]), "data is not an object"),
        (plane(data={"id": 7}), "data.id is not an id"),
        (plane(data={"id": "a/../b"}), "data.id is not an id"),
        (b'{"event": 7, "action": "updated", "data": {"project": "p1"}}', "event is not a word"),
        (plane(data={"id": "i1", "project": []}), "data.project is not an id"),
        (plane(data={"id": "i1", "project": {"id": 1}}), "data.project.id is not an id"),
        (plane("issue_comment", data={"issue": 1}), "data.issue is not an id"),
        (plane(data={"id": "i1"}, activity="name"), "activity is not an object"),
        (
            plane(data={"id": "i1"}, activity={"field": "cycles", "old_identifier": 1}),
            "activity.old_identifier is not an id",
        ),
        (json.dumps(OTHER | {"data": {}}).encode(), "no id says what it is about"),
    ],
)
def test_what_cannot_be_understood_names_the_field_and_makes_something_stale(
    body: bytes, problem: str
) -> None:
    change = read(body)
    assert change.problem.startswith(problem)
    assert change.resources


@pytest.mark.parametrize(
    "damage",
    [
        {"data": {"id": 7, "project": "p1"}},
        {"activity": "name"},
        {"event_id": []},
        {"previous_attributes": 1},
    ],
)
def test_when_it_is_clear_what_to_read_nothing_else_is_a_problem(damage: dict[str, Any]) -> None:
    assert touched(read(plane(**damage))) == ({"issues"}, {"p1"}, "")


@pytest.mark.parametrize(
    "name", [b'"\\ud83d"', b'"\\ud83d\\ude00"', b"9" * 300, b"1e999", b"-0.0", b'"a", "name": "b"']
)
def test_oddities_in_what_is_not_read_do_no_harm(name: bytes) -> None:
    body = b'{"event": "issue", "action": "created", "data": {"name": ' + name + b', "id": "i1"}}'
    assert read(body).issue == "i1"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
words = st.sampled_from(
    [
        "event",
        "action",
        "data",
        "activity",
        "workspace",
        "workspace_id",
        "id",
        "slug",
        "project",
        "issue",
        "field",
        "created",
        "deleted",
        "cycle",
        "cycles",
        "previous_attributes",
        "entity_id",
        "entity_type",
        "event_id",
        "comment",
        "project_id",
        "workitem.deleted",
        "None",
    ]
)
documents = st.recursive(
    scalars | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


def understood(body: bytes) -> None:
    """Whatever was sent, what was read is fit for a log line and a path."""
    change = read(body)
    assert change.problem.isprintable()
    assert len(change.problem) < 500
    texts = {change.issue, change.event_id}
    for text in (texts | change.projects | change.periods) - {None}:
        assert text
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 64
        assert not set(text) & set(" /\\")


@example(b"[]")
@example(b"0")
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    understood(body)


@settings(deadline=None)
@given(documents, documents, documents, words | st.text(max_size=5), words | scalars)
def test_no_json_raises_anything_else(
    data: object, activity: object, workspace: object, event: str, action: object
) -> None:
    row = {"event": event, "action": action, "data": data, "activity": activity, "workspace": workspace}
    understood(json.dumps(row).encode())
    understood(json.dumps({**row, "previous_attributes": activity, "entity_id": action}).encode())
    understood(
        json.dumps(row | {"event": "issue", "action": "deleted"}, ensure_ascii=False).encode(errors="replace")
    )


NAMES = ["action", "data", "previous_attributes", "entity_id", "event_id", "activity", "version", "project"]
OF_RECORD = ["id", "project_id", "issue_id", "comment", "timezone", "deleted_at"]


@given(
    st.sampled_from([event for event in EVENTS if touched_by(event)]),
    st.dictionaries(st.sampled_from(NAMES), documents, max_size=3),
    st.dictionaries(st.sampled_from(OF_RECORD), documents, max_size=3),
    st.sets(st.sampled_from([*NAMES, *OF_RECORD]), max_size=3),
)
def test_no_damage_to_a_delivery_of_version_2_loses_it(
    event: str,
    values: dict[str, Any],
    of_record: dict[str, Any],
    renamed: set[str],
) -> None:
    documented = DELIVERIES["documented"][event].json
    record = documented["data"] or documented["previous_attributes"]
    record = {
        f"{name}Renamed" if name in renamed else name: value for name, value in (record | of_record).items()
    }
    body = documented | {"data": record, "previous_attributes": record} | values
    row = {f"{name}Renamed" if name in renamed else name: value for name, value in body.items()}
    change = read(json.dumps(row).encode())
    assert change.resources
    assert change.problem or change.projects or change.periods or change.issue or row.get("action")


@given(st.sampled_from(RECORDED), st.data())
def test_no_damage_to_a_delivery_raises_anything_else(path: Path, data: st.DataObject) -> None:
    body = bytearray(recorded(path)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    understood(
        bytes(body[: data.draw(st.integers(1, len(body)))]) if data.draw(st.booleans()) else bytes(body)
    )


def test_a_signature_is_accepted_in_any_case_and_with_its_prefix() -> None:
    body = b'{"action": "update"}'
    plain = signature(body)
    for given_ in (plain, plain.upper(), f"sha256={plain}", f"SHA256={plain.upper()}", f" {plain} "):
        assert is_signed(body, given_, [SECRET])


def test_the_old_and_the_new_secret_are_good_during_a_rotation() -> None:
    body = b"{}"
    for secret in ("old", "new"):
        assert is_signed(body, signature(body, secret), ["new", "old"])
    assert not is_signed(body, signature(body, "older"), ["new", "old"])


@pytest.mark.parametrize(
    "wrong", [None, "", " ", "sha256=", "0" * 64, "sha1=abc", "é" * 64, "\ud800", "a\x00"]
)
def test_what_is_no_signature_is_refused(wrong: str | None) -> None:
    assert not is_signed(b"{}", wrong, [SECRET])


def test_without_a_secret_nothing_is_signed() -> None:
    body = b"{}"
    assert not is_signed(body, signature(body), [])
    assert not is_signed(body, signature(body, ""), [""])
    assert not is_signed(body, signature(body, ""), ["", SECRET])


@given(st.binary(max_size=40), st.text(max_size=80))
def test_a_made_up_signature_is_never_good_and_never_an_error(body: bytes, made_up: str) -> None:
    assert not is_signed(body, made_up, [SECRET])


@pytest.mark.parametrize("field", ["cycles", "modules"])
def test_an_item_that_moves_between_periods_names_both(field: str) -> None:
    activity = {"field": field, "old_identifier": "one", "new_identifier": "other"}
    assert read(plane("issue", data={"id": "i1"}, activity=activity)).periods == {"one", "other"}
