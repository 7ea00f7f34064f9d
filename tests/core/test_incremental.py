"""Reading what changed gives what reading everything would give, or says that it does not know."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.core.incremental import LATE, IssueList, Rows, merged, pruned, since, whole
from icsfeed.core.model import Issue

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(days=1)


def issue(number: int, updated: datetime = EARLIER, name: str = "") -> Issue:
    return Issue(f"id-{number}", "p", number, name or f"Issue {number}", EARLIER, updated)


def rows(*issues: Issue, total: int | None = None, skipped: tuple[str, ...] = (), nameless: int = 0) -> Rows:
    count = len(issues) + len(skipped) + nameless
    return Rows(issues, count if total is None else total, frozenset(skipped), nameless)


KNOWN = whole(rows(issue(1), issue(2), issue(3)), NOW)


def test_nothing_new_keeps_the_very_mapping() -> None:
    found = merged(KNOWN, rows(issue(3), total=3), NOW)
    assert found is not None
    assert found.items is KNOWN.items


def test_an_edit_and_an_addition_are_merged_in() -> None:
    found = merged(KNOWN, rows(issue(4, NOW), issue(2, NOW, "new"), total=4), NOW)
    assert found is not None
    assert {key: value.name for key, value in found.items.items()} == {
        "id-1": "Issue 1",
        "id-2": "new",
        "id-3": "Issue 3",
        "id-4": "Issue 4",
    }
    assert (found.total, found.read_at, found.whole_at) == (4, NOW, KNOWN.whole_at)


def test_a_total_that_does_not_fit_is_not_believed() -> None:
    assert merged(KNOWN, rows(issue(3), total=2), NOW) is None
    assert merged(KNOWN, rows(issue(4, NOW), total=3), NOW) is None, "one came and another went"


def test_ids_tell_which_went_away() -> None:
    found = pruned(KNOWN, rows(issue(4, NOW), total=3), frozenset({"id-1", "id-3", "id-4"}), NOW)
    assert found is not None
    assert (set(found.items), found.total) == ({"id-1", "id-3", "id-4"}, 3)


def test_an_id_that_was_never_read_asks_for_all() -> None:
    assert pruned(KNOWN, rows(issue(3), total=4), frozenset({"id-1", "id-2", "id-3", "id-9"}), NOW) is None


def test_an_issue_that_became_unreadable_is_left_out_and_comes_back() -> None:
    broken = merged(KNOWN, rows(total=3, skipped=("id-2",)), NOW)
    assert broken is not None
    assert (set(broken.items), broken.unreadable) == ({"id-1", "id-3"}, 1)
    mended = merged(broken, rows(issue(2, NOW), total=3), NOW)
    assert mended is not None
    assert (set(mended.items), mended.unreadable) == ({"id-1", "id-2", "id-3"}, 0)


def test_rows_without_an_id_prove_nothing() -> None:
    nameless = rows(issue(3), total=3, nameless=1)
    assert nameless.unreadable == 1
    assert merged(KNOWN, nameless, NOW) is None
    assert pruned(KNOWN, nameless, frozenset(KNOWN.items), NOW) is None


def test_news_is_looked_for_from_the_newest_on_and_a_little_before_what_is_recent() -> None:
    assert since(KNOWN) == EARLIER
    assert since(whole(rows(issue(1, NOW)), NOW)) == NOW - LATE
    assert since(whole(rows(), NOW)) is None


CHANGES = st.lists(
    st.tuples(st.sampled_from(["create", "edit", "delete"]), st.integers(0, 7), st.integers(0, 3)), max_size=8
)


def _changed(
    issues: Mapping[str, Issue], changes: list[tuple[str, int, int]], now: datetime
) -> dict[str, Issue]:
    """Plane after these changes, each a moment after `now` (some in the same one)."""
    after = dict(issues)
    for what, number, moment in changes:
        key, at = f"id-{number}", now + timedelta(seconds=moment)
        if what == "delete":
            after.pop(key, None)
        elif what == "edit" and key in after:
            after[key] = replace(after[key], name=f"{after[key].name}!", updated=at)
        elif what == "create" and key not in after:
            after[key] = issue(number, at)
    return after


def _refreshed(known: IssueList, plane: Mapping[str, Issue], now: datetime) -> IssueList:
    """One refresh, as the workspace makes it."""
    start = since(known)
    if start is None:
        return whole(rows(*plane.values()), now)
    recent = rows(*(row for row in plane.values() if row.updated >= start), total=len(plane))
    found = merged(known, recent, now) or pruned(known, recent, frozenset(plane), now)
    return found or whole(rows(*plane.values()), now)


@given(st.lists(CHANGES, max_size=6))
def test_refreshing_gives_what_reading_everything_gives(rounds: list[list[tuple[str, int, int]]]) -> None:
    plane: dict[str, Issue] = {f"id-{number}": issue(number) for number in range(3)}
    now = NOW
    known = whole(rows(*plane.values()), now)
    for changes in rounds:
        plane = _changed(plane, changes, now)
        now += timedelta(minutes=2)
        known = _refreshed(known, plane, now)
        assert known.items == plane
        assert known.total == len(plane)
