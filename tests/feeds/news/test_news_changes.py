"""What has changed between two states of a feed; what only looks so; what the log keeps."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from icsfeed.feeds.news.changes import (
    MAX_AGE,
    MAX_CHANGES,
    NEVER,
    Closed,
    ItemState,
    NewsLog,
    advanced,
    published,
)
from icsfeed.store.store import decode, encode

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST, SECOND = date(2026, 12, 1), date(2026, 12, 8)


def state(due: date = FIRST, closed: Closed = "", revised: datetime = NOW) -> ItemState:
    return ItemState(due, closed, revised)


def at(
    minutes: int, states: Mapping[str, ItemState], log: NewsLog | None = None, settings: str = "s"
) -> NewsLog:
    """The log of a feed that is read from Plane, and asked for, this many minutes after ten."""
    moment = NOW + minutes * MINUTE
    return advanced(log, states, settings, moment, moment)


def kinds(log: NewsLog) -> list[tuple[str, str]]:
    return [(change.uid, change.kind) for change in log.changes]


def test_the_first_state_is_no_news() -> None:
    assert at(0, {"a": state()}).changes == ()


def test_what_appears_and_was_revised_is_new() -> None:
    log = at(5, {"a": state(), "b": state(revised=NOW + 3 * MINUTE)}, at(0, {"a": state()}))
    assert kinds(log) == [("b", "new")]
    assert log.changes[0].at == NOW + 5 * MINUTE


def test_what_comes_back_unchanged_or_is_done_already_is_not_new() -> None:
    log = at(0, {"a": state(), "b": state(revised=NOW - timedelta(days=2))})
    log = at(60, {"a": state()}, log)
    done = state(closed="completed", revised=NOW + 200 * MINUTE)
    assert at(240, {"a": state(), "b": state(revised=NOW - timedelta(days=2)), "c": done}, log).changes == ()


def test_a_due_date_that_moved_forth_and_back_is_two_changes_with_ids_of_their_own() -> None:
    log = at(0, {"a": state()})
    log = at(1, {"a": state(SECOND, revised=NOW + MINUTE)}, log)
    log = at(2, {"a": state(FIRST, revised=NOW + 2 * MINUTE)}, log)
    log = at(3, {"a": state(SECOND, revised=NOW + 3 * MINUTE)}, log)
    assert [(change.was, change.due) for change in log.changes] == [
        (FIRST, SECOND),
        (SECOND, FIRST),
        (FIRST, SECOND),
    ]
    assert len({change.key for change in log.changes}) == 3


def test_done_and_reopened() -> None:
    log = at(0, {"a": state()})
    log = at(1, {"a": state(closed="completed", revised=NOW + MINUTE)}, log)
    log = at(2, {"a": state(revised=NOW + 2 * MINUTE)}, log)
    log = at(3, {"a": state(closed="cancelled", revised=NOW + 3 * MINUTE)}, log)
    assert kinds(log) == [("a", "completed"), ("a", "reopened"), ("a", "cancelled")]


def test_what_is_done_does_not_move() -> None:
    log = at(0, {"a": state(closed="closed")})
    assert at(1, {"a": state(SECOND, "closed", NOW + MINUTE)}, log).changes == ()


def test_what_leaves_the_feed_leaves_the_log() -> None:
    log = at(1, {"a": state(SECOND, revised=NOW + MINUTE)}, at(0, {"a": state()}))
    assert log.changes
    assert at(2, {}, log).changes == ()


def test_another_configuration_begins_a_new_state() -> None:
    log = at(1, {"a": state(SECOND, revised=NOW + MINUTE)}, at(0, {"a": state()}))
    later = at(2, {"a": state(SECOND), "b": state(revised=NOW + 2 * MINUTE)}, log, settings="other")
    assert later.changes == ()
    assert later.states.keys() == {"a", "b"}


def test_a_replica_that_has_read_less_changes_nothing() -> None:
    log = at(5, {"a": state(SECOND, revised=NOW + MINUTE)}, at(0, {"a": state()}))
    assert at(4, {"a": state()}, log) is log
    # It has read one project later, and that of this issue earlier.
    other = at(6, {"a": state()}, log)
    assert (other.changes, other.states) == (log.changes, log.states)


def test_changes_never_have_the_time_of_others_before_them() -> None:
    log = at(0, {"a": state()})
    for second in range(1, 4):  # within one second, or by a clock that was set back
        states = {"a": state(FIRST + timedelta(days=second), revised=NOW + second * MINUTE)}
        log = advanced(log, states, "s", NOW + second * MINUTE, NOW)
    assert [change.at for change in log.changes] == [NOW + timedelta(seconds=n) for n in range(3)]


def test_old_changes_go_and_only_so_many_stay() -> None:
    log = at(1, {"a": state(SECOND, revised=NOW + MINUTE)}, at(0, {"a": state()}))
    after = NOW + MAX_AGE + 2 * MINUTE
    assert advanced(log, log.states, "s", after, after).changes == ()
    many = {f"{n:04}": state(revised=NOW + MINUTE) for n in range(MAX_CHANGES + 10)}
    assert len(at(2, many, at(0, {})).changes) == MAX_CHANGES


def test_the_time_of_the_news_grows_with_each_difference_and_only_then() -> None:
    log = published(at(0, {}), "one", NEVER, NOW)
    assert (log.changed, log.updated) == (NEVER, NEVER)
    newest = NOW + MINUTE
    log = published(log, "two", newest, newest)
    assert (log.changed, log.updated) == (newest, newest)
    assert published(log, "two", newest, NOW + 9 * MINUTE) == log
    gone = published(log, "three", NEVER, newest)
    assert (gone.changed, gone.updated) == (newest + timedelta(seconds=1), newest)


def test_a_log_is_stored_and_read_again() -> None:
    log = at(1, {"a": state(SECOND, revised=NOW + MINUTE)}, at(0, {"a": state()}))
    assert decode(encode(log), NewsLog) == log
