"""The views: the rows that a key may see, as pages or as bare lists."""

from collections.abc import Callable, Iterable, Mapping

from icsfeed.demo.access import RequestContext
from icsfeed.demo.data import DemoProject
from icsfeed.demo.paging import ordered, page, page_window
from icsfeed.demo.rows import Row
from icsfeed.demo.search import SearchError, every, facts, read_filters, read_pql
from icsfeed.demo.wire import PlaneResponse, bad_request, json_response

View = Callable[[RequestContext], PlaneResponse]

EXPANDABLE = {"assignees", "labels", "state", "project", "workspace", "parent", "type", "created_by"}
"""What Commercial can expand. The demo sends it as ids all the same: icsfeed does not ask for it."""
GROUPS = ("cancelled", "completed", "started", "unstarted", "backlog")


def list_view(rows: Callable[[RequestContext], list[Row]]) -> View:
    """Return a view of a page of `rows` with the fields that the request names."""

    def view(context: RequestContext) -> PlaneResponse:
        edition = context.edition
        body = page(rows(context), page_window(context.request.params, edition.max_page))
        body["results"] = [select_fields(row, context) for row in body["results"]]
        return json_response(200, {**body, **edition.envelope})

    return view


def bare_view(rows: Callable[[RequestContext], list[Row]]) -> View:
    """Return a view of all `rows` as a bare array."""

    def view(context: RequestContext) -> PlaneResponse:
        return json_response(200, [select_fields(row, context) for row in rows(context)])

    return view


def select_fields(row: Row, context: RequestContext) -> Row:
    """Return the fields in the parameter `fields`; all if it names none.

    Unknown ones are left out, or refused by editions that refuse them.
    """
    names, expanded = _names(context, "fields"), _names(context, "expand")
    if context.edition.refuses_names:
        _refuse("fields", names - row.keys())
        _refuse("expand", expanded - EXPANDABLE)
    return {key: value for key, value in row.items() if key in names} if names else row


def _names(context: RequestContext, parameter: str) -> set[str]:
    return {name for name in context.request.params.get(parameter, "").split(",") if name}


def _refuse(parameter: str, names: set[str]) -> None:
    if names:
        raise bad_request({"error": f"Invalid {parameter}: {', '.join(sorted(names))}"})


def searched(project: DemoProject, rows: Iterable[Row], context: RequestContext) -> list[Row]:
    """Return the work items that match `pql` and `filters`, in editions that know them."""
    if not context.edition.searches:
        return list(rows)
    params = context.request.params
    try:
        conditions = [
            *([read_pql(params["pql"], context.key.user)] if params.get("pql") else []),
            *([read_filters(params["filters"])] if params.get("filters") else []),
        ]
    except SearchError as error:
        raise bad_request({"error": str(error)}) from None
    matches = every(conditions)
    return [row for row in rows if matches(facts(project, row))]


def projects(context: RequestContext) -> list[Row]:
    """Return the joined and the public projects, archived ones too; the joined first."""
    user, slug = context.key.user, context.params["slug"]
    visible = [
        project
        for project in context.data.projects.values()
        # `network` 2 is a public project, which all members of the workspace see.
        if project.slug == slug and (project.role(user) is not None or project.row["network"] == 2)
    ]
    visible.sort(key=lambda project: (project.role(user) is None, project.row["created_at"]))
    return [_project(project, user) for project in visible]


def _project(project: DemoProject, user: str) -> Row:
    """Return a project as `user` sees it, with counts and membership. `sort_order` is null unless joined."""
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


def issues(context: RequestContext) -> list[Row]:
    rows = searched(context.project, context.project.shown(), context)
    return ordered(rows, context.request.params.get("order_by") or "-created_at")


def states(context: RequestContext) -> list[Row]:
    return ordered([row for row in context.project.states.values() if not row["is_triage"]], "sequence")


def labels(context: RequestContext) -> list[Row]:
    """Return the labels; none to members of the workspace who are not in the project."""
    project = context.data.project(context.params["slug"], context.params["project"])
    # Plane v1.3.1 checks only the workspace on this route, and filters the rows by membership instead.
    if project is None or project.role(context.key.user) is None:
        return []
    return ordered(list(project.labels.values()), "-created_at")


def cycles(context: RequestContext) -> list[Row]:
    return _periods(context.project, context.project.cycles)


def modules(context: RequestContext) -> list[Row]:
    return _periods(context.project, context.project.modules)


def _periods(project: DemoProject, periods: Mapping[str, Row]) -> list[Row]:
    """Return cycles or modules with their counts of issues, the newest first, without archived ones."""
    shown = ordered([row for row in periods.values() if not row["archived_at"]], "-created_at")
    return [{"id": row["id"], **_counts(project, row["id"]), **row} for row in shown]


def _counts(project: DemoProject, period_id: str) -> dict[str, int]:
    """Return counts of issues by the group of their state.

    Plane v1.3.1 counts for a module the *groups* that occur: each is 0 or 1.
    """
    groups = [project.group(issue) for issue in _issues_in(project, period_id)]
    most = 1 if period_id in project.modules else len(groups)
    counts = {f"{group}_issues": min(groups.count(group), most) for group in GROUPS}
    return {"total_issues": len(groups), **counts}


def period_issues(context: RequestContext) -> list[Row]:
    """Return the issues of a cycle or module, the oldest first; none if it is unknown."""
    order = context.request.params.get("order_by") or "created_at"
    rows = searched(context.project, _issues_in(context.project, context.params["id"]), context)
    return ordered(rows, order)


def _issues_in(project: DemoProject, period_id: str) -> list[Row]:
    links = project.links.get(period_id, {})
    return [issue for issue in project.shown() if issue["id"] in links] if links else []


def project_members(context: RequestContext) -> PlaneResponse:
    """Answer a bare list of users without roles, with removed ones and bots, to any workspace member."""
    project = context.data.project(context.params["slug"], context.params["project"])
    people = context.data.members_of(project.members if project else ())
    return json_response(200, [user.row() for _, user in people])


def workspace_members(context: RequestContext) -> PlaneResponse:
    """Answer a bare list of users with their roles."""
    people = context.data.members_of(context.workspace.members)
    return json_response(200, [user.row() | {"role": member.role} for member, user in people])


def me(context: RequestContext) -> PlaneResponse:
    return json_response(200, context.user.row())
