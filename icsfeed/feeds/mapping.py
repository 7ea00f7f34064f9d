"""Map issues and periods to calendar components. docs/mapping.md describes them field by field."""

import hmac
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Literal, get_args
from urllib.parse import quote

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from icsfeed.config.schema import Category, ComponentKind, DateMode, Details, DoneMode
from icsfeed.ics.component import Component, Status, is_writable
from icsfeed.l10n.languages import Language
from icsfeed.l10n.words import words
from icsfeed.model import (
    DONE_GROUPS,
    Issue,
    Period,
    PeriodKind,
    Priority,
    ReleaseStatus,
    Snapshot,
    State,
    StateGroup,
    issue_key,
)
from icsfeed.text import clip, fill, inflate, is_blank, multi_line, one_line, with_names

DOMAIN = "calplanebot"
"""The right side of every UID. It never changes: calendars of the bot before icsfeed keep their events."""

_PLANE_UID = rf"plane-(?:issue|{'|'.join(get_args(PeriodKind))})"
_OUR_UID = re.compile(rf"(?:{_PLANE_UID}|icsfeed-(?:stale|overdue|probe))-[^@\s]+@{DOMAIN}")

MAX_TEXT_LENGTH = 1_500
"""Characters of an issue's own text in a DESCRIPTION, at most."""

COLORS: Mapping[Priority, str | None] = {
    "urgent": "red",
    "high": "orange",
    "medium": "yellow",
    "low": "green",
    "none": None,
}
TODO_STATUS: Mapping[StateGroup, Status] = {
    "backlog": "NEEDS-ACTION",
    "unstarted": "NEEDS-ACTION",
    "started": "IN-PROCESS",
    "completed": "COMPLETED",
    "cancelled": "CANCELLED",
}
RELEASE_STATUS: Mapping[ReleaseStatus | None, Status] = {
    "unreleased": "TENTATIVE",
    "released": "CONFIRMED",
    "cancelled": "CANCELLED",
}
PRIORITIES: Mapping[Priority, int | None] = {"urgent": 1, "high": 3, "medium": 5, "low": 9, "none": None}


class Style(Struct, frozen=True, kw_only=True):
    """How a feed shows its items. Equal styles give equal bytes for the same item.

    `web` is the workspace's address in Plane's web app (`https://plane.example.com/acme`).
    `since` is when this style replaced another one in the feed: what it shows counts as revised then.
    `busy_key` hides which item a component is of, where `details` are busy. `limit`: VTODOs that a query
    asked of a feed of events with few details show the `state` as the events do, or only what is `done`, and
    otherwise no more than the events. Fields that are UNSET do not count in a digest.
    """

    web: str
    component: ComponentKind = "vevent"
    dates: DateMode = "due"
    done: DoneMode = "cancelled"
    details: Details = "full"
    summary: str = "[{sequence_id}] {name}"
    categories: tuple[Category, ...] = ("labels",)
    colors: tuple[tuple[Priority, str | None], ...] = ()
    alarms: tuple[timedelta, ...] = ()
    language: Language = "en"
    since: datetime | None = None
    busy_key: str | UnsetType = UNSET
    limit: Literal["state", "done"] | UnsetType = UNSET


def issue_uid(issue_id: str) -> str:
    """Return the UID of an issue's component: the same in every feed and every push, permanently."""
    return f"plane-issue-{issue_id}@{DOMAIN}"


def probe_uid(token: str) -> str:
    """Return the UID of an object that is only written to see whether that works."""
    return f"icsfeed-probe-{token}@{DOMAIN}"


def is_our_uid(uid: str) -> bool:
    """Return whether a feed may hold a component of this UID."""
    return _OUR_UID.fullmatch(uid) is not None


def issue_components(
    issue: Issue, snapshot: Snapshot, style: Style, parents: frozenset[str] = frozenset()
) -> tuple[Component, ...]:
    """Return an issue's one or two components. `parents`: ids of the issues that the feed holds as VTODOs."""
    state, url = snapshot.state_of(issue), issue_url(issue, style.web)
    todo, shown = style.component == "vtodo", style.details != "busy"
    unlimited = todo and shown and style.limit is UNSET
    group, colors = snapshot.group_of(issue), {**COLORS, **dict(style.colors)}
    main = Component(
        kind="VTODO" if todo else "VEVENT",
        uid=uid_of("issue", issue.id, style),
        summary=_summary(issue, snapshot, state, style),
        first=_first_day(issue, style),
        last=issue.due,
        status=_status(group, style),
        created=_created(issue, style),
        revised=_revised(issue, snapshot, style),
        description=_issue_description(issue, snapshot, state, style, url),
        categories=_categories(issue, snapshot, state, style) if shown else (),
        color=colors[issue.priority] if shown else None,
        priority=PRIORITIES[issue.priority] if shown else None,
        url=url if shown else None,
        completed=issue.completed if unlimited and group == "completed" else None,
        related_to=issue_uid(issue.parent) if unlimited and issue.parent in parents else None,
        alarms=() if issue.due is None or (shown and group in DONE_GROUPS) else style.alarms,
    )
    if style.dates != "start-and-due" or style.component == "vtodo" or not _starts_before(issue):
        return (main,)
    suffix = words(style.language).say("start suffix")
    begin = replace(
        main,
        uid=uid_of("issue", f"{issue.id}-start", style),
        summary=main.summary if style.details == "busy" else f"{main.summary} {suffix}",
        first=issue.start,
        last=issue.start,
    )
    return (begin, main)


def period_component(period: Period, snapshot: Snapshot | None, style: Style) -> Component:
    """Return a period as one transparent event over all its days. Both of its dates must be set.

    `snapshot`: of its project; None for a release or initiative.
    """
    shown, local = style.details != "busy", words(style.language)
    url = _period_url(period, style.web)
    lines = []
    if style.details in ("brief", "full"):
        if snapshot is not None:
            facts, progress = {"project": one_line(snapshot.project.name)}, snapshot.progress(period)
            if progress is not None:
                facts["progress"] = local.say("done of", done=progress[0], total=progress[1])
            lines += [*local.facts(facts), ""]
        lines.append(url)
    return Component(
        kind="VEVENT",
        uid=uid_of(period.kind, period.id, style),
        summary=_period_title(period, style) if shown else local.say("busy"),
        first=period.start,
        last=period.end,
        status=RELEASE_STATUS.get(period.status, "CONFIRMED") if shown else "CONFIRMED",
        created=_created(period, style),
        revised=_revised(period, snapshot, style),
        description="\n".join(lines),
        url=url if shown else None,
    )


def keyed_title(summary: str, snapshot: Snapshot, issue: Issue) -> str:
    """Return a SUMMARY with the issue's key instead of its number, where it has no key."""
    key, number = issue_key(issue, snapshot), f"[{issue.sequence_id}]"
    if key in summary:
        return summary
    return summary.replace(number, f"[{key}]", 1) if number in summary else f"{key} {summary}"


def issue_url(issue: Issue, web: str) -> str:
    """Return the address of the issue in Plane's web app: the path that works in all its versions."""
    return f"{web}/projects/{quote(issue.project)}/issues/{quote(issue.id)}"


def _period_url(period: Period, web: str) -> str:
    """Return the address of a cycle, module or initiative, else of the nearest page that surely exists."""
    if period.kind == "release":
        return web
    if period.kind == "initiative":
        return f"{web}/initiatives/{quote(period.id)}"
    project = f"{web}/projects/{quote(period.project)}"
    return (
        f"{project}/issues" if period.kind == "milestone" else f"{project}/{period.kind}s/{quote(period.id)}"
    )


def _period_title(period: Period, style: Style) -> str:
    title, tag = _title(period.name, style), one_line(period.tag).strip()
    if period.kind == "milestone":
        return f"◆ {title}"
    differs = not is_blank(tag) and tag.casefold() != title.strip().casefold()
    return f"{title} ({tag})" if differs else title


def _starts_before(issue: Issue) -> bool:
    start, due = issue.start, issue.due
    return start is not None and due is not None and start < due and is_writable(start)


def _first_day(issue: Issue, style: Style) -> date | None:
    if style.component == "vtodo":
        shown = style.details != "busy" and (style.limit is UNSET or style.dates != "due")
        return issue.start if shown and _starts_before(issue) else None
    return issue.start if style.dates == "span" and _starts_before(issue) else issue.due


def _status(group: StateGroup, style: Style) -> Status:
    """Return the STATUS of a state's group; in a busy feed the same for all."""
    if style.component == "vtodo" and style.limit == "done":
        # The events of this feed show only what is done, and not which of COMPLETED and CANCELLED it is.
        shows_done = style.done in ("cancelled", "check") and group in DONE_GROUPS
        return "COMPLETED" if shows_done else "NEEDS-ACTION"
    if style.component == "vtodo":
        return TODO_STATUS["backlog" if style.details == "busy" else group]
    cancelled = style.done == "cancelled" and style.details != "busy" and group in DONE_GROUPS
    return "CANCELLED" if cancelled else "CONFIRMED"


def uid_of(kind: str, id_: str, style: Style) -> str:
    """Return the UID of a component. In a busy feed it is keyed: it must not say which item that is."""
    if style.busy_key is UNSET:
        return f"plane-{kind}-{id_}@{DOMAIN}"
    return f"plane-issue-{_keyed(f'{kind} {id_}', style.busy_key).hex()[:32]}@{DOMAIN}"


def _keyed(text: str, key: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), sha256)


def _revised(item: Issue | Period, snapshot: Snapshot | None, style: Style) -> datetime:
    # Of releases and initiatives the revision is stored as their time (cache/revisions.py).
    revised = snapshot.revised(item) if snapshot is not None else item.updated
    if style.busy_key is not UNSET:
        # The second of the change would identify the item in another feed. So it is moved back by up to an
        # hour; always by as much for one item, or revisions could run backwards.
        earlier = int.from_bytes(_keyed(item.id, style.busy_key)[:4], "big") % 3600
        revised = max(_created(item, style), revised - timedelta(seconds=earlier))
    return revised if style.since is None else max(revised, style.since)


def _created(item: Issue | Period, style: Style) -> datetime:
    """Return when an item was created; in a busy feed the day only: the second would identify it."""
    if style.busy_key is UNSET:
        return item.created
    return datetime.combine(item.created.date(), time.min, item.created.tzinfo)


def _title(name: str, style: Style) -> str:
    name = one_line(name)
    return words(style.language).say("no title") if is_blank(name) else name


def _summary(issue: Issue, snapshot: Snapshot, state: State | None, style: Style) -> str:
    if style.details == "busy":
        return words(style.language).say("busy")
    fields = {
        "name": _title(issue.name, style),
        "sequence_id": issue.sequence_id,
        "key": issue_key(issue, snapshot),
        "project": snapshot.project.name,
        "state": state.name if state else "",
        "priority": words(style.language).say(issue.priority),
        "type": kind.name if (kind := snapshot.type_of(issue)) else "",
    }
    summary = _title(fill(style.summary, fields), style)
    checked = style.component == "vevent" and style.done == "check" and snapshot.is_done(issue)
    return f"✓ {summary}" if checked else summary


def _categories(issue: Issue, snapshot: Snapshot, state: State | None, style: Style) -> tuple[str, ...]:
    names: Mapping[Category, list[str]] = {
        "labels": _label_names(issue, snapshot),
        "project": [snapshot.project.name],
        "state": [state.name] if state else [],
        "priority": [issue.priority] if issue.priority != "none" else [],
        "type": [kind.name] if (kind := snapshot.type_of(issue)) else [],
    }
    named = (one_line(name).strip() for category in style.categories for name in names[category])
    return tuple(dict.fromkeys(name for name in named if not is_blank(name)))


def _label_names(issue: Issue, snapshot: Snapshot) -> list[str]:
    return sorted(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels)


def _person_name(snapshot: Snapshot, person: str) -> str | None:
    member = snapshot.people.get(person)
    return member.name if member else None


def _issue_description(issue: Issue, snapshot: Snapshot, state: State | None, style: Style, url: str) -> str:
    if style.details in ("title", "busy"):
        return ""
    local = words(style.language)
    head = [issue_key(issue, snapshot), state.name if state else ""]
    head.append(local.say(issue.priority) if issue.priority != "none" else "")
    lines = [one_line(" · ".join(part for part in head if part))]
    if style.details == "full":
        # Plane promises no order of assignees and links: sorted, so that equal data gives equal bytes.
        people = sorted(name for person in issue.assignees if (name := _person_name(snapshot, person)))
        facts = {
            "assignees": people,
            "labels": _label_names(issue, snapshot),
            "cycle": _period_names(issue, snapshot, "cycle"),
            "module": _period_names(issue, snapshot, "module"),
        }
        if issue.start and issue.start != issue.due:
            facts["start"] = [local.say("date", day=issue.start)]
        lines += local.facts({key: one_line(", ".join(names)) for key, names in facts.items() if names})
        text = with_names(inflate(issue.text), lambda person: _person_name(snapshot, person))
        text = clip(text, MAX_TEXT_LENGTH)
        lines += ["", multi_line(text)] if text else []
    return "\n".join([*lines, "", url])


def _period_names(issue: Issue, snapshot: Snapshot, kind: Literal["cycle", "module"]) -> list[str]:
    return sorted(period.name for period in snapshot.links.get(issue.id, ()) if period.kind == kind)
