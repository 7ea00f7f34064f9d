"""A server with one feed, whose CalDAV account real apps read, and a Plane behind it that can be changed."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli_world import SECRET, line_with, plane_served, run, running
from icalendar import Calendar
from plane.data import PlaneData
from plane.sample import sample

from icsfeed.demo.sample import API_KEY, SLUG, sample_id

NAME = "team"
CONFIG = f"""\
secret: {SECRET}
feeds: {{{NAME}: {{project: PROP}}}}
cache: {{projects: 1, members: 1, issues: 1, cycles: 1, modules: 1, states: 1, labels: 1, deadline: 20}}
"""


class ServedAccount:
    """The address of the server, the token of the feed `team`, and its titles."""

    def __init__(self, base: str, token: str, data: PlaneData) -> None:
        self.base, self.token, self._data = base, token, data
        self.calendar = f"{base}/dav/{NAME}/{NAME}/"

    @property
    def port(self) -> str:
        return self.base.rpartition(":")[2]

    def titles(self, query: str = "") -> list[str]:
        """The titles in the feed itself, as another parser reads them."""
        with urllib.request.urlopen(f"{self.base}/feeds/{self.token}/{NAME}.ics{query}") as answer:
            calendar = Calendar.from_ical(answer.read())
        return sorted(str(one["SUMMARY"]) for one in calendar.walk() if "SUMMARY" in one)

    def rename(self, number: int, title: str) -> None:
        """Change an issue in Plane. Returns when the feed shows it."""
        self._data.patch_issue(sample_id("issue", "PROP", str(number)), {"name": title})
        until = time.monotonic() + 30
        while not any(title in one for one in self.titles()):
            assert time.monotonic() < until, "the feed does not follow Plane"
            time.sleep(0.2)


@contextmanager
def served_account(folder: Path) -> Iterator[ServedAccount]:
    """Run a Plane and `icsfeed serve` on free ports of loopback."""
    data = sample(datetime.now(UTC).date())
    with plane_served(data) as plane:
        workspaces = f"workspaces: {{{SLUG}: {{url: '{plane}', api_key: {API_KEY}}}}}\n"
        (folder / "feeds.yaml").write_text(CONFIG + workspaces, encoding="utf-8")
        env = {"STATE_DIRECTORY": str(folder / "state")}
        link = json.loads(run("urls", "--json", cwd=folder, env=env).stdout)["feeds"][NAME]["ics"]
        with running("serve", "--port", "0", cwd=folder, env=env) as process:
            base = line_with(process, "listening on").split()[-1]
            account = ServedAccount(base, link.split("/")[-2], data)
            assert account.titles()
            yield account
