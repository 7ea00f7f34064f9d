"""What the newest rows of a workspace, and their number, say of each of its projects."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from icsfeed.model import Issue
from icsfeed.plane.incremental import MAX_DELAY, IssueList, Rows, WorkspaceRow, WorkspaceRows, whole
from icsfeed.plane.workspace_changes import (
    MAX_SEEN,
    Baseline,
    baseline,
    changed,
    is_nothing_lost,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(seconds=30)
BACK_THEN = EARLIER - MAX_DELAY
FOREIGN = "x"
"""A project that is not read."""

Place = tuple[str, str, datetime]


def lists(**ids: str) -> dict[str, IssueList]:
    """The lists of projects, with an issue for each letter; all were edited `EARLIER`."""
    return {project: a_list(project, letters) for project, letters in ids.items()}


def a_list(project: str, letters: str, updated: datetime = EARLIER, skipped: str = "") -> IssueList:
    issues = tuple(Issue(id_, project, 1, id_, EARLIER, updated) for id_ in letters)
    return whole(Rows(issues, len(letters) + len(skipped), frozenset(skipped)), NOW)


def found(total: int, *rows: Place) -> WorkspaceRows:
    return WorkspaceRows(tuple(WorkspaceRow(*row) for row in rows), total)


KNOWN = lists(p="ab", q="cd")
THEN = baseline(found(4, ("a", "p", EARLIER), ("c", "q", EARLIER)), NOW, KNOWN, None)


def test_it_is_read_from_the_newest_row_on_and_a_little_before_it() -> None:
    assert THEN.since == EARLIER
    assert baseline(found(1, ("a", "p", NOW)), NOW, KNOWN, None).since == NOW - MAX_DELAY
    assert baseline(found(0), NOW, {}, None).since is None


SAME = (("a", "p", EARLIER), ("c", "q", EARLIER))
TOTALS: Mapping[str, tuple[WorkspaceRows, dict[str, IssueList], bool]] = {
    "nothing": (found(4, *SAME), KNOWN, True),
    "one edited": (found(4, ("a", "p", LATER)), KNOWN, True),
    "one added": (found(5, ("e", "p", LATER), *SAME), KNOWN, True),
    "one added where nothing is read": (found(5, ("e", FOREIGN, LATER), *SAME), KNOWN, True),
    "one added that was read since": (found(5, ("e", "p", LATER), *SAME), lists(p="abe", q="cd"), True),
    "one removed": (found(3, *SAME), KNOWN, False),
    "one removed and one added": (found(4, ("e", "p", LATER), *SAME), KNOWN, False),
    "one removed that was looked for since": (found(3, *SAME), lists(p="a", q="cd"), True),
    "another one removed": (found(2, *SAME), lists(p="a", q="cd"), False),
    "one came back with an old time": (found(5, *SAME), KNOWN, False),
    "one moved": (found(4, ("b", "q", LATER), *SAME), KNOWN, True),
    "one moved, and read since": (found(4, ("b", "q", LATER), *SAME), lists(p="a", q="bcd"), True),
    "one moved without a new time, and read since": (found(4, *SAME), lists(p="a", q="bcd"), True),
    "one was archived and is back": (found(4, ("b", "p", LATER), *SAME), lists(p="a", q="cd"), True),
    "one edited that nobody has seen yet": (found(4, ("e", FOREIGN, LATER), *SAME), KNOWN, False),
}


@pytest.mark.parametrize(("rows", "now", "expected"), TOTALS.values(), ids=TOTALS)
def test_the_total_shows_whether_something_was_lost(
    rows: WorkspaceRows, now: dict[str, IssueList], expected: bool
) -> None:
    # What was not read again is the same list.
    now = {key: KNOWN[key] if now[key].ids == KNOWN[key].ids else now[key] for key in now}
    assert is_nothing_lost(THEN, rows, KNOWN, now) is expected


def test_an_issue_that_was_gone_and_is_back_does_not_hide_that_another_is_gone() -> None:
    """`b` was in the archive at the check, which the list before it did not show yet."""
    then = baseline(found(3, *SAME), NOW, KNOWN, None)
    rows = found(3, ("b", "p", LATER), *SAME)
    read = {"p": a_list("p", "a"), "q": KNOWN["q"]}
    assert not is_nothing_lost(then, rows, read, read)


def test_a_list_with_fewer_rows_than_the_projects_have_proves_nothing() -> None:
    then = baseline(found(3, *SAME), NOW, KNOWN, None)
    assert not is_nothing_lost(then, found(3, *SAME), KNOWN, KNOWN)


def test_an_edit_of_a_row_that_was_seen_before_is_no_addition() -> None:
    first = baseline(found(5, ("e", FOREIGN, EARLIER), *SAME), NOW, KNOWN, THEN)
    second = baseline(found(5, *SAME), NOW, KNOWN, first)
    assert is_nothing_lost(second, found(5, ("e", FOREIGN, LATER)), KNOWN, KNOWN)


def test_not_all_ids_are_remembered_without_end() -> None:
    many = frozenset(str(number) for number in range(MAX_SEEN + 1))
    after = baseline(found(5, ("e", FOREIGN, LATER)), NOW, KNOWN, replace(THEN, seen=many))
    assert after.seen == {"e"}
    assert THEN.seen == set(), "those of projects that are read are known from their lists"


CHANGED: Mapping[str, tuple[WorkspaceRows, set[str]]] = {
    "nothing": (found(4, *SAME), set()),
    "one edited": (found(4, ("a", "p", LATER), ("c", "q", EARLIER)), {"p"}),
    "one added": (found(5, ("e", "q", LATER), *SAME), {"q"}),
    "one where nothing is read": (found(5, ("e", FOREIGN, LATER), *SAME), set()),
    "one moved": (found(4, ("b", "q", LATER), *SAME), {"p", "q"}),
    "one is as it was in a backup": (
        found(4, *((id_, "q", EARLIER) for id_ in "cd"), ("b", "p", EARLIER), ("a", "p", BACK_THEN)),
        {"p"},
    ),
    "the newest is gone": (found(3, ("d", "q", BACK_THEN)), {"p", "q"}),
    "there are none": (found(0), set()),
}


@pytest.mark.parametrize(("rows", "expected"), CHANGED.values(), ids=CHANGED)
def test_the_rows_name_the_projects_that_changed(rows: WorkspaceRows, expected: set[str]) -> None:
    assert changed(THEN, rows, KNOWN) == expected


def test_a_row_that_its_project_does_not_have_is_looked_for_once() -> None:
    draft = ("e", "p", LATER)
    assert changed(THEN, found(5, draft, *SAME), KNOWN) == {"p"}
    then = baseline(found(5, draft, *SAME), LATER, KNOWN, THEN)
    assert changed(then, found(5, draft, *SAME), KNOWN) == set()
    assert changed(then, found(5, ("e", "p", LATER + MAX_DELAY), *SAME), KNOWN) == {"p"}, "it was edited"


def test_so_is_a_row_that_nobody_understands() -> None:
    known = {"p": a_list("p", "a", skipped="b")}
    then = Baseline(found(2, ("b", "p", EARLIER), ("a", "p", EARLIER)), NOW, known)
    assert changed(then, then.found, known) == set()
    assert changed(then, found(2, ("b", "p", LATER), ("a", "p", EARLIER)), known) == {"p"}
    assert is_nothing_lost(then, found(2, ("b", "p", LATER)), known, known)
    then = Baseline(found(2, ("a", "p", EARLIER)), NOW, known)
    assert is_nothing_lost(then, found(2, ("b", "p", LATER)), known, known)
