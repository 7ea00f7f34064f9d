"""Authentication, permissions and the rate limit (Plane v1.3.1)."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from msgspec import Struct

from icsfeed.demo.data import GUEST, MEMBER, DemoData, DemoKey, DemoProject, DemoUser, DemoWorkspace
from icsfeed.demo.wire import PlaneRequest, bad_key, no_key, no_permission

SAFE = ("GET", "HEAD", "OPTIONS")


class KeyLimits(Struct, frozen=True):
    """Requests that a key may make within `seconds`."""

    person: int = 60
    service: int = 300
    seconds: int = 60


class SlidingWindow:
    """Counts the requests of each key in a sliding window."""

    def __init__(self, limits: KeyLimits, clock: Callable[[], datetime]) -> None:
        self.limits = limits
        self.clock = clock
        self.counted: dict[str, deque[datetime]] = {}

    def take(self, key: DemoKey) -> int:
        """Count a request and return how many more are allowed now; -1: it is refused, and not counted."""
        now, counted = self.clock(), self.counted.setdefault(key.token, deque())
        while counted and counted[0] <= now - timedelta(seconds=self.limits.seconds):
            counted.popleft()
        allowed = self.limits.service if key.kind == "service" else self.limits.person
        if len(counted) >= allowed:
            return -1
        counted.append(now)
        return allowed - len(counted)

    def retry_after(self, key: DemoKey) -> int:
        """Whole seconds until the oldest counted request leaves the window."""
        oldest = self.counted[key.token][0]
        return ceil((oldest + timedelta(seconds=self.limits.seconds) - self.clock()).total_seconds())


class RequestContext(Struct, kw_only=True):
    """A request whose key is known. `params` are the named parts of the path."""

    data: DemoData
    request: PlaneRequest
    key: DemoKey
    params: dict[str, str]

    @property
    def user(self) -> DemoUser:
        return self.data.users[self.key.user]

    @property
    def workspace(self) -> DemoWorkspace:
        """The workspace of the path; KeyError unless a guard has seen that it exists."""
        return self.data.workspaces[self.params["slug"]]

    @property
    def project(self) -> DemoProject:
        """The project of the path; KeyError unless a guard has seen that it exists."""
        return self.data.projects[self.params["project"]]


def authenticate(data: DemoData, request: PlaneRequest, now: datetime) -> DemoKey:
    """Return the key of a request. Bearer tokens are not read."""
    token = request.headers.get("x-api-key")
    if not token:
        refusal = no_key()
    elif token in data.keys and data.keys[token].valid(now):
        return data.keys[token]
    else:
        refusal = bad_key()
    refusal.response.headers["Vary"] = "origin"
    raise refusal


def anyone(_: RequestContext) -> None:
    """Any valid key."""


def workspace_member(context: RequestContext) -> None:
    """Active members of the workspace; guests may only read."""
    workspace = context.data.workspaces.get(context.params["slug"])
    _check(workspace.role(context.key.user) if workspace else None, context)


def workspace_staff(context: RequestContext) -> None:
    """Members and admins of the workspace, no guests."""
    workspace_member(context)
    if context.workspace.role(context.key.user) == GUEST:
        raise no_permission()


def project_member(context: RequestContext) -> None:
    """Active members of the project; guests may only read."""
    project = context.data.project(context.params["slug"], context.params["project"])
    _check(project.role(context.key.user) if project else None, context)


def _check(role: int | None, context: RequestContext) -> None:
    if role is None or (role < MEMBER and context.request.method not in SAFE):
        raise no_permission()
