"""Each command does what its help says, in a process of its own, and exits with the documented code."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cli_world import SECRET, first_json, line_with, on_terminal, plane_served, run, running
from icalendar import Calendar
from msgspec.structs import replace
from plane.sample import sample
from redis_world import redis_server

from icsfeed.cli.commands import cli
from icsfeed.demo.editions import EDITIONS
from icsfeed.demo.sample import API_KEY, SLUG, sample_id


@pytest.fixture(scope="module")
def plane() -> Iterator[str]:
    with plane_served(sample(datetime.now(UTC).date())) as url:
        yield url


@pytest.fixture
def env(plane: str) -> dict[str, str]:
    """An environment that is enough for one workspace."""
    return {
        "PLANE_BASE_URL": plane,
        "PLANE_WORKSPACE": SLUG,
        "PLANE_API_KEY": API_KEY,
        "ICSFEED_SECRET": SECRET,
    }


@pytest.fixture
def configured(tmp_path: Path, plane: str) -> Path:
    """A folder with a feeds.yaml."""
    (tmp_path / "feeds.yaml").write_text(
        f"secret: {SECRET}\n"
        f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
        "feeds:\n"
        "  property: {project: PROP, subscribers: [anna, ben]}\n"
        "  gone: {project: NOPE}\n"
        "  asleep: {everything: true, active: false}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.mark.parametrize("edition", EDITIONS)
def test_demo_serves_every_feed_it_prints(tmp_path: Path, edition: str) -> None:
    with running("demo", "--edition", edition, "--port", "0", "--json", cwd=tmp_path) as process:
        printed = first_json(process)
        answers = {name: httpx.get(links["ics"]) for name, links in printed["feeds"].items()}
    assert {"everything", "property", "anna", "project-prop", "assignee-anna"} <= answers.keys()
    assert {answer.status_code for answer in answers.values()} == {200}
    events = {name: Calendar.from_ical(answer.content).walk("VEVENT") for name, answer in answers.items()}
    assert all(events[name] for name in ("everything", "property", "anna"))
    kinds = {str(part["uid"]).split("-")[1] for part in events["plan"]}
    planned = {"milestone", "release", "initiative"} if edition == "commercial" else set()
    assert kinds == {"issue", "cycle", "module", *planned}


@pytest.mark.parametrize("edition", EDITIONS)
def test_demo_serves_the_page_and_the_frame_of_every_feed_it_prints(tmp_path: Path, edition: str) -> None:
    with running("demo", "--edition", edition, "--port", "0", "--json", cwd=tmp_path) as process:
        feeds = first_json(process)["feeds"]
        links = [links for feed in feeds.values() for links in (feed, *feed.get("links", {}).values())]
        answers = [httpx.get(own[what]) for own in links for what in ("page", "embed")]
    assert len(links) == len(feeds) + 2
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["content-type"] for answer in answers} == {"text/html; charset=utf-8"}


def test_demo_prints_a_page(tmp_path: Path) -> None:
    with running("demo", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        page = next(line for line in process.stdout if line.rstrip().endswith("/plan"))
        answer = httpx.get(page.strip())
    assert "<title>Plan</title>" in answer.text


@pytest.mark.parametrize(
    ("proxy", "forwarded", "status"),
    [("127.0.0.1", "10.1.2.3", 200), ("10.0.0.0/8", "10.1.2.3", 403), ("10.0.0.0/8", "", 403)],
)
def test_the_sign_in_proxy_is_recognised_by_its_connection(
    configured: Path, proxy: str, forwarded: str, status: int
) -> None:
    with (configured / "feeds.yaml").open("a", encoding="utf-8") as file:
        file.write(f"auth_proxy: {{header: X-Forwarded-Email, from: [{proxy}]}}\n")
    headers = {"X-Forwarded-Email": "anna@example.com", "Accept": "text/html"}
    with running("serve", "--port", "0", cwd=configured) as process:
        url = line_with(process, "listening on").split()[-1]
        named = {**headers, "X-Forwarded-For": forwarded} if forwarded else headers
        answer = httpx.get(f"{url}/me", headers=named, timeout=20)
    assert answer.status_code == status
    assert ("Signed in as anna@example.com" in answer.text) is (status == 200)


def test_doctor_says_which_apps_fail_with_a_feed(tmp_path: Path) -> None:
    with running("demo", "--port", "0", "--json", cwd=tmp_path) as process:
        link = first_json(process)["feeds"]["property"]["ics"]
        shown = run("doctor", link, cwd=tmp_path)
        report = json.loads(run("doctor", "--json", link, cwd=tmp_path).stdout)
        nothing = run("doctor", link.replace("icsf_", "icsf_x"), cwd=tmp_path)
        gone = run("doctor", "http://127.0.0.1:9/x.ics", cwd=tmp_path)
    words = {one["app"]: one["word"] for one in report["apps"]}
    # The demo listens on this machine alone.
    assert {app for app, word in words.items() if word == "fails"} == {
        "Google Calendar",
        "Nextcloud",
        "Fastmail, Proton",
    }
    assert (words["Thunderbird"], words["Apple Calendar"], words["Home Assistant"]) == ("works",) * 3
    assert all(f"{app:<16}  {word}" in shown.stdout for app, word in words.items())
    assert "icsf_" not in shown.stdout + shown.stderr + json.dumps(report)
    assert (shown.returncode, nothing.returncode, gone.returncode) == (4, 76, 69)


def test_demo_gives_the_same_bytes_after_a_restart(tmp_path: Path) -> None:
    bodies = []
    for _ in range(2):
        with running("demo", "--port", "0", "--json", cwd=tmp_path) as process:
            feeds = first_json(process)["feeds"]
            bodies.append({name: httpx.get(links["ics"]).content for name, links in feeds.items()})
    assert bodies[0] == bodies[1]


def test_demo_serves_ten_thousand_issues(tmp_path: Path) -> None:
    with running("demo", "--port", "0", "--issues", "10000", "--json", cwd=tmp_path) as process:
        link = first_json(process)["feeds"]["project-web"]["ics"]
        body = httpx.get(link, timeout=60).content
    project = next(
        project
        for project in sample(datetime.now(UTC).date(), issues=10_000).projects.values()
        if project.row["identifier"] == "WEB"
    )
    dated = [issue for issue in project.issues.values() if issue["target_date"]]
    assert (len(project.issues), body.count(b"BEGIN:VEVENT")) == (10_000, len(dated))


def test_serve_runs_from_the_environment_alone(tmp_path: Path, env: dict[str, str]) -> None:
    with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
        url = line_with(process, "listening on").split()[-1]
        links = json.loads(run("urls", "--json", cwd=tmp_path, env=env).stdout)["feeds"]
        path = links["all"]["ics"].removeprefix("http://127.0.0.1:8765")
        answer = httpx.get(url + path, timeout=20)
        front = httpx.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "server" not in front.headers
    assert front.json()["name"] == "icsfeed"


def test_status_reports_the_health_of_a_server(tmp_path: Path, env: dict[str, str]) -> None:
    with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
        url = line_with(process, "listening on").split()[-1]
        links = json.loads(run("urls", "--json", cwd=tmp_path, env=env).stdout)["feeds"]
        httpx.get(url + links["all"]["ics"].removeprefix("http://127.0.0.1:8765"), timeout=20)
        good, live = (run("status", "--url", url, *more, cwd=tmp_path) for more in ([], ["--live", "--json"]))
    gone = run("status", "--url", url, cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "ready\n")
    assert (live.returncode, json.loads(live.stdout)) == (0, {"live": True, "ready": True, "problems": {}})
    assert (gone.returncode, gone.stdout.splitlines()[0]) == (69, "no answer")


def test_status_says_what_cannot_be_served(tmp_path: Path, env: dict[str, str]) -> None:
    env = {**env, "PLANE_API_KEY": "wrong", "STATE_DIRECTORY": str(tmp_path)}
    with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
        url = line_with(process, "listening on").split()[-1]
        line_with(process, "does not accept the API key")
        done = run("status", "--url", url, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (75, f"not ready\n{SLUG}: key refused\n")


def test_serve_says_when_its_port_is_taken(tmp_path: Path, env: dict[str, str], plane: str) -> None:
    done = run("serve", "--port", plane.rpartition(":")[2], cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (75, "")
    assert "try another --port" in done.stderr


def test_render_writes_the_calendar(configured: Path) -> None:
    shown = run("render", "property", cwd=configured)
    assert shown.returncode == 0, shown.stderr
    assert run("render", "property", "-o", "out.ics", cwd=configured).returncode == 0
    assert (
        (configured / "out.ics").read_bytes().count(b"BEGIN:VEVENT") == shown.stdout.count("BEGIN:VEVENT") > 5
    )


def test_export_writes_what_can_be_rendered_and_exits_with_4_for_the_rest(configured: Path) -> None:
    env = {"STATE_DIRECTORY": str(configured / "state")}
    done = run("export", "out", cwd=configured, env=env)
    assert (done.returncode, done.stdout) == (
        4,
        "written    property\n1 written, 0 unchanged, 0 removed, 1 failed\n",
    )
    assert "gone was not exported: feed 'gone': no project 'NOPE'" in done.stderr
    again = json.loads(run("export", "out", "--json", cwd=configured, env=env).stdout)
    assert (again["unchanged"], again["written"], [*again["failed"]]) == (["property"], [], ["gone"])
    linked = run("export", "out", "--links", cwd=configured, env=env)
    assert "property/anna" in linked.stdout
    assert "icsf_" not in linked.stdout + linked.stderr


def test_export_says_when_the_automatic_feeds_are_missing(tmp_path: Path) -> None:
    (tmp_path / "feeds.yaml").write_text(
        f"secret: {SECRET}\nauto: {{projects: true}}\n"
        f"workspaces: {{{SLUG}: {{url: 'http://127.0.0.1:9', api_key: k}}}}\n",
        encoding="utf-8",
    )
    done = run("export", "out", cwd=tmp_path, env={"STATE_DIRECTORY": str(tmp_path / "state")})
    assert "some automatic feeds could not be exported: the projects of workspace" in done.stderr
    assert done.returncode == 4


def test_render_narrows_as_a_url_does(configured: Path) -> None:
    shown = run("render", "property", "--query", "priority=urgent&component=vtodo", cwd=configured)
    todos = Calendar.from_ical(shown.stdout).walk("VTODO")
    assert todos
    assert {todo["PRIORITY"] for todo in todos} == {1}


def test_render_knows_who_owns_the_name_of_an_automatic_feed(tmp_path: Path) -> None:
    data, env = sample(datetime.now(UTC).date()), {"STATE_DIRECTORY": str(tmp_path / "state")}
    with plane_served(data) as plane:
        (tmp_path / "feeds.yaml").write_text(
            f"secret: {SECRET}\nauto: {{assignees: true}}\ncache: {{members: 1s}}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n",
            encoding="utf-8",
        )
        assert run("check", cwd=tmp_path, env=env).returncode == 0
        for name, called in (("anna", "Annika"), ("ben", "anna")):
            user = data.users[sample_id("user", name)]
            data.users[user.id] = replace(user, display_name=called)
        shown = run("render", "assignee-anna", cwd=tmp_path, env=env)
    assert "X-WR-CALNAME:Annika's issues" in shown.stdout, shown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        pytest.param(["render", "nope"], 2, "there is no such feed", id="unknown feed"),
        pytest.param(["render", "property", "--query", "days=x"], 2, "days: must be", id="bad parameter"),
        pytest.param(["render", "all", "--query", "priorty="], 2, "did you mean priority?", id="bad field"),
        pytest.param(
            ["render", "all", "--query", "zzz=1"], 2, "there is: project, priority, state,", id="no field"
        ),
        pytest.param(["render", "gone"], 78, "no project 'NOPE'", id="unknown project"),
        pytest.param(["render", "property", "-o", "no/x.ics"], 73, "cannot write", id="cannot write"),
        pytest.param(["urls", "nope"], 2, "there is no such feed", id="urls of an unknown feed"),
        pytest.param(["export", "feeds.yaml"], 73, "cannot write to feeds.yaml", id="cannot export"),
        pytest.param(["check"], 78, "gone", id="check finds the feed that cannot be made"),
        pytest.param(["serve", "--config", "nope.yaml"], 78, "nope.yaml", id="no such configuration"),
        pytest.param(["doctor", "ftp://x"], 2, "must begin with https://", id="doctor of no address"),
        *(
            pytest.param([command, url], 2, "Invalid value for URL: ", id=f"{command} {url}")
            for command in ("doctor", "status")
            for url in (
                *("http://[::1", "http://x:y", "http://127.0.0.1:99999", "http://a..b", "ftp://x"),
                *("https://☕.example", "https://xn--zzzzzzzz99999.example"),
            )
        ),
        pytest.param(["nonsense"], 2, "No such command", id="unknown command"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    configured: Path, arguments: list[str], code: int, text: str
) -> None:
    done = run(*arguments, cwd=configured)
    assert done.returncode == code, done.stderr
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        pytest.param({"PLANE_API_KEY": "plane_api_wrong"}, 77, "does not accept the API key", id="wrong key"),
        pytest.param({"PLANE_WORKSPACE": "elsewhere"}, 77, "check the slug", id="wrong slug"),
        pytest.param({"PLANE_BASE_URL": "http://127.0.0.1:9"}, 69, "no connection", id="nobody there"),
        pytest.param({"ICSFEED_SECRET": "short"}, 78, "ICSFEED_SECRET", id="short secret"),
        pytest.param({"LOG_LEVEL": "loud"}, 2, "LOG_LEVEL must be", id="bad log level"),
        pytest.param({"LOG_LEVEL": "debgu"}, 2, "did you mean DEBUG?", id="misspelt log level"),
        pytest.param({"LOG_FORMAT": "jsno"}, 2, "did you mean json?", id="misspelt log format"),
        pytest.param({"LOG_FORMAT": "xml"}, 2, "LOG_FORMAT must be", id="bad log format"),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["render", "all"]], ids=["check", "render"])
def test_what_is_wrong_with_plane_or_its_key_decides_the_code(
    tmp_path: Path, env: dict[str, str], command: list[str], changed: dict[str, str], code: int, text: str
) -> None:
    done = run(*command, cwd=tmp_path, env={**env, **changed})
    assert done.returncode == code, done.stderr
    assert text in done.stdout + done.stderr
    assert "plane_api_" not in done.stdout + done.stderr


def test_check_says_what_works(tmp_path: Path, env: dict[str, str]) -> None:
    done = run("check", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepts the key of" in done.stdout
    assert "projects: OPS, PROP, WEB" in done.stdout
    assert "feed all: " in done.stdout


def test_check_prints_json_for_scripts(tmp_path: Path, env: dict[str, str]) -> None:
    findings = json.loads(run("check", "--json", cwd=tmp_path, env=env).stdout)
    assert {finding["level"] for finding in findings} <= {"ok", "warning"}
    assert any(finding["about"] == "feed project-prop" for finding in findings)


def test_urls_lists_links_and_those_of_subscribers(configured: Path) -> None:
    feeds = json.loads(run("urls", "--json", cwd=configured).stdout)["feeds"]
    assert feeds.keys() == {"property", "gone"}
    assert feeds["property"]["links"].keys() == {"anna", "ben"}
    shown = run("urls", "property", cwd=configured).stdout
    assert feeds["property"]["ics"] in shown
    for what in ("ics", "page", "embed"):
        assert f"{what:<5}  {feeds['property'][what]}\n" in shown
        assert f"{feeds['property']['links']['ben'][what]}  (ben)" in shown


def test_init_writes_the_example_once(tmp_path: Path) -> None:
    done = run("init", cwd=tmp_path)
    assert (done.returncode, done.stdout.endswith("then run: icsfeed check\n")) == (0, True)
    other = run("init", "-o", "other.yaml", cwd=tmp_path)
    assert other.stdout.endswith("icsfeed check --config other.yaml\n")
    written = (tmp_path / "feeds.yaml").read_text(encoding="utf-8")
    again = run("init", cwd=tmp_path)
    assert (again.returncode, "already exists" in again.stderr) == (73, True)
    assert (tmp_path / "feeds.yaml").read_text(encoding="utf-8") == written


def test_the_example_serves_once_its_variables_are_set(tmp_path: Path) -> None:
    run("init", cwd=tmp_path)
    done = run("urls", cwd=tmp_path)
    assert done.returncode == 78
    assert "PLANE_API_KEY" in done.stderr
    assert "ICSFEED_SECRET" in done.stderr


def test_init_prints_the_schema(tmp_path: Path) -> None:
    schema = json.loads(run("init", "--schema", cwd=tmp_path).stdout)
    assert "workspaces" in json.dumps(schema)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [("check",), ("urls",), ("render", "property"), ("export", "out"), ("serve",)]
)
def test_an_unusable_environment_is_one_line_that_names_the_variable(
    configured: Path, command: tuple[str, ...]
) -> None:
    unusable = {"HTTP_PROXY": "socks5://user:hidden@proxy:1080", "NO_PROXY": "localhost,[::1]"}
    done = run(*command, cwd=configured, env=unusable)
    assert done.returncode == 78
    assert done.stderr.startswith("icsfeed: HTTP_PROXY: socks5:// is not supported")
    assert "hidden" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_addresses_that_no_proxy_names_are_asked_directly(configured: Path) -> None:
    bypassed = {"HTTP_PROXY": "socks5://proxy:1080", "NO_PROXY": "localhost,[::1],127.0.0.0/8"}
    assert run("render", "property", cwd=configured, env=bypassed).returncode == 0


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("render", "proprety"), "did you mean property?"),
        (("urls", "Property1"), "did you mean property?"),
        (("check", "--config", "nowhere.yaml"), "`icsfeed init -o"),
        (("status", "http://127.0.0.1:9"), "icsfeed serve"),
        (("status", "http://127.0.0.1:9", "--url", "http://127.0.0.1:9"), "once"),
    ],
)
def test_what_fails_says_what_to_do(configured: Path, command: tuple[str, ...], text: str) -> None:
    assert text in run(*command, cwd=configured).stderr


def test_check_tries_the_store(configured: Path) -> None:
    with (configured / "feeds.yaml").open("a", encoding="utf-8") as file:
        file.write("store: redis://:hidden@127.0.0.1:9/0\n")
    done = run("check", cwd=configured)
    assert re.search("ERROR +store: ", done.stdout)
    assert done.returncode == 78
    assert "hidden" not in done.stdout + done.stderr


def test_check_says_which_store_it_reached(configured: Path) -> None:
    with redis_server(configured, "hidden") as server:
        with (configured / "feeds.yaml").open("a", encoding="utf-8") as file:
            file.write(f"store: {server.address}\n")
        done = run("check", cwd=configured)
    assert f"Redis at 127.0.0.1:{server.port} can be written and read" in done.stdout
    assert "hidden" not in done.stdout + done.stderr


def test_a_configuration_without_feeds_is_reported(tmp_path: Path, plane: str) -> None:
    (tmp_path / "feeds.yaml").write_text(
        f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n", encoding="utf-8"
    )
    for feeds in ("", "feeds: {old: {everything: true, active: false, public: true}}\n"):
        with (tmp_path / "feeds.yaml").open("a", encoding="utf-8") as file:
            file.write(feeds)
        assert "has no feeds" in run("check", cwd=tmp_path).stdout
        assert "has no feeds" in run("urls", cwd=tmp_path).stderr


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_prints_no_colour_on_a_terminal(
    configured: Path, no_color: str | None, *, coloured: bool
) -> None:
    env = {} if no_color is None else {"NO_COLOR": no_color}
    shown = on_terminal("check", cwd=configured, env={**env, "TERM": "xterm-256color"})
    assert f"workspace {SLUG}" in shown
    assert bool(re.search(r"\x1b\[[\d;]+m", shown)) is coloured


def test_help_fits_60_columns(tmp_path: Path) -> None:
    for command in ((), *((name,) for name in cli.commands)):
        shown = run(*command, "--help", cwd=tmp_path, env={"COLUMNS": "60"}).stdout
        assert max(map(len, shown.splitlines())) <= 60, command
        assert "..." not in shown.partition("Commands:")[2]


def test_help_imports_nothing_heavy() -> None:
    program = "import sys, icsfeed.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"asyncio", "httpx", "json", "litestar", "msgspec", "rich", "ssl", "uvicorn", "yaml"}
    assert not heavy & set(done.stdout.split())
