"""The documents are true: the reference is generated, configurations load, what they name exists."""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from cli_world import SECRET
from test_layers import LAYERS

import icsfeed
from icsfeed.cli.commands import cli
from icsfeed.cli.support import EXIT_CODES
from icsfeed.config.file import load
from icsfeed.feeds.query import FIELDS

ROOT = Path(__file__).parents[1]
PACKAGE = Path(icsfeed.__file__).parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")),
    *DOCS,
]
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
YAML = [
    pytest.param(block, id=f"{path.name} {number}")
    for path in PAGES
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)^ *```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE), 1
    )
]
VARIABLES = {
    "ICSFEED_SECRET": SECRET,
    "PLANE_API_KEY": "key",
    "PLANE_WEBHOOK_SECRET": "hook",
    "DAV_PASSWORD": "password",
}
SET_BY_THE_SYSTEM = {"HOME", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
WIDTH = 110
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    """What docs/reference.py defines."""
    return runpy.run_path(str(ROOT / "docs/reference.py"))


def prose(text: str) -> Iterator[str]:
    """The lines of a page that are neither code nor tables."""
    without_code = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return (line for line in without_code.splitlines() if not line.startswith("|"))


def anchors(text: str) -> set[str]:
    """The fragments by which GitHub's links reach the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", "\n".join(prose(text)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_reference_is_generated_from_the_code(generator: dict[str, Any]) -> None:
    assert generator["reference"]() == REFERENCE, "run: .venv/bin/python docs/reference.py"


def test_every_key_of_the_configuration_has_a_meaning(generator: dict[str, Any]) -> None:
    keys, meanings = generator["configuration_keys"](), generator["MEANINGS"]
    assert sorted(keys.keys() - meanings.keys()) == []
    assert sorted(meanings.keys() - keys.keys()) == []
    assert [key for key, text in meanings.items() if not text.strip().endswith(".")] == []


def test_every_exit_code_is_in_the_reference() -> None:
    section = REFERENCE.partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    said = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert {code for _, code in EXIT_CODES} | {0, 1, 2, 3, 4, 130, 143} <= said


@pytest.mark.parametrize("block", YAML)
def test_each_configuration_in_the_documents_loads(block: str, tmp_path: Path) -> None:
    data = yaml.safe_load(dedent(block))
    data.setdefault("secret", SECRET)
    data.setdefault("workspaces", {"acme": {"url": "https://plane.example.com", "api_key": "key"}})
    (tmp_path / "feeds.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert load(tmp_path / "feeds.yaml", VARIABLES).feeds.keys() == data.get("feeds", {}).keys()


@each_page
def test_each_command_that_is_named_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, rest in re.findall(r"`(?:\.venv/bin/)?icsfeed ([a-z]+)([^`]*)`", text):
        command = cli.commands[name]
        command = getattr(command, "commands", {}).get(rest.strip().partition(" ")[0], command)
        options = {flag for option in command.params for flag in option.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options | {"--help"}


@each_page
def test_each_file_and_heading_that_is_linked_is_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"({page.relative_to(ROOT)})" not in readme] == []


@each_page
def test_each_key_that_is_named_is_one(page: Path) -> None:
    """`key: value` in running text is a key of the configuration."""
    paths = re.findall(r"^\| `([\w.*]+)` \|", REFERENCE, re.MULTILINE)
    keys = {key for path in paths for key in path.split(".")}
    priorities = {"urgent", "high", "medium", "low"}
    named = set(re.findall(r"`([a-z_]+): [^`]*`", page.read_text(encoding="utf-8")))
    assert named <= keys | priorities


def test_every_parameter_of_a_link_is_explained() -> None:
    text = (ROOT / "docs/using-links.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(FIELDS)


def test_every_variable_that_is_read_is_explained() -> None:
    text = (ROOT / "docs/administration.md").read_text(encoding="utf-8")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    read = set(re.findall(r'environ(?:\.get)?[(\[]"([A-Z_]+)"', sources))
    settings = (PACKAGE / "config/file.py").read_text(encoding="utf-8")
    read |= set(re.findall(r'^ +"([A-Z_]+)": \("', settings, re.MULTILINE))
    assert {"PLANE_API_KEY", "ICSFEED_ADMIN_TOKEN", "LOG_FORMAT", "STATE_DIRECTORY"} <= read
    assert sorted(name for name in read - SET_BY_THE_SYSTEM if f"`{name}`" not in text) == []


def test_each_module_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w*(?:\.\w+)?|\w+\.py)`", text))
    assert len(named) > 30
    folders = (PACKAGE, PACKAGE.parent, ROOT)
    missing = [name for name in named if not any((folder / name).exists() for folder in folders)]
    assert missing == []


def test_the_drawing_of_the_layers_is_what_the_test_of_the_layers_enforces() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- layers -->\n```text\n(.*?)```", text, re.DOTALL)
    assert found is not None
    drawn = [set(line.partition("|")[0].split()) for line in reversed(found[1].splitlines())]
    assert drawn == [{"base"}, *map(set, LAYERS[1:])]


def written_texts() -> Iterator[str]:
    """The texts in the source of icsfeed, with `…` for each value that is filled in."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%[sdr]", "…", node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                yield "".join(map(str, parts))


def test_each_message_of_the_troubleshooting_page_exists() -> None:
    """In its first column, `…` and `N` stand for values. Commands and configuration are no messages."""
    rows = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()
    symptoms = [row.split(" | ")[0] for row in rows if row.startswith("| ")]
    quoted = {text for symptom in symptoms for text in re.findall(r"`([^`]+)`", symptom)}
    messages = {text for text in quoted if " " in text and not re.match(r"icsfeed |[a-z_]+: ", text)}
    assert "Plane allows no more requests" in messages
    written = "\n".join(written_texts())
    missing = {
        text
        for text in messages
        if not re.search(".+".join(map(re.escape, re.split(r"…|\bN\b", text))), written)
    }
    assert missing == set()


@each_page
def test_prose_is_wrapped(page: Path) -> None:
    """Tables and code stay as they are."""
    lines = prose(page.read_text(encoding="utf-8"))
    assert [line for line in lines if len(line) > WIDTH and " " in line.strip()] == []


def test_contributing_fits_on_a_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert 20 <= len(text.splitlines()) <= 60
