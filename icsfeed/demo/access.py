"""Authentication, permissions and the rate limit (Plane v1.3.1)."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from msgspec import Struct

from icsfeed.demo.data import GUEST, MEMBER, DemoData, DemoKey, DemoProject, DemoUser, DemoWorkspace
from icsfeed.demo.editions import COMMUNITY, Edition
from icsfeed.demo.wire import PlaneRequest, bad_key, no_key, no_permission

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class KeyLimits(Struct, frozen=True):
    """Requests that a key of each kind may make within `seconds`."""

    person: int = 60
    service: int = 300
    seconds: int = 60


class SlidingWindow:
    """Limits the requests of each key in a sliding window."""

    def __init__(self, limits: KeyLimits, clock: Callable[[], datetime]) -> None:
        self.limits = limits
        self.clock = clock
        self._times: dict[str, deque[datetime]] = {}

    def take(self, key: DemoKey) -> int:
        """Count a request; return how many more are allowed now, or -1 if it is refused and not counted."""
        now, times = self.clock(), self._times.setdefault(key.token, deque())
        while times and times[0] <= now - timedelta(seconds=self.limits.seconds):
            times.popleft()
        allowed = self.limits.service if key.kind == "service" else self.limits.person
        if len(times) >= allowed:
            return -1
        times.append(now)
        return allowed - len(times)

    def retry_after(self, key: DemoKey) -> int:
        """Return the whole seconds until the oldest counted request leaves the window."""
        oldest = self._times[key.token][0]
        return ceil((oldest + timedelta(seconds=self.limits.seconds) - self.clock()).total_seconds())


class RequestContext(Struct, kw_only=True):
    """A request with a valid key. `params`: the named parts of its path."""

    data: DemoData
    request: PlaneRequest
    key: DemoKey
    params: dict[str, str]
    edition: Edition = COMMUNITY

    @property
    def user(self) -> DemoUser:
        return self.data.users[self.key.user]

    @property
    def workspace(self) -> DemoWorkspace:
        """The workspace of the path. KeyError unless a guard has checked that it exists."""
        return self.data.workspaces[self.params["slug"]]

    @property
    def project(self) -> DemoProject:
        """The project of the path. KeyError unless a guard has checked that it exists."""
        return self.data.projects[self.params["project"]]


def authenticate(data: DemoData, request: PlaneRequest, now: datetime, edition: Edition) -> DemoKey:
    """Return the key of a request; raise PlaneRefusal without a valid one."""
    token = request.headers.get("x-api-key")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if not token and edition.takes_bearer and scheme.lower() == "bearer":
        token = bearer.strip()
    if not token:
        refusal = no_key()
    elif token in data.keys and data.keys[token].valid(now):
        return data.keys[token]
    else:
        refusal = bad_key()
    refusal.response.headers["Vary"] = "origin"
    raise refusal


def anyone(_: RequestContext) -> None:
    """Allow any valid key."""


def workspace_member(context: RequestContext) -> None:
    """Allow active members of the workspace, and guests for reading."""
    workspace = context.data.workspaces.get(context.params["slug"])
    _check(workspace.role(context.key.user) if workspace else None, context)


def workspace_staff(context: RequestContext) -> None:
    """Allow members and admins of the workspace, but no guests."""
    workspace_member(context)
    if context.workspace.role(context.key.user) == GUEST:
        raise no_permission()


def project_member(context: RequestContext) -> None:
    """Allow active members of the project, and guests for reading."""
    project = context.data.project(context.params["slug"], context.params["project"])
    _check(project.role(context.key.user) if project else None, context)


def _check(role: int | None, context: RequestContext) -> None:
    if role is None or (role < MEMBER and context.request.method not in SAFE_METHODS):
        raise no_permission()
