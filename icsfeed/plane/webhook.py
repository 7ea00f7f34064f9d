"""Plane's webhooks: whether a delivery is genuine, and what of our copies it makes stale.

A delivery is a hint and never the news itself: its data is not believed, only re-read, because
deliveries come in any order and are missing for much that matters (plane-api.md, "What bites" 3).
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
"""What an event makes stale."""
ALSO: Mapping[str, Resource] = {
    "cycles": "cycles",
    "modules": "modules",
    "timezone": "cycles",  # a cycle's days are those of its project's time zone
}
"""What else is stale, by the field that changed (`activity.field`)."""

_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,63}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_SLUG = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_PREFIX = "sha256="

_Row: TypeAlias = dict[str, Any]


class WebhookChange(Struct, frozen=True, kw_only=True):
    """What must be read again because of a delivery. All text in it is short and plain ASCII.

    `resources` is empty for events that mean nothing to us. `projects` is empty when the delivery does
    not say which (Plane sends a created issue without any id when it is gone before the delivery).
    `periods` are the cycles or modules it is about, or that the issue has joined or left.
    `deleted`: the issue `issue` is gone, and not only out of a cycle. `project_deleted`: the project is.
    """

    event: str
    action: Action
    resources: frozenset[Resource] = frozenset()
    projects: frozenset[str] = frozenset()
    periods: frozenset[str] = frozenset()
    issue: str | None = None
    deleted: bool = False
    project_deleted: bool = False
    workspace_id: str | None = None
    workspace_slug: str | None = None


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Whether `signature` is the HMAC-SHA256 of the raw body with one of the secrets.

    Plane sends lower-case hex in X-Plane-Signature, others put `sha256=` before it; both are taken,
    in any case. Several secrets serve a rotation. No secret, or an empty one, signs nothing. Every
    secret is compared, each in constant time.
    """
    given = (signature or "").strip().lower().removeprefix(_PREFIX).encode("utf-8", "replace")
    found = False
    for secret in filter(None, secrets):
        wanted = hmac.new(secret.encode(), body, sha256).hexdigest().encode()
        found |= hmac.compare_digest(wanted, given)
    return found


def read(body: bytes) -> WebhookChange:
    """What a delivery touches. Raises WebhookError, and nothing else, for one that cannot be read."""
    row = _decoded(body)
    event = _word(row, "event") or ISSUE
    action = _action(row)
    if event not in RESOURCES:
        return WebhookChange(event=event, action=action)
    data = _object(row.get("data"), "data")
    activity = _optional(row, "activity")
    issue = _issue(event, data)
    if issue is None and row.get("event") is None:
        raise WebhookError("data.id", "is missing", missing=True)
    workspace = _optional(row, "workspace")
    return WebhookChange(
        event=event,
        action=action,
        resources=_resources(event, activity),
        projects=_some(_id_in(data, "id" if event == "project" else "project")),
        periods=_periods(event, data, activity),
        issue=issue,
        deleted=issue is not None and _is_deletion(ISSUE, event, action, activity),
        project_deleted=_is_deletion("project", event, action, activity),
        workspace_id=_id_in(row, "workspace_id", "") or _id_in(workspace, "id", "workspace."),
        workspace_slug=_slug(workspace),
    )


def _decoded(body: bytes) -> _Row:
    """The body as plain data. Half surrogate pairs, which msgspec refuses, are let through."""
    try:
        try:
            found = msgspec.json.decode(body)
        except msgspec.DecodeError:
            found = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise WebhookError("", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise WebhookError("", "the body is not a JSON object")
    return found


def _action(row: _Row) -> Action:
    """Plane's verb in either spelling. One that we do not know is a change like any other: read again."""
    word = _word(row, "action")
    if word is None:
        raise WebhookError("action", "is missing", missing=True)
    verb = word.lower().removesuffix("d")
    return next((action for action in get_args(Action) if action == verb), "update")


def _issue(event: str, data: _Row) -> str | None:
    name = {ISSUE: "id", "issue_comment": "issue"}.get(event)
    return _id_in(data, name) if name else None


def _is_deletion(of: str, event: str, action: Action, activity: _Row) -> bool:
    """Older versions also say `deleted` of an issue that left a cycle: then the field is `cycles`."""
    return event == of and action == "delete" and activity.get("field") in (None, of)


def _resources(event: str, activity: _Row) -> frozenset[Resource]:
    field = activity.get("field")
    also = ALSO.get(field) if isinstance(field, str) else None
    return frozenset({RESOURCES[event], also or RESOURCES[event]})


def _periods(event: str, data: _Row, activity: _Row) -> frozenset[str]:
    if event in ("cycle", "module"):
        return _some(_id_in(data, "id"))
    if event != ISSUE or activity.get("field") not in ("cycles", "modules"):
        return frozenset()
    ends = (_id_in(activity, f"{which}_identifier", "activity.") for which in ("old", "new"))
    return frozenset().union(*map(_some, ends))


def _id_in(row: _Row, name: str, where: str = "data.") -> str | None:
    """An id, or the id of the object that stands in its place; None: there is none."""
    found = row.get(name)
    if isinstance(found, dict):
        found, name = found.get("id"), f"{name}.id"
    return _matching(_ID, found, where + name, "an id")


def _slug(workspace: _Row) -> str | None:
    return _matching(_SLUG, workspace.get("slug"), "workspace.slug", "a slug")


def _word(row: _Row, name: str) -> str | None:
    return _matching(_WORD, row.get(name), name, "a word")


def _matching(pattern: re.Pattern[str], found: object, field: str, what: str) -> str | None:
    if found is None:
        return None
    if isinstance(found, str) and pattern.fullmatch(found):
        return found
    raise WebhookError(field, f"is not {what}")


def _object(found: object, field: str) -> _Row:
    if found is None:
        raise WebhookError(field, "is missing", missing=True)
    if not isinstance(found, dict):
        raise WebhookError(field, "is not an object")
    return found


def _optional(row: _Row, field: str) -> _Row:
    return {} if row.get(field) is None else _object(row[field], field)


def _some(found: str | None) -> frozenset[str]:
    return frozenset() if found is None else frozenset({found})
