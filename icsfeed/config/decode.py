"""Plain data (what YAML gives) -> Config, or every problem in it at once.

The data is read along the declared types of config/schema.py. A value that cannot be used becomes a
problem and reading goes on with its key's default; last come the checks of config/checks.py.
No message repeats a value: it could be a secret in the wrong place.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import UNSET, Struct, convert, structs

from icsfeed.config.checks import Path, Violation, checks
from icsfeed.config.schema import Config
from icsfeed.config.values import own_type
from icsfeed.errors import ConfigError, Problem, Unfit


def decode(
    data: object, source: str, *, zones: Collection[str] | None = None, known: Sequence[Violation] = ()
) -> Config:
    """The configuration in `data`; `source` names it in errors.

    `zones` are the time zones there are (None: not checked). `known` are problems found before,
    whose values are not looked at again. Raises ConfigError with all problems, in the data's order.
    """
    reader = _Decoder(known)
    config: Config = reader.struct(Config, data, ())
    for problem in checks(config, zones):
        if not any(_overlap(need, one) for need in problem.needs for one in reader.broken):
            reader.found.append(problem)
    if reader.found:
        raise ConfigError(source, _in_order(data, reader.found))
    return config


def dotted(path: Path) -> str:
    """A path for people: `feeds.urgent.where.priority[1]`, `feeds["my.feed"]`."""
    text = ""
    for step in path:
        if isinstance(step, str) and re.fullmatch(r"[\w-]{1,64}", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step if isinstance(step, int) else step[:64])}]"
    return text


def _overlap(one: Path, other: Path) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def _in_order(data: object, found: Iterable[Violation]) -> list[Problem]:
    places = {path: place for place, path in enumerate(_paths(data, ()))}

    def place(problem: Violation) -> int:
        heads = (problem.path[:length] for length in range(len(problem.path), -1, -1))
        return next(places[head] for head in heads if head in places)

    return list(dict.fromkeys(Problem(dotted(one.path), one.message) for one in sorted(found, key=place)))


def _paths(data: object, at: Path) -> Iterator[Path]:
    yield at
    rows = data.items() if isinstance(data, Mapping) else enumerate(data if isinstance(data, list) else ())
    for key, value in rows if len(at) < 8 else ():
        yield from _paths(value, (*at, key))


class _Decoder:
    """Reads values by their declared types and keeps what it finds wrong. UNSET: nothing usable.

    `broken` are the paths whose values are not known, although the file may mean to give them.
    """

    def __init__(self, known: Sequence[Violation]) -> None:
        self.found = list(known)
        self.broken = {problem.path for problem in known}

    def bad(self, at: Path, message: str) -> Any:
        self.found.append(Violation(at, message))
        self.broken.add(at)
        return UNSET

    def value(self, kind: Any, data: object, at: Path) -> Any:
        if at in self.broken:
            return UNSET
        first = _options(kind)[0]
        if _is_struct(first) and (first is kind or isinstance(data, Mapping)):
            return self.struct(first, data, at)
        if get_origin(first) is Mapping:
            key_kind, item_kind = get_args(first)
            return self.mapping(key_kind, item_kind, data, at)
        if get_origin(first) is tuple:
            if any(data is choice for choice in _choices(kind)):
                return data
            return self.items(get_args(first)[0], data, at)
        try:
            return _leaf(kind, data)
        except Unfit as error:
            return self.bad(at, f"must be {_wanted(kind)}: {error}")
        except ValueError:
            return self.bad(at, _complaint(kind, data))

    def struct(self, kind: type[Struct], data: object, at: Path) -> Any:
        """A struct, whatever happens: a key that cannot be used has its default."""
        fields = {field.encode_name: field for field in structs.fields(kind)}
        given: dict[str, Any] = {}
        for key, value in self.entries(data, at):
            if key not in fields:
                self.unknown((*at, key), list(fields))
            elif (read := self.value(fields[key].type, value, (*at, key))) is not UNSET:
                given[fields[key].name] = read
        for name, field in fields.items():
            if field.required and field.name not in given:
                given[field.name] = {} if get_origin(field.type) is Mapping else ""
                if not any(_overlap((*at, name), one) for one in self.broken):
                    self.bad((*at, name), f"is missing: give it {_wanted(field.type)}")
        return kind(**given)

    def mapping(self, key_kind: Any, kind: Any, data: object, at: Path) -> Any:
        """Names and what they stand for. A name that cannot be used stays: others may refer to it."""
        read = {}
        for key, value in self.entries(data, at):
            if (one := self.value(kind, value, (*at, key))) is not UNSET:
                read[key] = one
            try:
                _leaf(key_kind, key)
            except (Unfit, ValueError):
                self.found.append(Violation((*at, key), f"its name must be {_wanted(key_kind)}"))
        return read or UNSET

    def items(self, kind: Any, data: object, at: Path) -> Any:
        """A list. A single value is a list of one; nothing at all means the default."""
        if not isinstance(data, list):
            one = UNSET if data is None else self.value(kind, data, at)
            return one if one is UNSET else (one,)
        values = [self.value(kind, value, (*at, index)) for index, value in enumerate(data)]
        good = tuple(value for value in values if value is not UNSET)
        if len(set(good)) < len(good):
            self.bad(at, "lists something twice")
        return good

    def entries(self, data: object, at: Path) -> Iterator[tuple[str, object]]:
        """The entries whose keys are text. Nothing at all is an empty mapping."""
        if data is not None and not isinstance(data, Mapping):
            self.bad(at, f"must be {_wanted(Mapping)}")
            return
        for key, value in (data or {}).items():
            if isinstance(key, str):
                yield key, value
            else:
                self.found.append(
                    Violation(at, f"has a key that YAML reads as {_kind(key)}: write it in quotes")
                )

    def unknown(self, at: Path, names: list[str]) -> None:
        close = get_close_matches(str(at[-1]).lower(), names, n=1)
        self.bad(
            at,
            "is not a key here; " + (f"did you mean {close[0]}?" if close else f"keys: {', '.join(names)}"),
        )
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
    """A single value, tidied. Raises Unfit, or ValueError, whose text is not for people."""
    if data is None and NoneType in _options(kind):
        return None
    for choice in _choices(kind):
        if data is choice or (isinstance(data, str) and data.lower() == choice):
            return choice
    first = _options(kind)[0]
    if _is_struct(first) or get_origin(first) is Literal:
        raise ValueError("none of the choices")
    value = convert(data, first, strict=not isinstance(data, str), dec_hook=own_type)
    extra = first.__metadata__[0].extra if get_origin(first) is Annotated else None
    return extra["tidy"](value) if extra else value


def _wanted(kind: Any) -> str:
    """What a value of this type is, in words that follow "must be"."""
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
        return f"must be {wanted}; YAML reads this as {_kind(data)}: write it in quotes"
    return f"must be {wanted}"


def _kind(data: object) -> str:
    kinds = ((bool, "true or false"), (int | float, "a number"), (date, "a date"), (NoneType, "nothing"))
    return next((words for kind, words in kinds if isinstance(data, kind)), "something else")
