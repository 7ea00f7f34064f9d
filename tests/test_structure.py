"""The structure of the package: small folders, unique class names, short chains of imports, short functions.

docs/structure.py counts. Imports within functions and for types alone are not part of a chain.
"""

import ast
import re
import runpy
from collections import Counter
from graphlib import CycleError
from pathlib import Path

import pytest

import icsfeed

STRUCTURE = runpy.run_path(str(Path(__file__).parents[1] / "docs/structure.py"))
# The package may be installed elsewhere than the tests.
SOURCES: dict[str, str] = STRUCTURE["sources"](Path(icsfeed.__file__).parents[1])

MAX_MODULES_IN_FOLDER = 15
MAX_CHAIN = 14
"""Modules, the first and the last included."""
MAX_FUNCTION_LINES = 50


def test_a_folder_has_15_modules_at_most() -> None:
    folders = Counter(path.rpartition("/")[0] for path in SOURCES)
    assert [folder for folder, count in folders.items() if count > MAX_MODULES_IN_FOLDER] == []


def test_a_class_name_is_defined_once() -> None:
    names = Counter(re.findall(r"(?m)^ *class (\w+)", "".join(SOURCES.values())))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_longest_chain_of_imports_has_14_modules_at_most() -> None:
    chain = STRUCTURE["longest_chain"](STRUCTURE["imports"](SOURCES))
    assert len(chain) <= MAX_CHAIN, " > ".join(chain)


def test_no_modules_import_each_other() -> None:
    assert STRUCTURE["imports"](SOURCES).keys() == SOURCES.keys()


@pytest.mark.parametrize("path", SOURCES)
def test_a_function_has_50_lines_at_most(path: str) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(SOURCES[path]))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert [name for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES] == []


def test_imports_within_functions_and_for_types_do_not_count() -> None:
    sources = {
        "icsfeed/a.py": "from icsfeed import b\nif TYPE_CHECKING:\n    from icsfeed import d\n",
        "icsfeed/b.py": "from icsfeed.c import C\n",
        "icsfeed/c.py": "def f():\n    from icsfeed.a import A\n",
        "icsfeed/d.py": "from icsfeed.a import A\n",
    }
    graph = STRUCTURE["imports"](sources)
    assert graph["icsfeed/b.py"] == {"icsfeed/c.py"}
    assert STRUCTURE["longest_chain"](graph) == [f"icsfeed/{name}.py" for name in "dabc"]


def test_a_circle_is_seen() -> None:
    sources = {"icsfeed/a.py": "from icsfeed import b\n", "icsfeed/b.py": "from icsfeed.a import A\n"}
    with pytest.raises(CycleError):
        STRUCTURE["imports"](sources)
