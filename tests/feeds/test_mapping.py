"""From issues, cycles and modules to components, field by field (docs/mapping.md)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import (
    CREATED,
    DUE,
    PROP,
    UPDATED,
    WEB,
    by_id,
    component,
    components,
    issue,
    lines,
    period,
    snapshot,
)
from msgspec.structs import replace

from icsfeed.feeds.mapping import (
    MAX_TEXT_LENGTH,
    Style,
    is_our_uid,
    issue_components,
    issue_uid,
    keyed_title,
    period_component,
)
from icsfeed.ics.component import MAX_SEQUENCE
from icsfeed.ics.write import write
from icsfeed.model import Issue, Label, Period, Person, Snapshot
from icsfeed.text import MENTION

PAGE = f"{WEB}/projects/prop/issues/i1"
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("UID", "plane-issue-i1@calplanebot"),
        ("SUMMARY", "[1] Issue 1"),
        ("DTSTART;VALUE=DATE", "20261201"),
        ("DTEND;VALUE=DATE", "20261202"),
        ("STATUS", "CONFIRMED"),
        ("CATEGORIES", "Bug,Law\\, tax"),
        ("COLOR", "orange"),
        ("PRIORITY", "3"),
        ("URL", PAGE),
        ("TRANSP", "TRANSPARENT"),
        ("X-MICROSOFT-CDO-BUSYSTATUS", "FREE"),
        ("CREATED", "20261101T080000Z"),
        ("LAST-MODIFIED", "20261120T093000Z"),
        ("DTSTAMP", "20261120T093000Z"),
        ("SEQUENCE", "1647000"),
    ],
)
def test_an_event_has_this_line(line: str, value: str) -> None:
    made = lines(component(issue(priority="high", labels=("l-law", "l-bug"))))
    assert made[line] == value
    assert set(made) == {
        *("UID", "DTSTAMP", "DTSTART;VALUE=DATE", "DTEND;VALUE=DATE", "SUMMARY", "STATUS", "DESCRIPTION"),
        *("CATEGORIES", "COLOR", "PRIORITY", "URL", "TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"),
        *("CREATED", "LAST-MODIFIED", "SEQUENCE"),
    }


def test_an_event_of_a_bare_issue_leaves_out_what_it_does_not_have() -> None:
    made = lines(component(issue()))
    assert not {"CATEGORIES", "COLOR", "PRIORITY", "CLASS", "RELATED-TO", "COMPLETED"} & set(made)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": "Other"}, id="name"),
        pytest.param({"project": "other"}, id="project"),
        pytest.param({"sequence_id": 9}, id="number"),
    ],
)
def test_the_uid_hangs_on_the_id_alone(change: dict[str, Any]) -> None:
    assert component(issue(**change)).uid == issue_uid("i1") == "plane-issue-i1@calplanebot"


@pytest.mark.parametrize(
    ("priority", "color", "number"),
    [
        ("urgent", "red", 1),
        ("high", "orange", 3),
        ("medium", "yellow", 5),
        ("low", "green", 9),
        ("none", None, None),
    ],
)
def test_priority_gives_color_and_number(priority: str, color: str | None, number: int | None) -> None:
    made = component(issue(priority=priority))
    assert (made.color, made.priority) == (color, number)


def test_colors_are_overridden_one_by_one_and_can_be_taken_away() -> None:
    colors = (("high", None), ("none", "navy"))
    found = [component(issue(priority=one), colors=colors).color for one in ("urgent", "high", "none")]
    assert found == ["red", None, "navy"]


@pytest.mark.parametrize("state", ["completed", "cancelled"])
@pytest.mark.parametrize(
    ("done", "status", "summary"),
    [
        ("cancelled", "CANCELLED", "[1] Issue 1"),
        ("keep", "CONFIRMED", "[1] Issue 1"),
        ("check", "CONFIRMED", "✓ [1] Issue 1"),
        ("drop", "CONFIRMED", "[1] Issue 1"),
    ],
)
def test_done_issues_show_as_the_feed_says(state: str, done: str, status: str, summary: str) -> None:
    made = component(issue(state=state), done=done)
    assert (made.status, made.summary) == (status, summary)


@pytest.mark.parametrize("state", ["backlog", "unstarted", "started", "triage", None])
@pytest.mark.parametrize("done", ["cancelled", "keep", "check"])
def test_open_issues_are_confirmed_whatever_their_state(state: str | None, done: str) -> None:
    made = component(issue(state=state), done=done)
    assert (made.status, made.summary) == ("CONFIRMED", "[1] Issue 1")


@pytest.mark.parametrize(
    ("template", "summary"),
    [
        ("{name}", "Fix; it"),
        ("{key}: {name}", "PROP-1: Fix; it"),
        ("{project} {sequence_id} {state} {priority}", "Property 1 In Review High"),
        ("due", "due"),
        ("{{{name}}}", "{Fix; it}"),
        (" ", "(no title)"),
    ],
)
def test_the_summary_is_a_template(template: str, summary: str) -> None:
    item = issue(name="Fix; it", state="started", priority="high")
    assert component(item, summary=template).summary == summary


@pytest.mark.parametrize(
    ("name", "language", "summary"),
    [
        pytest.param("a\r\nb\nc\u2028d\x85e", "en", "a b c d e", id="line breaks"),
        pytest.param("a\x00\x07b", "en", "ab", id="controls"),
        pytest.param("", "en", "(no title)", id="empty"),
        pytest.param(" \t ", "en", "(no title)", id="blank"),
        pytest.param("\x07", "de", "(ohne Titel)", id="German"),
        pytest.param("{name} %s {0}", "en", "{name} %s {0}", id="looks like a template"),
        pytest.param("\ud800x", "en", "\ufffdx", id="half a surrogate pair"),
    ],
)
def test_a_summary_is_one_line_and_never_empty(name: str, language: str, summary: str) -> None:
    assert component(issue(name=name), summary="{name}", language=language).summary == summary


@pytest.mark.parametrize(
    ("categories", "found"),
    [
        (("labels",), ("Bug", "docs")),
        ((), ()),
        (("project",), ("Property",)),
        (("state",), ("In Review",)),
        (("priority",), ("urgent",)),
        (("priority", "labels", "project", "state"), ("urgent", "Bug", "docs", "Property", "In Review")),
    ],
)
def test_categories_are_what_the_feed_lists(categories: tuple[str, ...], found: tuple[str, ...]) -> None:
    item = issue(labels=("l-docs", "l-bug", "l-gone"), state="started", priority="urgent")
    assert component(item, categories=categories).categories == found


def test_categories_leave_out_what_an_issue_does_not_have() -> None:
    assert component(issue(state=None), categories=("labels", "state", "priority")).categories == ()


def test_categories_name_each_once_on_one_line_and_never_blank() -> None:
    labels = [Label(id=str(n), name=name) for n, name in enumerate(["b\r\nc", "a", " a ", "\x00", " "])]
    item = issue(labels=("0", "1", "2", "3", "4"))
    assert component(item, snapshot(item, labels=by_id(labels))).categories == ("a", "b c")


# Dates


@pytest.mark.parametrize(
    ("start", "first"),
    [
        pytest.param(None, DUE, id="no start"),
        pytest.param(date(2026, 11, 24), date(2026, 11, 24), id="start before due"),
        pytest.param(DUE, DUE, id="start on due"),
        pytest.param(date(2026, 12, 2), DUE, id="start after due"),
    ],
)
def test_date_modes(start: date | None, first: date) -> None:
    item = issue(start=start)
    only = component(item)
    span = component(item, dates="span")
    *begin, due = components(item, dates="start-and-due")
    assert (only.first, only.last) == (DUE, DUE)
    assert (span.first, span.last) == (first, DUE)
    assert (due.uid, due.first, due.last, due.summary) == (only.uid, DUE, DUE, only.summary)
    assert [(one.first, one.last) for one in begin] == ([(first, first)] if first < DUE else [])


@pytest.mark.parametrize(("language", "suffix"), [("en", "(start)"), ("de", "(Beginn)")])
def test_the_start_is_an_event_of_its_own(language: str, suffix: str) -> None:
    begin, due = components(issue(start=date(2026, 11, 24)), dates="start-and-due", language=language)
    assert begin == replace(
        due,
        uid="plane-issue-i1-start@calplanebot",
        summary=f"[1] Issue 1 {suffix}",
        first=date(2026, 11, 24),
        last=date(2026, 11, 24),
    )


@pytest.mark.parametrize("dates", ["due", "span", "start-and-due"])
def test_tasks_have_one_component_in_every_date_mode(dates: str) -> None:
    made = component(issue(start=date(2026, 11, 24)), dates=dates, component="vtodo")
    assert (made.first, made.last) == (date(2026, 11, 24), DUE)


# Description


@pytest.fixture
def full() -> tuple[Issue, Snapshot]:
    """An issue that has everything, and its snapshot."""
    item = issue(
        start=date(2026, 11, 24),
        priority="urgent",
        state="started",
        assignees=("u-bob", "u-gone", "u-anna"),
        labels=("l-law", "l-bug"),
        text=f"Ask {MENTION}u-bob{MENTION} or {MENTION}u-gone{MENTION}\n- a",
    )
    held = frozenset({"i1"})
    periods = [
        period("Sprint 7", issues=held),
        period("Sprint 6", id="c6", issues=held),
        period("Sprint 5", id="c5", issues=frozenset()),
        period("Sprint 4", id="c4"),
        period("Sales", id="m1", kind="module", issues=held),
    ]
    return item, snapshot(item, periods=periods)


def test_a_full_description_says_it_all(full: tuple[Issue, Snapshot]) -> None:
    assert component(*full).description.split("\n") == [
        "PROP-1 · In Review · Urgent",
        "Assignees: anna, bob",
        "Labels: Bug, Law, tax",
        "Cycle: Sprint 6, Sprint 7",
        "Module: Sales",
        "Start: 2026-11-24",
        "",
        "Ask @bob or @…",
        "- a",
        "",
        PAGE,
    ]


def test_our_own_words_are_in_the_feeds_language(full: tuple[Issue, Snapshot]) -> None:
    assert component(*full, language="de").description.split("\n")[:6] == [
        "PROP-1 · In Review · Dringend",
        "Zuständig: anna, bob",
        "Labels: Bug, Law, tax",
        "Zyklus: Sprint 6, Sprint 7",
        "Modul: Sales",
        "Beginn: 24.11.2026",
    ]
    assert component(*full, language="fr").description.split("\n")[2:6] == [
        "Étiquettes\u00a0: Bug, Law, tax",
        "Cycle\u00a0: Sprint 6, Sprint 7",
        "Module\u00a0: Sales",
        "Début\u00a0: 24/11/2026",
    ]


def test_a_brief_description_is_the_first_line_and_the_url(full: tuple[Issue, Snapshot]) -> None:
    assert component(*full, details="brief").description == f"PROP-1 · In Review · Urgent\n\n{PAGE}"


def test_a_title_feed_has_no_description_and_all_else(full: tuple[Issue, Snapshot]) -> None:
    assert component(*full, details="title") == replace(component(*full), description="")


def test_a_description_of_a_bare_issue_is_its_key_and_url() -> None:
    assert component(issue(state=None)).description == f"PROP-1\n\n{PAGE}"


def test_a_start_on_the_due_day_is_not_worth_a_line() -> None:
    assert "Start" not in component(issue(start=DUE)).description


def test_an_issues_text_is_cut_on_a_word() -> None:
    shown = component(issue(text="word " * 1000)).description.split("\n")[2]
    assert MAX_TEXT_LENGTH - 10 < len(shown) <= MAX_TEXT_LENGTH
    assert shown.endswith("word…")


words = st.text(min_size=4).map(lambda text: f"Qx{text}")


@given(words, words, words, words, st.sampled_from(["due", "span", "start-and-due"]), st.booleans())
def test_a_busy_feed_tells_nothing_but_that_there_is_something(
    name: str, label: str, person: str, text: str, dates: str, todo: bool
) -> None:
    item = issue(
        name=name,
        text=text,
        labels=("l",),
        assignees=("u",),
        priority="urgent",
        start=date(2026, 11, 24),
        parent="i2",
    )
    held = period(text, issues=frozenset({"i1"}))
    snap = snapshot(
        item,
        labels={"l": Label(id="l", name=label)},
        people={"u": Person(id="u", name=person)},
        periods=[held],
        project=replace(PROP, name=name),
    )
    style = Style(
        web=WEB,
        details="busy",
        dates=dates,  # type: ignore[arg-type]
        component="vtodo" if todo else "vevent",
        done="check",
        categories=("labels", "project", "state", "priority"),
        summary="{key} {name}",
        alarms=(-HOUR,),
    )
    made = [*issue_components(item, snap, style, frozenset({"i2"})), period_component(held, snap, style)]
    written = b"".join(map(write, made)).decode()
    assert {one.summary for one in made} == {"Busy"}
    assert "Qx" not in written
    assert not any(word in written for word in ("PROP", "https:", "i2", "COLOR", "PRIORITY", "Todo"))


BUSY: dict[str, Any] = {"details": "busy", "busy_key": "k" * 64}


def test_a_busy_feeds_uids_join_to_nothing() -> None:
    one, other = issue(1), issue(2)
    uids = [made.uid for item in (one, other) for made in components(item, **BUSY)]
    assert len(set(uids)) == 2
    assert all(is_our_uid(uid) and "i1" not in uid and "i2" not in uid for uid in uids)
    assert component(one, **BUSY | {"busy_key": "other"}).uid != uids[0]
    assert component(one, **BUSY).uid == uids[0], "the same at each rendering"
    both = components(replace(one, start=DUE - timedelta(days=2)), **BUSY, dates="start-and-due")
    assert both[0].uid.split("-start")[0] != both[1].uid
    cycle = period_component(period(), snapshot(periods=[period()]), Style(web=WEB, **BUSY))
    assert cycle.uid.startswith("plane-issue-")


def test_a_busy_feeds_times_join_to_nothing_and_never_run_backwards() -> None:
    before = component(issue(1), **BUSY)
    after = component(issue(1, updated=UPDATED + timedelta(seconds=1)), **BUSY)
    assert before.created == CREATED.replace(hour=0)
    assert timedelta() <= UPDATED - before.revised < timedelta(hours=1)
    assert after.revised - before.revised == timedelta(seconds=1)
    assert after.sequence > before.sequence
    assert component(issue(1, updated=CREATED), **BUSY).sequence >= 0


@pytest.mark.parametrize("kind", ["vevent", "vtodo"])
@pytest.mark.parametrize("done", ["cancelled", "keep", "check"])
def test_a_busy_feed_shows_all_states_alike(kind: Any, done: Any) -> None:
    groups = ("backlog", "unstarted", "started", "completed", "cancelled", None)
    style = BUSY | {"component": kind, "done": done, "alarms": (timedelta(hours=-15),)}
    made = [component(issue(1, state=group, completed=UPDATED), **style) for group in groups]
    assert len(set(made)) == 1
    assert made[0].status == ("NEEDS-ACTION" if kind == "vtodo" else "CONFIRMED")


@pytest.mark.parametrize("name", ["\u200b", "\u2060 \u3164", "\ufe0f", "\u00ad"])
def test_a_name_that_cannot_be_seen_is_no_title(name: str) -> None:
    assert component(issue(name=name)).summary == "[1] (no title)"
    assert component(issue(name=name), summary="{name}").summary == "(no title)"


def test_a_start_before_the_year_1000_is_no_start() -> None:
    item = issue(start=date(999, 12, 31))
    assert component(item, dates="span").first == DUE
    assert len(components(item, dates="start-and-due")) == 1
    assert component(item, component="vtodo").first is None


def test_a_busy_feed_speaks_its_language() -> None:
    assert component(issue(), details="busy", language="de").summary == "Beschäftigt"


# Alarms


@pytest.mark.parametrize(
    ("start", "style", "triggers"),
    [
        pytest.param(None, {}, ["TRIGGER:-PT15H", "TRIGGER:PT9H"], id="one day: from its start"),
        pytest.param(
            date(2026, 11, 24),
            {"dates": "span"},
            ["TRIGGER;RELATED=END:-P1DT15H", "TRIGGER;RELATED=END:-PT15H"],
            id="a span: from the start of its last day",
        ),
        pytest.param(
            date(2026, 11, 24),
            {"component": "vtodo"},
            ["TRIGGER;RELATED=END:-PT15H", "TRIGGER;RELATED=END:PT9H"],
            id="a task: from its due day",
        ),
    ],
)
def test_alarms_count_from_the_start_of_the_due_day(
    start: date | None, style: dict[str, Any], triggers: list[str]
) -> None:
    made = component(issue(start=start), alarms=(-15 * HOUR, 9 * HOUR), **style)
    written = write(made).decode().split("\r\n")
    assert [line for line in written if line.startswith("TRIGGER")] == triggers
    assert written.count("ACTION:DISPLAY") == written.count("BEGIN:VALARM") == 2
    assert written.count("DESCRIPTION:[1] Issue 1") == 2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": "completed"}, id="completed"),
        pytest.param({"state": "cancelled"}, id="cancelled"),
        pytest.param({"due": None}, id="undated"),
    ],
)
def test_what_is_done_or_undated_does_not_ring(changes: dict[str, Any]) -> None:
    assert not component(issue(**changes), component="vtodo", alarms=(-HOUR,)).alarms


# Tasks


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("backlog", "NEEDS-ACTION"),
        ("unstarted", "NEEDS-ACTION"),
        (None, "NEEDS-ACTION"),
        ("triage", "NEEDS-ACTION"),
        ("started", "IN-PROCESS"),
        ("completed", "COMPLETED"),
        ("cancelled", "CANCELLED"),
    ],
)
@pytest.mark.parametrize("done", ["cancelled", "keep", "check"])
def test_a_tasks_status_is_its_states_group(state: str | None, status: str, done: str) -> None:
    completed = datetime(2026, 11, 19, 7, tzinfo=UTC)
    made = component(issue(state=state, completed=completed), component="vtodo", done=done)
    written = lines(made)
    assert (made.status, made.summary) == (status, "[1] Issue 1")
    assert written.get("COMPLETED") == ("20261119T070000Z" if status == "COMPLETED" else None)
    assert written.get("PERCENT-COMPLETE") == ("100" if status == "COMPLETED" else None)


@pytest.mark.parametrize(
    ("state", "done", "status"),
    [
        ("completed", "cancelled", "COMPLETED"),
        ("cancelled", "check", "COMPLETED"),
        ("completed", "keep", "NEEDS-ACTION"),
        ("started", "cancelled", "NEEDS-ACTION"),
    ],
)
def test_a_limited_task_tells_only_what_events_tell_of_done(state: str, done: str, status: str) -> None:
    made = component(issue(state=state), component="vtodo", limit="done", done=done)
    assert made.status == status


@pytest.mark.parametrize(
    ("start", "due", "expected"),
    [
        (None, DUE, {"DUE;VALUE=DATE": "20261201"}),
        (date(2026, 11, 24), DUE, {"DTSTART;VALUE=DATE": "20261124", "DUE;VALUE=DATE": "20261201"}),
        (DUE, DUE, {"DUE;VALUE=DATE": "20261201"}),
        (date(2026, 12, 2), DUE, {"DUE;VALUE=DATE": "20261201"}),
        (date(2026, 11, 24), None, {}),
        (None, None, {}),
    ],
)
def test_a_task_starts_only_before_it_is_due(
    start: date | None, due: date | None, expected: dict[str, str]
) -> None:
    written = lines(component(issue(start=start, due=due), component="vtodo"))
    assert {name: value for name, value in written.items() if "VALUE=DATE" in name} == expected
    assert not {"TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"} & set(written)


@pytest.mark.parametrize(
    ("style", "parents", "related"),
    [
        pytest.param("vtodo", {"i2"}, "plane-issue-i2@calplanebot", id="task with its parent"),
        pytest.param("vtodo", {"i3"}, None, id="task without"),
        pytest.param("vevent", {"i2"}, None, id="event"),
    ],
)
def test_a_task_names_a_parent_that_is_in_the_feed(style: Any, parents: set[str], related: str) -> None:
    item = issue(parent="i2")
    (made,) = issue_components(item, snapshot(item), Style(web=WEB, component=style), frozenset(parents))
    assert made.related_to == related


# Revisions


@pytest.mark.parametrize(
    ("touched", "since", "revised"),
    [
        (None, None, UPDATED),
        (UPDATED + HOUR, None, UPDATED + HOUR),
        (UPDATED - HOUR, None, UPDATED),
        (None, UPDATED + HOUR, UPDATED + HOUR),
        (UPDATED + HOUR, UPDATED + 2 * HOUR, UPDATED + 2 * HOUR),
    ],
)
def test_an_items_revision_is_the_last_of_all_that_moved_it(
    touched: datetime | None, since: datetime | None, revised: datetime
) -> None:
    item, cycle = issue(), period()
    snap = snapshot(item, touched={"i1": touched, "c7": touched} if touched else {})
    made = (component(item, snap, since=since), period_component(cycle, snap, Style(web=WEB, since=since)))
    assert [one.revised for one in made] == [revised, revised]


@pytest.mark.parametrize(
    ("created", "revised", "sequence"),
    [
        pytest.param(CREATED, CREATED, 0, id="new"),
        pytest.param(CREATED, CREATED + HOUR, 3600, id="an hour later"),
        pytest.param(CREATED + HOUR, CREATED, 0, id="before it was made"),
        pytest.param(
            datetime(1800, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC), MAX_SEQUENCE, id="cap"
        ),
    ],
)
def test_sequence_is_seconds_since_creation_in_bounds(
    created: datetime, revised: datetime, sequence: int
) -> None:
    assert component(issue(created=created, updated=revised)).sequence == sequence


moments = st.integers(0, 5000).map(lambda milliseconds: CREATED + timedelta(milliseconds=milliseconds))


@given(moments, moments, moments)
def test_sequence_grows_whenever_last_modified_does(a: datetime, b: datetime, c: datetime) -> None:
    created, early, late = sorted((a, b, c))
    old, new = (component(issue(created=created, updated=moment)) for moment in (early, late))
    moved = lines(old)["LAST-MODIFIED"] != lines(new)["LAST-MODIFIED"]
    assert (new.sequence > old.sequence) == moved


# Cycles and modules


@pytest.mark.parametrize("kind", ["cycle", "module"])
def test_a_period_is_one_event_over_all_its_days(kind: Any) -> None:
    item = period(kind=kind, total=8, done=3)
    made = lines(period_component(item, snapshot(), Style(web=WEB, dates="start-and-due", alarms=(HOUR,))))
    url = f"{WEB}/projects/prop/{kind}s/c7"
    assert made == {
        "UID": f"plane-{kind}-c7@calplanebot",
        "DTSTAMP": "20261120T093000Z",
        "DTSTART;VALUE=DATE": "20261123",
        "DTEND;VALUE=DATE": "20261205",
        "SUMMARY": "Sprint 7",
        "STATUS": "CONFIRMED",
        "DESCRIPTION": f"Project: Property\\nProgress: 3 of 8 done\\n\\n{url}",
        "URL": url,
        "TRANSP": "TRANSPARENT",
        "X-MICROSOFT-CDO-BUSYSTATUS": "FREE",
        "CREATED": "20261101T080000Z",
        "LAST-MODIFIED": "20261120T093000Z",
        "SEQUENCE": "1647000",
    }


@pytest.mark.parametrize(
    ("changes", "progress"),
    [
        pytest.param({"total": 8, "done": 3}, (3, 8), id="Plane's count"),
        pytest.param({"total": 8}, None, id="half a count"),
        pytest.param({}, None, id="no count"),
        pytest.param(
            {"total": 8, "done": 8, "issues": frozenset({"i1", "i2", "i3", "gone"})}, (1, 3), id="our count"
        ),
    ],
)
def test_progress_counts_completed_issues_where_they_are_known(
    changes: dict[str, Any], progress: tuple[int, int] | None
) -> None:
    item = period(**changes)
    snap = snapshot(issue(1, state="completed"), issue(2, state="cancelled"), issue(3), periods=[item])
    assert snap.progress(item) == progress
    assert ("Progress" in period_component(item, snap, Style(web=WEB)).description) == bool(progress)


@pytest.mark.parametrize(
    ("details", "language", "summary", "description"),
    [
        ("title", "en", "Sprint 7", ""),
        ("busy", "en", "Busy", ""),
        ("brief", "de", "Sprint 7", "Projekt: Property\nFortschritt: 3 von 8 erledigt"),
    ],
)
def test_a_period_shows_as_much_as_the_feed_says(
    details: Any, language: Any, summary: str, description: str
) -> None:
    item = period(total=8, done=3)
    made = period_component(item, snapshot(), Style(web=WEB, details=details, language=language))
    assert made.summary == summary
    assert made.description.partition("\n\n")[0] == description


def test_a_period_without_a_name_has_a_title() -> None:
    assert period_component(period("\x07"), snapshot(), Style(web=WEB)).summary == "(no title)"


# Milestones, releases and initiatives

DAY = date(2026, 12, 4)


def plan(kind: Any, name: str = "Autumn", **changes: Any) -> Period:
    """One on one day; of the workspace where it is a release or initiative."""
    project = PROP.id if kind == "milestone" else ""
    return period(name, **{"kind": kind, "project": project, "start": DAY, "end": DAY, **changes})


@pytest.mark.parametrize(
    ("item", "expected", "url", "about"),
    [
        pytest.param(
            plan("milestone", issues=frozenset({"i1", "i2"})),
            {"SUMMARY": "◆ Autumn", "STATUS": "CONFIRMED", "DTSTART;VALUE=DATE": "20261204"},
            "/projects/prop/issues",
            "Project: Property\\nProgress: 1 of 2 done\\n\\n",
            id="milestone",
        ),
        pytest.param(
            plan("milestone"),
            {"SUMMARY": "◆ Autumn"},
            "/projects/prop/issues",
            "Project: Property\\n\\n",
            id="milestone whose work items are not known",
        ),
        pytest.param(
            plan("milestone", "\x07", issues=frozenset()),
            {"SUMMARY": "◆ (no title)"},
            "/projects/prop/issues",
            "Project: Property\\n\\n",
            id="milestone without title and work items",
        ),
        pytest.param(
            plan("release", tag="v2.0", status="released"),
            {"SUMMARY": "Autumn (v2.0)", "STATUS": "CONFIRMED", "DTEND;VALUE=DATE": "20261205"},
            "",
            "",
            id="release",
        ),
        pytest.param(
            plan("release", "V2.0", tag=" v2.0\n", status="unreleased"),
            {"SUMMARY": "V2.0", "STATUS": "TENTATIVE"},
            "",
            "",
            id="planned release whose tag is its name",
        ),
        pytest.param(
            plan("release", status="cancelled", tag="\x07"),
            {"SUMMARY": "Autumn", "STATUS": "CANCELLED"},
            "",
            "",
            id="cancelled release",
        ),
        pytest.param(plan("release"), {"STATUS": "CONFIRMED"}, "", "", id="release of an unknown status"),
        pytest.param(
            plan("initiative", end=date(2027, 1, 31)),
            {"SUMMARY": "Autumn", "STATUS": "CONFIRMED", "DTEND;VALUE=DATE": "20270201"},
            "/initiatives/c7",
            "",
            id="initiative",
        ),
    ],
)
def test_milestones_releases_and_initiatives_are_transparent_events(
    item: Period, expected: dict[str, str], url: str, about: str
) -> None:
    snap = snapshot(issue(1, state="completed"), issue(2), periods=[item])
    made = lines(period_component(item, snap if item.project else None, Style(web=WEB, dates="span")))
    same = {"UID": f"plane-{item.kind}-c7@calplanebot", "TRANSP": "TRANSPARENT", "URL": f"{WEB}{url}"}
    expected = {**expected, **same, "DESCRIPTION": f"{about}{WEB}{url}"}
    assert {name: made[name] for name in expected} == expected
    assert made["LAST-MODIFIED"] == made["DTSTAMP"] == "20261120T093000Z"
    assert is_our_uid(made["UID"])


@pytest.mark.parametrize(
    ("summary", "keyed"),
    [
        ("[1] Issue 1", "[PROP-1] Issue 1"),
        ("Issue 1 [1] of [1]", "Issue 1 [PROP-1] of [1]"),
        ("PROP-1 Issue 1 [1]", "PROP-1 Issue 1 [1]"),
        ("Issue 1", "PROP-1 Issue 1"),
    ],
)
def test_a_title_gets_the_key_once(summary: str, keyed: str) -> None:
    assert keyed_title(summary, snapshot(), issue(1)) == keyed


@pytest.mark.parametrize("kind", ["milestone", "release", "initiative"])
def test_a_busy_feed_shows_only_the_days_of_them(kind: Any) -> None:
    item = plan(kind, status="cancelled", tag="v2")
    snap = snapshot(periods=[item]) if item.project else None
    made = period_component(item, snap, Style(web=WEB, **BUSY))
    assert (made.summary, made.status, made.url, made.description) == ("Busy", "CONFIRMED", None, "")
    assert (made.first, made.last) == (DAY, DAY)
    assert "c7" not in made.uid
    assert kind not in made.uid
    assert item.updated - timedelta(hours=1) < made.revised <= item.updated


def test_with_titles_only_they_have_no_description() -> None:
    item = plan("milestone")
    assert period_component(item, snapshot(), Style(web=WEB, details="title")).description == ""
