"""Sync tokens: a client that follows them holds what the calendar holds, whatever happens in between."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from icsfeed.feeds.rendered import RenderedComponent
from icsfeed.web.dav.resources import CalendarObject, DavCalendar
from icsfeed.web.dav.sync_log import MAX_NAMES, MAX_STATES, SyncLog, advanced, changes_since

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STATES = st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 2)), min_size=1, max_size=12)


def calendar(state: dict[str, int]) -> DavCalendar:
    objects = {
        name: CalendarObject(name, f'"{version}"', RenderedComponent("", NOW, b"", b""))
        for name, version in state.items()
    }
    return DavCalendar("feed", "VEVENT", "Feed", objects=objects, token=repr(sorted(state.items())))


@given(STATES, st.data())
def test_what_a_token_leads_to_is_the_calendar(states: list[dict[str, int]], data: st.DataObject) -> None:
    log, after = SyncLog(), []
    for state in states:
        log = msgpack.decode(msgpack.encode(advanced(log, calendar(state))), type=SyncLog)  # as in the store
        after.append(state)
    start = data.draw(st.sampled_from(after))
    now = calendar(states[-1])
    changes = changes_since(log, calendar(start).token, now)
    assert changes is not None
    held = {name: version for name, version in start.items() if name not in changes.removed}
    held |= {name: states[-1][name] for name in changes.changed}
    assert held == states[-1]
    if start == states[-1]:
        assert not changes.changed
        assert not changes.removed


def test_the_log_is_bounded_and_forgets_the_oldest() -> None:
    log = SyncLog()
    for number in range(MAX_STATES + 10):
        log = advanced(log, calendar({"a": number}))
    assert len(log.states) == MAX_STATES
    assert changes_since(log, calendar({"a": 0}).token, calendar({"a": MAX_STATES + 9})) is None
    many = {str(number): 0 for number in range(MAX_NAMES + 1)}
    log = advanced(advanced(advanced(SyncLog(), calendar({})), calendar({"a": 1})), calendar(many))
    assert [state.token for state in log.states] == [calendar(many).token]


def test_the_same_state_changes_nothing() -> None:
    log = advanced(SyncLog(), calendar({"a": 1}))
    assert advanced(log, calendar({"a": 1})) is log
