"""Rows as a key sees them, changed after the demo's views: in its time zone, with `expand` applied."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from icsfeed.demo.access import RequestContext
from icsfeed.demo.data import DemoProject
from icsfeed.demo.rows import Row
from icsfeed.demo.views import View
from icsfeed.demo.wire import PlaneResponse
from plane.data import PlaneData

Change = Callable[[Row], Row]

MOMENTS = {"created_at", "updated_at", "deleted_at", "completed_at", "archived_at", "start_date", "end_date"}
NO_POINT = dict.fromkeys(("deleted_at", "key", "created_by", "updated_by")) | {"description": "", "value": ""}
LITE = ("id", "identifier", "name", "cover_image", "icon_prop", "emoji", "description", "cover_image_url")


def rewritten(view: View, change_for: Callable[[RequestContext], Change | None]) -> View:
    """The view with every row of its answer changed; None: the answer to this request stays as it is."""

    def rewriting(context: RequestContext) -> PlaneResponse:
        response = view(context)
        change = change_for(context)
        if change is None or not response.body:
            return response
        body = msgspec.json.decode(response.body)
        if isinstance(body, list):
            body = [change(row) for row in body]
        elif "results" in body:
            body["results"] = [change(row) for row in body["results"]]
        else:
            body = change(body)
        response.body = msgspec.json.encode(body)
        return response

    return rewriting


def localizing(data: PlaneData, view: View) -> View:
    """Datetimes in the time zone of the key, as `2026-11-21T13:57:04.404338+05:30`."""

    def change_for(context: RequestContext) -> Change | None:
        zone = data.zones.get(context.key.user)
        return (lambda row: _localized(row, ZoneInfo(zone))) if zone else None

    return rewritten(view, change_for)


def _localized(value: Any, zone: ZoneInfo) -> Any:
    if isinstance(value, list):
        return [_localized(item, zone) for item in value]
    if isinstance(value, dict):
        return {key: _moved(key, item, zone) for key, item in value.items()}
    return value


def _moved(key: str, value: Any, zone: ZoneInfo) -> Any:
    if key in MOMENTS and isinstance(value, str) and "T" in value:
        return datetime.fromisoformat(value).astimezone(zone).isoformat()
    return _localized(value, zone)


def expanding(data: PlaneData, view: View) -> View:
    """Issues with the relations that `expand` names as objects, with Plane's peculiarities.

    A null link becomes `{}` (an estimate point: a skeleton without id), a plain field becomes null, unknown
    names change nothing.
    """

    def change_for(context: RequestContext) -> Change | None:
        names = context.request.params.get("expand", "").split(",")
        if names == [""]:
            return None
        relations = _relations(data, context.project)
        return lambda row: (
            row
            | {
                name: relations[name](row[name]) if name in relations else None
                for name in names
                if name in row
            }
        )

    return rewritten(view, change_for)


def _relations(data: PlaneData, project: DemoProject) -> Mapping[str, Callable[[Any], Any]]:
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
        "estimate_point": lambda key: data.points.get(key, NO_POINT),
        "labels": lambda keys: [project.labels[key] for key in keys if key in project.labels],
        "assignees": lambda keys: [user(key) for key in keys],
    }
