"""Which items of the snapshots a feed holds: scope, filter, window and narrowing. Today is an argument."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Feed, Match, Window
from icsfeed.errors import AmbiguousName, NameNotFound
from icsfeed.feeds.query import Query, tells_done
from icsfeed.ics.component import is_writable
from icsfeed.model import Issue, Label, Needs, Period, Person, Project, Snapshot

NONE = "none"
"""In a filter: has no label, nobody assigned, is in no cycle, in no module."""

Test: TypeAlias = Callable[[Issue], bool]
Bounds: TypeAlias = tuple[date, date]


class Selection(Struct):
    """The items of a feed, in no order, and how many issues in its scope have no place in it.

    `undated`: neither start nor due date; `start_only`: no due date; `beyond`: due on a day that no event
    can be on (`is_writable`).
    """

    issues: list[tuple[Snapshot, Issue]] = []
    periods: list[tuple[Snapshot, Period]] = []
    undated: int = 0
    start_only: int = 0
    beyond: int = 0


def needs(feed: Feed, query: Query) -> Needs:
    """What has to be read for this feed and query (design.md: links cost a request for each)."""
    matches = (feed.where, feed.where.exclude, query.only, query.exclude)
    named = {name.casefold() for match in matches for name in (*match.cycle, *match.module)}
    return Needs(
        links=feed.details == "full" or bool(named),
        named=frozenset(named - {NONE}),
        all_periods=NONE in named,
        periods=bool({*feed.include} - {"issues"}),
    )


def projects_of(name: str, feed: Feed, projects: Iterable[Project]) -> tuple[Project, ...]:
    """The projects a feed is over, by key, name or id. Raises NameNotFound when one is not there."""
    known = tuple(projects)
    wanted = (feed.project,) if feed.project is not None else feed.projects
    if not wanted:
        return known
    return tuple(dict.fromkeys(_project(name, value, known) for value in wanted))


def _project(feed: str, value: str, known: Sequence[Project]) -> Project:
    folded = value.strip().casefold()
    for name_of in _PROJECT_NAMES:
        for project in known:
            if name_of(project).casefold() == folded:
                return project
    raise NameNotFound(feed, "project", value, [project.key for project in known])


def people_named(value: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Everybody a value fits: by id, else e-mail, else display name, else full name."""
    folded, known = value.strip().casefold(), tuple(people)
    for name_of in _PERSON_NAMES:
        found = tuple(person for person in known if name_of(person).strip().casefold() == folded)
        if found:
            return found
    return ()


def person_of(name: str, value: str, people: Iterable[Person]) -> Person:
    """The one person a feed names. Raises NameNotFound, or AmbiguousName with the candidates."""
    known = tuple(people)
    found = people_named(value, known)
    if not found:
        listed = sorted(person.email or person.name for person in known)
        others = sorted({name for person in known for name in (person.name, person.full_name) if name})
        raise NameNotFound(name, "assignee", value, listed, others)
    if len(found) > 1:
        raise AmbiguousName(name, "assignee", value, sorted(_candidate(person) for person in found))
    return found[0]


def select(
    name: str,
    feed: Feed,
    query: Query,
    snapshots: Iterable[Snapshot],
    people: Mapping[str, Person],
    today: date,
) -> Selection:
    """The items of feed `name` over its projects' snapshots. `feed` is as narrowed by `query` already.

    `people` are all of the workspace. Raises NameNotFound and AmbiguousName for its assignees.
    """
    selection = Selection()
    for snapshot in snapshots:
        tests = [*_scope(name, feed, people), *_asked(name, feed, query, snapshot, people)]
        issues = _passing(snapshot.issues.values(), tests)
        personal = feed.assignee is not None or feed.unassigned
        if issues or not personal:
            selection.periods += [(snapshot, period) for period in _periods(feed, query, snapshot, today)]
        if "issues" in feed.include:
            _place(selection, issues, snapshot, feed, _day_tests(feed, query, snapshot, today))
    selection.issues = _each_once(selection.issues)
    return selection


def _each_once(issues: list[tuple[Snapshot, Issue]]) -> list[tuple[Snapshot, Issue]]:
    """Each issue as it was last: until both were read again, one that was moved is in two projects."""
    newest: dict[str, tuple[Snapshot, Issue]] = {}
    for item in issues:
        held = newest.setdefault(item[1].id, item)
        if held[1].updated < item[1].updated:
            newest[item[1].id] = item
    return issues if len(newest) == len(issues) else list(newest.values())


def _place(
    selection: Selection, issues: Sequence[Issue], snapshot: Snapshot, feed: Feed, tests: Sequence[Test]
) -> None:
    dated = [issue for issue in issues if issue.due is not None]
    undated = [issue for issue in issues if issue.due is None]
    starting = sum(issue.start is not None for issue in undated)
    selection.undated += len(undated) - starting
    selection.start_only += starting
    events = feed.component == "vevent"
    within = [issue for issue in dated if not events or (issue.due and is_writable(issue.due))]
    selection.beyond += len(dated) - len(within)
    placed = _passing(within, tests)
    if feed.undated and feed.component == "vtodo":
        placed += undated
    selection.issues += [(snapshot, issue) for issue in placed]


def _passing(issues: Iterable[Issue], tests: Sequence[Test]) -> list[Issue]:
    """Those that pass all tests; with none of them at the cost of a copy."""
    return [issue for issue in issues if all(test(issue) for test in tests)] if tests else list(issues)


def _scope(name: str, feed: Feed, people: Mapping[str, Person]) -> Iterator[Test]:
    if feed.assignee is not None:
        person = person_of(name, feed.assignee, people.values()).id
        yield lambda issue: person in issue.assignees
    if feed.unassigned:
        yield lambda issue: not issue.assignees


def _asked(
    name: str, feed: Feed, query: Query, snapshot: Snapshot, people: Mapping[str, Person]
) -> Iterator[Test]:
    """The tests of `where` and of the query, with names resolved to this project's ids once."""

    def people_of(value: str) -> tuple[Person, ...]:
        return _only_one(name, value, people)

    def anyone(value: str) -> tuple[Person, ...]:
        found = people_named(value, people.values())
        # Of people a public feed shows display names alone: others are not to be tried out.
        if not feed.public:
            return found
        asked = value.strip().casefold()
        return tuple(who for who in found if asked in (who.id.casefold(), who.name.strip().casefold()))

    yield from _all_of(feed.where, snapshot, people_of)
    yield from (_negated(test) for test in _all_of(feed.where.exclude, snapshot, people_of))
    yield from _all_of(query.only, snapshot, anyone)
    yield from (_negated(test) for test in _all_of(query.exclude, snapshot, anyone))
    if feed.done == "drop":
        yield lambda issue: not snapshot.is_done(issue)


def _only_one(name: str, value: str, people: Mapping[str, Person]) -> tuple[Person, ...]:
    """As `people_named`; a filter's value that fits several raises AmbiguousName."""
    found = people_named(value, people.values())
    return (person_of(name, value, people.values()),) if found else ()


def _negated(test: Test) -> Test:
    return lambda issue: not test(issue)


def _all_of(match: Match, snapshot: Snapshot, people: Callable[[str], tuple[Person, ...]]) -> Iterator[Test]:
    """One test for each field of a match that has values: any of its values will do."""
    if match.priority:
        yield lambda issue: issue.priority in match.priority
    if match.state:
        yield _in_states(_folded(match.state), snapshot)
    if match.label:
        yield _any_of(match.label, lambda issue: issue.labels, _named(match.label, snapshot.labels.values()))
    if match.assignee:
        ids = frozenset(person.id for value in match.assignee for person in people(value))
        yield _any_of(match.assignee, lambda issue: issue.assignees, ids)
    for kind, names in (("cycle", match.cycle), ("module", match.module)):
        if names:
            yield _in_periods(names, [period for period in snapshot.periods.values() if period.kind == kind])


def _in_states(wanted: frozenset[str], snapshot: Snapshot) -> Test:
    """By a state's group or name. An issue without a known state is in the group backlog."""
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


def _named(values: Iterable[str], labels: Iterable[Label]) -> frozenset[str]:
    wanted = _folded(values)
    return frozenset(label.id for label in labels if wanted & _folded((label.id, label.name)))


def _day_tests(feed: Feed, query: Query, snapshot: Snapshot, today: date) -> Sequence[Test]:
    """Tests on an issue's days: those of windows let open overdue issues pass, those of dates do not.

    Date modes that the query asks for count in its own bounds: the feed's window they must not widen.
    """
    window, days, spans = _window(feed, today), _days(query, today), feed.dates != "due"

    def overdue(issue: Issue) -> bool:
        return issue.due is not None and issue.due < today and not snapshot.is_done(issue)

    def within_or_overdue(bounds: Bounds, spans: bool) -> Test:
        inside = _within(bounds, spans)
        return lambda issue: inside(issue) or overdue(issue)

    # What is overdue is open: a feed that does not tell done from open must not tell it by this.
    windowed = _within if feed.details == "busy" else within_or_overdue
    ahead = within_or_overdue if tells_done(feed) else _within
    tests = [windowed(window, spans and query.dates is None)] if window else []
    tests += [ahead(days, spans)] if days else []
    return [*tests, _within(_dates(query), spans)] if query.first or query.last else tests


def _within(bounds: Bounds, spans: bool) -> Test:
    """Whether an issue with a due date has a day in these bounds, both inclusive."""

    def test(issue: Issue) -> bool:
        last = issue.due or date.max
        first = min(issue.start or last, last) if spans else last
        return bounds[0] <= last and first <= bounds[1]

    return test


def _periods(feed: Feed, query: Query, snapshot: Snapshot, today: date) -> Iterator[Period]:
    """The cycles and modules of a feed that have both dates and fall into its window."""
    kinds = {included.removesuffix("s") for included in feed.include} if feed.component == "vevent" else set()
    bounds = [found for found in (_window(feed, today), _days(query, today), _dates(query)) if found]
    for period in snapshot.periods.values():
        if period.kind not in kinds or period.start is None or period.end is None:
            continue
        writable = is_writable(period.start) and is_writable(period.end)
        if writable and period.start <= period.end and _is_wanted(period, feed, query):
            first, last = period.start, period.end
            if all(low <= last and first <= high for low, high in bounds):
                yield period


def _is_wanted(period: Period, feed: Feed, query: Query) -> bool:
    def names(match: Match) -> frozenset[str]:
        return _folded(match.cycle if period.kind == "cycle" else match.module)

    own = _folded((period.id, period.name))
    wanted = all(own & names(match) for match in (feed.where, query.only) if names(match))
    return wanted and not any(own & names(match) for match in (feed.where.exclude, query.exclude))


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


def _candidate(person: Person) -> str:
    return f"{person.name} <{person.email}>" if person.email else f"{person.name} ({person.id})"


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
