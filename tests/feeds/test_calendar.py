"""What a feed shows on a day: header, items, and the events that we add (docs/mapping.md)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from making import (
    ANNA,
    BERLIN,
    DUE,
    OPS,
    TODAY,
    WEB,
    body,
    calendar,
    config,
    issue,
    material,
    parsed,
    period,
    snapshot,
    unfolded,
)
from msgspec import UNSET
from msgspec.structs import replace

from icsfeed.config.schema import Alarm, Duration, Feed, Window, WorkspaceConfig
from icsfeed.errors import NameNotFound
from icsfeed.feeds.calendar import Day, style_of, title_of, tombstone
from icsfeed.feeds.mapping import Style
from icsfeed.feeds.query import parse_query
from icsfeed.l10n.words import words
from icsfeed.model import Issue, Snapshot

PROPS = snapshot(issue(1), issue(2, assignees=(ANNA.id,)))
OTHERS = snapshot(issue(3, id="i3", project=OPS.id, due=date(2026, 11, 30)), project=OPS)
BOTH = material(PROPS, OTHERS)


def uids(settings: dict[str, Any], *snapshots: Snapshot, query: str = "") -> list[str]:
    """The UIDs of a rendered feed, in its order."""
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    made = calendar(Feed(**settings), material(*snapshots), parse_query(pairs))
    return [str(part["UID"]) for part in parsed(body(made)).subcomponents]


# Header


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"project": "PROP"}, "Property"),
        ({"projects": ("OPS",)}, "Operations"),
        ({"projects": ("OPS", "PROP")}, "Property team"),
        ({"everything": True}, "Property team"),
        ({"assignee": "anna@example.com"}, "anna's issues"),
        ({"assignee": "anna", "project": "PROP", "language": "de"}, "Aufgaben: anna"),
        ({"unassigned": True}, "Unassigned issues"),
        ({"unassigned": True, "language": "de"}, "Aufgaben ohne Zuständige"),
        ({"project": "PROP", "title": "House"}, "House"),
    ],
)
def test_a_feeds_name_is_its_title_or_what_it_is_over(settings: dict[str, Any], name: str) -> None:
    assert calendar(Feed(**settings), BOTH).header.name == name


@pytest.mark.parametrize(
    ("found", "name"),
    [("Web\r\nsite\x07", "Web site"), ("half \ud83d", "half \ufffd"), (" \x00\n", "PROP")],
)
def test_a_feeds_name_is_a_line_of_text_whatever_its_project_is_called(found: str, name: str) -> None:
    named = snapshot(issue(1), project=replace(PROPS.project, name=found))
    assert calendar(Feed(project="PROP"), material(named)).header.name == name


def test_a_feeds_name_is_a_line_of_text_whatever_its_person_is_called() -> None:
    found = material(PROPS, people=[replace(ANNA, name="half\n\ud83d")])
    assert calendar(Feed(assignee=ANNA.id), found).header.name == "half \ufffd's issues"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"project": "PROP"}, f"{WEB}/projects/prop/issues"),
        ({"projects": ("OPS",)}, f"{WEB}/projects/ops/issues"),
        ({"projects": ("OPS", "PROP")}, None),
        ({"everything": True}, None),
        ({"project": "PROP", "details": "busy"}, None),
    ],
)
def test_a_feed_over_one_project_links_to_it(settings: dict[str, Any], url: str | None) -> None:
    assert calendar(Feed(**settings), BOTH).header.url == url


def test_a_feed_over_everything_does_not_link_to_the_only_project() -> None:
    assert calendar(Feed(everything=True), material(PROPS)).header.url is None


def test_a_cycle_names_its_project() -> None:
    held = snapshot(issue(1), periods=[period("Sprint 7")])
    (_, cycle) = calendar(Feed(project="PROP", include=("issues", "cycles")), material(held)).components
    assert cycle.description.startswith("Project: ")


def test_a_header_says_what_the_feed_configures() -> None:
    feed = Feed(project="PROP", description="All of it", color="tomato", refresh=Duration(900))
    header = calendar(feed, BOTH).header
    assert (header.description, header.refresh) == ("All of it", 900)
    assert (header.color, header.color_hex) == ("tomato", "#FF6347")
    plain = calendar(Feed(project="PROP"), BOTH).header
    assert (plain.description, plain.refresh, plain.color, plain.color_hex) == (None, 3600, None, None)


@pytest.mark.parametrize(
    "settings", [{"project": "GONE"}, {"project": "GONE", "details": "busy"}, {"assignee": "carl"}]
)
def test_a_feed_over_what_is_gone_cannot_be_made(settings: dict[str, Any]) -> None:
    with pytest.raises(NameNotFound) as caught:
        calendar(Feed(**settings), BOTH)
    assert caught.value.feed == "property"
    with pytest.raises(NameNotFound) as caught:
        title_of("property", Feed(**settings), "en", BOTH, "acme")
    assert caught.value.feed == "property"


# Style


def test_a_feeds_style_is_its_own_then_the_servers() -> None:
    settings = config(colors={"urgent": "navy", "low": None}, language="de")
    plain = style_of(settings, settings.workspaces["acme"], "acme", "f", Feed())
    assert plain == Style(web=WEB, colors=(("low", None), ("urgent", "navy")), language="de")
    shown = style_of(
        settings, settings.workspaces["acme"], "acme", "f", Feed(done="drop", categories=("type",))
    )
    assert (shown.done, shown.categories) == ("drop", ("type",))
    own = Feed(colors={"urgent": "pink"}, language="en", alarm=(Alarm(-60),))
    assert style_of(settings, settings.workspaces["acme"], "acme", "f", own) == Style(
        web=WEB, colors=(("low", None), ("urgent", "pink")), language="en", alarms=(timedelta(minutes=-1),)
    )


@pytest.mark.parametrize(
    ("own", "asked", "limit"),
    [
        (Feed(), Feed(component="vtodo"), UNSET),
        (Feed(details="title"), Feed(details="title", component="vtodo"), "done"),
        (Feed(details="brief"), Feed(details="brief", component="vtodo"), "state"),
        (Feed(details="title", component="vtodo"), Feed(details="title", component="vtodo"), UNSET),
    ],
)
def test_tasks_that_a_query_asks_of_events_tell_no_more_than_these(
    own: Feed, asked: Feed, limit: Any
) -> None:
    settings = config(feeds={"f": own})
    assert style_of(settings, settings.workspaces["acme"], "acme", "f", asked).limit == limit


def test_issues_link_to_planes_web_address_where_it_has_its_own() -> None:
    workspace = WorkspaceConfig(url="https://api.example.com", web_url="https://web.example.com/x")
    assert style_of(config(), workspace, "acme", "f", Feed()).web == "https://web.example.com/x/acme"


@pytest.mark.parametrize(("workspace", "name"), [(None, "acme"), ("other", "other")])
def test_a_feed_belongs_to_the_workspace_it_names_or_the_first(workspace: str | None, name: str) -> None:
    assert config().workspace_of(Feed(workspace=workspace)) == name


# Items


def test_components_are_sorted_by_date_then_uid() -> None:
    cycle = period(id="c1", start=date(2026, 11, 24), end=DUE)
    issues = (issue(2), issue(1), issue(10, due=date(2026, 11, 25)), issue(3, start=date(2026, 11, 24)))
    snap = snapshot(*issues, periods=[cycle])
    found = uids({"include": ("issues", "cycles"), "dates": "start-and-due", "overdue_digest": True}, snap)
    assert [uid.removesuffix("@calplanebot") for uid in found] == [
        *("plane-cycle-c1", "plane-issue-i3-start", "plane-issue-i10"),
        *("plane-issue-i1", "plane-issue-i2", "plane-issue-i3"),
    ]


def test_tasks_are_sorted_by_start_or_due_date_and_undated_ones_come_last() -> None:
    issues = (issue(1, due=None), issue(2), issue(3, start=date(2026, 11, 24)))
    found = uids({"component": "vtodo", "undated": True}, snapshot(*issues))
    assert [uid[12:14] for uid in found] == ["i3", "i2", "i1"]


def test_tasks_and_events_are_never_mixed() -> None:
    snap = snapshot(issue(1, due=TODAY - timedelta(1)), periods=[period()])
    feed = Feed(include=("issues", "cycles"), overdue_digest=True)
    for kind in ("vevent", "vtodo"):
        query = parse_query([("component", kind)])
        octets = body(calendar(feed, material(snap), query, stale_since=datetime(2026, 11, 1, tzinfo=UTC)))
        begun = {line for line in unfolded(octets) if line.startswith("BEGIN:V")}
        assert begun == {"BEGIN:VCALENDAR", f"BEGIN:{kind.upper()}"}


@pytest.mark.parametrize(
    ("query", "related"),
    [("", ["plane-issue-i2@calplanebot"]), ("priority=none", []), ("component=vevent", [])],
)
def test_a_sub_issue_names_its_parent_while_the_feed_holds_it(query: str, related: list[str]) -> None:
    snap = snapshot(issue(1, parent="i2"), issue(2, priority="high"), issue(3, parent="gone"))
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    made = calendar(Feed(component="vtodo"), material(snap), parse_query(pairs))
    assert [one.related_to for one in made.components if one.related_to] == related


def test_texts_show_what_the_shown_snapshots_know_and_filters_what_the_linked_ones_do() -> None:
    held = replace(PROPS, periods={"c7": period(issues=frozenset({"i1"}))})
    view = replace(material(PROPS), linked=(held,))
    made = calendar(Feed(project="PROP"), view, parse_query([("cycle", "Sprint 7")]))
    (only,) = made.components
    assert only.uid == "plane-issue-i1@calplanebot"
    assert "Sprint 7" not in only.description


def test_cycles_are_shown_as_the_shown_snapshots_know_them() -> None:
    held = replace(PROPS, periods={"c7": period(issues=frozenset({"i1"}))})
    shown = replace(PROPS, project=replace(PROPS.project, name="Shown"), periods=held.periods)
    view = replace(material(shown), linked=(held,))
    made = calendar(Feed(project="PROP", include=("cycles",)), view)
    (cycle,) = made.components
    assert (cycle.uid, "Shown" in cycle.description) == ("plane-cycle-c7@calplanebot", True)


def test_a_feed_with_a_search_holds_what_is_found() -> None:
    view = replace(material(snapshot(issue(1), issue(2))), found=frozenset({"i2"}))
    assert [one.uid for one in calendar(Feed(pql="x"), view).components] == ["plane-issue-i2@calplanebot"]


def test_a_window_is_counted_from_today() -> None:
    week = Window(past=Duration(0), ahead=Duration(7 * 86_400))
    due = [issue(days, due=TODAY + timedelta(days=days)) for days in (1, 7, 8)]
    made = calendar(Feed(window=week), material(snapshot(*due)))
    assert [one.uid for one in made.components] == [f"plane-issue-i{days}@calplanebot" for days in (1, 7)]


def test_the_counts_of_what_has_no_place_come_with_the_calendar() -> None:
    made = calendar(Feed(), material(snapshot(issue(1), issue(2, due=None))))
    assert (made.selection.undated, len(made.selection.issues)) == (1, 1)


# Notices

LATE = (
    issue(1, due=date(2026, 11, 19), name="one\r\nline"),
    issue(2, due=date(2026, 11, 18), start=date(2026, 11, 2)),
    issue(3, due=date(2026, 11, 18), state="completed"),
    issue(4, due=TODAY),
    issue(5, due=None),
)


def notices(feed: Feed, *issues: Issue, stale_since: datetime | None = None) -> dict[str, tuple[str, str]]:
    """Summary and description of our own events, by UID."""
    made = calendar(feed, material(snapshot(*issues)), stale_since=stale_since).components
    return {one.uid: (one.summary, one.description) for one in made if one.uid.startswith("icsfeed-")}


@pytest.mark.parametrize(
    ("settings", "summary", "listed"),
    [
        ({}, "2 overdue", "2026-11-18 [2] Issue 2\n2026-11-19 [1] one line"),
        ({"dates": "start-and-due"}, "2 overdue", "2026-11-18 [2] Issue 2\n2026-11-19 [1] one line"),
        ({"language": "de", "summary": "{key}"}, "2 überfällig", "18.11.2026 PROP-2\n19.11.2026 PROP-1"),
        ({"language": "pl"}, "2 zaległe", "18.11.2026 [2] Issue 2\n19.11.2026 [1] one line"),
        ({"details": "busy"}, "2 overdue", ""),
        ({"component": "vtodo"}, "2 overdue", "2026-11-18 [2] Issue 2\n2026-11-19 [1] one line"),
    ],
)
def test_a_digest_lists_open_issues_past_their_date(
    settings: dict[str, Any], summary: str, listed: str
) -> None:
    found = notices(Feed(overdue_digest=True, **settings), *LATE)
    assert found == {"icsfeed-overdue-property@calplanebot": (summary, listed)}


def test_a_digest_is_as_new_as_the_newest_issue() -> None:
    newest = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    held = material(snapshot(*LATE, issue(9, due=DUE, updated=newest)))
    found = {one.uid: one for one in calendar(Feed(overdue_digest=True), held).components}
    assert found["icsfeed-overdue-property@calplanebot"].revised == newest


@pytest.mark.parametrize("feed", [Feed(), Feed(overdue_digest=True)])
def test_there_is_no_digest_unless_asked_for_and_something_is_overdue(feed: Feed) -> None:
    assert not notices(feed, *(LATE if not feed.overdue_digest else LATE[2:]))


@pytest.mark.parametrize(
    ("language", "summary"),
    [("en", "⚠ Not updated since 2026-11-20"), ("de", "⚠ Nicht aktualisiert seit 20.11.2026")],
)
def test_a_stale_feed_says_since_when_in_the_zone_of_the_server(language: Any, summary: str) -> None:
    found = notices(Feed(language=language), stale_since=datetime(2026, 11, 19, 23, 30, tzinfo=UTC))
    why = words(language).say("stale why")
    assert found["icsfeed-stale-property@calplanebot"] == (summary, why)


def test_our_events_are_today_and_revised_at_midnight() -> None:
    feed = Feed(overdue_digest=True)
    made = calendar(feed, material(snapshot(*LATE)), stale_since=datetime(2026, 11, 1, tzinfo=UTC))
    own = [one for one in made.components if one.uid.startswith("icsfeed-")]
    assert len(own) == 2
    for one in own:
        assert (one.kind, one.first, one.last, one.status) == ("VEVENT", TODAY, TODAY, "CONFIRMED")
        assert one.revised == datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
        assert one.sequence > 0


def test_our_tasks_are_due_today_and_need_action() -> None:
    made = calendar(Feed(component="vtodo", overdue_digest=True), material(snapshot(*LATE)))
    (own,) = [one for one in made.components if one.uid.startswith("icsfeed-")]
    assert (own.kind, own.first, own.last, own.status) == ("VTODO", None, TODAY, "NEEDS-ACTION")


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("UTC", datetime(2026, 11, 21, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 11, 21, 8, tzinfo=UTC)),
    ],
)
def test_midnight_is_in_the_servers_zone(zone: str, moment: datetime) -> None:
    assert Day(TODAY, ZoneInfo(zone)).midnight == moment


@pytest.mark.parametrize(
    ("settings", "name", "summary"),
    [
        ({}, "property", "This calendar link was revoked"),
        ({"title": "House", "language": "de"}, "House", "Dieser Kalender-Link wurde widerrufen"),
    ],
)
def test_a_revoked_link_shows_one_event_and_nothing_of_the_feed(
    settings: dict[str, Any], name: str, summary: str
) -> None:
    feed = Feed(project="PROP", description="All of it", color="red", **settings)
    style = style_of(config(), config().workspaces["acme"], "acme", "f", feed)
    made = tombstone("property", feed, style, Day(TODAY, BERLIN))
    (only,) = made.components
    assert (made.header.name, only.summary, only.first, only.last) == (name, summary, TODAY, TODAY)
    assert only.uid == "icsfeed-revoked-property@calplanebot", "else apps show two of them"
    assert only.description == words(style.language).say("revoked why")
    assert "plane.example.com" not in body(made).decode()


def test_a_busy_feed_has_a_key_of_its_own_where_there_is_a_secret() -> None:
    settings, busy = config(), Feed(project="PROP", details="busy")
    acme = settings.workspaces["acme"]
    keys = [style_of(settings, acme, "acme", name, busy).busy_key for name in ("one", "other", "one")]
    assert keys[0] == keys[2] != keys[1]
    assert style_of(replace(settings, secret=None), acme, "acme", "one", busy).busy_key is UNSET
    assert style_of(settings, acme, "acme", "one", Feed(project="PROP")).busy_key is UNSET
