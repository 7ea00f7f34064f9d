"""What the embedded Plane holds, in memory and mutable, and how the objects change (Plane v1.3.1)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from msgspec import Struct, field

from icsfeed.demo.rows import Row, base, issue_row, later, link_row, stamp

ADMIN, MEMBER, GUEST = 20, 15, 5


def utc_now() -> datetime:
    return datetime.now(UTC)


def random_id() -> str:
    return str(uuid4())


class User(Struct, frozen=True):
    """A person or a bot. `timezone` is what their key's datetimes are written in."""

    id: str
    email: str
    display_name: str
    first_name: str = ""
    last_name: str = ""
    timezone: str = "UTC"

    def row(self) -> Row:
        """As Plane sends it, without a role."""
        names = {"first_name": self.first_name, "last_name": self.last_name, "email": self.email}
        return {"id": self.id, **names, "avatar": "", "avatar_url": None, "display_name": self.display_name}


class Key(Struct, frozen=True):
    """An API key. Keys of kind `service` have the larger budget."""

    token: str
    user: str
    kind: Literal["person", "service"] = "person"
    active: bool = True
    expires: datetime | None = None

    def valid(self, now: datetime) -> bool:
        return self.active and (self.expires is None or now < self.expires)


class Member(Struct, frozen=True):
    """A user's place in a workspace or a project. Removed ones (not `active`) and bots stay listed."""

    user: str
    role: int = MEMBER
    active: bool = True
    bot: bool = False


class Workspace(Struct):
    """`members` in the order in which Plane lists them."""

    id: str
    slug: str
    name: str
    members: list[Member] = field(default_factory=list)


class Project(Struct, eq=False):
    """A project and all that is in it, by id.

    `links`: id of a cycle or module -> issue id -> link. `last` is the last issue number given out.
    """

    slug: str
    row: Row
    members: list[Member] = field(default_factory=list)
    states: dict[str, Row] = field(default_factory=dict)
    labels: dict[str, Row] = field(default_factory=dict)
    cycles: dict[str, Row] = field(default_factory=dict)
    modules: dict[str, Row] = field(default_factory=dict)
    points: dict[str, Row] = field(default_factory=dict)
    issues: dict[str, Row] = field(default_factory=dict)
    links: dict[str, dict[str, Row]] = field(default_factory=dict)
    last: int = 0

    def shown(self) -> list[Row]:
        """The issues that the API lists, oldest first.

        Not archived, draft or triage ones, and none of an archived project.
        """
        if self.row["archived_at"]:
            return []
        triage = {key for key, state in self.states.items() if state["is_triage"]}
        return [
            issue
            for issue in self.issues.values()
            if not issue["archived_at"] and not issue["is_draft"] and issue["state"] not in triage
        ]

    def role(self, user: str) -> int | None:
        """The role of an active member, else None."""
        return next((member.role for member in self.members if member.user == user and member.active), None)

    def group(self, issue: Row) -> str | None:
        """The group of the issue's state."""
        state = self.states.get(issue["state"])
        return state["group"] if state else None


class PlaneData:
    """All workspaces. Every change stamps what it changes, with a time that never stands still.

    `clock` returns aware datetimes, `new_id` the ids of what is created.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.new_id: Callable[[], str] = random_id
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.projects: dict[str, Project] = {}
        self._stamped = ""

    def project(self, slug: str, project_id: str) -> Project | None:
        """The project of that id, if it is in that workspace."""
        project = self.projects.get(project_id)
        return project if project and project.slug == slug else None

    def project_of(self, object_id: str) -> Project:
        """The project that holds an issue, cycle or module of this id. KeyError: none does."""
        for project in self.projects.values():
            if any(object_id in rows for rows in (project.issues, project.cycles, project.modules)):
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
        project.last += 1
        states = project.states.values()
        state = fields.get("state") or next((row["id"] for row in states if row["default"]), None)
        issue = issue_row(
            base(self.new_id(), self._stamp(), by), project.row, project.last, {**fields, "state": state}
        )
        issue["completed_at"] = issue["created_at"] if project.group(issue) == "completed" else None
        project.issues[issue["id"]] = issue
        return issue

    def patch_issue(self, issue_id: str, changes: Mapping[str, Any], by: str | None = None) -> Row:
        """Saves an issue. Even unchanged, updated_at moves, and so does completed_at of a done one."""
        project = self.project_of(issue_id)
        issue = self.edit(project.issues[issue_id], by, **changes)
        issue["completed_at"] = issue["updated_at"] if project.group(issue) == "completed" else None
        return issue

    def delete_issue(self, issue_id: str) -> None:
        """Deletes it, and its place in cycles and modules. Sub-issues stay and lose their parent."""
        project = self.project_of(issue_id)
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
        """Puts issues into a cycle or module; the links of that period, newest first.

        An issue is in one cycle at most. A cycle moves the issue's updated_at, a module does not.
        """
        project = self.project_of(period_id)
        kind = "cycle" if period_id in project.cycles else "module"
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
        """Takes an issue out of a cycle or module and moves its updated_at. KeyError: it is not in there."""
        project = self.project_of(period_id)
        del project.links[period_id][issue_id]
        self.edit(project.issues[issue_id], project.issues[issue_id]["updated_by"])

    def members_of(self, members: Iterable[Member]) -> Iterator[tuple[Member, User]]:
        return ((member, self.users[member.user]) for member in members)

    def _stamp(self) -> str:
        """Now, or the microsecond after the last stamp if the clock has not moved."""
        now = stamp(self.clock())
        if self._stamped and datetime.fromisoformat(now) <= datetime.fromisoformat(self._stamped):
            now = later(self._stamped)
        self._stamped = now
        return now
