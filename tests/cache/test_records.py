"""What is stored of a project comes back as it was, each issue stored once."""

from datetime import UTC, datetime

from fake_plane import issue as made
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from icsfeed.cache.records import BATCH_ISSUES, ProjectRecord, from_record, to_record
from icsfeed.model import Issue, Period, Project, Snapshot
from icsfeed.plane.incremental import IssueList
from icsfeed.store.store import decode, encode

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ids = st.sets(st.integers(0, 20))


def issues(numbers: set[int], **changes: object) -> dict[str, Issue]:
    found = (replace(made("PROP", number), **changes) for number in sorted(numbers))
    return {one.id: one for one in found}


def snapshot(items: dict[str, Issue]) -> Snapshot:
    return Snapshot(Project("id-prop", "PROP", "Prop"), items, {}, {}, {}, {}, touched={"PROP-1": NOW})


def listed(items: dict[str, Issue]) -> IssueList:
    return IssueList(items, frozenset({"x"}), 1, len(items), NOW, NOW)


@given(ids, ids, ids, st.sampled_from(["Name", "half a pair \ud83d"]))
def test_what_is_stored_comes_back(common: set[int], done: set[int], gone: set[int], name: str) -> None:
    shared = issues(common, name=name)
    shown = snapshot({**shared, **issues(done, completed=NOW)})
    known = listed({**shared, **issues(gone)})
    assert from_record(decode(encode(to_record(shown, known)), ProjectRecord)) == (shown, known)


def test_each_issue_is_stored_once_in_batches() -> None:
    shared = issues(set(range(BATCH_ISSUES * 2 + 1)))
    found = to_record(snapshot(shared), listed(shared))
    assert (len(found.batches), len(found.snapshot.issues), len(found.issues.items)) == (3, 0, 0)


def test_what_comes_back_shares_its_issues() -> None:
    shared = issues({1, 2})
    shown, known = from_record(to_record(snapshot(shared), listed(shared)))
    assert all(shown.issues[id_] is known.items[id_] for id_ in shared)


@given(ids, ids, ids, ids)
def test_issues_that_are_known_come_back_as_the_same_objects(
    common: set[int], done: set[int], known: set[int], changed: set[int]
) -> None:
    shared = issues(common)
    record = to_record(snapshot({**shared, **issues(done, completed=NOW)}), listed(shared))
    ours = {**issues(known), **issues(changed & known, name="Another name")}
    seen = {**ours, **issues(known & done, completed=NOW)}
    restored, listing = from_record(decode(encode(record), ProjectRecord), ours, seen)
    assert (restored, listing) == from_record(record)
    for id_, issue in listing.items.items():
        assert (issue is ours.get(id_)) is (issue == ours.get(id_))
    for id_, issue in restored.issues.items():
        assert issue != seen.get(id_) or issue is seen.get(id_) or issue is ours.get(id_)


def test_milestones_are_stored_where_older_versions_do_not_read() -> None:
    shared = issues({1})
    milestone = Period("m1", "milestone", "id-prop", "Autumn", NOW, NOW, issues=frozenset({"PROP-1"}))
    cycle = Period("c1", "cycle", "id-prop", "Sprint", NOW, NOW)
    shown = replace(snapshot(shared), periods={"m1": milestone, "c1": cycle})
    record = to_record(shown, listed(shared))
    assert record.snapshot.periods == {"c1": cycle}
    assert from_record(decode(encode(record), ProjectRecord)) == (shown, listed(shared))
