"""A real Chromium, our server, and two other sites on loopback: one that may show feeds, one that may not."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from browser.world import ARGUMENTS, CHROMIUM, Served, Visit, browser_config, odd_sample, serving_browsers
from icsfeed.config.schema import Auto, Feed


class Site:
    """Another origin: what it serves, by path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: dict[str, tuple[str, bytes]] = {}

    def put(self, path: str, body: str | bytes, kind: str = "text/html") -> str:
        """Serve this, and say where."""
        self.bodies[path] = kind, body.encode() if isinstance(body, str) else body
        return self.url + path


@contextmanager
def _site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = site.bodies.get(self.path.partition("?")[0], ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="session")
def intranet() -> Iterator[Site]:
    """The site whose pages may show and read feeds."""
    with _site() as site:
        yield site


@pytest.fixture(scope="session")
def stranger() -> Iterator[Site]:
    with _site() as site:
        yield site


@pytest.fixture(scope="session")
def served(intranet: Site) -> Iterator[Served]:
    with serving_browsers(browser_config([intranet.url], cors=(intranet.url,)), odd_sample(400)) as server:
        yield server


@pytest.fixture(scope="session")
def crowded() -> Iterator[Served]:
    """A server with 2,000 feeds, half of which have subscribers."""
    subscribers = ("anna@example.com", "ben")
    feeds = {
        f"feed-{number:04}": Feed(
            project="OPS", title=f"Feed {number:04}", subscribers=subscribers if number % 2 else ()
        )
        for number in range(2000)
    }
    with serving_browsers(replace(browser_config(), feeds=feeds, auto=Auto())) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert shutil.which(CHROMIUM), f"these tests need {CHROMIUM} (Debian: apt-get install chromium)"
    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the packages that package.json names."""
    assert shutil.which("npm"), "these tests need npm (Debian: apt-get install npm)"
    folder = tmp_path_factory.mktemp("npm")
    shutil.copy(Path(__file__).with_name("package.json"), folder)
    subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder / "node_modules"


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Visit]]:
    """Opens pages in contexts of their own, and closes them all."""
    contexts: list[BrowserContext] = []

    def opened(url: str, **options: object) -> Visit:
        made = Visit(browser, served, url, **options)
        contexts.append(made.context)
        return made

    yield opened
    for context in contexts:
        context.close()
