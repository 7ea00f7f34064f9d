"""Which items of the snapshots a feed holds: scope, filters, window and query. Today is an argument."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Feed, Match, Window
from icsfeed.errors import AmbiguousName, NameNotFound
from icsfeed.feeds.query import Query, tells_done
from icsfeed.ics.component import is_writable
from icsfeed.model import Issue, Needs, Period, Person, Project, Snapshot

NONE = "none"
"""In a filter: issues without a label, an assignee, a cycle or a module."""

Test: TypeAlias = Callable[[Issue], bool]
Bounds: TypeAlias = tuple[date, date]


class Selection(Struct):
    """The items of a feed, in no order, and how many issues in its scope cannot be shown.

    `undated`: neither start nor due date; `start_only`: no due date; `beyond`: due on a date that no event
    can have (`is_writable`).
    """

    issues: list[tuple[Snapshot, Issue]] = []
    periods: list[tuple[Snapshot, Period]] = []
    undated: int = 0
    start_only: int = 0
    beyond: int = 0


def needs(feed: Feed, query: Query) -> Needs:
    """Return what has to be read for this feed and query.

    Which issues a cycle or module holds costs a request for each (Plane has no other way to ask for it).
    """
    matches = (feed.where, feed.where.exclude, query.only, query.exclude)
    named = {name.casefold() for match in matches for name in (*match.cycle, *match.module)}
    return Needs(
        links=feed.details == "full" or bool(named),
        named=frozenset(named - {NONE}),
        all_periods=NONE in named,
        periods=bool({*feed.include} - {"issues"}),
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
        for name_of in _PROJECT_NAMES:
            for project in known:
                if name_of(project).casefold() == folded:
                    return project
        raise NameNotFound(name, "project", value, [project.key for project in known])

    return tuple(dict.fromkeys(map(project_named, values))) if values else known


def people_named(value: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Return all people that a value names: by id, else e-mail, else display name, else full name."""
    folded, known = value.strip().casefold(), tuple(people)
    for name_of in _PERSON_NAMES:
        named = tuple(person for person in known if name_of(person).strip().casefold() == folded)
        if named:
            return named
    return ()


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
    found: Collection[str] | None = None,
) -> Selection:
    """Return the items of feed `name`. `feed` is already narrowed by `query`, `snapshots` are its projects'.

    `people` are all of the workspace; `found`: ids of the issues that its `pql` finds. Raises NameNotFound
    and AmbiguousName for the feed's assignees.
    """
    selection = Selection()
    for snapshot in snapshots:
        tests = list(_filters(name, feed, query, snapshot, people))
        if feed.pql is not None:
            tests.append(lambda issue: issue.id in (found or ()))
        issues = _passing(snapshot.issues.values(), tests)
        # Cycles and modules belong to a person's feed only where the person has issues in the project.
        if issues or (feed.assignee is None and not feed.unassigned):
            selection.periods += [(snapshot, period) for period in _periods(feed, query, snapshot, today)]
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
    name: str, feed: Feed, query: Query, snapshot: Snapshot, people: Mapping[str, Person]
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
    yield from _all_of(feed.where, snapshot, one_person)
    yield from (_negated(test) for test in _all_of(feed.where.exclude, snapshot, one_person))
    yield from _all_of(query.only, snapshot, shown_people)
    yield from (_negated(test) for test in _all_of(query.exclude, snapshot, shown_people))
    if feed.done == "drop":
        yield lambda issue: not snapshot.is_done(issue)


def _negated(test: Test) -> Test:
    return lambda issue: not test(issue)


def _all_of(match: Match, snapshot: Snapshot, people: Callable[[str], tuple[Person, ...]]) -> Iterator[Test]:
    """Give one test for each field of a match that has values; an issue needs one of the values."""
    if match.priority:
        yield lambda issue: issue.priority in match.priority
    if match.state:
        yield _in_states(_folded(match.state), snapshot)
    if match.label:
        names, labels = _folded(match.label), snapshot.labels.values()
        ids = frozenset(label.id for label in labels if names & _folded((label.id, label.name)))
        yield _any_of(match.label, lambda issue: issue.labels, ids)
    if match.assignee:
        ids = frozenset(person.id for value in match.assignee for person in people(value))
        yield _any_of(match.assignee, lambda issue: issue.assignees, ids)
    for kind, wanted in (("cycle", match.cycle), ("module", match.module)):
        if wanted:
            yield _in_periods(wanted, [period for period in snapshot.periods.values() if period.kind == kind])


def _in_states(wanted: frozenset[str], snapshot: Snapshot) -> Test:
    """Test for a state's group or name. An issue without a known state is in the group backlog."""
    states = {state.id for state in snapshot.states.values() if wanted & _folded((state.group, state.name))}
    if "backlog" not in wanted:
        return lambda issue: issue.state in states
    return lambda issue: issue.state in states or issue.state not in snapshot.states


def _any_of(values: Iterable[str], ids_of: Callable[[Issue], Collection[str]], ids: frozenset[str]) -> Test:
    without = NONE in _folded(values)
    return lambda issue: not ids.isdisjoint(ids_of(issue)) or (without and not ids_of(issue))


def _in_periods(names: Iterable[str], periods: Iterable[Period]) -> Test:
    known, wanted = tuple(periods), _folded(names)
    chosen = [period for period in known if wanted & _folded((period.id, period.name))]
    held = frozenset(issue for period in chosen for issue in period.issues or ())
    if NONE not in wanted:
        return lambda issue: issue.id in held
    anywhere = frozenset(issue for period in known for issue in period.issues or ())
    return lambda issue: issue.id in held or issue.id not in anywhere


def _folded(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.strip().casefold() for value in values)


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


def _periods(feed: Feed, query: Query, snapshot: Snapshot, today: date) -> Iterator[Period]:
    """Give the cycles and modules of a feed that have both dates and fall into its window."""
    kinds = {included.removesuffix("s") for included in feed.include} if feed.component == "vevent" else set()
    bounds = [bound for bound in (_window(feed, today), _days(query, today), _dates(query)) if bound]

    def passes_filters(period: Period) -> bool:
        def names(match: Match) -> frozenset[str]:
            return _folded(match.cycle if period.kind == "cycle" else match.module)

        own = _folded((period.id, period.name))
        included = all(own & names(match) for match in (feed.where, query.only) if names(match))
        return included and not any(own & names(match) for match in (feed.where.exclude, query.exclude))

    for period in snapshot.periods.values():
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


_PERSON_NAMES: tuple[Callable[[Person], str], ...] = (
    lambda person: person.id,
    lambda person: person.email,
    lambda person: person.name,
    lambda person: person.full_name,
)
_PROJECT_NAMES: tuple[Callable[[Project], str], ...] = (
    lambda project: project.id,
    lambda project: project.key,
    lambda project: project.name,
)
