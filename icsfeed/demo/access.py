"""Who may ask, for what, and how often: keys, permissions, the sliding window (Plane v1.3.1)."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from msgspec import Struct

from icsfeed.demo.data import GUEST, MEMBER, DemoData, Key, Project, User, Workspace
from icsfeed.demo.wire import Call, bad_key, no_key, no_permission

SAFE = ("GET", "HEAD", "OPTIONS")


class Limits(Struct, frozen=True):
    """Requests that a key may make within `seconds`."""

    person: int = 60
    service: int = 300
    seconds: int = 60


class Quota:
    """Counts the requests of each key in a sliding window."""

    def __init__(self, limits: Limits, clock: Callable[[], datetime]) -> None:
        self.limits = limits
        self.clock = clock
        self.taken: dict[str, deque[datetime]] = {}

    def take(self, key: Key) -> int:
        """How many requests are left after this one; -1: it is refused, and not counted."""
        now, taken = self.clock(), self.taken.setdefault(key.token, deque())
        while taken and taken[0] <= now - timedelta(seconds=self.limits.seconds):
            taken.popleft()
        allowed = self.limits.service if key.kind == "service" else self.limits.person
        if len(taken) >= allowed:
            return -1
        taken.append(now)
        return allowed - len(taken)

    def retry_after(self, key: Key) -> int:
        """Whole seconds until the oldest counted request leaves the window."""
        oldest = self.taken[key.token][0]
        return ceil((oldest + timedelta(seconds=self.limits.seconds) - self.clock()).total_seconds())


class Ask(Struct, kw_only=True):
    """A call whose key is known. `params` are the named parts of the path."""

    data: DemoData
    call: Call
    key: Key
    params: dict[str, str]

    @property
    def user(self) -> User:
        return self.data.users[self.key.user]

    @property
    def workspace(self) -> Workspace:
        """The workspace of the path; KeyError unless a guard has seen that it exists."""
        return self.data.workspaces[self.params["slug"]]

    @property
    def project(self) -> Project:
        """The project of the path; KeyError unless a guard has seen that it exists."""
        return self.data.projects[self.params["project"]]


def authenticated(data: DemoData, call: Call, now: datetime) -> Key:
    """The key of a call. Bearer tokens are not read."""
    token = call.headers.get("x-api-key")
    if not token:
        refused = no_key()
    elif token in data.keys and data.keys[token].valid(now):
        return data.keys[token]
    else:
        refused = bad_key()
    refused.reply.headers["Vary"] = "origin"
    raise refused


def anyone(_: Ask) -> None:
    """Any valid key."""


def workspace_member(ask: Ask) -> None:
    """Active members of the workspace; what is not safe needs more than a guest."""
    workspace = ask.data.workspaces.get(ask.params["slug"])
    _check(workspace.role(ask.key.user) if workspace else None, ask)


def workspace_staff(ask: Ask) -> None:
    """Members and admins of the workspace, no guests."""
    workspace_member(ask)
    if ask.workspace.role(ask.key.user) == GUEST:
        raise no_permission()


def project_member(ask: Ask) -> None:
    """Active members of the project; what is not safe needs more than a guest."""
    project = ask.data.project(ask.params["slug"], ask.params["project"])
    _check(project.role(ask.key.user) if project else None, ask)


def _check(role: int | None, ask: Ask) -> None:
    if role is None or (role < MEMBER and ask.call.method not in SAFE):
        raise no_permission()
