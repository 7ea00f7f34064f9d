"""The commands as a person runs them: processes of their own, and a Plane that speaks real HTTP."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from plane.api import create_plane
from plane.data import PlaneData
from plane.faults import Faults

from icsfeed.demo.access import KeyLimits

SECRET = "a-secret-of-more-than-thirty-two-letters"
KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "SSL_CERT_FILE")
BARE = {name: os.environ[name] for name in KEPT if name in os.environ}
"""The environment without anything that configures icsfeed. PYTHONPATH names the checkout under test."""


def run(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """Run `icsfeed ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "icsfeed", *arguments],
        cwd=cwd,
        env={**BARE, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_terminal(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> str:
    """What `icsfeed ARGUMENTS` prints on a terminal, until its end."""
    ours, theirs = os.openpty()
    command, shown = [sys.executable, "-m", "icsfeed", *arguments], b""
    with subprocess.Popen(command, cwd=cwd, env={**BARE, **env}, stdout=theirs, stderr=theirs):
        os.close(theirs)
        with suppress(OSError):  # Linux says so at the end.
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    return shown.decode()


@contextmanager
def running(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[str]]:
    """`icsfeed ARGUMENTS` in the background, ended (and its end waited for) afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "icsfeed", *arguments],
        cwd=cwd,
        env={**BARE, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def first_json(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The first line that the process prints, as JSON."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """The first line on the process's standard error that holds `words`."""
    assert process.stderr is not None
    return next(line for line in process.stderr if words in line).strip()


@contextmanager
def plane_served(data: PlaneData, faults: Faults | None = None) -> Iterator[str]:
    """A Plane on a free port of loopback, with budget for a whole test file: its address."""
    app = create_plane(data, faults=faults or Faults(), limits=KeyLimits(person=100_000))
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
