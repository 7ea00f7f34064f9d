"""Rows as in Plane's JSON: a function for each kind of object, with every key of v1.3.1."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Row: TypeAlias = dict[str, Any]


def stamp(moment: datetime) -> str:
    """Return an aware datetime as Plane writes it: in UTC, with microseconds unless they are zero, and Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def base(row_id: str, at: str, by: str | None) -> Row:
    """Return what every row has. `at`: the time of creation; `by`: the id of the user."""
    return {
        "id": row_id,
        "created_at": at,
        "updated_at": at,
        "created_by": by,
        **_nulls("deleted_at updated_by external_source external_id"),
    }


def _nulls(names: str) -> Row:
    return dict.fromkeys(names.split())


def project_row(common: Row, workspace: str, identifier: str, name: str, **more: Any) -> Row:
    """Return a project of that workspace, without the counts and the membership that a view adds."""
    on = ["module_view", "cycle_view", "issue_views_view", "page_view", "intake_view"]
    off = ["is_time_tracking_enabled", "is_issue_type_enabled", "guest_view_all_features", "is_deployed"]
    unset = "description_text description_html emoji icon_prop cover_image cover_image_url cover_image_asset"
    links = "default_assignee project_lead estimate default_state archived_at"
    named = {"name": name, "identifier": identifier, "workspace": workspace, "description": ""}
    settings = {"network": 2, "archive_in": 0, "close_in": 0, "logo_props": {}, "timezone": "UTC"}
    switches = dict.fromkeys(on, True) | dict.fromkeys(off, False)
    return {**common, **named, **settings, **switches, **_nulls(unset), **_nulls(links), **more}


def _within(common: Row, project: Row) -> Row:
    return {**common, "project": project["id"], "workspace": project["workspace"]}


def state_row(common: Row, project: Row, name: str, group: str, **more: Any) -> Row:
    """Return a workflow state in one of Plane's groups."""
    looks = {"description": "", "color": "#60646C", "slug": "", "sequence": 65535.0}
    marks = {"is_triage": False, "default": False}
    return {**_within(common, project), "name": name, "group": group, **looks, **marks, **more}


def label_row(common: Row, project: Row, name: str, **more: Any) -> Row:
    """Return a label of a project."""
    defaults = {"description": "", "color": "", "sort_order": 65535.0, "parent": None}
    return {**_within(common, project), "name": name, **defaults, **more}


def cycle_row(common: Row, project: Row, name: str, days: tuple[date, date] | None, **more: Any) -> Row:
    """Return a cycle from the first to the last of `days`, inclusive.

    It begins a second after the project's local midnight and ends 23:59 hours after that of its last day,
    even on a day of 23 hours (Plane v1.3.1).
    """
    zone = ZoneInfo(project["timezone"])
    start = end = None
    if days:
        start = stamp(datetime.combine(days[0], time(0, 0, 1), zone))
        last = datetime.combine(days[1], time.min, zone).astimezone(UTC)
        end = stamp(last + timedelta(hours=23, minutes=59))
    dates = {"start_date": start, "end_date": end}
    rest = {"progress_snapshot": {}, "timezone": "UTC", "version": 1, "owned_by": common["created_by"]}
    return {**_within(common, project), "name": name, **dates, **_period(), **rest, **more}


def module_row(common: Row, project: Row, name: str, days: tuple[date, date] | None, **more: Any) -> Row:
    """Return a module. Unlike those of a cycle, its dates are plain dates."""
    dates = {
        "start_date": days[0].isoformat() if days else None,
        "target_date": days[1].isoformat() if days else None,
    }
    rest = {"status": "planned", "members": [], **_nulls("lead description_text description_html")}
    return {**_within(common, project), "name": name, **dates, **_period(), **rest, **more}


def _period() -> Row:
    """Return what cycles and modules have in common."""
    return {"description": "", "view_props": {}, "sort_order": 65535.0, "archived_at": None, "logo_props": {}}


def issue_row(common: Row, project: Row, number: int, fields: Mapping[str, Any]) -> Row:
    """Return a work item. `fields` have Plane's names; `state` is the id of a state."""
    unset = "type_id point description_binary start_date target_date completed_at archived_at parent state"
    content = {"name": "", "description_html": "<p></p>", "priority": "none", "sequence_id": number}
    place = {"sort_order": 65535.0, "is_draft": False, "assignees": [], "labels": []}
    links = _nulls(f"{unset} estimate_point type")
    return {**_within(common, project), **content, **links, **place, **fields}


def milestone_row(common: Row, title: str, day: date | None) -> Row:
    """Return a milestone: exactly the fields that Plane's documents name."""
    kept = {
        name: common[name] for name in ("id", "created_at", "updated_at", "external_id", "external_source")
    }
    return {**kept, "title": title, "target_date": day.isoformat() if day else None}


def type_row(common: Row, project: Row, name: str, *, level: int = 0, default: bool = False) -> Row:
    """Return a work item type. Epics are the types of level 1."""
    place = {"project_ids": [project["id"]], "workspace": project["workspace"], "logo_props": {}}
    marks = {"is_epic": level == 1, "is_default": default, "is_active": True, "level": level}
    return {**common, **place, "name": name, "description": "", **marks}


def initiative_row(common: Row, workspace: str, name: str, days: tuple[date, date] | None, state: str) -> Row:
    """Return an initiative of a workspace. `state`: `PLANNED`, `ACTIVE` and others."""
    start, end = (day.isoformat() for day in days) if days else (None, None)
    text = {"description": None, "description_html": "<p></p>", "description_stripped": ""}
    rest = {"logo_props": {}, "state": state, "lead": common["created_by"], "workspace": workspace}
    return {**common, "name": name, **text, "start_date": start, "end_date": end, **rest}


def release_row(common: Row, workspace: str, name: str, **more: Any) -> Row:
    """Return a release of a workspace. `more`: its `status`, `target_date`, `release_date`, `tag`."""
    text = {"description": {"description_html": "<p></p>", "description_stripped": ""}}
    dates = {"status": "unreleased", "target_date": None, "release_date": None, "tag": None}
    rest = {"lead": common["created_by"], "is_latest": False, "is_prerelease": False, "workspace": workspace}
    return {**common, "name": name, **text, **dates, **rest, **more}


def link_row(common: Row, project: Row, issue: str, kind: str, period: str) -> Row:
    """Return the link of an issue to a cycle, module or milestone. `kind`: the key for the period's id."""
    # Unlike all other rows that are built here, links have no external_source and external_id.
    common = {key: value for key, value in common.items() if not key.startswith("external_")}
    return {**_within(common, project), "sub_issues_count": 0, "issue": issue, kind: period}
