"""`icsfeed push` and `check` as people run them: real processes, a Plane over HTTP, a real Radicale."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_world import BARE, SECRET, plane_served, run, running
from dav_world import PASSWORD, DavServer, radicale
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG
from icsfeed.push.object import read_object

ISSUES = 80


@pytest.fixture(scope="module")
def data() -> PlaneData:
    return sample(datetime.now(UTC).date(), issues=ISSUES)


@pytest.fixture(scope="module")
def plane(data: PlaneData) -> Iterator[str]:
    with plane_served(data) as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with radicale(tmp_path_factory.mktemp("dav")) as found:
        yield found


@pytest.fixture
def dav(server: DavServer, request: pytest.FixtureRequest) -> DavServer:
    server.calendar = request.node.originalname.replace("_", "-")
    return server


@pytest.fixture
def folder(tmp_path: Path, plane: str, dav: DavServer) -> Path:
    """A folder with a feeds.yaml that pushes every issue of the sample to `team`."""
    login = f"username: {dav.user}, password: {PASSWORD}"
    (tmp_path / "feeds.yaml").write_text(
        f"secret: {SECRET}\n"
        f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
        "feeds: {all: {everything: true}, small: {project: PROP}}\n"
        "push:\n"
        f"  team: {{feed: all, url: '{dav.calendar_url}', create: true, {login}}}\n"
        f"  wrong: {{feed: small, url: '{dav.calendar_url}', username: {dav.user}, password: wrong-word}}\n"
        f"  paused: {{feed: small, url: '{dav.calendar_url}', active: false, {login}}}\n",
        encoding="utf-8",
    )
    return tmp_path


def icsfeed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, cwd=folder, env={"STATE_DIRECTORY": str(folder / "state")})


def pushed(folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what `push team --json` prints, with the exit code."""
    done = icsfeed(folder, "push", "team", "--json", *arguments)
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["targets"]
    return dict(found, code=done.returncode)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def test_push_fills_the_calendar_and_says_what_it_did(folder: Path, dav: DavServer) -> None:
    done = icsfeed(folder, "push", "team")
    assert done.returncode == 0, done.stderr
    count = len(dav.person().hrefs())
    assert count > ISSUES / 2
    assert f"team: {count} created, 0 updated, 0 adopted, 0 deleted, 0 kept, 0 failed; " in done.stdout
    assert done.stderr == ""
    again = pushed(folder)
    assert (again["code"], again["kept"], again["requests"]) == (0, count, 1)


def test_progress_is_shown_on_a_terminal(folder: Path) -> None:
    ours, theirs = os.openpty()
    environment = {**BARE, "STATE_DIRECTORY": str(folder / "state"), "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "icsfeed", "push", "team"]
    with (
        io.FileIO(ours) as screen,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=theirs
        ) as process,
    ):
        os.close(theirs)
        shown = b""
        while piece := _read(screen):
            shown += piece
        assert process.wait(60) == 0
    assert b"team" in shown
    assert re.search(rb"\d+/\d+", shown)
    assert b"projects read" in shown


def _read(screen: io.FileIO) -> bytes:
    """Return what a terminal shows next; nothing once its other end is closed."""
    try:
        return screen.read(65_536) or b""
    except OSError:
        return b""


def test_a_dry_run_prints_the_plan_and_writes_nothing(folder: Path, dav: DavServer) -> None:
    done = icsfeed(folder, "push", "team", "--dry-run")
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[0].split()[0]) == (0, "create")
    assert f"team: would be: {len(lines) - 1} created" in lines[-1]
    assert not dav.person().is_there()
    found = pushed(folder, "--dry-run")
    assert [action["action"] for action in found["actions"]] == ["create"] * (len(lines) - 1)


def test_one_target_that_fails_does_not_stop_the_others(folder: Path, dav: DavServer) -> None:
    done = icsfeed(folder, "push", "--json")
    found = {one["target"]: one for one in json.loads(done.stdout)["targets"]}
    assert done.returncode == 4
    assert found.keys() == {"team", "wrong"}
    assert found["team"]["error"] is None
    assert "does not accept" in found["wrong"]["error"]
    assert len(dav.person().hrefs()) == found["team"]["created"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["push", "wrong"], 77, "does not accept the user name", id="wrong password"),
        pytest.param(["push", "nope"], 2, "no active target 'nope'", id="unknown target"),
        pytest.param(["push", "paused"], 2, "there is: team, wrong", id="a target that is off"),
        pytest.param(["check"], 77, "target wrong: ", id="check finds the wrong password"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_code(
    folder: Path, arguments: list[str], code: int, said: str
) -> None:
    done = icsfeed(folder, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong-word" not in done.stdout + done.stderr


def test_a_configuration_without_targets_is_told(folder: Path) -> None:
    text = (folder / "feeds.yaml").read_text(encoding="utf-8")
    (folder / "feeds.yaml").write_text(text.partition("push:")[0], encoding="utf-8")
    done = icsfeed(folder, "push")
    assert (done.returncode, "push: names no active target" in done.stderr) == (78, True)


def test_an_emptied_feed_is_refused_and_forced(folder: Path, dav: DavServer) -> None:
    pushed(folder)
    before = dav.person().hrefs()
    text = (folder / "feeds.yaml").read_text(encoding="utf-8")
    nothing = "all: {everything: true, where: {label: [nobody has this label]}}"
    (folder / "feeds.yaml").write_text(text.replace("all: {everything: true}", nothing), encoding="utf-8")
    done = icsfeed(folder, "push", "team")
    assert done.returncode == 3
    assert f"{len(before)} objects would be deleted (--force deletes them)" in done.stderr
    assert f"and {len(before) - 20} more" in done.stderr
    assert dav.person().hrefs() == before
    assert icsfeed(folder, "push", "team", "--force").returncode == 0
    assert dav.person().hrefs() == []


def test_a_push_killed_in_the_middle_is_finished_by_the_next_one(folder: Path, dav: DavServer) -> None:
    environment = {"STATE_DIRECTORY": str(folder / "state")}
    person = dav.person()
    with running("push", "team", cwd=folder, env=environment) as process:
        until(lambda: person.is_there() and len(person.hrefs()) >= 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
    written = person.contents()
    again = pushed(folder)
    assert (again["code"], again["updated"], again["deleted"], again["failed"]) == (0, 0, 0, [])
    # The server may still have carried out what was on its way when the run was killed.
    assert len(written) <= again["kept"] < again["kept"] + again["created"]
    found = person.contents()
    assert found | written == found
    uids = [read_object(text.encode()).uid for text in found.values()]
    assert len(uids) == len(set(uids)) == again["kept"] + again["created"]
    assert pushed(folder)["requests"] == 1


def test_a_second_push_at_the_same_time_is_told_to_come_later(folder: Path, dav: DavServer) -> None:
    environment = {"STATE_DIRECTORY": str(folder / "state")}
    person = dav.person()
    with running("push", "team", cwd=folder, env=environment) as process:
        until(person.is_there)
        process.send_signal(signal.SIGSTOP)
        second = pushed(folder)
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    assert (second["code"], second["requests"]) == (75, 0)
    assert "another run is writing" in second["error"]
    assert pushed(folder)["requests"] == 1


def test_check_tries_a_target_for_real_and_leaves_nothing_behind(folder: Path, dav: DavServer) -> None:
    found = icsfeed(folder, "check").stdout
    assert f"the first push creates {dav.calendar_url}" in found
    dav.person().make()
    found = icsfeed(folder, "check").stdout
    assert f"target team: {dav.calendar_url} is a calendar with 0 objects" in found
    assert "target team: an object was written, read and deleted" in found
    assert "target paused: is not active" in found
    assert dav.person().hrefs() == []


def test_the_server_pushes_by_itself(folder: Path, dav: DavServer, data: PlaneData) -> None:
    environment = {"STATE_DIRECTORY": str(folder / "state")}
    person = dav.person()
    with running("serve", "--port", "0", cwd=folder, env=environment):
        until(lambda: person.is_there() and len(person.hrefs()) > ISSUES / 2)


def test_a_push_by_hand_reads_plane_although_its_copies_are_fresh(
    folder: Path, dav: DavServer, data: PlaneData
) -> None:
    pushed(folder)
    row = next(
        row for project in data.projects.values() for row in project.issues.values() if row["target_date"]
    )
    data.patch_issue(row["id"], {"name": "Changed a moment ago"})
    assert pushed(folder)["updated"] == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_push_that_is_stopped_says_what_was_done(
    folder: Path, dav: DavServer, number: signal.Signals, code: int
) -> None:
    person = dav.person()
    for arguments in ((), ("--json",)):
        for name in person.hrefs() if person.is_there() else ():
            person.delete(name)
        with running(
            "push", "team", *arguments, cwd=folder, env={"STATE_DIRECTORY": str(folder / "state")}
        ) as process:
            until(lambda: person.is_there() and len(person.hrefs()) >= 20)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert process.returncode == code
        created = json.loads(out)["targets"][0]["created"] if arguments else int(out.split()[1])
        assert 20 - 4 <= created <= len(person.hrefs())
        assert "Traceback" not in err
        assert "stopped before it was complete" in (out if arguments else err)


def test_a_server_that_does_not_answer_delays_no_other(folder: Path, dav: DavServer) -> None:
    text = (folder / "feeds.yaml").read_text(encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dead = f"push:\n  dead: {{feed: small, url: 'http://127.0.0.1:{port}/x/', read_timeout: 60s}}\n"
        (folder / "feeds.yaml").write_text(text.replace("push:\n", dead), encoding="utf-8")
        person = dav.person()
        with running(
            "push", "dead", "team", cwd=folder, env={"STATE_DIRECTORY": str(folder / "state")}
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("team: ")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert len(person.hrefs()) > ISSUES / 2


def test_a_target_that_is_named_needs_its_own_secrets_only(folder: Path, dav: DavServer) -> None:
    text = (folder / "feeds.yaml").read_text(encoding="utf-8")
    elsewhere = "{url: 'https://other.example.com', api_key_file: keys/other, webhook_secret: '${HOOK}'}"
    text = text.replace("workspaces: {", f"workspaces: {{other: {elsewhere}, ")
    text = text.replace("everything: true}", f"everything: true, workspace: {SLUG}}}")
    text = text.replace("project: PROP}", f"project: PROP, workspace: {SLUG}}}")
    text += f"  more: {{feed: small, url: '{dav.calendar_url}', username: a, password_file: keys/more}}\n"
    text += "admin_token_file: keys/admin\n"
    (folder / "feeds.yaml").write_text(text, encoding="utf-8")
    found = pushed(folder)
    assert (found["code"], found["created"] > ISSUES / 2) == (0, True)
    every = icsfeed(folder, "push")
    assert every.returncode == 78
    for missing in ("push.more.password_file", "workspaces.other.api_key_file", "admin_token_file", "HOOK"):
        assert missing in every.stderr
    assert "push.more.password_file" in icsfeed(folder, "push", "nope").stderr
