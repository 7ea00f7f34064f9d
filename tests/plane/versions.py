"""What the releases of Plane do differently, as far as the API that icsfeed reads is concerned."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.demo import routes as r
from icsfeed.demo.access import RequestContext
from icsfeed.demo.paging import MAX_PER_PAGE, page_window
from icsfeed.demo.routes import Route
from icsfeed.demo.rows import Row
from icsfeed.demo.views import View
from icsfeed.demo.wire import PlaneResponse, went_wrong
from plane.rewriting import Change, rewritten

PEOPLE = (r.WORKSPACE_MEMBERS, r.ME)
LISTS = (r.PROJECTS, r.ISSUES, r.STATES, r.LABELS, r.CYCLES, r.CYCLE_ISSUES, r.MODULES, r.MODULE_ISSUES)
"""What is answered in pages."""
CYCLES = (r.CYCLES, f"{r.CYCLES}{r.ID}")
PROJECTS = (r.PROJECTS, r.PROJECT)


class Version(Struct, frozen=True, kw_only=True):
    """One release.

    - `work_items`: the work-items/ paths exist (since v1.1)
    - `people`: users/me/ and the workspace's members/ exist (since v0.28)
    - `max_page`: default and largest `per_page` (1000 since v0.23)
    - `instants`: cycle dates are instants, projects and cycles have a time zone (since v0.24)
    - `strict_cursor`: a cursor of another `per_page` is a 500 (up to v0.26.1)
    """

    name: str
    work_items: bool = True
    people: bool = True
    max_page: int = MAX_PER_PAGE
    instants: bool = True
    strict_cursor: bool = False


VERSIONS = {
    version.name: version
    for version in (
        Version(name="v1.3.1"),
        Version(name="v0.24.1", work_items=False, people=False, strict_cursor=True),
        Version(
            name="v0.22", work_items=False, people=False, max_page=100, instants=False, strict_cursor=True
        ),
    )
}


def routes_of(version: Version, routes: Iterable[Route]) -> list[Route]:
    """The routes of v1.3.1 as this version has them."""
    present = (route for route in routes if version.people or route.path not in PEOPLE)
    return [_route_of(version, route) for route in present]


def _route_of(version: Version, route: Route) -> Route:
    views = dict(route.views)
    if "GET" in views and version.strict_cursor and route.path in LISTS:
        views["GET"] = _with_strict_cursor(views["GET"])
    if "GET" in views and not version.instants and route.path in CYCLES:
        views["GET"] = rewritten(views["GET"], _plain_dates)
    if "GET" in views and not version.instants and route.path in PROJECTS:
        views["GET"] = rewritten(views["GET"], lambda _: _without_zone)
    path = route.path if version.work_items else route.path.replace(r.WORK_ITEMS, "issues")
    return replace(route, views=views, path=path)


def _with_strict_cursor(view: View) -> View:
    def paging(context: RequestContext) -> PlaneResponse:
        params = context.request.params
        size = page_window(params, context.edition.max_page).size
        if "cursor" in params and float(params["cursor"].split(":")[0]) != size:
            raise went_wrong()
        return view(context)

    return paging


def _plain_dates(context: RequestContext) -> Change:
    """A cycle before v0.24: the dates that people entered, and no time zone."""
    zone = ZoneInfo(context.project.row["timezone"])

    def change(row: Row) -> Row:
        days = {
            key: row[key] and datetime.fromisoformat(row[key]).astimezone(zone).date().isoformat()
            for key in ("start_date", "end_date")
            if key in row
        }
        return _without_zone(row | days)

    return change


def _without_zone(row: Row) -> Row:
    return {key: row[key] for key in row if key != "timezone"}
