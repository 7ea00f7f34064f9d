"""Real programs read the CalDAV accounts of a running demo: python-caldav and vdirsyncer.

Both are packages of the test group.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from caldav.davclient import DAVClient
from caldav.lib.error import DAVError
from cli_world import first_json, running


class Served:
    """A demo: its address, and a feed's name, token and calendar."""

    def __init__(self, link: str, name: str) -> None:
        self.base, self.token = link.partition("/feeds/")[0], link.split("/")[-2]
        self.name, self.link = name, link

    def items(self, query: str = "") -> int:
        with urllib.request.urlopen(self.link + query) as answer:
            body = answer.read().decode()
        return int(body.count("BEGIN:VEVENT") + body.count("BEGIN:VTODO"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running("demo", "--port", "0", "--json", cwd=tmp_path_factory.mktemp("demo")) as process:
        feeds = first_json(process)["feeds"]
        name = next(name for name, links in feeds.items() if "/icsf_" in links["ics"])
        yield Served(feeds[name]["ics"], name)


@pytest.mark.filterwarnings("ignore")
def test_python_caldav_finds_and_reads_the_calendar(served: Served) -> None:
    with DAVClient(f"{served.base}/dav/", username=served.name, password=served.token) as client:
        (calendar,) = client.principal().calendars()  # type: ignore[no-untyped-call]
        assert len(calendar.events()) == served.items()
        assert calendar.get_display_name()
        assert not calendar.todos()
        found = calendar.search(start=_day("2000-01-01"), end=_day("2100-01-01"), event=True)
        assert len(found) == served.items()
        synced = calendar.objects_by_sync_token(load_objects=True)
        assert len(list(synced)) == served.items()
        assert not list(calendar.objects_by_sync_token(synced.sync_token))
        with pytest.raises(DAVError):
            calendar.save_event(dtstart=_day("2026-01-01"), summary="mine")
        with pytest.raises(DAVError):
            found[0].delete()


def _day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


@pytest.mark.parametrize("tasks", [False, True])
def test_vdirsyncer_discovers_and_mirrors_the_collections(
    served: Served, tmp_path: Path, tasks: bool
) -> None:
    config = tmp_path / "vdirsyncer.conf"
    user = f"{served.name}+tasks" if tasks else served.name
    config.write_text(
        f'[general]\nstatus_path = "{tmp_path}/status/"\n'
        '[pair plane]\na = "account"\nb = "files"\ncollections = ["from a"]\n'
        f'[storage account]\ntype = "caldav"\nurl = "{served.base}/dav/"\nread_only = true\n'
        f'username = "{user}"\npassword = "{served.token}"\n'
        f'[storage files]\ntype = "filesystem"\npath = "{tmp_path}/copy/"\nfileext = ".ics"\n',
        encoding="utf-8",
    )
    (tmp_path / "copy").mkdir()
    for words in (("discover", "plane"), ("sync", "plane"), ("sync", "plane")):
        done = subprocess.run(
            [sys.executable, "-m", "vdirsyncer", "-c", str(config), *words],
            env={**os.environ, "HOME": str(tmp_path)},
            input="y\n" * 9,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    copied = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "copy").iterdir()}
    expected = {served.name: served.items()}
    if tasks:
        expected[f"{served.name}+tasks"] = served.items("?component=vtodo")
    assert copied == expected
