"""The conditions of `where` and of a link's parameters, as tests of issues."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Match
from icsfeed.model import Issue, PeriodKind, Person, Project, Snapshot, issue_key

NONE = "none"
"""In a filter: issues without a label, an assignee, a cycle, a module, a type or a parent."""
EPIC = "epic"
"""In a filter of types: those that Plane says are epics, whatever their names."""

Values: TypeAlias = tuple[str, ...]
Test: TypeAlias = Callable[[Issue], bool]


def people_named(value: str, people: Iterable[Person]) -> tuple[Person, ...]:
    """Return all people that a value names: by id, else e-mail, else display name, else full name."""
    folded, known = value.strip().casefold(), tuple(people)
    for name_of in _PERSON_NAMES:
        named = tuple(person for person in known if name_of(person).strip().casefold() == folded)
        if named:
            return named
    return ()


class NameScope(Struct, frozen=True):
    """What the names in a filter mean in one project. `people`: whom a text names."""

    snapshot: Snapshot
    hierarchy: "Hierarchy"
    people: Callable[[str], tuple[Person, ...]]


def tests_of(match: Match, names: NameScope) -> Iterator[Test]:
    """Give one test for each field of a match that has values; an issue needs one of the values."""
    for field, test_of in _TESTS.items():
        values = getattr(match, field)
        if values:
            yield test_of(values, names)


def _in_projects(values: Values, names: NameScope) -> Test:
    is_wanted = is_in_projects(names.snapshot.project, values)
    return lambda _: is_wanted


def is_in_projects(project: Project, values: Iterable[str]) -> bool:
    """Return whether one of these values is the project's id, key or name."""
    return not folded(values).isdisjoint(folded(name_of(project) for name_of in PROJECT_NAMES))


def _has_priority(values: Values, _: NameScope) -> Test:
    return lambda issue: issue.priority in values


def _in_states(values: Values, names: NameScope) -> Test:
    """Test for a state's group or name. An issue without a known state is in the group backlog."""
    wanted, known = folded(values), names.snapshot.states
    states = {state.id for state in known.values() if wanted & folded((state.group, state.name))}
    if "backlog" not in wanted:
        return lambda issue: issue.state in states
    return lambda issue: issue.state in states or issue.state not in known


def _has_labels(values: Values, names: NameScope) -> Test:
    wanted, labels = folded(values), names.snapshot.labels.values()
    ids = frozenset(label.id for label in labels if wanted & folded((label.id, label.name)))
    return _any_of(values, lambda issue: issue.labels, ids)


def _has_type(values: Values, names: NameScope) -> Test:
    """Test for a type's name, or for `epic`: those types that Plane says are epics."""
    wanted, types = folded(values), names.snapshot.types.values()
    ids = frozenset(
        each.id
        for each in types
        if wanted & folded((each.id, each.name)) or (each.is_epic and EPIC in wanted)
    )
    return _any_of(values, lambda issue: (issue.type,) if issue.type else (), ids)


def _assigned_to(values: Values, names: NameScope) -> Test:
    return _any_of(values, lambda issue: issue.assignees, _ids_of_people(values, names))


def _created_by(values: Values, names: NameScope) -> Test:
    people = _ids_of_people(values, names)
    return _any_of(values, lambda issue: (issue.creator,) if issue.creator else (), people)


def _ids_of_people(values: Values, names: NameScope) -> frozenset[str]:
    return frozenset(person.id for value in values for person in names.people(value))


def _below(values: Values, names: NameScope) -> Test:
    """Test for the issues below one, at any depth; `none`: those that have no parent."""
    below, without = names.hierarchy.below(values), NONE in folded(values)
    return lambda issue: issue.id in below or (without and issue.parent is None)


def _titled(values: Values, _: NameScope) -> Test:
    wanted = folded(values)
    return lambda issue: any(part in issue.name.casefold() for part in wanted)


class Hierarchy(Struct, frozen=True, dict=True):
    """Which issue is below which, over several projects: a sub-issue may be in another one."""

    snapshots: Sequence[Snapshot]

    @cached_property
    def children(self) -> Mapping[str, Sequence[str]]:
        children: dict[str, list[str]] = {}
        for snapshot in self.snapshots:
            for issue in snapshot.issues.values():
                if issue.parent is not None:
                    children.setdefault(issue.parent, []).append(issue.id)
        return children

    @cached_property
    def ids(self) -> Mapping[str, str]:
        """The ids of all issues by key, case-folded."""
        return {
            issue_key(issue, snapshot).casefold(): issue.id
            for snapshot in self.snapshots
            for issue in snapshot.issues.values()
        }

    def below(self, values: Iterable[str]) -> frozenset[str]:
        """Return the ids of the issues below those with these keys or ids."""
        found: set[str] = set()
        level = {self.ids.get(value, value) for value in folded(values)}
        while level:
            level = {child for parent in level for child in self.children.get(parent, ())} - found
            found |= level
        return frozenset(found)


def _any_of(values: Iterable[str], ids_of: Callable[[Issue], Collection[str]], ids: frozenset[str]) -> Test:
    without = NONE in folded(values)
    return lambda issue: not ids.isdisjoint(ids_of(issue)) or (without and not ids_of(issue))


def _in_periods(values: Values, names: NameScope, kind: PeriodKind) -> Test:
    wanted = folded(values)
    known = [period for period in names.snapshot.periods.values() if period.kind == kind]
    chosen = [period for period in known if wanted & folded((period.id, period.name))]
    held = frozenset(issue for period in chosen for issue in period.issues or ())
    if NONE not in wanted:
        return lambda issue: issue.id in held
    anywhere = frozenset(issue for period in known for issue in period.issues or ())
    return lambda issue: issue.id in held or issue.id not in anywhere


def folded(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.strip().casefold() for value in values)


_PERSON_NAMES: tuple[Callable[[Person], str], ...] = (
    lambda person: person.id,
    lambda person: person.email,
    lambda person: person.name,
    lambda person: person.full_name,
)
PROJECT_NAMES: tuple[Callable[[Project], str], ...] = (
    lambda project: project.id,
    lambda project: project.key,
    lambda project: project.name,
)
_TESTS: Mapping[str, Callable[[Values, NameScope], Test]] = {
    "project": _in_projects,
    "priority": _has_priority,
    "state": _in_states,
    "label": _has_labels,
    "assignee": _assigned_to,
    "cycle": partial(_in_periods, kind="cycle"),
    "module": partial(_in_periods, kind="module"),
    "created_by": _created_by,
    "type": _has_type,
    "parent": _below,
    "title": _titled,
}
"""By field of a Match: how its values are tested."""
