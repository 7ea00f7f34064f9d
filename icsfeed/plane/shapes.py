"""The shapes of Plane's JSON: pages of lists, and rows with the fields that are used and no others.

They say which fields a list is asked for and what Plane (v0.22 to v1.3.1) sends in them. Whatever else a row
has is skipped without becoming an object.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import asdict

from icsfeed.model import PeriodKind


class Unreadable(ValueError):
    """A row that cannot be understood. The text says which part, and never its value."""


class IdRow(Struct):
    id: str | None = None


class ProjectRow(IdRow):
    name: str | None = None
    identifier: str | None = None
    timezone: str | None = None
    archived_at: str | None = None
    is_member: bool | None = None


class IssueRow(IdRow):
    name: str | None = None
    description_html: str | None = None
    priority: str | None = None
    start_date: str | None = None
    target_date: str | None = None
    sequence_id: int | None = None
    completed_at: str | None = None
    archived_at: str | None = None
    is_draft: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    parent: str | None = None
    state: str | None = None
    assignees: list[str] | None = None
    labels: list[str] | None = None
    type_id: str | None = None
    created_by: str | None = None
    # Not asked for: the names that webhooks of version 2, or expanded rows, have for some of these.
    state_id: str | None = None
    parent_id: str | None = None
    assignee_ids: list[str] | None = None
    label_ids: list[str] | None = None
    type: str | None = None
    created_by_id: str | None = None


OTHER_NAMES = frozenset(("state_id", "parent_id", "assignee_ids", "label_ids", "type", "created_by_id"))
"""Fields that are read where a row has them, and not asked for: a Plane that refuses names has others."""


class PlaceRow(IdRow):
    """An issue in the list of all projects of a workspace (Commercial)."""

    project: str | None = None
    updated_at: str | None = None


class CycleRow(IdRow):
    name: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    archived_at: str | None = None
    total_issues: int | None = None
    completed_issues: int | None = None


class ModuleRow(IdRow):
    name: str | None = None
    start_date: str | None = None
    target_date: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    archived_at: str | None = None
    total_issues: int | None = None
    completed_issues: int | None = None


class MilestoneRow(IdRow):
    title: str | None = None
    target_date: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class ReleaseRow(IdRow):
    name: str | None = None
    status: str | None = None
    tag: str | None = None
    target_date: str | None = None
    release_date: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class InitiativeRow(IdRow):
    name: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class LinkRow(IdRow):
    issue: str | None = None


class TypeRow(IdRow):
    name: str | None = None
    is_epic: bool | None = None


class StateRow(IdRow):
    name: str | None = None
    group: str | None = None


class LabelRow(IdRow):
    name: str | None = None


class PersonRow(IdRow):
    display_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None


PERIOD_ROWS: Mapping[PeriodKind, type[IdRow]] = {
    "cycle": CycleRow,
    "module": ModuleRow,
    "milestone": MilestoneRow,
    "release": ReleaseRow,
    "initiative": InitiativeRow,
}
"""Each asks for fields that are documented for it: other editions than Community refuse unknown ones."""


class Page(NamedTuple):
    """One page of a list. `rows` are decoded by `row`. `total` is None where Plane does not say it."""

    rows: list[Any]
    next_cursor: str
    more: bool
    total: int | None


class _Envelope(Struct):
    results: list[Raw]
    next_page_results: bool | None = None
    next_cursor: object = None
    total_results: object = None


class _PlainEnvelope(_Envelope):
    results: list[Any]  # decoded by the standard library: there are no raw bytes


def fields_of(shape: type[IdRow]) -> str:
    """Return the names of a shape's fields, for Plane's `fields` parameter."""
    return ",".join(name for name in shape.__struct_fields__ if name not in OTHER_NAMES)


ISSUE_FIELDS = fields_of(IssueRow)
"""What is read of an issue. It grows with versions of icsfeed: stored lists say which fields they have."""


def decode(body: bytes) -> Any:
    """Decode JSON into plain data. Lone surrogates, which msgspec refuses, stay. Raises ValueError."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return _by_the_standard_library(body)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def page(body: bytes) -> Page:
    """Decode a page of a list, or a bare array, which some lists are on some editions.

    Raises Unreadable, and ValueError for what is not JSON.
    """
    is_bare = body.lstrip()[:1] == b"["
    try:
        try:
            data: Any = msgspec.json.decode(body, type=list[Raw] if is_bare else _Envelope)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            data = _by_the_standard_library(body)
            data = data if is_bare else msgspec.convert(data, _PlainEnvelope)
    except msgspec.ValidationError as error:
        decode(body)  # what is not JSON may begin as if it were
        raise Unreadable(str(error)) from None
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    return Page(data, "", more=False, total=len(data)) if is_bare else _of_envelope(data)


def _of_envelope(data: _Envelope) -> Page:
    cursor = data.next_cursor if isinstance(data.next_cursor, str) else ""
    more = data.next_page_results
    if more is None and not cursor:
        raise Unreadable("it does not say whether there is another page")
    # Plane always sends a next cursor: where it does not say whether there is more, an empty page is last.
    more = bool(data.results) if more is None else more
    # What is no count is as good as none: the list is then read whole each time.
    total = data.total_results if type(data.total_results) is int else None
    return Page(data.results, cursor, more, total)


def row(raw: Any, shape: type[IdRow]) -> Any:
    """Decode a row: the fields of its shape, or all of them where one has an unexpected type."""
    if not isinstance(raw, Raw):
        return raw  # decoded by the standard library already
    try:
        return asdict(msgspec.json.decode(raw, type=shape))
    except msgspec.DecodeError:
        return decode(bytes(raw))


def _by_the_standard_library(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
