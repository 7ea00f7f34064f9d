"""The sample workspace of `icsfeed demo`: the same bytes on the same day, and always the same ids."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid5

from icsfeed.demo.data import DemoData, DemoKey, DemoMember, DemoProject, DemoUser, DemoWorkspace
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.rows import (
    Row,
    base,
    cycle_row,
    initiative_row,
    issue_row,
    label_row,
    link_row,
    milestone_row,
    module_row,
    project_row,
    release_row,
    stamp,
    state_row,
    type_row,
)
from icsfeed.demo.sample_tables import (
    EPICS,
    INITIATIVES,
    MILESTONES,
    PEOPLE,
    PROJECTS,
    RELEASES,
    Days,
    SampleProject,
    SampleTask,
)

SLUG = "acme-demo"
API_KEY = "plane_api_demo0000000000000000000000demo"
"""The only API key: that of Anna, who is a member of every project."""
FILLED = "WEB"
"""The project that gets the issues of a larger sample."""
SPACE = UUID("6f0c3a52-3f7e-5c1b-9a55-0d1c5feed000")
STATES = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "In Review": "started",
    "Done": "completed",
    "Cancelled": "cancelled",
}


def sample(today: date, *, issues: int = 0, edition: Edition = COMMUNITY) -> DemoData:
    """Return three projects with about forty issues around `today`; FILLED has at least `issues` of them.

    The same issues in every edition; where it has them, with types, milestones, initiatives and releases.
    """
    data = DemoData()
    members = [DemoMember(sample_id("user", person.name), person.role) for person in PEOPLE]
    for person in PEOPLE:
        user, email = sample_id("user", person.name), f"{person.name}@example.com"
        data.users[user] = DemoUser(user, email, person.name, person.first, person.last)
    data.keys = {API_KEY: DemoKey(API_KEY, sample_id("user", "anna"))}
    data.workspaces = {SLUG: DemoWorkspace(sample_id("workspace"), SLUG, "Acme Property", members)}
    for source in PROJECTS:
        project = _project(source, today)
        tasks = list(source.tasks)
        if source.key == FILLED:
            tasks += _filler_tasks(source, issues)
        _add_issues(project, tasks, today)
        data.projects[project.row["id"]] = project
        if edition.has_plans:
            _add_types(project, today)
            _add_milestones(project, today)
    if edition.has_plans:
        _add_plans(data.workspaces[SLUG], today)
    return data


def sample_id(*names: str) -> str:
    """Return the id of an object: `sample_id("project", "PROP")`, `sample_id("issue", "PROP", "1")`."""
    # Derived from names, so that the UIDs in a calendar app stay the same after a restart.
    return str(uuid5(SPACE, "/".join(names)))


def _at(today: date, days: int, seconds: int = 0) -> str:
    """Return a moment in the morning, `days` from today."""
    # With microseconds, as in Plane: revisions and incremental reads have to deal with them.
    return stamp(datetime.combine(today, time(7, 30, 0, 123456), UTC) + timedelta(days=days, seconds=seconds))


def _common(today: date, days: int, *names: str, seconds: int = 0) -> Row:
    return base(sample_id(*names), _at(today, days, seconds), sample_id("user", "anna"))


def _project(source: SampleProject, today: date) -> DemoProject:
    """Return the project without its issues."""
    common = _common(today, -120, "project", source.key)
    row = project_row(
        common,
        sample_id("workspace"),
        source.key,
        source.name,
        description=source.description,
        timezone=source.timezone,
    )
    roles = {person.name: person.role for person in PEOPLE}
    members = [DemoMember(sample_id("user", name), roles[name]) for name in source.people]
    project = DemoProject(SLUG, row, members)
    for number, (name, group) in enumerate(STATES.items(), 1):
        common = _common(today, -120, "state", source.key, name)
        more = {"sequence": number * 10000 + 5000.0, "default": name == "Backlog"}
        project.states[common["id"]] = state_row(common, row, name, group, **more)
    for number, name in enumerate(source.labels):
        common = _common(today, -100, "label", source.key, name, seconds=number)
        project.labels[common["id"]] = label_row(common, row, name, color="#3F76FF")
    for number, (name, days) in enumerate(source.cycles.items()):
        common = _common(today, -40, "cycle", source.key, name, seconds=number)
        project.cycles[common["id"]] = cycle_row(common, row, name, _span(today, days))
    for number, (name, days) in enumerate(source.modules.items()):
        common = _common(today, -40, "module", source.key, name, seconds=number)
        project.modules[common["id"]] = module_row(common, row, name, _span(today, days))
    return project


def _span(today: date, days: Days | None) -> tuple[date, date] | None:
    return (today + timedelta(days=days[0]), today + timedelta(days=days[1])) if days else None


def _add_issues(project: DemoProject, tasks: Iterable[SampleTask], today: date) -> None:
    key = project.row["identifier"]
    numbers: dict[str, int] = {}
    for number, task in enumerate(tasks, 1):
        numbers.setdefault(task.name, number)
        issue = _issue(project.row, number, task, today)
        if task.parent:
            issue["parent"] = sample_id("issue", key, str(numbers[task.parent]))
        project.issues[issue["id"]] = issue
        for kind, name in (("cycle", task.cycle), ("module", task.module)):
            if name:
                period = sample_id(kind, key, name)
                links = project.links.setdefault(period, {})
                links[issue["id"]] = _link(project.row, issue, kind, period)


def _add_types(project: DemoProject, today: date) -> None:
    """Give every issue a type: Epic to EPICS, Bug to what has that label, Task to all others."""
    key = project.row["identifier"]
    project.row["is_issue_type_enabled"] = True
    for name, level in (("Task", 0), ("Bug", 0), ("Epic", 1)):
        common = _common(today, -110, "type", key, name)
        project.types[common["id"]] = type_row(common, project.row, name, level=level, default=name == "Task")
    bug = sample_id("label", key, "bug")
    for issue in project.issues.values():
        name = "Epic" if issue["name"] in EPICS else "Bug" if bug in issue["labels"] else "Task"
        issue["type_id"] = sample_id("type", key, name)


def _add_milestones(project: DemoProject, today: date) -> None:
    key = project.row["identifier"]
    for number, source in enumerate(MILESTONES.get(key, ())):
        common = _common(today, -35, "milestone", key, source.title, seconds=number)
        day = None if source.day is None else today + timedelta(days=source.day)
        project.milestones[common["id"]] = milestone_row(common, source.title, day)
        project.links[common["id"]] = {
            issue["id"]: _link(project.row, issue, "milestone", common["id"])
            for issue in project.issues.values()
            if issue["name"] in source.tasks
        }


def _add_plans(workspace: DemoWorkspace, today: date) -> None:
    for number, (name, (state, days)) in enumerate(INITIATIVES.items()):
        common = _common(today, -50, "initiative", name, seconds=number)
        row = initiative_row(common, workspace.id, name, _span(today, days), state)
        workspace.initiatives[common["id"]] = row
    for number, source in enumerate(RELEASES):
        common = _common(today, -45, "release", source.name, seconds=number)
        dates = {"target_date": _day(today, source.target), "release_date": _day(today, source.released)}
        more = {"status": source.status, "tag": source.tag, "is_latest": source.status == "released"}
        workspace.releases[common["id"]] = release_row(common, workspace.id, source.name, **dates, **more)


def _link(project: Row, issue: Row, kind: str, period: str) -> Row:
    """Return the link of an issue to a cycle, module or milestone."""
    by = sample_id("user", "anna")
    common = base(sample_id("link", period, issue["id"]), issue["updated_at"], by)
    return link_row(common, project, issue["id"], kind, period)


def _issue(project: Row, number: int, task: SampleTask, today: date) -> Row:
    """Return an issue that was created up to sixty days ago, and saved some days later."""
    key = project["identifier"]
    created = -60 + number % 50
    common = _common(today, created, "issue", key, str(number), seconds=number)
    common["updated_at"] = _at(today, created + number % 7, number)
    fields = {
        "name": task.name,
        "description_html": _text(task.text),
        "priority": task.priority,
        "start_date": _day(today, task.start),
        "target_date": _day(today, task.due),
        "state": sample_id("state", key, task.state),
        "completed_at": common["updated_at"] if task.state == "Done" else None,
        "sort_order": 65535.0 + number * 10000,
        "assignees": [sample_id("user", name) for name in task.assignees],
        "labels": [sample_id("label", key, name) for name in task.labels],
    }
    return issue_row(common, project, number, fields)


def _text(html: str) -> str:
    """Return the description with a mention component, as Plane's editor writes it, for each `@name`."""
    for person in PEOPLE:
        user = sample_id("user", person.name)
        mention = f'entity_identifier="{user}" entity_name="user_mention"'
        html = html.replace(
            f"@{person.name} ", f'<mention-component id="m-{person.name}" {mention}></mention-component> '
        )
    return html


def _day(today: date, days: int | None) -> str | None:
    return None if days is None else (today + timedelta(days=days)).isoformat()


def _filler_tasks(source: SampleProject, issues: int) -> list[SampleTask]:
    """Return the tasks that the project lacks to have `issues`, spread over a year; some have no date."""
    verbs, things = (
        ("Check", "Write", "Update", "Fix"),
        ("page", "form", "photo", "link", "text", "menu", "map"),
    )
    states, priorities = tuple(STATES), ("none", "low", "medium", "none", "high", "none", "urgent")
    tasks = []
    for number in range(len(source.tasks) + 1, issues + 1):
        due = None if number % 11 == 0 else number * 37 % 400 - 90
        tasks.append(
            SampleTask(
                name=f"{verbs[number % 4]} {things[number % 7]} {number}",
                state=states[number % 6],
                due=due,
                start=due - number % 9 if due is not None and number % 3 == 0 else None,
                priority=priorities[number * 5 % 7],
                assignees=(source.people[number % 4],),
                labels=(source.labels[number % 2],) if number % 5 else (),
                text=f"<p>Number <strong>{number}</strong> of the long list.</p>",
            )
        )
    return tasks
