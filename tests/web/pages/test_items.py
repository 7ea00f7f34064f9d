"""What pages show of an item: no more than the `.ics` of the same feed says."""

from datetime import date

import pytest
from making import LABELS, OPS, TODAY, by_id, calendar, issue, material, period, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Details, Feed
from icsfeed.model import ItemType, PeriodKind
from icsfeed.web.pages.items import Facts, PageItem, items_of

EVERYTHING = Feed(everything=True, include=("issues", "cycles", "modules"))


def _items(feed: Feed, *issues: object) -> tuple[PageItem, ...]:
    snap = snapshot(*issues, periods=[period()], types=TYPES)  # type: ignore[arg-type]
    return items_of(calendar(feed, material(snap)), feed.details)


def _item(feed: Feed = EVERYTHING, **changes: object) -> PageItem:
    found = _items(feed, issue(1, **changes))
    return next(item for item in found if item.kind != "cycle")


FULL = Facts(
    state="In Review",
    group="started",
    people=("anna", "bob"),
    labels=("Bug", "docs"),
    key="PROP-1",
    creator="anna",
    type="Task",
)
TYPES = by_id([ItemType("t-task", "Task")])
RICH = {
    "state": "started",
    "assignees": ("u-bob", "u-anna", "gone"),
    "labels": ("l-docs", "l-bug", "gone"),
    "creator": "u-anna",
    "type": "t-task",
    "parent": "gone",
}


@pytest.mark.parametrize(
    ("details", "facts"),
    [
        ("full", FULL),
        ("brief", Facts(state="In Review", group="started", labels=("Bug", "docs"), key="PROP-1")),
        ("title", Facts(labels=("Bug", "docs"))),
        ("busy", Facts()),
    ],
)
def test_the_facts_beside_an_item_are_those_that_its_description_holds(
    details: Details, facts: Facts
) -> None:
    feed = Feed(everything=True, details=details)
    assert _item(feed, **RICH).facts == facts


def test_a_busy_feeds_page_says_nothing_that_its_ics_hides() -> None:
    item = _item(Feed(everything=True, details="busy"), **RICH, name="Secret plan", priority="urgent")
    assert item == PageItem(title="Busy", first=date(2026, 12, 1), last=date(2026, 12, 1))


def test_labels_below_full_details_are_the_categories_that_the_feed_chose() -> None:
    feed = Feed(everything=True, details="title", categories=("project", "priority"))
    assert _item(feed, **RICH, priority="high").facts.labels == ("Property", "high")
    assert _item(Feed(everything=True, categories=()), **RICH).facts.labels == ("Bug", "docs")


def test_an_issue_is_an_item_with_its_priority_colour_and_way_to_plane() -> None:
    item = _item(priority="urgent", name="Repair")
    assert (item.title, item.priority, item.color, item.kind) == ("[1] Repair", "urgent", "red", "issue")
    assert item.url == "https://plane.example.com/acme/projects/prop/issues/i1"


def test_cycles_and_notices_are_told_from_issues() -> None:
    feed = Feed(everything=True, include=("issues", "cycles"), overdue_digest=True)
    kinds = {item.title: item.kind for item in _items(feed, issue(1, due=date(2026, 11, 1)))}
    assert kinds == {"[1] Issue 1": "issue", "Sprint 7": "cycle", "1 overdue": "notice"}


def test_both_events_of_an_issue_have_its_facts() -> None:
    feed = Feed(everything=True, dates="start-and-due")
    found = _items(feed, issue(1, state="started", start=date(2026, 11, 25)))
    assert [(item.first, item.facts.state) for item in found] == [
        (date(2026, 11, 25), "In Review"),
        (date(2026, 12, 1), "In Review"),
    ]


def test_a_task_with_a_start_spans_and_one_without_a_date_has_none() -> None:
    feed = Feed(everything=True, component="vtodo", undated=True)
    found = _items(feed, issue(1, start=date(2026, 11, 25)), issue(2, due=None))
    assert [(item.first, item.last) for item in found] == [
        (date(2026, 11, 25), date(2026, 12, 1)),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("feed", "state", "done"),
    [
        (Feed(everything=True), "completed", True),
        (Feed(everything=True), "cancelled", True),
        (Feed(everything=True), "started", False),
        (Feed(everything=True, done="keep"), "completed", False),
        (Feed(everything=True, done="check"), "completed", False),
        (Feed(everything=True, component="vtodo"), "completed", True),
    ],
)
def test_an_item_is_done_as_its_feed_shows_it(feed: Feed, state: str, done: bool) -> None:
    assert _item(feed, state=state).done is done


@pytest.mark.parametrize(
    ("due", "state", "details", "overdue"),
    [
        (date(2026, 11, 20), "started", "full", True),
        (date(2026, 11, 20), "backlog", "brief", True),
        (TODAY, "started", "full", False),
        (date(2026, 11, 20), "completed", "full", False),
        (date(2026, 11, 20), None, "full", True),
        (date(2026, 11, 20), "started", "title", False),
        (date(2026, 11, 20), "started", "busy", False),
    ],
)
def test_an_item_is_overdue_only_where_the_feed_says_that_it_is_open(
    due: date, state: str | None, details: Details, overdue: bool
) -> None:
    item = _item(Feed(everything=True, details=details, done="keep"), due=due, state=state)
    assert item.is_overdue(TODAY) is overdue


def test_items_come_by_day_and_the_urgent_first() -> None:
    found = _items(
        Feed(everything=True),
        issue(1, due=date(2026, 12, 2)),
        issue(2, priority="low"),
        issue(3, priority="urgent"),
    )
    assert [item.title for item in found] == ["[3] Issue 3", "[2] Issue 2", "[1] Issue 1"]


def test_label_names_without_a_letter_are_not_shown() -> None:
    blank = type(LABELS[0])(id="l-blank", name=" \n")
    snap = snapshot(issue(1, labels=("l-blank",)), labels={"l-blank": blank})
    (item,) = items_of(calendar(Feed(everything=True), material(snap)), "full")
    assert item.facts.labels == ()


@pytest.mark.parametrize(
    ("settings", "titles"),
    [
        ({}, ["[OPS-1] Lift", "[PROP-1] Lift"]),
        ({"details": "brief"}, ["[OPS-1] Lift", "[PROP-1] Lift"]),
        ({"done": "check"}, ["[PROP-1] Lift", "✓ [OPS-1] Lift"]),
        ({"summary": "{name}"}, ["OPS-1 Lift", "PROP-1 Lift"]),
        ({"summary": "{key}: {name}"}, ["OPS-1: Lift", "PROP-1: Lift"]),
        ({"details": "title"}, ["[1] Lift", "[1] Lift"]),
        ({"details": "busy"}, ["Busy", "Busy"]),
    ],
)
def test_titles_show_the_key_where_a_feed_has_several_projects(
    settings: dict[str, object], titles: list[str]
) -> None:
    feed = replace(Feed(everything=True), **settings)
    prop = snapshot(issue(1, name="Lift"))
    ops = snapshot(issue(1, id="o1", name="Lift", project=OPS.id, state="completed"), project=OPS)
    items = items_of(calendar(feed, material(prop, ops)), feed.details, keyed=True)
    assert sorted(item.title for item in items) == titles


def test_the_key_replaces_the_number_and_not_a_part_of_the_name() -> None:
    feed = Feed(everything=True, dates="start-and-due", summary="{name} [{sequence_id}]")
    found = snapshot(issue(1, name="Lift 1", start=TODAY))
    items = items_of(calendar(feed, material(found)), "full", keyed=True)
    assert [item.title for item in items] == ["Lift 1 [PROP-1] (start)", "Lift 1 [PROP-1]"]


@pytest.mark.parametrize("kind", ["milestone", "release", "initiative"])
def test_milestones_releases_and_initiatives_are_called_so(kind: PeriodKind) -> None:
    item = period(id="x", kind=kind, status="cancelled" if kind == "release" else None)
    view = material(snapshot(periods=[item] if kind == "milestone" else []))
    if kind != "milestone":
        view = replace(view, periods=(replace(item, project=""),))
    feed = Feed(everything=True, include=("milestones", "releases", "initiatives"))
    (shown,) = items_of(calendar(feed, view), "full")
    assert (shown.kind, shown.done) == (kind, kind == "release")
    (busy,) = items_of(calendar(replace(feed, details="busy"), view), "busy")
    assert (busy.kind, busy.done) == ("issue", False)


@pytest.mark.parametrize(
    ("title", "split"),
    [
        ("[PROP-42] Paint the hall", ("Paint the hall", "[PROP-42]")),
        ("[42] Paint the hall", ("Paint the hall", "[42]")),
        ("[4] Paint the hall", ("[4] Paint the hall", "")),
        ("[urgent] Paint the hall", ("[urgent] Paint the hall", "")),
        ("[42] ", ("[42] ", "")),
        ("✓ [42] Paint the hall", ("✓ [42] Paint the hall", "")),
        ("Paint the hall", ("Paint the hall", "")),
    ],
)
def test_the_number_of_an_issue_is_told_from_its_name(title: str, split: tuple[str, str]) -> None:
    item = PageItem(title=title, first=None, last=None, facts=Facts(key="PROP-42"))
    assert item.name_and_number == split
    hidden = replace(item, facts=Facts())
    assert hidden.name_and_number == (title, "")
