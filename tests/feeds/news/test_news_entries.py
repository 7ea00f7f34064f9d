"""The entries of a feed on a day: what is due and overdue, their words and ids, what each `details` tells."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import making as m
import pytest
from msgspec.structs import replace

from icsfeed.config.schema import Details, DoneMode, Feed
from icsfeed.feeds.calendar import Day
from icsfeed.feeds.news.changes import MAX_AGE, NEVER, NewsEvent
from icsfeed.feeds.news.entries import (
    MAX_ENTRIES,
    NewsEntry,
    entries_of,
    news_items,
    news_of,
    news_urn,
    tombstone_news,
)
from icsfeed.feeds.query import Query, parse_query
from icsfeed.l10n.words import words
from icsfeed.model import Period, Project, Snapshot

TODAY, DAY = m.TODAY, Day(m.TODAY, m.BERLIN)
YESTERDAY = TODAY - timedelta(days=1)
OPS = Snapshot(m.OPS, m.by_id([m.issue(7, id="o7", project="ops", due=TODAY)]), m.by_id(m.STATES), {}, {}, {})
PROP = Feed(project="PROP")


def entries(
    feed: Feed,
    *snapshots: Snapshot,
    day: Day = DAY,
    query: Query | None = None,
    changes: Iterable[NewsEvent] = (),
) -> tuple[NewsEntry, ...]:
    made = m.calendar(feed, m.material(*snapshots), query, stale_since=day.stale_since)
    return entries_of(made, news_items(made, feed), changes, feed, day)


def titles(*args: Snapshot, **more: Feed) -> list[str]:
    return [entry.title for entry in entries(more.get("feed", PROP), *args)]


def event(uid: str, kind: str, at: datetime, due: date = TODAY, was: date | None = None) -> NewsEvent:
    return NewsEvent(uid, kind, at, due, at.isoformat(), was)  # type: ignore[arg-type]


def test_due_today_and_overdue_since_their_midnights_in_the_zone() -> None:
    snapshot = m.snapshot(
        m.issue(1, due=TODAY), m.issue(2, due=YESTERDAY), m.issue(3, due=TODAY + timedelta(days=1))
    )
    late, due = entries(PROP, snapshot)
    assert late.title == "Overdue (due 2026-11-20): [2] Issue 2"
    assert due.title == "Due 2026-11-21: [1] Issue 1"
    assert {late.at, due.at} == {datetime(2026, 11, 20, 23, 0, tzinfo=UTC)}
    assert (due.url, due.due) == (f"{m.WEB}/projects/prop/issues/i1", TODAY)
    assert due.text.startswith("PROP-1 · Todo\n")


def test_an_entry_is_the_same_on_every_later_day() -> None:
    snapshot = m.snapshot(m.issue(1, due=YESTERDAY))
    first, second = (
        entries(PROP, snapshot, day=Day(TODAY + timedelta(days=days), m.BERLIN)) for days in (0, 9)
    )
    assert first == second
    assert entries(PROP, snapshot, day=Day(YESTERDAY, m.BERLIN))[0].id != first[0].id


def test_what_is_done_or_long_overdue_is_no_news() -> None:
    done = m.issue(1, due=TODAY, state="completed")
    assert titles(m.snapshot(done, m.issue(2, due=TODAY - MAX_AGE - timedelta(days=1)))) == []
    assert len(titles(m.snapshot(m.issue(2, due=TODAY - MAX_AGE)))) == 1


@pytest.mark.parametrize(
    ("zone", "today", "midnight"),
    [
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 24, 22, 0, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 10, 26), datetime(2026, 10, 25, 23, 0, tzinfo=UTC)),
        # Clocks go from 0:00 to 1:00: the day begins at 1:00.
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, 0, tzinfo=UTC)),
        ("Pacific/Kiritimati", date(2026, 11, 21), datetime(2026, 11, 20, 10, 0, tzinfo=UTC)),
    ],
)
def test_days_begin_where_the_zone_says(zone: str, today: date, midnight: datetime) -> None:
    (entry,) = entries(PROP, m.snapshot(m.issue(1, due=today)), day=Day(today, ZoneInfo(zone)))
    assert entry.at == midnight


def test_changes_in_words_the_newest_first() -> None:
    uid = "plane-issue-i1@calplanebot"
    noon = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    changes = [
        event(uid, kind, noon + timedelta(minutes=n), m.DUE, YESTERDAY)
        for n, kind in enumerate(("new", "moved", "completed", "cancelled", "closed", "reopened"))
    ]
    shown = entries(PROP, m.snapshot(m.issue(1)), changes=changes)
    assert [entry.title for entry in shown] == [
        "Reopened (due 2026-12-01): [1] Issue 1",
        "Done or cancelled: [1] Issue 1",
        "Cancelled: [1] Issue 1",
        "Done: [1] Issue 1",
        "Moved from 2026-11-20 to 2026-12-01: [1] Issue 1",
        "New (due 2026-12-01): [1] Issue 1",
    ]
    assert len({entry.id for entry in shown}) == 6


def test_a_change_that_says_it_already_stands_for_the_day() -> None:
    uid, snapshot = "plane-issue-i1@calplanebot", m.snapshot(m.issue(1, due=TODAY))
    after = event(uid, "moved", DAY.midnight + timedelta(hours=9), was=YESTERDAY)
    before = event(uid, "moved", DAY.midnight - timedelta(hours=9), was=YESTERDAY)
    assert [entry.kind for entry in entries(PROP, snapshot, changes=[after])] == ["moved"]
    assert [entry.kind for entry in entries(PROP, snapshot, changes=[before])] == ["due", "moved"]


def test_changes_of_what_is_not_in_the_feed_and_old_ones_are_not_shown() -> None:
    uid = "plane-issue-i1@calplanebot"
    old = event(uid, "moved", DAY.midnight - MAX_AGE - timedelta(days=1))
    gone = event("plane-issue-gone@calplanebot", "moved", DAY.midnight)
    assert entries(PROP, m.snapshot(m.issue(1)), changes=[old, gone]) == ()


def test_a_query_leaves_entries_out() -> None:
    snapshot = m.snapshot(m.issue(1, due=TODAY, priority="high"), m.issue(2, due=TODAY))
    shown = entries(PROP, snapshot, query=parse_query([("priority", "high")]))
    assert [entry.title for entry in shown] == ["Due 2026-11-21: [1] Issue 1"]
    tasks = entries(PROP, snapshot, query=parse_query([("component", "vtodo"), ("priority", "high")]))
    assert tasks == shown


def test_there_are_so_many_at_most() -> None:
    issues = [m.issue(n, due=TODAY) for n in range(MAX_ENTRIES + 5)]
    assert len(entries(PROP, m.snapshot(*issues))) == MAX_ENTRIES


def test_feeds_of_several_projects_show_keys() -> None:
    shown = titles(m.snapshot(m.issue(1, due=TODAY)), OPS, feed=Feed(everything=True))
    assert shown == ["Due 2026-11-21: [PROP-1] Issue 1", "Due 2026-11-21: [OPS-7] Issue 7"]


def test_periods_end_and_milestones_and_releases_are_due() -> None:
    def dated(kind: str, first: date, **more: object) -> Period:
        return m.period(kind.title(), id=kind, kind=kind, start=first, end=TODAY, **more)

    of_project = [dated("cycle", YESTERDAY), dated("module", YESTERDAY), dated("milestone", TODAY)]
    feed = Feed(everything=True, include=("cycles", "modules", "milestones", "releases"))
    view = replace(
        m.material(m.snapshot(periods=of_project)),
        periods=(
            dated("release", TODAY, project="", status="unreleased"),
            dated("release", TODAY, project="", status="released"),
        ),
    )
    made = m.calendar(feed, view)
    shown = {entry.title for entry in entries_of(made, news_items(made, feed), (), feed, DAY)}
    assert {"Ends 2026-11-21: Cycle", "Ends 2026-11-21: Module", "Due 2026-11-21: ◆ Milestone"} <= shown
    for status, closed in (("unreleased", ""), ("released", "completed"), ("cancelled", "cancelled")):
        release = replace(view, periods=(dated("release", TODAY, project="", status=status),))
        (item,) = news_items(m.calendar(feed, replace(release, snapshots=(), linked=())), feed).values()
        assert item.closed == closed
        assert item.state.revised == m.UPDATED


def test_a_period_that_ended_is_not_called_overdue() -> None:
    feed = Feed(project="PROP", include=("cycles",))
    ended = m.period(start=YESTERDAY - timedelta(days=5), end=YESTERDAY)
    assert titles(m.snapshot(periods=[ended]), feed=feed) == ["Ends 2026-11-20: Sprint 7"]


@pytest.mark.parametrize(
    ("details", "done", "closed"),
    [
        ("full", "cancelled", "completed"),
        ("full", "keep", "completed"),
        ("brief", "check", "completed"),
        ("title", "cancelled", "closed"),
        ("title", "check", "closed"),
        ("title", "keep", ""),
        ("busy", "cancelled", ""),
    ],
)
def test_news_tell_what_is_done_only_where_the_calendar_does(
    details: Details, done: DoneMode, closed: str
) -> None:
    feed = Feed(project="PROP", details=details, done=done)
    for query in (None, parse_query([("component", "vtodo")])):
        made = m.calendar(feed, m.material(m.snapshot(m.issue(1, state="completed", due=YESTERDAY))), query)
        (item,) = news_items(made, feed).values()
        assert item.closed == closed
        shown = entries_of(made, {item.uid: item}, (), feed, DAY)
        # Where nobody knows whether it is done, nobody may call it overdue.
        assert [entry.kind for entry in shown] == ([] if closed else ["due"])


def test_a_busy_feed_says_only_that_something_is_due() -> None:
    feed = Feed(project="PROP", details="busy")
    busy = m.issue(1, due=TODAY, name="Secret", labels=("l-bug",), text="Secret")
    (entry,) = entries(feed, m.snapshot(busy))
    assert (entry.title, entry.text) == ("Due 2026-11-21: Busy", "Busy")
    assert (entry.url, entry.tags) == (None, ())
    (open_entry,) = entries(PROP, m.snapshot(busy))
    assert entry.id != open_entry.id


def test_details_of_title_show_the_title_and_the_link() -> None:
    (entry,) = entries(
        Feed(project="PROP", details="title"), m.snapshot(m.issue(1, due=TODAY, text="Secret"))
    )
    assert entry.text == "[1] Issue 1"
    assert entry.url is not None


def test_in_german() -> None:
    (entry,) = entries(replace(PROP, language="de"), m.snapshot(m.issue(1, due=YESTERDAY)))
    assert entry.title == "Überfällig (fällig am 20.11.2026): [1] Issue 1"


def test_a_feed_that_cannot_be_updated_says_so_once() -> None:
    since = datetime(2026, 11, 18, 9, 0, 0, 500, tzinfo=UTC)
    first, second = (
        entries(PROP, m.snapshot(), day=Day(TODAY + timedelta(days=days), m.BERLIN, since)) for days in (0, 3)
    )
    assert first == second
    assert first[0].title == "⚠ Not updated since 2026-11-18"
    assert first[0].at == datetime(2026, 11, 19, 9, 0, tzinfo=UTC)
    assert first[0].id == news_urn("stale", "2026-11-18T09:00:00+00:00")
    assert first[0].text == words("en").say("stale why")
    assert entries(replace(PROP, stale_notice=False), m.snapshot(), day=Day(TODAY, m.BERLIN, since)) == ()


def test_tasks_without_a_date_are_no_news() -> None:
    feed = Feed(project="PROP", component="vtodo", undated=True)
    assert entries(feed, m.snapshot(m.issue(1, due=None))) == ()


def test_news_are_as_new_as_their_newest_entry_and_never_older_than_before() -> None:
    made = m.calendar(PROP, m.material(m.snapshot(m.issue(1, due=TODAY))))
    shown = entries_of(made, news_items(made, PROP), (), PROP, DAY)
    assert news_of("urn", made, shown, NEVER).updated == DAY.midnight
    later = DAY.midnight + timedelta(hours=1)
    assert news_of("urn", made, shown, later).updated == later
    assert news_of("urn", made, (), NEVER).updated == NEVER
    assert (news_of("urn", made, shown, NEVER).entries, news_of("urn", made, (), NEVER).description) == (
        shown,
        "",
    )
    assert news_of("urn", made, shown, NEVER).digest != news_of("urn", made, (), NEVER).digest


def test_a_revoked_link_has_one_entry_that_says_so() -> None:
    news = tombstone_news("property", Feed(title="Property"), "de", DAY)
    (entry,) = news.entries
    assert (news.title, news.description, news.language) == ("Property", "", "de")
    assert (entry.title, entry.at) == ("Dieser Kalender-Link wurde widerrufen", news.updated)
    assert entry.text == words("de").say("revoked why")
    assert news.updated == DAY.midnight
    earlier = tombstone_news("property", Feed(), "en", Day(YESTERDAY, m.BERLIN))
    assert (earlier.id, earlier.entries[0].id) == (news.id, entry.id), "else readers show both again"
    assert earlier.title == "property"
    other = tombstone_news("other", Feed(), "en", DAY)
    assert len({news.id, entry.id, other.id, other.entries[0].id}) == 4
    assert (news.id, entry.id) == (
        "urn:uuid:d6168c60-617f-5be9-9ae6-1a0c2ac1caa2",
        "urn:uuid:e6c77dbf-540c-5853-ac81-63edd0692a43",
    )


def test_ids_are_fixed() -> None:
    """Readers would show every entry again."""
    assert (
        news_urn("plane-issue-i1@calplanebot", "due", "2026-11-21")
        == "urn:uuid:bf390222-bf3a-5fa4-916d-6fe4497cb0f6"
    )
    assert news_urn("a", "b") != news_urn("a\nb", "") != news_urn("ab")


def test_other_projects_are_other_ones() -> None:
    other = Project(id="p9", key="P9", name="Nine")
    assert entries(Feed(everything=True), replace(m.snapshot(), project=other)) == ()
