"""Mutation testing of the pure modules: mutation.py FOLDER [MODULE ...], with the group `mutation` installed.

mutmut changes one thing at a time in a function, and runs those of the package's own tests that call it: what
none of them notices has survived. FOLDER keeps the results: the next run tries what is new, what has changed,
and the survivors again. It ends with 1 where less than 90 % of the mutants were killed.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pure import MODULES, tests_of

ROOT = Path(__file__).resolve().parents[1]
MUTMUT = str(Path(sys.executable).with_name("mutmut"))
READ_BY_TESTS = ("docs", "systemd", "packaging", "benchmarks", "feeds.example.yaml", "README.md")
ABOUT_SOURCES = ("tests/l10n/test_words.py::test_every_key_is_used_and_every_key_in_use_is_there",)
"""Tests that read the sources, and would find the mutants there."""
ENVIRONMENT = {**os.environ, "TZ": "Pacific/Honolulu"}
"""Not UTC: a time that is not converted shows."""
KILLED = ("killed", "timeout")
LEAST = 90
"""Percent."""


def configuration(modules: Sequence[str]) -> str:
    """The project's pyproject.toml, and what mutmut is to do."""
    keys = {
        "source_paths": ["icsfeed"],
        "only_mutate": modules,
        "also_copy": READ_BY_TESTS,
        "pytest_add_cli_args_test_selection": [str(test.relative_to(ROOT)) for test in tests_of(modules)],
        "pytest_add_cli_args": [
            # Without deadlines and chance: a busy machine would kill mutants.
            "--hypothesis-profile=ci",
            # It collects garbage ten times after each run of pytest: most of the time of most mutants.
            *("-p", "no:unraisableexception", "-p", "no:cacheprovider"),
            *(f"--deselect={test}" for test in ABOUT_SOURCES),
        ],
        "timeout_constant": 5.0,
        "timeout_multiplier": 3.0,
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f"{(ROOT / 'pyproject.toml').read_text()}\n[tool.mutmut]\n{lines}"


def prepare(folder: Path, modules: Sequence[str]) -> None:
    """Make a folder in which mutmut finds the project as it is now."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("icsfeed", "tests", *READ_BY_TESTS):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(ROOT / name)
    (folder / "pyproject.toml").write_text(configuration(modules))


def run(folder: Path, mutants: Iterable[str] = ()) -> None:
    subprocess.run([MUTMUT, "run", "--max-children=2", *mutants], cwd=folder, check=True, env=ENVIRONMENT)


def results(folder: Path) -> dict[str, str]:
    """What became of each mutant, by its name."""
    command = [MUTMUT, "results", "--all", "true"]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return dict(line.strip().split(": ") for line in listed.splitlines())


def tried(folder: Path, modules: Sequence[str]) -> dict[str, str]:
    """Try the mutants of a package that were not killed before. Return what became of each."""
    prepare(folder, modules)
    survivors = {name for name, status in results(folder).items() if status == "survived"}
    run(folder)
    if again := survivors & results(folder).keys():
        run(folder, again)
    return results(folder)


def score(package: str, statuses: Counter[str]) -> float:
    """Print a row of the table. Return the percentage of mutants that were killed."""
    percent = 100 * sum(statuses[status] for status in KILLED) / statuses.total()
    print(f"| {package} | {statuses.total()} | {percent:.1f} % |")
    return percent


def main(folder: Path, modules: Sequence[str]) -> bool:
    packages: dict[str, list[str]] = {}
    for module in modules:
        packages.setdefault(str(Path(module).parent), []).append(module)
    found = {package: tried(folder / package, members) for package, members in packages.items()}
    for mutant, status in sorted(item for statuses in found.values() for item in statuses.items()):
        if status not in KILLED:
            print(f"{mutant}: {status}")
    counts = {package: Counter(statuses.values()) for package, statuses in found.items()}
    for package, count in counts.items():
        score(package, count)
    return score("all", sum(counts.values(), Counter())) >= LEAST


if __name__ == "__main__":
    sys.exit(not main(Path(sys.argv[1]), sys.argv[2:] or MODULES))
