"""What a feed shows on a day: from configuration and snapshots to a header and components.

The last functions build the events that icsfeed adds itself: stale, overdue, revoked (docs/mapping.md).
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from icsfeed.config.addresses import web_address
from icsfeed.config.schema import Config, Feed, WorkspaceConfig
from icsfeed.feeds.mapping import DOMAIN, Style, issue_components, period_component
from icsfeed.feeds.query import Query, shown_fields
from icsfeed.feeds.rendered import RenderedComponent, RenderedIssues, in_order, part
from icsfeed.feeds.select import Selection, person_of, projects_of, select
from icsfeed.ics.component import CSS3, Component
from icsfeed.ics.write import Header
from icsfeed.l10n.languages import Language
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

    `selection` also counts what is not in it. `held`: ids of the issues that are in it as VTODOs.
    """

    header: Header
    selection: Selection
    style: Style
    notices: Sequence[Component] = ()
    held: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """The number of its items; an issue may be two events."""
        return len(self.selection.issues) + len(self.selection.periods) + len(self.notices)

    @property
    def components(self) -> Sequence[Component]:
        """All its components, in no order; built on each access."""
        issues = (
            component
            for snapshot, issue in self.selection.issues
            for component in issue_components(issue, snapshot, self.style, self.held)
        )
        return [*issues, *self._others()]

    def parts(self, rendered: Mapping[str, RenderedIssues]) -> Sequence[RenderedComponent]:
        """Return the components as bytes, sorted. `rendered`: the issues' components by project id."""
        # A bound method for each project: this loop runs for each issue of each feed.
        of, held = {project: issues.of for project, issues in rendered.items()}, self.held
        components = [part for _, issue in self.selection.issues for part in of[issue.project](issue, held)]
        return in_order([*components, *map(part, self._others())])

    def _others(self) -> Iterator[Component]:
        for snapshot, period in self.selection.periods:
            yield period_component(period, snapshot, self.style)
        yield from self.notices


def style_of(config: Config, workspace: WorkspaceConfig, slug: str, name: str, feed: Feed) -> Style:
    """Return how the feed `name` shows its items: by its own settings, then the server's."""
    busy_key: str | UnsetType = UNSET
    if feed.details == "busy" and config.secret is not None:  # the checks refuse a busy feed without one
        busy_key = hmac.digest(config.secret.reveal().encode(), f"busy {name}".encode(), sha256).hex()
    return Style(
        web=f"{web_address(workspace)}/{slug}",
        component=feed.component,
        dates=feed.dates,
        done=feed.done,
        details=feed.details,
        summary=feed.summary,
        categories=feed.categories,
        colors=tuple(sorted({**config.colors, **feed.colors}.items())),
        alarms=tuple(timedelta(seconds=alarm) for alarm in feed.alarm),
        language=feed.language or config.language,
        busy_key=busy_key,
        limit=_limit(config.feeds.get(name), feed),
    )


def _limit(own: Feed | None, asked: Feed) -> Literal["state", "done"] | UnsetType:
    """Return how much VTODOs may say that a query has asked of a feed of events.

    A VTODO has fields that such an event has not: they must not reveal what the feed's `details` hide.
    """
    is_asked = own is not None and own.component == "vevent" and asked.component == "vtodo"
    if own is None or not is_asked or own.details not in ("brief", "title"):
        return UNSET
    return "state" if "state" in shown_fields(own) else "done"


def calendar_of(source: FeedInput, style: Style, workspace: str) -> Calendar:
    """Return the calendar of a feed in this style. `workspace` is the workspace's name for people.

    Raises NameNotFound and AmbiguousName when the feed names what is not there, or not one person.
    """
    view = source.view
    today, of_workspace = source.day.today, view.periods
    selection = select(
        source.name, source.feed, source.query, view.linked, view.people, today, of_workspace, view.found
    )
    todos = {issue.id for _, issue in selection.issues} if style.component == "vtodo" else ()
    if view.linked is not view.snapshots:
        # A filter may name cycles and modules that have ended; texts do not mention those.
        shown = {snapshot.project.id: snapshot for snapshot in view.snapshots}
        issues = [(shown[issue.project], issue) for _, issue in selection.issues]
        periods = [(shown.get(period.project), period) for _, period in selection.periods]
        selection = replace(selection, issues=issues, periods=periods)
    name, day = source.name, source.day
    stale = stale_notice(name, day.stale_since, style, day) if day.stale_since is not None else None
    digest = overdue_digest(name, selection.issues, style, day) if source.feed.overdue_digest else None
    notices = [notice for notice in (stale, digest) if notice is not None]
    return Calendar(_header(source, style, workspace), selection, style, notices, frozenset(todos))


def tombstone(name: str, feed: Feed, style: Style, day: Day) -> Calendar:
    """Return the calendar of a revoked link: one event that says so."""
    title = feed.title or name
    header = Header(name=title, refresh=feed.refresh)
    return Calendar(header, Selection(), style, [revoked_notice(name, style, day)])


def _header(source: FeedInput, style: Style, workspace: str) -> Header:
    name, feed, view = source.name, source.feed, source.view
    # A busy feed must not say which project it is about.
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
    """Return the title of the feed `name`: one line. The view needs no snapshots. Raises as `calendar_of`."""
    if feed.title:
        return feed.title
    if feed.assignee is not None:
        person = person_of(name, feed.assignee, view.people.values())
        return words(language).say("issues of", name=one_line(person.name))
    if feed.unassigned:
        return words(language).say("unassigned")
    single = _only_project(name, feed, view)
    if single is None:
        return workspace
    title = one_line(single.name)
    return single.key if is_blank(title) else title


def _only_project(name: str, feed: Feed, view: View) -> Project | None:
    projects = projects_of(name, feed, view.projects)
    return projects[0] if len(projects) == 1 and (feed.project or feed.projects) else None


def stale_notice(feed: str, read_at: datetime, style: Style, day: Day) -> Component:
    """Return an event of today that says since when Plane could not be read."""
    local = words(style.language)
    summary = local.say("stale", date=local.say("date", day=read_at.astimezone(day.zone)))
    return _notice(f"icsfeed-stale-{feed}", summary, local.say("stale why"), style, day)


def revoked_notice(feed: str, style: Style, day: Day) -> Component:
    """Return the only event of a revoked link's calendar: clients then drop all others."""
    local = words(style.language)
    return _notice(f"icsfeed-revoked-{feed}", local.say("revoked"), local.say("revoked why"), style, day)


def overdue_digest(
    feed: str, issues: Sequence[tuple[Snapshot, Issue]], style: Style, day: Day
) -> Component | None:
    """Return an event of today that lists the open issues past their due date; None when there are none.

    It counts as revised whenever one of the feed's `issues` is: that may have changed the list.
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
    lines = [f"{local.say('date', day=component.last)} {component.summary}" for component in ordered]
    text = "" if style.details == "busy" else "\n".join(lines)
    summary = local.count("overdue", len(late), n=len(late))
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
