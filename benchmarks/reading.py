"""CPU of reading issues: from Plane's bytes to issues with their text; compared with decoding alone."""

from collections.abc import Iterator, Sequence

import corpus
from measure import Row, in_turns
from msgspec import Struct, json

from icsfeed.demo.sample import FILLED
from icsfeed.model import Issue
from icsfeed.plane import decode, shapes

PAGE = 1_000
"""Issues in a page, the most that Plane sends."""


class TypedPage(Struct):
    """A page as msgspec decodes it in one step."""

    results: list[shapes.IssueRow]


def measure(issues: int) -> list[Row]:
    """Return the row of reading, and that of an issue, for which there is no baseline."""
    project, bodies = corpus.snapshot(1).project, list(_pages(issues))
    decoder = json.Decoder(TypedPage)

    def ours() -> Sequence[Issue | None]:
        rows = (shapes.row(raw, shapes.IssueRow) for body in bodies for raw in shapes.page(body).rows)
        return [decode.issue(row, project) for row in rows]

    found = in_turns({"ours": ours, "typed": lambda: [decoder.decode(body) for body in bodies]})
    times = {name: seconds * 1e6 / issues for name, seconds in found.items()}
    us = f"{times['ours']:.3g} us", f"{times['typed']:.3g} us"
    value = round(times["ours"] / times["typed"], 1)
    return [Row("read an issue of 2 KB of HTML", "msgspec, typed rows", *us, value, "x the cost", "max", 15)]


def _pages(issues: int) -> Iterator[bytes]:
    (held,) = (one for one in corpus.plane_data(issues).projects.values() if one.row["identifier"] == FILLED)
    names, rows = shapes.fields_of(shapes.IssueRow).split(","), list(held.issues.values())
    for start in range(0, len(rows), PAGE):
        results = [{name: row.get(name) for name in names} for row in rows[start : start + PAGE]]
        yield json.encode({"results": results, "next_cursor": "", "next_page_results": False})
