"""The paths that icsfeed reads: who may read them, and the views that answer."""

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from icsfeed.demo import views
from icsfeed.demo.access import RequestContext, anyone, project_member, workspace_member, workspace_staff
from icsfeed.demo.views import View, list_view

Guard = Callable[[RequestContext], None]

UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
WORKSPACE = r"/api/v1/workspaces/(?P<slug>[-\w]+)/"
PROJECTS = f"{WORKSPACE}projects/"
PROJECT = rf"{PROJECTS}(?P<project>{UUID})/"
ID = rf"(?P<id>{UUID})/"
WORK_ITEMS = "(?:work-items|issues)"
"""Its name since v1.1, and the earlier one, which Plane still answers."""
ISSUES = f"{PROJECT}{WORK_ITEMS}/"
STATES = f"{PROJECT}states/"
LABELS = f"{PROJECT}labels/"
CYCLES = f"{PROJECT}cycles/"
CYCLE_ISSUES = f"{CYCLES}{ID}cycle-issues/"
MODULES = f"{PROJECT}modules/"
MODULE_ISSUES = f"{MODULES}{ID}module-issues/"
PROJECT_MEMBERS = f"{PROJECT}(?:project-)?members/"
WORKSPACE_MEMBERS = f"{WORKSPACE}members/"
ME = "/api/v1/users/me/"


class Route(Struct, frozen=True):
    """A path with its guard, and its views by method.

    `allow`: the header as Plane sends it, with methods that have no view here.
    """

    path: str
    guard: Guard
    views: Mapping[str, View]
    allow: str = "GET, POST"

    def match(self, path: str) -> dict[str, str] | None:
        """Return the named parts of a path, or None if this is not its route."""
        match = re.fullmatch(self.path, path)
        return match.groupdict() if match else None


ROUTES = (
    Route(PROJECTS, workspace_member, {"GET": list_view(views.projects)}),
    Route(ISSUES, project_member, {"GET": list_view(views.issues)}),
    Route(STATES, project_member, {"GET": list_view(views.states)}),
    Route(LABELS, workspace_member, {"GET": list_view(views.labels)}),
    Route(CYCLES, project_member, {"GET": list_view(views.cycles)}),
    Route(CYCLE_ISSUES, project_member, {"GET": list_view(views.period_issues)}),
    Route(MODULES, project_member, {"GET": list_view(views.modules)}),
    Route(MODULE_ISSUES, project_member, {"GET": list_view(views.period_issues)}),
    Route(PROJECT_MEMBERS, workspace_member, {"GET": views.project_members}),
    Route(WORKSPACE_MEMBERS, workspace_staff, {"GET": views.workspace_members}, "GET"),
    Route(ME, anyone, {"GET": views.me}, "GET"),
)
