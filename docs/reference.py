"""Writes docs/reference.md from the code: `.venv/bin/python docs/reference.py`. A test compares the two.

It lists every configuration key, route, command, exit code, metric and log event. What a key means and
what an exit code means is written here; a test fails when one is missing.
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
from icsfeed.cli import support
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

EXIT_CODES: Mapping[int, str] = {
    0: "Success.",
    1: "Unexpected error in icsfeed; the message says more.",
    2: "Wrong arguments, or a name that does not exist.",
    3: "Refused by a guard: nothing was deleted. `--force` overrides it.",
    4: "Partly done: some feeds, apps or objects failed; they are named.",
    65: "Plane's answers cannot be used.",
    69: "Plane, the calendar server or the icsfeed server cannot be reached.",
    73: "A file cannot be written, or there is no space left.",
    75: "Busy, rate limited, not ready, or Plane fails with an error of its own (HTTP 500): try again later.",
    76: "The answer does not come from Plane, or is not a calendar or CalDAV.",
    77: "The key or password was refused, or lacks access.",
    78: "The configuration cannot be used.",
    130: "Ended by Ctrl-C.",
    143: "Ended by SIGTERM.",
}

GROUPS: Mapping[str, str] = {
    "": "Server",
    "workspaces": "Workspaces",
    "feeds": "Feeds",
    "auto": "Automatic feeds",
    "push": "Push targets",
    "cache": "Freshness",
}
"""The headings of the configuration keys, by the first part of a key; `""`: all others."""

MEANINGS: Mapping[str, str] = {
    "workspaces.*.url": "Plane's address, without `/api` and without the workspace. For Plane Cloud "
    "any of its addresses: `https://app.plane.so`, `https://api.plane.so`, `https://acme.plane.so`, or that "
    "of a page there; the others and the slug are found from it.",
    "workspaces.*.api_key": "Plane's API key. icsfeed sees what the key's owner sees, and only reads.",
    "workspaces.*.api_key_file": "A file that holds the API key. It is read again when Plane refuses the "
    "key.",
    "workspaces.*.token": "In place of `api_key`: the token of an OAuth app or of the workspace. Plane Cloud "
    "and Commercial take it; Community does not.",
    "workspaces.*.token_file": "A file that holds the token. It is read again when Plane refuses the token.",
    "workspaces.*.ca_file": "A PEM file of certificates to trust in addition to the system's.",
    "workspaces.*.slug": "The workspace's slug in Plane. Default: the one in `url`, or the name that the "
    "workspace has here.",
    "workspaces.*.web_url": "The address of Plane's web pages, for links back to issues. Default: `url`, or "
    "the web app of Plane Cloud.",
    "workspaces.*.active": "`false`: the workspace is not read, and its feeds answer 404.",
    "workspaces.*.title": "The workspace's name for people, and the title of feeds over several projects. "
    "Default: the name that the workspace has here.",
    "workspaces.*.description": "A note about the workspace. It is not shown anywhere.",
    "workspaces.*.projects": "The keys of the only projects that may be published. Default: every project "
    "that the API key's owner has joined.",
    "workspaces.*.webhook_from": "The addresses that may send webhooks. Default: any; the signature decides.",
    "workspaces.*.webhook_secret": "The secret that Plane shows for its webhook.",
    "workspaces.*.webhook_secret_file": "A file that holds the webhook secret.",
    "workspaces.*.webhook_secret_old": "The previous webhook secret. While the secret is being changed, "
    "both are accepted.",
    "secret": "All links are derived from it; changing it changes every link. 32 characters or more. "
    "Required unless every feed is public, none has `details: busy`, and `auto` is off.",
    "secret_file": "A file that holds `secret`.",
    "admin_token": "Gives access to `/status`, `/metrics`, `/webhooks/sync` and `/webhooks/status`. Without "
    "it they are closed. 16 characters or more.",
    "admin_token_file": "A file that holds `admin_token`.",
    "feeds.*.workspace": "The workspace to read. Required when there are several.",
    "feeds.*.project": "The issues of one project, by key, name or id.",
    "feeds.*.projects": "The issues of these projects, by key, name or id.",
    "feeds.*.assignee": "The issues assigned to one person, by e-mail address, display name or id; in all "
    "projects, or in the ones that the feed names.",
    "feeds.*.unassigned": "The issues assigned to nobody; in all projects, or in the ones that the feed "
    "names.",
    "feeds.*.everything": "All issues of the workspace.",
    "feeds.*.where.priority": "Only issues with one of these priorities.",
    "feeds.*.where.state": "Only issues in one of these states: names, or the groups `backlog`, "
    "`unstarted`, `started`, `completed`, `cancelled`.",
    "feeds.*.where.label": "Only issues with one of these labels; `none`: without a label.",
    "feeds.*.where.assignee": "Only issues assigned to one of these people, by e-mail address, name or id; "
    "`none`: to nobody.",
    "feeds.*.where.cycle": "Only issues in one of these cycles; `none`: in no cycle. Costs additional "
    "requests to Plane.",
    "feeds.*.where.project": "Only issues of one of these projects, by key, name or id.",
    "feeds.*.where.created_by": "Only issues created by one of these people, by e-mail address, name or id.",
    "feeds.*.where.type": "Only issues of one of these types, by name; `epic`: of any type that Plane calls "
    "an epic; `none`: without a type. Not in Plane's Community edition.",
    "feeds.*.where.parent": "Only issues below one of these, at any depth, by key (`PROP-42`) or id; they "
    "must be in the feed's projects. `none`: issues that have no parent.",
    "feeds.*.where.title": "Only issues whose title contains one of these texts.",
    "feeds.*.where.module": "Only issues in one of these modules; `none`: in no module. Costs additional "
    "requests to Plane.",
    "feeds.*.where.not.priority": "Excludes issues with one of these priorities.",
    "feeds.*.where.not.state": "Excludes issues in one of these states or groups of states.",
    "feeds.*.where.not.label": "Excludes issues with one of these labels.",
    "feeds.*.where.not.assignee": "Excludes issues assigned to one of these people.",
    "feeds.*.where.not.cycle": "Excludes issues in one of these cycles.",
    "feeds.*.where.not.project": "Excludes issues of these projects.",
    "feeds.*.where.not.created_by": "Excludes issues that one of these people created.",
    "feeds.*.where.not.type": "Excludes issues of these types.",
    "feeds.*.where.not.parent": "Excludes issues below one of these.",
    "feeds.*.where.not.title": "Excludes issues whose title contains one of these texts.",
    "feeds.*.where.not.module": "Excludes issues in one of these modules.",
    "feeds.*.pql": "Only issues that Plane finds with this search in its query language, PQL, as well as "
    "`where`. Commercial editions and Cloud.",
    "feeds.*.window": "How far from today the feed reaches. Open overdue issues are always included.",
    "feeds.*.window.past": "How far into the past. Default: no limit.",
    "feeds.*.window.ahead": "How far into the future. Default: no limit.",
    "feeds.*.include": "What the feed contains. Cycles, modules and initiatives are events from their first "
    "to their last day; milestones and releases have one day. Not every Plane has milestones, releases and "
    "initiatives. Releases and initiatives need `everything: true`, in a workspace without `projects`.",
    "feeds.*.undated": "`true`: tasks without a due date are included. Only with `component: vtodo`.",
    "feeds.*.active": "`false`: the feed's links answer 404; nothing else changes.",
    "feeds.*.title": "The calendar's title. Default: from the name of the project, person or workspace.",
    "feeds.*.description": "The calendar's description.",
    "feeds.*.color": "The calendar's own colour. RFC 7986 allows names only, not `#rrggbb`.",
    "feeds.*.language": "The language of this feed. Default: the server's `language`.",
    "feeds.*.component": "`vevent`: events, for every calendar app. `vtodo`: tasks, for Thunderbird, "
    "Evolution and task apps.",
    "feeds.*.dates": "`due`: one event on the due date. `span`: one event from start date to due date. "
    "`start-and-due`: two events of one day each.",
    "feeds.*.done": "What happens to completed and cancelled issues. `cancelled`: marked as cancelled. "
    "`keep`: unchanged. `check`: ✓ before the title. `drop`: left out.",
    "feeds.*.details": "How much an event says. `full`: text, state, priority, people, labels, link. "
    "`brief`: state, priority, link. `title`: no description. `busy`: the word Busy.",
    "feeds.*.summary": "The title of an event. `{key}` is `PROP-42`.",
    "feeds.*.categories": "What apps show as categories.",
    "feeds.*.colors": "The colour of events by priority, for this feed. Default: the server's `colors`.",
    "feeds.*.alarm": "Reminders, counted from the start of the due day: `-PT15H` is 9:00 on the day before.",
    "feeds.*.refresh": "How often apps should refresh the calendar. Google and Outlook decide for "
    "themselves.",
    "feeds.*.stale_notice": "After this long without a good answer from Plane, an event says so. `false`: "
    "never.",
    "feeds.*.overdue_digest": "`true`: one more event, on today's date, counts and lists the overdue issues.",
    "feeds.*.public": "`true`: the feed is at `/feeds/NAME.ics` without a token, for anyone who can "
    "reach the server.",
    "feeds.*.subscribers": "Names that get a link of their own, in addition to the feed's link.",
    "feeds.*.revoked": "Former subscribers. Their links show one event, *This calendar link was revoked*.",
    "feeds.*.revision": "Increase it to rotate all links of this feed.",
    "auto.projects": "`true`: a feed `project-KEY` for every project.",
    "auto.assignees": "`true`: a feed `assignee-NAME` for every member.",
    "push.*.feed": "The feed to write.",
    "push.*.url": "The calendar's address; or the account's or server's address, with `collection`.",
    "push.*.username": "The user name on the CalDAV server.",
    "push.*.password": "The password on the CalDAV server, for Basic or Digest authentication.",
    "push.*.password_file": "A file that holds the password.",
    "push.*.token": "A bearer token, instead of user name and password.",
    "push.*.token_file": "A file that holds the bearer token.",
    "push.*.active": "`false`: the target is not written to.",
    "push.*.collection": "The calendar's display name: icsfeed looks for a calendar of that name, and gives "
    "that name to a calendar that it creates.",
    "push.*.create": "`true`: create the calendar when it does not exist.",
    "push.*.adopt": "`true`: take over unmarked objects with the same UIDs (CalPlaneBot's). A list: take "
    "over the objects of these former feeds.",
    "push.*.strip_emoji": "`true`: leave emoji out. SOGo 5.8 destroys objects with an emoji in some places.",
    "push.*.allow_insecure": "`true`: send the password over plain http. Not needed for localhost.",
    "push.*.max_delete_ratio": "A run deletes at most this share of icsfeed's own objects, or `min_delete`, "
    "whichever is more; beyond that, only with `--force`.",
    "push.*.min_delete": "A run may always delete this many of icsfeed's own objects.",
    "push.*.ca_file": "A PEM file of certificates to trust in addition to the system's.",
    "push.*.connect_timeout": "How long to wait for a connection.",
    "push.*.read_timeout": "How long to wait for an answer.",
    "public_url": "The address at which people and calendar apps reach the server; it may contain a path. "
    "90 characters at most.",
    "timezone": "Decides what *today* means: for windows, overdue issues and pages.",
    "language": "The language of icsfeed's own words in calendars, and on pages where the "
    "browser names none that icsfeed has.",
    "colors": "The colour of events by priority, for all feeds; `null`: none. Default: `urgent: red`, "
    "`high: orange`, `medium: yellow`, `low: green`.",
    "embed.frame_ancestors": "The pages that may show a feed in a frame. Default: none.",
    "auth_proxy": "Turns on `/me`, where people who are signed in by a proxy find their own calendars.",
    "auth_proxy.header": "The header in which the proxy sends the person's e-mail address.",
    "auth_proxy.from": "The addresses from which the proxy connects. From any other address the header is "
    "ignored.",
    "auth_proxy.secret": "A secret that the proxy sends in `X-Icsfeed-Proxy-Secret`; it keeps out other "
    "programs at those addresses. 32 characters or more.",
    "auth_proxy.secret_file": "A file that holds the proxy's secret.",
    "own_links.tombstone": "How long a link that a person has made and then revoked or renewed shows *This "
    "calendar link was revoked*; then it answers 404.",
    "profile_signing": "Signs the profiles for iPhone, iPad and Mac. Needs the extra `icsfeed[signing]`.",
    "profile_signing.certificate_file": "A PEM file: the certificate, followed by those up to its root.",
    "profile_signing.key_file": "A PEM file: its private key, RSA or elliptic curve, without a passphrase.",
    "cors": "The pages whose scripts may read feeds (FullCalendar, for example), or a single `*`. Default: "
    "none.",
    "cache.workspaces": "Accepted, and not used by this version.",
    "cache.projects": "How long the list of projects counts as fresh.",
    "cache.issues": "How long issues count as fresh; for public feeds also the `max-age` of answers.",
    "cache.cycles": "How long cycles, and which issues they contain, count as fresh.",
    "cache.modules": "How long modules, and which issues they contain, count as fresh.",
    "cache.milestones": "How long milestones, and which work items they contain, count as fresh. Like "
    "releases, initiatives and types they are read only where a feed needs them.",
    "cache.releases": "How long releases count as fresh.",
    "cache.initiatives": "How long initiatives count as fresh.",
    "cache.types": "How long the types of work items count as fresh. A new type is read at once.",
    "cache.members": "How long the list of members counts as fresh.",
    "cache.states": "How long states count as fresh.",
    "cache.labels": "How long labels count as fresh.",
    "cache.deadline": "How long a reader waits for Plane before the last good copy is served.",
    "cache.full": "Between full reads only changed issues are read; this is the time between full reads.",
    "cache.webhook_ttl": "How far `cache.issues` may be stretched while webhooks arrive, where Plane's "
    "request budget requires it.",
    "sync_interval": "How often targets are pushed to when nothing has changed here: somebody may have "
    "edited the calendar.",
    "store": "Where the last good copies are kept: `file`, `memory`, or `redis://host:6379/0` (also "
    "`rediss://`, `unix://`, `redis+sentinel://`, and `valkey` for `redis`). Default: `file`.",
    "gzip": "`false`: answers are not compressed.",
    "trusted_proxies": "The reverse proxies whose `X-Forwarded-For` is believed: for limits, `webhook_from` "
    "and logs. Default: none.",
    "allowed_hosts": "The host names that the server answers to. Default: any. It always answers on its own "
    "loopback address.",
    "log_addresses": "`true`: the log line of a request contains the reader's address.",
}
"""What each key of the configuration means, in a sentence or two."""


def reference() -> str:
    """The whole file."""
    routes, metrics = asyncio.run(_server())
    parts: Iterable[tuple[str, str, Iterable[str]]] = (
        ("Configuration", CONFIGURATION, _keys()),
        ("Routes", "`/docs` shows them with parameters and answers, `/openapi.json` describes them.", routes),
        ("Commands", "", _commands()),
        ("Exit codes", "", _exits()),
        ("Metrics", "What `/metrics` shows, in Prometheus' text format.", metrics),
        ("Log events", "By level and logger; `…` stands for a value.", _events()),
    )
    command = ".venv/bin/python docs/reference.py"
    text = f"# Reference\n\nGenerated from the code by `{command}`; a test compares them.\n"
    for title, words, lines in parts:
        text += "\n".join(filter(None, (f"\n## {title}\n", words and f"{words}\n", *lines))).rstrip() + "\n"
    return text


CONFIGURATION = """\
The keys of `feeds.yaml`; `*` stands for a name that you choose. `icsfeed init` writes an example with
comments, `icsfeed init --schema` prints a JSON schema for editors, and [administration.md](administration.md)
explains how the keys work together. Where a list is allowed, a single value may be written without brackets.
Lengths of time are written `90d`, `12h`, `30m`, `15s` or together (`1d 12h`); a plain number is seconds."""


def configuration_keys() -> Mapping[str, Mapping[str, Any]]:
    """The schema of every key that takes a value, by path: `feeds.*.where.not.label`."""
    properties = _properties(schema()["$defs"], "Config", "")
    return {path: rule for path, rule in properties if not list(_inner(rule)) or "anyOf" in rule}


def _keys() -> Iterator[str]:
    rules = configuration_keys()
    unexplained = sorted(rules.keys() ^ MEANINGS.keys())
    if unexplained:
        raise SystemExit(f"docs/reference.py: MEANINGS and the configuration differ in {unexplained}")
    for group, title in GROUPS.items():
        rows = (_row(path, rule) for path, rule in rules.items() if _group(path) == group)
        table = "\n".join(("| key | meaning | type | default |\n|---|---|---|---|", *rows))
        yield f"### {title}\n\n{table}\n"


def _row(path: str, rule: Mapping[str, Any]) -> str:
    return f"| `{path}` | {_cell(MEANINGS[path])} | {_type(rule)} | {_default(rule)} |"


def _group(path: str) -> str:
    first, dot, _ = path.partition(".")
    return first if dot and first in GROUPS else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _properties(defs: Mapping[str, Any], name: str, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, rule in defs[name]["properties"].items():
        yield f"{at}{key}", rule
        for inner, step in _inner(rule):
            yield from _properties(defs, inner, f"{at}{key}.{step}")


def _inner(rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The structs that a key's value may be, and how their keys are reached."""
    for option in (rule, *rule.get("anyOf", ())):
        if "$ref" in option:
            yield option["$ref"].rpartition("/")[2], ""
        elif "$ref" in (values := option.get("additionalProperties") or {}):
            yield values["$ref"].rpartition("/")[2], "*."


def _type(rule: Mapping[str, Any]) -> str:
    """In words, as the schema has them."""
    options = rule.get("anyOf", [rule])
    shown = [option for option in options if option.get("type") not in ("null", "integer")] or options
    words = dict.fromkeys(_words(option) for option in shown)
    in_lists = [word.removeprefix("a list: ") for word in words if word.startswith("a list: ")]
    single = [
        f"one or a list: {word}" if word in in_lists else word
        for word in words
        if not word.startswith("a list: ")
    ]
    return _cell(", or ".join(single or words))


def _words(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    if rule.get("const") is False:
        return "`false`"
    if "description" in rule:
        return str(rule["description"]).splitlines()[0]
    if rule.get("type") == "array" or "items" in rule:
        return f"a list: {_type(rule['items'])}"
    if rule.get("additionalProperties"):
        return f"by priority: {_type(rule['additionalProperties'])}, or `null`"
    if "$ref" in rule or rule.get("type") == "object":
        return "the keys below"
    return {"boolean": "`true` or `false`", "string": "text"}.get(
        str(rule.get("type")), str(rule.get("type"))
    )


def _default(rule: Mapping[str, Any]) -> str:
    value = rule.get("default")
    if value in (None, {}, []):
        return ""
    if "a length of time" in _type(rule):
        return f"`{_length(value)}`"
    is_word = isinstance(value, str) and value.isalpha()
    return f"`{value if is_word else _cell(json.dumps(value, ensure_ascii=False))}`"


def _length(seconds: int) -> str:
    """As the configuration writes it: `6h`."""
    units = {"d": 86_400, "h": 3_600, "m": 60}
    unit, size = next(((name, size) for name, size in units.items() if seconds % size == 0), ("s", 1))
    return f"{seconds // size}{unit}"


@asynccontextmanager
async def _demo() -> Any:
    plane: Any = create_plane(sample(utc_now().date()), utc_now)
    async with opened(demo_config(), transports={"demo": httpx.ASGITransport(plane)}) as service:
        server = ServerState(utc_now)
        app: Any = create_app(service, server)
        async with app.lifespan():
            yield service, server, app


async def _server() -> tuple[list[str], list[str]]:
    """The routes as the server describes them, and the metrics that it shows."""
    async with _demo() as (service, server, app):
        described = app.openapi_schema.to_schema()
        text = exposition(service, server).decode()
    routes = ["| route | purpose |\n|---|---|"]
    for path, methods in sorted(described["paths"].items()):
        words = {method["summary"] for method in methods.values()}
        names = ", ".join(sorted(method.upper() for method in methods))
        routes.append(f"| {names} `{path}` | {'; '.join(sorted(words))} |")
    metrics = ["| metric | type | meaning |\n|---|---|---|"]
    for family in sorted(text_string_to_metric_families(text), key=lambda family: family.name):
        suffix = "_total" if family.type == "counter" else ""
        metrics.append(f"| `{family.name}{suffix}` | {family.type} | {family.documentation} |")
    return routes, metrics


def _commands() -> Iterator[str]:
    whole = click.Context(cli, info_name="icsfeed", terminal_width=100, **cli.context_settings)
    yield f"<!-- help -->\n{_help(whole)}\n"
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=whole, terminal_width=100)
        yield f"### {name}\n\n{_help(context)}\n"
        for part, inner in getattr(command, "commands", {}).items():
            context_of_part = click.Context(inner, info_name=part, parent=context, terminal_width=100)
            yield f"#### {name} {part}\n\n{_help(context_of_part)}\n"


def _help(context: click.Context) -> str:
    return f"```text\n{context.get_help().rstrip()}\n```"


def exit_codes() -> Iterator[int]:
    """The exit codes of the commands, from `cli/support.py`."""
    yield from (code for _, code in support.EXIT_CODES)
    yield from (value for name, value in vars(support).items() if name.isupper() and _is_exit_code(value))
    yield from (0, 2, 130)  # done; click's own for wrong arguments; the shell's for Ctrl-C


def _is_exit_code(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 256 and not isinstance(value, bool)


def _exits() -> Iterator[str]:
    used = set(exit_codes())
    missing = sorted(used - EXIT_CODES.keys())
    if missing:
        raise SystemExit(f"docs/reference.py: EXIT_CODES does not say what these mean: {missing}")
    yield "| code | meaning |\n|---|---|"
    yield from (f"| {code} | {words} |" for code, words in EXIT_CODES.items() if code in used)


def _events() -> Iterator[str]:
    yield "| level | logger | event |\n|---|---|---|"
    events = {event for path in PACKAGE.rglob("*.py") for event in _logged(path)}
    yield from (f"| {level} | `{logger}` | {words} |" for level, logger, words in sorted(events))


def _logged(path: Path) -> Iterator[tuple[str, str, str]]:
    """The events of a module, read from its source: `log.warning("...")`, and the name of its logger."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loggers = [call.args[0] for call in calls if ast.unparse(call.func) == "logging.getLogger" and call.args]
    logger = next((str(name.value) for name in loggers if isinstance(name, ast.Constant)), "")
    levels = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
    for call in calls:
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "log":
            level = levels.get(call.func.attr, "INFO")
            texts = [
                arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if texts:
                yield level, logger, _sentence(texts[0])


def _sentence(template: str) -> str:
    """The text of an event with its values left out."""
    for form in ("%s", "%d", "%.0f", "%.1f", "%r"):
        template = template.replace(form, "…")
    return _cell(inspect.cleandoc(template))


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
