"""Rows as a key sees them: with counts and membership, in its time zone, `fields` and `expand` applied."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from icsfeed.demo.data import PlaneData, Project, User
from icsfeed.demo.rows import Row
from icsfeed.demo.versions import Version

GROUPS = ("cancelled", "completed", "started", "unstarted", "backlog")
MOMENTS = {"created_at", "updated_at", "deleted_at", "completed_at", "archived_at", "start_date", "end_date"}
NO_POINT = dict.fromkeys(("deleted_at", "key", "created_by", "updated_by")) | {"description": "", "value": ""}
LITE = ("id", "identifier", "name", "cover_image", "icon_prop", "emoji", "description", "cover_image_url")


def localized(value: Any, zone: str) -> Any:
    """The same JSON with its datetimes in another time zone, as `2026-11-21T13:57:04.404338+05:30`."""
    if zone == "UTC":
        return value
    if isinstance(value, list):
        return [localized(item, zone) for item in value]
    if isinstance(value, dict):
        return {key: _moved(key, item, zone) for key, item in value.items()}
    return value


def _moved(key: str, value: Any, zone: str) -> Any:
    if key in MOMENTS and isinstance(value, str) and "T" in value:
        return datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).isoformat()
    return localized(value, zone)


def picked(row: Row, fields: str) -> Row:
    """Only the named fields; unknown names are dropped without a word, no names at all mean every field."""
    names = {name for name in fields.split(",") if name}
    return {key: value for key, value in row.items() if key in names} if names else row


def project_view(project: Project, user: str, version: Version, *, listed: bool) -> Row:
    """A project as `user` sees it. Only the list has a sort_order: null where they have not joined."""
    role = project.role(user)
    place: Row = {"is_member": role is not None, "member_role": role}
    if listed:
        place["sort_order"] = 65535.0 if role is not None else None
    counts = {
        "total_members": sum(member.active and not member.bot for member in project.members),
        "total_cycles": len(project.cycles),
        "total_modules": len(project.modules),
    }
    view = {"id": project.row["id"], **counts, **place, **project.row}
    return view if version.instants else {key: view[key] for key in view if key != "timezone"}


def period_view(project: Project, row: Row, version: Version) -> Row:
    """A cycle or module with its counts. A module counts the *groups* that occur, 0 or 1 each (v1.3.1)."""
    groups = [project.group(issue) for issue in period_issues(project, row["id"])]
    tally = {f"{group}_issues": groups.count(group) for group in GROUPS}
    if row["id"] in project.modules:
        tally = {name: min(count, 1) for name, count in tally.items()}
    view = {"id": row["id"], "total_issues": len(groups), **tally, **row}
    return view if version.instants or row["id"] in project.modules else _with_plain_dates(view, project.row)


def _with_plain_dates(view: Row, project: Row) -> Row:
    """A cycle before v0.24: the dates that people entered, and no time zone."""
    zone = ZoneInfo(project["timezone"])
    days = {
        key: view[key] and datetime.fromisoformat(view[key]).astimezone(zone).date().isoformat()
        for key in ("start_date", "end_date")
    }
    return {key: value for key, value in (view | days).items() if key != "timezone"}


def period_issues(project: Project, period_id: str) -> list[Row]:
    """The listed issues of a cycle or module, oldest first; none for an unknown id."""
    links = project.links.get(period_id, {})
    return [issue for issue in project.shown() if issue["id"] in links] if links else []


def in_view(view: str, cycles: Iterable[Row], now: datetime) -> list[Row]:
    """Cycles by `cycle_view`; an unknown one is no filter."""
    tests: dict[str, Callable[[str, str, str], bool]] = {
        "current": lambda start, end, at: bool(start) and start <= at <= end,
        "upcoming": lambda start, _, at: bool(start) and start > at,
        "completed": lambda _, end, at: bool(end) and end < at,
        "draft": lambda start, end, _: not start and not end,
        "incomplete": lambda _, end, at: not end or end >= at,
    }
    at = now.astimezone(UTC).isoformat()
    keep = tests.get(view)
    return [row for row in cycles if not keep or keep(row["start_date"] or "", row["end_date"] or "", at)]


def expanded(data: PlaneData, project: Project, row: Row, expand: str) -> Row:
    """An issue with relations as objects, traps included.

    A null link becomes `{}` (an estimate point: a skeleton without id), a plain field becomes null, unknown
    names change nothing.
    """
    names = [name for name in expand.split(",") if name in row]
    if not names:
        return row
    relations = _relations(data, project)
    return row | {name: relations.get(name, _nothing)(row[name]) for name in names}


def _nothing(_: object) -> None:
    """What a field becomes that links to nothing."""


def _relations(data: PlaneData, project: Project) -> Mapping[str, Callable[[Any], Any]]:
    def user(key: str | None) -> Row:
        return data.users[key].row() if key in data.users else {}

    def parent(key: str | None) -> Row:
        row = project.issues.get(key or "")
        return {"id": key, "sequence_id": row["sequence_id"], "project_id": row["project"]} if row else {}

    def state(key: str | None) -> Row:
        row = project.states.get(key or "", {})
        return {name: row[name] for name in ("id", "name", "color", "group") if name in row}

    space = data.workspaces[project.slug]
    return {
        "created_by": user,
        "updated_by": user,
        "project": lambda _: {name: project.row[name] for name in LITE},
        "workspace": lambda _: {"name": space.name, "slug": space.slug, "id": space.id},
        "parent": parent,
        "state": state,
        "estimate_point": lambda key: project.points.get(key, NO_POINT),
        "labels": lambda keys: [project.labels[key] for key in keys if key in project.labels],
        "assignees": lambda keys: [user(key) for key in keys],
    }


def member_views(people: Iterable[tuple[User, int | None]]) -> list[Row]:
    """User objects, with the role where one is given."""
    return [user.row() | ({"role": role} if role is not None else {}) for user, role in people]
