"""`icsfeed serve`, stopped and started again on the same stored copies."""

import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cli_world import SECRET, line_with, plane_served, running
from plane.faults import Faults, delayed
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG

CONFIG = f"""\
secret: {SECRET}
feeds: {{all: {{everything: true, include: [issues, cycles, modules], public: true}}}}
cache: {{projects: 1, members: 1, issues: 1, cycles: 1, modules: 1, states: 1, labels: 1, deadline: 20}}
"""


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_the_first_answer_after_a_restart_comes_at_once_though_plane_hangs(tmp_path: Path, how: str) -> None:
    faults = Faults()
    with plane_served(sample(datetime.now(UTC).date()), faults) as plane:
        workspaces = f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
        (tmp_path / "feeds.yaml").write_text(CONFIG + workspaces, encoding="utf-8")
        env = {"STATE_DIRECTORY": str(tmp_path / "state")}

        def get() -> httpx.Response:
            return httpx.get(line_with(process, "listening on").split()[-1] + "/feeds/all.ics", timeout=30)

        with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
            before = get()
            assert before.status_code == 200
            faults.add("", delayed(10), times=None)
            time.sleep(1.5)  # until all is stale, and being read again
            getattr(process, how)()
            process.wait(20)
        with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
            after = get()
        faults.clear()
    assert after.elapsed.total_seconds() < 2
    assert (after.status_code, after.content) == (200, before.content)
    assert after.headers["etag"] == before.headers["etag"]
