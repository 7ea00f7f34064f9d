"""The benchmark of pages runs, names every page, and finds frames as small as is promised."""

import json
import subprocess
import sys
from pathlib import Path

PAGES = Path(__file__).parent.parent / "benchmarks" / "pages.py"
SMALL = ("--issues", "300", "--rounds", "2")


def printed(*arguments: str, folder: Path) -> str:
    """What the command prints, started elsewhere than in its own folder."""
    command = [sys.executable, str(PAGES), *SMALL, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_json_has_every_page_with_its_size_and_times(tmp_path: Path) -> None:
    found = json.loads(printed("--json", folder=tmp_path))
    assert found["issues"] == 300
    assert {one["page"] for one in found["pages"]} == {
        f"{view} {feed}"
        for view in ("month", "week", "agenda", "day", "timeline", "page")
        for feed in ("due", "span")
    }
    assert all(5_000 < one["size"] < 100_000 and one["again"] > 0 for one in found["pages"])


def test_the_table_has_a_line_for_each_page(tmp_path: Path) -> None:
    lines = printed(folder=tmp_path).splitlines()
    assert lines[0].split() == ["page", "KB", "first", "ms", "again", "ms"]
    assert len(lines) == 13
