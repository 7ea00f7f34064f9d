"""Print the pure modules, or those of their tests that must cover them: pure.py modules | tests."""

import sys
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.append(str(TESTS))

from test_layers import PURE  # noqa: E402

MODULES = tuple(f"icsfeed/{module}" for module in PURE)


def tests_of(modules: Iterable[str]) -> list[Path]:
    """The test files of these modules: those that have its name in theirs."""
    paths = [Path(module) for module in modules]
    folders = ((TESTS / path.parent.relative_to("icsfeed")).glob(f"test_*{path.stem}*.py") for path in paths)
    return sorted({file for files in folders for file in files})


if __name__ == "__main__":
    if sys.argv[1:] == ["modules"]:
        print(",".join(MODULES))
    else:
        print(*tests_of(MODULES))
