"""Plane's public API, read (v0.22 to v1.3.1; /api/v1/): typed, to the last page, errors as ours.

The client never writes. All requests go through `_get`; what becomes of an answer that is not the
one wanted is in plane_http.py, what the JSON means in plane_wire.py.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from icsfeed.errors import BadAnswer, KeyRefused, NoAccess, NotFound, NotPlane, PlaneError, Throttled
from icsfeed.model import Issue, Label, Listing, OtherProject, Period, PeriodKind, Person, Project, State
from icsfeed.plane import decode as wire
from icsfeed.plane import json as shapes
from icsfeed.plane.fetch import LargeResponseTurn, NoSuchPath, fetch, give_key, key_of, open_client
from icsfeed.plane.incremental import Rows
from icsfeed.plane.json import IdRow, IssueRow
from icsfeed.plane.paging import ListReader, ListResource, PlaneTraits
from icsfeed.plane.rate_limit import RequestPriority, RequestSlot
from icsfeed.plane.rows import CompleteList, Walk, understood
from icsfeed.text import one_line

__all__ = ["CompleteList", "PlaneClient", "open_client"]

T = TypeVar("T")

RECENT_PAGE = 10
"""Rows in the page that looks for changes: most looks find few."""
ATTEMPTS = 3
"""How often a list is read whose pages shift while they are read."""

log = logging.getLogger("icsfeed.plane")


class PlaneClient:
    """Reads one workspace. Every method raises PlaneError, and nothing else, when Plane does not give it.

    `client` comes from `open_client` and carries the key. Methods may run at the same time. Their
    requests wait for the budget that `on` has named; `patient`: also when Plane has refused one.
    `read_key` gives the key as it is now in its file (None: it cannot be read), for when the one that is
    used is refused. `large`: held while a large answer is in memory; clients may share it. `answers`
    counts requests by `ok` or the kind of the error.
    """

    def __init__(
        self,
        base_url: str,
        slug: str,
        *,
        client: httpx.AsyncClient,
        patient: bool = False,
        read_key: Callable[[], str | None] | None = None,
        large: asyncio.Lock | None = None,
    ) -> None:
        self._host = base_url.rstrip("/")
        self._shown = re.sub(r"//[^/@]*@", "//", self._host)
        self._slug = slug
        self._client = client
        self._errand: RequestPriority | None = None
        self._patient = patient
        self._read_key = read_key
        self._learned = PlaneTraits(large=large or asyncio.Lock())
        self.answers: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"PlaneClient({self._shown!r}, {self._slug!r})"

    def on(self, errand: RequestPriority) -> "PlaneClient":
        """The same client, whose requests wait for the budget of this errand."""
        other = copy(self)
        other._errand = errand
        return other

    async def projects(self) -> Listing:
        """The projects, and which of them are to be read."""
        try:
            listed = (await self._list("projects/", "the projects", wire.project, shapes.ProjectRow)).items
        except NoSuchPath:
            found = "Plane's API is not there: the url in the configuration must be Plane's own address"
            raise NotPlane(self._what("the projects"), f"{found}, without /api or a workspace") from None
        joined = tuple(one for one in listed if isinstance(one, Project))
        return Listing(joined, tuple(one for one in listed if isinstance(one, OtherProject)))

    async def issues(self, project: Project) -> Rows:
        """All issues of a project: sub-issues, done and undated ones too, no drafts or archived ones."""

        read = partial(wire.issue, project=project)
        # Ascending by creation: what is new comes last, and does not shift the pages before it.
        found = await self._at_issues(
            project, lambda path, what: self._list(path, what, read, IssueRow, order_by="created_at")
        )
        return _rows(found)

    async def recent_issues(self, project: Project, since: datetime) -> Rows | None:
        """The rows that were updated at `since` or later, in one small page where that holds them all.

        None when they do not say for sure what changed: the list shifted, or Plane states no total.
        """
        return await self._at_issues(project, lambda path, what: self._recent(path, what, project, since))

    async def issue_ids(self, project: Project) -> frozenset[str]:
        """The ids of all issues of a project."""
        found = await self._at_issues(
            project,
            lambda path, what: self._list(path, what, wire.required_id, IdRow, order_by="created_at"),
        )
        return frozenset(found.items)

    async def states(self, project: Project) -> tuple[State, ...]:
        """The workflow states of a project; triage states are not among them."""
        return (await self._list(*_in(project, "states"), wire.state, shapes.StateRow)).items

    async def labels(self, project: Project) -> tuple[Label, ...]:
        """The labels of a project."""
        return (await self._list(*_in(project, "labels"), wire.label, shapes.LabelRow)).items

    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]:
        """Everybody in the workspace; where the key may not ask (a guest's, v0.27), in these projects.

        Of those, one that is closed or gone is left out; when all are, their error is raised.
        """
        try:
            return (await self._list("members/", "the members", wire.person, shapes.PersonRow)).items
        except (NoAccess, NotFound):
            return await self._members_of(projects)

    async def project_members(self, project: Project) -> tuple[Person, ...]:
        """Everybody in a project, and who was once."""
        return (await self._list(*_in(project, "members"), wire.person, shapes.PersonRow)).items

    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]:
        """The cycles or modules of a project that are not archived, without their issues."""

        def read(row: wire.Row) -> Period | None:
            return wire.period(row, project, kind)

        return (await self._list(*_in(project, f"{kind}s"), read, shapes.PeriodRow)).items

    async def period_issues(self, period: Period) -> frozenset[str]:
        """The ids of the issues in a cycle or module (up to v0.27.1 only their ids are right)."""
        path = f"projects/{period.project}/{period.kind}s/{period.id}/{period.kind}-issues/"
        what = f"the issues of {period.kind} {period.id}"
        return frozenset((await self._list(path, what, wire.required_id, IdRow)).items)

    async def whoami(self) -> Person | None:
        """Whose key this is; None where Plane is too old to say (before v0.28)."""
        try:
            found = await self._object("v1/users/me/", self._what("the owner of the key"))
            return wire.person(wire.as_row(found))
        except (NotFound, NoAccess, shapes.Unreadable):
            return None

    async def version(self) -> str | None:
        """Plane's version, such as `v1.3.1`; None where it does not say."""
        try:
            found = await self._object("instances/", self._what("Plane's version"))
            return wire.version(found)
        except (NotFound, NoAccess, KeyRefused, NotPlane, BadAnswer):
            return None

    async def _at_issues(self, project: Project, read: Callable[[str, str], Awaitable[T]]) -> T:
        """Read at the path of a project's issues: the one of the two spellings that this Plane knows."""
        name, what = self._learned.issues, f"the issues of {project.key}"
        try:
            return await read(f"projects/{project.id}/{name}/", what)
        except NoSuchPath:
            other = "issues" if name == "work-items" else "work-items"
        found = await read(f"projects/{project.id}/{other}/", what)
        self._learned.issues = other
        return found

    async def _recent(self, path: str, thing: str, project: Project, since: datetime) -> Rows | None:
        what, read = self._what(thing), partial(wire.issue, project=project)
        recent = ListResource(self._path(path), what, read, IssueRow, {"order_by": "-updated_at"})
        rows = await self._pages.newest(recent, RECENT_PAGE, lambda rows: _reaches(rows, since))
        if rows is None or rows.total is None:
            return None
        return _rows(understood(rows, what)._replace(total=rows.total))

    async def _members_of(self, projects: Iterable[Project]) -> tuple[Person, ...]:
        found: dict[str, Person] = {}
        refused: list[PlaneError] = []
        for project in projects:
            try:
                found.update({person.id: person for person in await self.project_members(project)})
            except (NoAccess, NotFound) as error:
                refused.append(error)
        if refused and not found:
            raise refused[0]
        return tuple(found.values())

    async def _list(
        self, path: str, thing: str, read: Callable[[wire.Row], T | None], shape: type[IdRow], **more: str
    ) -> CompleteList[T]:
        """A whole list as it was at one moment: read again when its pages shifted meanwhile."""
        wanted = ListResource(self._path(path), self._what(thing), read, shape, more)
        for _ in range(ATTEMPTS):
            rows = await self._pages.all(wanted)
            if rows is not None:
                return understood(rows, wanted.what)
        raise BadAnswer(wanted.what, f"the list changed during each of {ATTEMPTS} readings")

    @property
    def _pages(self) -> ListReader:
        return ListReader(self._get, self._learned)

    def _path(self, path: str) -> str:
        return f"v1/workspaces/{quote(self._slug, safe='')}/{path}"

    async def _object(self, path: str, what: str) -> Any:
        """The JSON of a small answer, as plain data."""
        try:
            return shapes.decode(await self._get(path, {}, what))
        except ValueError:
            raise BadAnswer(what, "the answer is cut off, or not JSON") from None

    async def _get(
        self, path: str, parameters: Mapping[str, str], what: str, turn: LargeResponseTurn | None = None
    ) -> bytes:
        """The body of one answer. Every request is made here."""
        url = f"{self._host}/api/{path}"
        while True:
            sent = key_of(self._client)
            try:
                if self._errand is None:
                    return await self._fetch(url, parameters, what, turn)
                async with self._errand.request() as asked:
                    return await self._fetch(url, parameters, what, turn, asked)
            except Throttled as error:
                if not self._patient or self._errand is None:
                    raise
                log.warning("%s; waiting", error)
            except KeyRefused:
                if not await self._has_other_key(sent):
                    raise

    async def _has_other_key(self, sent: bytes | None) -> bool:
        """Whether there is another key by now than the one that was sent: its file is read again."""
        if key_of(self._client) == sent and self._read_key is not None:
            found = await asyncio.to_thread(self._read_key)
            if found:
                give_key(self._client, found)
        return key_of(self._client) != sent

    async def _fetch(
        self,
        url: str,
        parameters: Mapping[str, str],
        what: str,
        turn: LargeResponseTurn | None,
        asked: RequestSlot | None = None,
    ) -> bytes:
        try:
            body = await fetch(self._client, url, parameters, what, asked, turn=turn)
        except PlaneError as error:
            self.answers[error.kind] += 1
            raise
        self.answers["ok"] += 1
        return body

    def _what(self, thing: str) -> str:
        """What is asked for, for messages: never the key, nor a password in the address."""
        return one_line(f"{thing} of workspace {self._slug!r} at {self._shown}")


def _rows(read: CompleteList[Issue]) -> Rows:
    return Rows(read.items, read.total, read.skipped, read.unreadable - len(read.skipped))


def _reaches(rows: Walk[Issue], since: datetime) -> bool:
    return any(issue.updated <= since for issue in rows.items)


def _in(project: Project, name: str) -> tuple[str, str]:
    """The path of a project's list, and the words for it."""
    return f"projects/{project.id}/{name}/", f"the {name} of {project.key}"
