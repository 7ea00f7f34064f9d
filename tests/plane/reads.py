"""What can be read of Plane that icsfeed does not ask for: single objects, and more ways to filter."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from icsfeed.demo import views
from icsfeed.demo.access import RequestContext, project_member
from icsfeed.demo.rows import Row
from icsfeed.demo.views import View, list_view, select_fields
from icsfeed.demo.wire import PlaneRefusal, PlaneResponse, json_response, no_key, no_permission, went_wrong


def no_such_object() -> PlaneRefusal:
    return PlaneRefusal(json_response(404, {"error": "The requested resource does not exist."}))


def nobody(_: RequestContext) -> None:
    """Not for keys at all: as if there were none."""
    raise no_key()


def project_by_name(context: RequestContext) -> None:
    """As `project_member`, the project named by its identifier: case matters."""
    for project_id, project in context.data.projects.items():
        if (
            project.slug == context.params["slug"]
            and project.row["identifier"] == context.params["identifier"]
        ):
            context.params["project"] = project_id
            return project_member(context)
    raise no_permission()


def detail(rows: Callable[[RequestContext], Iterable[Row]]) -> View:
    """The one of `rows` whose id the path names."""

    def view(context: RequestContext) -> PlaneResponse:
        return json_response(
            200,
            select_fields(first(row for row in rows(context) if row["id"] == context.params["id"]), context),
        )

    return view


def first(rows: Iterable[Row]) -> Row:
    """The first row; 404 if there is none."""
    for row in rows:
        return row
    raise no_such_object()


def project(context: RequestContext) -> PlaneResponse:
    """One of those that the list shows. Only the list has a sort_order."""
    row = first(row for row in views.projects(context) if row["id"] == context.params["project"])
    return json_response(200, select_fields({key: row[key] for key in row if key != "sort_order"}, context))


def shown_issues(context: RequestContext) -> list[Row]:
    return context.project.shown()


def issues(context: RequestContext) -> PlaneResponse:
    """The list; with external_id and external_source the one issue that has them."""
    wanted = context.request.params.get("external_id"), context.request.params.get("external_source")
    if not all(wanted):
        return list_view(views.issues)(context)
    rows = (row for row in context.project.shown() if (row["external_id"], row["external_source"]) == wanted)
    return json_response(200, select_fields(first(rows), context))


def issue_by_number(context: RequestContext) -> PlaneResponse:
    """By KEY-number. What is not a number is a 500."""
    if not context.params["number"].isdecimal():
        raise went_wrong()
    number = int(context.params["number"])
    return json_response(
        200,
        select_fields(first(row for row in shown_issues(context) if row["sequence_id"] == number), context),
    )


def cycles(clock: Callable[[], datetime]) -> View:
    """Cycles by `cycle_view`; an unknown one is no filter. `current` is answered with a bare list."""
    tests: dict[str, Callable[[str, str, str], bool]] = {
        "current": lambda start, end, at: bool(start) and start <= at <= end,
        "upcoming": lambda start, _, at: bool(start) and start > at,
        "completed": lambda _, end, at: bool(end) and end < at,
        "draft": lambda start, end, _: not start and not end,
        "incomplete": lambda _, end, at: not end or end >= at,
    }

    def in_view(context: RequestContext) -> list[Row]:
        at = clock().astimezone(UTC).isoformat()
        keep = tests.get(context.request.params.get("cycle_view", ""))
        rows = views.cycles(context)
        return [row for row in rows if not keep or keep(row["start_date"] or "", row["end_date"] or "", at)]

    def view(context: RequestContext) -> PlaneResponse:
        if context.request.params.get("cycle_view") == "current":
            return json_response(200, [select_fields(row, context) for row in in_view(context)])
        return list_view(in_view)(context)

    return view
