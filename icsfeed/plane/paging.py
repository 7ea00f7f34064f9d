"""Plane's lists, page by page: in pages as large as Plane allows and as may be held in memory."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from icsfeed.errors import BadAnswer
from icsfeed.http import shorten
from icsfeed.plane import decode as wire
from icsfeed.plane import json as shapes
from icsfeed.plane.fetch import LargeResponseTurn, PageTooLarge, ResponseTooLarge
from icsfeed.plane.json import IdRow, Page
from icsfeed.plane.rows import Walk

T = TypeVar("T")
R = TypeVar("R")
Get = Callable[[str, Mapping[str, str], str, LargeResponseTurn | None], Awaitable[bytes]]

LARGEST_PAGE = 1000
"""Rows in a page: Plane's own limit since v0.23. A Plane that allows less says so."""
PAGES_LIMIT = 1000
"""Pages of one list: more than that has no end."""


class PlaneTraits(Struct):
    """What a Plane has shown of itself: the page size it allows, and how it spells the issues' path.

    `sizes`: the size of pages of a list (by path and fields) whose larger ones hold too much. `large` is
    held by who has a large answer in memory.
    """

    per_page: int = LARGEST_PAGE
    issues: str = "work-items"
    sizes: dict[tuple[str, str], int] = {}
    large: asyncio.Lock = field(default_factory=asyncio.Lock)


class _SmallerPages(Exception):
    """Pages of the size that was asked for hold too much; a smaller size was noted."""


class _PageResult(NamedTuple):
    """What a page says of itself, once its rows are added. `fits`: to the pages before it."""

    fits: bool
    is_empty: bool
    more: bool
    next_cursor: str
    total: int | None


class ListResource(NamedTuple, Generic[T]):
    """One of Plane's lists, how its rows are read, and what is asked for besides their fields."""

    path: str
    what: str
    read: Callable[[wire.Row], T | None]
    shape: type[IdRow]
    more: Mapping[str, str]

    @property
    def is_bare(self) -> bool:
        """Whether it comes as a bare list, in one piece and with all its fields."""
        return self.path.endswith("/members/")

    @property
    def parameters(self) -> Mapping[str, str]:
        return self.more if self.is_bare else {"fields": shapes.fields_of(self.shape), **self.more}

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.parameters.get("fields", "")

    def walk(self) -> Walk[T]:
        """Where the rows of its pages go."""
        return Walk(self.read, self.shape)


class ListReader:
    """Reads lists. `get` gives the body of an answer and raises PlaneError."""

    def __init__(self, get: Get, learned: PlaneTraits) -> None:
        self._get = get
        self._learned = learned

    async def all(self, wanted: ListResource[T]) -> Walk[T] | None:
        """The rows of all pages; None when the pages shifted meanwhile."""
        return await self._in_fitting_pages(lambda: self._walk(wanted))

    async def newest(
        self, wanted: ListResource[T], most: int, enough: Callable[[Walk[T]], bool]
    ) -> Walk[T] | None:
        """The rows of one page of at most so many, or of larger ones until they are `enough`."""
        return await self._in_fitting_pages(lambda: self._newest(wanted, most, enough))

    async def _newest(
        self, wanted: ListResource[T], most: int, enough: Callable[[Walk[T]], bool]
    ) -> Walk[T] | None:
        rows = wanted.walk()
        page, _ = await self._first_page(wanted, rows, most)
        if not page.fits:
            return None
        return rows if not page.more or enough(rows) else await self._walk(wanted, enough)

    async def _in_fitting_pages(self, read: Callable[[], Awaitable[R]]) -> R:
        """Read again from the start while pages hold too much: their size halves each time."""
        while True:
            try:
                return await read()
            except _SmallerPages:
                continue

    async def _walk(
        self, wanted: ListResource[T], enough: Callable[[Walk[T]], bool] = lambda _: False
    ) -> Walk[T] | None:
        """The rows of all pages, or until they are `enough`; None when the pages shifted meanwhile."""
        rows = wanted.walk()
        cursors: set[str] = set()
        page, size = await self._first_page(wanted, rows, LARGEST_PAGE)
        while page.fits:
            if page.more and enough(rows):
                return rows
            if not page.more:
                return rows if page.total in (None, rows.count) else None
            if page.is_empty or page.next_cursor in cursors or len(cursors) >= PAGES_LIMIT:
                raise BadAnswer(wanted.what, "its pages have no end")
            cursors.add(page.next_cursor)
            size = _page_size(page.next_cursor) or size
            page = await self._page(wanted, rows, size, page.next_cursor)
        return None

    async def _first_page(self, wanted: ListResource[T], rows: Walk[T], most: int) -> tuple[_PageResult, int]:
        """The first page and the size it has: the one wanted, or the largest that Plane allows, remembered.

        Members come as a bare list in all versions: no size (0) is asked for.
        """
        learned = self._learned
        size = 0 if wanted.is_bare else min(most, learned.per_page, learned.sizes.get(wanted.key, most))
        while True:
            try:
                return await self._page(wanted, rows, size), size
            except PageTooLarge as error:
                if error.allowed >= size:
                    raise
                size = error.allowed
                learned.per_page = min(size, learned.per_page)

    async def _page(self, wanted: ListResource[T], rows: Walk[T], size: int, cursor: str = "") -> _PageResult:
        """Read one page and add its rows. Raises _SmallerPages where a page of another size may be read."""
        asked = {**wanted.parameters, **({"cursor": cursor} if cursor else {})}
        turn = LargeResponseTurn(self._learned.large)
        try:
            body = await self._get(
                wanted.path, {**asked, "per_page": str(size)} if size else asked, wanted.what, turn
            )
            page = _page_of(body, wanted.what)
            del body
            fits = await rows.add(page)
            return _PageResult(fits, not page.rows, page.more, page.next_cursor, page.total)
        except ResponseTooLarge:
            sizes = self._learned.sizes
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


def _page_size(cursor: str) -> int | None:
    """The page size that a cursor is for (`100:1:0`): a Plane may have lowered the one asked for."""
    size = re.match(r"([0-9]{1,4}):", cursor)
    return int(size[1]) if size and 0 < int(size[1]) <= LARGEST_PAGE else None
