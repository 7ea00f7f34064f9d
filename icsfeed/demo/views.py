"""The answers themselves: an allowed call in, JSON out, one function for each thing that can be asked."""

from collections.abc import Iterable
from typing import Any

from icsfeed.demo.access import Ask
from icsfeed.demo.data import Project
from icsfeed.demo.paging import ordered, page, window
from icsfeed.demo.rows import Row
from icsfeed.demo.shapes import (
    expanded,
    in_view,
    localized,
    member_views,
    period_issues,
    period_view,
    picked,
    project_view,
)
from icsfeed.demo.wire import Reply, bad_request, json_reply, no_such_object, went_wrong
from icsfeed.demo.writes import issue_changes, parsed


def _newest_first(rows: Iterable[Row]) -> list[Row]:
    return ordered(list(rows), "-created_at")


def _sent(ask: Ask, row: Row) -> Row:
    """A row as this key gets it."""
    return localized(picked(row, ask.call.params.get("fields", "")), ask.user.timezone)  # type: ignore[no-any-return]


def _sent_issue(ask: Ask, row: Row) -> Row:
    chosen = picked(row, ask.call.params.get("fields", ""))
    whole = expanded(ask.data, ask.project, chosen, ask.call.params.get("expand", ""))
    return localized(whole, ask.user.timezone)  # type: ignore[no-any-return]


def _page(ask: Ask, rows: list[Row]) -> Reply:
    body = page(rows, window(ask.call.params, ask.version))
    body["results"] = [_sent(ask, row) for row in body["results"]]
    return json_reply(200, body)


def _issue_page(ask: Ask, rows: list[Row]) -> Reply:
    body = page(rows, window(ask.call.params, ask.version))
    body["results"] = [_sent_issue(ask, row) for row in body["results"]]
    return json_reply(200, body)


def projects(ask: Ask) -> Reply:
    """Joined and public ones, archived ones too; the joined first."""
    seen = [project for project in ask.data.projects.values() if _visible(ask, project)]
    seen.sort(key=lambda project: (project.role(ask.key.user) is None, project.row["created_at"]))
    return _page(ask, [project_view(project, ask.key.user, ask.version, listed=True) for project in seen])


def project(ask: Ask) -> Reply:
    """One of those that the list shows."""
    found = ask.data.project(ask.params["slug"], ask.params["project"])
    if found is None or not _visible(ask, found):
        raise no_such_object()
    return json_reply(200, _sent(ask, project_view(found, ask.key.user, ask.version, listed=False)))


def _visible(ask: Ask, found: Project) -> bool:
    joined = found.role(ask.key.user) is not None
    return found.slug == ask.params["slug"] and (joined or found.row["network"] == 2)


def issues(ask: Ask) -> Reply:
    """The list; with external_id and external_source the one issue that has them."""
    params, rows = ask.call.params, ask.project.shown()
    if params.get("external_id") and params.get("external_source"):
        return json_reply(200, _sent_issue(ask, _external(rows, params)))
    return _issue_page(ask, ordered(rows, params.get("order_by") or "-created_at"))


def _external(rows: list[Row], params: dict[str, str]) -> Row:
    wanted = params["external_id"], params["external_source"]
    found = (row for row in rows if (row["external_id"], row["external_source"]) == wanted)
    return _first(found)


def _first(rows: Iterable[Row]) -> Row:
    for row in rows:
        return row
    raise no_such_object()


def create_issue(ask: Ask) -> Reply:
    changes = issue_changes(parsed(ask.call.body), ask.project, new=True)
    row = ask.data.create_issue(ask.project.row["id"], changes, by=ask.key.user)
    return json_reply(201, _sent_issue(ask, row))


def _asked_issue(ask: Ask) -> Row:
    return _first(row for row in ask.project.shown() if row["id"] == ask.params["id"])


def issue(ask: Ask) -> Reply:
    return json_reply(200, _sent_issue(ask, _asked_issue(ask)))


def issue_by_number(ask: Ask) -> Reply:
    """By KEY-number. What is not a number is a 500."""
    if not ask.params["number"].isdecimal():
        raise went_wrong()
    number = int(ask.params["number"])
    found = _first(row for row in ask.project.shown() if row["sequence_id"] == number)
    return json_reply(200, _sent_issue(ask, found))


def patch_issue(ask: Ask) -> Reply:
    row = _asked_issue(ask)
    changes = issue_changes(parsed(ask.call.body), ask.project, new=False)
    return json_reply(200, _sent_issue(ask, ask.data.patch_issue(row["id"], changes, by=ask.key.user)))


def delete_issue(ask: Ask) -> Reply:
    ask.data.delete_issue(_asked_issue(ask)["id"])
    return Reply(204)


def states(ask: Ask) -> Reply:
    return _page(ask, ordered(_open_states(ask), "sequence"))


def _open_states(ask: Ask) -> list[Row]:
    return [row for row in ask.project.states.values() if not row["is_triage"]]


def state(ask: Ask) -> Reply:
    return _one(ask, _open_states(ask))


def labels(ask: Ask) -> Reply:
    """Any member of the workspace may ask; whoever is not in the project gets an empty list."""
    return _page(ask, _newest_first(_seen_labels(ask)))


def _seen_labels(ask: Ask) -> Iterable[Row]:
    found = ask.data.project(ask.params["slug"], ask.params["project"])
    return found.labels.values() if found and found.role(ask.key.user) is not None else ()


def label(ask: Ask) -> Reply:
    return _one(ask, _seen_labels(ask))


def _one(ask: Ask, rows: Iterable[Row]) -> Reply:
    return json_reply(200, _sent(ask, _first(row for row in rows if row["id"] == ask.params["id"])))


def _periods(rows: dict[str, Row]) -> list[Row]:
    return _newest_first(row for row in rows.values() if not row["archived_at"])


def cycles(ask: Ask) -> Reply:
    """Those that are not archived. `cycle_view=current` is answered with a bare list."""
    view = ask.call.params.get("cycle_view", "")
    found = in_view(view, _periods(ask.project.cycles), ask.now)
    rows = [period_view(ask.project, row, ask.version) for row in found]
    return json_reply(200, [_sent(ask, row) for row in rows]) if view == "current" else _page(ask, rows)


def modules(ask: Ask) -> Reply:
    rows = _periods(ask.project.modules)
    return _page(ask, [period_view(ask.project, row, ask.version) for row in rows])


def cycle(ask: Ask) -> Reply:
    rows = _periods(ask.project.cycles)
    return _one(ask, (period_view(ask.project, row, ask.version) for row in rows))


def module(ask: Ask) -> Reply:
    rows = _periods(ask.project.modules)
    return _one(ask, (period_view(ask.project, row, ask.version) for row in rows))


def linked(ask: Ask) -> Reply:
    """The issues of a cycle or module, oldest first; an unknown one is empty."""
    rows = period_issues(ask.project, ask.params["id"])
    order = ask.call.params.get("order_by") or "created_at"
    return _issue_page(ask, ordered(rows, order))


def link(ask: Ask) -> Reply:
    """Adds `issues` to a cycle or module; answers with all links of it."""
    wanted: Any = parsed(ask.call.body).get("issues")
    if not wanted:
        raise bad_request({"error": "Work items are required", "code": "MISSING_WORK_ITEMS"})
    if ask.params["id"] not in ask.project.cycles | ask.project.modules:
        raise no_such_object()
    known = [key for key in wanted if key in ask.project.issues]
    links = ask.data.add_to(ask.params["id"], known, by=ask.key.user)
    return json_reply(200, localized(links, ask.user.timezone))


def unlink(ask: Ask) -> Reply:
    if ask.params["issue"] not in ask.project.links.get(ask.params["id"], {}):
        raise no_such_object()
    ask.data.remove_from(ask.params["id"], ask.params["issue"])
    return Reply(204)


def project_members(ask: Ask) -> Reply:
    """A bare list of users, without roles, removed ones and bots included; for all of the workspace."""
    found = ask.data.project(ask.params["slug"], ask.params["project"])
    people = ask.data.members_of(found.members if found else ())
    return json_reply(200, member_views((user, None) for _, user in people))


def workspace_members(ask: Ask) -> Reply:
    """A bare list of users with their roles."""
    people = ask.data.members_of(ask.workspace.members)
    return json_reply(200, member_views((user, member.role) for member, user in people))


def me(ask: Ask) -> Reply:
    return json_reply(200, ask.user.row())
