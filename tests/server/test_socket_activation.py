"""`serve` on a socket that systemd listens on: with Debian's systemd-socket-activate."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from cli_world import BARE, SECRET
from web_servers import free_port

from icsfeed.server.listening import inherited_listener

ENV = {
    "PLANE_BASE_URL": "http://127.0.0.1:9",
    "PLANE_WORKSPACE": "acme",
    "PLANE_API_KEY": "key",
    "ICSFEED_SECRET": SECRET,
}


@contextmanager
def activated(tmp_path: Path, *addresses: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `systemd-socket-activate`, which becomes `icsfeed serve` with the first connection."""
    program = shutil.which("systemd-socket-activate")
    assert program, "this test needs systemd-socket-activate: apt-get install systemd"
    env = {**BARE, **ENV, "STATE_DIRECTORY": str(tmp_path / "state")}
    listening = [f"--listen={address}" for address in addresses]
    passed = [f"--setenv={name}={value}" for name, value in env.items()]
    command = [program, *listening, *passed, sys.executable, "-m", "icsfeed", "serve"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _get(transport: httpx.HTTPTransport, url: str) -> int:
    with httpx.Client(transport=transport, timeout=60) as client:
        return client.get(url).status_code


def test_the_first_connection_starts_the_server_and_gets_its_answer(tmp_path: Path) -> None:
    port = free_port()
    with activated(tmp_path, f"127.0.0.1:{port}") as process:
        assert _get(httpx.HTTPTransport(retries=10), f"http://127.0.0.1:{port}/health") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert f"listening on http://127.0.0.1:{port}" in process.stderr.read()


def test_the_file_of_a_unix_socket_from_systemd_stays(tmp_path: Path) -> None:
    """Systemd goes on listening on it: without the file, nobody could start the server again."""
    path = tmp_path / "s"
    with activated(tmp_path, str(path)) as process:
        while not path.exists():
            time.sleep(0.05)
        assert _get(httpx.HTTPTransport(uds=str(path)), "http://x/health") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert path.is_socket()


def test_several_sockets_are_refused_with_a_sentence(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    with activated(tmp_path, f"127.0.0.1:{first}", f"127.0.0.1:{second}") as process:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", first)) == 0:
                    break
            time.sleep(0.1)
        assert process.wait(60) == 78
        assert process.stderr is not None
        assert "systemd passes 2 sockets; the unit must have one ListenStream=" in process.stderr.read()


def test_sockets_for_another_process_are_not_taken() -> None:
    assert inherited_listener({}, 7) is None
    assert inherited_listener({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, 7) is None
    assert inherited_listener({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, 7) is None
