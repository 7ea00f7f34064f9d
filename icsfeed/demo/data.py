"""The objects that the demo's Plane serves, in memory and by id."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from icsfeed.demo.rows import Row

ADMIN, MEMBER, GUEST = 20, 15, 5


class DemoUser(Struct, frozen=True):
    """A person or a bot."""

    id: str
    email: str
    display_name: str
    first_name: str = ""
    last_name: str = ""

    def row(self) -> Row:
        """Return the row that Plane sends for a user, without a role."""
        names = {"first_name": self.first_name, "last_name": self.last_name, "email": self.email}
        return {"id": self.id, **names, "avatar": "", "avatar_url": None, "display_name": self.display_name}


class DemoKey(Struct, frozen=True):
    """An API key. One of kind `service` may make more requests."""

    token: str
    user: str
    kind: Literal["person", "service"] = "person"
    active: bool = True
    expires: datetime | None = None

    def valid(self, now: datetime) -> bool:
        return self.active and (self.expires is None or now < self.expires)


class DemoMember(Struct, frozen=True):
    """A user's membership in a workspace or a project. Removed users (not `active`) and bots stay listed."""

    user: str
    role: int = MEMBER
    active: bool = True
    bot: bool = False


class DemoWorkspace(Struct):
    """A workspace with its members in the order in which Plane lists them."""

    id: str
    slug: str
    name: str
    members: list[DemoMember] = field(default_factory=list)
    initiatives: dict[str, Row] = field(default_factory=dict)
    releases: dict[str, Row] = field(default_factory=dict)

    def role(self, user: str) -> int | None:
        """Return the role of an active member, else None."""
        return active_role(self.members, user)


class DemoProject(Struct, eq=False):
    """A project and its objects by id.

    `links`: id of a cycle, module or milestone -> issue id -> link.
    """

    slug: str
    row: Row
    members: list[DemoMember] = field(default_factory=list)
    states: dict[str, Row] = field(default_factory=dict)
    labels: dict[str, Row] = field(default_factory=dict)
    cycles: dict[str, Row] = field(default_factory=dict)
    modules: dict[str, Row] = field(default_factory=dict)
    milestones: dict[str, Row] = field(default_factory=dict)
    types: dict[str, Row] = field(default_factory=dict)
    issues: dict[str, Row] = field(default_factory=dict)
    links: dict[str, dict[str, Row]] = field(default_factory=dict)

    def shown(self) -> list[Row]:
        """Return the issues that the API lists, the oldest first.

        It lists no archived, draft or triage issues, and none of an archived project.
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
        """Return the role of an active member, else None."""
        return active_role(self.members, user)

    def group(self, issue: Row) -> str | None:
        """Return the group of the issue's state; None if it has no state."""
        state = self.states.get(issue["state"])
        return state["group"] if state else None


class DemoData(Struct, eq=False):
    """Everything: users and projects by id, keys by token, workspaces by slug."""

    users: dict[str, DemoUser] = field(default_factory=dict)
    keys: dict[str, DemoKey] = field(default_factory=dict)
    workspaces: dict[str, DemoWorkspace] = field(default_factory=dict)
    projects: dict[str, DemoProject] = field(default_factory=dict)

    def project(self, slug: str, project_id: str) -> DemoProject | None:
        """Return the project of that id if it is in that workspace."""
        project = self.projects.get(project_id)
        return project if project and project.slug == slug else None

    def members_of(self, members: Iterable[DemoMember]) -> Iterator[tuple[DemoMember, DemoUser]]:
        return ((member, self.users[member.user]) for member in members)


def active_role(members: Iterable[DemoMember], user: str) -> int | None:
    return next((member.role for member in members if member.user == user and member.active), None)
