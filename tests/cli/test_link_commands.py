"""`icsfeed links` and `icsfeed invite`: what they print and change, also while a server runs."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from cli_world import SECRET, line_with, plane_served, run, running
from plane.sample import sample
from redis_world import redis_server

from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.feeds.automatic import NAMES
from icsfeed.feeds.automatic_names import AssignedNames
from icsfeed.own_links.model import NewToken
from icsfeed.own_links.registry import OwnLinks
from icsfeed.server.build import utc_now
from icsfeed.store.store import open_store

ANNA, BEN = "anna@example.com", "ben@example.com"
T = TypeVar("T")


class Installation:
    """A folder with a configuration, the environment of its commands, and its links."""

    def __init__(self, folder: Path, plane: str, store: str) -> None:
        self.folder, self.store = folder, store
        self.env = {"STATE_DIRECTORY": str(folder / "state")}
        self.configure(f"store: {store}\npublic_url: https://cal.example.com/x\n", plane)

    def configure(self, more: str, plane: str) -> None:
        (self.folder / "feeds.yaml").write_text(
            f"secret: {SECRET}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
            f"feeds:\n  property: {{project: PROP}}\n  web: {{project: WEB}}\n{more}",
            encoding="utf-8",
        )

    def own(self, work: Callable[[OwnLinks], Awaitable[T]]) -> T:
        """Do something with the links, as another process does."""

        async def main() -> T:
            store = open_store(self.store, self.env)
            try:
                own = OwnLinks(store, utc_now)
                await own.refresh()
                return await work(own)
            finally:
                await store.close()

        return asyncio.run(main())

    def make(self, person: str, device: str, feed: str = "property", narrowing: str = "") -> NewToken:
        return self.own(lambda own: own.make(person, device, feed=feed, narrowing=narrowing))

    def name_automatic(self, name: str, identity: str) -> None:
        """Give an automatic feed its name, as a server does that has read Plane."""

        async def main() -> None:
            store = open_store(self.store, self.env)
            await store.put_record(NAMES, AssignedNames({name: identity}))
            await store.close()

        asyncio.run(main())

    def run(self, *words: str, code: int = 0, env: Mapping[str, str] = {}) -> str:
        """Run a command; return what it prints, or where it fails what it prints on standard error."""
        done = run(*words, cwd=self.folder, env={**self.env, **env})
        assert done.returncode == code, done.stdout + done.stderr
        assert "icsf_" not in done.stderr
        return done.stderr if code else done.stdout

    def listed(self, *words: str) -> list[dict[str, object]]:
        links: list[dict[str, object]] = json.loads(self.run("links", "list", "--json", *words))["links"]
        return links


@pytest.fixture(scope="module")
def plane() -> Iterator[str]:
    with plane_served(sample(datetime.now(UTC).date())) as url:
        yield url


@pytest.fixture(params=["file", "redis"])
def installed(tmp_path: Path, plane: str, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """With each store that people can make links in."""
    if request.param == "file":
        yield Installation(tmp_path, plane, "file")
    else:
        with redis_server(tmp_path) as server:
            yield Installation(tmp_path, plane, server.address)


@pytest.fixture
def here(tmp_path: Path, plane: str) -> Installation:
    return Installation(tmp_path, plane, "file")


def test_links_are_listed_in_columns_and_as_json(installed: Installation) -> None:
    made = installed.make(ANNA, "phone", narrowing="priority=urgent")
    account = installed.make(BEN, "Büro", feed="")
    installed.own(lambda own: own.revoke(account.link.id))
    header, second, first = installed.run("links", "list").splitlines()
    assert header.split() == ["ID", "PERSON", "NAME", "FEED", "LAST", "READ", "STATE"]
    assert first.split() == [made.link.id, ANNA, "phone", "property?priority=urgent", "never"]
    assert re.split("  +", second) == [account.link.id, BEN, "Büro", "all feeds", "never", "revoked"]
    assert installed.listed("--person", "Anna@Example.com") == [
        {
            "id": made.link.id,
            "person": ANNA,
            "name": "phone",
            "kind": "feed",
            "feed": "property",
            "filter": "priority=urgent",
            "title": "",
            "state": "used",
            "made": made.link.made_at.isoformat().replace("+00:00", "Z"),
            "renewed": None,
            "revoked": None,
            "last_read": None,
        }
    ]
    assert [link["person"] for link in installed.listed("--feed", "property")] == [ANNA]
    assert installed.listed("--feed", "web") == []
    assert "icsf_" not in installed.run("links", "list")


def test_a_link_is_renamed_and_revoked(installed: Installation) -> None:
    made = installed.make(ANNA, "phone")
    id_ = made.link.id
    assert installed.run("links", "rename", id_, "Tablet") == f"renamed {id_}: {ANNA} (Tablet)\n"
    assert installed.run("links", "revoke", id_) == f"revoked {id_}: {ANNA} (Tablet)\n"
    assert [(link["name"], link["state"]) for link in installed.listed()] == [("Tablet", "revoked")]
    for words in (("revoke", id_), ("rename", id_, "x"), ("revoke", "unknown")):
        assert "there is no such link in use" in installed.run("links", *words, code=2)


def test_all_links_of_a_person_are_revoked_and_their_sessions_end(installed: Installation) -> None:
    for device in ("phone", "tablet"):
        installed.make(ANNA, device)
    installed.make(BEN, "phone")
    _, invitation = installed.own(lambda own: own.invite(ANNA))
    _, cookie = installed.own(lambda own: own.accept(invitation))
    installed.own(lambda own: own.invite(ANNA))
    said = installed.run("links", "revoke", "--person", " ANNA@example.com")
    assert said.count("revoked ") == 2
    assert {(link["person"], link["state"]) for link in installed.listed()} == {
        (ANNA, "revoked"),
        (BEN, "used"),
    }
    assert installed.own(lambda own: own.session(cookie)) is None
    assert installed.run("links", "revoke", "--person", ANNA) == f"there are no links in use of {ANNA}\n"


def test_all_links_of_a_feed_are_revoked_and_no_others(installed: Installation) -> None:
    for person in (ANNA, BEN):
        installed.make(person, "phone")
        installed.make(person, "laptop", feed="web")
        installed.make(person, "Büro", feed="")
    _, invitation = installed.own(lambda own: own.invite(ANNA))
    _, cookie = installed.own(lambda own: own.accept(invitation))

    def used() -> set[tuple[object, object]]:
        return {(link["person"], link["name"]) for link in installed.listed() if link["state"] == "used"}

    revoke = ("links", "revoke", "--feed", "property")
    said = installed.run(*revoke, "--person", " BEN@example.com")
    assert (said.count("revoked "), said.count(BEN)) == (1, 1)
    assert (ANNA, "phone") in used()
    assert installed.run(*revoke).count("revoked ") == 1
    assert used() == {(person, name) for person in (ANNA, BEN) for name in ("laptop", "Büro")}
    assert installed.own(lambda own: own.session(cookie)) is not None
    assert installed.run(*revoke) == "there are no links in use of feed property\n"
    for person in (ANNA, ""):
        assert "no links in use" in installed.run(*revoke, "--person", person)
    assert "give the ID of a link" in installed.run(*revoke, "abcdefgh", code=2)


def test_an_automatic_feed_is_named_as_it_is_listed(installed: Installation) -> None:
    """By its current name, or where it has none by what the list shows instead."""
    identity = "acme/project/id"
    installed.make(ANNA, "phone", feed=identity)
    assert installed.listed("--feed", identity)
    installed.name_automatic("project-web", identity)
    assert "no links in use" in installed.run("links", "revoke", "--feed", "project-other")
    assert installed.run("links", "revoke", "--feed", "project-web").count("revoked ") == 1


def test_every_change_is_a_line_in_the_log(here: Installation) -> None:
    id_ = here.make(ANNA, "phone").link.id
    log = []
    for words in (("links", "rename", id_, "tablet"), ("links", "revoke", id_), ("invite", BEN)):
        done = run(*words, cwd=here.folder, env={**here.env, "LOG_FORMAT": "json"})
        log += [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in log] == ["own link renamed", "own link revoked", "invitation made"]
    assert {line["by"] for line in log} == {"the command line"}
    assert (log[1]["link"], log[1]["person"], log[1]["device"]) == (id_, ANNA, "tablet")
    assert "icsf_" not in json.dumps(log)


def test_a_running_server_follows_within_seconds(installed: Installation) -> None:
    made = installed.make(ANNA, "phone")
    with running("serve", "--port", "0", cwd=installed.folder, env=installed.env) as process:
        url = line_with(process, "listening on").rsplit(" ", 1)[1]
        feed = f"{url}/feeds/{made.token}/property.ics"
        until(lambda: httpx.get(feed).text.count("BEGIN:VEVENT") > 3)
        late = installed.make(BEN, "tablet")
        until(lambda: httpx.get(f"{url}/feeds/{late.token}/property.ics").status_code == 200)
        installed.run("links", "revoke", made.link.id)
        until(lambda: "This calendar link was revoked" in httpx.get(feed).text, seconds=8)


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_backup_restores_the_links_of_a_lost_store(here: Installation, tmp_path: Path) -> None:
    phone, tablet = here.make(ANNA, "phone"), here.make(ANNA, "tablet", feed="")
    here.run("links", "revoke", tablet.link.id)
    before = here.listed()
    here.run("links", "export", "backup.json")
    backup = (here.folder / "backup.json").read_text("utf-8")
    assert phone.token not in backup
    assert "already exists" in here.run("links", "export", "backup.json", code=73)
    assert json.loads(here.run("links", "export", "-"))["links"] == json.loads(backup)["links"]
    here.env = {"STATE_DIRECTORY": str(tmp_path / "new")}
    assert here.run("links", "list").count("\n") == 1
    assert here.run("links", "import", "backup.json") == "2 of 2 links are new or have changed\n"
    assert here.listed() == before
    opened = here.own(lambda own: own.find(phone.token, "feed"))
    assert opened is not None
    assert here.run("links", "import", "backup.json") == "0 of 2 links are new or have changed\n"


def test_an_import_makes_no_revoked_link_work_again(here: Installation) -> None:
    phone = here.make(ANNA, "phone")
    here.run("links", "export", "backup.json")
    here.run("links", "revoke", phone.link.id)
    new = here.make(BEN, "phone")
    here.run("links", "import", "backup.json")
    states = {link["id"]: link["state"] for link in here.listed()}
    assert states == {phone.link.id: "revoked", new.link.id: "used"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{\n nonsense", "line 2, column 2 is not JSON"),
        (b'{"feeds": {}}', "no backup of `icsfeed links export`"),
        (b'{"icsfeed_links": 1, "written_at": "2026-11-23T10:00:00Z", "links": [{"id": 3}]}', "links[0].id"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_is_imported(
    here: Installation, body: bytes, message: str
) -> None:
    (here.folder / "wrong.json").write_bytes(body)
    said = here.run("links", "import", "wrong.json", code=65)
    assert message in said
    assert "nothing was imported" in said
    assert here.listed() == []
    assert "No such file" in here.run("links", "import", "missing.json", code=2)


def test_an_invitation_is_printed_once(installed: Installation) -> None:
    link = installed.run("invite", "Anna@Example.com").strip()
    assert re.fullmatch(r"https://cal\.example\.com/x/\S+icsf_[a-z2-7]{26}", link)
    printed = json.loads(installed.run("invite", ANNA, "--json"))
    assert printed.keys() == {"person", "link", "expires"}
    assert (printed["person"], printed["link"] == link) == (ANNA, False)
    invitation = installed.own(lambda own: own.invitation(link[-31:]))
    assert invitation is not None
    assert invitation.person == ANNA
    assert "not an e-mail address" in installed.run("invite", "Anna", code=2)


def test_an_invitation_needs_the_address_of_the_server(here: Installation, plane: str) -> None:
    here.configure("store: file\n", plane)
    said = here.run("invite", ANNA, code=78)
    assert "public_url: is not set" in said


def test_where_a_proxy_signs_people_in_there_are_no_invitations(here: Installation, plane: str) -> None:
    proxy = "auth_proxy: {header: X-Forwarded-Email, from: [127.0.0.1]}"
    here.configure(f"store: file\npublic_url: https://cal.example.com\n{proxy}\n", plane)
    assert "auth_proxy: is set" in here.run("invite", ANNA, code=78)


def test_a_store_in_memory_has_no_links_to_list_or_change(here: Installation, plane: str) -> None:
    here.configure("store: memory\npublic_url: https://cal.example.com\n", plane)
    for words in (("links", "list"), ("links", "revoke", "aaaaaaaa"), ("invite", ANNA)):
        assert "store: is memory" in here.run(*words, code=78)


def test_a_store_that_does_not_answer_is_said_so(here: Installation, plane: str) -> None:
    here.configure("store: redis://127.0.0.1:1/0\n", plane)
    assert "Redis at 127.0.0.1:1" in here.run("links", "list", code=73)


@pytest.mark.parametrize("words", [("revoke",), ("revoke", "aaaaaaaa", "--person", ANNA)])
def test_what_to_revoke_is_said_once(here: Installation, words: tuple[str, ...]) -> None:
    assert "give the ID of a link, or --person EMAIL" in here.run("links", *words, code=2)
