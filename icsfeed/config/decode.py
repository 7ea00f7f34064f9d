"""Plain data (what YAML gives) to a Config, or to every problem in it at once.

The data is read along the declared types of config/schema.py. A value that cannot be used becomes a
problem, and reading continues with the default of its key; last come the checks of config/checks.py.
msgspec alone would stop at the first problem, and quote values: no message here repeats one, for it
could be a secret in the wrong place.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import UNSET, Struct, convert, structs

from icsfeed.config.checks import Path, Violation, checks
from icsfeed.config.schema import Config
from icsfeed.config.values import decode_value
from icsfeed.errors import ConfigError, InvalidValue, Problem

MAX_DEPTH = 8
"""Mappings and lists inside each other, down to which problems are sorted."""
MAX_SHOWN_KEY = 64
"""Characters of a key that are shown in a path."""


def decode(
    data: object, source: str, *, zones: Collection[str] | None = None, known: Sequence[Violation] = ()
) -> Config:
    """Decode a configuration; `source` names it in errors.

    `zones` are all time zones (None: not checked). `known` are problems found before, whose values are
    not read. Raises ConfigError with all problems, in the order of the data.
    """
    decoder = _Decoder(known)
    config: Config = decoder.struct(Config, data, ())
    problems = decoder.problems
    for problem in checks(config, zones):
        if not any(_overlap(need, path) for need in problem.needs for path in decoder.broken):
            problems.append(problem)
    if problems:
        places = {path: place for place, path in enumerate(_paths(data, ()))}

        def place(problem: Violation) -> int:
            """Return the place in the data of the longest part of the path that is in it."""
            heads = (problem.path[:length] for length in range(len(problem.path), -1, -1))
            return next(places[head] for head in heads if head in places)

        lines = (Problem(dotted(problem.path), problem.message) for problem in sorted(problems, key=place))
        raise ConfigError(source, list(dict.fromkeys(lines)))
    return config


def dotted(path: Path) -> str:
    """Return a path for people: `feeds.urgent.where.priority[1]`, `feeds["my.feed"]`."""
    text = ""
    for step in path:
        if isinstance(step, str) and re.fullmatch(rf"[\w-]{{1,{MAX_SHOWN_KEY}}}", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step if isinstance(step, int) else step[:MAX_SHOWN_KEY])}]"
    return text


def _overlap(one: Path, other: Path) -> bool:
    """Return whether one of the paths leads to or through the other."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _paths(data: object, at: Path) -> Iterator[Path]:
    yield at
    rows = data.items() if isinstance(data, Mapping) else enumerate(data if isinstance(data, list) else ())
    for key, value in rows if len(at) < MAX_DEPTH else ():
        yield from _paths(value, (*at, key))


class _Decoder:
    """Reads values by their declared types, and collects the problems. UNSET: nothing usable.

    `broken` are the paths whose values are unknown although the file gives them: checks that need them
    would only repeat the problem in other words.
    """

    def __init__(self, known: Sequence[Violation]) -> None:
        self.problems = list(known)
        self.broken = {problem.path for problem in known}

    def reject(self, at: Path, message: str) -> Any:
        """Add a problem with the value at a path. Returns UNSET."""
        self.problems.append(Violation(at, message))
        self.broken.add(at)
        return UNSET

    def value(self, kind: Any, data: object, at: Path) -> Any:
        """Read a value of any type."""
        if at in self.broken:
            return UNSET
        first = _options(kind)[0]
        if _is_struct(first) and (first is kind or isinstance(data, Mapping)):
            return self.struct(first, data, at)
        if get_origin(first) is Mapping:
            key_kind, item_kind = get_args(first)
            return self.mapping(key_kind, item_kind, data, at)
        if get_origin(first) is tuple:
            if any(data is choice for choice in _choices(kind)):  # `adopt: true`
                return data
            return self.items(get_args(first)[0], data, at)
        try:
            return _leaf(kind, data)
        except InvalidValue as error:
            return self.reject(at, f"must be {_wanted(kind)}: {error}")
        except ValueError:
            return self.reject(at, _complaint(kind, data))

    def struct(self, kind: type[Struct], data: object, at: Path) -> Any:
        """Return a struct, whatever the data is: a key that cannot be used has its default."""
        fields = {field.encode_name: field for field in structs.fields(kind)}
        given: dict[str, Any] = {}
        for key, value in self.entries(data, at):
            if key not in fields:
                self.reject_key((*at, key), list(fields))
            elif (read := self.value(fields[key].type, value, (*at, key))) is not UNSET:
                given[fields[key].name] = read
        for name, field in fields.items():
            if field.required and field.name not in given:
                # The struct must exist for the checks; that it holds a wrong value stays in `broken`.
                given[field.name] = {} if get_origin(field.type) is Mapping else ""
                if not any(_overlap((*at, name), path) for path in self.broken):
                    self.reject((*at, name), f"is missing: give it {_wanted(field.type)}")
        return kind(**given)

    def mapping(self, key_kind: Any, kind: Any, data: object, at: Path) -> Any:
        """Read names and their values. A name that cannot be used stays: others may refer to it."""
        values = {}
        for key, item in self.entries(data, at):
            if (value := self.value(kind, item, (*at, key))) is not UNSET:
                values[key] = value
            try:
                _leaf(key_kind, key)
            except (InvalidValue, ValueError):
                self.problems.append(Violation((*at, key), f"its name must be {_wanted(key_kind)}"))
        return values or UNSET

    def items(self, kind: Any, data: object, at: Path) -> Any:
        """Read a list. A single value is a list of one; nothing at all means the default."""
        if not isinstance(data, list):
            item = UNSET if data is None else self.value(kind, data, at)
            return item if item is UNSET else (item,)
        values = [self.value(kind, item, (*at, index)) for index, item in enumerate(data)]
        usable = tuple(value for value in values if value is not UNSET)
        # Compared as read, so that two spellings of one value are found: `[Tomato, tomato]`.
        if len(set(usable)) < len(usable):
            self.reject(at, "lists something twice")
        return usable

    def entries(self, data: object, at: Path) -> Iterator[tuple[str, object]]:
        """Yield the entries of a mapping whose keys are text. Nothing at all is an empty mapping."""
        if data is not None and not isinstance(data, Mapping):
            self.reject(at, f"must be {_wanted(Mapping)}")
            return
        for key, value in (data or {}).items():
            if isinstance(key, str):
                yield key, value
            else:
                message = f"has a key that YAML reads as {_yaml_type(key)}: write it in quotes"
                self.problems.append(Violation(at, message))

    def reject_key(self, at: Path, names: list[str]) -> None:
        """Add a problem with an unknown key. The known one it resembles counts as broken, and not missing."""
        close = get_close_matches(str(at[-1]).lower(), names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"keys: {', '.join(names)}"
        self.reject(at, f"unknown key; {hint}")
        self.broken.update((*at[:-1], name) for name in close)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _choices(kind: Any) -> list[Any]:
    return [
        choice for option in _options(kind) if get_origin(option) is Literal for choice in get_args(option)
    ]


def _leaf(kind: Any, data: object) -> Any:
    """Read a single value. Raise InvalidValue if it is wrong, or ValueError, whose text is not for people."""
    if data is None and NoneType in _options(kind):
        return None
    for choice in _choices(kind):
        # By identity, for 0 == False: `stale_notice: 0` is a length of time.
        if data is choice or (isinstance(data, str) and data.lower() == choice):
            return choice
    first = _options(kind)[0]
    if _is_struct(first) or get_origin(first) is Literal:
        raise ValueError("none of the choices")
    # Text is read loosely: `${NAME}` and SYNC_INTERVAL_SECONDS give numbers and booleans as text.
    value = convert(data, first, strict=not isinstance(data, str), dec_hook=decode_value)
    extra = first.__metadata__[0].extra if get_origin(first) is Annotated else None
    return extra["tidy"](value) if extra else value


def _wanted(kind: Any) -> str:
    """Return what a value of this type is, in words that follow "must be"."""
    first, choices = _options(kind)[0], [str(choice).lower() for choice in _choices(kind)]
    words = f"one of {', '.join(choices)}" if len(choices) > 1 else "".join(choices)
    if choices:
        return words if get_origin(first) is Literal else f"{_wanted(first)}, or {words}"
    if get_origin(first) is Annotated:
        return str(first.__metadata__[0].description)
    return {str: "text", bool: "true or false"}.get(first, "a mapping (lines of `name: value`)")


def _complaint(kind: Any, data: object) -> str:
    wanted = _wanted(kind)
    if data is None:
        return f"has no value: give it {wanted}, or remove the line"
    if isinstance(data, str) and (
        close := get_close_matches(data.lower(), filter(None, _choices(kind)), n=1)
    ):
        return f"must be {wanted}; did you mean {close[0]}?"
    if isinstance(data, bool | int | float | date) and not re.search("true|number|length", wanted):
        return f"must be {wanted}; YAML reads this as {_yaml_type(data)}: write it in quotes"
    return f"must be {wanted}"


def _yaml_type(data: object) -> str:
    kinds = ((bool, "true or false"), (int | float, "a number"), (date, "a date"), (NoneType, "nothing"))
    return next((words for kind, words in kinds if isinstance(data, kind)), "something else")
