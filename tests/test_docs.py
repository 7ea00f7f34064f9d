"""The documents say what is: the reference is the code's, configurations load, commands and links exist."""

import re
import runpy
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from cli_world import SECRET

from icsfeed.cli.commands import cli
from icsfeed.config.file import load

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
YAML = [
    pytest.param(block, id=f"{path.name} {number}")
    for path in DOCS
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)^ *```", path.read_text("utf-8"), re.S | re.M), 1
    )
]
VARIABLES = {"ICSFEED_SECRET": SECRET, "PLANE_API_KEY": "key", "DAV_PASSWORD": "password"}


def test_the_reference_is_the_codes() -> None:
    made = runpy.run_path(str(ROOT / "docs/reference.py"))["reference"]()
    written = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert made == written, "run: python docs/reference.py"


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    generator = runpy.run_path(str(ROOT / "docs/reference.py"))
    keys, meanings = generator["configuration_keys"](), generator["MEANINGS"]
    assert sorted(keys.keys() - meanings.keys()) == []
    assert sorted(meanings.keys() - keys.keys()) == []
    assert [key for key, text in meanings.items() if not text.strip().endswith(".")] == []


@pytest.mark.parametrize("block", YAML)
def test_each_configuration_in_the_documents_loads(block: str, tmp_path: Path) -> None:
    data = yaml.safe_load(dedent(block))
    data.setdefault("secret", SECRET)
    data.setdefault("workspaces", {"acme": {"url": "https://plane.example.com", "api_key": "key"}})
    (tmp_path / "feeds.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    load(tmp_path / "feeds.yaml", VARIABLES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_that_is_named_is_one(page: Path) -> None:
    named = set(re.findall(r"`icsfeed ([a-z]+)[^`]*`", page.read_text(encoding="utf-8")))
    assert named <= cli.commands.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_is_linked_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_each_key_that_is_named_is_one(page: Path) -> None:
    """`key: value` in running text is a key of the configuration."""
    keys = {
        key
        for path in re.findall(r"^\| `([\w.*]+)` \|", (ROOT / "docs/reference.md").read_text("utf-8"), re.M)
        for key in path.split(".")
    }
    named = set(re.findall(r"`([a-z_]+): [^`]*`", page.read_text(encoding="utf-8")))
    assert named <= keys | {"urgent", "high", "medium", "low"}


def test_contributing_takes_ten_lines_at_most() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"## Contributing\n+(.*?)\n\n(?:## |MIT)", readme, re.S)
    assert found is not None
    assert 5 <= len(found[1].splitlines()) <= 10
