"""Plane's public API, read (v0.22 to v1.3.1; /api/v1/): typed, to the last page, errors as ours.

The client never writes. All requests go through `_get`; what becomes of an answer that is not the
one wanted is in plane_http.py, what the JSON means in plane_wire.py.
"""

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
from msgspec import Struct

from icsfeed.adapters import plane_wire as wire
from icsfeed.adapters.plane_http import NoSuchPath, PageTooLarge, fetch, open_client
from icsfeed.adapters.plane_rows import Read, Walk, understood
from icsfeed.adapters.quota import Asked, Errand
from icsfeed.core.errors import BadAnswer, KeyRefused, NoAccess, NotFound, NotPlane, PlaneError, Throttled
from icsfeed.core.incremental import Rows
from icsfeed.core.model import Issue, Label, Period, PeriodKind, Person, Project, State
from icsfeed.core.replies import short
from icsfeed.core.text import one_line

__all__ = ["PlaneClient", "Read", "open_client"]

T = TypeVar("T")

LARGEST_PAGE = 1000
"""Rows in a page: Plane's own limit since v0.23. A Plane that allows less says so."""
RECENT_PAGE = 10
"""Rows in the page that looks for changes: most looks find few."""
ATTEMPTS = 3
"""How often a list is read whose pages shift while they are read."""
PAGES_LIMIT = 1000
"""Pages of one list: more than that has no end."""

log = logging.getLogger("icsfeed.plane")

PROJECT_FIELDS = "id,name,identifier,timezone,archived_at,is_member"
ISSUE_FIELDS = (
    "id,name,description_html,priority,start_date,target_date,sequence_id,completed_at,archived_at,"
    "is_draft,created_at,updated_at,parent,state,assignees,labels"
)
PERIOD_FIELDS = (
    "id,name,start_date,end_date,target_date,created_at,updated_at,archived_at,total_issues,completed_issues"
)


class _Learned(Struct):
    """What a Plane has shown of itself: the page size it allows, and how it spells the issues' path."""

    per_page: int = LARGEST_PAGE
    issues: str = "work-items"


class PlaneClient:
    """Reads one workspace. Every method raises PlaneError, and nothing else, when Plane does not give it.

    `client` comes from `open_client` and carries the key. Methods may run at the same time. Their
    requests wait for the budget that `on` has named; `patient`: also when Plane has refused one.
    `answers` counts requests by `ok` or the kind of the error.
    """

    def __init__(
        self,
        base_url: str,
        slug: str,
        *,
        client: httpx.AsyncClient,
        patient: bool = False,
    ) -> None:
        self._host = base_url.rstrip("/")
        self._shown = re.sub(r"//[^/@]*@", "//", self._host)
        self._slug = slug
        self._client = client
        self._errand: Errand | None = None
        self._patient = patient
        self._learned = _Learned()
        self.answers: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"PlaneClient({self._shown!r}, {self._slug!r})"

    def on(self, errand: Errand) -> "PlaneClient":
        """The same client, whose requests wait for the budget of this errand."""
        other = copy(self)
        other._errand = errand
        return other

    async def projects(self) -> tuple[Project, ...]:
        """The projects that the key has joined and that are not archived."""
        try:
            return (await self._list("projects/", "the projects", wire.project, PROJECT_FIELDS)).items
        except NoSuchPath:
            found = "Plane's API is not there: the url in the configuration must be Plane's own address"
            raise NotPlane(self._what("the projects"), f"{found}, without /api or a workspace") from None

    async def issues(self, project: Project) -> Rows:
        """All issues of a project: sub-issues, done and undated ones too, no drafts or archived ones."""

        read = partial(wire.issue, project=project)
        # Ascending by creation: what is new comes last, and does not shift the pages before it.
        found = await self._at_issues(
            project, lambda path, what: self._list(path, what, read, ISSUE_FIELDS, order_by="created_at")
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
            lambda path, what: self._list(path, what, wire.required_id, "id", order_by="created_at"),
        )
        return frozenset(found.items)

    async def states(self, project: Project) -> tuple[State, ...]:
        """The workflow states of a project; triage states are not among them."""
        return (await self._list(*_in(project, "states"), wire.state, "id,name,group")).items

    async def labels(self, project: Project) -> tuple[Label, ...]:
        """The labels of a project."""
        return (await self._list(*_in(project, "labels"), wire.label, "id,name")).items

    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]:
        """Everybody in the workspace; where the key may not ask (a guest's, v0.27), in these projects.

        Of those, one that is closed or gone is left out; when all are, their error is raised.
        """
        try:
            return (await self._list("members/", "the members", wire.person)).items
        except (NoAccess, NotFound):
            return await self._members_of(projects)

    async def project_members(self, project: Project) -> tuple[Person, ...]:
        """Everybody in a project, and who was once."""
        return (await self._list(*_in(project, "members"), wire.person)).items

    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]:
        """The cycles or modules of a project that are not archived, without their issues."""

        def read(row: wire.Row) -> Period | None:
            return wire.period(row, project, kind)

        return (await self._list(*_in(project, f"{kind}s"), read, PERIOD_FIELDS)).items

    async def period_issues(self, period: Period) -> frozenset[str]:
        """The ids of the issues in a cycle or module (up to v0.27.1 only their ids are right)."""
        path = f"projects/{period.project}/{period.kind}s/{period.id}/{period.kind}-issues/"
        what = f"the issues of {period.kind} {period.id}"
        return frozenset((await self._list(path, what, wire.required_id, "id")).items)

    async def whoami(self) -> Person | None:
        """Whose key this is; None where Plane is too old to say (before v0.28)."""
        try:
            found = await self._get("v1/users/me/", {}, self._what("the owner of the key"))
            return wire.person(wire.as_row(found))
        except (NotFound, NoAccess, wire.Unreadable):
            return None

    async def version(self) -> str | None:
        """Plane's version, such as `v1.3.1`; None where it does not say."""
        try:
            found = await self._get("instances/", {}, self._what("Plane's version"))
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
        where = self._path(path)
        parameters = {"fields": ISSUE_FIELDS, "order_by": "-updated_at"}
        first = Walk(read)
        page, _ = await self._first_page(where, parameters, what, RECENT_PAGE)
        rows: Walk[Issue] | None = first if await first.add(page) else None
        if rows is not None and page.more and not _reaches(rows, since):
            rows = await self._walk(where, parameters, read, what, enough=lambda rows: _reaches(rows, since))
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
        self, path: str, thing: str, read: Callable[[wire.Row], T | None], fields: str = "", **more: str
    ) -> Read[T]:
        """A whole list as it was at one moment: read again when its pages shifted meanwhile."""
        what = self._what(thing)
        parameters = {"fields": fields, **more} if fields else more
        for _ in range(ATTEMPTS):
            rows = await self._walk(self._path(path), parameters, read, what)
            if rows is not None:
                return understood(rows, what)
        raise BadAnswer(what, f"the list changed during each of {ATTEMPTS} readings")

    def _path(self, path: str) -> str:
        return f"v1/workspaces/{quote(self._slug, safe='')}/{path}"

    async def _walk(
        self,
        path: str,
        parameters: Mapping[str, str],
        read: Callable[[wire.Row], T | None],
        what: str,
        enough: "Callable[[Walk[T]], bool]" = lambda _: False,
    ) -> "Walk[T] | None":
        """The rows of all pages, or until they are `enough`; None when the pages shifted meanwhile."""
        rows = Walk(read)
        cursors: set[str] = set()
        page, size = await self._first_page(path, parameters, what, LARGEST_PAGE)
        while await rows.add(page):
            if page.more and enough(rows):
                return rows
            if not page.more:
                return rows if page.total in (None, rows.count) else None
            if not page.rows or page.next_cursor in cursors or len(cursors) >= PAGES_LIMIT:
                raise BadAnswer(what, "its pages have no end")
            cursors.add(page.next_cursor)
            size = _page_size(page.next_cursor) or size
            page = await self._page(path, {**parameters, "cursor": page.next_cursor}, size, what)
        return None

    async def _first_page(
        self, path: str, parameters: Mapping[str, str], what: str, wanted: int
    ) -> tuple[wire.Page, int]:
        """The first page and the size it has: the one wanted, or the largest that Plane allows, remembered.

        Members come as a bare list in all versions: no size (0) is asked for.
        """
        size = 0 if path.endswith("/members/") else min(wanted, self._learned.per_page)
        while True:
            try:
                return await self._page(path, parameters, size, what), size
            except PageTooLarge as error:
                if error.allowed >= size:
                    raise
                size = error.allowed
                self._learned.per_page = min(size, self._learned.per_page)

    async def _page(self, path: str, parameters: Mapping[str, str], size: int, what: str) -> wire.Page:
        asked = {**parameters, "per_page": str(size)} if size else parameters
        try:
            return wire.page(await self._get(path, asked, what))
        except wire.Unreadable as error:
            raise BadAnswer(what, f"the answer is not a page of a list ({short(str(error))})") from None

    async def _get(self, path: str, parameters: Mapping[str, str], what: str) -> Any:
        """The JSON of one answer, as plain data. Every request is made here."""
        url = f"{self._host}/api/{path}"
        if self._errand is None:
            body = await self._fetch(url, parameters, what)
        else:
            body = await self._within_budget(self._errand, url, parameters, what)
        try:
            return wire.decode(body)
        except ValueError:
            raise BadAnswer(what, "the answer is cut off, or not JSON") from None

    async def _within_budget(
        self, errand: Errand, url: str, parameters: Mapping[str, str], what: str
    ) -> bytes:
        """The answer, once the budget allows it; a patient client asks again after a refusal."""
        while True:
            try:
                async with errand.request() as asked:
                    return await self._fetch(url, parameters, what, asked)
            except Throttled as error:
                if not self._patient:
                    raise
                log.warning("%s; waiting", error)

    async def _fetch(
        self, url: str, parameters: Mapping[str, str], what: str, asked: Asked | None = None
    ) -> bytes:
        try:
            body = await fetch(self._client, url, parameters, what, asked)
        except PlaneError as error:
            self.answers[error.kind] += 1
            raise
        self.answers["ok"] += 1
        return body

    def _what(self, thing: str) -> str:
        """What is asked for, for messages: never the key, nor a password in the address."""
        return one_line(f"{thing} of workspace {self._slug!r} at {self._shown}")


def _rows(read: Read[Issue]) -> Rows:
    return Rows(read.items, read.total, read.skipped, read.unreadable - len(read.skipped))


def _reaches(rows: Walk[Issue], since: datetime) -> bool:
    return any(issue.updated <= since for issue in rows.items)


def _in(project: Project, name: str) -> tuple[str, str]:
    """The path of a project's list, and the words for it."""
    return f"projects/{project.id}/{name}/", f"the {name} of {project.key}"


def _page_size(cursor: str) -> int | None:
    """The page size that a cursor is for (`100:1:0`): a Plane may have lowered the one asked for."""
    size = re.match(r"([0-9]{1,4}):", cursor)
    return int(size[1]) if size and 0 < int(size[1]) <= LARGEST_PAGE else None
