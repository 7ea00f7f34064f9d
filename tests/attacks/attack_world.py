"""A server on a real socket that is attacked with bytes: whatever a client library would not send."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import uvicorn
from app_world import World, serving
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Config, Feed, Secret
from icsfeed.demo.settings import SECRET, demo_config
from icsfeed.feeds.links import Kind, derive
from icsfeed.server.connections import Admission, BoundedProtocol
from icsfeed.web.token_throttle import TokenThrottle

T = TypeVar("T")

ADMIN, HOOK = "an-admin-token-of-some-length", "the-webhook-secret"
HOST = "cal.example.com"
FEEDS = {
    "property": Feed(project="PROP", subscribers=("anna",), revoked=("gone",)),
    "busy": Feed(everything=True, details="busy"),
    "public": Feed(project="OPS", public=True),
    "asleep": Feed(everything=True, active=False),
}


class Answer(NamedTuple):
    """What came back; status 0: the connection was ended without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Target:
    """The server under attack, and what an attacker may know or have found."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.world, self.port, self._loop = world, port, loop

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def send(self, raw: bytes, *, ends: bool = False) -> Answer:
        """These bytes on a connection of their own, and the first answer. `ends`: nothing more will come."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            said = b""
            try:
                client.sendall(raw)
                if ends:
                    client.shutdown(socket.SHUT_WR)
                while piece := client.recv(1 << 16):
                    said += piece
            except ConnectionError:
                pass
        return _parsed(said)

    def ask(self, method: str, path: str, headers: str = f"Host: {HOST}\r\n", body: bytes = b"") -> Answer:
        """A request with a head as it is written here."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\n{headers}{length}Connection: close\r\n\r\n"
        return self.send(head.encode("utf-8", "surrogateescape") + body)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Something on the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def token(self, feed: str, subscriber: str = "", revision: int = 1, kind: Kind = "feed") -> str:
        """A token as the server makes it."""
        return derive(SECRET, kind, feed, subscriber, revision)


def _parsed(said: bytes) -> Answer:
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        return Answer(0, {}, said)
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    zipped = headers.get("content-encoding") == "gzip"
    return Answer(int(first.split(" ")[1]), headers, gzip.decompress(body) if zipped else body)


def attacked() -> Config:
    """The configuration under attack: every door closed that can be, every secret set."""
    config = demo_config()
    own = replace(config.workspaces["demo"], webhook_secret=Secret(HOOK))
    return replace(
        config,
        feeds=FEEDS,
        auto=Auto(projects=True, assignees=True),
        workspaces={"demo": own},
        admin_token=Secret(ADMIN),
        allowed_hosts=(HOST,),
    )


async def _no_pause(_seconds: float) -> None:
    """Wrong links wait in real servers; here thousands are tried."""


@contextmanager
def target() -> Iterator[Target]:
    """The server, on a free port of loopback, on a loop in a thread of its own."""
    made: list[Target] = []
    started, ended = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with serving(attacked()) as world:
            world.server.token_throttle = TokenThrottle(world.clock.timer, _no_pause)
            config = uvicorn.Config(
                world.app,
                http=partial(BoundedProtocol, admission=Admission(1_000, lambda _: True)),  # type: ignore[arg-type]
                port=0,
                log_config=None,
                ws="none",
                server_header=False,
                proxy_headers=False,
            )
            server = uvicorn.Server(config)
            running = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            made.append(Target(world, asyncio.get_running_loop(), port))
            started.set()
            await ended.wait()
            server.should_exit = True
            await running

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    assert started.wait(30)
    yield made[0]
    made[0].run(_set(ended))
    thread.join(timeout=20)


async def _set(event: asyncio.Event) -> None:
    event.set()
