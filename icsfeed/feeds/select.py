"""Which items of the snapshots a feed holds: scope, filters, window and query. Today is an argument."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Feed, Match, Window
from icsfeed.errors import AmbiguousName, NameNotFound
from icsfeed.feeds.filters import (
    NONE,
    PROJECT_NAMES,
    Hierarchy,
    NameScope,
    Test,
    folded,
    is_in_projects,
    people_named,
    tests_of,
)
from icsfeed.feeds.query import Query, tells_done
from icsfeed.ics.component import is_writable
from icsfeed.model import Issue, Needs, Period, Person, Project, Snapshot

Bounds: TypeAlias = tuple[date, date]


class Selection(Struct):
    """The items of a feed, in no order, and how many issues in its scope cannot be shown.

    Releases and initiatives have no snapshot. `undated`: neither start nor due date; `start_only`: no due
    date; `beyond`: due on a date that no event can have (`is_writable`).
    """

    issues: list[tuple[Snapshot, Issue]] = []
    periods: list[tuple[Snapshot | None, Period]] = []
    undated: int = 0
    start_only: int = 0
    beyond: int = 0


def needs(feed: Feed, query: Query) -> Needs:
    """Return what has to be read for this feed and query.

    Which issues a cycle or module holds costs a request for each (Plane has no other way to ask for it).
    """
    matches = (feed.where, feed.where.exclude, query.only, *query.also, query.exclude)
    named = {name.casefold() for match in matches for name in (*match.cycle, *match.module)}
    included = frozenset(feed.include)
    lists = included & {"milestones", "releases", "initiatives"}
    types = frozenset({"types"})
    shows_types = "{type}" in feed.summary or "type" in feed.categories
    is_of_types = any(match.type for match in matches)
    return Needs(
        links=feed.details == "full" or bool(named),
        named=frozenset(named - {NONE}),
        all_periods=NONE in named,
        periods=not included.isdisjoint(("cycles", "modules")),
        lists=lists | types if shows_types or is_of_types else lists,
        required=(lists if lists == included else frozenset()) | (types if is_of_types else frozenset()),
        pql=feed.pql or "",
    )


def projects_of(name: str, feed: Feed, projects: Iterable[Project]) -> tuple[Project, ...]:
    """Return the projects of a feed: by id, else key, else name; all where it names none.

    Raises NameNotFound when one does not exist.
    """
    known = tuple(projects)
    values = (feed.project,) if feed.project is not None else feed.projects

    def project_named(value: str) -> Project:
        folded = value.strip().casefold()
        for name_of in PROJECT_NAMES:
            for project in known:
                if name_of(project).casefold() == folded:
                    return project
        raise NameNotFound(name, "project", value, [project.key for project in known])

    return tuple(dict.fromkeys(map(project_named, values))) if values else known


def person_of(name: str, value: str, people: Iterable[Person]) -> Person:
    """Return the one person that a feed names. Raises NameNotFound, or AmbiguousName with the candidates."""
    known = tuple(people)
    named = people_named(value, known)
    if not named:
        listed = sorted(person.email or person.name for person in known)
        others = sorted({name for person in known for name in (person.name, person.full_name) if name})
        raise NameNotFound(name, "assignee", value, listed, others)
    if len(named) > 1:
        candidates = sorted(
            f"{person.name} <{person.email}>" if person.email else f"{person.name} ({person.id})"
            for person in named
        )
        raise AmbiguousName(name, "assignee", value, candidates)
    return named[0]


def select(
    name: str,
    feed: Feed,
    query: Query,
    snapshots: Iterable[Snapshot],
    people: Mapping[str, Person],
    today: date,
    of_workspace: Iterable[Period] = (),
    found: Collection[str] | None = None,
) -> Selection:
    """Return the items of feed `name`. `feed` is already narrowed by `query`, `snapshots` are its projects'.

    `people` are all of the workspace, `of_workspace` its releases and initiatives; `found`: ids of the issues
    that its `pql` finds. Raises NameNotFound and AmbiguousName for the feed's assignees.
    """
    selection, hierarchy = Selection(), Hierarchy(tuple(snapshots))
    if feed.everything:
        periods = _periods(feed, query, of_workspace, None, today)
        selection.periods += [(None, period) for period in periods]
    for snapshot in hierarchy.snapshots:
        filters = list(_filters(name, feed, query, snapshot, people, hierarchy))
        if feed.pql is not None:
            filters.append(lambda issue: issue.id in (found or ()))
        issues = _passing(snapshot.issues.values(), filters)
        # Cycles and the like belong to a person's feed only where the person has issues in the project.
        if issues or (feed.assignee is None and not feed.unassigned):
            periods = _periods(feed, query, snapshot.periods.values(), snapshot.project, today)
            selection.periods += [(snapshot, period) for period in periods]
        if "issues" in feed.include:
            _add_issues(selection, issues, snapshot, feed, _day_tests(feed, query, snapshot, today))
    selection.issues = _unique(selection.issues)
    return selection


def _unique(issues: list[tuple[Snapshot, Issue]]) -> list[tuple[Snapshot, Issue]]:
    """Keep the newest copy of each issue: one that was moved is in two projects until both are read again."""
    newest: dict[str, tuple[Snapshot, Issue]] = {}
    for item in issues:
        other = newest.setdefault(item[1].id, item)
        if other[1].updated < item[1].updated:
            newest[item[1].id] = item
    return issues if len(newest) == len(issues) else list(newest.values())


def _add_issues(
    selection: Selection, issues: Sequence[Issue], snapshot: Snapshot, feed: Feed, tests: Sequence[Test]
) -> None:
    """Add the issues that can be shown and pass the tests on their days; count those that cannot."""
    dated = [issue for issue in issues if issue.due is not None]
    undated = [issue for issue in issues if issue.due is None]
    starting = sum(issue.start is not None for issue in undated)
    selection.undated += len(undated) - starting
    selection.start_only += starting
    # An event ends on the day after (DTEND), which the last day of the calendar does not have; a VTODO's
    # DUE is the day itself.
    events = feed.component == "vevent"
    writable = [issue for issue in dated if not events or (issue.due and is_writable(issue.due))]
    selection.beyond += len(dated) - len(writable)
    shown = _passing(writable, tests)
    if feed.undated and feed.component == "vtodo":
        shown += undated
    selection.issues += [(snapshot, issue) for issue in shown]


def _passing(issues: Iterable[Issue], tests: Sequence[Test]) -> list[Issue]:
    """Return those that pass all tests; a copy of all, cheaply, where there are none."""
    return [issue for issue in issues if all(test(issue) for test in tests)] if tests else list(issues)


def _filters(
    name: str,
    feed: Feed,
    query: Query,
    snapshot: Snapshot,
    people: Mapping[str, Person],
    hierarchy: Hierarchy,
) -> Iterator[Test]:
    """Give the tests of the feed and the query that are not about days, with names resolved to ids once."""

    def one_person(value: str) -> tuple[Person, ...]:
        known = people_named(value, people.values())
        return (person_of(name, value, known),) if known else ()

    def shown_people(value: str) -> tuple[Person, ...]:
        named = people_named(value, people.values())
        # A public feed shows display names only: nobody may find out addresses or full names by trying.
        if not feed.public:
            return named
        folded = value.strip().casefold()
        return tuple(who for who in named if folded in (who.id.casefold(), who.name.strip().casefold()))

    if feed.assignee is not None:
        assignee = person_of(name, feed.assignee, people.values()).id
        yield lambda issue: assignee in issue.assignees
    if feed.unassigned:
        yield lambda issue: not issue.assignees
    configured, asked = (NameScope(snapshot, hierarchy, whom) for whom in (one_person, shown_people))
    yield from tests_of(feed.where, configured)
    yield from map(_negated, tests_of(feed.where.exclude, configured))
    for match in (query.only, *query.also):
        yield from tests_of(match, asked)
    yield from map(_negated, tests_of(query.exclude, asked))
    if feed.done == "drop":
        yield lambda issue: not snapshot.is_done(issue)


def _negated(test: Test) -> Test:
    return lambda issue: not test(issue)


def _day_tests(feed: Feed, query: Query, snapshot: Snapshot, today: date) -> Sequence[Test]:
    """Return the tests on an issue's days. `window` and `days` let open overdue issues pass, dates do not.

    A date mode that the query asks for applies to the query's bounds only: it must not widen the window.
    """
    window, days, spans = _window(feed, today), _days(query, today), feed.dates != "due"

    def overdue(issue: Issue) -> bool:
        return issue.due is not None and issue.due < today and not snapshot.is_done(issue)

    def within_or_overdue(bounds: Bounds, spans: bool) -> Test:
        inside = _within(bounds, spans)
        return lambda issue: inside(issue) or overdue(issue)

    # Overdue issues are open ones: a feed that does not show what is done must not reveal it like this.
    windowed = _within if feed.details == "busy" else within_or_overdue
    ahead = within_or_overdue if tells_done(feed) else _within
    tests = [windowed(window, spans and query.dates is None)] if window else []
    tests += [ahead(days, spans)] if days else []
    return [*tests, _within(_dates(query), spans)] if query.first or query.last else tests


def _within(bounds: Bounds, spans: bool) -> Test:
    """Test whether an issue with a due date has a day in these bounds, both inclusive."""

    def test(issue: Issue) -> bool:
        last = issue.due or date.max
        first = min(issue.start or last, last) if spans else last
        return bounds[0] <= last and first <= bounds[1]

    return test


def _periods(
    feed: Feed, query: Query, periods: Iterable[Period], project: Project | None, today: date
) -> Iterator[Period]:
    """Give those of these periods that a feed includes, that have both dates and fall into its window.

    `project`: theirs; None for releases and initiatives.
    """
    kinds = {included.removesuffix("s") for included in feed.include} if feed.component == "vevent" else set()
    bounds = [bound for bound in (_window(feed, today), _days(query, today), _dates(query)) if bound]
    matches = (feed.where, query.only, *query.also)

    def passes_filters(period: Period) -> bool:
        def names(match: Match) -> frozenset[str]:
            return folded({"cycle": match.cycle, "module": match.module}.get(period.kind, ()))

        own = folded((period.id, period.name))
        included = all(own & names(match) for match in matches if names(match))
        return included and not any(own & names(match) for match in (feed.where.exclude, query.exclude))

    chosen = [match.project for match in matches if match.project]
    if not all(project is not None and is_in_projects(project, values) for values in chosen):
        return
    if project is not None and is_in_projects(project, (*feed.where.exclude.project, *query.exclude.project)):
        return
    for period in periods:
        if period.kind not in kinds or period.start is None or period.end is None:
            continue
        first, last = period.start, period.end
        is_shown = first <= last and all(low <= last and first <= high for low, high in bounds)
        if is_shown and is_writable(first) and is_writable(last) and passes_filters(period):
            yield period


def _window(feed: Feed, today: date) -> Bounds | None:
    if not isinstance(feed.window, Window):
        return None
    past, ahead = feed.window.past, feed.window.ahead
    low = date.min if past is None else _shift(today, -past.delta)
    return low, date.max if ahead is None else _shift(today, ahead.delta)


def _days(query: Query, today: date) -> Bounds | None:
    return None if query.days is None else (today, _shift(today, timedelta(days=query.days)))


def _dates(query: Query) -> Bounds:
    return query.first or date.min, query.last or date.max


def _shift(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError:
        return date.max if by > timedelta() else date.min
