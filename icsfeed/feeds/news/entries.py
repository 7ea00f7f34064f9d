"""The news of a feed: what became due, overdue or changed, the newest first. They tell no more than it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

from msgspec import Struct, json

from icsfeed.config.schema import Feed
from icsfeed.feeds.calendar import Calendar, Day
from icsfeed.feeds.mapping import issue_components, keyed_title, period_component, uid_of
from icsfeed.feeds.news.changes import MAX_AGE, Closed, EventKind, ItemState, NewsEvent
from icsfeed.feeds.query import shown_fields, tells_done
from icsfeed.ics.component import Component
from icsfeed.l10n.languages import Language
from icsfeed.l10n.words import words
from icsfeed.model import Issue, Period, Snapshot, StateGroup
from icsfeed.text import multi_line, one_line

MAX_ENTRIES = 100
_NAMESPACE = UUID("5f0f9fd0-6c1c-5d0e-9b43-6a4f2f3f1c11")
TITLES: Mapping[EventKind, str] = {
    "due": "news due",
    "ends": "news ends",
    "overdue": "news overdue",
    "new": "news new",
    "moved": "news moved",
    "completed": "news completed",
    "cancelled": "news cancelled",
    "closed": "news closed",
    "reopened": "news reopened",
}
"""Keys of our own words."""
_CLOSED: Mapping[StateGroup, Closed] = {"completed": "completed", "cancelled": "cancelled"}


class NewsItem(Struct, frozen=True, gc=False):
    """An item of a feed with a due date. `source`: what it is made of, and the snapshot of its project."""

    uid: str
    due: date
    closed: Closed
    source: tuple[Snapshot, Issue] | tuple[Snapshot | None, Period]

    @property
    def state(self) -> ItemState:
        """What changes are found in."""
        snapshot, item = self.source
        revised = snapshot.revised(item) if snapshot is not None else item.updated
        return ItemState(self.due, self.closed, revised)


class NewsEntry(Struct, frozen=True):
    """One entry. `id` is a URN, the same for ever; `text` is never empty, and may have several lines."""

    id: str
    kind: EventKind | None
    at: datetime
    title: str
    text: str
    due: date | None = None
    url: str | None = None
    tags: tuple[str, ...] = ()


class News(Struct, frozen=True):
    """The news of a feed. `updated`: when the newest entry, or one that was there before, happened."""

    id: str
    title: str
    description: str
    language: Language
    updated: datetime
    entries: tuple[NewsEntry, ...]

    @property
    def digest(self) -> str:
        """Equal for equal news, in every process."""
        return sha256(json.encode(self, order="deterministic")).hexdigest()


def news_urn(*parts: str) -> str:
    """Return the id of what these parts say, the same everywhere and for ever."""
    return uuid5(_NAMESPACE, "\n".join(parts)).urn


def news_items(calendar: Calendar, feed: Feed) -> Mapping[str, NewsItem]:
    """Return the items of a calendar that have a due date, by UID. `feed`: before a query has narrowed it."""
    style, closes, by_state = calendar.style, tells_done(feed), "state" in shown_fields(feed)

    def closed(snapshot: Snapshot, issue: Issue) -> Closed:
        closed = _CLOSED.get(snapshot.group_of(issue), "") if closes else ""
        return "closed" if closed and not by_state else closed

    issues = (
        NewsItem(uid_of("issue", issue.id, style), issue.due, closed(snapshot, issue), (snapshot, issue))
        for snapshot, issue in calendar.selection.issues
        if issue.due is not None
    )
    periods = (
        NewsItem(
            uid_of(period.kind, period.id, style),
            period.end,
            _closed_release(period, feed),
            (project, period),
        )
        for project, period in calendar.selection.periods
        if period.end is not None
    )
    return {item.uid: item for item in (*issues, *periods)}


def _closed_release(period: Period, feed: Feed) -> Closed:
    """Return how a release was closed, as far as the feed shows it; other periods are not."""
    released: Closed = "completed" if period.status == "released" else ""
    closed: Closed = "cancelled" if period.status == "cancelled" else released
    return closed if feed.details != "busy" else ""


def entries_of(
    calendar: Calendar, items: Mapping[str, NewsItem], changes: Iterable[NewsEvent], feed: Feed, day: Day
) -> tuple[NewsEntry, ...]:
    """Return the entries, the newest first: at most MAX_ENTRIES, none older than MAX_AGE.

    `items` are those of the calendar, `changes` those of the whole feed; `feed`: before a query has narrowed
    it. An item that is not in the calendar has no entry.
    """
    first = Day(day.today - MAX_AGE, day.zone).midnight
    changes = [change for change in changes if change.uid in items and change.at >= first]
    last = {change.uid: change.at for change in changes}
    events = [
        event
        for event in _events_of_days(items.values(), day, closes=tells_done(feed))
        # A change that came later has said it: moved to today, reopened after its due date.
        if event.uid not in last or last[event.uid] < event.at
    ]
    ordered = sorted([*events, *changes], key=lambda event: (event.due, event.uid, event.kind))
    ordered.sort(key=lambda event: event.at, reverse=True)
    keyed = (
        feed.details in ("full", "brief") and len({s.project.id for s, _ in calendar.selection.issues}) > 1
    )
    stale = tuple(_stale_entries(calendar, feed, day))
    shown = [_entry(event, items[event.uid], calendar, keyed=keyed) for event in ordered[:MAX_ENTRIES]]
    return tuple(sorted((*stale, *shown), key=lambda entry: entry.at, reverse=True)[:MAX_ENTRIES])


def _events_of_days(items: Iterable[NewsItem], day: Day, *, closes: bool) -> Iterator[NewsEvent]:
    """Give what the calendar alone says: due today, or overdue. `closes`: the feed shows what is done.

    Nothing is said of an item that is done, and that one was due is not said again once it is overdue.
    """
    earliest = day.today - MAX_AGE
    for item in items:
        if item.closed or not earliest <= item.due <= day.today:
            continue
        kind: EventKind
        source = item.source[1]
        after, kind = item.due, "due"
        if isinstance(source, Period):
            kind = "ends" if source.start != source.end else "due"
        elif closes and item.due < day.today:
            after, kind = item.due + timedelta(days=1), "overdue"
        yield NewsEvent(item.uid, kind, Day(after, day.zone).midnight, item.due, item.due.isoformat())


def _entry(event: NewsEvent, item: NewsItem, calendar: Calendar, *, keyed: bool) -> NewsEntry:
    """Return the entry of an event. `keyed`: the feed has several projects, and may show keys."""
    component = _component(item, calendar)
    local, title = words(calendar.style.language), component.summary
    snapshot, source = item.source
    if keyed and isinstance(source, Issue) and snapshot is not None:
        title = keyed_title(title, snapshot, source)
    due = local.say("date", day=event.due)
    was = local.say("date", day=event.was) if event.was else due
    return NewsEntry(
        id=news_urn(event.uid, event.kind, event.key),
        kind=event.kind,
        at=event.at,
        title=local.say(TITLES[event.kind], title=title, due=due, was=was),
        text=component.description or title,
        due=event.due,
        url=component.url,
        tags=component.categories,
    )


def _component(item: NewsItem, calendar: Calendar) -> Component:
    snapshot, source = item.source
    if isinstance(source, Period):
        return period_component(source, snapshot, calendar.style)
    assert snapshot is not None  # noqa: S101 - issues have one
    return issue_components(source, snapshot, calendar.style)[-1]


def _stale_entries(calendar: Calendar, feed: Feed, day: Day) -> Iterator[NewsEntry]:
    """Give the entry that Plane could not be read, as the calendar has an event for it."""
    if day.stale_since is None or feed.stale_notice is False:
        return
    local, since = words(calendar.style.language), day.stale_since.replace(microsecond=0)
    title = local.say("stale", date=local.say("date", day=since.astimezone(day.zone)))
    at = since + timedelta(seconds=feed.stale_notice)
    yield NewsEntry(news_urn("stale", since.isoformat()), None, at, title, local.say("stale why"))


def news_of(urn: str, calendar: Calendar, entries: tuple[NewsEntry, ...], earlier: datetime) -> News:
    """Return the news of a feed. `earlier`: when the newest entry happened that they have ever had."""
    header = calendar.header
    return News(
        id=urn,
        title=one_line(header.name),
        description=multi_line(header.description or ""),
        language=calendar.style.language,
        updated=max((earlier, *(entry.at for entry in entries))),
        entries=entries,
    )


def tombstone_news(name: str, feed: Feed, language: Language, day: Day) -> News:
    """Return the news of a revoked link: one entry that says so."""
    local, at = words(language), day.midnight
    urn = news_urn("revoked", name)
    entry = NewsEntry(urn, None, at, local.say("revoked"), local.say("revoked why"))
    return News(news_urn("feed", name), one_line(feed.title or name), "", language, at, (entry,))
