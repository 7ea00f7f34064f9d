"""Writes docs/reference.md from the code: `python docs/reference.py`. A test holds the file against it.

Every key, route, command, exit code, figure and log event there is; what they are for stands in
feeds.example.yaml, README.md and running.md.
"""

import ast
import asyncio
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
from prometheus_client.parser import text_string_to_metric_families

import icsfeed
from icsfeed.cli import support as running
from icsfeed.cli.commands import cli
from icsfeed.config.json_schema import schema
from icsfeed.demo.api import create_plane
from icsfeed.demo.sample import sample
from icsfeed.demo.settings import demo_config
from icsfeed.server.build import opened, utc_now
from icsfeed.web.app import create_app
from icsfeed.web.state import ServerState
from icsfeed.web.status.metrics import exposition

PACKAGE = Path(icsfeed.__file__).parent
TARGET = Path(__file__).with_name("reference.md")

ENDS: Mapping[int, str] = {
    0: "done",
    1: "a fault of ours; the message says more",
    2: "wrong arguments, or a name that does not exist",
    3: "refused by a guard, which `--force` lifts",
    4: "partly done: some feeds, apps or objects failed and are named",
    65: "Plane's answers cannot be used",
    69: "Plane or the server cannot be reached",
    73: "a file cannot be written, or there is no room",
    75: "busy, throttled, not ready, or Plane fails with an error of its own: try later",
    76: "what answers is not Plane, or not a calendar",
    77: "the key or password is refused, or may not do this",
    78: "the configuration cannot be used",
    130: "ended by Ctrl-C",
}


def reference() -> str:
    """The whole file."""
    routes, figures = asyncio.run(_server())
    parts: Iterable[tuple[str, str, Iterable[str]]] = (
        ("Configuration", "Keys of `feeds.yaml`. `*` stands for a name of yours.", _keys()),
        ("Routes", "", routes),
        ("Commands", "", _commands()),
        ("Exit codes", "", _exits()),
        ("Figures", "What `/metrics` shows, in Prometheus' text format.", figures),
        ("Log events", "What stands in the log, by level and logger; `…` is filled in.", _events()),
    )
    text = (
        "# Reference\n\nWritten by `python docs/reference.py` from the code, and held against it by a test.\n"
    )
    for title, words, lines in parts:
        text += "\n".join(filter(None, (f"\n## {title}\n", words and f"{words}\n", *lines))) + "\n"
    return text


def _keys() -> Iterator[str]:
    found = schema()["$defs"]
    yield "| key | takes | default |\n|---|---|---|"
    for path, rule in _properties(found, "Config", ""):
        if not list(_inner(rule)) or "anyOf" in rule:
            yield f"| `{path}` | {_takes(rule)} | {_default(rule)} |"


def _properties(defs: Mapping[str, Any], name: str, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, rule in defs[name]["properties"].items():
        yield f"{at}{key}", rule
        for inner, step in _inner(rule):
            yield from _properties(defs, inner, f"{at}{key}.{step}")


def _inner(rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The structs that a key's value may be, and how their keys are reached."""
    for one in (rule, *rule.get("anyOf", ())):
        if "$ref" in one:
            yield one["$ref"].rpartition("/")[2], ""
        elif "$ref" in (more := one.get("additionalProperties") or {}):
            yield more["$ref"].rpartition("/")[2], "*."


def _takes(rule: Mapping[str, Any]) -> str:
    """In words, as the schema has them."""
    options = rule.get("anyOf", [rule])
    ours = [one for one in options if one.get("type") not in ("null", "integer")] or options
    words = dict.fromkeys(_words(one) for one in ours)
    listed = [word.removeprefix("a list: ") for word in words if word.startswith("a list: ")]
    told = [
        f"one or a list: {word}" if word in listed else word
        for word in words
        if not word.startswith("a list: ")
    ]
    return ", or ".join(told or words).replace("|", "\\|")


def _words(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" if value is not False else "`false`" for value in rule["enum"])
    if "description" in rule:
        return str(rule["description"]).splitlines()[0]
    if rule.get("type") == "array" or "items" in rule:
        return f"a list: {_takes(rule['items'])}"
    if "$ref" in rule or rule.get("type") == "object":
        return "keys of its own"
    return {"boolean": "`true` or `false`", "string": "text"}.get(
        str(rule.get("type")), str(rule.get("type"))
    )


def _default(rule: Mapping[str, Any]) -> str:
    value = rule.get("default")
    return "" if value in (None, {}, []) else f"`{json.dumps(value, ensure_ascii=False)}`".replace("|", "\\|")


@asynccontextmanager
async def _demo() -> Any:
    plane: Any = create_plane(sample(utc_now().date()), utc_now)
    async with opened(demo_config(), transports={"demo": httpx.ASGITransport(plane)}) as service:
        server = ServerState(utc_now)
        app: Any = create_app(service, server)
        async with app.lifespan():
            yield service, server, app


async def _server() -> tuple[list[str], list[str]]:
    """The routes as the server describes them, and the figures that it shows."""
    async with _demo() as (service, server, app):
        described = app.openapi_schema.to_schema()
        text = exposition(service, server).decode()
    routes = ["| route | what |\n|---|---|"]
    for path, methods in sorted(described["paths"].items()):
        words = {method["summary"] for method in methods.values()}
        names = ", ".join(sorted(method.upper() for method in methods))
        routes.append(f"| {names} `{path}` | {'; '.join(sorted(words))} |")
    figures = ["| figure | type | what |\n|---|---|---|"]
    for family in sorted(text_string_to_metric_families(text), key=lambda family: family.name):
        suffix = "_total" if family.type == "counter" else ""
        figures.append(f"| `{family.name}{suffix}` | {family.type} | {family.documentation} |")
    return routes, figures


def _commands() -> Iterator[str]:
    for name, command in sorted(cli.commands.items()):
        context = click.Context(
            command, info_name=f"icsfeed {name}", terminal_width=100, max_content_width=100
        )
        yield f"### {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def _exits() -> Iterator[str]:
    named = {value for name, value in vars(running).items() if name.isupper() and isinstance(value, int)}
    used = {code for _, code in running.EXIT_CODES} | (named & ENDS.keys())
    missing = used - ENDS.keys()
    if missing:
        raise SystemExit(f"docs/reference.py does not say what these exit codes mean: {sorted(missing)}")
    yield "| code | meaning |\n|---|---|"
    yield from (f"| {code} | {words} |" for code, words in ENDS.items() if code in used | {0, 2, 130})


def _events() -> Iterator[str]:
    yield "| level | logger | event |\n|---|---|---|"
    found = (event for path in PACKAGE.rglob("*.py") for event in _logged(path))
    yield from (f"| {level} | `{logger}` | {words} |" for level, logger, words in sorted(set(found)))


def _logged(path: Path) -> Iterator[tuple[str, str, str]]:
    """The events of a module, read from its source: `log.warning("...")`, and the name of its logger."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loggers = [call.args[0] for call in calls if ast.unparse(call.func) == "logging.getLogger" and call.args]
    own = next((str(one.value) for one in loggers if isinstance(one, ast.Constant)), "")
    levels = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
    for call in calls:
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "log":
            level = levels.get(call.func.attr, "INFO")
            texts = [
                arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if texts:
                yield level, own, _sentence(texts[0])


def _sentence(template: str) -> str:
    for form in ("%s", "%d", "%.0f", "%.1f", "%r"):
        template = template.replace(form, "…")
    return inspect.cleandoc(template).replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
