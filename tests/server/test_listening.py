"""Where `serve` listens, and how `status` finds it: both IP families, brackets, Unix sockets."""

import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from cli_world import SECRET, line_with, run, running

from icsfeed.server.listening import address_of, open_listener
from icsfeed.server.live_status import ServedAddress

ENV = {
    "PLANE_BASE_URL": "http://127.0.0.1:9",
    "PLANE_WORKSPACE": "acme",
    "PLANE_API_KEY": "key",
    "ICSFEED_SECRET": SECRET,
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**ENV, "STATE_DIRECTORY": str(tmp_path / "state")}


def _url(process: "subprocess.Popen[str]") -> str:
    return line_with(process, "listening on").rpartition(" ")[2]


@pytest.mark.parametrize(
    ("host", "served", "families"),
    [
        ("127.0.0.1", "http://127.0.0.1:", ["127.0.0.1"]),
        ("::1", "http://[::1]:", ["[::1]"]),
        ("[::1]", "http://[::1]:", ["[::1]"]),
        ("::", "http://[::]:", ["127.0.0.1", "[::1]"]),
        ("[::]", "http://[::]:", ["127.0.0.1", "[::1]"]),
        ("0::0", "http://[::]:", ["127.0.0.1", "[::1]"]),
        ("0.0.0.0", "http://0.0.0.0:", ["127.0.0.1"]),  # noqa: S104
        ("localhost", "http://127.0.0.1:", ["127.0.0.1"]),
    ],
)
def test_a_host_is_served_and_status_asks_there(
    tmp_path: Path, env: dict[str, str], host: str, served: str, families: list[str]
) -> None:
    with running("serve", "--host", host, "--port", "0", cwd=tmp_path, env=env) as process:
        url = _url(process)
        assert url.startswith(served)
        port = url.rpartition(":")[2]
        for own in families:
            assert httpx.get(f"http://{own}:{port}/health").status_code == 200
        live = run("status", "--live", cwd=tmp_path, env=env)
        assert (live.returncode, live.stdout) == (0, "ready\n")
    gone = run("status", "--live", cwd=tmp_path, env=env)
    assert gone.returncode == 69, "nobody is on the default address"


def test_a_unix_socket_is_served_and_status_asks_there(tmp_path: Path, env: dict[str, str]) -> None:
    path = tmp_path / "icsfeed.sock"
    for given in (str(path), path.name):  # the second replaces the socket that the first, killed, has left
        with running("serve", "--uds", given, cwd=tmp_path, env=env) as process:
            assert _url(process) == f"unix:{path}"
            transport = httpx.HTTPTransport(uds=str(path))
            with httpx.Client(transport=transport, base_url="http://cal.example.com") as client:
                assert client.get("/health").json()["status"] == "healthy"
            assert run("status", "--live", cwd=tmp_path.parent, env=env).returncode == 0
            assert run("status", "--live", "--url", f"unix:{path}", cwd=tmp_path).returncode == 0
            second = run("serve", "--uds", str(path), cwd=tmp_path, env=env)
            assert (second.returncode, "it is in use; try another --uds" in second.stderr) == (75, True)
            assert run("status", "--live", cwd=tmp_path, env=env).returncode == 0
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        assert path.is_socket()
    with running("serve", "--uds", str(path), cwd=tmp_path, env=env) as process:
        _url(process)
    assert not path.exists()


def test_over_a_unix_socket_a_trusted_proxy_on_loopback_names_the_clients(
    tmp_path: Path,
) -> None:
    path, config = tmp_path / "s", tmp_path / "feeds.yaml"
    own = "trusted_proxies: [127.0.0.1]\nadmin_token: an admin token that nobody guesses\n"
    planes = "workspaces: {acme: {url: 'http://127.0.0.1:9', api_key: key}}\n"
    config.write_text(f"secret: {SECRET}\n{planes}{own}", encoding="utf-8")
    with running(
        "serve", "--uds", str(path), cwd=tmp_path, env={"STATE_DIRECTORY": str(tmp_path)}
    ) as process:
        _url(process)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as client:

            def status(address: str, token: str) -> int:
                sent = {"authorization": f"Bearer {token}", "x-forwarded-for": address}
                return client.get("/webhooks/status", headers=sent).status_code

            assert [status("192.0.2.1", "guess") for _ in range(11)][-2:] == [401, 429]
            right = "an admin token that nobody guesses"
            assert [status(address, right) for address in ("192.0.2.1", "192.0.2.2")] == [429, 200]


@pytest.mark.parametrize("path", ["feeds.yaml", "no/folder/s", "x" * 200])
def test_a_path_that_cannot_be_a_socket_is_reported_and_nothing_is_removed(
    tmp_path: Path, env: dict[str, str], path: str
) -> None:
    (tmp_path / "feeds.yaml").write_text("kept", encoding="utf-8")
    done = run("serve", "--uds", path, cwd=tmp_path, env={**env, "ICSFEED_CONFIG": ""})
    assert done.returncode in (75, 78)
    assert (tmp_path / "feeds.yaml").read_text(encoding="utf-8") == "kept"
    assert "Traceback" not in done.stderr


def test_a_host_that_cannot_be_listened_on_is_reported(tmp_path: Path, env: dict[str, str]) -> None:
    for host in ("nowhere.invalid", "[::1", "192.0.2.1"):
        done = run("serve", "--host", host, "--port", "0", cwd=tmp_path, env=env)
        assert (done.returncode, "try another --host" in done.stderr) == (75, True)


def test_both_families_are_asked_by_their_own_addresses() -> None:
    with open_listener("::", 0) as listener:
        assert address_of(listener).startswith("http://[::]:")
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_the_address_of_another_server_is_not_removed(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": str(tmp_path / "new")}
    first, second = ServedAddress(environ), ServedAddress(environ)
    assert first.read() is None
    first.save("http://0.0.0.0:1")
    second.save("http://[::]:2")
    first.remove()
    assert first.read() == "http://[::1]:2"
    second.remove()
    assert first.read() is None


@pytest.mark.parametrize("text", ["", "nonsense", "file:///etc/passwd", "\udcff"])
def test_a_file_without_an_address_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "served-at").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert ServedAddress({"STATE_DIRECTORY": str(tmp_path)}).read() is None


def test_a_folder_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    served = ServedAddress({"STATE_DIRECTORY": str(tmp_path / "file")})
    served.save("http://127.0.0.1:1")
    served.remove()
    assert ServedAddress({}).read() is None
