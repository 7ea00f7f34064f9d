"""Plane's webhooks: whether a delivery is genuine, and what it makes stale in the cache.

A delivery only says what to read again. Its data is not used: deliveries come in any order, filters in Plane
may leave some out, and v1.3.1 sends nothing when an issue is deleted, archived or dragged in the calendar,
joins a cycle or module, or when a state or label is edited. Three shapes of body are known:

    {"event": "issue", "action", "webhook_id", "workspace_id", "data", "activity"}   version 1
    {"version": "v2", "event": "workitem.updated", "event_id", "entity_id", "entity_type", "data",
     "previous_attributes"}                                                          version 2
    {"action", "data": {an issue}, "actor", "created_at", "workspace": {id, slug}}   always of an issue

Version 1 was recorded from Plane v1.3.1, v1.0.0 and v0.24.1. Version 2 follows Plane's documents of August
2026, whose example has the text "None" for null, and a member of an enumeration for an event.
"""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

Action: TypeAlias = Literal["create", "update", "delete"]
ProjectResource: TypeAlias = Literal["issues", "states", "labels", "cycles", "modules", "milestones"]
WorkspaceResource: TypeAlias = Literal["releases", "initiatives"]
Resource: TypeAlias = Literal["projects"] | ProjectResource | WorkspaceResource

RESOURCES: Mapping[str, Resource | None] = {
    "project": "projects",
    "workitem": "issues",  # comments, links, attachments and relations too: they move its updated_at
    "workitem_vote": None,
    "workitem_page_link": None,
    "intake": "issues",
    "cycle": "cycles",
    "module": "modules",
    "milestone": "milestones",
    "release": "releases",
    "initiative": "initiatives",
    "page": None,
}
"""What becomes stale, by what an event is about or by how that begins; None: nothing that calendars show."""
ALSO_STALE: Mapping[str, Resource] = {
    **dict.fromkeys(("cycle", "cycles", "cycle_id"), "cycles"),
    **dict.fromkeys(("module", "modules", "module_id", "module_ids"), "modules"),
    "milestone_id": "milestones",
    "timezone": "cycles",  # a cycle's days are those of its project's time zone
}
"""What else becomes stale, by a field that changed (`activity.field`, a name in `previous_attributes`)."""
ALL_OF_PROJECT: frozenset[Resource] = frozenset(get_args(ProjectResource))
ALL_OF_WORKSPACE: frozenset[Resource] = frozenset(get_args(WorkspaceResource))
CHEAP: frozenset[Resource] = frozenset({"projects", "issues", *ALL_OF_WORKSPACE})
"""One request each, and one for each project: what an unknown event makes stale that names no project."""

NULLS = (None, "", "None")
"""How webhooks of version 2 write null."""

_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,127}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

_Row: TypeAlias = dict[str, Any]


class WebhookChange(Struct, frozen=True, kw_only=True):
    """What must be read again because of a delivery. All text in it is short and plain ASCII.

    `resources` is empty for events that change nothing that is read. `projects` is empty when the
    delivery does not say which (Plane v1.3.1 sends a created issue without any id when it is gone before the
    delivery). `periods` are the cycles, modules or milestones it is about, or that the issue has joined or
    left. `project_gone`: it was deleted or archived. `event_id` is the same when Plane sends it again
    (version 2). `problem`: why it is not clear what must be read; empty: it is.
    """

    action: Action = "update"
    resources: frozenset[Resource] = frozenset()
    projects: frozenset[str] = frozenset()
    periods: frozenset[str] = frozenset()
    issue: str | None = None
    project_gone: bool = False
    event_id: str | None = None
    problem: str = ""


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
    """Return what a genuine delivery changes. No body raises anything: `problem` says what is wrong with it.

    What cannot be understood makes more stale than was perhaps necessary, never less.
    """
    delivery = _Delivery(body)
    if delivery.is_irrelevant:
        return WebhookChange(action=delivery.action, event_id=delivery.event_id)
    change = WebhookChange(
        action=delivery.action,
        resources=delivery.resources(),
        projects=frozenset(delivery.projects()),
        periods=frozenset(delivery.periods()),
        issue=next(iter(delivery.issues()), None),
        project_gone=delivery.is_project_gone,
        event_id=delivery.event_id,
    )
    if delivery.base and (change.projects or delivery.may_lack_ids):
        return change  # whatever else is wrong with it
    if not (delivery.problems or change.periods or change.issue):
        delivery.problems.append("no id says what it is about")
    return replace(change, problem="; ".join(delivery.problems[:3]))


class _Delivery:
    """The values of a body. What is of the wrong kind counts as absent, and is named in `problems`."""

    def __init__(self, body: bytes) -> None:
        self.problems: list[str] = []
        self.row = self._decoded(body)
        objects = ("data", "previous_attributes", "activity")
        self.data, self.previous, self.activity = (self._object(name) for name in objects)
        self.records = {"data": self.data, "previous_attributes": self.previous}
        # A comment comes within the work item that it is about.
        comments = {f"{where}.comment": row.get("comment") for where, row in self.records.items()}
        self.comments = {where: row for where, row in comments.items() if isinstance(row, dict)}
        self.event_id = next(iter(self._ids(("event_id",), {"": self.row})), None)
        self.subject, self.verb = self._subject_and_verb()
        # The key in `RESOURCES`; empty: the event is unknown.
        self.base = _base(self.subject) or _base(_normal(self._word("entity_type")))
        if not self.base and not self.problems:
            self.problems.append(f"the event {self.subject or 'without a name'} is unknown")

    def _subject_and_verb(self) -> tuple[str, str]:
        """Return `workitem_comment` and `create`. Version 1 has the verb in `action`."""
        # Plane says `created`, others `create`.
        action = self._word("action").lower()
        is_third_shape = bool(action) and self.row.get("event") in NULLS
        event = _normal("issue" if is_third_shape else self._word("event"))
        verb = action or event.rpartition("_")[2]
        return event.removesuffix(f"_{verb}"), verb.removesuffix("d")

    @property
    def action(self) -> Action:
        """A verb that we do not know is a change like any other."""
        return next((action for action in get_args(Action) if action == self.verb), "update")

    @property
    def is_irrelevant(self) -> bool:
        return bool(self.base) and RESOURCES[self.base] is None

    @property
    def may_lack_ids(self) -> bool:
        """Whether it is about no project, or as v1.3.1 sends it of an issue that is gone already."""
        is_version_1 = bool(self._word("action") and self._word("event"))
        is_gone = is_version_1 and self.verb == "create" and bool(self.data) and "id" not in self.data
        return is_gone or RESOURCES.get(self.base) in ALL_OF_WORKSPACE

    @property
    def is_project_gone(self) -> bool:
        """Whether the project itself was deleted or archived."""
        # With another field something was deleted in it: older versions say `deleted` with `cycles`.
        field = self.activity.get("field")
        return self.subject == "project" and self.verb in ("delete", "archive") and field in (None, "project")

    def resources(self) -> frozenset[Resource]:
        resource = RESOURCES.get(self.base)
        if resource is None:
            return ALL_OF_PROJECT if self.projects() else CHEAP
        # Of what is deleted, `previous_attributes` are all that it had.
        changed = [self.activity.get("field"), *(self.previous if self.verb != "delete" else ())]
        also = (ALSO_STALE[field] for field in changed if isinstance(field, str) and field in ALSO_STALE)
        return frozenset({resource, *also})

    def projects(self) -> Sequence[str]:
        """Return the ids of the project that it is in, and of the one that it was in before."""
        if self.subject == "project":
            return self._own_ids()
        return self._ids(("project_id", "project"), {"": self.row, **self.records, **self.comments})

    def periods(self) -> Sequence[str]:
        if self.subject in ("cycle", "module", "milestone"):
            return self._own_ids()
        if self.subject == "workitem" and self.activity.get("field") in ("cycles", "modules"):
            return self._ids(("old_identifier", "new_identifier"), {"activity": self.activity})
        return ()

    def issues(self) -> Sequence[str]:
        if self.subject == "workitem" or self.comments:
            return self._own_ids()
        if self.base == "workitem":
            return self._ids(("issue_id", "work_item_id", "issue"), self.records)
        return ()

    def _own_ids(self) -> Sequence[str]:
        return self._ids(("id",), self.records) or self._ids(("entity_id",), {"": self.row})

    def _decoded(self, body: bytes) -> _Row:
        """Decode the body. Lone surrogates, which msgspec refuses, are accepted."""
        try:
            try:
                row = msgspec.json.decode(body)
            except msgspec.DecodeError:
                row = json.loads(body.decode())
        except (ValueError, RecursionError):
            self.problems.append("the body is not JSON")
            return {}
        if isinstance(row, dict):
            return row
        self.problems.append("the body is not a JSON object")
        return {}

    def _object(self, name: str) -> _Row:
        value = self.row.get(name)
        if isinstance(value, dict):
            return value
        if value not in NULLS:
            self.problems.append(f"{name} is not an object")
        return {}

    def _word(self, name: str) -> str:
        return self._text(name, self.row.get(name), _WORD, "a word")

    def _ids(self, names: Sequence[str], records: Mapping[str, _Row]) -> Sequence[str]:
        """Return the ids in these fields, or of the objects in their place."""
        ids = []
        for where, record in records.items():
            for name in names:
                field, value = f"{where}.{name}".lstrip("."), record.get(name)
                if isinstance(value, dict):
                    field, value = f"{field}.id", value.get("id")
                ids.append(_canonical(self._text(field, value, _ID, "an id")))
        return [*filter(None, ids)]

    def _text(self, field: str, value: object, pattern: re.Pattern[str], kind: str) -> str:
        if isinstance(value, str) and pattern.fullmatch(value) and value not in NULLS:
            return value
        if value not in NULLS and (problem := f"{field} is not {kind}") not in self.problems:
            self.problems.append(problem)
        return ""


def _normal(event: str) -> str:
    """Return `workitem_comment_created` for `workitem.comment.created`, and for the name in an enumeration
    (`WebhookScope.ScopeChoices.WORK_ITEM_COMMENT_CREATED`). Version 1 says `issue`.
    """
    words = re.sub(r"[.-]", "_", event.lower().rpartition("choices.")[2])
    return re.sub(r"(?<![a-z])(work_item|issue|epic)(?![a-z])", "workitem", words)


def _base(subject: str) -> str:
    """Return the longest beginning of it that `RESOURCES` knows; empty: there is none."""
    while subject and subject not in RESOURCES:
        subject = subject.rpartition("_")[0]
    return subject


def _canonical(id_: str) -> str:
    """Return a UUID as Plane's API writes it, in lower case with hyphens; other ids as they are."""
    try:
        return str(UUID(id_))
    except ValueError:
        return id_
