"""Plane's lists, page by page: in pages as large as Plane allows and as fit into memory."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Generic, NamedTuple, TypeVar

from icsfeed.errors import BadAnswer, NoAccess, NoSuchPath, NotFound, NotPlane, PlaneError
from icsfeed.http import shorten
from icsfeed.plane import decode, shapes
from icsfeed.plane.fetch import LargeResponseTurn, ParametersRefused, ResponseTooLarge
from icsfeed.plane.shapes import IdRow, Page
from icsfeed.plane.traits import DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS, MIN_PAGE_ROWS, ListRequest, PlaneTraits

T = TypeVar("T")
R = TypeVar("R")
Get = Callable[[str, Mapping[str, str], str, LargeResponseTurn | None], Awaitable[bytes]]

MAX_PAGES = 1000
"""Of one list: more than that has no end."""
ROWS_AT_ONCE = 10
"""Rows that are decoded before other tasks run: a page may hold 1000 long descriptions."""

log = logging.getLogger("icsfeed.plane")


class ListResource(NamedTuple, Generic[T]):
    """One of Plane's lists, how its rows are read, and the parameters besides their fields."""

    path: str
    what: str
    read: Callable[[decode.Row], T | None]
    shape: type[IdRow]
    more: Mapping[str, str]

    @property
    def is_of_members(self) -> bool:
        """Whether these are members: Community sends them as a bare array, in one piece, with all fields.

        Never without any: anyone who may read the members is one.
        """
        return self.path.endswith("/members/")

    @property
    def fields(self) -> str:
        return "" if self.is_of_members else shapes.fields_of(self.shape)

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.fields


class CompleteList(NamedTuple, Generic[T]):
    """A list as it was at one moment.

    `unreadable` of its objects could not be understood; `skipped` are the ids of those that have one.
    `total` is how many Plane sent, with those and with the ones that are left out on purpose.
    """

    items: tuple[T, ...]
    unreadable: int = 0
    total: int = 0
    skipped: frozenset[str] = frozenset()


class ListRows(Generic[T]):
    """The rows of the pages read so far: understood, or `skipped` (by id, with the reason)."""

    def __init__(self, wanted: ListResource[T]) -> None:
        self.items: list[T] = []
        self.skipped: list[tuple[str | None, str]] = []
        self.count = 0
        self.total: int | None = None
        self._wanted = wanted
        self._ids: set[str] = set()
        self._has_duplicate = False

    async def add(self, page: Page) -> bool:
        """Add a page. False: the pages do not fit together, and reading on makes no sense.

        They do not when an id comes twice, or more rows than the total. Nor when the total falls: an issue
        that was read is gone then, the first of the next page moves up and is missed, and the count still
        equals the new total.
        """
        for start in range(0, len(page.rows), ROWS_AT_ONCE):
            for raw in page.rows[start : start + ROWS_AT_ONCE]:
                self._add_row(raw)
            await asyncio.sleep(0)
        before, self.total = self.total, page.total
        if page.total is None:
            return not self._has_duplicate
        fell = before is not None and page.total < before
        return not (self._has_duplicate or fell or self.count > page.total)

    def _add_row(self, raw: object) -> None:
        row = shapes.row(raw, self._wanted.shape)
        id_ = decode.row_id(row)
        self.count += 1
        if id_ is not None:
            self._has_duplicate |= id_ in self._ids
            self._ids.add(id_)
        try:
            item = self._wanted.read(decode.as_row(row))
        except shapes.Unreadable as error:
            self.skipped.append((id_, str(error)))
        else:
            self.items += [] if item is None else [item]

    def complete(self) -> CompleteList[T]:
        """Return what was read. A bad object is logged by its id; BadAnswer is raised when all are bad."""
        if len(self.skipped) == self.count > 1:
            reason = f"none of {self.count} objects can be understood: {self.skipped[0][1]}"
            raise BadAnswer(self._wanted.what, reason)
        for id_, reason in self.skipped:
            log.warning("%s: skipped %s: %s", self._wanted.what, id_ or "one without an id", reason)
        skipped = frozenset(id_ for id_, _ in self.skipped if id_)
        return CompleteList(tuple(self.items), len(self.skipped), self.count, skipped)


class _SmallerPages(Exception):
    """Pages of the size that was asked for are too large; a smaller size was noted."""


class _PageResult(NamedTuple):
    """What a page says, once its rows are added. `fits`: to the pages before it."""

    fits: bool
    is_empty: bool
    more: bool
    next_cursor: str
    total: int | None


class ListReader:
    """Reads lists. `get` returns the body of an answer and raises PlaneError."""

    def __init__(self, get: Get, traits: PlaneTraits) -> None:
        self._get = get
        self._traits = traits

    async def all(self, wanted: ListResource[T]) -> ListRows[T] | None:
        """Read the rows of all pages; None when the pages shifted meanwhile."""
        return await self._in_fitting_pages(lambda: self._walk(wanted))

    async def newest(
        self, wanted: ListResource[T], max_rows: int, is_enough: Callable[[ListRows[T]], bool]
    ) -> ListRows[T] | None:
        """Read the rows of one page of at most `max_rows`, or of larger pages until they are enough."""

        async def read() -> ListRows[T] | None:
            rows = ListRows(wanted)
            page, _ = await self._first_page(wanted, rows, max_rows)
            if not page.fits:
                return None
            return rows if not page.more or is_enough(rows) else await self._walk(wanted, is_enough)

        return await self._in_fitting_pages(read)

    async def _in_fitting_pages(self, read: Callable[[], Awaitable[R]]) -> R:
        """Read again from the start while pages are too large: their size halves each time."""
        while True:
            try:
                return await read()
            except _SmallerPages:
                continue

    async def _walk(
        self, wanted: ListResource[T], is_enough: Callable[[ListRows[T]], bool] = lambda _: False
    ) -> ListRows[T] | None:
        """Read the rows of all pages, or until they are enough; None when the pages shifted meanwhile."""
        rows = ListRows(wanted)
        cursors: set[str] = set()
        page, request = await self._first_page(wanted, rows, MAX_PAGE_ROWS)
        while page.fits:
            if page.more and is_enough(rows):
                return rows
            if not page.more:
                return rows if page.total in (None, rows.count) else None
            # `more` alone ends a walk: Plane always sends a next cursor. A server that never says so must not
            # keep us reading without end.
            if page.is_empty or page.next_cursor in cursors or len(cursors) >= MAX_PAGES:
                raise BadAnswer(wanted.what, "its pages have no end")
            cursors.add(page.next_cursor)
            # A Plane may have lowered the size that was asked for.
            request = request._replace(size=_size_in(page.next_cursor) or request.size)
            page = await self._page(wanted, rows, request, page.next_cursor)
        return None

    async def _first_page(
        self, wanted: ListResource[T], rows: ListRows[T], max_rows: int
    ) -> tuple[_PageResult, ListRequest]:
        """Read the first page: `max_rows`, or the most that Plane allows. Return how the next are read, too.

        No size (0) is asked for where Plane sends a bare list.
        """
        traits = self._traits
        questions = [] if wanted.is_of_members else [wanted.fields]
        if questions and max_rows > DEFAULT_PAGE_ROWS:
            questions.insert(0, "per_page")
        async with AsyncExitStack() as stack:
            for question in questions:
                await stack.enter_async_context(traits.first(question))
            most = min(max_rows, traits.per_page, traits.sizes.get(wanted.key, max_rows))
            request = traits.request(wanted.fields, 0 if wanted.is_of_members else most)
            try:
                page = await self._page(wanted, rows, request)
            except ParametersRefused as refusal:
                page, request = await self._differently(wanted, rows, request, refusal)
            except PlaneError as error:
                if traits.takes_large or request.size <= DEFAULT_PAGE_ROWS or not _may_mean_size(error):
                    raise
                request = request._replace(size=DEFAULT_PAGE_ROWS)
                page = await self._page(wanted, rows, request)
                traits.per_page = DEFAULT_PAGE_ROWS
            traits.takes_large |= request.size > DEFAULT_PAGE_ROWS
            traits.refused.discard(wanted.key)
            if page.more and MIN_PAGE_ROWS <= rows.count < request.size:
                # Plane sends fewer rows than were asked for, and does not say that it does.
                is_new = traits.per_page == MAX_PAGE_ROWS
                traits.per_page = min(traits.per_page, rows.count)
                # Where its cursor still counts in pages of that size, the rows between would be missed.
                if is_new and _size_in(page.next_cursor) == request.size:
                    raise _SmallerPages
            return page, request

    async def _differently(
        self, wanted: ListResource[T], rows: ListRows[T], request: ListRequest, refusal: ParametersRefused
    ) -> tuple[_PageResult, ListRequest]:
        """Ask again for a first page that was refused: a smaller one, one without named fields, any page.

        No words say for sure what is refused; what Plane takes instead is remembered. Raises the refusal
        when Plane takes nothing: such a list is asked for only once the next time.
        """
        size, refused = request.size, [request]
        allowed = refusal.allowed if refusal.allowed and refusal.allowed < size else 0
        smaller = request._replace(size=allowed or min(size, DEFAULT_PAGE_ROWS))
        for other in (smaller, ListRequest(smaller.size, is_named=False), ListRequest(0, is_named=False)):
            if other in refused or wanted.key in self._traits.refused:
                continue
            try:
                page = await self._page(wanted, rows, other)
            except ParametersRefused:
                refused.append(other)
                continue
            taken = other._replace(size=other.size or _size_in(page.next_cursor) or DEFAULT_PAGE_ROWS)
            self._traits.learn(refused, taken, wanted.fields)
            return page, taken
        self._traits.refused.add(wanted.key)
        raise refusal

    async def _page(
        self, wanted: ListResource[T], rows: ListRows[T], request: ListRequest, cursor: str = ""
    ) -> _PageResult:
        """Read one page and add its rows. Raises _SmallerPages where a smaller page may be read."""
        parameters = {
            **({"fields": wanted.fields} if request.is_named else {}),
            **wanted.more,
            **({"cursor": cursor} if cursor else {}),
            **({"per_page": str(request.size)} if request.size else {}),
        }
        turn = LargeResponseTurn(self._traits.large)
        try:
            body = await self._get(wanted.path, parameters, wanted.what, turn)
            page = _page_of(body, wanted)
            # The turn is held until the rows are objects: body and rows together take the most memory.
            del body
            fits = await rows.add(page)
            return _PageResult(fits, not page.rows, page.more, page.next_cursor, page.total)
        except ResponseTooLarge:
            sizes = self._traits.sizes
            smaller = min(request.size, sizes.get(wanted.key, request.size)) // 2
            if not smaller:
                raise
            sizes[wanted.key] = smaller
            raise _SmallerPages from None
        finally:
            turn.end()


def _may_mean_size(error: PlaneError) -> bool:
    """Return whether a gateway may say with it that a page is too large. Plane itself says 400."""
    if isinstance(error, NotPlane | BadAnswer):
        return error.status > 0
    return isinstance(error, NoAccess | NotFound) and not isinstance(error, NoSuchPath)


def _page_of(body: bytes, wanted: ListResource[T]) -> Page:
    try:
        page = shapes.page(body)
        if wanted.is_of_members and not page.rows:
            raise shapes.Unreadable("it is empty")
    except shapes.Unreadable as error:
        reason = f"the answer is not a page of a list ({shorten(str(error))})"
        raise BadAnswer(wanted.what, reason) from None
    except ValueError:
        raise BadAnswer(wanted.what, "the answer is cut off, or not JSON") from None
    return page


def _size_in(cursor: str) -> int | None:
    """Return the page size with which a cursor (`100:1:0`) begins."""
    size = re.match(r"([0-9]{1,4}):", cursor)
    return int(size[1]) if size and 0 < int(size[1]) <= MAX_PAGE_ROWS else None
