"""The layers of the package (docs/architecture.md): who may import what, and which modules are pure."""

import ast
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

import icsfeed

ROOT = Path(icsfeed.__file__).parent
MODULES = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py"))

LAYERS = (
    ("icsfeed",),
    ("l10n", "config", "ics", "dav"),
    ("plane", "store"),
    ("cache", "own_links"),
    ("feeds",),
    ("push", "export", "doctor"),
    ("web",),
    ("server", "demo"),
    ("cli",),
)
"""From the lowest to the highest: a module imports from its own layer and from those below it.

The single modules outside the packages (`errors`, `model`, `text` ...) are the lowest layer.
"""

NARROW = {"doctor": ("icsfeed", "ics"), "demo": ("icsfeed", "config")}
"""Packages that import less than their layer allows."""

PURE = (
    *("errors.py", "model.py", "hosts.py", "http_headers.py", "tokens.py"),
    *("text.py", "text_builder.py", "html_text.py"),
    *("l10n/languages.py", "l10n/words.py"),
    *("config/schema.py", "config/rules.py", "config/values.py", "config/addresses.py", "config/checks.py"),
    *("config/decode.py", "config/scope.py"),
    *("ics/component.py", "ics/write.py", "ics/read.py", "dav/names.py", "dav/tree.py"),
    *("plane/features.py", "plane/incremental.py", "plane/workspace_changes.py"),
    *("plane/webhook.py", "cache/revisions.py"),
    *("feeds/query.py", "feeds/filters.py", "feeds/select.py", "feeds/mapping.py"),
    *("feeds/calendar.py", "feeds/rendered.py", "feeds/links.py"),
    *("feeds/automatic_names.py", "feeds/people/personal.py", "feeds/diagnose.py"),
    *("feeds/news/changes.py", "feeds/news/entries.py", "feeds/news/formats.py"),
    *("own_links/model.py", "own_links/changes.py", "own_links/listing.py", "own_links/backup.py"),
    *("push/action.py", "push/report.py", "push/plan.py", "push/object.py", "export/plan.py"),
    *("doctor/verdict.py", "doctor/body.py", "doctor/clients.py", "doctor/observations.py"),
    *("doctor/content_rules.py", "doctor/http_rules.py", "web/proxies.py"),
    *("web/pages/items.py", "web/pages/views/agenda.py", "web/pages/views/month.py"),
    *("web/pages/views/calendar_view.py", "web/pages/views/legend.py"),
    "web/pages/views/timeline.py",
    *("web/pages/link_builder.py", "web/pages/parameters.py", "web/subscribe/choices.py"),
    *("web/subscribe/profile.py", "web/pages/embed_code.py", "web/status/table.py"),
    *("web/dav/outcomes.py", "web/dav/resources.py", "web/dav/sync_log.py", "web/dav/filters.py"),
    *("web/dav/requests.py", "web/dav/properties.py", "web/dav/answer.py"),
)
"""No await, clock, file, network, randomness or environment, and no import of a module that has any."""

IO = (
    *("asyncio", "concurrent", "ctypes", "fcntl", "fileinput", "ftplib"),
    *("getpass", "glob", "http", "imaplib", "io", "locale"),
    *("logging", "mmap", "multiprocessing", "os", "pathlib", "platform"),
    *("poplib", "queue", "random", "readline", "sched", "secrets"),
    *("select", "selectors", "shelve", "shutil", "signal", "smtplib"),
    *("socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys"),
    *("syslog", "tempfile", "threading", "time", "urllib.request", "urllib.error"),
    *("uuid.uuid1", "uuid.uuid4", "webbrowser"),
)
"""Modules of the standard library that touch the world: clocks, files, processes, networks, randomness."""

CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic")

OUTSIDE = {
    "httpx": (
        *(
            "http.py",
            "plane/client.py",
            "plane/requests.py",
            "plane/fetch.py",
            "push/session.py",
            "push/collection.py",
        ),
        *("doctor/probe.py", "server/live_status.py"),
        *("server/build.py", "cli/serve.py"),  # they pass a transport on
    ),
    "litestar": ("web/*", "demo/*", "store/*", "server/*"),
    "uvicorn": ("server/connections.py", "server/process.py"),
    "cryptography": ("signing.py",),
    "icalendar": (),  # the tests' second parser
    "babel": ("l10n/*", "web/pages/*"),
    "icsfeed.cli": ("__main__.py", "cli/*"),
}
"""Who may import these, wherever else nobody may."""


def imports(source: str) -> Iterator[str]:
    """The full names that a module imports, anywhere in it: `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def breaches(module: str, source: str) -> Iterator[str]:
    """What a module at this path imports, or calls, that its layer does not allow."""
    for name in imports(source):
        if name.startswith(".") or _is_foreign(module, name) or _is_above(module, name):
            yield name
    if module in PURE:
        yield from filter(_is_impure, imports(source))
        yield from _clocks(source)


def _is_foreign(module: str, name: str) -> bool:
    guarded = (allowed for package, allowed in OUTSIDE.items() if within(name, package))
    return any(not any(fnmatch(module, pattern) for pattern in allowed) for allowed in guarded)


def _is_above(module: str, name: str) -> bool:
    """Whether a module imports a layer above its own, or a package that it has no need of."""
    if module == "__main__.py" or not within(name, "icsfeed"):
        return False
    own, other = package_of(PurePosixPath(module).parts), package_of(name.split(".")[1:])
    if own in NARROW:
        return other not in (own, *NARROW[own])
    return _height(other) > _height(own)


def package_of(parts: Sequence[str]) -> str:
    """The package that the parts of a path or of a dotted name begin with; `icsfeed` for what is in none."""
    return next((part for part in parts[:1] for packages in LAYERS if part in packages), "icsfeed")


def _height(package: str) -> int:
    return next(number for number, packages in enumerate(LAYERS) if package in packages)


def _is_impure(name: str) -> bool:
    top = name.partition(".")[0]
    if top == "icsfeed":
        path = name.removeprefix("icsfeed.").replace(".", "/")
        return any(own in MODULES and own not in PURE for own in (f"{path}.py", f"{path}/__init__.py"))
    # What a package reads of its own, such as Babel its locales and we our catalogues, counts as its code.
    foreign = (
        top not in ("babel", "idna", "msgspec", "wcwidth", "webcolors") and top not in sys.stdlib_module_names
    )
    return foreign or any(within(name, door) for door in IO)


def _clocks(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("open", "input", "print") or called.endswith(CLOCKS):
                yield f"{called}()"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield "async"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_layer_allows(module: str) -> None:
    assert not list(breaches(module, (ROOT / module).read_text(encoding="utf-8")))


def test_the_pure_modules_are_there() -> None:
    assert set(PURE) <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("text.py", "import os"),
        ("text.py", "import os.path"),
        ("feeds/select.py", "from pathlib import Path"),
        ("feeds/select.py", "def f():\n    import asyncio"),
        ("feeds/select.py", "from urllib.request import urlopen"),
        ("feeds/select.py", "from urllib import request"),
        ("feeds/select.py", "from uuid import uuid4"),
        ("feeds/select.py", "import yaml"),
        ("feeds/select.py", "now = datetime.now(UTC)"),
        ("feeds/select.py", "now = datetime.datetime.now()"),
        ("feeds/select.py", "day = date.today()"),
        ("feeds/select.py", "open('x')"),
        ("feeds/select.py", "async def f(): ..."),
        ("feeds/select.py", "from icsfeed.push import plan"),
        ("feeds/select.py", "from icsfeed.feeds.service import FeedService"),
        ("feeds/select.py", "from icsfeed.feeds import service"),
        ("ics/write.py", "import icalendar"),
        ("web/app.py", "import icalendar"),
        ("text.py", "import babel"),
        ("text.py", "from . import model"),
        ("text.py", "from icsfeed import feeds"),
        ("text.py", "from icsfeed.config.schema import Config"),
        ("cache/ttl.py", "from icsfeed.feeds.select import select"),
        ("plane/client.py", "from icsfeed.web.app import create_app"),
        ("plane/client.py", "from icsfeed.cache import ttl"),
        ("plane/client.py", "from icsfeed.demo import api"),
        ("plane/client.py", "import litestar"),
        ("web/app.py", "import httpx"),
        ("web/app.py", "import uvicorn"),
        ("web/app.py", "from icsfeed.server.reload import ReloadableApp"),
        ("web/app.py", "from icsfeed.cli.commands import main"),
        ("web/app.py", "from icsfeed import cli"),
        ("doctor/probe.py", "from icsfeed.config.schema import Config"),
        ("demo/api.py", "import httpx"),
        ("demo/api.py", "from icsfeed.plane.decode import page"),
        ("demo/api.py", "from icsfeed.web.app import create_app"),
        ("__main__.py", "import uvicorn"),
        ("cli/commands.py", "import uvicorn"),
        ("cli/commands.py", "import httpx"),
    ],
)
def test_a_breach_is_seen(module: str, source: str) -> None:
    assert list(breaches(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("text.py", "from urllib.parse import quote\nfrom uuid import uuid5\nimport re, gzip, hmac, msgspec"),
        ("feeds/select.py", "from icsfeed.model import Issue\nfrom datetime import datetime"),
        ("plane/client.py", "from icsfeed.plane import decode, rate_limit\nimport httpx, asyncio"),
        ("push/session.py", "from icsfeed.store.store import Store\nfrom icsfeed import __version__"),
        ("config/rules.py", "from icsfeed.ics.component import CSS3"),
        ("store/store.py", "from litestar.stores.file import FileStore"),
        ("server/build.py", "import httpx\nfrom icsfeed.plane import client"),
        ("__main__.py", "from icsfeed.cli.commands import main"),
        ("server/process.py", "import uvicorn"),
        ("cli/serve.py", "import httpx"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module: str, source: str) -> None:
    assert not list(breaches(module, source))


def test_plane_is_only_read() -> None:
    writing = {"post", "put", "patch", "delete"}
    opened = []
    for name in MODULES:
        if not name.startswith("plane/"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in writing, f"{name}:{node.lineno}"
                if node.func.attr in ("stream", "request", "send") and node.args:
                    opened.append((name, ast.unparse(node.args[0])))
    assert [method for _, method in opened if method.startswith("'")] == ["'GET'"]
