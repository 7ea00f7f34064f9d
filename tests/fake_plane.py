"""A Plane of a few lines for the tests of Workspace: it counts, fails, and waits while `open` is not set."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeVar

from app_world import NOW
from msgspec.structs import replace

from icsfeed.errors import NotFound
from icsfeed.model import (
    Abilities,
    Issue,
    ItemType,
    Label,
    Listing,
    OtherProject,
    Period,
    PeriodKind,
    Person,
    Project,
    State,
)
from icsfeed.plane.incremental import Rows, WorkspaceRows
from icsfeed.plane.rate_limit import RequestPriority
from icsfeed.plane.shapes import ISSUE_FIELDS

T = TypeVar("T")
DAY = date(2026, 11, 25)


class FakePlane:
    """Projects by key, each with one issue. `failing`: what it raises, by the start of what is asked."""

    def __init__(self, *keys: str) -> None:
        self.held_projects = [Project(_id(key), key, f"Project {key}") for key in keys]
        self.others: list[OtherProject] = []
        self.people = [Person("anna", "Anna", "anna@example.com")]
        self.of_states = {key: [State(f"todo-{key}", "Todo", "unstarted")] for key in keys}
        self.of_labels = {key: [Label(f"bug-{key}", "bug")] for key in keys}
        self.of_issues = {key: [issue(key)] for key in keys}
        self.of_types: dict[str, list[ItemType]] = {}
        self.of_periods: dict[str, list[Period]] = {key: [] for key in keys}
        self.of_workspace: list[Period] = []
        self.held: dict[str, frozenset[str]] = {}
        self.found: dict[str, frozenset[str]] = {}
        self.asked: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.answers: Counter[str] = Counter()
        self.open = asyncio.Event()
        self.open.set()

    def count(self, what: str) -> int:
        return sum(asked.startswith(what) for asked in self.asked)

    async def _answer(self, what: str, value: T) -> T:
        self.asked.append(what)
        await asyncio.sleep(0)
        await self.open.wait()
        for start, error in self.failing.items():
            if what.startswith(start):
                raise error
        return value

    async def projects(self) -> Listing:
        return await self._answer("projects", Listing(tuple(self.held_projects), tuple(self.others)))

    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]:  # noqa: ARG002 - a Plane's
        return await self._answer("members", tuple(self.people))

    async def project_members(self, project: Project) -> tuple[Person, ...]:
        return await self._answer(f"members of {project.key}", tuple(self.people))

    def on(self, priority: RequestPriority) -> "FakePlane":  # noqa: ARG002 - a Plane's
        return self

    async def issues(self, project: Project) -> Rows:
        return await self._answer(f"issues {project.key}", self._rows(project))

    async def recent_issues(self, project: Project, since: datetime) -> Rows | None:  # noqa: ARG002 - a Plane's
        return await self._answer(f"issues {project.key}", self._rows(project))

    async def issue_ids(self, project: Project) -> frozenset[str]:
        return await self._answer(f"ids {project.key}", self._rows(project).ids)

    def _rows(self, project: Project) -> Rows:
        found = tuple(self.of_issues[project.key])
        return Rows(found, len(found), fields=ISSUE_FIELDS)

    async def newest_rows(self, since: datetime | None) -> WorkspaceRows | None:  # noqa: ARG002 - a Plane's
        await self._answer("newest rows", None)
        raise NotFound("the newest rows", "Community has no such list")

    async def is_searched(self) -> bool:
        return await self._answer("search", value=True)

    async def found_issues(self, pql: str) -> frozenset[str]:
        return await self._answer(f"found {pql}", self.found.get(pql, frozenset()))

    async def states(self, project: Project) -> tuple[State, ...]:
        return await self._answer(f"states {project.key}", tuple(self.of_states[project.key]))

    async def labels(self, project: Project) -> tuple[Label, ...]:
        return await self._answer(f"labels {project.key}", tuple(self.of_labels[project.key]))

    async def types(self, project: Project) -> tuple[ItemType, ...]:
        return await self._answer(f"types {project.key}", tuple(self.of_types.get(project.key, ())))

    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]:
        found = tuple(period for period in self.of_periods[project.key] if period.kind == kind)
        return await self._answer(f"{kind}s {project.key}", found)

    async def workspace_periods(self, kind: PeriodKind) -> tuple[Period, ...]:
        found = tuple(period for period in self.of_workspace if period.kind == kind)
        return await self._answer(f"{kind}s", found)

    async def period_issues(self, period: Period) -> frozenset[str]:
        return await self._answer(f"held {period.name}", self.held.get(period.id, frozenset()))

    async def version(self) -> str | None:
        return await self._answer("version", "Community v1.3.1")

    async def abilities(self, project: Project) -> Abilities:
        return await self._answer(f"abilities {project.key}", Abilities(1000, {}))

    async def whoami(self) -> Person | None:
        return await self._answer("whoami", self.people[0])


def _id(key: str) -> str:
    return f"id-{key.lower()}"


def issue(key: str, number: int = 1) -> Issue:
    return Issue(
        f"{key}-{number}",
        _id(key),
        number,
        "Name",
        NOW,
        NOW,
        state=f"todo-{key}",
        due=DAY,
        assignees=("anna",),
        labels=(f"bug-{key}",),
    )


def cycle(key: str, name: str, end: date | None, kind: PeriodKind = "cycle") -> Period:
    period = Period(f"{kind}-{name}", kind, _id(key), name, NOW, NOW)
    return replace(period, start=date(2026, 1, 1), end=end)
