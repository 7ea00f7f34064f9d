"""Plane's webhooks as they were recorded (v1.3.1, v1.0.0, v0.24.1), and what nobody should send."""

import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from icsfeed.errors import WebhookError
from icsfeed.plane.webhook import WebhookChange, is_signed, read

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
    assert (change.issue, change.project_deleted) == (None, action == "delete")


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
    assert read(body).project_deleted is deleted


@pytest.mark.parametrize("event", ["issue", "issue_comment", "cycle", "module"])
def test_the_deletion_of_something_else_is_none_of_a_project(event: str) -> None:
    assert not read(plane(event, "deleted", data={"id": "x", "issue": "i1"})).project_deleted


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


@pytest.mark.parametrize("event", ["intake_issue", "ping", "Issue"])
def test_unknown_events_touch_nothing(event: str) -> None:
    assert read(plane(event, data=None)) == WebhookChange(action="update")


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_the_shape_without_an_event_is_an_issues(verb: str) -> None:
    assert read(json.dumps(OTHER | {"action": verb}).encode()) == WebhookChange(
        action=verb,  # type: ignore[arg-type]
        resources=frozenset({"issues"}),
        projects=frozenset({WEB}),
        issue="b1601b41-7fcc-42a3-a811-07f482f6f550",
    )


@pytest.mark.parametrize(
    ("body", "field", "missing"),
    [
        (b"", "", False),
        (b"[]", "", False),
        (b'"issue"', "", False),
        (b"\xff{}", "", False),
        (b'{"action": "upda', "", False),
        (b"[" * 100_000, "", False),
        (b'{"action": ' + b"9" * 10_000 + b"}", "", False),
        (b"{}", "action", True),
        (b'{"event": "issue"}', "action", True),
        (plane(action=""), "action", False),
        (b'{"action": 1, "data": {}}', "action", False),
        (b'{"event": {}, "action": "update"}', "event", False),
        (plane("bad\r\nevent"), "event", False),
        (plane(data=None), "data", True),
        (plane(data=[]), "data", False),
        (plane(data={"id": 7}), "data.id", False),
        (plane(data={"id": "a/../b"}), "data.id", False),
        (plane(data={"id": "i1", "project": []}), "data.project", False),
        (plane(data={"id": "i1", "project": {"id": 1}}), "data.project.id", False),
        (plane("issue_comment", data={"issue": 1}), "data.issue", False),
        (plane(activity="name"), "activity", False),
        (plane(activity={"field": "cycles", "old_identifier": 1}), "activity.old_identifier", False),
        (json.dumps(OTHER | {"data": {}}).encode(), "data.id", True),
    ],
)
def test_what_cannot_be_read_names_the_field(body: bytes, field: str, missing: bool) -> None:
    with pytest.raises(WebhookError) as caught:
        read(body)
    assert (caught.value.field, caught.value.missing) == (field, missing)
    assert str(caught.value).startswith(field)


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
    """Read, or refused as documented; what was read is fit for a log line and a path."""
    try:
        change = read(body)
    except WebhookError:
        return
    texts = {change.issue}
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
    understood(
        json.dumps(row | {"event": "issue", "action": "deleted"}, ensure_ascii=False).encode(errors="replace")
    )


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
