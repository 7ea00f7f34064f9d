"""Debian's nginx on a free port of loopback, with one of our configurations."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
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
    """The address of an nginx that serves `site`, which listens on port 80 as it stands in a file."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "this test needs nginx: apt-get install nginx-light"
    port = _free_port()
    site = re.sub(r"listen \[::\]:80;", "", site).replace("listen 80;", f"listen 127.0.0.1:{port};")
    (work / "site.conf").write_text(site, encoding="utf-8")
    (work / "nginx.conf").write_text(MAIN.format(work=work), encoding="utf-8")
    command = [program, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=20)
    process = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _free_port() -> int:
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
    raise AssertionError("nginx does not answer")
