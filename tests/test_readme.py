"""The README tells the truth: its help is the program's, and its commands run."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from cli_world import SECRET, run

from icsfeed.cli.commands import cli
from icsfeed.cli.support import EXIT_CODES
from icsfeed.config.file import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def _block(marker: str) -> str:
    """The code block that follows a `<!-- marker -->`."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\s*```\w+\n(.*?)\s*```", README, re.DOTALL)
    assert found is not None, f"the README has no {marker}"
    return found[1]


def test_the_help_in_the_readme_is_the_programs(tmp_path: Path) -> None:
    shown = run("--help", cwd=tmp_path, env={"COLUMNS": "100"}).stdout
    assert _block("help") == shown.replace("python -m icsfeed", "icsfeed").rstrip()


def test_every_command_is_in_the_readme() -> None:
    assert all(f"`{name}`" in README or f"icsfeed {name}" in README for name in cli.commands)


def test_every_exit_code_is_in_the_readme() -> None:
    said = re.search(r"Exit codes: (.*?)\n\n", README, re.DOTALL)
    assert said is not None
    assert {code for _, code in EXIT_CODES} | {0, 1, 2, 3, 4} <= {int(n) for n in re.findall(r"\d+", said[1])}


@pytest.mark.parametrize("name", ["check", "serve", "urls", "init", "push"])
def test_each_command_of_the_readme_is_one_that_there_is(name: str, tmp_path: Path) -> None:
    """They are run for real in test_cli.py, and the two set-up lines by .ci/run."""
    line = _block(f"command: {name}").strip()
    assert line == f".venv/bin/icsfeed {name}"
    assert run(*line.split()[1:], "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("text", [text for kind, text in BLOCK.findall(README) if kind == "yaml"])
def test_each_configuration_in_the_readme_loads(text: str, tmp_path: Path) -> None:
    data = yaml.safe_load(dedent(text))
    data.setdefault("secret", SECRET)
    data.setdefault("workspaces", {"acme": {"url": "https://plane.example.com", "api_key": "key"}})
    (tmp_path / "feeds.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    load(
        tmp_path / "feeds.yaml",
        {
            "ICSFEED_SECRET": SECRET,
            "PLANE_API_KEY": "key",
            "PLANE_WEBHOOK_SECRET": "hook",
            "DAV_PASSWORD": "word",
        },
    )
