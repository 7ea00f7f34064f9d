"""Debian's nginx and Caddy on a free port of loopback, with a configuration from docs/."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

MAIN = """
daemon off; master_process off; pid {work}/nginx.pid; error_log {work}/error.log notice;
events {{}}
http {{
    access_log {work}/access.log; server_tokens off;
    client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c;
    uwsgi_temp_path {work}/d; scgi_temp_path {work}/e;
    include {work}/site.conf;
}}
"""


@contextmanager
def nginx(site: str, work: Path) -> Iterator[str]:
    """Run nginx with `site`, whose port 80 is replaced by a free one; yield its URL."""
    program = _program("nginx", "nginx-light")
    port = free_port()
    site = re.sub(r"listen \[::\]:80;", "", site).replace("listen 80;", f"listen 127.0.0.1:{port};")
    (work / "site.conf").write_text(site, encoding="utf-8")
    (work / "nginx.conf").write_text(MAIN.format(work=work), encoding="utf-8")
    command = [program, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=20)
    with _running(command, port, work):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def caddy(site: str, work: Path, upstream: str) -> Iterator[str]:
    """Run Caddy with `site`, whose name cal.example.com is replaced by an address; yield its URL."""
    port = free_port()
    site = site.replace("\n{\n", "\n{\n\tadmin off\n", 1).replace(
        "\ncal.example.com {", f"\nhttp://127.0.0.1:{port} {{"
    )
    (work / "Caddyfile").write_text(site, encoding="utf-8")
    command = [
        _program("caddy", "caddy"),
        "run",
        "--config",
        str(work / "Caddyfile"),
        "--adapter",
        "caddyfile",
    ]
    with _running(command, port, work, {"HOME": str(work), "ICSFEED_UPSTREAM": upstream}):
        yield f"http://127.0.0.1:{port}"


def _program(name: str, package: str) -> str:
    program = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, f"this test needs {name}: apt-get install {package}"
    return program


@contextmanager
def _running(
    command: list[str], port: int, work: Path, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run the command until the end of the block, which begins when it listens; its output goes to a log."""
    with (work / "output.log").open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("it does not answer")
