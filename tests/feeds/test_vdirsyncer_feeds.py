"""vdirsyncer reads every event of our feeds: over http into a folder, one file each."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import first_json, running


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The links of a running demo, by the feed's name."""
    with running("demo", "--port", "0", "--json", cwd=tmp_path_factory.mktemp("demo")) as process:
        served = first_json(process)["feeds"]
        yield {name: links["ics"] for name, links in served.items()}


def copied(folder: Path, url: str) -> int:
    """How many items a vdirsyncer that mirrors the feed at `url` has written into the folder."""
    config = folder / "vdirsyncer.conf"
    config.write_text(
        f'[general]\nstatus_path = "{folder}/status/"\n'
        '[pair plane]\na = "feed"\nb = "files"\ncollections = null\n'
        f'[storage feed]\ntype = "http"\nurl = "{url}"\n'
        f'[storage files]\ntype = "filesystem"\npath = "{folder}/copy/"\nfileext = ".ics"\n',
        encoding="utf-8",
    )
    (folder / "copy").mkdir()
    for words in (("discover", "plane"), ("sync", "plane")):
        done = subprocess.run(
            [sys.executable, "-m", "vdirsyncer", "-c", str(config), *words],
            env={**os.environ, "HOME": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return len(list((folder / "copy").iterdir()))


@pytest.mark.parametrize("query", ["", "?component=vtodo"])
def test_vdirsyncer_copies_every_item_of_every_demo_feed(
    feeds: dict[str, str], tmp_path: Path, query: str
) -> None:
    assert len(feeds) > 3
    for number, url in enumerate(feeds.values()):
        with urllib.request.urlopen(url + query) as answer:
            body = answer.read().decode()
        items = body.count("BEGIN:VEVENT") + body.count("BEGIN:VTODO")
        folder = tmp_path / str(number)
        folder.mkdir()
        assert copied(folder, url + query) == items
