"""A server reads Plane with a token, over real HTTP; the token is nowhere to be seen, and may be replaced."""

import time
from pathlib import Path

import httpx
from app_world import TODAY
from cli_world import SECRET, line_with, plane_served, run, running
from plane.faults import Faults
from plane.sample import sample

from icsfeed.demo.data import DemoKey
from icsfeed.demo.editions import COMMERCIAL
from icsfeed.demo.sample import API_KEY, SLUG

OLD, NEW = "token-before-it-was-renewed", "token-after-it-was-renewed"
ADMIN = "admin-token-of-the-test"
PAGES = ("/", "/feeds/all", "/feeds/all.ics", "/health/ready", "/api/v1/health")
ADMIN_PAGES = ("/status", "/metrics", "/webhooks/status")


def test_a_server_reads_with_a_token_that_nothing_shows_and_that_may_be_renewed(tmp_path: Path) -> None:
    data, faults = sample(TODAY, edition=COMMERCIAL), Faults()
    owner = data.keys.pop(API_KEY).user
    data.keys[OLD] = DemoKey(OLD, owner, kind="service")
    (tmp_path / "plane-token").write_text(f"{OLD}\n")
    with plane_served(data, faults, COMMERCIAL) as plane:
        (tmp_path / "feeds.yaml").write_text(
            f"secret: {SECRET}\nadmin_token: {ADMIN}\nstore: memory\ncache: {{issues: 1s}}\n"
            f"workspaces: {{{SLUG}: {{url: '{plane}', token_file: plane-token}}}}\n"
            "feeds: {all: {everything: true, public: true}}\n"
        )
        checked = run("check", cwd=tmp_path)
        assert checked.returncode == 0, checked.stdout
        assert "allows pages of 100 rows; its rate limit leaves 300 requests a minute" in " ".join(
            checked.stdout.split()
        )
        with running("serve", "--port", "0", cwd=tmp_path) as process:
            url = line_with(process, "listening on").split()[-1]
            before = httpx.get(f"{url}/feeds/all.ics", timeout=30)
            assert before.status_code == 200
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            data.keys = {NEW: DemoKey(NEW, owner, kind="service")}
            (tmp_path / "plane-token").write_text(f"{NEW}\n")
            time.sleep(1.2)  # the copy is no longer fresh
            after = httpx.get(f"{url}/feeds/all.ics", timeout=30)
            assert after.content == before.content
            headers = {"Authorization": f"Bearer {ADMIN}"}
            shown = [httpx.get(f"{url}{path}", timeout=30) for path in PAGES]
            shown += [httpx.get(f"{url}{path}", headers=headers, timeout=30) for path in ADMIN_PAGES]
            assert {answer.status_code for answer in shown} == {200}
            process.terminate()
            printed = "".join(process.communicate(timeout=20))
    assert {seen.scheme for seen in faults.requests if "/instances/" not in seen.path} == {"Bearer"}
    texts = [printed, checked.stdout, checked.stderr, repr(command + environment), before.text]
    for text in (*texts, *(f"{answer.text}{answer.headers}" for answer in shown)):
        assert OLD not in text
        assert NEW not in text
