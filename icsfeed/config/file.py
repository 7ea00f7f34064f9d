"""feeds.yaml, the environment and the files of secrets -> Config; and the example of it.

The environment and the folders are arguments. Whatever a file holds, the outcome is a `Config` or
a ConfigError with every problem in it.
"""

import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from icsfeed.config.checks import Path as Place
from icsfeed.config.checks import Violation
from icsfeed.config.decode import decode, dotted
from icsfeed.config.schema import Config
from icsfeed.config.scope import narrowed_to
from icsfeed.errors import ConfigError, Problem

SYSTEM_FILE = Path("/etc/icsfeed/feeds.yaml")
FILE_LIMIT = 1024 * 1024
NODE_LIMIT = 100_000
"""How many values a file may hold once its aliases are written out: thousands of feeds."""

SECRET_FILES = frozenset(
    {"secret_file", "admin_token_file", "api_key_file", "webhook_secret_file", "password_file", "token_file"}
)
PATHS = SECRET_FILES | {"ca_file"}
_BARE = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?")
_KEPT = ("\ue000\ue001", "\ue002")
"""What stands for `${` and `}` while YAML is parsed: characters of private use."""


class _Loader(yaml.SafeLoader):
    """YAML in which `{a: ${NAME}}` needs no quotes: the braces of a variable are hidden from the parser."""

    def __init__(self, text: str) -> None:
        opening, closing = _KEPT
        super().__init__(re.sub(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", rf"{opening}\1{closing}", text))

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        opening, closing = _KEPT
        node.value = node.value.replace(opening, "${").replace(closing, "}")
        return node


def find(
    explicit: str | None, environ: Mapping[str, str], cwd: Path, system: Path = SYSTEM_FILE
) -> Path | None:
    """The file to load: the one asked for, ICSFEED_CONFIG, feeds.yaml in `cwd`, the system's; or None.

    The first two need not exist: `load` says so.
    """
    if named := explicit or environ.get("ICSFEED_CONFIG"):
        return cwd / named
    return next((path for path in (cwd / "feeds.yaml", system) if path.is_file()), None)


def load(
    path: Path,
    environ: Mapping[str, str],
    zones: Collection[str] | None = None,
    targets: Collection[str] = (),
) -> Config:
    """The configuration in a file, with `${NAME}` and `*_file` filled in. Raises ConfigError.

    `zones` are the time zones there are; None: this system's. SYNC_INTERVAL_SECONDS stands in for a
    missing `sync_interval`. Paths in the file start at its folder;
    in the result they are absolute when `path` is. `targets`: only what pushes to these need is read.
    """
    found: list[Violation] = []
    try:
        data = _parse(_read(path, FILE_LIMIT), found)
    except ValueError as error:
        hint = "" if path.exists() else f"; `icsfeed init -o {path}` writes an example to start from"
        raise ConfigError(str(path), [Problem("", f"{error}{hint}")]) from None
    data = narrowed_to(data, targets)
    data = _with_interval(_with_variables(data, (), environ, found), environ)
    _with_files(data, (), path.parent, found)
    return decode(data, str(path), zones=available_timezones() if zones is None else zones, known=found)


def fingerprint(path: Path) -> bytes | None:
    """Another value whenever the file holds something else; None: it cannot be read."""
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None


def secret_in(path: Path) -> str | None:
    """The secret in a file as it is now; None where there is none that can be read."""
    try:
        return _secret(path) or None
    except ValueError:
        return None


def from_environment(environ: Mapping[str, str], zones: Collection[str] | None = None) -> Config:
    """One workspace without a file: a feed `all`, and one for each project and each member.

    An empty variable counts as unset. Raises ConfigError; its problems name the variables.
    """
    slug = environ.get("PLANE_WORKSPACE") or "plane"
    data: dict[str, Any] = {
        "workspaces": {slug: {}},
        "feeds": {"all": {"everything": True}},
        "auto": {"projects": True, "assignees": True},
        "cache": {},
    }
    places: dict[str, Place] = {
        "PLANE_WORKSPACE": ("workspaces", slug),
        "PLANE_BASE_URL": ("workspaces", slug, "url"),
        "PLANE_API_KEY": ("workspaces", slug, "api_key"),
        "PLANE_WEBHOOK_SECRET": ("workspaces", slug, "webhook_secret"),
        "ICSFEED_SECRET": ("secret",),
        "ICSFEED_ADMIN_TOKEN": ("admin_token",),
        "ICSFEED_PUBLIC_URL": ("public_url",),
        "ICSFEED_TIMEZONE": ("timezone",),
        "SYNC_INTERVAL_SECONDS": ("cache", "issues"),
    }
    for variable, (*parents, last) in places.items():
        if environ.get(variable) and variable != "PLANE_WORKSPACE":
            _at(data, parents)[last] = environ[variable]
    unnamed = Violation(("PLANE_WORKSPACE",), "is missing: give it the slug, as in Plane's address")
    try:
        return decode(
            data,
            "environment",
            zones=available_timezones() if zones is None else zones,
            known=[] if environ.get("PLANE_WORKSPACE") else [unnamed],
        )
    except ConfigError as error:
        names = {dotted(place): variable for variable, place in places.items()}
        problems = [Problem(names.get(path, path), message) for path, message in error.problems]
        raise ConfigError(error.source, problems) from None


def example_text() -> str:
    """feeds.example.yaml: beside this package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside, beside = package / "feeds.example.yaml", package.parent / "feeds.example.yaml"
    return (inside if inside.is_file() else beside).read_text(encoding="utf-8")


def _at(data: Any, place: Collection[str | int]) -> Any:
    for step in place:
        data = data[step]
    return data


def _read(path: Path, limit: int) -> str:
    """A small text file. Raises ValueError with what to say, without the path."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not UTF-8 text") from None
    if len(content) > limit:
        raise ValueError(f"is larger than {limit // 1024} KiB")
    return text


def _parse(text: str, found: list[Violation]) -> Any:
    """YAML to plain data; keys that are given twice become problems. Raises ValueError with what to say."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            raise ValueError("is empty: `icsfeed init` writes an example to start from")
        if _size(node, {}) > NODE_LIMIT:
            raise ValueError(f"holds more than {NODE_LIMIT} values, or an alias that holds itself")
        found += _duplicates(node, (), set())
        return _construct(loader, node)
    except yaml.YAMLError as error:
        raise ValueError(_syntax(error)) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _construct(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """PyYAML fails in its own ways on dates, numbers and tags that cannot be (2026-13-01)."""
    try:
        return loader.construct_document(node)
    except (ValueError, OverflowError, LookupError, AttributeError, TypeError):
        raise ValueError("holds a date, number or tag that cannot be read: write it in quotes") from None


def _syntax(error: yaml.YAMLError) -> str:
    """Where and what, without the words of the file: they could be a secret that wants quotes."""
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or "")
    if not mark:
        return "holds a character that YAML does not allow"
    if re.search("alias|anchor|tag|directive", problem):
        problem = "a value that starts with & * ! or % needs quotes"
    return f"line {mark.line + 1}, column {mark.column + 1}: is not YAML: {problem}"


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Values in `node` with its aliases written out. One that holds itself is over the limit."""
    if id(node) not in sizes:
        sizes[id(node)] = NODE_LIMIT + 1
        parts = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts if isinstance(part, yaml.Node))
    return sizes[id(node)]


def _duplicates(node: yaml.Node, at: Place, seen: set[int]) -> Iterator[Violation]:
    """Keys given twice in one mapping, which YAML forbids and PyYAML lets pass."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, (*at, index), seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = str(key.value) if isinstance(key, yaml.ScalarNode) else "?", key.start_mark.line + 1
            if name != "?" and (key.tag, name) in lines:
                first = lines[key.tag, name]
                yield Violation((*at, name), f"is given twice, in lines {first} and {line}: keep one")
            lines[key.tag, name] = line
            yield from _duplicates(value, (*at, name), seen)


def _with_variables(data: Any, at: Place, environ: Mapping[str, str], found: list[Violation]) -> Any:
    """The data with each `${NAME}` in its texts replaced; `$${` is a plain `${`."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            if match[0] != "$${":
                found.append(Violation(at, "holds a ${ without NAME}: write $${ for a plain ${"))
            return "${"
        if match[1] not in environ:
            found.append(Violation(at, f"the environment variable {match[1]} is not set"))
        return environ.get(match[1], "")

    if isinstance(data, str):
        if _BARE.fullmatch(data):
            found.append(Violation(at, "is a $NAME: write ${NAME} to get the environment variable"))
        return _REFERENCE.sub(value, data)
    if isinstance(data, dict):
        return {key: _with_variables(item, (*at, _step(key)), environ, found) for key, item in data.items()}
    if isinstance(data, list):
        return [_with_variables(item, (*at, index), environ, found) for index, item in enumerate(data)]
    return data


def _with_interval(data: Any, environ: Mapping[str, str]) -> Any:
    """The data, with SYNC_INTERVAL_SECONDS where the file says nothing of it."""
    seconds = environ.get("SYNC_INTERVAL_SECONDS")
    return {"sync_interval": seconds, **data} if seconds and isinstance(data, dict) else data


def _step(key: object) -> str:
    return key if isinstance(key, str) else "?"


def _with_files(data: Any, at: Place, folder: Path, found: list[Violation]) -> None:
    """Fill `api_key` from the file that `api_key_file` names, and so on; make paths absolute."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            _with_files(item, (*at, index), folder, found)
    if isinstance(data, dict):
        for key, value in list(data.items()):
            place = (*at, _step(key))
            _with_files(value, place, folder, found)
            if key in PATHS and isinstance(value, str) and place not in {one.path for one in found}:
                data[key] = str(folder / value)
                try:
                    _fill(data, key, folder / value)
                except ValueError as error:
                    found.append(Violation(place, str(error)))


def _secret(path: Path) -> str:
    return _read(path, FILE_LIMIT).removesuffix("\n").removesuffix("\r")


def _fill(data: dict[str, Any], key: str, path: Path) -> None:
    """Raises ValueError with what to say."""
    plain = key.removesuffix("_file")
    if data.get(plain) is not None:
        raise ValueError(f"cannot stand beside {plain}: keep one of them")
    text = _secret(path)
    if not text:
        raise ValueError("names an empty file")
    if key in SECRET_FILES:
        data[plain] = text
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError("holds no certificate that can be used (PEM)") from None
