"""The README is short and true: its commands exist, and what it names can be found."""

import re
from pathlib import Path

import pytest
from cli_world import run

from icsfeed.cli.commands import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WORDS = 1_200


def _blocks(marker: str, text: str) -> list[str]:
    """The code blocks that follow a `<!-- marker -->`."""
    return re.findall(rf"<!-- {re.escape(marker)} -->\s*```\w+\n(.*?)\s*```", text, re.DOTALL)


def _block(marker: str) -> str:
    """The one code block of the documents that follows a `<!-- marker -->`."""
    found = [block for page in PAGES for block in _blocks(marker, page.read_text(encoding="utf-8"))]
    assert len(found) == 1, f"the documents have {len(found)} blocks with the marker {marker}"
    return found[0]


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.split()) <= WORDS


def test_the_help_in_the_documents_is_the_programs(tmp_path: Path) -> None:
    shown = run("--help", cwd=tmp_path, env={"COLUMNS": "100"}).stdout
    assert _block("help") == shown.replace("python -m icsfeed", "icsfeed").rstrip()


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in cli.commands if f"`icsfeed {name}`" not in README] == []


@pytest.mark.parametrize("name", ["check", "serve", "urls", "init", "push"])
def test_each_command_of_the_documents_is_one_that_there_is(name: str, tmp_path: Path) -> None:
    """They are run for real in tests/cli, and the line for the tests by .ci/run."""
    line = _block(f"command: {name}").strip()
    assert line == f".venv/bin/icsfeed {name}"
    assert run(*line.split()[1:], "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("marker", "last"),
    [("command: demo", ".venv/bin/icsfeed demo"), ("command: tests", ".venv/bin/pytest -q")],
)
def test_the_readme_has_one_line_for_the_demo_and_one_for_the_tests(marker: str, last: str) -> None:
    [line] = _blocks(marker, README)
    assert line.splitlines() == [line]
    assert line.startswith("python3 -m venv .venv && ")
    assert line.endswith(f" && {last}")


def test_the_tests_for_daily_work_are_there() -> None:
    [named] = {line for line in README.splitlines() if line.startswith(".venv/bin/pytest -q tests/")}
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert named in contributing.splitlines()
    assert [path for path in named.split()[2:] if not (ROOT / path).exists()] == []
