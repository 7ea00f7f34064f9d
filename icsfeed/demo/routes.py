"""The table of paths: who may ask, which methods Plane says it allows, and the view that answers."""

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from icsfeed.demo import views
from icsfeed.demo.access import (
    Ask,
    anyone,
    nobody,
    project_by_name,
    project_member,
    workspace_member,
    workspace_staff,
)
from icsfeed.demo.versions import Version
from icsfeed.demo.wire import Reply

Guard = Callable[[Ask], None]
View = Callable[[Ask], Reply]

UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
SPACE = r"/api/v1/workspaces/(?P<slug>[-\w]+)/"
PROJECT = rf"{SPACE}projects/(?P<project>{UUID})/"
ID = rf"(?P<id>{UUID})/"
MANY = "GET, POST"
ONE = "GET, PATCH, DELETE"


class Route(Struct, frozen=True):
    """`allow` is the header as Plane sends it; `views` are the methods that we answer."""

    pattern: re.Pattern[str]
    guard: Guard
    allow: str
    views: Mapping[str, View]


def _route(pattern: str, guard: Guard, allow: str, **by_method: View) -> Route:
    return Route(re.compile(pattern), guard, allow, by_method)


def routes(version: Version) -> list[Route]:
    """Every path that this version of Plane has, as far as icsfeed reads it."""
    items = "(?:work-items|issues)" if version.work_items else "issues"
    found = [
        _route(SPACE, nobody, "GET, HEAD, OPTIONS"),
        _route(rf"{SPACE}projects/", workspace_member, MANY, GET=views.projects),
        _route(PROJECT, workspace_member, ONE, GET=views.project),
        _route(rf"{PROJECT}{items}/", project_member, MANY, GET=views.issues, POST=views.create_issue),
        _route(
            rf"{PROJECT}{items}/{ID}", project_member, ONE,
            GET=views.issue, PATCH=views.patch_issue, DELETE=views.delete_issue,
        ),
        _route(
            rf"{SPACE}{items}/(?P<identifier>[^/-]+)-(?P<number>[^/]+)/", project_by_name, "GET",
            GET=views.issue_by_number,
        ),
        _route(rf"{PROJECT}states/", project_member, MANY, GET=views.states),
        _route(rf"{PROJECT}states/{ID}", project_member, ONE, GET=views.state),
        _route(rf"{PROJECT}labels/", workspace_member, MANY, GET=views.labels),
        _route(rf"{PROJECT}labels/{ID}", workspace_member, ONE, GET=views.label),
        *_periods(),
        _route(rf"{PROJECT}(?:project-)?members/", workspace_member, MANY, GET=views.project_members),
    ]  # fmt: skip
    if version.people:
        found.append(_route(rf"{SPACE}members/", workspace_staff, "GET", GET=views.workspace_members))
        found.append(_route(r"/api/v1/users/me/", anyone, "GET", GET=views.me))
    return found


def _periods() -> list[Route]:
    """Cycles, modules, and what is in them."""
    issue = rf"(?P<issue>{UUID})/"
    cycle, module = rf"{PROJECT}cycles/{ID}", rf"{PROJECT}modules/{ID}"
    return [
        _route(rf"{PROJECT}cycles/", project_member, MANY, GET=views.cycles),
        _route(cycle, project_member, ONE, GET=views.cycle),
        _route(rf"{cycle}cycle-issues/", project_member, MANY, GET=views.linked, POST=views.link),
        _route(rf"{cycle}cycle-issues/{issue}", project_member, "GET, DELETE", DELETE=views.unlink),
        _route(rf"{PROJECT}modules/", project_member, MANY, GET=views.modules),
        _route(module, project_member, ONE, GET=views.module),
        _route(rf"{module}module-issues/", project_member, MANY, GET=views.linked, POST=views.link),
        _route(rf"{module}module-issues/{issue}", project_member, "DELETE", DELETE=views.unlink),
    ]
