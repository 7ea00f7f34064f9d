"""The Plane of the tests as a server: the recorded reads and writes of v1.3.1, older versions, faults."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from litestar import Litestar
from msgspec.structs import replace

from icsfeed.demo import api, views
from icsfeed.demo import routes as r
from icsfeed.demo.access import KeyLimits, project_member, workspace_member
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.routes import Route
from icsfeed.demo.views import View
from plane import reads, writes
from plane.data import PlaneData
from plane.editions import Variant, varied
from plane.faults import Faults
from plane.rewriting import expanding, localizing
from plane.versions import VERSIONS, routes_of

ONE = "GET, PATCH, DELETE"
ISSUE = f"{r.ISSUES}{r.ID}"
NUMBER = rf"{r.WORKSPACE}{r.WORK_ITEMS}/(?P<identifier>[^/-]+)-(?P<number>[^/]+)/"
LINK = rf"(?P<issue>{r.UUID})/"
EXPANDED = (r.ISSUES, ISSUE, NUMBER, r.CYCLE_ISSUES, r.MODULE_ISSUES)


def create_plane(
    data: PlaneData,
    clock: Callable[[], datetime] | None = None,
    *,
    faults: Faults | None = None,
    limits: KeyLimits = KeyLimits(),  # noqa: B008 - frozen
    version: str | None = None,
    edition: Edition = COMMUNITY,
    variant: Variant = Variant(),  # noqa: B008 - frozen
) -> Litestar:
    """A Plane that serves `data`.

    `clock` (default: that of the data) drives the rate limit and the expiry of keys. `faults` makes it
    fail on demand and records the requests. `version`: one of `versions.VERSIONS`; None: that of the
    edition. `variant`: what another Commercial does differently.
    """
    clock = clock or data.clock
    routes = varied(variant, _routes(data, clock, edition), edition)
    if version is not None:
        older = VERSIONS[version]
        routes = routes_of(older, routes)
        edition = replace(edition, release=version, max_page=min(edition.max_page, older.max_page))
    return api.create_plane(
        data,
        clock,
        routes=routes,
        limits=limits,
        edition=edition,
        handle=faults.answer if faults else None,
    )


def _routes(data: PlaneData, clock: Callable[[], datetime], edition: Edition) -> list[Route]:
    """The demo's routes with what the demo lacks."""
    more: Mapping[str, Mapping[str, View]] = {
        r.ISSUES: {"GET": reads.issues, "POST": partial(writes.create_issue, data)},
        r.CYCLES: {"GET": reads.cycles(clock)},
        r.CYCLE_ISSUES: {"POST": partial(writes.link, data)},
        r.MODULE_ISSUES: {"POST": partial(writes.link, data)},
    }
    routes = [
        replace(route, views={**route.views, **more.get(route.path, {})}) for route in api.routes_of(edition)
    ]
    return [_as_seen(data, route) for route in routes + _single_objects(data)]


def _single_objects(data: PlaneData) -> list[Route]:
    issue: Mapping[str, View] = {
        "GET": reads.detail(reads.shown_issues),
        "PATCH": partial(writes.patch_issue, data),
        "DELETE": partial(writes.delete_issue, data),
    }
    unlink: Mapping[str, View] = {"DELETE": partial(writes.unlink, data)}
    return [
        Route(r.WORKSPACE, reads.nobody, {}, "GET, HEAD, OPTIONS"),
        Route(r.PROJECT, workspace_member, {"GET": reads.project}, ONE),
        Route(ISSUE, project_member, issue, ONE),
        Route(NUMBER, reads.project_by_name, {"GET": reads.issue_by_number}, "GET"),
        Route(f"{r.STATES}{r.ID}", project_member, {"GET": reads.detail(views.states)}, ONE),
        Route(f"{r.LABELS}{r.ID}", workspace_member, {"GET": reads.detail(views.labels)}, ONE),
        Route(f"{r.CYCLES}{r.ID}", project_member, {"GET": reads.detail(views.cycles)}, ONE),
        Route(f"{r.CYCLE_ISSUES}{LINK}", project_member, unlink, "GET, DELETE"),
        Route(f"{r.MODULES}{r.ID}", project_member, {"GET": reads.detail(views.modules)}, ONE),
        Route(f"{r.MODULE_ISSUES}{LINK}", project_member, unlink, "DELETE"),
    ]


def _as_seen(data: PlaneData, route: Route) -> Route:
    """The route with its answers expanded and in the time zone of the key."""
    expand = route.path in EXPANDED
    seen = {method: expanding(data, view) if expand else view for method, view in route.views.items()}
    return replace(route, views={method: localizing(data, view) for method, view in seen.items()})
