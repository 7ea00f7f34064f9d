"""All promises about speed, as ratios to named baselines that are measured in the same run."""
# ruff: noqa: T201 - printing is what it is for

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import accounts
import crowd
import hot
import load
import memory
import reading
import refreshing
import rendering
import scale
import stalls
import starting
from measure import Row, rows_table
from msgspec import to_builtins

SUBJECTS: Mapping[str, Callable[[int], list[Row]]] = {
    "reading": reading.measure,
    "rendering": rendering.measure,
    "refreshing": refreshing.measure,
    "hot": lambda _: hot.measure(),
    "memory": memory.measure,
    "crowd": crowd.measure,
    "stalls": stalls.measure,
    "starting": starting.measure,
    "load": lambda _: load.measure(),
    "accounts": accounts.measure,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"one or more of {', '.join(SUBJECTS)}; default: all"
    )
    parser.add_argument("--issues", type=int, default=10_000, help="issues of the workspace (10000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument(
        "--chart",
        metavar="FILE",
        help="draw the chart instead, up to ten times the issues, and with a feed for each ten",
    )
    given = parser.parse_args(arguments)
    unknown = set(given.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"there is no subject {', '.join(sorted(unknown))}")
    if given.chart:
        Path(given.chart).write_text(
            scale.drawn(scale.measure(10 * given.issues, given.issues // 10)), encoding="utf-8"
        )
        return
    rows = measure(given.subjects or list(SUBJECTS), given.issues)
    print(json.dumps({"issues": given.issues, "rows": to_builtins(rows)}) if given.json else rows_table(rows))


def measure(subjects: Sequence[str], issues: int) -> list[Row]:
    """Return the rows of these subjects; print each subject to standard error when it begins."""
    rows: list[Row] = []
    for subject in subjects:
        print(f"{subject} ...", file=sys.stderr, flush=True)
        rows += SUBJECTS[subject](issues)
    return rows


if __name__ == "__main__":
    main()
