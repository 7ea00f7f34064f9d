"""litmus on a read-only calendar: a proxy in front of it answers as if it had made litmus's own folder."""

import http.client
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

FOLDER = "litmus/"
_RESULT = re.compile(r"\d+\. (\w+)\.* (pass|FAIL|SKIPPED|WARNING)(.*)")


@contextmanager
def folder_at(calendar: str) -> Iterator[str]:
    """Yield an address below which the calendar is the folder `litmus`."""
    target = urlsplit(calendar)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.endswith(f"/{FOLDER}") and self.command in ("MKCOL", "DELETE"):
                return self._send(201, {}, b"")
            given = {name: value for name, value in self.headers.items() if name not in ("Host", "TE")}
            path = target.path.encode()
            with closing(
                http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
            ) as server:
                server.request(self.command, self.path.replace(FOLDER, "", 1), body, given)
                answer = server.getresponse()
                text = answer.read().replace(path, path + FOLDER.encode())
            named = {name: value for name, value in answer.getheaders() if name.lower() != "content-length"}
            return self._send(answer.status, named, text)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{target.path}"
    finally:
        server.shutdown()
        server.server_close()


def results(program: str, suite: str, url: str, user: str, password: str) -> dict[str, tuple[str, str]]:
    """Run a suite of litmus; return each test with its result and what litmus says of it."""
    command = [program, "-k", url, user, password]
    env = {"TESTS": suite, "PATH": "/usr/bin:/bin"}
    with TemporaryDirectory() as folder:  # litmus writes a log where it runs
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=120, check=False)
    found = _RESULT.findall(done.stdout.decode("utf-8", "replace").replace("\r", "\n"))
    # A test with a warning passes: so says its next line.
    return {name: ("pass" if result == "WARNING" else result, text) for name, result, text in found}
