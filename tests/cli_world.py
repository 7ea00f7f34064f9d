"""The commands as people run them: in processes of their own, with a Plane over real HTTP."""

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
from icsfeed.demo.editions import COMMUNITY, Edition

SECRET = "a-secret-of-more-than-thirty-two-letters"
PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "SSL_CERT_FILE")
BARE = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
"""The environment without anything that configures icsfeed. PYTHONPATH names the checkout under test."""


def run(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """Run `icsfeed ARGUMENTS` to its end and return the result."""
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
    """Return what `icsfeed ARGUMENTS` prints on a terminal."""
    ours, theirs = os.openpty()
    command, shown = [sys.executable, "-m", "icsfeed", *arguments], b""
    with subprocess.Popen(command, cwd=cwd, env={**BARE, **env}, stdout=theirs, stderr=theirs):
        os.close(theirs)
        with suppress(OSError):  # Linux raises it once the other end is closed.
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    return shown.decode()


@contextmanager
def running(*arguments: str, cwd: Path, env: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[str]]:
    """Run `icsfeed ARGUMENTS` in the background; terminate it at the end of the block and wait for it."""
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
    """Return the first line that the process prints, decoded from JSON."""
    assert process.stdout is not None
    value: dict[str, Any] = json.loads(process.stdout.readline())
    return value


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """Return the first line on the standard error of the process that contains `words`."""
    assert process.stderr is not None
    return next(line for line in process.stderr if words in line).strip()


@contextmanager
def plane_served(
    data: PlaneData, faults: Faults | None = None, edition: Edition = COMMUNITY
) -> Iterator[str]:
    """Run a Plane on a free port of loopback, with a large rate limit; yield its URL."""
    app = create_plane(data, faults=faults or Faults(), limits=KeyLimits(person=100_000), edition=edition)
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
