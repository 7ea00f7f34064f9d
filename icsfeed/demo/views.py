"""The answers: an allowed call in, JSON out; lists are made of rows as the caller sees them."""

from collections.abc import Callable, Iterable

from icsfeed.demo.access import Ask
from icsfeed.demo.data import Project
from icsfeed.demo.paging import ordered, page, window
from icsfeed.demo.rows import Row
from icsfeed.demo.wire import Reply, json_reply

View = Callable[[Ask], Reply]

GROUPS = ("cancelled", "completed", "started", "unstarted", "backlog")


def listed(rows: Callable[[Ask], list[Row]]) -> View:
    """A page of `rows` with the chosen `fields`."""

    def view(ask: Ask) -> Reply:
        body = page(rows(ask), window(ask.call.params))
        body["results"] = [picked(row, ask) for row in body["results"]]
        return json_reply(200, body)

    return view


def picked(row: Row, ask: Ask) -> Row:
    """The fields that the call names in `fields`, unknown ones ignored; all fields if it names none."""
    names = {name for name in ask.call.params.get("fields", "").split(",") if name}
    return {key: value for key, value in row.items() if key in names} if names else row


def projects(ask: Ask) -> list[Row]:
    """Joined and public projects, archived ones too; the joined first."""
    user, slug = ask.key.user, ask.params["slug"]
    here = (project for project in ask.data.projects.values() if project.slug == slug)
    seen = [found for found in here if found.role(user) is not None or found.row["network"] == 2]
    seen.sort(key=lambda project: (project.role(user) is None, project.row["created_at"]))
    return [_project(found, user) for found in seen]


def _project(project: Project, user: str) -> Row:
    """A project as `user` sees it, with counts and membership. `sort_order` is null unless they joined."""
    role = project.role(user)
    return {
        "id": project.row["id"],
        "total_members": sum(member.active and not member.bot for member in project.members),
        "total_cycles": len(project.cycles),
        "total_modules": len(project.modules),
        "is_member": role is not None,
        "member_role": role,
        "sort_order": 65535.0 if role is not None else None,
        **project.row,
    }


def issues(ask: Ask) -> list[Row]:
    return ordered(ask.project.shown(), ask.call.params.get("order_by") or "-created_at")


def states(ask: Ask) -> list[Row]:
    return ordered([row for row in ask.project.states.values() if not row["is_triage"]], "sequence")


def labels(ask: Ask) -> list[Row]:
    """Any member of the workspace may ask; those who are not in the project get an empty list."""
    found = ask.data.project(ask.params["slug"], ask.params["project"])
    return _newest_first(found.labels.values() if found and found.role(ask.key.user) is not None else ())


def cycles(ask: Ask) -> list[Row]:
    return [_period(ask.project, row) for row in _newest_first(ask.project.cycles.values(), archived=False)]


def modules(ask: Ask) -> list[Row]:
    return [_period(ask.project, row) for row in _newest_first(ask.project.modules.values(), archived=False)]


def _newest_first(rows: Iterable[Row], archived: bool = True) -> list[Row]:
    return ordered([row for row in rows if archived or not row["archived_at"]], "-created_at")


def _period(project: Project, row: Row) -> Row:
    """A cycle or module with its counts. A module counts the *groups* that occur, 0 or 1 each (v1.3.1)."""
    groups = [project.group(issue) for issue in _issues_in(project, row["id"])]
    most = 1 if row["id"] in project.modules else len(groups)
    counts = {f"{group}_issues": min(groups.count(group), most) for group in GROUPS}
    return {"id": row["id"], "total_issues": len(groups), **counts, **row}


def period_issues(ask: Ask) -> list[Row]:
    """The issues of a cycle or module, oldest first; an unknown one is empty."""
    order = ask.call.params.get("order_by") or "created_at"
    return ordered(_issues_in(ask.project, ask.params["id"]), order)


def _issues_in(project: Project, period_id: str) -> list[Row]:
    links = project.links.get(period_id, {})
    return [issue for issue in project.shown() if issue["id"] in links] if links else []


def project_members(ask: Ask) -> Reply:
    """A bare list of users, without roles, removed ones and bots included; for all of the workspace."""
    found = ask.data.project(ask.params["slug"], ask.params["project"])
    people = ask.data.members_of(found.members if found else ())
    return json_reply(200, [user.row() for _, user in people])


def workspace_members(ask: Ask) -> Reply:
    """A bare list of users with their roles."""
    people = ask.data.members_of(ask.workspace.members)
    return json_reply(200, [user.row() | {"role": member.role} for member, user in people])


def me(ask: Ask) -> Reply:
    return json_reply(200, ask.user.row())
