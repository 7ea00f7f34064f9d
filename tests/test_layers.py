"""The floors of the house (README.md, "Contributing"): who may import what, read from the source."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

import icsfeed

ROOT = Path(icsfeed.__file__).parent
MODULES = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py"))

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
"""The standard library's doors to the world: clocks, files, processes, networks, chance."""

CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic")

SHARED = ("quota", "store", "bodies", "http")
"""Adapters that the others may use; modules that share a first word (plane_http, plane_wire) are one."""

OUTSIDE = {
    "httpx": ("adapters/*", "app/build.py", "serving.py"),  # the last two hand a transport on
    "litestar": (
        "app/*",
        "demo/*",
        "adapters/store*.py",
        "serving.py",
        "connections.py",
    ),  # the last two: for types
    "uvicorn": ("serving.py", "connections.py"),  # at last types
    "icalendar": (),  # the second parser, of the tests
    "babel": ("app/*",),
    "icsfeed.cli": ("__main__.py",),
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
    """What a module at this path imports, or calls, that its floor does not allow."""
    for name in imports(source):
        if name.startswith(".") or _is_foreign(module, name) or _is_above(module, name):
            yield name
    if module.startswith("core/"):
        yield from filter(_is_impure, imports(source))
        yield from _clocks(source)


def _is_foreign(module: str, name: str) -> bool:
    guarded = (allowed for package, allowed in OUTSIDE.items() if within(name, package))
    return any(not any(fnmatch(module, pattern) for pattern in allowed) for allowed in guarded)


def _is_above(module: str, name: str) -> bool:
    """Whether a module imports a floor that it stands below, or a neighbour that it should not know."""
    floor = PurePosixPath(module).parts[0]
    if floor == "core":
        return within(name, "icsfeed") and not within(name, "icsfeed.core") and name != "icsfeed"
    if floor == "demo":
        return any(within(name, f"icsfeed.{other}") for other in ("adapters", "app"))
    if floor == "adapters":
        return within(name, "icsfeed.app") or within(name, "icsfeed.demo") or _is_neighbour(module, name)
    return False


def _is_neighbour(module: str, name: str) -> bool:
    parts = name.split(".")
    if parts[:2] != ["icsfeed", "adapters"] or len(parts) < 3:
        return False
    own, other = (stem.partition("_")[0] for stem in (PurePosixPath(module).stem, parts[2]))
    return other not in (own, *SHARED)


def _is_impure(name: str) -> bool:
    pure = ("icsfeed", "idna", "msgspec", "wcwidth")
    top = name.partition(".")[0]
    return any(within(name, door) for door in IO) or not (top in pure or top in sys.stdlib_module_names)


def _clocks(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("open", "input", "print") or called.endswith(CLOCKS):
                yield f"{called}()"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield "async"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_floor_allows(module: str) -> None:
    assert not list(breaches(module, (ROOT / module).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core/x.py", "import os"),
        ("core/x.py", "import os.path"),
        ("core/x.py", "from pathlib import Path"),
        ("core/x.py", "def f():\n    import asyncio"),
        ("core/x.py", "from urllib.request import urlopen"),
        ("core/x.py", "from urllib import request"),
        ("core/x.py", "from uuid import uuid4"),
        ("core/x.py", "import yaml"),
        ("core/ics.py", "import icalendar"),
        ("app/x.py", "import icalendar"),
        ("core/text.py", "import babel"),
        ("core/x.py", "from icsfeed.adapters import plane"),
        ("core/x.py", "from icsfeed import app"),
        ("core/x.py", "from . import model"),
        ("core/words/x.py", "from icsfeed.app.web import create_app"),
        ("core/x.py", "now = datetime.now(UTC)"),
        ("core/x.py", "now = datetime.datetime.now()"),
        ("core/x.py", "day = date.today()"),
        ("core/x.py", "open('x')"),
        ("core/x.py", "async def f(): ..."),
        ("adapters/plane.py", "from icsfeed.app.web import create_app"),
        ("adapters/plane.py", "from icsfeed.adapters import caldav"),
        ("adapters/plane_wire.py", "from icsfeed.adapters.config_file import load"),
        ("adapters/plane.py", "from icsfeed.demo import api"),
        ("adapters/plane.py", "import litestar"),
        ("app/web.py", "import httpx"),
        ("app/web.py", "import uvicorn"),
        ("app/web.py", "from icsfeed.cli import main"),
        ("app/web.py", "from icsfeed import cli"),
        ("demo/api.py", "import httpx"),
        ("demo/api.py", "from icsfeed.adapters.plane_wire import page"),
        ("demo/api.py", "from icsfeed.app.web import create_app"),
        ("__main__.py", "import uvicorn"),
        ("cli.py", "import uvicorn"),
        ("cli.py", "import httpx"),
    ],
)
def test_a_breach_is_seen(module: str, source: str) -> None:
    assert list(breaches(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "core/x.py",
            "from urllib.parse import quote\nfrom uuid import uuid5\nimport re, gzip, hmac, msgspec",
        ),
        ("core/x.py", "from icsfeed.core.model import Issue\nfrom datetime import datetime"),
        ("adapters/plane.py", "from icsfeed.adapters import plane_wire, quota\nimport httpx, asyncio"),
        ("adapters/caldav.py", "from icsfeed.adapters.store import Store\nfrom icsfeed import __version__"),
        ("adapters/store.py", "from litestar.stores.file import FileStore"),
        ("app/build.py", "import httpx\nfrom icsfeed.adapters import plane"),
        ("__main__.py", "from icsfeed.cli import main"),
        ("serving.py", "import uvicorn"),
        ("serving.py", "import httpx"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module: str, source: str) -> None:
    assert not list(breaches(module, source))
