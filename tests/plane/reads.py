"""What can be read of Plane that icsfeed does not ask for: single objects, and more ways to filter."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from icsfeed.demo import views
from icsfeed.demo.access import Ask, project_member
from icsfeed.demo.rows import Row
from icsfeed.demo.views import View, listed, picked
from icsfeed.demo.wire import Reply, json_reply, no_key, no_permission, no_such_object, went_wrong


def nobody(_: Ask) -> None:
    """Not for keys at all: as if there were none."""
    raise no_key()


def project_by_name(ask: Ask) -> None:
    """As `project_member`, the project named by its identifier: case matters."""
    for project_id, project in ask.data.projects.items():
        if project.slug == ask.params["slug"] and project.row["identifier"] == ask.params["identifier"]:
            ask.params["project"] = project_id
            return project_member(ask)
    raise no_permission()


def detail(rows: Callable[[Ask], Iterable[Row]]) -> View:
    """The one of `rows` whose id the path names."""

    def view(ask: Ask) -> Reply:
        return json_reply(200, picked(first(row for row in rows(ask) if row["id"] == ask.params["id"]), ask))

    return view


def first(rows: Iterable[Row]) -> Row:
    """The first row; 404 if there is none."""
    for row in rows:
        return row
    raise no_such_object()


def project(ask: Ask) -> Reply:
    """One of those that the list shows. Only the list has a sort_order."""
    row = first(row for row in views.projects(ask) if row["id"] == ask.params["project"])
    return json_reply(200, picked({key: row[key] for key in row if key != "sort_order"}, ask))


def shown_issues(ask: Ask) -> list[Row]:
    return ask.project.shown()


def issues(ask: Ask) -> Reply:
    """The list; with external_id and external_source the one issue that has them."""
    wanted = ask.call.params.get("external_id"), ask.call.params.get("external_source")
    if not all(wanted):
        return listed(views.issues)(ask)
    rows = (row for row in ask.project.shown() if (row["external_id"], row["external_source"]) == wanted)
    return json_reply(200, picked(first(rows), ask))


def issue_by_number(ask: Ask) -> Reply:
    """By KEY-number. What is not a number is a 500."""
    if not ask.params["number"].isdecimal():
        raise went_wrong()
    number = int(ask.params["number"])
    return json_reply(
        200, picked(first(row for row in shown_issues(ask) if row["sequence_id"] == number), ask)
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

    def in_view(ask: Ask) -> list[Row]:
        at = clock().astimezone(UTC).isoformat()
        keep = tests.get(ask.call.params.get("cycle_view", ""))
        rows = views.cycles(ask)
        return [row for row in rows if not keep or keep(row["start_date"] or "", row["end_date"] or "", at)]

    def view(ask: Ask) -> Reply:
        if ask.call.params.get("cycle_view") == "current":
            return json_reply(200, [picked(row, ask) for row in in_view(ask)])
        return listed(in_view)(ask)

    return view
