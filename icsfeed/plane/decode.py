"""Decoding rows of Plane's JSON into the model (Plane v0.22 to v1.3.1).

Strict about what is needed (an id, a number, a valid date), lenient about the rest: an object that cannot be
understood is skipped and named, and the others of its list are read.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache, partial
from sys import intern
from typing import Any, TypeAlias, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from icsfeed.html_text import html_to_text
from icsfeed.model import (
    Issue,
    ItemType,
    Label,
    OtherProject,
    Period,
    PeriodKind,
    Person,
    Priority,
    Project,
    ReleaseStatus,
    State,
    StateGroup,
)
from icsfeed.plane.incremental import WorkspaceRow
from icsfeed.plane.shapes import Unreadable
from icsfeed.text import clip, deflate, one_line

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
GROUPS: tuple[StateGroup, ...] = get_args(StateGroup)
RELEASE_STATUSES: tuple[ReleaseStatus, ...] = get_args(ReleaseStatus)
UNKNOWN_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""When something was created that does not say it."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class _Instance(Struct):
    current_version: str
    edition: object = None


class _About(Struct):
    instance: _Instance


def as_row(data: object) -> Row:
    """Return a JSON object. Raises Unreadable when it is something else."""
    if not isinstance(data, dict):
        raise Unreadable("it is not an object")
    return data


def row_id(data: object) -> str | None:
    """Return the id of a row; None when it has no valid one."""
    id_ = data.get("id") if isinstance(data, dict) else None
    return id_ if isinstance(id_, str) and _ID.fullmatch(id_) else None


def required_id(row: Row) -> str:
    """Return the id of a row. Raises Unreadable."""
    id_ = row_id(row)
    if id_ is None:
        raise Unreadable("id is missing or not an id")
    return id_


def linked_issue(row: Row) -> str:
    """Return the id of the issue that a row is, or names: the links of milestones do. Raises Unreadable."""
    return _link(row.get("issue")) or required_id(row)


def version(data: object) -> str | None:
    """Return edition and version, of GET /api/instances/, short enough to show; None without them.

    `Community v1.3.1` is sent as `PLANE_COMMUNITY` and `v1.3.1`; other names are not documented.
    """
    try:
        instance = msgspec.convert(data, _About).instance
    except msgspec.ValidationError:
        return None
    name = instance.edition if isinstance(instance.edition, str) else ""
    edition = name.removeprefix("PLANE_").replace("_", " ").capitalize()
    return clip(one_line(f"{edition} {instance.current_version}").strip(), 40) or None


def issue(row: Row, project: Project) -> Issue | None:
    """Return an issue of a project; None for a draft or an archived one. Raises Unreadable."""
    if row.get("is_draft") is True or row.get("archived_at"):
        return None
    created = _moment(row, "created_at")
    return Issue(
        id=required_id(row),
        project=project.id,
        sequence_id=_number(row, "sequence_id"),
        name=_text(row, "name"),
        created=created,
        updated=_moment(row, "updated_at") if row.get("updated_at") else created,
        text=deflate(html_to_text(_text(row, "description_html"))),
        priority=_choice(row.get("priority"), PRIORITIES, "none"),
        state=_link(row.get("state") or row.get("state_id")),
        parent=_link(row.get("parent") or row.get("parent_id")),
        start=_lenient(lambda: _day(row, "start_date")),
        due=_day(row, "target_date"),
        completed=_lenient(lambda: _moment(row, "completed_at")) if row.get("completed_at") else None,
        assignees=_links(row.get("assignees") or row.get("assignee_ids")),
        labels=_links(row.get("labels") or row.get("label_ids")),
        type=_link(row.get("type_id") or row.get("type")),
        creator=_link(row.get("created_by") or row.get("created_by_id")),
    )


def workspace_row(row: Row) -> WorkspaceRow:
    """Return an issue of the list of all projects, drafts and archived ones too. Raises Unreadable."""
    project = _link(row.get("project"))
    if project is None:
        raise Unreadable("project is missing or not an id")
    return WorkspaceRow(required_id(row), project, _moment(row, "updated_at"))


def count(data: object) -> int:
    """Return `total_count` of GET work-items/count/. Raises Unreadable."""
    return _number(as_row(data), "total_count")


def project(row: Row) -> Project | OtherProject:
    """Return a project; OtherProject when the key has not joined it or it is archived. Raises Unreadable."""
    key = _text(row, "identifier")
    if not key:
        raise Unreadable("identifier is missing")
    listed = Project(
        id=required_id(row),
        key=key,
        name=_text(row, "name") or key,
        timezone=_text(row, "timezone") or "UTC",
    )
    archived = bool(row.get("archived_at"))
    return OtherProject(listed, archived=archived) if archived or row.get("is_member") is False else listed


def person(row: Row) -> Person:
    """Return a member, who always has a name: from the other names where it is missing. Raises Unreadable."""
    full_name = f"{_text(row, 'first_name')} {_text(row, 'last_name')}".strip()
    email = _text(row, "email")
    name = _text(row, "display_name") or full_name or email or required_id(row)
    return Person(id=required_id(row), name=name, email=email, full_name=full_name)


def state(row: Row) -> State:
    """Return a state. A group that we do not know is open work. Raises Unreadable."""
    return State(
        id=required_id(row), name=_text(row, "name"), group=_choice(row.get("group"), GROUPS, "unstarted")
    )


def label(row: Row) -> Label:
    """Return a label. Raises Unreadable."""
    return Label(id=required_id(row), name=_text(row, "name"))


def item_type(row: Row) -> ItemType:
    """Return a type of work items. Raises Unreadable."""
    return ItemType(id=required_id(row), name=_text(row, "name"), is_epic=row.get("is_epic") is True)


def period(row: Row, of: Project, kind: PeriodKind) -> Period | None:
    """Return a cycle or module; None when it is archived. Raises Unreadable.

    A cycle's dates are instants at the edges of days in the project's time zone (plain dates
    before v0.24); a module's are plain dates.
    """
    if row.get("archived_at"):
        return None
    created = _moment(row, "created_at")
    # A module's count of completed issues is 0 or 1 in v1.3.1, whatever it holds: not used.
    done = _lenient(lambda: _number(row, "completed_issues")) if kind == "cycle" else None
    zone = _zone_of(of)
    return Period(
        id=required_id(row),
        kind=kind,
        project=of.id,
        name=_text(row, "name"),
        created=created,
        updated=_moment(row, "updated_at") if row.get("updated_at") else created,
        start=_lenient(lambda: _day(row, "start_date", zone)),
        end=_lenient(lambda: _cycle_end(row, zone) if kind == "cycle" else _day(row, "target_date", zone)),
        total=_lenient(lambda: _number(row, "total_issues")),
        done=done,
    )


def milestone(row: Row, of: Project) -> Period | None:
    """Return a milestone of a project; None when it is archived. Raises Unreadable.

    By the documents its day is a date. An instant at 00:00:00 is one written as an instant, and is that day
    in every zone; another one is an edge of a day in the project's time zone, as a cycle's.
    """
    is_date = "T00:00:00" in str(row.get("target_date"))
    day = _lenient(lambda: _day(row, "target_date", None if is_date else _zone_of(of)))
    return _plan(row, "milestone", day, day, project=of.id)


def release(row: Row) -> Period | None:
    """Return a release of the workspace; None when it is archived. Raises Unreadable."""
    day = _lenient(lambda: _day(row, "release_date")) or _lenient(lambda: _day(row, "target_date"))
    tag = row.get("tag")
    # By the SDK the tag is a text; what has an `id` is the tag itself, whose text is its `version`.
    tag = tag.get("version") if isinstance(tag, dict) else tag
    named = isinstance(tag, str) and not _UUID.fullmatch(tag)
    status = _choice(row.get("status"), RELEASE_STATUSES, None)
    return _plan(row, "release", day, day, status=status, tag=tag if named else "")


def initiative(row: Row) -> Period | None:
    """Return an initiative of the workspace; None when it is archived. Raises Unreadable."""
    start, end = (_lenient(partial(_day, row, field)) for field in ("start_date", "end_date"))
    return _plan(row, "initiative", start, end)


def _plan(row: Row, kind: PeriodKind, start: date | None, end: date | None, **more: Any) -> Period | None:
    """Return what nobody has recorded: only an id is needed."""
    if row.get("archived_at") or row.get("deleted_at"):
        return None
    created, updated = (_lenient(partial(_moment, row, field)) for field in ("created_at", "updated_at"))
    return Period(
        id=required_id(row),
        kind=kind,
        project=more.pop("project", ""),
        name=_text(row, "title") or _text(row, "name"),
        created=created or updated or UNKNOWN_TIME,
        updated=updated or created or UNKNOWN_TIME,
        start=start,
        end=end,
        **more,
    )


def _zone_of(project: Project) -> tzinfo:
    try:
        return ZoneInfo(project.timezone)
    except (KeyError, ValueError, OSError):  # one that this system does not know
        return UTC


def _choice(value: object, known: Iterable[T], other: T) -> T:
    return next((choice for choice in known if choice == value), other)


def _text(row: Row, field: str) -> str:
    """Return text, and none where there is something else: no text is worth losing an issue for."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def _number(row: Row, field: str) -> int:
    """Return a count: not below 0, and one that any store can hold."""
    value = row.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise Unreadable(f"{field} is not a number")
    return value


def _moment(row: Row, field: str) -> datetime:
    """Return a point in time, in UTC. Without an offset it is taken as UTC."""
    value = row.get(field)
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]  # anything else is a TypeError
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f"{field} is not a time") from None


def _day(row: Row, field: str, zone: tzinfo | None = None) -> date | None:
    """Return a day: a plain date as it is, an instant as the date it has in `zone` (or as written)."""
    value = row.get(field)
    if value is None or value == "":
        return None
    try:
        if len(value) == len("2026-12-31"):
            return _plain_day(value)
        moment = datetime.fromisoformat(value)
        return (moment.astimezone(zone) if zone and moment.tzinfo else moment).date()
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f"{field} is not a date") from None


def _cycle_end(row: Row, zone: tzinfo) -> date | None:
    """Return the last day of a cycle: the project's local date of its end, or the day before that.

    Plane (v1.3.1) adds 23:59 to the offset that local midnight has. On a day when the clocks go forward that
    instant is on the next day: at 00:59, at 00:29 after half an hour, at 01:59 on Troll's day of 22 hours.
    v0.24 and v0.25 end a cycle on its last day at exactly 00:00:00.
    """
    day = _day(row, "end_date", zone)
    if day is None or len(row["end_date"]) == len("2026-12-31"):
        return day
    try:
        midnight, before = (datetime.combine(at, time.min, zone).astimezone(UTC) for at in (day, day - _DAY))
    except OverflowError:  # the first or last days of the calendar
        return day
    since_midnight = _moment(row, "end_date") - midnight
    is_overrun = timedelta() < since_midnight < max(_HOUR, _DAY - (midnight - before))
    return day - _DAY if is_overrun else day


@lru_cache(maxsize=4_096)
def _plain_day(value: str) -> date:
    """Return the same object for all that are due on a day: it saves memory."""
    return date.fromisoformat(value)


def _lenient(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Unreadable:
        return None


def _link(value: object) -> str | None:
    """Return the id of another object: plain, or of the object itself where it was expanded.

    Interned: ten thousand issues share a few states, labels and people.
    """
    id_ = value.get("id") if isinstance(value, dict) else value
    return intern(id_) if isinstance(id_, str) and _ID.fullmatch(id_) else None


def _links(values: object) -> tuple[str, ...]:
    """Return each id once: v0.23 to v0.24.1 list removed assignees and labels too."""
    ids = map(_link, values) if isinstance(values, list) else ()
    return tuple(dict.fromkeys(id_ for id_ in ids if id_ is not None))
