"""Real redis-servers on free ports of this machine, and stores that are closed afterwards."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from icsfeed.store.store import Store, open_store


class RedisServer:
    """Empty whenever it starts. `address` is for the configuration's `store:`."""

    def __init__(self, folder: Path, password: str = "", options: Sequence[str] = ()) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("install redis-server (Debian: redis-server)")
        self.port = free_port()
        self.password = password
        self.address = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no"]
        self._command += ["--requirepass", password, "--masterauth", password] if password else []
        self._command += options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                pytest.fail("redis-server does not start")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It accepts connections, and says nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A connection to look at what it holds."""
        with redis.Redis(host="127.0.0.1", port=self.port, password=self.password or None) as client:
            yield client

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(1) in (b"+", b"-")
        except OSError:
            return False


class SentinelServer(RedisServer):
    """One of those that watch a master and promote a replica half a second after it died."""

    def __init__(
        self, folder: Path, master: RedisServer, password: str, quorum: int = 2, options: Sequence[str] = ()
    ) -> None:
        super().__init__(folder, password)
        file = folder / f"sentinel-{self.port}.conf"  # it writes there what it learns
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {password}\n"
            f"sentinel sentinel-pass {password}\nsentinel monitor plane 127.0.0.1 {master.port} {quorum}\n"
            f"sentinel auth-pass plane {master.password}\nsentinel down-after-milliseconds plane 500\n"
            "sentinel failover-timeout plane 4000\n",
            encoding="utf-8",
        )
        self._command = [self._command[0], str(file), "--sentinel", *options]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def redis_server(folder: Path, password: str = "", options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """A running Redis, killed at the end. The test fails where the program is missing."""
    with started(RedisServer(folder, password, options)) as server:
        yield server


@contextmanager
def started(server: RedisServer) -> Iterator[RedisServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def opened_store(
    address: str, environ: Mapping[str, str] = {}, retry: float = 0.05
) -> AsyncIterator[Store]:
    """A store that tries again soon after a failure."""
    store = open_store(address, environ, retry=retry)
    try:
        yield store
    finally:
        await store.close()
