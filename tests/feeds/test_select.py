"""Which issues, cycles and modules a feed holds (docs/mapping.md)."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import ANNA, BOB, OPS, PROP, TODAY, by_id, issue, period, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Duration, Feed, Filter, Included, Match, Window
from icsfeed.errors import AmbiguousName, NameNotFound
from icsfeed.feeds.filters import people_named
from icsfeed.feeds.query import Query, narrowed, parse_query
from icsfeed.feeds.select import Selection, needs, person_of, projects_of, select
from icsfeed.model import Needs, Person, Project, Snapshot

DAY = 86_400
BOB_2 = Person(id="u-bob2", name="Bob", full_name="Bob Beech")
EVERYBODY = by_id((ANNA, BOB, BOB_2))


def selected(
    feed: Feed, query: Query, *snapshots: Snapshot, people: Mapping[str, Person] = EVERYBODY
) -> Selection:
    return select("f", narrowed(feed, query), query, snapshots, people, TODAY)


def numbers(selection: Selection) -> list[int]:
    return sorted(issue.sequence_id for _, issue in selection.issues)


def asked(text: str) -> Query:
    return parse_query(
        [(name, value) for name, _, value in (pair.partition("=") for pair in text.split("&"))]
    )


# Scopes

PROJECTS = (PROP, OPS, Project(id="odd", key="prop2", name="ops"))


@pytest.mark.parametrize(
    ("scope", "keys"),
    [
        pytest.param({"everything": True}, ["PROP", "OPS", "prop2"], id="everything"),
        pytest.param({"assignee": "anna"}, ["PROP", "OPS", "prop2"], id="a person's are in all"),
        pytest.param({"project": " prop "}, ["PROP"], id="key, any case"),
        pytest.param({"project": "ops"}, ["OPS"], id="an id or key wins over a name"),
        pytest.param({"project": "Operations"}, ["OPS"], id="name"),
        pytest.param({"project": "odd"}, ["prop2"], id="id"),
        pytest.param({"projects": ("OPS", "PROP", "prop")}, ["OPS", "PROP"], id="several, each once"),
    ],
)
def test_a_feeds_projects(scope: dict[str, Any], keys: list[str]) -> None:
    assert [project.key for project in projects_of("f", Feed(**scope), PROJECTS)] == keys


def test_a_project_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NameNotFound) as caught:
        projects_of("f", Feed(projects=("PROP", "PRO")), PROJECTS)
    assert (caught.value.feed, caught.value.field, caught.value.value) == ("f", "project", "PRO")
    assert caught.value.known == ("PROP", "OPS", "prop2")


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("u-anna", {"u-anna"}),
        (" ANNA@example.com ", {"u-anna"}),
        ("Anna", {"u-anna"}),
        ("anna agar", {"u-anna"}),
        ("bob", {"u-bob", "u-bob2"}),
        ("carl", set()),
    ],
)
def test_people_are_found_by_id_mail_and_names(value: str, ids: set[str]) -> None:
    assert {person.id for person in people_named(value, EVERYBODY.values())} == ids


def test_a_person_who_is_not_there_is_named_with_those_who_are() -> None:
    with pytest.raises(NameNotFound) as caught:
        person_of("f", "carl", EVERYBODY.values())
    assert (caught.value.feed, caught.value.field, caught.value.value) == ("f", "assignee", "carl")
    assert caught.value.known == ("Bob", "anna@example.com", "bob@example.com")
    with pytest.raises(NameNotFound, match="did you mean bob"):
        person_of("f", "bobb", EVERYBODY.values())


def test_a_name_that_several_have_is_refused_with_the_candidates() -> None:
    with pytest.raises(AmbiguousName) as caught:
        person_of("f", "bob", EVERYBODY.values())
    assert (caught.value.feed, caught.value.field, caught.value.value) == ("f", "assignee", "bob")
    assert caught.value.candidates == ("Bob (u-bob2)", "bob <bob@example.com>")


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ({"everything": True}, [1, 2, 3]),
        ({"assignee": "anna"}, [1, 2]),
        ({"assignee": "bob@example.com"}, [2]),
        ({"unassigned": True}, [3]),
    ],
)
def test_a_feeds_scope_by_person(scope: dict[str, Any], found: list[int]) -> None:
    issues = (issue(1, assignees=("u-anna",)), issue(2, assignees=("u-bob", "u-anna")), issue(3))
    assert numbers(selected(Feed(**scope), Query(), snapshot(*issues))) == found


def test_a_feed_is_over_all_its_snapshots() -> None:
    ops = snapshot(issue(2, project=OPS.id), project=OPS)
    found = selected(Feed(everything=True), Query(), snapshot(issue(1)), ops)
    assert [(snap.project.key, item.sequence_id) for snap, item in found.issues] == [("PROP", 1), ("OPS", 2)]


@pytest.mark.parametrize(("before", "after"), [(PROP, OPS), (OPS, PROP)])
def test_an_issue_that_was_moved_is_in_a_feed_once_as_it_was_last(before: Project, after: Project) -> None:
    left = issue(1, project=before.id)
    come = replace(left, project=after.id, sequence_id=7, updated=left.updated + timedelta(minutes=1))
    both = {before.id: (left, issue(2, project=before.id)), after.id: (come, issue(3, project=after.id))}
    snapshots = [snapshot(*both[project.id], project=project) for project in (PROP, OPS)]
    assert numbers(selected(Feed(everything=True), Query(), *snapshots)) == [2, 3, 7]


# Filters

ISSUES = (
    issue(1, priority="urgent", state="started", labels=("l-bug",), assignees=("u-anna",)),
    issue(2, priority="low", state="completed", labels=("l-bug", "l-law"), assignees=("u-bob", "u-anna")),
    issue(3, state="triage"),
    issue(4, priority="high", state=None, labels=("l-gone",), assignees=("u-gone",)),
)
PERIODS = (
    period("Sprint 7", id="c7", issues=frozenset({"i1", "i2"})),
    period("Sprint 8", id="c8", issues=frozenset({"i3"})),
    period("Sprint 9", id="c9"),
    period("Sales", id="m1", kind="module", issues=frozenset({"i2"})),
)
HELD = snapshot(*ISSUES, periods=PERIODS)
FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"priority": ("urgent", "high")}, [1, 4]),
    ({"priority": ("none",)}, [3]),
    ({"state": ("started",)}, [1]),
    ({"state": ("in REVIEW", "Completed")}, [1, 2]),
    ({"state": ("triage",)}, []),
    ({"state": ("backlog",)}, [3, 4]),  # no state, or one that is not listed: open, as in a VTODO
    ({"state": ("backlog", "unstarted", "started")}, [1, 3, 4]),
    ({"state": ("completed", "cancelled")}, [2]),
    ({"label": ("BUG",)}, [1, 2]),
    ({"label": ("law, tax",)}, [2]),
    ({"label": ("none",)}, [3]),
    ({"label": ("None", "l-law")}, [2, 3]),
    ({"label": ("missing",)}, []),
    ({"assignee": ("anna@example.com",)}, [1, 2]),
    ({"assignee": ("u-bob", "none")}, [2, 3]),
    ({"assignee": ("carl",)}, []),
    ({"cycle": ("sprint 7",)}, [1, 2]),
    ({"cycle": ("c8", "Sprint 9")}, [3]),
    ({"cycle": ("none",)}, [4]),
    ({"cycle": ("None", "Sprint 8")}, [3, 4]),
    ({"module": ("Sales",)}, [2]),
    ({"module": ("none",)}, [1, 3, 4]),
    ({"module": ("Sprint 7",)}, []),
    ({"label": ("bug",), "module": ("none",)}, [1]),
]


@pytest.mark.parametrize(("match", "found"), FILTERS)
def test_a_filter_keeps_what_has_any_value_of_every_field(match: dict[str, Any], found: list[int]) -> None:
    assert numbers(selected(Feed(where=Filter(**match)), Query(), HELD)) == found
    assert numbers(selected(Feed(), Query(only=Match(**match)), HELD)) == found


@pytest.mark.parametrize(("match", "found"), [(match, found) for match, found in FILTERS if len(match) == 1])
def test_a_negated_filter_keeps_the_others(match: dict[str, Any], found: list[int]) -> None:
    others = [number for number in (1, 2, 3, 4) if number not in found]
    assert numbers(selected(Feed(where=Filter(exclude=Match(**match))), Query(), HELD)) == others
    assert numbers(selected(Feed(), Query(exclude=Match(**match)), HELD)) == others


def test_each_field_of_a_negation_excludes() -> None:
    where = Filter(exclude=Match(priority=("urgent",), assignee=("none",)))
    assert numbers(selected(Feed(where=where), Query(), HELD)) == [2, 4]


def test_a_name_that_several_have_is_refused_in_a_feed_and_means_all_of_them_in_a_query() -> None:
    for where in (Filter(assignee=("bob",)), Filter(exclude=Match(assignee=("bob",)))):
        with pytest.raises(AmbiguousName):
            selected(Feed(where=where), Query(), HELD)
    assert numbers(selected(Feed(), asked("assignee=bob"), HELD)) == [2]
    assert numbers(selected(Feed(), asked("assignee=!bob"), HELD)) == [1, 3, 4]


def test_people_of_a_public_feed_are_found_by_what_it_shows_of_them() -> None:
    for value, found in (
        ("anna", [1, 2]),
        ("u-anna", [1, 2]),
        ("Anna Agar", []),
        ("!Anna Agar", [1, 2, 3, 4]),
    ):
        assert numbers(selected(Feed(public=True), asked(f"assignee={value}"), HELD)) == found
    assert numbers(selected(Feed(), asked("assignee=Anna Agar"), HELD)) == [1, 2]


def test_a_person_feed_of_nobody_known_is_refused() -> None:
    with pytest.raises(NameNotFound):
        selected(Feed(assignee="carl"), Query(), HELD)


@pytest.mark.parametrize(
    ("done", "query", "found"),
    [
        ("cancelled", "", [1, 2, 3, 4]),
        ("drop", "", [1, 3, 4]),
        ("drop", "done=keep", [1, 3, 4]),
        ("keep", "done=drop", [1, 3, 4]),
    ],
)
def test_done_issues_are_dropped_when_the_feed_or_the_query_says_so(
    done: Any, query: str, found: list[int]
) -> None:
    assert numbers(selected(Feed(done=done), asked(query), HELD)) == found


# Days


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, [1]),
        ({"details": "title"}, [1]),
        ({"details": "title", "done": "keep"}, []),
        ({"details": "busy"}, []),
        ({"details": "busy", "window": Window(past=Duration(0))}, []),
    ],
)
def test_the_next_days_hold_what_is_overdue_only_where_the_feed_tells_that_it_is_open(
    settings: dict[str, Any], found: list[int]
) -> None:
    before = TODAY - timedelta(days=3)
    issues = snapshot(issue(1, due=before), issue(2, due=before, state="completed"))
    assert numbers(selected(Feed(everything=True, **settings), asked("days=0"), issues)) == found


def window(past: int | None = None, ahead: int | None = None) -> Window:
    return Window(
        past=None if past is None else Duration(past * DAY),
        ahead=None if ahead is None else Duration(ahead * DAY),
    )


def due(days: int, number: int = 1, **changes: Any) -> Snapshot:
    return snapshot(issue(number, due=TODAY + timedelta(days), **changes))


@pytest.mark.parametrize("state", ["unstarted", "completed"])
@pytest.mark.parametrize(
    ("days", "ahead", "past"),
    [
        (-8, True, False),
        (-7, True, True),
        (-1, True, True),
        (0, True, True),
        (30, True, True),
        (31, False, True),
    ],
)
def test_a_window_reaches_to_its_last_day_and_open_overdue_issues_always_stay(
    state: str, days: int, ahead: bool, past: bool
) -> None:
    snap = due(days, state=state)
    overdue = state == "unstarted" and days < 0

    def holds(bounds: Any) -> bool:
        return bool(selected(Feed(window=bounds), Query(), snap).issues)

    assert holds("all")
    assert holds(window())
    assert holds(window(ahead=30)) == ahead
    assert holds(window(past=7)) == (past or overdue)
    assert holds(window(7, 30)) == ((past and ahead) or overdue)


@pytest.mark.parametrize("days", [36_500, 10**7])
def test_a_window_may_be_wider_than_the_calendar(days: int) -> None:
    issues = [issue(1, due=date(1000, 1, 1)), issue(2, due=date(9999, 12, 30))]
    found = selected(Feed(window=window(10**7, 10**7)), Query(), snapshot(*issues))
    assert numbers(found) == [1, 2]


@pytest.mark.parametrize(
    ("dates", "start", "end", "found"),
    [
        ("due", 5, 40, False),
        ("span", 5, 40, True),
        ("span", 31, 40, False),
        ("span", -40, -8, False),
        ("span", -40, -7, True),
        ("span", 50, 40, False),
        ("start-and-due", 5, 40, True),
    ],
)
def test_a_window_cuts_by_an_items_last_and_first_day(dates: Any, start: int, end: int, found: bool) -> None:
    snap = due(end, start=TODAY + timedelta(start), state="completed")
    assert bool(selected(Feed(window=window(7, 30), dates=dates), Query(), snap).issues) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("from=2026-11-20", [2, 3, 4, 5], id="from"),
        pytest.param("to=2026-11-28", [1, 2, 3, 4], id="to, overdue too"),
        pytest.param("from=2026-11-21&to=2026-11-21", [3], id="one day"),
        pytest.param("days=7", [1, 2, 3, 4], id="days: from today, open overdue ones stay"),
        pytest.param("days=0", [1, 2, 3], id="today"),
        pytest.param("days=7&from=2026-11-21", [3, 4], id="both"),
    ],
)
def test_a_query_narrows_to_days(query: str, found: list[int]) -> None:
    days = (-30, -1, 0, 7, 8)
    issues = [issue(n, due=TODAY + timedelta(day)) for n, day in enumerate(days, 1)]
    late_and_done = issue(9, due=TODAY - timedelta(3), state="completed")
    assert numbers(selected(Feed(), asked(query), snapshot(*issues, late_and_done))) == (
        [*found, 9] if query.startswith("to=") else found
    )


def test_a_span_that_a_query_asks_for_does_not_widen_the_feeds_window() -> None:
    snap = due(40, start=TODAY)
    feed = Feed(window=window(ahead=30))
    assert not selected(feed, asked("dates=span"), snap).issues
    assert selected(Feed(), asked("dates=span&days=7"), snap).issues


def test_issues_without_a_due_date_are_counted() -> None:
    issues = [
        issue(1, due=None),
        issue(2, due=None, start=TODAY),
        issue(3, due=date.max),
        issue(5, due=date(999, 12, 31)),
        issue(6, due=date.min),
        issue(4, due=None, priority="low"),
    ]
    found = selected(Feed(where=Filter(priority=("none",))), Query(), snapshot(*issues))
    assert (numbers(found), found.undated, found.start_only, found.beyond) == ([], 1, 1, 3)


@pytest.mark.parametrize(("undated", "found"), [(False, [3]), (True, [1, 2, 3])])
def test_tasks_may_be_undated_and_due_on_the_last_day_there_is(undated: bool, found: list[int]) -> None:
    issues = [issue(1, due=None), issue(2, due=None, start=TODAY), issue(3, due=date.max)]
    feed = Feed(component="vtodo", undated=undated)
    selection = selected(feed, Query(), snapshot(*issues))
    assert (numbers(selection), selection.undated, selection.beyond) == (found, 1, 0)


# Cycles and modules


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, set()),
        ({"include": ("cycles",)}, {"c7", "c8", "c9"}),
        ({"include": ("issues", "modules")}, {"m1"}),
        ({"include": ("cycles", "modules"), "component": "vtodo"}, set()),
        ({"include": ("cycles",), "where": Filter(cycle=("Sprint 7", "c8"))}, {"c7", "c8"}),
        ({"include": ("cycles",), "where": Filter(cycle=("none",))}, set()),
        ({"include": ("cycles",), "where": Filter(exclude=Match(cycle=("Sprint 7",)))}, {"c8", "c9"}),
        ({"include": ("cycles", "modules"), "where": Filter(cycle=("Sprint 7",))}, {"c7", "m1"}),
        ({"include": ("cycles",), "assignee": "anna"}, {"c7", "c8", "c9"}),
        ({"include": ("cycles",), "assignee": "u-bob2"}, set()),
        (
            {"include": ("cycles",), "everything": True, "where": Filter(label=("missing",))},
            {"c7", "c8", "c9"},
        ),
    ],
)
def test_a_feed_includes_cycles_and_modules(settings: dict[str, Any], found: set[str]) -> None:
    selection = selected(Feed(**settings), Query(), HELD)
    assert {item.id for _, item in selection.periods} == found


def test_a_feed_may_hold_cycles_and_no_issues() -> None:
    selection = selected(Feed(include=("cycles",)), Query(), HELD, snapshot(issue(9, due=None)))
    assert (selection.issues, selection.undated) == ([], 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [("cycle=Sprint 7", {"c7"}), ("cycle=!Sprint 7", {"c8", "c9"}), ("priority=high", {"c7", "c8", "c9"})],
)
def test_a_query_narrows_cycles_by_name(query: str, found: set[str]) -> None:
    selection = selected(Feed(include=("cycles",)), asked(query), HELD)
    assert {item.id for _, item in selection.periods} == found


@pytest.mark.parametrize(
    ("start", "end", "wide", "narrow"),
    [
        pytest.param(None, TODAY, False, False, id="no start"),
        pytest.param(TODAY, None, False, False, id="no end"),
        pytest.param(TODAY, TODAY, True, True, id="one day"),
        pytest.param(TODAY, TODAY - timedelta(1), False, False, id="ends before it starts"),
        pytest.param(TODAY, date.max, False, False, id="ends after the last day"),
        pytest.param(date(999, 12, 31), TODAY, False, False, id="begins before the year 1000"),
        pytest.param(date(2026, 1, 1), date(2027, 12, 31), True, True, id="around the window"),
        pytest.param(date(2026, 1, 1), TODAY - timedelta(8), True, False, id="before it"),
        pytest.param(date(2026, 1, 1), TODAY - timedelta(7), True, True, id="into it"),
        pytest.param(TODAY + timedelta(30), date(2027, 12, 31), True, True, id="out of it"),
        pytest.param(TODAY + timedelta(31), date(2027, 12, 31), True, False, id="after it"),
    ],
)
def test_a_period_needs_both_dates_and_a_day_in_the_window(
    start: date | None, end: date | None, wide: bool, narrow: bool
) -> None:
    snap = snapshot(periods=[period(start=start, end=end)])
    feed = Feed(include=("cycles",))
    first, last = TODAY - timedelta(7), TODAY + timedelta(30)
    assert bool(selected(feed, Query(), snap).periods) == wide
    assert bool(selected(replace(feed, window=window(7, 30)), Query(), snap).periods) == narrow
    assert bool(selected(feed, Query(first=first, last=last), snap).periods) == narrow


@pytest.mark.parametrize(
    ("settings", "query", "expected"),
    [
        ({"details": "brief"}, "", Needs()),
        ({}, "", Needs(links=True)),
        (
            {"details": "title", "where": Filter(cycle=("Sprint 7",))},
            "",
            Needs(True, frozenset({"sprint 7"})),
        ),
        ({"details": "title"}, "module=X&cycle=!None", Needs(True, frozenset({"x"}), True)),
        (
            {"details": "title", "where": Filter(exclude=Match(module=("Y",)))},
            "",
            Needs(True, frozenset({"y"})),
        ),
        ({"details": "title", "where": Filter(label=("none",))}, "days=7", Needs()),
        ({"details": "title", "pql": "label = bug"}, "", Needs(pql="label = bug")),
    ],
)
def test_links_are_read_only_where_a_feed_shows_or_asks_for_them(
    settings: dict[str, Any], query: str, expected: Needs
) -> None:
    assert needs(Feed(**settings), asked(query)) == expected


# A query never widens

days = st.none() | st.dates(TODAY - timedelta(60), TODAY + timedelta(60))
issues = st.builds(
    issue,
    st.integers(1, 99),
    due=days,
    start=days,
    priority=st.sampled_from(["urgent", "low", "none"]),
    state=st.sampled_from(["started", "completed", "cancelled", None]),
    labels=st.sampled_from([(), ("l-bug",), ("l-bug", "l-docs")]),
    assignees=st.sampled_from([(), ("u-anna",), ("u-bob",)]),
)
matches = st.builds(
    Match,
    priority=st.sampled_from([(), ("urgent",)]),
    state=st.sampled_from([(), ("started",)]),
    label=st.sampled_from([(), ("bug",), ("none",)]),
    assignee=st.sampled_from([(), ("anna",), ("none",), ("nobody",)]),
    cycle=st.sampled_from([(), ("Sprint 7",), ("none",)]),
)
feeds = st.builds(
    Feed,
    window=st.just("all") | st.builds(window, st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)),
    dates=st.sampled_from(["due", "span", "start-and-due"]),
    done=st.sampled_from(["keep", "drop"]),
    component=st.sampled_from(["vevent", "vtodo"]),
    include=st.just(("issues", "cycles")),
)
queries = st.builds(
    Query,
    only=matches,
    exclude=matches,
    first=days,
    last=days,
    days=st.none() | st.integers(0, 40),
    component=st.sampled_from([None, "vevent", "vtodo"]),
    done=st.sampled_from([None, "keep", "drop"]),
    dates=st.sampled_from([None, "due", "span", "start-and-due"]),
)


@given(st.lists(issues, max_size=12), feeds, queries)
def test_a_narrowed_feed_holds_no_issue_that_the_feed_does_not(items: Any, feed: Feed, query: Query) -> None:
    snap = snapshot(*items, periods=[period(issues=frozenset({"i1", "i2", "i3"}))])
    whole, part = (selected(feed, one, snap) for one in (Query(), query))
    assert set(numbers(part)) <= set(numbers(whole))
    if feed.component == "vevent":
        assert len(part.periods) <= len(whole.periods)


@pytest.mark.parametrize(
    ("wanted", "must"),
    [
        (Needs(), False),
        (Needs(links=True), False),
        (Needs(periods=True), True),
        (Needs(all_periods=True), True),
    ],
)
def test_a_feed_that_shows_or_names_cycles_must_know_them(wanted: Needs, must: bool) -> None:
    assert wanted.must_know_periods is must
    assert replace(wanted, named=frozenset({"sprint"})).must_know_periods


# Milestones, releases and initiatives

KINDS = ("cycle", "module", "milestone", "release", "initiative")
PLANNED: tuple[Included, ...] = ("issues", "milestones", "releases", "initiatives")
OF_PROJECT = [period(kind, id=kind, kind=kind) for kind in ("cycle", "module", "milestone")]
OF_WORKSPACE = [period(kind, id=kind, kind=kind, project="") for kind in ("release", "initiative")]


def _kinds(feed: Feed, query: str = "", of_workspace: Any = OF_WORKSPACE) -> set[str]:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    narrowed_by = parse_query(pairs)
    snap = snapshot(issue(1), periods=OF_PROJECT)
    found = select("f", narrowed(feed, narrowed_by), narrowed_by, [snap], snap.people, TODAY, of_workspace)
    assert all((of is None) == (item.project == "") for of, item in found.periods)
    return {item.kind for _, item in found.periods}


@pytest.mark.parametrize("kind", KINDS)
def test_a_feed_holds_the_kinds_that_it_includes_and_no_others(kind: Any) -> None:
    assert _kinds(Feed(everything=True, include=("issues", f"{kind}s"))) == {kind}  # type: ignore[arg-type]
    assert _kinds(Feed(everything=True)) == set()


def test_releases_and_initiatives_are_only_in_feeds_of_everything() -> None:
    assert _kinds(Feed(project="PROP", include=PLANNED)) == {"milestone"}
    assert _kinds(Feed(everything=True, include=PLANNED)) == {"milestone", "release", "initiative"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("from=2026-11-25&to=2026-11-26", {"milestone", "release", "initiative"}),
        ("from=2027-01-01", set()),
        ("days=30", {"milestone", "release", "initiative"}),
        ("project=PROP", {"milestone"}),
        ("project=!PROP", {"release", "initiative"}),
        ("cycle=milestone", {"milestone", "release", "initiative"}),
        ("priority=urgent", {"milestone", "release", "initiative"}),
        ("component=vtodo", set()),
    ],
)
def test_a_query_narrows_them_by_day_and_project(query: str, found: set[str]) -> None:
    assert _kinds(Feed(everything=True, include=PLANNED), query) == found


def test_a_milestone_without_a_day_is_not_shown() -> None:
    bare = [replace(each, start=None, end=None) for each in OF_WORKSPACE]
    assert _kinds(Feed(everything=True, include=("releases", "initiatives")), of_workspace=bare) == set()


@pytest.mark.parametrize(
    ("settings", "query", "lists"),
    [
        ({}, "", set()),
        ({"include": ("issues", "cycles")}, "", set()),
        ({"include": ("issues", "modules")}, "", set()),
        ({"include": ("milestones", "releases")}, "", {"milestones", "releases"}),
        ({"include": ("initiatives",)}, "", {"initiatives"}),
        ({"summary": "{type}: {name}"}, "", {"types"}),
        ({"categories": ("type",)}, "", {"types"}),
        ({"where": Filter(type=("epic",))}, "", {"types"}),
        ({"where": Filter(exclude=Match(type=("Bug",)))}, "", {"types"}),
        ({}, "type=epic", {"types"}),
        ({}, "type=!epic", {"types"}),
    ],
)
def test_only_feeds_that_show_or_name_them_need_them(
    settings: dict[str, Any], query: str, lists: set[str]
) -> None:
    name, _, value = query.partition("=")
    found = needs(Feed(everything=True, **settings), parse_query([(name, value)]))
    assert found.lists == lists
    assert ("types" in found.required) is bool(query or "where" in settings)
    assert found.periods == any(kind in settings.get("include", ()) for kind in ("cycles", "modules"))


def test_a_feed_of_nothing_else_requires_the_lists_that_it_is_made_of() -> None:
    wide: Any = ("milestones", "releases")
    assert needs(Feed(everything=True, include=wide), asked("")).required == {*wide}
    assert needs(Feed(everything=True, include=("issues", *wide)), asked("")).required == set()


@pytest.mark.parametrize(
    ("found", "shown"), [(frozenset({"i1", "i3", "elsewhere"}), [1]), (frozenset(), []), (None, [])]
)
def test_a_search_is_a_condition_as_well_as_the_others(
    found: frozenset[str] | None, shown: list[int]
) -> None:
    issues = (issue(1, priority="high"), issue(2, priority="high"), issue(3))
    feed = Feed(everything=True, pql="x", where=Filter(priority=("high",)))
    people = by_id((ANNA, BOB))
    assert numbers(select("f", feed, Query(), [snapshot(*issues)], people, TODAY, found=found)) == shown
