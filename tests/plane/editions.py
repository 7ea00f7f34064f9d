"""What another Commercial than the documented one does: for tests of what nobody has recorded.

create_plane(data, edition=COMMERCIAL, variant=Variant(lacks={"milestones": 403}, too_large="clip"))

What only switches something off is a field of the edition: `replace(COMMERCIAL, takes_bearer=False)`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.demo import plans
from icsfeed.demo.access import RequestContext
from icsfeed.demo.editions import Edition
from icsfeed.demo.routes import Route
from icsfeed.demo.rows import Row
from icsfeed.demo.views import View, bare_view, list_view
from icsfeed.demo.wire import PlaneRefusal, PlaneResponse, json_response
from plane.versions import LISTS

FEATURES: Mapping[str, Sequence[str]] = {
    "work_items": (plans.ALL_WORK_ITEMS,),
    "count": (plans.WORK_ITEM_COUNT,),
    "milestones": (plans.MILESTONES, plans.MILESTONE_WORK_ITEMS),
    "milestone_work_items": (plans.MILESTONE_WORK_ITEMS,),
    "initiatives": (plans.INITIATIVES,),
    "releases": (plans.RELEASES,),
    "types": (plans.WORK_ITEM_TYPES,),
}
"""What a plan may lack, or list in another way."""
ROWS: Mapping[str, Callable[[RequestContext], list[Row]]] = {
    plans.ALL_WORK_ITEMS: plans.all_work_items,
    plans.MILESTONES: plans.milestones,
    plans.MILESTONE_WORK_ITEMS: plans.milestone_work_items,
    plans.INITIATIVES: plans.initiatives,
    plans.RELEASES: plans.releases,
    plans.WORK_ITEM_TYPES: plans.work_item_types,
}
PAGED = (*LISTS, *ROWS)
BODIES: Mapping[int, Any] = {
    402: {"error": "Payment required", "error_code": 1999},
    403: {"detail": "You do not have permission to perform this action."},
}


class Variant(Struct, frozen=True, kw_only=True):
    """How a Commercial differs from the documents.

    - `lacks`: the status with which each of FEATURES is refused; 404: there is no such path
    - `too_large`: what becomes of a `per_page` above the maximum: a page of the maximum, or this status and
      body; None: the words of Community
    - `paged`, `bare`: FEATURES that are answered in pages, and as bare arrays, whatever the documents show
    - `type_path`: how the path of the types ends
    """

    lacks: Mapping[str, int] = {}
    too_large: Literal["clip"] | tuple[int, Any] | None = None
    paged: Sequence[str] = ()
    bare: Sequence[str] = ()
    type_path: Literal["work-item-types", "issue-types"] = "work-item-types"


def varied(variant: Variant, routes: Iterable[Route], edition: Edition) -> list[Route]:
    """The routes of an edition as this variant has them."""
    return [_varied(variant, route, edition) for route in routes if _status(variant, route) != 404]


def _status(variant: Variant, route: Route) -> int | None:
    found = (status for name, status in variant.lacks.items() if route.path in FEATURES[name])
    return next(found, None)


def _varied(variant: Variant, route: Route, edition: Edition) -> Route:
    views = dict(route.views)
    for names, made in ((variant.paged, list_view), (variant.bare, bare_view)):
        if any(route.path in FEATURES[name] for name in names) and route.path in ROWS:
            views["GET"] = made(ROWS[route.path])
    if variant.too_large and route.path in PAGED:
        views["GET"] = _sized(variant.too_large, views["GET"], edition.max_page)
    status = _status(variant, route)
    guard = _refusing(status) if status else route.guard
    path = route.path.replace("work-item-types", variant.type_path)
    return replace(route, path=path, guard=guard, views=views)


def _refusing(status: int) -> Callable[[RequestContext], None]:
    def refuse(_: RequestContext) -> None:
        raise PlaneRefusal(json_response(status, BODIES.get(status, {"error": "Not allowed"})))

    return refuse


def _sized(too_large: Literal["clip"] | tuple[int, Any], view: View, maximum: int) -> View:
    def sizing(context: RequestContext) -> PlaneResponse:
        size = context.request.params.get("per_page", "")
        if not size.isdecimal() or int(size) <= maximum:
            return view(context)
        if too_large != "clip":
            raise PlaneRefusal(json_response(*too_large))
        # Of a repeated parameter the last one counts.
        request = replace(context.request, query=f"{context.request.query}&per_page={maximum}")
        return view(replace(context, request=request))

    return sizing
