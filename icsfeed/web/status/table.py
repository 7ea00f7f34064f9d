"""Tables of the status page: search, filters, order, and some rows at a time, all as the address says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

PAGE_ROWS = 100

Row = TypeVar("Row")


class Column(Struct, Generic[Row], frozen=True):
    """A column: its name in addresses, and what its rows are sorted by (None: at the end).

    `largest_first`: the order of a first click on its header.
    """

    name: str
    value: Callable[[Row], Any]
    largest_first: bool = False


class ColumnHeader(Struct, frozen=True):
    """The header of a column. `sort`: the order that a click on it asks for.

    `order`: how the rows are sorted by it, in the words of aria-sort; None: they are not.
    """

    name: str
    sort: str
    order: str | None


class TableRequest(Struct, frozen=True):
    """What is asked of a table. `sort`: a column's name, with `-` for the largest first."""

    search: str = ""
    only: str = ""
    sort: str = ""
    skip: int = 0


class TablePage(Struct, Generic[Row], frozen=True):
    """Some rows of a table. `total`: how many it has, `found`: how many are asked for.

    `first` and `last` count from 1; `previous` and `next`: the `skip` of these pages, where there are any.
    """

    headers: tuple[ColumnHeader, ...]
    filters: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int
    found: int
    first: int
    last: int
    previous: int | None
    next: int | None


class Table(Struct, Generic[Row], frozen=True):
    """What a table can do. `text`: what is searched in a row."""

    columns: tuple[Column[Row], ...]
    filters: Mapping[str, Callable[[Row], bool]]
    text: Callable[[Row], str]

    def page(self, rows: Iterable[Row], asked: TableRequest) -> TablePage[Row]:
        """Return the rows that are asked for. What the table does not know is ignored."""
        everything = tuple(rows)
        found = self._sorted(self._found(everything, asked), asked.sort)
        # A page beyond the end, as after a search, is the last one.
        last_start = max(len(found) - 1, 0) // PAGE_ROWS * PAGE_ROWS
        start = min(asked.skip, last_start)
        end = min(start + PAGE_ROWS, len(found))
        return TablePage(
            headers=tuple(_header(column, asked.sort) for column in self.columns),
            filters=tuple(self.filters),
            rows=tuple(found[start:end]),
            total=len(everything),
            found=len(found),
            first=start + 1 if found else 0,
            last=end,
            previous=max(start - PAGE_ROWS, 0) if start else None,
            next=end if end < len(found) else None,
        )

    def _found(self, rows: Sequence[Row], asked: TableRequest) -> Sequence[Row]:
        if (is_asked := self.filters.get(asked.only)) is not None:
            rows = [row for row in rows if is_asked(row)]
        if words := asked.search.casefold().split():
            texts = ((row, self.text(row).casefold()) for row in rows)
            rows = [row for row, text in texts if all(word in text for word in words)]
        return rows

    def _sorted(self, rows: Sequence[Row], sort: str) -> Sequence[Row]:
        column = next((column for column in self.columns if column.name == sort.removeprefix("-")), None)
        if column is None:
            return rows
        valued = [(column.value(row), row) for row in rows]
        known = [pair for pair in valued if pair[0] is not None]
        known.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
        return [row for _, row in known] + [row for value, row in valued if value is None]


def _header(column: Column[Any], sort: str) -> ColumnHeader:
    ascending, descending = column.name, f"-{column.name}"
    first, second = (descending, ascending) if column.largest_first else (ascending, descending)
    order = {ascending: "ascending", descending: "descending"}.get(sort)
    return ColumnHeader(column.name, second if sort == first else first, order)
