"""Pagination and ordering as in Plane v1.3.1: `per_page`, `cursor`, `order_by`, and how they are refused."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from msgspec import Struct

from icsfeed.demo.rows import Row
from icsfeed.demo.wire import bad_request, went_wrong

MAX_PER_PAGE = 1000
"""Since v0.23."""
RELATIONS = {"created_by", "updated_by", "project", "workspace", "parent", "state", "estimate_point", "type"}


class PageWindow(Struct, frozen=True):
    """A requested page: `size` rows, `number` counted from 0."""

    size: int
    number: int = 0


def page_window(params: Mapping[str, str], maximum: int = MAX_PER_PAGE) -> PageWindow:
    """Read `per_page` (default: the maximum) and `cursor`; raise a refusal with 400 or 500 as Plane does."""
    try:
        size = int(params.get("per_page", maximum))
    except ValueError:
        raise bad_request({"detail": "Invalid per_page parameter."}) from None
    if size > maximum:
        raise bad_request({"detail": f"Invalid per_page value. Cannot exceed {maximum}."})
    if size <= 0:
        raise went_wrong()
    try:
        # `value:offset:is_prev`. Plane parses all three, and uses only the offset: the number of the page.
        value, offset, is_prev = params.get("cursor", "0:0:0").split(":")
        _, number, _ = float(value), int(offset), int(is_prev)
    except ValueError:
        raise bad_request({"detail": "Invalid cursor parameter."}) from None
    if number < 0:
        raise bad_request({"detail": "Error in parsing"})
    return PageWindow(size, number)


def page(rows: Sequence[Row], window: PageWindow) -> dict[str, Any]:
    """Return the requested page of `rows`, which is empty past the end."""
    size, number = window.size, window.number
    results = rows[number * size : (number + 1) * size]
    return {
        "grouped_by": None,
        "sub_grouped_by": None,
        "total_count": len(rows),
        "next_cursor": f"{size}:{number + 1}:0",
        "prev_cursor": f"{size}:{number - 1}:1",
        "next_page_results": (number + 1) * size < len(rows),
        "prev_page_results": number > 0,
        "count": len(results),
        "total_pages": ceil(len(rows) / size),
        "total_results": len(rows),
        "extra_stats": None,
        "results": results,
    }


def ordered(rows: Sequence[Row], order_by: str) -> list[Row]:
    """Return rows sorted by a field, with `-` descending; ties keep their order, nulls are the largest value.

    A path into a relation (`created_by__password`) is accepted and sorts nothing; an unknown field is a 500.
    """
    name = order_by.removeprefix("-")
    if name.partition("__")[0] in RELATIONS and "__" in name:
        return list(rows)
    if rows and name not in rows[0]:
        raise went_wrong()
    present = sorted(
        (row for row in rows if row[name] is not None),
        # A whole second must sort before its microseconds: no Z at its end.
        key=lambda row: row[name].removesuffix("Z") if isinstance(row[name], str) else row[name],
        reverse=order_by.startswith("-"),
    )
    absent = [row for row in rows if row[name] is None]
    return absent + present if order_by.startswith("-") else present + absent
