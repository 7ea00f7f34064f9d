"""The JSON schema of feeds.yaml, for editors: the types of config/schema.py, as people write them."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta, Struct, defstruct, field, json, structs

from icsfeed.config.schema import Alarm, Config, Duration, Secret
from icsfeed.config.values import ISO_DURATION, PLAIN_DURATION


def schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12)."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "feeds.yaml of icsfeed", **json.schema(_as_written(Config, {}))}


def _as_written(kind: Any, made: dict[Any, Any]) -> Any:
    """Return a type as people write it: durations are texts, one value may stand for a list."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind not in made:
            made[kind] = defstruct(
                kind.__name__,
                [(key.name, _as_written(key.type, made), _key(key)) for key in structs.fields(kind)],
                kw_only=True,
                forbid_unknown_fields=True,
                namespace={"__doc__": kind.__doc__},
            )
        return made[kind]
    if origin is tuple:
        item = _as_written(inner[0], made)
        either: Any = item | GenericAlias(list, item)
        return Annotated[either, Meta(description="one value, or a list of them")]
    if origin is Mapping:
        return GenericAlias(dict, tuple(_as_written(part, made) for part in inner))
    if origin in (Union, UnionType):
        return reduce(or_, (_as_written(option, made) for option in inner))
    if kind == Literal[False, True]:
        return bool
    if kind == Literal[False]:
        return Annotated[bool, Meta(extra_json_schema={"const": False})]
    if origin is Annotated:
        return _leaf_as_written(inner[0], inner[1])
    return kind


def _leaf_as_written(kind: Any, rule: Meta) -> Any:
    """Return a constrained type as people write it; a value can contain `${NAME}`."""
    patterns = {Duration: f"^(?:{PLAIN_DURATION})$", Alarm: f"^[+-]?(?:{ISO_DURATION}|{PLAIN_DURATION})$"}
    if kind not in (str, Secret, *patterns):
        return Annotated[kind, rule]
    pattern = patterns.get(kind, rule.pattern)
    # A pattern is given as plain schema: msgspec 0.22 crashes on a union of a list and a text with a pattern.
    more = {"pattern": rf"{pattern}|\$\{{"} if pattern else None
    text = Annotated[str, Meta(description=rule.description, extra_json_schema=more)]
    return text | Annotated[int, Meta(ge=0)] if kind is Duration else text


def _key(key: structs.FieldInfo) -> Any:
    """Return a key under its name in YAML, with its default as YAML has it (not that of a secret)."""
    default = list(key.default) if isinstance(key.default, tuple) else key.default
    if key.required:
        return field(name=key.encode_name)
    if isinstance(default, str | int | float | None):
        return field(name=key.encode_name, default=int(default) if isinstance(default, Duration) else default)
    if isinstance(default, list) and default:
        return field(name=key.encode_name, default=key.default)
    empty = {Secret: Secret, list: list}.get(type(default), dict)
    return field(name=key.encode_name, default_factory=empty)
