"""What packaging/trim.py removes: nothing that icsfeed needs, from an installation and nothing else."""

import json
import re
import runpy
import tomllib
import urllib.request
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from cli_world import BARE, SECRET, first_json, on_terminal, plane_served, running
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG

ROOT = Path(__file__).parents[1]
TRIM = runpy.run_path(str(ROOT / "packaging/trim.py"))
UNUSED: dict[str, str] = TRIM["UNUSED"]


@pytest.fixture
def without_them(tmp_path: Path) -> dict[str, str]:
    """An environment in which the libraries that are left out cannot be imported."""
    folder = tmp_path / "left-out"
    folder.mkdir()
    for name in UNUSED:
        module = name.replace("-", "_").removesuffix("_py")
        (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError({module!r}, name={module!r})\n")
    return {"PYTHONPATH": f"{folder}:{BARE.get('PYTHONPATH', ROOT)}"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder without a clone in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_the_server_needs_none_of_them(without_them: dict[str, str], home: Path) -> None:
    with running("demo", "--port", "0", "--json", cwd=home, env=without_them) as server:
        feed = first_json(server)["feeds"]["property"]
        site = feed["page"].partition("/feeds/")[0]
        pages = {
            url: _get(url) for url in (feed["ics"], feed["page"], f"{site}/docs", f"{site}/openapi.json")
        }
    assert "BEGIN:VEVENT" in pages[feed["ics"]]
    assert json.loads(pages[f"{site}/openapi.json"])["paths"]


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("command", [("check",), ("push", "--dry-run"), ("push", "--help")])
def test_commands_on_a_terminal_need_none_of_them(
    command: tuple[str, ...], without_them: dict[str, str], home: Path
) -> None:
    with plane_served(sample(datetime.now(UTC).date())) as plane:
        configuration = {
            "secret": SECRET,
            "workspaces": {SLUG: {"url": plane, "api_key": API_KEY}},
            "feeds": {"all": {"everything": True}},
            "push": {"team": {"feed": "all", "url": f"{plane}/no-calendar/", "token": "token"}},
        }
        (home / "feeds.yaml").write_text(json.dumps(configuration), encoding="utf-8")
        shown = on_terminal(*command, cwd=home, env=without_them)
    assert "team" in shown or "Usage" in shown
    assert "Traceback" not in shown


def test_what_the_lock_leaves_out_is_removed_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["uv"]["exclude-dependencies"]) <= UNUSED.keys()


def test_the_documents_say_what_each_dependency_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in declared}
    table = (ROOT / "docs/releasing.md").read_text("utf-8").partition("\n| dependency |")[2]
    explained = "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `"))
    assert sorted(names - set(re.findall(r"`([\w-]+)`", explained))) == []


def _write(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("", encoding="utf-8")


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """The site-packages of an installation with two languages and two libraries."""
    folder = tmp_path / "lib/site-packages"
    _write(folder, "icsfeed/l10n/catalogues/de.po", "rich/__init__.py", "module.py")
    _write(
        folder, *(f"babel/locale-data/{name}.dat" for name in ("root", "en", "en_GB", "de_AT", "de", "sv"))
    )
    _write(
        folder, "faker/__init__.py", "faker/__pycache__/__init__.pyc", "../../bin/faker", "../../bin/python"
    )
    for name, files in (("Faker", "faker/__init__.py"), ("rich", "rich/__init__.py")):
        metadata = folder / f"{name.lower()}-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        scripts = f"../../bin/{name.lower()},,\n{metadata.name}/METADATA,,\n"
        (metadata / "RECORD").write_text(f"{files},,\n{scripts}")
    return folder


def test_libraries_and_languages_that_are_not_used_are_removed(installation: Path) -> None:
    main: Any = TRIM["main"]
    main(installation)
    left = sorted(str(path.relative_to(installation)) for path in installation.rglob("*") if path.is_file())
    assert left == [
        *(f"babel/locale-data/{name}.dat" for name in ("de", "de_AT", "en", "en_GB", "root")),
        *("icsfeed/l10n/catalogues/de.po", "module.py"),
        *("rich-1.dist-info/METADATA", "rich-1.dist-info/RECORD", "rich/__init__.py"),
    ]
    assert [path.name for path in (installation / "../../bin").iterdir()] == ["python"]


def test_another_folder_stays_as_it_is(tmp_path: Path) -> None:
    _write(tmp_path, "babel/locale-data/root.dat", "babel/locale-data/sv.dat", "faker/__init__.py")
    with pytest.raises(SystemExit, match="is not an installation of icsfeed"):
        TRIM["main"](tmp_path)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3
