"""Plane's public API, read (v0.22 to v1.3.1; /api/v1/): typed, to the last page, errors as ours.

The client never writes. All requests go through `_get`; requests.py sends them, fetch.py says what becomes of
an answer that is not the one wanted, decode.py what the JSON means.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NoSuchPath,
    NotFound,
    NotPlane,
    PlaneError,
)
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
from icsfeed.plane import decode, shapes
from icsfeed.plane.abilities import abilities, reads_pql
from icsfeed.plane.fetch import LargeResponseTurn, open_client
from icsfeed.plane.incremental import Rows, WorkspaceRow, WorkspaceRows
from icsfeed.plane.paging import CompleteList, ListReader, ListResource, ListRows
from icsfeed.plane.rate_limit import RequestPriority
from icsfeed.plane.requests import PlaneRequests
from icsfeed.plane.shapes import IdRow, IssueRow
from icsfeed.plane.traits import PlaneTraits
from icsfeed.text import one_line

__all__ = ["CompleteList", "PlaneClient", "open_client"]

T = TypeVar("T")

RECENT_ROWS = 10
"""In the page that looks for changes: mostly there are few."""
NEWEST_ROWS = 50
"""In the page that looks for changes in all projects of a workspace."""
MAX_ATTEMPTS = 3
"""At reading a list whose pages shift while they are read."""


class PlaneClient:
    """Reads one workspace. Every method raises PlaneError, and nothing else, when Plane does not give it.

    `client` comes from `open_client` and carries the key. Methods may run at the same time. Their
    requests wait for the budget given to `on`; `wait_if_throttled`: also when Plane has refused one with 429.
    `read_key` returns the key as it is now in its file (None: it cannot be read), for when the one in use
    is refused. `large`: held while a large answer is in memory; clients may share it.
    """

    def __init__(
        self,
        base_url: str,
        slug: str,
        *,
        client: httpx.AsyncClient,
        wait_if_throttled: bool = False,
        read_key: Callable[[], str | None] | None = None,
        large: asyncio.Lock | None = None,
    ) -> None:
        self._host = base_url.rstrip("/")
        self._shown = re.sub(r"//[^/@]*@", "//", self._host)
        self._slug = slug
        self._requests = PlaneRequests(client, wait_if_throttled=wait_if_throttled, read_key=read_key)
        self._traits = PlaneTraits(large=large or asyncio.Lock())

    def __repr__(self) -> str:
        return f"PlaneClient({self._shown!r}, {self._slug!r})"

    def on(self, priority: RequestPriority) -> "PlaneClient":
        """Return the same client, whose requests wait for a budget with this priority."""
        other = copy(self)
        other._requests = self._requests.on(priority)
        return other

    @property
    def answers(self) -> Counter[str]:
        """How many requests were answered, by `ok` or the kind of the error."""
        return self._requests.answers

    async def projects(self) -> Listing:
        """Read the projects, and which of them are to be read further."""
        try:
            listed = (await self._list("projects/", "the projects", decode.project, shapes.ProjectRow)).items
        except NoSuchPath:
            reason = "Plane's API is not there: the url in the configuration must be Plane's own address"
            raise NotPlane(self._what("the projects"), f"{reason}, without /api or a workspace") from None
        joined = tuple(project for project in listed if isinstance(project, Project))
        return Listing(joined, tuple(project for project in listed if isinstance(project, OtherProject)))

    async def issues(self, project: Project) -> Rows:
        """Read all issues of a project: sub-issues, done and undated ones too, no drafts or archived ones."""
        read = partial(decode.issue, project=project)
        # Ascending by creation: what is new comes last, and does not shift the pages before it.
        issues = await self._at(
            project,
            "issues",
            lambda path, what: self._list(path, what, read, IssueRow, order_by="created_at"),
        )
        return _rows(issues)

    async def recent_issues(self, project: Project, since: datetime) -> Rows | None:
        """Read the rows that were updated at `since` or later, in one small page where that holds them all.

        None when they do not say for sure what changed: the list shifted, or Plane states no total.
        """

        async def read(path: str, thing: str) -> Rows | None:
            issue = partial(decode.issue, project=project)
            order = {"order_by": "-updated_at"}
            wanted = ListResource(self._path(path), self._what(thing), issue, IssueRow, order)
            rows = await self._pages.newest(wanted, RECENT_ROWS, is_enough)
            if rows is None or rows.total is None:
                return None
            return _rows(rows.complete()._replace(total=rows.total))

        def is_enough(rows: ListRows[Issue]) -> bool:
            return any(issue.updated <= since for issue in rows.items)

        return await self._at(project, "issues", read)

    async def issue_ids(self, project: Project) -> frozenset[str]:
        """Read the ids of all issues of a project."""
        ids = await self._at(
            project,
            "issues",
            lambda path, what: self._list(path, what, decode.required_id, IdRow, order_by="created_at"),
        )
        return frozenset(ids.items)

    async def newest_rows(self, since: datetime | None) -> WorkspaceRows | None:
        """Read which issues of all projects were updated at `since` or later; None: the newest ones.

        None when they do not say it for sure: the list shifted. Raises NotFound and the like where this
        edition has no such list.
        """

        def is_enough(rows: ListRows[WorkspaceRow]) -> bool:
            return since is None or any(row.updated <= since for row in rows.items)

        path, what, order = self._path("work-items/"), self._what("the newest issues"), "-updated_at"
        wanted = ListResource(path, what, decode.workspace_row, shapes.PlaceRow, {"order_by": order})
        rows = await self._pages.newest(wanted, NEWEST_ROWS, is_enough)
        if rows is None:
            return None
        times = [row.updated for row in rows.items]
        total = rows.total
        if total is None:
            try:
                total = decode.count(await self._object(self._path("work-items/count/"), what))
            except shapes.Unreadable as error:
                raise BadAnswer(what, f"their number is not understood: {error}") from None
        if rows.skipped or times != sorted(times, reverse=True) or (total and not times):
            raise BadAnswer(what, "the list is not in the order of updated_at, or its rows lack a field")
        return WorkspaceRows(tuple(rows.items), total)

    async def found_issues(self, pql: str) -> frozenset[str]:
        """Read the ids of all issues of the workspace that a search finds. BadAnswer 400: it is no PQL."""
        path, what = "work-items/", "the issues that pql finds"
        return frozenset(
            (await self._list(path, what, decode.required_id, IdRow, order_by="created_at", pql=pql)).items
        )

    async def is_searched(self) -> bool:
        """Return whether the list of the workspace's issues follows `pql`."""
        return await reads_pql(self._ask)

    async def states(self, project: Project) -> tuple[State, ...]:
        """Read the workflow states of a project; triage states are not among them."""
        return (await self._list(*_in(project, "states"), decode.state, shapes.StateRow)).items

    async def labels(self, project: Project) -> tuple[Label, ...]:
        """Read the labels of a project."""
        return (await self._list(*_in(project, "labels"), decode.label, shapes.LabelRow)).items

    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]:
        """Read who is in the workspace; where the key may not (a guest's, v0.27), who is in these projects.

        A project that is closed or gone is left out; when all are, their error is raised.
        """
        try:
            return (await self._list("members/", "the members", decode.person, shapes.PersonRow)).items
        except (NoAccess, NotFound):  # NotFound: the list came with v0.28
            pass
        people: dict[str, Person] = {}
        errors: list[PlaneError] = []
        for project in projects:
            try:
                people.update({person.id: person for person in await self.project_members(project)})
            except (NoAccess, NotFound) as error:
                errors.append(error)
        if errors and not people:
            raise errors[0]
        return tuple(people.values())

    async def project_members(self, project: Project) -> tuple[Person, ...]:
        """Read who is in a project, and who was once."""
        return (await self._list(*_in(project, "members"), decode.person, shapes.PersonRow)).items

    async def types(self, project: Project) -> tuple[ItemType, ...]:
        """Read the types of a project's work items. Raises NotFound and the like in Community."""

        async def read(path: str, thing: str) -> tuple[ItemType, ...]:
            return (await self._list(path, thing, decode.item_type, shapes.TypeRow)).items

        return await self._at(project, "types", read)

    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]:
        """Read the cycles, modules or milestones of a project, without their issues and archived ones."""

        def read(row: decode.Row) -> Period | None:
            is_milestone = kind == "milestone"
            return decode.milestone(row, project) if is_milestone else decode.period(row, project, kind)

        return (await self._list(*_in(project, f"{kind}s"), read, shapes.PERIOD_ROWS[kind])).items

    async def workspace_periods(self, kind: PeriodKind) -> tuple[Period, ...]:
        """Read the releases or initiatives of the workspace. Raises NotFound and the like in Community."""
        read = decode.release if kind == "release" else decode.initiative
        return (await self._list(f"{kind}s/", f"the {kind}s", read, shapes.PERIOD_ROWS[kind])).items

    async def period_issues(self, period: Period) -> frozenset[str]:
        """Read the ids of the issues in a period (of a cycle's, up to v0.27.1 only the ids are right)."""
        # The only way: no issue says which cycles and modules it is in (v0.22 to v1.3.1).
        is_milestone = period.kind == "milestone"
        name = "work-items" if is_milestone else f"{period.kind}-issues"
        path = f"projects/{period.project}/{period.kind}s/{period.id}/{name}/"
        what = f"the issues of {period.kind} {period.id}"
        shape = shapes.LinkRow if is_milestone else IdRow
        return frozenset((await self._list(path, what, decode.linked_issue, shape)).items)

    async def whoami(self) -> Person | None:
        """Read whose key this is; None where Plane is too old to say (before v0.28)."""
        try:
            user = await self._object("v1/users/me/", self._what("the owner of the key"))
            return decode.person(decode.as_row(user))
        except (NotFound, NoAccess, shapes.Unreadable):
            return None

    async def abilities(self, project: Project) -> Abilities:
        """Ask what this Plane can do that not every edition can. `project`: one that the key may read."""
        return Abilities(self._traits.per_page, await abilities(self._ask, project.id))

    async def _ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        return await self._get(self._path(path), parameters, self._what("what Plane can do"))

    async def version(self) -> str | None:
        """Read Plane's edition and version, such as `Community v1.3.1`; None where it does not say."""
        try:
            return decode.version(await self._object("instances/", f"the version of Plane at {self._shown}"))
        except (NotFound, NoAccess, KeyRefused, NotPlane, BadAnswer):
            return None

    async def _at(self, project: Project, thing: str, read: Callable[[str, str], Awaitable[T]]) -> T:
        """Read at the path of a project's issues, or types: the one of two that this Plane knows."""
        name, other = self._traits.paths[thing]
        what = f"the {thing} of {project.key}"
        try:
            return await read(f"projects/{project.id}/{name}/", what)
        except NoSuchPath:
            result = await read(f"projects/{project.id}/{other}/", what)
        self._traits.paths[thing] = other, name
        return result

    async def _list(
        self, path: str, thing: str, read: Callable[[decode.Row], T | None], shape: type[IdRow], **more: str
    ) -> CompleteList[T]:
        """Read a whole list as it was at one moment: again when its pages shifted meanwhile."""
        wanted = ListResource(self._path(path), self._what(thing), read, shape, more)
        for _ in range(MAX_ATTEMPTS):
            rows = await self._pages.all(wanted)
            if rows is not None:
                return rows.complete()
        raise BadAnswer(wanted.what, f"the list changed during each of {MAX_ATTEMPTS} attempts to read it")

    @property
    def _pages(self) -> ListReader:
        return ListReader(self._get, self._traits)

    def _path(self, path: str) -> str:
        return f"v1/workspaces/{quote(self._slug, safe='')}/{path}"

    async def _object(self, path: str, what: str) -> Any:
        """Read the JSON of a small answer, as plain data."""
        try:
            return shapes.decode(await self._get(path, {}, what))
        except ValueError:
            raise BadAnswer(what, "the answer is cut off, or not JSON") from None

    async def _get(
        self, path: str, parameters: Mapping[str, str], what: str, turn: LargeResponseTurn | None = None
    ) -> bytes:
        """Return the body of one answer. Every request is made here."""
        return await self._requests.get(f"{self._host}/api/{path}", parameters, what, turn)

    def _what(self, thing: str) -> str:
        """Say what is read, for messages: never the key, nor a password in the address."""
        return one_line(f"{thing} of workspace {self._slug!r} at {self._shown}")


def _rows(issues: CompleteList[Issue]) -> Rows:
    nameless = issues.unreadable - len(issues.skipped)
    return Rows(issues.items, issues.total, issues.skipped, nameless, shapes.ISSUE_FIELDS)


def _in(project: Project, name: str) -> tuple[str, str]:
    """Return the path of a project's list, and the words for it."""
    return f"projects/{project.id}/{name}/", f"the {name} of {project.key}"
