"""What a feed shows on a day: from configuration and snapshots to a header and components."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.core.colors import CSS3
from icsfeed.core.component import Component
from icsfeed.core.config import Config, Feed, Workspace
from icsfeed.core.ics import Header
from icsfeed.core.mapping import Style, issue_components, period_component
from icsfeed.core.model import Person, Project, Snapshot
from icsfeed.core.notices import overdue_digest, revoked_notice, stale_notice
from icsfeed.core.query import Query
from icsfeed.core.select import Selection, person_of, projects_of, select
from icsfeed.core.words import words


class Material(Struct, frozen=True):
    """What a feed is made of: all projects and people of its workspace, and its projects' snapshots.

    `linked` are the same snapshots, with what filters on cycles and modules need and texts do not show.
    """

    projects: Sequence[Project]
    people: Mapping[str, Person]
    snapshots: Sequence[Snapshot]
    linked: Sequence[Snapshot]


class Day(Struct, frozen=True):
    """The day in the configured zone, and since when Plane could not be read, once that is too long."""

    today: date
    zone: ZoneInfo
    stale_since: datetime | None = None


class Calendar(Struct, frozen=True):
    """A feed before it is bytes. `selection` has the counts of what is not in it."""

    header: Header
    components: Sequence[Component]
    selection: Selection


def workspace_of(config: Config, feed: Feed) -> str:
    """The name of a feed's workspace: its own, or the only one."""
    return feed.workspace or next(iter(config.workspaces))


def style_of(config: Config, workspace: Workspace, slug: str, feed: Feed) -> Style:
    """How a feed shows its items: by its own settings, then the server's."""
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
    )


def calendar_of(
    name: str, feed: Feed, query: Query, style: Style, material: Material, day: Day, workspace: str
) -> Calendar:
    """The feed `name`, already narrowed by `query`. `workspace` is the workspace's name for people.

    Raises NameNotFound and AmbiguousName when it names what is not there, or not one person.
    """
    selection = select(name, feed, query, material.linked, material.people, day.today)
    shown = {snapshot.project.id: snapshot for snapshot in material.snapshots}
    issues = [(shown[snapshot.project.id], issue) for snapshot, issue in selection.issues]
    selection = replace(selection, issues=issues)
    components = [*_items(selection, style, shown), *_notices(name, feed, selection, style, day)]
    return Calendar(_header(name, feed, style, material, workspace), components, selection)


def tombstone(name: str, feed: Feed, style: Style, day: Day) -> Calendar:
    """The calendar of a revoked link: one event that says so (mapping.md, 6)."""
    title = feed.title or name
    header = Header(uid=_uid(name), name=title, refresh=feed.refresh)
    return Calendar(header, [revoked_notice(name, style, day.today, day.zone)], Selection())


def _items(selection: Selection, style: Style, shown: Mapping[str, Snapshot]) -> Iterator[Component]:
    held = frozenset(issue.id for _, issue in selection.issues) if style.component == "vtodo" else frozenset()
    for snapshot, issue in selection.issues:
        yield from issue_components(issue, snapshot, style, held)
    for snapshot, period in selection.periods:
        yield period_component(period, shown[snapshot.project.id], style)


def _notices(name: str, feed: Feed, selection: Selection, style: Style, day: Day) -> Iterator[Component]:
    if day.stale_since is not None:
        yield stale_notice(name, day.stale_since, style, day.today, day.zone)
    if feed.overdue_digest:
        late = overdue_digest(name, selection.issues, style, day.today, day.zone)
        if late is not None:
            yield late


def _header(name: str, feed: Feed, style: Style, material: Material, workspace: str) -> Header:
    projects = projects_of(name, feed, material.projects)
    single = projects[0] if len(projects) == 1 and (feed.project or feed.projects) else None
    linked = single is not None and feed.details != "busy"
    return Header(
        uid=_uid(name),
        name=feed.title or _title(name, feed, style, material, single, workspace),
        description=feed.description,
        refresh=feed.refresh,
        url=f"{style.web}/projects/{single.id}/issues" if single and linked else None,
        color=feed.color,
        color_hex=CSS3[feed.color] if feed.color else None,
    )


def _title(
    name: str, feed: Feed, style: Style, material: Material, single: Project | None, workspace: str
) -> str:
    if feed.assignee is not None:
        person = person_of(name, feed.assignee, material.people.values())
        return words(style.language)["issues of"].format(name=person.name)
    if feed.unassigned:
        return words(style.language)["unassigned"]
    return single.name if single else workspace


def _uid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"icsfeed:{name}"))
