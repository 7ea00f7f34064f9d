"""feeds.yaml, the environment and the files of secrets to a Config; and the example configuration.

The environment and the folders are arguments. Whatever a file holds, the result is a `Config`, or a
ConfigError with every problem in it.
"""

import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml

from icsfeed.config.addresses import plane_address
from icsfeed.config.checks import Path as ConfigPath
from icsfeed.config.checks import Violation
from icsfeed.config.decode import decode, dotted
from icsfeed.config.schema import Config
from icsfeed.config.scope import narrowed_to
from icsfeed.errors import ConfigError, Problem
from icsfeed.signing import load_signer

SYSTEM_FILE = Path("/etc/icsfeed/feeds.yaml")
MAX_FILE_BYTES = 1024 * 1024
MAX_VALUES = 100_000
"""Values in a file once its aliases are expanded (thousands of feeds): aliases of aliases multiply."""

SECRET_FILES = frozenset(
    {"secret_file", "admin_token_file", "api_key_file", "webhook_secret_file", "password_file", "token_file"}
)
FILES = SECRET_FILES | {"ca_file", "certificate_file", "key_file"}
_BARE = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)\})?")
_OPENING, _CLOSING = "\ue000\ue001", "\ue002"
"""Placeholders for `${` and `}` while YAML is parsed: characters of private use."""


class _Loader(yaml.SafeLoader):
    """YAML in which `{a: ${NAME}}` needs no quotes: the parser does not see the braces of a variable."""

    def __init__(self, text: str) -> None:
        super().__init__(re.sub(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", rf"{_OPENING}\1{_CLOSING}", text))

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Return a value, with the braces of its variables."""
        node = super().compose_scalar_node(anchor)
        node.value = node.value.replace(_OPENING, "${").replace(_CLOSING, "}")
        return node


def find(
    explicit: str | None, environ: Mapping[str, str], cwd: Path, system: Path = SYSTEM_FILE
) -> Path | None:
    """Return the file to load: `explicit`, ICSFEED_CONFIG, feeds.yaml in `cwd`, the system's; or None.

    The first two need not exist: `load` reports that.
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
    """Load the configuration in a file, with `${NAME}` and `*_file` filled in. Raises ConfigError.

    `zones` are all time zones; None: this system's. SYNC_INTERVAL_SECONDS replaces a missing
    `sync_interval`. Paths in the file start at its folder; in the result they are absolute when `path` is.
    `targets`: only what pushes to these need is read.
    """
    problems: list[Violation] = []
    try:
        data = _parse(_read(path), problems)
    except ValueError as error:
        hint = "" if path.exists() else f"; `icsfeed init -o {path}` writes an example to start from"
        raise ConfigError(str(path), [Problem("", f"{error}{hint}")]) from None
    # Narrowed before variables and files are read: what a push does not need may be missing.
    data = _expand_variables(narrowed_to(data, targets), (), environ, problems)
    if isinstance(data, dict) and environ.get("SYNC_INTERVAL_SECONDS"):
        data = {"sync_interval": environ["SYNC_INTERVAL_SECONDS"], **data}
    _read_files(data, (), path.parent, problems)
    problems += _signing_problems(data, problems)
    return decode(data, str(path), zones=available_timezones() if zones is None else zones, known=problems)


def fingerprint(path: Path) -> bytes | None:
    """Return a value that changes with the content of a file; None: it cannot be read."""
    try:
        return sha256(path.read_bytes()).digest()
    except OSError:
        return None


def secret_in(path: Path) -> str | None:
    """Return the secret that is in a file now; None where there is none that can be read."""
    try:
        return _secret(path) or None
    except ValueError:
        return None


def from_environment(environ: Mapping[str, str], zones: Collection[str] | None = None) -> Config:
    """Return a configuration of one workspace: a feed `all`, and one for each project and each member.

    An empty variable counts as unset. Raises ConfigError, whose problems name the variables.
    """
    named, in_url = environ.get("PLANE_WORKSPACE"), plane_address(environ.get("PLANE_BASE_URL", "")).slug
    slug = named or in_url or "plane"
    data: dict[str, Any] = {
        # As a slug, too, where the address names another one.
        "workspaces": {slug: {"slug": named} if named and in_url else {}},
        "feeds": {"all": {"everything": True}},
        "auto": {"projects": True, "assignees": True},
        "cache": {},
    }
    paths: dict[str, ConfigPath] = {
        "PLANE_WORKSPACE": ("workspaces", slug),
        "PLANE_BASE_URL": ("workspaces", slug, "url"),
        "PLANE_API_KEY": ("workspaces", slug, "api_key"),
        "PLANE_TOKEN": ("workspaces", slug, "token"),
        "PLANE_WEBHOOK_SECRET": ("workspaces", slug, "webhook_secret"),
        "ICSFEED_SECRET": ("secret",),
        "ICSFEED_ADMIN_TOKEN": ("admin_token",),
        "ICSFEED_PUBLIC_URL": ("public_url",),
        "ICSFEED_TIMEZONE": ("timezone",),
        "SYNC_INTERVAL_SECONDS": ("cache", "issues"),
    }
    for variable, (*parents, last) in paths.items():
        if environ.get(variable) and variable != "PLANE_WORKSPACE":
            mapping: Any = data
            for step in parents:
                mapping = mapping[step]
            mapping[last] = environ[variable]
    unnamed = Violation(
        ("PLANE_WORKSPACE",),
        "is missing: name the slug in Plane's address; or write a feeds.yaml here (`icsfeed init`)",
    )
    try:
        return decode(
            data,
            "environment",
            zones=available_timezones() if zones is None else zones,
            known=[] if named or in_url else [unnamed],
        )
    except ConfigError as error:
        names = {dotted(path): variable for variable, path in paths.items()}
        names[dotted(("workspaces", slug, "slug"))] = "PLANE_WORKSPACE"
        problems = [Problem(names.get(path, path), message) for path, message in error.problems]
        raise ConfigError(error.source, problems) from None


def example_text() -> str:
    """Return feeds.example.yaml: next to this package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside, outside = package / "feeds.example.yaml", package.parent / "feeds.example.yaml"
    return (inside if inside.is_file() else outside).read_text(encoding="utf-8")


def _read(path: Path) -> str:
    """Read a small text file. Raises ValueError with a message for people, without the path."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not UTF-8 text") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    return text


def _parse(text: str, problems: list[Violation]) -> Any:
    """Parse YAML to plain data; duplicate keys become problems. Raises ValueError with a text for people."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            raise ValueError("is empty: `icsfeed init` writes an example to start from")
        if _size(node, {}) > MAX_VALUES:
            raise ValueError(f"holds more than {MAX_VALUES} values, or an alias that holds itself")
        problems += _duplicates(node, (), set())
        try:
            return loader.construct_document(node)
        except (ValueError, OverflowError, LookupError, AttributeError, TypeError):
            # PyYAML 6 lets these out for dates, numbers and tags that do not exist (2026-13-01).
            raise ValueError("holds a date, number or tag that cannot be read: write it in quotes") from None
    except yaml.YAMLError as error:
        raise ValueError(_syntax_message(error)) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _syntax_message(error: yaml.YAMLError) -> str:
    # Without the words of the file: they could be a secret that needs quotes.
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or "")
    if not mark:
        return "holds a character that YAML does not allow"
    if re.search("alias|anchor|tag|directive", problem):
        problem = "a value that starts with & * ! or % needs quotes"
    return f"line {mark.line + 1}, column {mark.column + 1}: is not YAML: {problem}"


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return the number of values in a node with its aliases expanded; of one that holds itself, too many."""
    if id(node) not in sizes:
        sizes[id(node)] = MAX_VALUES + 1
        parts = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts if isinstance(part, yaml.Node))
    return sizes[id(node)]


def _duplicates(node: yaml.Node, at: ConfigPath, seen: set[int]) -> Iterator[Violation]:
    """Yield keys that one mapping holds twice, which YAML forbids and PyYAML 6 accepts."""
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


def _expand_variables(
    data: Any, at: ConfigPath, environ: Mapping[str, str], problems: list[Violation]
) -> Any:
    """Return the data with each `${NAME}` in its texts replaced; `$${` is a plain `${`."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            if match[0] != "$${":
                problems.append(Violation(at, "holds a ${ without NAME}: write $${ for a plain ${"))
            return "${"
        if match[1] not in environ:
            problems.append(Violation(at, f"the environment variable {match[1]} is not set"))
        return environ.get(match[1], "")

    if isinstance(data, str):
        if _BARE.fullmatch(data):
            problems.append(Violation(at, "is a $NAME: write ${NAME} to get the environment variable"))
        return _REFERENCE.sub(value, data)
    if isinstance(data, dict):
        return {
            key: _expand_variables(item, (*at, _step(key)), environ, problems) for key, item in data.items()
        }
    if isinstance(data, list):
        return [_expand_variables(item, (*at, index), environ, problems) for index, item in enumerate(data)]
    return data


def _step(key: object) -> str:
    return key if isinstance(key, str) else "?"


def _read_files(data: Any, at: ConfigPath, folder: Path, problems: list[Violation]) -> None:
    """Fill `api_key` from the file that `api_key_file` names, and so on; make paths absolute."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            _read_files(item, (*at, index), folder, problems)
    if isinstance(data, dict):
        for key, value in list(data.items()):
            path = (*at, _step(key))
            _read_files(value, path, folder, problems)
            if key in FILES and isinstance(value, str) and path not in {problem.path for problem in problems}:
                data[key] = str(folder / value)  # a reload may have another working directory
                try:
                    _read_into(data, key, folder / value)
                except ValueError as error:
                    problems.append(Violation(path, str(error)))


def _read_into(data: dict[str, Any], key: str, path: Path) -> None:
    """Read a secret into its key, or check a certificate. Raises ValueError with a message for people."""
    plain = key.removesuffix("_file")
    if data.get(plain) is not None:
        raise ValueError(f"cannot be combined with {plain}: keep one of them")
    text = _secret(path)
    if not text:
        raise ValueError("names an empty file")
    if key in SECRET_FILES:
        data[plain] = text
    if key != "ca_file":
        return
    # Loaded here, so that a bad file is a problem with its path, and not the failure of the first request.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError("holds no certificate that can be used (PEM)") from None


def _signing_problems(data: Any, known: Collection[Violation]) -> list[Violation]:
    """Return why profiles cannot be signed with the files that are named for it, if that is so."""
    files = data.get("profile_signing") if isinstance(data, dict) else None
    names = ("certificate_file", "key_file")
    if not isinstance(files, dict) or any(problem.path[0] == "profile_signing" for problem in known):
        return []
    if not all(isinstance(files.get(name), str) for name in names):
        return []  # decode says so
    try:
        load_signer(*(files[name] for name in names))
    except ValueError as error:
        return [Violation(("profile_signing",), str(error))]
    return []


def _secret(path: Path) -> str:
    return _read(path).removesuffix("\n").removesuffix("\r")
