"""Plane's webhooks of version 2, as its documents have them (developers.plane.so, read in August 2026).

Recordings of version 1 are in tests/data/webhooks. Nobody has recorded version 2; the records of cycles,
modules, milestones, projects and pages are not documented, and follow those of work items here.

hook = Webhook(data, "acme", SECRET)
row = data.patch_issue(issue_id, {"name": "New"})
delivery = hook.work_item("updated", row, previous={"name": "Old"})
await client.post("/webhooks/plane", content=delivery.body, headers=delivery.headers)
await client.post("/webhooks/plane", **hook.again(delivery).request)     # a retry: the same event_id

`hook.whole("cycle", "archived", row)` is any other object, `hook.comment` and `hook.part` what belongs to a
work item; `hook.each(project)` makes one delivery of each documented event. Spellings of Plane's own example:
Webhook(data, "acme", SECRET, spelling=PLANES_EXAMPLE).
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from icsfeed.demo.data import DemoProject
from icsfeed.demo.rows import Row
from plane.data import PlaneData

WHOLE = ("created", "updated", "archived", "deleted")
SAVED = ("created", "updated", "deleted")
MADE = ("created", "deleted")
VERBS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("project", "cycle", "module", "page", "workitem"), WHOLE),
    **dict.fromkeys(("milestone", "page.comment", "workitem.comment", "workitem.link"), SAVED),
    "workitem.attachment": SAVED,
    **dict.fromkeys(("workitem.vote", "workitem.relation", "workitem.dependency"), MADE),
    "workitem.page_link": MADE,
}
EVENTS = tuple(f"{kind}.{verb}" for kind, verbs in VERBS.items() for verb in verbs)
"""All documented events."""
ENTITIES = {"workitem": "issue", "workitem.comment": "issue", "workitem.link": "issue_link"}
"""`entity_type` where the documents show one."""
RENAMED = {
    **{name: f"{name}_id" for name in ("project", "workspace", "state", "parent", "estimate_point", "lead")},
    **{name: f"{name}_id" for name in ("created_by", "updated_by", "owned_by")},
    "assignees": "assignee_ids",
    "labels": "label_ids",
}
LEFT_OUT = {"description_html", "description_binary", "type"}


class Spelling(Struct, frozen=True, kw_only=True):
    """How a delivery is spelled.

    - `enum_event`: `WebhookScope.ScopeChoices.WORK_ITEM_UPDATED` instead of `workitem.updated`
    - `none`: what stands for null
    - `database_times`: `previous_attributes` have a blank for the T, and `+00`
    """

    enum_event: bool = False
    none: str | None = None
    database_times: bool = False


DOCUMENTED = Spelling()
PLANES_EXAMPLE = Spelling(enum_event=True, none="None", database_times=True)


class Delivery(Struct, frozen=True):
    """A signed delivery."""

    body: bytes
    headers: dict[str, str]

    @property
    def request(self) -> dict[str, Any]:
        """What httpx takes."""
        return {"content": self.body, "headers": self.headers}

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])


class Webhook:
    """Makes deliveries of the changes in a workspace. `new_id`: of deliveries, events and the webhook."""

    def __init__(
        self,
        data: PlaneData,
        slug: str,
        secret: str,
        *,
        spelling: Spelling = DOCUMENTED,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._workspace = data.workspaces[slug].id
        self._secret = secret
        self._spelling = spelling
        self._new_id = new_id or data.new_id
        self._id = self._new_id()

    def work_item(self, verb: str, row: Row, previous: Mapping[str, Any] | None = None) -> Delivery:
        """`previous`: the old values of what was updated. Of a deleted one, `row` is how it was."""
        return self.whole("workitem", verb, row, previous)

    def comment(self, verb: str, row: Row, text: str = "Seen") -> Delivery:
        """A comment on a work item: the work item's id and name around it."""
        comment = {"id": self._new_id(), "access": "INTERNAL", "actor_id": row["created_by"]}
        comment |= {"issue_id": row["id"], "edited_at": None, "comment_stripped": text}
        around = {"id": row["id"], "name": row["name"], "comment": comment}
        return self.whole("workitem.comment", verb, around)

    def part(self, kind: str, verb: str, row: Row) -> Delivery:
        """A link, attachment, vote, relation, dependency or page_link of a work item.

        The entity of a link is the work item; of the others nobody knows.
        """
        part = {"id": self._new_id(), "issue_id": row["id"], "project": row["project"]}
        part |= {"workspace": row["workspace"], "created_by": row["created_by"]}
        if kind == "link":
            part |= {"url": "https://example.com", "title": ""}
        return self.whole(f"workitem.{kind}", verb, part, entity=row["id"])

    def whole(
        self,
        kind: str,
        verb: str,
        row: Row,
        previous: Mapping[str, Any] | None = None,
        entity: str | None = None,
    ) -> Delivery:
        """A change of any kind of object. `entity`: its `entity_id`, where that is not the id of the row.

        A milestone's row does not say in which project it is: `row | {"project": project_id}`.
        """
        style, now = self._spelling, record(row)
        event = f"{kind}.{verb}"
        deleted = verb == "deleted"
        old = now if deleted else renamed(previous or {})
        return self._signed(
            {
                "version": "v2",
                "delivery_id": self._new_id(),
                "event_id": self._new_id(),
                "entity_id": entity or row["id"],
                "entity_type": ENTITIES.get(kind, kind.rpartition(".")[2]),
                "event": enum_spelling(event) if style.enum_event else event,
                "webhook_id": self._id,
                "workspace_id": self._workspace,
                "data": {} if deleted else _spelled(now, style.none),
                "previous_attributes": _spelled(old, style.none, database_times=style.database_times),
            }
        )

    def each(self, project: DemoProject) -> Iterator[tuple[str, Delivery]]:
        """Each documented event and a delivery of it, about the first objects of a project."""
        place = {"project": project.row["id"], "workspace": project.row["workspace"]}
        issue, other = next(iter(project.issues.values())), {"id": self._new_id(), "title": "M", **place}
        rows: Mapping[str, Row] = {
            "project": project.row,
            "workitem": issue,
            "cycle": next(iter(project.cycles.values()), other),
            "module": next(iter(project.modules.values()), other),
            "milestone": next(iter(project.milestones.values()), other) | place,
        }
        for event in EVENTS:
            kind, _, verb = event.rpartition(".")
            if kind == "workitem.comment":
                yield event, self.comment(verb, issue)
            elif kind.startswith("workitem."):
                yield event, self.part(kind.removeprefix("workitem."), verb, issue)
            else:
                yield event, self.whole(kind, verb, rows.get(kind, other))

    def again(self, delivery: Delivery) -> Delivery:
        """The same event, tried again."""
        return self._signed(delivery.json | {"delivery_id": self._new_id()})

    def send(self, body: Mapping[str, Any]) -> Delivery:
        """A delivery with these fields changed, or more of them; `...` leaves one out."""
        base = {**self.whole("workitem", "updated", {"id": self._new_id()}).json, **body}
        return self._signed({name: value for name, value in base.items() if value is not ...})

    def _signed(self, body: Mapping[str, Any]) -> Delivery:
        raw = msgspec.json.encode(body)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Autopilot",
            "X-Plane-Delivery": str(body.get("delivery_id")),
            "X-Plane-Event": str(body.get("event")),
            "X-Plane-Signature": hmac.new(self._secret.encode(), raw, sha256).hexdigest(),
        }
        return Delivery(raw, headers)


def record(row: Row) -> Row:
    """A row of the API as webhooks of version 2 have it: ids under other names, datetimes with an offset."""
    kept = {name: value for name, value in row.items() if name not in LEFT_OUT}
    more = {"description_json": {}, "last_activity_at": row["updated_at"]} if "sequence_id" in row else {}
    return {name: _with_offset(value) for name, value in renamed(kept | more).items()}


def renamed(row: Mapping[str, Any]) -> Row:
    return {RENAMED.get(name, name): value for name, value in row.items()}


def enum_spelling(event: str) -> str:
    """The name of an event in Plane's source: `WebhookScope.ScopeChoices.WORK_ITEM_COMMENT_CREATED`."""
    name = event.replace("workitem", "work_item").replace(".", "_").upper()
    return f"WebhookScope.ScopeChoices.{name}"


def _with_offset(value: Any) -> Any:
    is_moment = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value)
    return datetime.fromisoformat(value).isoformat() if is_moment else value


def _spelled(value: Any, none: str | None, *, database_times: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {key: _spelled(item, none, database_times=database_times) for key, item in value.items()}
    if value is None:
        return none
    if database_times and isinstance(value, str):
        return re.sub(r"(?<=\d)T([\d:.]+)(?:Z|\+00:00)$", r" \1+00", value)
    return value
