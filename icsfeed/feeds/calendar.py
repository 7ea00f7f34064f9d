"""What a feed shows on a day: from configuration and snapshots to a header and components.

The last functions make the events that we add ourselves: stale, overdue, revoked (mapping.md, 6).
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from icsfeed.config.schema import Config, Feed, Language, WorkspaceConfig
from icsfeed.feeds.mapping import DOMAIN, Style, issue_components, period_component
from icsfeed.feeds.query import Query, shown_fields
from icsfeed.feeds.rendered import RenderedComponent, RenderedIssues, in_order, part
from icsfeed.feeds.select import Selection, person_of, projects_of, select
from icsfeed.ics.colors import CSS3
from icsfeed.ics.component import Component
from icsfeed.ics.write import Header
from icsfeed.l10n.words import words
from icsfeed.model import Issue, Project, Snapshot, View
from icsfeed.text import is_blank, one_line

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Day(Struct, frozen=True):
    """The day in the configured zone, and since when Plane could not be read, once that is too long."""

    today: date
    zone: ZoneInfo
    stale_since: datetime | None = None

    @property
    def midnight(self) -> datetime:
        """The start of the day, in UTC: when what depends on the day was revised."""
        return datetime.combine(self.today, time(), self.zone).astimezone(UTC)


class FeedInput(Struct, frozen=True):
    """All that the calendar `name` is made of: the feed as `query` narrows it, its data, and the day."""

    name: str
    query: Query
    feed: Feed
    view: View
    day: Day

    @property
    def stamp(self) -> tuple[object, ...]:
        """Equal for one name and query as long as the calendar is."""
        return (self.view.stamp, self.day)


class Calendar(Struct, frozen=True):
    """A feed before it is bytes: the items of snapshots that it shows in its style, and our own notices.

    `selection` has the counts of what is not in it, too. `held`: ids of issues that are in it as VTODOs.
    """

    header: Header
    selection: Selection
    style: Style
    notices: Sequence[Component] = ()
    held: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Of how many items it tells; an issue may be two events."""
        return len(self.selection.issues) + len(self.selection.periods) + len(self.notices)

    @property
    def components(self) -> Sequence[Component]:
        """All that is in it, in no order; made anew each time."""
        issues = (
            component
            for snapshot, issue in self.selection.issues
            for component in issue_components(issue, snapshot, self.style, self.held)
        )
        return [*issues, *self._others()]

    def parts(self, made: Mapping[str, RenderedIssues]) -> Sequence[RenderedComponent]:
        """The same as bytes, sorted; issues as they are `made` already, by their project's id."""
        of, held = {project: parts.of for project, parts in made.items()}, self.held
        found = [part for _, issue in self.selection.issues for part in of[issue.project](issue, held)]
        return in_order([*found, *map(part, self._others())])

    def _others(self) -> Iterator[Component]:
        for snapshot, period in self.selection.periods:
            yield period_component(period, snapshot, self.style)
        yield from self.notices


def style_of(config: Config, workspace: WorkspaceConfig, slug: str, name: str, feed: Feed) -> Style:
    """How the feed `name` shows its items: by its own settings, then the server's."""
    return Style(
        web=f"{workspace.web_url or workspace.url}/{slug}",
        component=feed.component,
        dates=feed.dates,
        done=feed.done,
        details=feed.details,
        summary=feed.summary,
        categories=feed.categories,
        colors=tuple(sorted({**config.colors, **feed.colors}.items())),
        alarms=tuple(timedelta(seconds=alarm) for alarm in feed.alarm),
        language=feed.language or config.language,
        busy_key=_busy_key(config, name) if feed.details == "busy" else UNSET,
        limit=_limit(config.feeds.get(name), feed),
    )


def _limit(own: Feed | None, asked: Feed) -> Literal["state", "done"] | UnsetType:
    """How much VTODOs may tell that a query has asked of a feed of events (mapping.md, 2c)."""
    is_asked = own is not None and own.component == "vevent" and asked.component == "vtodo"
    if own is None or not is_asked or own.details not in ("brief", "title"):
        return UNSET
    return "state" if "state" in shown_fields(own) else "done"


def _busy_key(config: Config, name: str) -> str | UnsetType:
    """What a busy feed's UIDs are keyed by; unset only where no secret is configured, which checks refuse."""
    if config.secret is None:
        return UNSET
    return hmac.digest(config.secret.reveal().encode(), f"busy {name}".encode(), sha256).hex()


def calendar_of(source: FeedInput, style: Style, workspace: str) -> Calendar:
    """Return the calendar of a feed in this style. `workspace` is the workspace's name for people.

    Raises NameNotFound and AmbiguousName when the feed names what is not there, or not one person.
    """
    view = source.view
    selection = select(source.name, source.feed, source.query, view.linked, view.people, source.day.today)
    todos = {issue.id for _, issue in selection.issues} if style.component == "vtodo" else ()
    if view.linked is not view.snapshots:
        selection = _shown(selection, view)
    notices = tuple(_notices(source, selection, style))
    return Calendar(_header(source, style, workspace), selection, style, notices, frozenset(todos))


def _shown(selection: Selection, view: View) -> Selection:
    """The same items with the snapshots that texts are made of."""
    shown = {snapshot.project.id: snapshot for snapshot in view.snapshots}
    issues = [(shown[issue.project], issue) for _, issue in selection.issues]
    periods = [(shown[period.project], period) for _, period in selection.periods]
    return replace(selection, issues=issues, periods=periods)


def tombstone(name: str, feed: Feed, style: Style, day: Day) -> Calendar:
    """The calendar of a revoked link: one event that says so (mapping.md, 6)."""
    title = feed.title or name
    header = Header(name=title, refresh=feed.refresh)
    return Calendar(header, Selection(), style, [revoked_notice(name, style, day)])


def _notices(source: FeedInput, selection: Selection, style: Style) -> Iterator[Component]:
    name, day = source.name, source.day
    if day.stale_since is not None:
        yield stale_notice(name, day.stale_since, style, day)
    if source.feed.overdue_digest:
        digest = overdue_digest(name, selection.issues, style, day)
        if digest is not None:
            yield digest


def _header(source: FeedInput, style: Style, workspace: str) -> Header:
    name, feed, view = source.name, source.feed, source.view
    # A busy feed tells nothing of what it is about, nor where to read on.
    linked = _only_project(name, feed, view) if feed.details != "busy" else None
    return Header(
        name=title_of(name, feed, style.language, view, workspace),
        description=feed.description,
        refresh=feed.refresh,
        url=f"{style.web}/projects/{linked.id}/issues" if linked else None,
        color=feed.color,
        color_hex=CSS3[feed.color] if feed.color else None,
    )


def title_of(name: str, feed: Feed, language: Language, view: View, workspace: str) -> str:
    """What people call the feed `name`: a line; its snapshots need not be known. Raises as `calendar_of`."""
    if feed.title:
        return feed.title
    if feed.assignee is not None:
        person = person_of(name, feed.assignee, view.people.values())
        return words(language)["issues of"].format(name=one_line(person.name))
    if feed.unassigned:
        return words(language)["unassigned"]
    single = _only_project(name, feed, view)
    if single is None:
        return workspace
    shown = one_line(single.name)
    return single.key if is_blank(shown) else shown


def _only_project(name: str, feed: Feed, view: View) -> Project | None:
    projects = projects_of(name, feed, view.projects)
    return projects[0] if len(projects) == 1 and (feed.project or feed.projects) else None


def stale_notice(feed: str, read_at: datetime, style: Style, day: Day) -> Component:
    """One event today that says since when Plane could not be read."""
    local = words(style.language)
    summary = local["stale"].format(date=local["date"].format(day=read_at.astimezone(day.zone)))
    return _notice(f"icsfeed-stale-{feed}", summary, local["stale why"], style, day)


def revoked_notice(feed: str, style: Style, day: Day) -> Component:
    """The one event of a revoked link's calendar: clients then drop all that they held."""
    local = words(style.language)
    return _notice(f"icsfeed-revoked-{feed}", local["revoked"], local["revoked why"], style, day)


def overdue_digest(
    feed: str, issues: Sequence[tuple[Snapshot, Issue]], style: Style, day: Day
) -> Component | None:
    """One event today that lists the open issues past their date; None when there are none.

    It counts as revised whenever one of the feed's `issues` does: that may have changed the list.
    """
    late = [
        issue_components(issue, snapshot, style)[-1]
        for snapshot, issue in issues
        if issue.due is not None and issue.due < day.today and not snapshot.is_done(issue)
    ]
    if not late:
        return None
    newest = max(snapshot.revised(issue) for snapshot, issue in issues)
    ordered = sorted(late, key=lambda component: (component.last or day.today, component.uid))
    local = words(style.language)
    lines = [f"{local['date'].format(day=component.last)} {component.summary}" for component in ordered]
    text = "" if style.details == "busy" else "\n".join(lines)
    summary = local["overdue"].format(n=len(late))
    digest = _notice(f"icsfeed-overdue-{feed}", summary, text, style, day)
    return replace(digest, revised=max(digest.revised, newest))


def _notice(uid: str, summary: str, text: str, style: Style, day: Day) -> Component:
    todo = style.component == "vtodo"
    return Component(
        kind="VTODO" if todo else "VEVENT",
        uid=f"{uid}@{DOMAIN}",
        summary=summary,
        first=None if todo else day.today,
        last=day.today,
        status="NEEDS-ACTION" if todo else "CONFIRMED",
        created=_EPOCH,
        revised=day.midnight,
        description=text,
    )
