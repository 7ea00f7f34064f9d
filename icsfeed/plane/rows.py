"""Rows of Plane's lists, page by page: do they fit together, and what could be understood of them?"""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from icsfeed.errors import BadAnswer
from icsfeed.plane import decode as wire
from icsfeed.plane.json import IdRow, Page, Unreadable, row

T = TypeVar("T")

AT_ONCE = 10
"""Rows that are read before others have their turn: a page may hold 1000 long descriptions."""

log = logging.getLogger("icsfeed.plane")


class CompleteList(NamedTuple, Generic[T]):
    """A list as it was at one moment.

    `unreadable` of its objects could not be understood; `skipped` are the ids of those that have one.
    `total` is how many Plane sent, with those and with the ones that are left out on purpose.
    """

    items: tuple[T, ...]
    unreadable: int = 0
    total: int = 0
    skipped: frozenset[str] = frozenset()


class Walk(Generic[T]):
    """What the pages of one walk held so far, understood or `skipped` (by id, with the reason).

    `shape`: the fields that `read` looks at.
    """

    def __init__(self, read: Callable[[wire.Row], T | None], shape: type[IdRow]) -> None:
        self.items: list[T] = []
        self.skipped: list[tuple[str | None, str]] = []
        self.count = 0
        self._read = read
        self._shape = shape
        self._ids: set[str] = set()
        self._twice = False
        self.total: int | None = None

    async def add(self, page: Page) -> bool:
        """Take a page in. False: the pages do not fit together, and reading on makes no sense.

        A total that falls is a sign of its own: when an issue that was read is removed, the one that
        moves up to the page before is missed, and the count still equals the new total.
        """
        for start in range(0, len(page.rows), AT_ONCE):
            for raw in page.rows[start : start + AT_ONCE]:
                self._take(raw)
            await asyncio.sleep(0)
        before, self.total = self.total, page.total
        if page.total is None:
            return not self._twice
        fell = before is not None and page.total < before
        return not (self._twice or fell or self.count > page.total)

    def _take(self, raw: object) -> None:
        data = row(raw, self._shape)
        found = wire.row_id(data)
        self.count += 1
        if found is not None:
            self._twice |= found in self._ids
            self._ids.add(found)
        try:
            item = self._read(wire.as_row(data))
        except Unreadable as error:
            self.skipped.append((found, str(error)))
        else:
            self.items += [] if item is None else [item]


def understood(rows: Walk[T], what: str) -> CompleteList[T]:
    """What was read. A bad object is logged by its id; when all are bad, it is Plane that is."""
    if len(rows.skipped) == rows.count > 1:
        raise BadAnswer(what, f"none of {rows.count} objects can be understood: {rows.skipped[0][1]}")
    for found, reason in rows.skipped:
        log.warning("%s: skipped %s: %s", what, found or "one without an id", reason)
    skipped = frozenset(found for found, _ in rows.skipped if found)
    return CompleteList(tuple(rows.items), len(rows.skipped), rows.count, skipped)
