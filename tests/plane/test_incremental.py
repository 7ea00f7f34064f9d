"""Reading what changed gives what reading everything would give, or says that it does not know."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.model import Issue
from icsfeed.plane.incremental import MAX_DELAY, IssueList, Rows, is_outdated, merged, pruned, since, whole

Step = tuple[str, int, int]

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


def test_nothing_went_away_where_all_ids_are_known() -> None:
    found = pruned(KNOWN, rows(issue(3), total=3), KNOWN.ids, NOW)
    assert found == KNOWN


def test_a_list_says_when_and_what_was_read() -> None:
    fields = replace(rows(issue(1), skipped=("id-2",), nameless=1), fields="a,b")
    found = whole(fields, NOW)
    assert (found.read_at, found.whole_at, found.fields, found.total) == (NOW, NOW, "a,b", 3)
    later = merged(
        whole(replace(fields, nameless=0, total=2), NOW), replace(rows(total=2), fields="a,b"), NOW
    )
    assert later is not None
    assert later.fields == "a,b"


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


def test_rows_and_ids_of_two_moments_are_not_put_together() -> None:
    ids = frozenset({"id-1", "id-3"})
    assert pruned(KNOWN, rows(issue(3), total=2), ids, NOW) is not None
    assert pruned(KNOWN, rows(issue(3), total=3), ids, NOW) is None, "one came after the ids were read"
    assert pruned(KNOWN, rows(issue(4, NOW), total=2), ids, NOW) is None, "and another went"


def test_a_row_that_is_older_than_it_was_is_outdated() -> None:
    known = whole(rows(issue(1), issue(2), issue(3, NOW)), NOW)
    assert not is_outdated(known, rows(issue(3, NOW), issue(2), total=3))
    assert not is_outdated(known, rows(issue(2, NOW), issue(3, NOW), issue(1), total=3)), (
        "an edit goes forward"
    )
    older = EARLIER - timedelta(days=1)
    assert is_outdated(known, rows(issue(3, NOW), issue(2, older), total=3)), "anywhere in the page"
    assert is_outdated(known, rows(issue(1), issue(2), total=3)), "and one that is not where it was"


def test_a_list_of_which_other_fields_were_read_is_outdated() -> None:
    known = whole(rows(issue(1)), NOW)
    recent = rows(issue(1), total=1)
    assert not is_outdated(known, recent)
    assert is_outdated(known, replace(recent, fields="id,name,type_id"))
    assert is_outdated(replace(known, fields="id"), recent)


def test_one_that_went_away_or_became_unreadable_did_not_go_back() -> None:
    known = whole(rows(issue(1), issue(2), issue(3, NOW)), NOW)
    assert not is_outdated(known, rows(issue(1), issue(2), total=2), frozenset({"id-1", "id-2"}))
    assert is_outdated(known, rows(issue(1), issue(2), total=2), frozenset({"id-1", "id-3"}))
    assert not is_outdated(known, rows(issue(1), total=3, skipped=("id-3",)))
    assert not is_outdated(known, rows(total=0)), "no row says nothing"


def test_news_is_looked_for_from_the_newest_on_and_a_little_before_what_is_recent() -> None:
    assert since(KNOWN) == EARLIER
    assert since(whole(rows(issue(1, NOW)), NOW)) == NOW - MAX_DELAY
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


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "edit", "bulk", "delete", "archive", "restore", "break", "mend"]),
        st.integers(0, 9),
        st.integers(0, 2),
    ),
    max_size=6,
)


class Model:
    """A project as Plane has it: its rows, those that are archived, and those that nobody understands."""

    def __init__(self) -> None:
        self.listed = {f"id-{number}": issue(number) for number in range(4)}
        self.archived: dict[str, Issue] = {}
        self.broken: set[str] = set()

    def change(self, what: str, number: int, at: datetime) -> None:
        key = f"id-{number}"
        if what == "create" and key not in self.archived:
            self.listed.setdefault(key, issue(number, at))
        elif what == "bulk":
            for each in list(self.listed)[number:]:
                self._save(each, at)
        elif what == "restore" and key in self.archived:
            self.listed[key] = replace(self.archived.pop(key), updated=at)
        elif key in self.listed:
            self._save(key, at)
            if what in ("break", "mend"):
                (self.broken.add if what == "break" else self.broken.discard)(key)
            elif what in ("delete", "archive"):
                row = self.listed.pop(key)
                self.broken.discard(key)
                if what == "archive":
                    self.archived[key] = row

    def _save(self, key: str, at: datetime) -> None:
        row = self.listed[key]
        self.listed[key] = replace(row, name=f"{row.name}!", updated=at)

    def rows(self, start: datetime | None = None) -> Rows:
        found = [row for row in self.listed.values() if start is None or row.updated >= start]
        understood = [row for row in found if row.id not in self.broken]
        skipped = tuple(row.id for row in found if row.id in self.broken)
        return rows(*understood, total=len(self.listed), skipped=skipped)


@given(st.lists(st.tuples(STEPS, STEPS), max_size=6))
def test_it_is_what_a_whole_read_gives_or_asks_for_one(rounds: list[tuple[list[Step], list[Step]]]) -> None:
    """Also when Plane changes between the reading of the ids and that of the rows (the second steps)."""
    plane, now = Model(), NOW
    known = whole(plane.rows(), now)
    for steps, meanwhile in rounds:
        _play(plane, steps, now)
        start = since(known)
        found = merged(known, plane.rows(start), now) if start else None
        if start and not found:
            ids = plane.rows().ids
            _play(plane, meanwhile, now + timedelta(seconds=5))
            found = pruned(known, plane.rows(start), ids, now)
        expected = whole(plane.rows(), now)
        if found is not None:
            assert (found.items, found.skipped, found.total) == (
                expected.items,
                expected.skipped,
                expected.total,
            )
        known = found or expected
        now += timedelta(minutes=3)
        again = merged(known, plane.rows(since(known)), now)
        assert again is None or again.items is known.items, "unchanged: the very same mapping"


def _play(plane: Model, steps: list[Step], now: datetime) -> None:
    for what, number, moment in steps:
        plane.change(what, number, now + timedelta(seconds=moment))
