"""Plane's public API, read (v0.22 to v1.3.1; /api/v1/): typed, to the last page, errors as ours.

The client never writes. All requests go through `_get`, which is also where an answer that is not
the one wanted becomes an error of core/errors.py.
"""

import logging
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

import httpx

from icsfeed import __version__
from icsfeed.adapters import plane_wire as wire
from icsfeed.core.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NotFound,
    NotPlane,
    PlaneError,
    Throttled,
    Unreachable,
)
from icsfeed.core.model import Issue, Label, Period, PeriodKind, Person, Project, State

T = TypeVar("T")

LARGEST_PAGE = 1000
"""Rows in a page: Plane's own limit since v0.23. A Plane that allows less says so."""
ATTEMPTS = 3
"""How often a list is read whose pages shift while they are read."""
PAGES_LIMIT = 10_000
ANSWER_LIMIT = 256 * 1024 * 1024
"""Bytes of one answer: more is a fault, and no reason to fill the memory."""
RETRY_LONGEST, RETRY_USUAL = 3600.0, 60.0

ISSUE_FIELDS = (
    "id,name,description_html,priority,start_date,target_date,sequence_id,completed_at,archived_at,"
    "is_draft,created_at,updated_at,parent,state,assignees,labels"
)
PERIOD_FIELDS = (
    "id,name,start_date,end_date,target_date,created_at,updated_at,archived_at,total_issues,completed_issues"
)

log = logging.getLogger("icsfeed.plane")


class Read(NamedTuple, Generic[T]):
    """A list as it was at one moment, and how many of its objects could not be understood."""

    items: tuple[T, ...]
    unreadable: int = 0


def open_client(api_key: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """An HTTP client that carries the key. It follows no redirect: the key is for one host."""
    return httpx.AsyncClient(
        headers={
            "X-API-Key": api_key,
            "Accept": "application/json",
            "User-Agent": f"icsfeed/{__version__}",
        },
        timeout=httpx.Timeout(30, connect=10),
        limits=httpx.Limits(max_connections=8),
        transport=transport,
    )


class PlaneClient:
    """Reads one workspace. Every method raises PlaneError, and nothing else, when Plane does not give it."""

    def __init__(self, base_url: str, slug: str, *, client: httpx.AsyncClient) -> None:
        self._host = base_url.rstrip("/")
        self._slug = slug
        self._client = client
        self._per_page = LARGEST_PAGE
        self._issues = "work-items"

    def __repr__(self) -> str:
        return f"PlaneClient({self._host!r}, {self._slug!r})"

    async def projects(self) -> tuple[Project, ...]:
        """The projects that the key has joined and that are not archived."""
        return (await self._list("projects/", wire.project)).items

    async def issues(self, project: Project) -> Read[Issue]:
        """All issues of a project: sub-issues, done and undated ones too, no drafts or archived ones."""

        def read(row: wire.Row) -> Issue | None:
            return wire.issue(row, project)

        # Ascending by creation: what is new comes last, and does not shift the pages before it.
        parameters = {"fields": ISSUE_FIELDS, "order_by": "created_at"}
        try:
            return await self._list(f"projects/{project.id}/{self._issues}/", read, parameters)
        except _NoSuchPath:
            self._issues = "issues" if self._issues == "work-items" else "work-items"
        return await self._list(f"projects/{project.id}/{self._issues}/", read, parameters)

    async def states(self, project: Project) -> tuple[State, ...]:
        """The workflow states of a project; triage states are not among them."""
        fields = {"fields": "id,name,group"}
        return (await self._list(f"projects/{project.id}/states/", wire.state, fields)).items

    async def labels(self, project: Project) -> tuple[Label, ...]:
        """The labels of a project."""
        return (await self._list(f"projects/{project.id}/labels/", wire.label, {"fields": "id,name"})).items

    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]:
        """Everybody in the workspace; where the key may not ask (a guest's, v0.27), in these projects."""
        try:
            return (await self._list("members/", wire.person)).items
        except (NoAccess, NotFound):
            found: dict[str, Person] = {}
            for project in projects:
                read = await self._list(f"projects/{project.id}/members/", wire.person)
                found.update({person.id: person for person in read.items})
            return tuple(found.values())

    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]:
        """The cycles or modules of a project that are not archived, without their issues."""

        def read(row: wire.Row) -> Period | None:
            return wire.period(row, project, kind)

        return (await self._list(f"projects/{project.id}/{kind}s/", read, {"fields": PERIOD_FIELDS})).items

    async def period_issues(self, period: Period) -> frozenset[str]:
        """The ids of the issues in a cycle or module (up to v0.27.1 only their ids are right)."""
        path = f"projects/{period.project}/{period.kind}s/{period.id}/{period.kind}-issues/"
        return frozenset((await self._list(path, wire.row_id, {"fields": "id"})).items)

    async def whoami(self) -> Person | None:
        """Whose key this is; None where Plane is too old to say (before v0.28)."""
        try:
            answer = await self._get(f"{self._host}/api/v1/users/me/", {}, "whose key this is")
        except (NotFound, NoAccess):
            return None
        try:
            return wire.person(_decoded(answer, "whose key this is"))
        except (wire.Unreadable, AttributeError):
            return None

    async def version(self) -> str | None:
        """Plane's version, such as `v1.3.1`; None where it does not say."""
        try:
            answer = await self._get(f"{self._host}/api/instances/", {}, "Plane's version")
            found = _decoded(answer, "Plane's version")["instance"]["current_version"]
        except (KeyError, TypeError, NotFound, NoAccess, BadAnswer):
            return None
        return found if isinstance(found, str) else None

    async def _list(
        self, path: str, read: Callable[[wire.Row], T | None], parameters: Mapping[str, str] = {}
    ) -> Read[T]:
        """A whole list as it was at one moment: read again when its pages shifted meanwhile."""
        for _ in range(ATTEMPTS):
            rows, total = await self._walk(path, parameters)
            ids = [found for found in map(wire.row_id, rows) if found is not None]
            if len(set(ids)) == len(ids) and total in (None, len(rows)):
                return _understood(rows, read, self._what(path))
        raise BadAnswer(self._what(path), f"the list changed during each of {ATTEMPTS} readings")

    async def _walk(self, path: str, parameters: Mapping[str, str]) -> tuple[list[Any], int | None]:
        """The rows of all pages, and the total that the last page states."""
        rows: list[Any] = []
        cursors: list[str] = []
        while len(cursors) < PAGES_LIMIT:
            page = await self._page(path, parameters, cursors[-1] if cursors else None)
            rows += page.rows
            if not page.more:
                return rows, page.total
            if page.next_cursor in cursors or not page.next_cursor:
                break
            cursors.append(page.next_cursor)
            self._per_page = _page_size(page.next_cursor) or self._per_page
        raise BadAnswer(self._what(path), "its pages have no end")

    async def _page(self, path: str, parameters: Mapping[str, str], cursor: str | None) -> wire.Page:
        asked = {**parameters, "per_page": str(self._per_page), **({"cursor": cursor} if cursor else {})}
        what = self._what(path)
        url = f"{self._host}/api/v1/workspaces/{self._slug}/{path}"
        try:
            answer = await self._get(url, asked, what)
        except _PageTooLarge as error:
            if cursor is not None or error.allowed >= self._per_page:
                raise
            self._per_page = error.allowed
            return await self._page(path, parameters, None)
        try:
            return wire.decode_page(answer)
        except ValueError as error:
            raise BadAnswer(what, f"the answer cannot be used ({_short(str(error))})") from None

    def _what(self, path: str) -> str:
        """What is asked for, for messages: host, workspace and path, never the key."""
        return f"{self._host} workspace {self._slug!r}, {path.rstrip('/')}"

    async def _get(self, url: str, parameters: Mapping[str, str], what: str) -> bytes:
        """The body of a 200. Raises the PlaneError that fits anything else."""
        try:
            async with self._client.stream("GET", url, params=parameters) as response:
                body = await _bounded(response, what)
        except httpx.DecodingError:
            raise BadAnswer(what, "the answer's compression is broken") from None
        except (httpx.TimeoutException, httpx.TransportError, httpx.InvalidURL, ssl.SSLError) as error:
            raise Unreachable(what, _reason(error)) from None
        _raise_for(response, body, what)
        return body


class _NoSuchPath(NotFound):
    """404 `Page not found.`: this Plane does not know the path at all (another version)."""


class _PageTooLarge(BadAnswer):
    """400 `Cannot exceed N.`"""

    def __init__(self, what: str, allowed: int) -> None:
        self.allowed = allowed
        super().__init__(what, f"Plane allows pages of {allowed} only")


def _understood(rows: Iterable[Any], read: Callable[[wire.Row], T | None], what: str) -> Read[T]:
    """The objects of the rows. One that cannot be understood is logged by its id, and counted."""
    items: list[T] = []
    unreadable = 0
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise wire.Unreadable("it is not an object")
            item = read(row)
        except wire.Unreadable as error:
            unreadable += 1
            log.warning("%s: skipped %s: %s", what, wire.row_id(row) or "one without an id", error)
        else:
            items += [] if item is None else [item]
    return Read(tuple(items), unreadable)


async def _bounded(response: httpx.Response, what: str) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise BadAnswer(what, f"the answer is larger than {ANSWER_LIMIT} bytes")
    return bytes(body)


def _raise_for(response: httpx.Response, body: bytes, what: str) -> None:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled(what, _retry_after(response) or RETRY_USUAL)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unreachable(what, f"the server failed with {status}", _retry_after(response))
    if response.has_redirect_location:
        host = httpx.URL(response.headers["location"]).host or "another path"
        raise NotPlane(what, f"it redirects to {_short(host)}: check the url in the configuration")
    if "json" not in response.headers.get("content-type", ""):
        raise NotPlane(what, "what answers is not Plane's API: check the url in the configuration")
    if status != HTTPStatus.OK:
        raise _refusal(status, body, what)


def _refusal(status: int, body: bytes, what: str) -> PlaneError:
    detail = _detail(body)
    if status == HTTPStatus.UNAUTHORIZED or detail == "Given API token is not valid":
        return KeyRefused(what, "Plane does not accept the API key: it is wrong, expired or disabled")
    if status == HTTPStatus.FORBIDDEN:
        return NoAccess(what, "the key is good but may not read this: check the slug and the membership")
    if status == HTTPStatus.NOT_FOUND:
        missing = _NoSuchPath if detail == "Page not found." else NotFound
        return missing(what, "is not there")
    found = re.search(r"Cannot exceed (\d{1,6})", detail)
    if found and int(found[1]) > 0:
        return _PageTooLarge(what, int(found[1]))
    return BadAnswer(what, f"Plane answered with {status}")


def _detail(body: bytes) -> str:
    """What Plane says is wrong: `detail` from its framework, `error` from its own views."""
    try:
        data = wire.decode(body)
    except ValueError:
        return ""
    found = (data.get("detail") or data.get("error")) if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def _decoded(body: bytes, what: str) -> Any:
    try:
        return wire.decode(body)
    except ValueError:
        raise BadAnswer(what, "the answer is not JSON") from None


def _page_size(cursor: str) -> int | None:
    """The page size that a cursor is for (`100:1:0`): a Plane may have lowered the one asked for."""
    size = cursor.partition(":")[0]
    return int(size) if size.isdecimal() and 0 < int(size) <= LARGEST_PAGE else None


def _retry_after(response: httpx.Response) -> float | None:
    """Retry-After in seconds from now (RFC 9110, 10.2.3), within reason; None when there is none."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), RETRY_LONGEST)
    try:
        at, sent = parsedate_to_datetime(value), parsedate_to_datetime(response.headers["date"])
    except (ValueError, TypeError, KeyError):
        return RETRY_USUAL
    return min(max((_aware(at) - _aware(sent)).total_seconds(), 0.0), RETRY_LONGEST)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if "CERTIFICATE" in str(error).upper():
        return f"its TLS certificate is not accepted ({_short(str(error))})"
    return f"no connection ({_short(str(error)) or type(error).__name__})"


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
