"""Plane's JSON, and what it means to us. These shapes live and die here (Plane v0.22 to v1.3.1).

Strict about what is needed (an id, a number, a date that is a date), lenient about the rest: one
object that cannot be understood is left out and named, and never takes the others with it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from sys import intern
from typing import Any, TypeAlias, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from icsfeed.model import (
    Issue,
    Label,
    OtherProject,
    Period,
    PeriodKind,
    Person,
    Priority,
    Project,
    State,
    StateGroup,
)
from icsfeed.plane.shapes import Unreadable
from icsfeed.text import clip, deflated, one_line, plain

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
GROUPS: tuple[StateGroup, ...] = get_args(StateGroup)

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class _Instance(Struct):
    current_version: str


class _About(Struct):
    instance: _Instance


def as_row(data: object) -> Row:
    """An object. Raises Unreadable when it is something else."""
    if not isinstance(data, dict):
        raise Unreadable("it is not an object")
    return data


def row_id(data: object) -> str | None:
    """The id of a row, when it has one that can be one."""
    found = data.get("id") if isinstance(data, dict) else None
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def required_id(row: Row) -> str:
    """The id of a row. Raises Unreadable."""
    found = row_id(row)
    if found is None:
        raise Unreadable("id is missing or not an id")
    return found


def version(data: object) -> str | None:
    """`instance.current_version` of GET /api/instances/, short enough to show; None where it is not there."""
    try:
        found = msgspec.convert(data, _About).instance.current_version
    except msgspec.ValidationError:
        return None
    return clip(one_line(found).strip(), 40) or None


def issue(row: Row, project: Project) -> Issue | None:
    """An issue of a project; None for a draft or an archived one. Raises Unreadable."""
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
        text=deflated(plain(_text(row, "description_html"))),
        priority=_choice(row.get("priority"), PRIORITIES, "none"),
        state=_link(row.get("state")),
        parent=_link(row.get("parent")),
        start=_lenient(lambda: _day(row, "start_date")),
        due=_day(row, "target_date"),
        completed=_lenient(lambda: _moment(row, "completed_at")),
        assignees=_links(row.get("assignees")),
        labels=_links(row.get("labels")),
    )


def project(row: Row) -> Project | OtherProject:
    """A project; an OtherProject when the key has not joined it or it is archived. Raises Unreadable."""
    found, archived = _project(row), bool(row.get("archived_at"))
    return OtherProject(found, archived=archived) if archived or row.get("is_member") is False else found


def _project(row: Row) -> Project:
    key = _text(row, "identifier")
    if not key:
        raise Unreadable("identifier is missing")
    return Project(
        id=required_id(row),
        key=key,
        name=_text(row, "name") or key,
        timezone=_text(row, "timezone") or "UTC",
    )


def person(row: Row) -> Person:
    """A member: a display name always, from the other names where it is missing. Raises Unreadable."""
    full_name = f"{_text(row, 'first_name')} {_text(row, 'last_name')}".strip()
    email = _text(row, "email")
    name = _text(row, "display_name") or full_name or email or required_id(row)
    return Person(id=required_id(row), name=name, email=email, full_name=full_name)


def state(row: Row) -> State:
    """A state. Raises Unreadable; a group that we do not know is open work."""
    return State(
        id=required_id(row), name=_text(row, "name"), group=_choice(row.get("group"), GROUPS, "unstarted")
    )


def label(row: Row) -> Label:
    """A label. Raises Unreadable."""
    return Label(id=required_id(row), name=_text(row, "name"))


def period(row: Row, of: Project, kind: PeriodKind) -> Period | None:
    """A cycle or module; None when it is archived. Raises Unreadable.

    A cycle's dates are instants at the edges of days in the project's time zone (plain dates
    before v0.24); a module's are plain dates.
    """
    if row.get("archived_at"):
        return None
    created = _moment(row, "created_at")
    # A module's count of completed issues is 0 or 1 in v1.3.1, whatever it holds: not used.
    done = _lenient(lambda: _number(row, "completed_issues")) if kind == "cycle" else None
    zone = _zone(of.timezone)
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


def _choice(value: object, known: Iterable[T], other: T) -> T:
    return next((choice for choice in known if choice == value), other)


def _text(row: Row, field: str) -> str:
    """Text, and nothing where there is something else: no text is worth losing an issue for."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def _number(row: Row, field: str) -> int:
    """A count: not below 0, and one that any store can hold."""
    value = row.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise Unreadable(f"{field} is not a number")
    return value


def _moment(row: Row, field: str) -> datetime:
    """A point in time, whatever its offset, in UTC."""
    value = row.get(field)
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]  # anything else is a TypeError
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f"{field} is not a time") from None


def _day(row: Row, field: str, zone: tzinfo | None = None) -> date | None:
    """A day: a plain date as it is, an instant as the date it has in `zone` (or as written)."""
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
    """The last day of a cycle: the project's local date of its end, or the day before that.

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
    """One object for all that are due on a day."""
    return date.fromisoformat(value)


def _lenient(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Unreadable:
        return None


def _zone(name: str) -> tzinfo:
    """The time zone of that name; UTC for one that this system does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _link(value: object) -> str | None:
    """The id of another object: plain, or of the object itself where it was expanded.

    One object for all that refer to it: ten thousand issues share a few states, labels and people.
    """
    found = value.get("id") if isinstance(value, dict) else value
    return intern(found) if isinstance(found, str) and _ID.fullmatch(found) else None


def _links(values: object) -> tuple[str, ...]:
    """Each once: v0.23 to v0.24.1 list removed assignees and labels too."""
    return tuple(dict.fromkeys(_each_link(values))) if isinstance(values, list) else ()


def _each_link(values: list[Any]) -> Iterator[str]:
    for value in values:
        found = _link(value)
        if found is not None:
            yield found
