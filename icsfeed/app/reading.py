"""What a workspace reads with, and how it reads no more of the issues than it must."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from icsfeed.adapters.quota import Errand
from icsfeed.core.errors import PlaneError
from icsfeed.core.incremental import IssueList, Rows, merged, pruned, since, whole
from icsfeed.core.model import Label, Period, PeriodKind, Person, Project, State

T = TypeVar("T")


class Plane(Protocol):
    """What a workspace reads with: adapters/plane.py. Every method raises PlaneError."""

    def on(self, errand: Errand) -> "Plane": ...
    async def projects(self) -> tuple[Project, ...]: ...
    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]: ...
    async def issues(self, project: Project) -> Rows: ...
    async def recent_issues(self, project: Project, since: datetime) -> Rows | None: ...
    async def issue_ids(self, project: Project) -> frozenset[str]: ...
    async def states(self, project: Project) -> tuple[State, ...]: ...
    async def labels(self, project: Project) -> tuple[Label, ...]: ...
    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def period_issues(self, period: Period) -> frozenset[str]: ...
    async def version(self) -> str | None: ...
    async def whoami(self) -> Person | None: ...


async def current_issues(
    plane: Plane, project: Project, known: IssueList | None, now: datetime, full: timedelta
) -> IssueList:
    """The issues now: from the rows that changed where those tell, else read whole (core/incremental.py).

    Whole they are also read once in `full`. Raises PlaneError.
    """
    start = since(known) if known is not None else None
    if known is not None and start is not None and abs(now - known.whole_at) < full:
        recent = await plane.recent_issues(project, start)
        found = merged(known, recent, now) if recent is not None else None
        if recent is not None and found is None:
            ids = await plane.issue_ids(project)
            # Once more, for what was edited meanwhile: rows and ids must be of one moment.
            recent = await plane.recent_issues(project, start)
            found = pruned(known, recent, ids, now) if recent is not None else None
        if found is not None:
            return found
    return whole(await plane.issues(project), now)


async def by_id(reading: Awaitable[Sequence[T]]) -> dict[str, T]:
    """What was read, by id."""
    return {item.id: item for item in await reading}  # type: ignore[attr-defined]


async def gathered(work: Sequence[Awaitable[object]]) -> list[PlaneError]:
    """Do all of it, and give the errors. Anything that is not Plane's fault is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, PlaneError):
            raise result
    return [result for result in results if isinstance(result, PlaneError)]
