"""The JSON schema of feeds.yaml, for editors: made of the types of config/schema.py, as people write them."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta, Struct, defstruct, field, json, structs

from icsfeed.config.schema import Alarm, Config, Duration, Secret
from icsfeed.config.values import ISO_LENGTH, PLAIN_LENGTH


def schema() -> dict[str, Any]:
    """The schema (2020-12)."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "feeds.yaml of icsfeed", **json.schema(_as_written(Config, {}))}


def _as_written(kind: Any, made: dict[Any, Any]) -> Any:
    """A type of config/schema.py as people write it: lengths are texts, one value may stand for a list."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind not in made:
            made[kind] = _struct_as_written(kind, made)
        return made[kind]
    if origin is tuple:
        one = _as_written(inner[0], made)
        either: Any = one | GenericAlias(list, one)
        return Annotated[either, Meta(description="one value, or a list of them")]
    if origin is Mapping:
        return GenericAlias(dict, tuple(_as_written(one, made) for one in inner))
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
    """A pattern goes in as plain schema: msgspec 0.22 crashes on a union of a list and a text with one."""
    patterns = {Duration: f"^(?:{PLAIN_LENGTH})$", Alarm: f"^[+-]?(?:{ISO_LENGTH}|{PLAIN_LENGTH})$"}
    if kind not in (str, Secret, *patterns):
        return Annotated[kind, rule]
    pattern = patterns.get(kind, rule.pattern)
    more = {"pattern": rf"{pattern}|\$\{{"} if pattern else None
    text = Annotated[str, Meta(description=rule.description, extra_json_schema=more)]
    return text | Annotated[int, Meta(ge=0)] if kind is Duration else text


def _struct_as_written(kind: type[Struct], made: dict[Any, Any]) -> type[Struct]:
    fields = [(one.name, _as_written(one.type, made), _key(one)) for one in structs.fields(kind)]
    return defstruct(
        kind.__name__, fields, kw_only=True, forbid_unknown_fields=True, namespace={"__doc__": kind.__doc__}
    )


def _key(one: structs.FieldInfo) -> Any:
    """The key as it is written, with its default as YAML would say it (a secret's is left out)."""
    default = list(one.default) if isinstance(one.default, tuple) else one.default
    if one.required:
        return field(name=one.encode_name)
    if isinstance(default, str | int | float | None):
        return field(name=one.encode_name, default=int(default) if isinstance(default, Duration) else default)
    if isinstance(default, list) and default:
        return field(name=one.encode_name, default=one.default)
    empty = {Secret: Secret, list: list}.get(type(default), dict)
    return field(name=one.encode_name, default_factory=empty)
