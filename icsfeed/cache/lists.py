"""The table of what is read of a Plane workspace, list by list, and what it is read with."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from icsfeed.model import Abilities, ItemType, Label, Listing, Period, PeriodKind, Person, Project, State
from icsfeed.plane.incremental import Rows
from icsfeed.plane.rate_limit import RequestPriority


class PlaneReader(Protocol):
    """What a workspace is read with: plane/client.py. Every method raises PlaneError."""

    @property
    def answers(self) -> Counter[str]: ...
    def on(self, priority: RequestPriority) -> "PlaneReader": ...
    async def projects(self) -> Listing: ...
    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]: ...
    async def project_members(self, project: Project) -> tuple[Person, ...]: ...
    async def issues(self, project: Project) -> Rows: ...
    async def recent_issues(self, project: Project, since: datetime) -> Rows | None: ...
    async def issue_ids(self, project: Project) -> frozenset[str]: ...
    async def states(self, project: Project) -> tuple[State, ...]: ...
    async def labels(self, project: Project) -> tuple[Label, ...]: ...
    async def types(self, project: Project) -> tuple[ItemType, ...]: ...
    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def workspace_periods(self, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def period_issues(self, period: Period) -> frozenset[str]: ...
    async def version(self) -> str | None: ...
    async def abilities(self, project: Project) -> Abilities: ...
    async def whoami(self) -> Person | None: ...


class ProjectList(NamedTuple):
    """A list that is read of each project, whole, at its own TTL.

    `name` is the key of its TTL in the configuration's `cache:`, and its name in webhooks and in stored
    records. What is read has an `id` each.
    """

    name: str
    read: Callable[[PlaneReader, Project], Awaitable[Sequence[Any]]]


class WorkspaceList(NamedTuple):
    """The same for a list of the whole workspace."""

    name: str
    read: Callable[[PlaneReader], Awaitable[Sequence[Period]]]


NAME_LISTS = (
    ProjectList("states", lambda plane, project: plane.states(project)),
    ProjectList("labels", lambda plane, project: plane.labels(project)),
)
"""What every feed needs of a project, besides its issues (cache/refresh.py reads those incrementally)."""
TYPES = ProjectList("types", lambda plane, project: plane.types(project))
PERIOD_LISTS: Mapping[PeriodKind, ProjectList] = {
    "cycle": ProjectList("cycles", lambda plane, project: plane.periods(project, "cycle")),
    "module": ProjectList("modules", lambda plane, project: plane.periods(project, "module")),
    "milestone": ProjectList("milestones", lambda plane, project: plane.periods(project, "milestone")),
}
"""What some feeds need besides. The issues of each of them are read separately, at the same TTL."""
WORKSPACE_LISTS = (
    WorkspaceList("releases", lambda plane: plane.workspace_periods("release")),
    WorkspaceList("initiatives", lambda plane: plane.workspace_periods("initiative")),
)

ESSENTIALS = ("issues", *(each.name for each in NAME_LISTS))
ALWAYS_PRESENT = ("cycles", "modules")
OPTIONAL_OF_PROJECT = (TYPES.name, PERIOD_LISTS["milestone"].name)
OPTIONAL = frozenset((*OPTIONAL_OF_PROJECT, *(each.name for each in WORKSPACE_LISTS)))
"""The lists that not every edition has. They are read only where a feed needs them (`Needs.lists`)."""
OF_PROJECT = (*ESSENTIALS, *ALWAYS_PRESENT, *OPTIONAL_OF_PROJECT)
TTL_NAMES = ("projects", "members", *OF_PROJECT, *(each.name for each in WORKSPACE_LISTS))
"""The keys of the configuration's `cache:` that are times to live of what is read here."""
