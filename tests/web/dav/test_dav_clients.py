"""Real programs read the CalDAV accounts of a running demo: python-caldav and vdirsyncer.

Both are packages of the test group.
"""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from caldav.davclient import DAVClient
from caldav.lib.error import DAVError
from cli_world import SECRET, first_json, line_with, plane_served, run, running
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.own_links.registry import OwnLinks
from icsfeed.server.build import utc_now
from icsfeed.store.store import open_store


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


class Person:
    """Anna's account of all her feeds at a running server, and two that she has narrowed."""

    def __init__(self, url: str, token: str, expected: Mapping[str, int]) -> None:
        self.url, self.token, self.expected = url, token, expected


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("person")
    env = {"STATE_DIRECTORY": str(folder / "state")}
    with plane_served(sample(datetime.now(UTC).date())) as plane:
        (folder / "feeds.yaml").write_text(
            f"secret: {SECRET}\nstore: file\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
            "feeds:\n  anna: {assignee: anna@example.com}\n  prop: {project: PROP}\n"
            "  all: {everything: true}\n",
            encoding="utf-8",
        )
        token, links = asyncio.run(_made(env))
        with running("serve", "--port", "0", cwd=folder, env=env) as process:
            url = line_with(process, "listening on").rsplit(" ", 1)[1]
            expected = {"anna": _events(url, "anna", folder, env), "prop": _events(url, "prop", folder, env)}
            for id_, narrowed in links.items():
                with urllib.request.urlopen(f"{url}/feeds/{narrowed}/prop.ics") as answer:
                    expected[f"link+{id_}"] = answer.read().count(b"BEGIN:VEVENT")
            yield Person(url, token, expected)


async def _made(env: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    store = open_store("file", env)
    own = OwnLinks(store, utc_now)
    account = await own.make("anna@example.com", "phone")
    urgent = await own.make(
        "anna@example.com", "desk", feed="prop", narrowing="priority=urgent", title="Urgent"
    )
    await store.close()
    return account.token, {urgent.link.id: urgent.token}


def _events(url: str, feed: str, folder: Path, env: Mapping[str, str]) -> int:
    links = json.loads(run("urls", feed, "--json", cwd=folder, env=env).stdout)["feeds"]
    path = urlsplit(links[feed]["ics"]).path
    with urllib.request.urlopen(url + path) as answer:
        return int(answer.read().count(b"BEGIN:VEVENT"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("user", ["anna@example.com", "phone"])
def test_python_caldav_finds_all_calendars_of_a_person(person: Person, user: str) -> None:
    with DAVClient(f"{person.url}/dav/", username=user, password=person.token) as client:
        calendars = client.principal().calendars()  # type: ignore[no-untyped-call]
        found = {unquote(str(one.url).rstrip("/").rpartition("/")[2]): len(one.events()) for one in calendars}
        assert found == person.expected
        assert "Urgent" in [one.get_display_name() for one in calendars]


def test_vdirsyncer_mirrors_all_calendars_of_a_person(person: Person, tmp_path: Path) -> None:
    assert mirrored(tmp_path, person.url, "anna@example.com", person.token) == person.expected


def _day(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00:00+00:00")


def mirrored(tmp_path: Path, url: str, user: str, token: str) -> dict[str, int]:
    """What vdirsyncer copies of an account: the number of objects by collection."""
    config = tmp_path / "vdirsyncer.conf"
    config.write_text(
        f'[general]\nstatus_path = "{tmp_path}/status/"\n'
        '[pair plane]\na = "account"\nb = "files"\ncollections = ["from a"]\n'
        f'[storage account]\ntype = "caldav"\nurl = "{url}/dav/"\nread_only = true\n'
        f'username = "{user}"\npassword = "{token}"\n'
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
    return {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "copy").iterdir()}


@pytest.mark.parametrize("tasks", [False, True])
def test_vdirsyncer_discovers_and_mirrors_the_collections(
    served: Served, tmp_path: Path, tasks: bool
) -> None:
    user = f"{served.name}+tasks" if tasks else served.name
    copied = mirrored(tmp_path, served.base, user, served.token)
    expected = {served.name: served.items()}
    if tasks:
        expected[f"{served.name}+tasks"] = served.items("?component=vtodo")
    assert copied == expected
