"""Plane's webhooks: whether a delivery is genuine, and what it makes stale in the cache.

A delivery only says what to read again. Its data is not used: deliveries come in any order, and there is
none for much that matters: Plane v1.3.1 sends nothing when an issue is deleted, archived or dragged in the
calendar, joins a cycle or module, or when a state or label is edited.
Recorded from Plane v1.3.1, v1.0.0 and v0.24.1; two shapes of body are known:

    {"event", "action", "webhook_id", "workspace_id", "data", "activity"}          Plane's own
    {"action", "data": {an issue}, "actor", "created_at", "workspace": {id, slug}}  always of an issue
"""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from icsfeed.errors import WebhookError

Action: TypeAlias = Literal["create", "update", "delete"]
Resource: TypeAlias = Literal["projects", "issues", "cycles", "modules"]

ISSUE = "issue"
RESOURCES: Mapping[str, Resource] = {
    ISSUE: "issues",
    "issue_comment": "issues",  # a comment moves its issue's updated_at
    "cycle": "cycles",
    "module": "modules",
    "project": "projects",
}
"""What becomes stale, by event."""
ALSO_STALE: Mapping[str, Resource] = {
    "cycles": "cycles",
    "modules": "modules",
    "timezone": "cycles",  # a cycle's days are those of its project's time zone
}
"""What else becomes stale, by the field that changed (`activity.field`)."""

_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,63}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

_Row: TypeAlias = dict[str, Any]


class WebhookChange(Struct, frozen=True, kw_only=True):
    """What must be read again because of a delivery. All text in it is short and plain ASCII.

    `resources` is empty for events that change nothing that is read. `projects` is empty when the
    delivery does not say which (Plane sends a created issue without any id when it is gone before the
    delivery). `periods` are the cycles or modules it is about, or that the issue has joined or left.
    """

    action: Action
    resources: frozenset[Resource] = frozenset()
    projects: frozenset[str] = frozenset()
    periods: frozenset[str] = frozenset()
    issue: str | None = None
    project_deleted: bool = False


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Return whether `signature` is the HMAC-SHA256 of the raw body with one of the secrets.

    Plane sends lower-case hex in X-Plane-Signature, others put `sha256=` before it; both are accepted,
    in upper case too. Several secrets allow a rotation. An empty secret signs nothing. Every secret is
    compared, each in constant time: the time taken does not show which one is right.
    """
    given = (signature or "").strip().lower().removeprefix("sha256=").encode("utf-8", "replace")
    is_valid = False
    for secret in filter(None, secrets):
        expected = hmac.new(secret.encode(), body, sha256).hexdigest().encode()
        is_valid |= hmac.compare_digest(expected, given)
    return is_valid


def read(body: bytes) -> WebhookChange:
    """Return what a delivery changes. Raises WebhookError, and nothing else, for one that cannot be read."""
    row = _decoded(body)
    event = _text(row, "event", _WORD, "a word") or ISSUE
    verb = _text(row, "action", _WORD, "a word")
    if verb is None:
        raise WebhookError("action", "is missing", missing=True)
    # Plane says `created`, others `create`. A verb that we do not know is a change like any other.
    verb = verb.lower().removesuffix("d")
    action: Action = next((action for action in get_args(Action) if action == verb), "update")
    if event not in RESOURCES:
        return WebhookChange(action=action)
    data = _object(row.get("data"), "data")
    activity = {} if row.get("activity") is None else _object(row["activity"], "activity")
    field = activity.get("field")
    id_of_issue = {ISSUE: "id", "issue_comment": "issue"}.get(event)
    issue = _id_in(data, id_of_issue) if id_of_issue else None
    if issue is None and row.get("event") is None:
        raise WebhookError("data.id", "is missing", missing=True)
    also = ALSO_STALE.get(field) if isinstance(field, str) else None
    periods: frozenset[str] = frozenset()
    if event in ("cycle", "module"):
        periods = _set_of(_id_in(data, "id"))
    elif event == ISSUE and field in ("cycles", "modules"):
        ends = (_id_in(activity, f"{which}_identifier", "activity.") for which in ("old", "new"))
        periods = _set_of(*ends)
    return WebhookChange(
        action=action,
        resources=frozenset({RESOURCES[event], also or RESOURCES[event]}),
        projects=_set_of(_id_in(data, "id" if event == "project" else "project")),
        periods=periods,
        issue=issue,
        # With another field something was deleted in it: older versions say `deleted` with `cycles`.
        project_deleted=event == "project" and action == "delete" and field in (None, event),
    )


def _decoded(body: bytes) -> _Row:
    """Decode the body. Lone surrogates, which msgspec refuses, are accepted."""
    try:
        try:
            row = msgspec.json.decode(body)
        except msgspec.DecodeError:
            row = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise WebhookError("", "the body is not JSON") from None
    if not isinstance(row, dict):
        raise WebhookError("", "the body is not a JSON object")
    return row


def _id_in(row: _Row, name: str, where: str = "data.") -> str | None:
    """Return an id, or the id of an object in its place; None: there is none."""
    value = row.get(name)
    if isinstance(value, dict):
        return _text(value, "id", _ID, "an id", f"{where}{name}.")
    return _text(row, name, _ID, "an id", where)


def _text(row: _Row, name: str, pattern: re.Pattern[str], kind: str, where: str = "") -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise WebhookError(where + name, f"is not {kind}")


def _object(value: object, field: str) -> _Row:
    if value is None:
        raise WebhookError(field, "is missing", missing=True)
    if not isinstance(value, dict):
        raise WebhookError(field, "is not an object")
    return value


def _set_of(*ids: str | None) -> frozenset[str]:
    return frozenset(id_ for id_ in ids if id_ is not None)
