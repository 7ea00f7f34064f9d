"""Print how a checkout is built, in figures: `.venv/bin/python docs/structure.py [CHECKOUT]`."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path


def sources(checkout: Path) -> dict[str, str]:
    """Return the text of each file of the package by its path."""
    files = sorted(checkout.glob("icsfeed/**/*.py"))
    return {file.relative_to(checkout).as_posix(): file.read_text(encoding="utf-8") for file in files}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the names that loading a module imports: not within functions, and not for types alone."""
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    if not is_for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def imports(texts: dict[str, str]) -> dict[str, set[str]]:
    """Return what each file imports, the lowest layers first. Raise CycleError if there is a circle."""
    paths = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in texts}
    graph: dict[str, set[str]] = {path: set() for path in texts}
    for path, text in texts.items():
        for name in imported(ast.parse(text)):
            graph[path].add(paths.get(name) or paths.get(name.rpartition(".")[0], path))
        graph[path].discard(path)
    return {path: graph[path] for path in TopologicalSorter(graph).static_order()}


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """Return the longest chain of imports, the highest layer first. `graph`: as `imports` orders it."""
    chains: dict[str, list[str]] = {}
    for path, targets in graph.items():
        chains[path] = [path, *max((chains[target] for target in sorted(targets)), key=len, default=[])]
    return max(chains.values(), key=len)


def figures(checkout: Path) -> Iterator[tuple[str, object]]:
    """Yield the name and the value of each figure."""
    texts = sources(checkout)
    code, graph = "".join(texts.values()), imports(texts)
    tests = sum(file.read_text("utf-8").count("\n") for file in checkout.glob("tests/**/*.py"))
    lines, functions = code.count("\n"), re.findall(r"\bdef \w+\(", code)
    private = [(text, name) for text in texts.values() for name in re.findall(r"\bdef (_[a-z]\w*)\(", text)]
    once = sum(len(re.findall(rf"\b{name}\b", text)) == 2 for text, name in private)
    comments = re.findall(r"(?m)(?:^ *|  )# (?!noqa|type:|fmt:|ruff:)", code)
    yield "modules", len(texts)
    yield "lines", lines
    yield "most modules in a folder", max(Counter(path.rpartition("/")[0] for path in texts).values())
    yield "longest chain of imports", len(longest_chain(graph))
    yield "imports a module", round(sum(map(len, graph.values())) / len(texts), 1)
    yield (
        "class names defined twice",
        len([n for n in Counter(re.findall(r"\bclass (\w+)[:(]", code)).values() if n > 1]),
    )
    yield "private functions called once", f"{once / len(functions):.0%}"
    yield "comments for 100 lines", round(100 * len(comments) / lines, 1)
    yield "lines of tests for a line of code", round(tests / lines, 1)


if __name__ == "__main__":
    for name, value in figures(Path(*sys.argv[1:])):
        sys.stdout.write(f"| {name} | {value} |\n")
