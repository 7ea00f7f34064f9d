"""The table of what is read of a Plane workspace, list by list; and how the lists are read that not every
edition has: without them, feeds show less and nothing wrong.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, TypeVar

from icsfeed.cache.runner import PART_ERRORS
from icsfeed.cache.ttl import CachedValue
from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NoSuchPath,
    NotFound,
    NotPlane,
    PlaneError,
    ServerError,
    Unreachable,
)
from icsfeed.model import Abilities, ItemType, Label, Listing, Period, PeriodKind, Person, Project, State
from icsfeed.plane.features import ASK_AGAIN, Features, is_refusal
from icsfeed.plane.incremental import Rows, WorkspaceRows
from icsfeed.plane.rate_limit import RequestPriority

T = TypeVar("T")

log = logging.getLogger("icsfeed.workspace")


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
    async def newest_rows(self, since: datetime | None) -> WorkspaceRows | None: ...
    async def found_issues(self, pql: str) -> frozenset[str]: ...
    async def is_searched(self) -> bool: ...
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
LIST_ERRORS = (*PART_ERRORS, NotPlane, Unreachable, KeyRefused)
"""Errors that may concern one list, while Plane is well: its path may lead anywhere in another edition, its
answer may take too long for a gateway, and a token may lack its scope.
"""
AFTER_FAILURE = timedelta(minutes=10)
"""Until something is asked for again that has failed, and was not refused."""

SEARCH = "a search by pql"
"""Its name among the `Features`."""
NO_SEARCH = "this Plane has no search in PQL, which only commercial editions have: use where instead"
NO_PQL = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""How Plane answers to a text that is no PQL."""


class OptionalLists:
    """Refreshes such lists of the workspace `name`, and notes in `features` which of them Plane has.

    `errors`: why some of them could not be read the last time.
    """

    def __init__(
        self, name: str, features: Features, errors: dict[str, PlaneError], clock: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._features = features
        self._errors = errors
        self._clock = clock
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def refresh(
        self,
        what: tuple[str, ...],
        value: CachedValue[T],
        read: Callable[[], Awaitable[T]],
        none: T,
        *,
        failed: T | None = None,
        is_essential: bool = False,
    ) -> None:
        """Read one that is not fresh, unless Plane has refused it within a day; then what is known stays.

        `what`: the name of the list and, where there are several, of what: `("milestones", "PROP")`. Where
        nothing was ever read, the value is `none` when Plane does not have it, and `failed` after a failure.
        Neither may keep the rest from being read: nobody has recorded these lists. Whether Plane is well at
        all is shown by what else is read of it. One that `is_essential` to a feed stays unread where only the
        key may not read it. Raises Throttled.
        """
        list_, this = what[0], " of ".join(what)
        # Projects are read at the same time: until Plane has shown that it has the list, one asks for it.
        is_known = self._features.has(list_) is True
        async with nullcontext() if is_known else self._asking[list_]:
            if value.is_fresh:
                return
            error = self._kept_from(list_, this)
            if error is None:
                error = await self._read(list_, this, value, read)
            if error is not None:
                if is_refusal(error) and not (is_essential and isinstance(error, NoAccess)):
                    value.keep(none)
                else:
                    value.postpone(failed)
            else:
                for name in (list_, this):
                    self._features.answered(name)
                    self._errors.pop(name, None)

    def _kept_from(self, list_: str, this: str) -> PlaneError | None:
        """Return why one is not to be asked for now; None: it is."""
        now = self._clock()
        waiting = (name for name in (list_, this) if not self._features.should_ask(name, now))
        return next((self._errors[name] for name in waiting if name in self._errors), None)

    async def _read(
        self, list_: str, this: str, value: CachedValue[T], read: Callable[[], Awaitable[T]]
    ) -> PlaneError | None:
        """Read one, and return why it could not be."""
        try:
            await value.get_or_refresh(read)
        except LIST_ERRORS as error:
            # Where this path is unknown it is so for all projects; and nobody must wait for each of them.
            is_slow = isinstance(error, Unreachable) and not isinstance(error, ServerError)
            is_of_all = is_slow or isinstance(error, NoSuchPath | KeyRefused)
            name = list_ if is_of_all else this
            self._note(name, error)
            if is_refusal(error) or is_of_all:
                again = ASK_AGAIN if is_refusal(error) else AFTER_FAILURE
                self._features.refused(name, self._clock(), again)
            return error
        return None

    def _note(self, name: str, error: PlaneError) -> None:
        """Log an error once for each list, until it is over: most projects have the same."""
        list_ = name.partition(" of ")[0]
        if not any(noted.partition(" of ")[0] == list_ for noted in self._errors):
            log.warning("workspace %s: %s; keeping what was last read of them", self._name, error)
        self._errors[name] = error


async def found_issues(
    plane: PlaneReader, features: Features, pql: str, now: datetime, before: frozenset[str] | None
) -> frozenset[str]:
    """Return the ids of the issues that a search finds. `before`: those that it found the last time.

    Raises PlaneError; NotFound, NoAccess or BadAnswer where only the search fails.
    """
    missing = NotFound("the issues that pql finds", NO_SEARCH)
    if not features.should_ask(SEARCH, now):
        raise missing
    try:
        # A Plane that ignores `pql` returns all issues: from the start, or since its plan has ended.
        if before is None and not await plane.is_searched():
            raise missing
        found = await plane.found_issues(pql)
        if before is not None and found != before and not await plane.is_searched():
            raise missing
    except (Unreachable, NotPlane, KeyRefused) as error:
        # Whether Plane is well at all is shown by what else is read of it.
        raise BadAnswer(error.what, error.reason) from None
    except (NoAccess, NotFound, BadAnswer) as error:
        if is_refusal(error) and not is_no_pql(error):
            features.refused(SEARCH, now)
            raise missing from None
        raise
    features.answered(SEARCH)
    return found


def is_no_pql(error: PlaneError) -> bool:
    """Return whether Plane does not accept the text of a search."""
    return isinstance(error, BadAnswer) and error.status in NO_PQL


def why_unusable(error: PlaneError) -> str | None:
    """Return why a search will not succeed until something is changed; None when it may."""
    if is_no_pql(error):
        return "Plane does not accept this search: try it in Plane, and correct it"
    return NO_SEARCH if isinstance(error, NotFound) else None
