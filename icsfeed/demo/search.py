"""Plane's two ways to filter work items: `pql`, its query language, and `filters`, nested JSON.

The part of both that Plane's documents show (August 2026): `priority = "urgent" AND state_group = "started"`,
`{"and": [{"priority": "urgent"}, {"target_date__range": ["2027-01-01", "2027-01-31"]}]}`.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from icsfeed.demo.data import DemoProject
from icsfeed.demo.rows import Row

Facts: TypeAlias = Mapping[str, Sequence[Any]]
"""The values of each field of a work item; none where it is null."""
Condition: TypeAlias = Callable[[Facts], bool]

OWN = (
    *("id", "name", "priority", "type_id", "start_date", "target_date"),
    *("created_at", "updated_at", "completed_at"),
)
RENAMED = {"state_id": "state", "project_id": "project", "parent_id": "parent", "created_by_id": "created_by"}
LISTS = {"assignee_id": "assignees", "label_id": "labels"}
PERIODS = ("cycle_id", "module_id", "milestone_id")
FIELDS = frozenset((*OWN, *RENAMED, *LISTS, *PERIODS, "state_group"))
ORDER = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
SYMBOLS = {"=": "exact", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "~": "icontains"}
TOKEN = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|(!=|>=|<=|[=<>~()\[\],])|([\w.+:-]+(?:\(\))?))""")


class SearchError(ValueError):
    """A search that Plane refuses."""


def facts(project: DemoProject, issue: Row) -> Facts:
    """Return what a work item can be found by."""
    found = {name: issue[name] for name in OWN}
    found |= {name: issue[stored] for name, stored in RENAMED.items()}
    found["state_group"] = project.group(issue)
    held = [period for period, links in project.links.items() if issue["id"] in links]
    groups = (project.cycles, project.modules, project.milestones)
    return {
        **{name: [] if value is None else [value] for name, value in found.items()},
        **{name: issue[stored] for name, stored in LISTS.items()},
        **{
            name: [period for period in held if period in rows]
            for name, rows in zip(PERIODS, groups, strict=True)
        },
    }


def compare(name: str, operation: str, wanted: Any) -> Condition:
    """Return the condition that a field has `wanted`. Raise SearchError for what Plane would not know."""
    field = name if name in FIELDS else f"{name}_id"
    if field not in FIELDS:
        raise SearchError(f"Invalid field: {name}")
    moment = field.endswith("_at") and operation != "icontains"
    if operation in ("in", "range"):
        values = wanted.split(",") if isinstance(wanted, str) else wanted
        if not isinstance(values, list) or (operation == "range" and len(values) != 2):
            raise SearchError(f"Invalid value for {name}")
        wanted = [_comparable(value, moment) for value in values]
    elif operation != "isnull":
        wanted = _comparable(wanted, moment)
    holds = _operation(operation, wanted)
    return lambda item: holds([_comparable(value, moment) for value in item[field]])


def _operation(operation: str, wanted: Any) -> Callable[[Sequence[Any]], bool]:
    if operation in ORDER:
        return lambda values: any(ORDER[operation](value, wanted) for value in values)
    known: Mapping[str, Callable[[Sequence[Any]], bool]] = {
        "exact": lambda values: wanted in values,
        "in": lambda values: any(value in wanted for value in values),
        "range": lambda values: any(wanted[0] <= value <= wanted[1] for value in values),
        "isnull": lambda values: bool(values) != bool(wanted),
        "icontains": lambda values: any(wanted.lower() in value.lower() for value in values),
    }
    if operation not in known:
        raise SearchError(f"Invalid operator: {operation}")
    return known[operation]


def _comparable(value: Any, moment: bool) -> Any:
    """Return a text, as a datetime if it is a moment: Plane takes them in all spellings of ISO 8601."""
    if not isinstance(value, str):
        raise SearchError(f"Invalid value: {value}")
    if not moment:
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise SearchError(f"Invalid datetime: {value}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def every(conditions: Iterable[Condition]) -> Condition:
    parts = list(conditions)
    return lambda item: all(part(item) for part in parts)


def either(conditions: Iterable[Condition]) -> Condition:
    parts = list(conditions)
    return lambda item: any(part(item) for part in parts)


def inverse(condition: Condition) -> Condition:
    return lambda item: not condition(item)


def read_filters(text: str) -> Condition:
    """Return the condition of `filters`. Raise SearchError if it cannot be read."""
    try:
        return _group(msgspec.json.decode(text))
    except msgspec.DecodeError:
        raise SearchError("filters is not valid JSON") from None


def _group(node: Any) -> Condition:
    if not isinstance(node, dict):
        raise SearchError("Invalid filter group")
    return every(_entry(name, value) for name, value in node.items())


def _entry(name: str, value: Any) -> Condition:
    if name in ("and", "or"):
        if not isinstance(value, list):
            raise SearchError(f"{name} needs a list")
        return (every if name == "and" else either)(map(_group, value))
    if name == "not":
        return inverse(_group(value))
    field, _, operation = name.partition("__")
    return compare(field, operation or "exact", value)


def read_pql(text: str, user: str) -> Condition:
    """Return the condition of a query; `user`: the id that `currentUser()` stands for.

    Raise SearchError if it cannot be read.
    """
    tokens: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            raise SearchError(f"Invalid PQL at {position}")
        double, single, symbol, word = match.groups()
        kind = "symbol" if symbol else "word" if word else "text"
        tokens.append((kind, symbol or word or double or single or ""))
        position = match.end()
    return _Query(tokens, user).read()


class _Query:
    """Reads the tokens of a query, from left to right."""

    def __init__(self, tokens: Sequence[tuple[str, str]], user: str) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._user = user

    def read(self) -> Condition:
        condition = self._either()
        if self._tokens[0][0] != "end":
            raise SearchError(f"Invalid PQL at {self._tokens[0][1]!r}")
        return condition

    def _either(self) -> Condition:
        parts = [self._every()]
        while self._skip("OR"):
            parts.append(self._every())
        return either(parts)

    def _every(self) -> Condition:
        parts = [self._part()]
        while self._skip("AND"):
            parts.append(self._part())
        return every(parts)

    def _part(self) -> Condition:
        if self._skip("NOT"):
            return inverse(self._part())
        if self._skip("("):
            condition = self._either()
            self._expect(")")
            return condition
        field = self._next("word")
        if self._skip("IS"):
            empty = not self._skip("NOT")
            self._expect("NULL")
            return compare(field, "isnull", empty)
        negative = self._skip("NOT")
        if self._skip("IN"):
            found = compare(field, "in", self._values())
            return inverse(found) if negative else found
        return self._comparison(field, self._next("symbol"))

    def _comparison(self, field: str, symbol: str) -> Condition:
        if symbol == "!=":
            return inverse(compare(field, "exact", self._value()))
        if symbol not in SYMBOLS:
            raise SearchError(f"Invalid PQL at {symbol!r}")
        return compare(field, SYMBOLS[symbol], self._value())

    def _values(self) -> list[str]:
        end = ")" if self._skip("(") else "]"
        if end == "]":
            self._expect("[")
        values = [self._value()]
        while self._skip(","):
            values.append(self._value())
        self._expect(end)
        return values

    def _value(self) -> str:
        kind, value = self._tokens.pop(0)
        if (kind, value) == ("word", "currentUser()"):
            return self._user
        if kind not in ("word", "text") or value.endswith("()"):
            raise SearchError(f"Invalid PQL at {value!r}")
        return value

    def _skip(self, expected: str) -> bool:
        """Take the next token if it is this symbol or keyword."""
        kind, value = self._tokens[0]
        if kind not in ("symbol", "word") or value.upper() != expected:
            return False
        self._tokens.pop(0)
        return True

    def _expect(self, expected: str) -> None:
        if not self._skip(expected):
            raise SearchError(f"Invalid PQL: {expected} expected")

    def _next(self, kind: str) -> str:
        actual, value = self._tokens.pop(0)
        if actual != kind:
            raise SearchError(f"Invalid PQL at {value!r}")
        return value
