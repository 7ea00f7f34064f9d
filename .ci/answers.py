"""Runs the demo of an installed icsfeed and asks it for a calendar and a page: answers.py COMMAND..."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request

REGIONS = ("en-GB", "de-AT", "es-MX", "fr-CA", "it-CH", "nl-BE", "pl-PL", "pt-BR")
"""Formats of regions are in files of their own, of which packages do not contain all (packaging/trim.py)."""


def text(url: str, language: str = "en") -> str:
    request = urllib.request.Request(url, headers={"Accept-Language": language})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def main(command: list[str]) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (
        tempfile.TemporaryDirectory() as folder,  # which is not a clone: nothing is imported from here
        subprocess.Popen(
            [*command, "demo", "--port", "0", "--json"],
            cwd=folder,
            env=own,
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            feed = json.loads(server.stdout.readline())["feeds"]["property"]
            assert "BEGIN:VEVENT" in text(feed["ics"]), "there is no event in the calendar"
            for tag in REGIONS:
                assert f'lang="{tag}"' in text(feed["page"], tag), f"the page is not in {tag}"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0, f"it ended with {server.returncode}"
    print(
        f"   {command[0].rpartition('/')[2]} demo: a calendar, and a page in {len(REGIONS)} languages",
        flush=True,
    )


main(sys.argv[1:])
