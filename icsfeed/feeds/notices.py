"""The events that we add ourselves: stale, overdue, revoked (mapping.md, 6)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from icsfeed.feeds.mapping import DOMAIN, Style, issue_components
from icsfeed.ics.component import Component
from icsfeed.l10n.words import words
from icsfeed.model import Issue, Snapshot

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def midnight(today: date, zone: ZoneInfo) -> datetime:
    """The start of a day in a zone, in UTC: when what depends on the day was revised."""
    return datetime.combine(today, time(), zone).astimezone(UTC)


def stale_notice(feed: str, read_at: datetime, style: Style, today: date, zone: ZoneInfo) -> Component:
    """One event today that says since when Plane could not be read."""
    local = words(style.language)
    summary = local["stale"].format(date=local["date"].format(day=read_at.astimezone(zone)))
    return _notice(f"icsfeed-stale-{feed}", summary, local["stale why"], style, today, zone)


def revoked_notice(feed: str, style: Style, today: date, zone: ZoneInfo) -> Component:
    """The one event of a revoked link's calendar: clients then drop all that they held."""
    local = words(style.language)
    return _notice(f"icsfeed-revoked-{feed}", local["revoked"], local["revoked why"], style, today, zone)


def overdue_digest(
    feed: str, issues: Sequence[tuple[Snapshot, Issue]], style: Style, today: date, zone: ZoneInfo
) -> Component | None:
    """One event today that lists the open issues past their date; None when there are none.

    It counts as revised whenever one of the feed's `issues` does: that may have changed the list.
    """
    late = [
        issue_components(issue, snapshot, style)[-1]
        for snapshot, issue in issues
        if issue.due is not None and issue.due < today and not snapshot.is_done(issue)
    ]
    if not late:
        return None
    newest = max(snapshot.revised(issue) for snapshot, issue in issues)
    ordered = sorted(late, key=lambda component: (component.last or today, component.uid))
    local = words(style.language)
    lines = [f"{local['date'].format(day=component.last)} {component.summary}" for component in ordered]
    text = "" if style.details == "busy" else "\n".join(lines)
    summary = local["overdue"].format(n=len(late))
    digest = _notice(f"icsfeed-overdue-{feed}", summary, text, style, today, zone)
    return replace(digest, revised=max(digest.revised, newest))


def _notice(uid: str, summary: str, text: str, style: Style, today: date, zone: ZoneInfo) -> Component:
    todo = style.component == "vtodo"
    return Component(
        kind="VTODO" if todo else "VEVENT",
        uid=f"{uid}@{DOMAIN}",
        summary=summary,
        first=None if todo else today,
        last=today,
        status="NEEDS-ACTION" if todo else "CONFIRMED",
        created=_EPOCH,
        revised=midnight(today, zone),
        description=text,
    )
