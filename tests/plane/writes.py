"""The writes: what Plane v1.3.1 accepts, and in which words it refuses the rest."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec

from icsfeed.demo.access import RequestContext
from icsfeed.demo.data import MEMBER, DemoProject
from icsfeed.demo.rows import Row
from icsfeed.demo.views import select_fields
from icsfeed.demo.wire import PlaneResponse, bad_request, json_response
from plane.data import PlaneData
from plane.reads import first, no_such_object, shown_issues
from plane.sanitize import sanitized

PRIORITIES = ("urgent", "high", "medium", "low", "none")


def create_issue(data: PlaneData, context: RequestContext) -> PlaneResponse:
    changes = issue_changes(parsed(context.request.body), context.project, new=True)
    row = data.create_issue(context.project.row["id"], changes, by=context.key.user)
    return json_response(201, select_fields(row, context))


def patch_issue(data: PlaneData, context: RequestContext) -> PlaneResponse:
    row = _asked_issue(context)
    changes = issue_changes(parsed(context.request.body), context.project, new=False)
    return json_response(
        200, select_fields(data.patch_issue(row["id"], changes, by=context.key.user), context)
    )


def delete_issue(data: PlaneData, context: RequestContext) -> PlaneResponse:
    data.delete_issue(_asked_issue(context)["id"])
    return PlaneResponse(204)


def _asked_issue(context: RequestContext) -> Row:
    return first(row for row in shown_issues(context) if row["id"] == context.params["id"])


def link(data: PlaneData, context: RequestContext) -> PlaneResponse:
    """Adds `issues` to a cycle or module; answers with all links of it."""
    wanted: Any = parsed(context.request.body).get("issues")
    if not wanted:
        raise bad_request({"error": "Work items are required", "code": "MISSING_WORK_ITEMS"})
    if context.params["id"] not in context.project.cycles | context.project.modules:
        raise no_such_object()
    known = [key for key in wanted if key in context.project.issues]
    return json_response(200, data.add_to(context.params["id"], known, by=context.key.user))


def unlink(data: PlaneData, context: RequestContext) -> PlaneResponse:
    if context.params["issue"] not in context.project.links.get(context.params["id"], {}):
        raise no_such_object()
    data.remove_from(context.params["id"], context.params["issue"])
    return PlaneResponse(204)


def parsed(body: bytes) -> Row:
    """The body of a write as an object; 400 when it is none."""
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise bad_request({"detail": f"JSON parse error - {error}"}) from None


def issue_changes(given: Row, project: DemoProject, *, new: bool) -> Row:
    """The fields of an issue that were given, cleaned.

    400 with a list of messages for each wrong field. The dates are compared only when both are given, so
    that a PATCH can set a target before the start; who cannot be assigned is dropped silently.
    """
    changes: Row = {}
    errors: dict[str, list[str]] = {}
    for name in CHECKS.keys() & given.keys():
        try:
            changes[name] = CHECKS[name](given[name], project)
        except ValueError as error:
            errors[name] = [str(error)]
    if new and "name" not in given:
        errors["name"] = ["This field is required."]
    if errors:
        raise bad_request(errors)
    start, target = changes.get("start_date"), changes.get("target_date")
    if start and target and start > target:
        raise bad_request({"non_field_errors": ["Start date cannot exceed target date"]})
    return changes


def _name(value: Any, _: DemoProject) -> str:
    if value is None:
        raise ValueError("This field may not be null.")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("This field may not be blank." if isinstance(value, str) else "Not a valid string.")
    if "\0" in value:
        raise ValueError("Null characters are not allowed.")
    if len(value.strip()) > 255:
        raise ValueError("Ensure this field has no more than 255 characters.")
    return value.strip()


def _priority(value: Any, _: DemoProject) -> str:
    if value not in PRIORITIES:
        raise ValueError(f'"{value}" is not a valid choice.')
    return str(value)


def _date(value: Any, _: DemoProject) -> str | None:
    if value is None:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
            raise ValueError(value)
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("Date has wrong format. Use one of these formats instead: YYYY-MM-DD.") from None


def _one_of(rows: Callable[[DemoProject], dict[str, Row]]) -> Callable[[Any, DemoProject], str | None]:
    def check(value: Any, project: DemoProject) -> str | None:
        if value is not None and value not in rows(project):
            raise ValueError(f'Invalid pk "{value}" - object does not exist.')
        return None if value is None else str(value)

    return check


def _description(value: Any, _: DemoProject) -> str:
    return sanitized(str(value or ""))


def _assignees(value: Any, project: DemoProject) -> list[str]:
    return [user for user in value or [] if (project.role(user) or 0) >= MEMBER]


def _labels(value: Any, project: DemoProject) -> list[str]:
    return [label for label in value or [] if label in project.labels]


def _text(value: Any, _: DemoProject) -> str | None:
    return None if value is None else str(value)


CHECKS: dict[str, Callable[[Any, DemoProject], Any]] = {
    "name": _name,
    "description_html": _description,
    "priority": _priority,
    "start_date": _date,
    "target_date": _date,
    "state": _one_of(lambda project: project.states),
    "parent": _one_of(lambda project: project.issues),
    "assignees": _assignees,
    "labels": _labels,
    "external_id": _text,
    "external_source": _text,
}
