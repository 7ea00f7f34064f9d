"""What Commercial has and Community lacks: work items of a whole workspace, and what projects plan with.

After Plane's developer documents and Python SDK: lists are bare arrays or pages as the documents show them.
"""

from icsfeed.demo import views
from icsfeed.demo.access import RequestContext, project_member, workspace_member
from icsfeed.demo.paging import ordered
from icsfeed.demo.routes import ID, PROJECT, WORKSPACE, Route
from icsfeed.demo.rows import Row
from icsfeed.demo.views import bare_view, list_view
from icsfeed.demo.wire import PlaneResponse, json_response

ALL_WORK_ITEMS = f"{WORKSPACE}work-items/"
WORK_ITEM_COUNT = f"{WORKSPACE}work-items/count/"
INITIATIVES = f"{WORKSPACE}initiatives/"
RELEASES = f"{WORKSPACE}releases/"
MILESTONES = f"{PROJECT}milestones/"
MILESTONE_WORK_ITEMS = f"{MILESTONES}{ID}work-items/"
WORK_ITEM_TYPES = f"{PROJECT}work-item-types/"


def all_work_items(context: RequestContext) -> list[Row]:
    """Return the work items of all projects that the key is a member of, the newest first."""
    projects = [
        project
        for project in context.data.projects.values()
        if project.slug == context.params["slug"] and project.role(context.key.user) is not None
    ]
    found = [issue for project in projects for issue in views.searched(project, project.shown(), context)]
    return ordered(found, context.request.params.get("order_by") or "-created_at")


def count(context: RequestContext) -> PlaneResponse:
    """Answer the number of the work items that match; grouped counts are left out."""
    total = len(all_work_items(context))
    body: Row = {"grouped_by": None, "sub_grouped_by": None, "total_count": total, "grouped_counts": {}}
    return json_response(200, body)


def initiatives(context: RequestContext) -> list[Row]:
    return ordered(list(context.workspace.initiatives.values()), "-created_at")


def releases(context: RequestContext) -> list[Row]:
    return ordered(list(context.workspace.releases.values()), "-created_at")


def milestones(context: RequestContext) -> list[Row]:
    return ordered(list(context.project.milestones.values()), "-created_at")


def milestone_work_items(context: RequestContext) -> list[Row]:
    """Return the links of a milestone, which name the work items; none if it is unknown."""
    links = context.project.links.get(context.params["id"], {})
    shown = {issue["id"] for issue in context.project.shown()}
    return [
        {name: link[name] for name in ("id", "issue", "milestone")}
        for issue, link in links.items()
        if issue in shown
    ]


def work_item_types(context: RequestContext) -> list[Row]:
    return list(context.project.types.values())


PLAN_ROUTES = (
    Route(ALL_WORK_ITEMS, workspace_member, {"GET": list_view(all_work_items)}, "GET"),
    Route(WORK_ITEM_COUNT, workspace_member, {"GET": count}, "GET"),
    Route(INITIATIVES, workspace_member, {"GET": list_view(initiatives)}),
    Route(RELEASES, workspace_member, {"GET": list_view(releases)}),
    Route(MILESTONES, project_member, {"GET": bare_view(milestones)}),
    Route(MILESTONE_WORK_ITEMS, project_member, {"GET": bare_view(milestone_work_items)}),
    Route(WORK_ITEM_TYPES, project_member, {"GET": bare_view(work_item_types)}),
)
