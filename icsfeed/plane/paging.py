"""Plane's lists, page by page: in pages as large as Plane allows and as fit into memory."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from icsfeed.errors import BadAnswer
from icsfeed.http import shorten
from icsfeed.plane import decode, shapes
from icsfeed.plane.fetch import LargeResponseTurn, PageTooLarge, ResponseTooLarge
from icsfeed.plane.shapes import IdRow, Page

T = TypeVar("T")
R = TypeVar("R")
Get = Callable[[str, Mapping[str, str], str, LargeResponseTurn | None], Awaitable[bytes]]

MAX_PAGE_ROWS = 1000
"""Plane's own limit since v0.23. A Plane that allows less says so."""
MAX_PAGES = 1000
"""Of one list: more than that has no end."""
ROWS_AT_ONCE = 10
"""Rows that are decoded before other tasks run: a page may hold 1000 long descriptions."""

log = logging.getLogger("icsfeed.plane")


class PlaneTraits(Struct):
    """What a Plane has shown of itself: the page size it allows, and how it spells the issues' path.

    `sizes`: rows in a page of a list (by path and fields) whose larger pages were too large. `large` is
    held while a large answer is in memory.
    """

    per_page: int = MAX_PAGE_ROWS
    issues: str = "work-items"
    sizes: dict[tuple[str, str], int] = {}
    large: asyncio.Lock = field(default_factory=asyncio.Lock)


class ListResource(NamedTuple, Generic[T]):
    """One of Plane's lists, how its rows are read, and the parameters besides their fields."""

    path: str
    what: str
    read: Callable[[decode.Row], T | None]
    shape: type[IdRow]
    more: Mapping[str, str]

    @property
    def is_bare(self) -> bool:
        """Whether Plane sends a bare array, in one piece and with all fields: members, in all versions."""
        return self.path.endswith("/members/")

    @property
    def parameters(self) -> Mapping[str, str]:
        return self.more if self.is_bare else {"fields": shapes.fields_of(self.shape), **self.more}

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.parameters.get("fields", "")


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
        page, size = await self._first_page(wanted, rows, MAX_PAGE_ROWS)
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
            # The cursor (`100:1:0`) begins with its page size: a Plane may have lowered the one asked for.
            lowered = re.match(r"([0-9]{1,4}):", page.next_cursor)
            size = int(lowered[1]) if lowered and 0 < int(lowered[1]) <= MAX_PAGE_ROWS else size
            page = await self._page(wanted, rows, size, page.next_cursor)
        return None

    async def _first_page(
        self, wanted: ListResource[T], rows: ListRows[T], max_rows: int
    ) -> tuple[_PageResult, int]:
        """Read the first page; return it and its size: `max_rows`, or the most that Plane allows.

        No size (0) is asked for where Plane sends a bare list.
        """
        traits = self._traits
        size = 0 if wanted.is_bare else min(max_rows, traits.per_page, traits.sizes.get(wanted.key, max_rows))
        while True:
            try:
                return await self._page(wanted, rows, size), size
            except PageTooLarge as error:
                if error.allowed >= size:
                    raise
                size = error.allowed
                traits.per_page = min(size, traits.per_page)

    async def _page(
        self, wanted: ListResource[T], rows: ListRows[T], size: int, cursor: str = ""
    ) -> _PageResult:
        """Read one page and add its rows. Raises _SmallerPages where a smaller page may be read."""
        parameters = {
            **wanted.parameters,
            **({"cursor": cursor} if cursor else {}),
            **({"per_page": str(size)} if size else {}),
        }
        turn = LargeResponseTurn(self._traits.large)
        try:
            body = await self._get(wanted.path, parameters, wanted.what, turn)
            page = _page_of(body, wanted.what)
            # The turn is held until the rows are objects: body and rows together take the most memory.
            del body
            fits = await rows.add(page)
            return _PageResult(fits, not page.rows, page.more, page.next_cursor, page.total)
        except ResponseTooLarge:
            sizes = self._traits.sizes
            smaller = min(size, sizes.get(wanted.key, size)) // 2
            if not smaller:
                raise
            sizes[wanted.key] = smaller
            raise _SmallerPages from None
        finally:
            turn.end()


def _page_of(body: bytes, what: str) -> Page:
    try:
        return shapes.page(body)
    except shapes.Unreadable as error:
        raise BadAnswer(what, f"the answer is not a page of a list ({shorten(str(error))})") from None
    except ValueError:
        raise BadAnswer(what, "the answer is cut off, or not JSON") from None
