"""The units, checked with Debian's systemd: no unknown keys, a tight sandbox, and commands that exist."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from cli_world import SECRET, running

from icsfeed.server.connections import MAX_PER_ADDRESS

ROOT = Path(__file__).parents[2]
UNITS = sorted(
    path.name for path in (ROOT / "systemd").glob("*.*") if path.suffix in (".service", ".socket", ".timer")
)
SERVICES = [name for name in UNITS if name.endswith(".service")]
INSTALLED = "/opt/icsfeed/bin/icsfeed"
MAX_EXPOSURE = 20
"""In tenths: the most that `systemd-analyze security` may say of a unit."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as installed, with a program that exists; templates with the instance `x`."""
    program = tmp_path / "icsfeed"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m icsfeed "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    for name in UNITS:
        text = (ROOT / "systemd" / name).read_text(encoding="utf-8").replace(INSTALLED, str(program))
        (tmp_path / name.replace("@.", "@x.")).write_text(text, encoding="utf-8")
    return tmp_path


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "this test needs systemd-analyze: apt-get install systemd"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong(units: Path, name: str) -> None:
    """It exits with 0 and a warning for unknown keys: any output is a failure."""
    done = _analyze("verify", str(units / name.replace("@.", "@x.")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_key_that_systemd_does_not_know_would_be_seen(units: Path) -> None:
    path = units / "icsfeed.service"
    path.write_text(
        path.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHouse="), encoding="utf-8"
    )
    assert "ProtectHouse" in _analyze("verify", str(path)).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_in_a_tight_sandbox(units: Path, name: str) -> None:
    path = units / name.replace("@.", "@x.")
    done = _analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(path))
    exposure = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert exposure, done.stderr
    assert (done.returncode, float(exposure[1]) * 10 <= MAX_EXPOSURE) == (0, True), exposure[0]


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_on_a_command_line_or_in_the_environment(name: str) -> None:
    text = (ROOT / "systemd" / name).read_text(encoding="utf-8")
    assert "LoadCredential=plane-api-key:" in text
    assert not re.search(r"^(Set|Environment)", text, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_exists(name: str, tmp_path: Path) -> None:
    unit = RawConfigParser(strict=False, interpolation=None, allow_no_value=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd" / name, encoding="utf-8")
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert program == INSTALLED
    command = [sys.executable, "-m", "icsfeed", arguments[0], "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(option in shown for option in arguments if option.startswith("--"))


def test_the_server_has_more_descriptors_than_one_address_may_take_connections() -> None:
    """Its filter forbids setrlimit, with which the server would raise the limit itself."""
    text = (ROOT / "systemd/icsfeed.service").read_text(encoding="utf-8")
    assert int(re.findall(r"^LimitNOFILE=([0-9]+)$", text, re.MULTILINE)[0]) > 4 * MAX_PER_ADDRESS


def test_sysusers_creates_the_user(tmp_path: Path) -> None:
    program = shutil.which("systemd-sysusers")
    assert program, "this test needs systemd-sysusers: apt-get install systemd"
    # Of an empty system: this one may have the user.
    root = f"--root={tmp_path}"
    command = [program, "--dry-run", root, str(ROOT / "systemd/icsfeed-export.sysusers")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "icsfeed-export" in done.stdout + done.stderr


def test_the_server_notifies_systemd(tmp_path: Path) -> None:
    """Ready once it answers, then alive, and stopping after a signal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with running("demo", "--port", "0", cwd=tmp_path, env=env) as process:
            received = _until(systemd, b"READY=1")
            received += _until(systemd, b"WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            _until(systemd, b"STOPPING=1")
            assert process.wait(timeout=20) == 0
    assert any(line.startswith(b"READY=1\nSTATUS=listening on http://127.0.0.1:") for line in received)


def test_a_reload_is_notified_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        env = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "STATE_DIRECTORY": str(tmp_path),
            "PLANE_BASE_URL": "http://127.0.0.1:9",
            "PLANE_WORKSPACE": "acme",
            "PLANE_API_KEY": "key",
            "ICSFEED_SECRET": SECRET,
        }
        with running("serve", "--port", "0", cwd=tmp_path, env=env) as process:
            _until(systemd, b"READY=1")
            process.send_signal(signal.SIGHUP)
            assert _until(systemd, b"READY=1")[0].startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def _until(systemd: socket.socket, state: bytes) -> list[bytes]:
    received: list[bytes] = []
    while not received or not received[-1].startswith(state):
        received.append(systemd.recv(4096))
    return received
