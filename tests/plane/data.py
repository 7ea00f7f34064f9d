"""What the Plane of the tests holds, and how its objects change (Plane v1.3.1)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from msgspec import field

from icsfeed.demo.data import DemoData, DemoProject
from icsfeed.demo.rows import Row, base, issue_row, link_row, milestone_row, stamp


def utc_now() -> datetime:
    return datetime.now(UTC)


def random_id() -> str:
    return str(uuid4())


class PlaneData(DemoData, kw_only=True, eq=False):
    """All workspaces. Every change stamps what it changes, with a time that never stands still.

    `clock` returns aware datetimes, `new_id` the ids of what is created. `zones`: user id -> time zone that
    the user's keys get datetimes in; UTC unless named. `points`: estimate points by id. `last_numbers`:
    project id -> highest issue number that was ever used.
    """

    clock: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = random_id
    zones: dict[str, str] = field(default_factory=dict)
    points: dict[str, Row] = field(default_factory=dict)
    last_numbers: dict[str, int] = field(default_factory=dict)
    last_stamp: str = ""

    def project_of(self, object_id: str) -> DemoProject:
        """The project that holds an issue, cycle, module or milestone of this id. KeyError: none does."""
        for project in self.projects.values():
            held = (project.issues, project.cycles, project.modules, project.milestones)
            if any(object_id in rows for rows in held):
                return project
        raise KeyError(object_id)

    def issue(self, issue_id: str) -> Row:
        return self.project_of(issue_id).issues[issue_id]

    def edit(self, row: Row, by: str | None = None, **changes: Any) -> Row:
        """Changes any row (a state, a label, a project ...) and moves its updated_at; nothing else moves."""
        row.update(changes, updated_at=self._stamp(), updated_by=by)
        return row

    def create_issue(self, project_id: str, fields: Mapping[str, Any], by: str | None = None) -> Row:
        """A new issue with the next number, in the default state unless `fields` names one."""
        project = self.projects[project_id]
        number = self.last_numbers[project_id] = self._last_number(project) + 1
        states = project.states.values()
        state = fields.get("state") or next((row["id"] for row in states if row["default"]), None)
        kind = next((row["id"] for row in project.types.values() if row["is_default"]), None)
        given = {"type_id": kind, **fields, "state": state}
        issue = issue_row(base(self.new_id(), self._stamp(), by), project.row, number, given)
        issue["completed_at"] = issue["created_at"] if project.group(issue) == "completed" else None
        project.issues[issue["id"]] = issue
        return issue

    def create_milestone(self, project_id: str, title: str, day: date | None = None) -> Row:
        row = milestone_row(base(self.new_id(), self._stamp(), None), title, day)
        self.projects[project_id].milestones[row["id"]] = row
        return row

    def patch_issue(self, issue_id: str, changes: Mapping[str, Any], by: str | None = None) -> Row:
        """Saves an issue. Even unchanged, updated_at moves, and so does completed_at of a done one."""
        project = self.project_of(issue_id)
        issue = self.edit(project.issues[issue_id], by, **changes)
        issue["completed_at"] = issue["updated_at"] if project.group(issue) == "completed" else None
        return issue

    def delete_issue(self, issue_id: str) -> None:
        """Deletes it, and its place in cycles, modules and milestones. Sub-issues lose their parent."""
        project = self.project_of(issue_id)
        self.last_numbers[project.row["id"]] = self._last_number(project)
        del project.issues[issue_id]
        for links in project.links.values():
            links.pop(issue_id, None)
        for issue in project.issues.values():
            if issue["parent"] == issue_id:
                issue["parent"] = None

    def archive_issue(self, issue_id: str) -> None:
        """It is no longer listed. Plane archives done and cancelled ones only; here nobody checks."""
        self.patch_issue(issue_id, {"archived_at": stamp(self.clock())[:10]})

    def add_to(self, period_id: str, issue_ids: Iterable[str], by: str | None = None) -> list[Row]:
        """Puts issues into a cycle, module or milestone; the links of that period, newest first.

        An issue is in one cycle at most. A cycle moves the issue's updated_at, a module does not.
        """
        project = self.project_of(period_id)
        kinds = {"cycle": project.cycles, "module": project.modules, "milestone": project.milestones}
        kind = next(kind for kind, rows in kinds.items() if period_id in rows)
        for issue_id in issue_ids:
            if kind == "cycle":
                for other in project.cycles:
                    project.links.get(other, {}).pop(issue_id, None)
                self.edit(project.issues[issue_id], project.issues[issue_id]["updated_by"])
            common = base(self.new_id(), self._stamp(), by)
            links = project.links.setdefault(period_id, {})
            links[issue_id] = link_row(common, project.row, issue_id, kind, period_id)
        return list(reversed(project.links.get(period_id, {}).values()))

    def remove_from(self, period_id: str, issue_id: str) -> None:
        """Takes an issue out of a period or milestone; its updated_at moves. KeyError: it is not in there."""
        project = self.project_of(period_id)
        del project.links[period_id][issue_id]
        self.edit(project.issues[issue_id], project.issues[issue_id]["updated_by"])

    def _last_number(self, project: DemoProject) -> int:
        key = project.row["id"]
        if key not in self.last_numbers:
            numbers = (issue["sequence_id"] for issue in project.issues.values())
            self.last_numbers[key] = max(numbers, default=0)
        return self.last_numbers[key]

    def _stamp(self) -> str:
        """Now, or the microsecond after the last stamp if the clock has not moved."""
        now = stamp(self.clock())
        if self.last_stamp and datetime.fromisoformat(now) <= datetime.fromisoformat(self.last_stamp):
            now = stamp(datetime.fromisoformat(self.last_stamp) + timedelta(microseconds=1))
        self.last_stamp = now
        return now


def changeable(data: DemoData, clock: Callable[[], datetime]) -> PlaneData:
    """The same users, keys, workspaces and projects, to change."""
    return PlaneData(
        users=data.users, keys=data.keys, workspaces=data.workspaces, projects=data.projects, clock=clock
    )
