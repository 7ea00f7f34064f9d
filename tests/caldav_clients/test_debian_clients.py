"""The CalDAV account of a running server, read by apps: those of Debian's packages, and caldav-server-tester.

What they find is what the feed holds; a change arrives; and what they try to change is refused.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dav_world import free_port
from litmus_folder import folder_at, results
from served_account import NAME, ServedAccount, served_account

HERE = Path(__file__).parent
EVOLUTION_SOURCE = """\
[Data Source]
DisplayName=Plane
Enabled=true
Parent=caldav-stub
[Authentication]
Host=127.0.0.1
Method=plain/password
Port={port}
User={user}
[Security]
Method=none
[WebDAV Backend]
ResourcePath={path}
[Calendar]
BackendName=caldav
"""
SESSION = """\
<busconfig>
<type>session</type><listen>unix:tmpdir={folder}</listen><servicedir>{folder}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""
"""A D-Bus with Evolution's services only: a keyring would ask for its own password."""
THUNDERBIRD_PREFERENCES = """\
user_pref("marionette.port", {port});
user_pref("app.update.enabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
"""
KHAL = """\
[calendars]
[[plane]]
path = {folder}/copy/{name}
readonly = True
[sqlite]
path = {folder}/khal.db
[locale]
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
"""
TODOMAN = 'path = "{folder}/copy/*+tasks"\ncache_path = "{folder}/todo.db"\n'
VDIRSYNCER = """\
[general]
status_path = "{folder}/status/"
[pair plane]
a = "account"
b = "files"
collections = ["from a"]
[storage account]
type = "caldav"
url = "{base}/dav/"
username = "{name}+tasks"
password = "{token}"
read_only = true
[storage files]
type = "filesystem"
path = "{folder}/copy/"
fileext = ".ics"
"""

Said = Callable[[str], Any]


def program(name: str, package: str) -> str:
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/usr/libexec")
    if found is None:
        pytest.fail(f"install {name} (Debian: {package})")
    return found


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedAccount]:
    with served_account(tmp_path_factory.mktemp("served")) as served:
        yield served


def run(command: list[str], home: Path, text: str = "") -> str:
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "LANG": "C.UTF-8"}
    done = subprocess.run(
        command, env=env, input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def talking_to(command: list[str], env: Mapping[str, str]) -> Iterator[Said]:
    """Run a script; yield what sends it a line (none if it is empty) and returns its next answer."""
    log = Path(env["HOME"]) / "errors.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )

        def ask(line: str) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            if line:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            while answer := process.stdout.readline():
                if answer.startswith(("{", "[")):
                    return json.loads(answer)
            pytest.fail(log.read_text(encoding="utf-8")[-2_000:])

        try:
            yield ask
        finally:
            with suppress(ProcessLookupError):  # with the services that a D-Bus session has started
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=20)


@contextmanager
def evolution(account: ServedAccount, home: Path) -> Iterator[Said]:
    program("evolution-calendar-factory", "evolution-data-server")
    session = program("dbus-run-session", "dbus-daemon")
    sources = home / "evolution" / "sources"
    sources.mkdir(parents=True)
    path = account.calendar.removeprefix(account.base)
    source = EVOLUTION_SOURCE.format(port=account.port, user=NAME, path=path)
    (sources / "plane.source").write_text(source, encoding="utf-8")
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
    env = {"PATH": "/usr/bin:/bin", "GSETTINGS_BACKEND": "memory", **dict.fromkeys(names, str(home))}
    home.chmod(0o700)
    (home / "services").mkdir()
    for service in Path("/usr/share/dbus-1/services").glob("org.gnome.evolution.dataserver.*"):
        shutil.copy(service, home / "services")
    (home / "session.conf").write_text(SESSION.format(folder=home), encoding="utf-8")
    command = [
        session,
        f"--config-file={home / 'session.conf'}",
        "--",
        "/usr/bin/python3",
        str(HERE / "evolution.py"),
        NAME,
        account.token,
    ]
    with talking_to(command, env) as ask:
        yield ask


@contextmanager
def thunderbird(account: ServedAccount, home: Path) -> Iterator[Said]:
    port, profile = free_port(), home / "profile"
    profile.mkdir()
    preferences = THUNDERBIRD_PREFERENCES.format(port=port)
    (profile / "user.js").write_text(preferences, encoding="utf-8")
    env = {**os.environ, "HOME": str(home)}
    command = [program("thunderbird", "thunderbird"), "--headless", "--marionette", "--no-remote"]
    command += ["-remote-allow-system-access", "--profile", str(profile)]
    with (home / "thunderbird.log").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        script = [sys.executable, str(HERE / "thunderbird.py"), str(port), account.base, NAME, account.token]
        try:
            with talking_to(script, env) as ask:
                assert ask("") == [{"address": account.calendar, "read_only": True}]
                yield ask
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.parametrize("app", [evolution, thunderbird])
def test_an_app_reads_the_calendar_follows_it_and_cannot_change_it(
    account: ServedAccount, tmp_path: Path, app: Any
) -> None:
    with app(account, tmp_path) as ask:
        assert ask("") == {"titles": account.titles(), "read_only": True}
        word = f"Renamed for {app.__name__}"
        account.rename(1, word)
        assert ask(word) == {"titles": account.titles(), "read_only": True}
        assert ask("")["refused"]
    assert not any("Changed by an app" in one for one in account.titles())


def test_khal_and_todoman_show_what_vdirsyncer_fetches(account: ServedAccount, tmp_path: Path) -> None:
    sync, khal = program("vdirsyncer", "vdirsyncer"), program("khal", "khal")
    todoman = program("todoman", "todoman")
    given = {"folder": tmp_path, "name": NAME, "base": account.base, "token": account.token}
    for file, text in (("sync.conf", VDIRSYNCER), ("khal.conf", KHAL), ("todoman.py", TODOMAN)):
        (tmp_path / file).write_text(text.format(**given), encoding="utf-8")
    (tmp_path / "copy").mkdir()
    run([sync, "-c", str(tmp_path / "sync.conf"), "discover"], tmp_path, "y\n" * 9)
    for title in ("", "Renamed for khal"):
        if title:
            account.rename(1, title)
        run([sync, "-c", str(tmp_path / "sync.conf"), "sync"], tmp_path)
        listed = run(
            [khal, "-c", str(tmp_path / "khal.conf"), "list", "--format", "{title}", "2020-01-01", "3650d"],
            tmp_path,
        )
        shown = {line.strip() for line in listed.splitlines()}
        assert set(account.titles()) <= shown
        tasks = run([todoman, "--config", str(tmp_path / "todoman.py"), "list", "--status", "ANY"], tmp_path)
        assert len(tasks.splitlines()) == len(account.titles("?component=vtodo"))
        assert title in tasks
        assert title in listed


READABLE = {
    "basic": {"options", "delete_null", "put_no_parent", "mkcol_no_parent"},
    "props": {"propfind_invalid", "propfind_invalid2", "propfind_d0", "propextended", "propwformed"},
    "locks": {"options"},
    "http": {"expect100"},
    "copymove": set[str](),
}
"""The tests of litmus that can pass where nothing can be written."""


@pytest.mark.parametrize("suite", READABLE)
def test_litmus_passes_what_is_about_reading_and_is_refused_the_rest(
    account: ServedAccount, suite: str
) -> None:
    litmus = program("litmus", "litmus")
    with folder_at(account.calendar) as url:
        found = results(litmus, suite, url, NAME, account.token)
    own = {"init", "begin", "finish"} | {name for name in found if name.endswith("cleanup")}
    assert {name for name, (result, _) in found.items() if result == "pass"} - own == READABLE[suite]
    failures = {name: text for name, (result, text) in found.items() if result == "FAIL"}
    # litmus says no status of these: they need a folder, or expect 415 for a MKCOL with a body.
    for name in failures.keys() - {"delete_fragment", "mkcol_with_body"}:
        assert "403" in failures[name]


def test_the_server_tester_of_python_caldav_finds_no_fault(account: ServedAccount, tmp_path: Path) -> None:
    checks = ["PropfindAllprop", "WWWAuthenticate", "GetCurrentUserPrincipal"]
    command = [str(Path(sys.executable).with_name("caldav-server-tester")), "--format", "json"]
    command += ["--caldav-url", f"{account.base}/dav/", "--caldav-user", NAME]
    command += ["--caldav-pass", account.token]
    for check in checks:
        command += ["--run-checks", f"Check{check}"]
    found = json.loads(run(command, tmp_path))
    features = found.get("features", found)
    assert features
    levels = {name: one.get("support") for name, one in features.items() if isinstance(one, dict)}
    assert set(levels.values()) <= {"full", None}, levels
