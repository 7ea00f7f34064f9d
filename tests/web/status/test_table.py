"""Tables of the status page: which rows are shown, in which order."""

import pytest
from msgspec.structs import replace

from icsfeed.web.status.table import PAGE_ROWS, Column, ColumnHeader, Table, TableRequest

PEOPLE: Table[tuple[str, int | None]] = Table(
    columns=(
        Column("name", lambda row: row[0].casefold()),
        Column("age", lambda row: row[1], largest_first=True),
    ),
    filters={"adult": lambda row: (row[1] or 0) >= 18},
    text=lambda row: row[0],
)
ROWS = (("Ben", 7), ("anna", None), ("Carl Straße", 42), ("Dora", 18))


def names(**asked: object) -> str:
    return " ".join(name.split()[0] for name, _ in PEOPLE.page(ROWS, replace(TableRequest(), **asked)).rows)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", "Ben anna Carl Dora"),
        ("name", "anna Ben Carl Dora"),
        ("-name", "Dora Carl Ben anna"),
        ("age", "Ben Dora Carl anna"),
        ("-age", "Carl Dora Ben anna"),
        ("unknown", "Ben anna Carl Dora"),
    ],
)
def test_rows_are_sorted_by_a_column_and_those_without_a_value_are_last(sort: str, order: str) -> None:
    assert names(sort=sort) == order


@pytest.mark.parametrize(
    ("search", "found"),
    [("an", "anna"), ("CARL", "Carl"), ("strasse car", "Carl"), (" ", names()), ("x", "")],
)
def test_a_search_finds_rows_with_all_its_words(search: str, found: str) -> None:
    assert names(search=search) == found


def test_a_filter_and_a_search_go_together() -> None:
    assert names(only="adult") == "Carl Dora"
    assert names(only="adult", search="d") == "Dora"
    assert names(only="unknown") == names()


def test_a_header_asks_for_the_order_that_is_wanted_first_then_for_the_other() -> None:
    def headers(sort: str) -> tuple[ColumnHeader, ...]:
        return PEOPLE.page(ROWS, TableRequest(sort=sort)).headers

    assert headers("") == (ColumnHeader("name", "name", None), ColumnHeader("age", "-age", None))
    assert headers("name") == (ColumnHeader("name", "-name", "ascending"), ColumnHeader("age", "-age", None))
    assert headers("-age")[1] == ColumnHeader("age", "age", "descending")
    assert headers("age")[1] == ColumnHeader("age", "-age", "ascending")


@pytest.mark.parametrize(
    ("rows", "skip", "first", "last", "before", "after"),
    [
        (0, 0, 0, 0, None, None),
        (0, 50, 0, 0, None, None),
        (3, 0, 1, 3, None, None),
        (PAGE_ROWS, PAGE_ROWS, 1, PAGE_ROWS, None, None),
        (250, 0, 1, 100, None, 100),
        (250, 100, 101, 200, 0, 200),
        (250, 200, 201, 250, 100, None),
        (250, 900, 201, 250, 100, None),
        (250, 30, 31, 130, 0, 130),
    ],
)
def test_rows_come_a_page_at_a_time(
    rows: int, skip: int, first: int, last: int, before: int | None, after: int | None
) -> None:
    page = PEOPLE.page([(str(number), number) for number in range(rows)], TableRequest(skip=skip))
    assert (page.first, page.last, page.previous, page.next) == (first, last, before, after)
    assert [number for _, number in page.rows] == list(range(max(first - 1, 0), last))
    assert (page.total, page.found) == (rows, rows)


def test_a_page_says_how_many_rows_there_are_and_were_found() -> None:
    page = PEOPLE.page(ROWS, TableRequest(search="an"))
    assert (page.total, page.found, page.filters) == (4, 1, ("adult",))
