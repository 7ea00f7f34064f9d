"""The other ways to a Redis: TLS with an authority of one's own, a socket, and Sentinel with a failover."""

import asyncio
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from app_world import Clock
from redis_world import RedisServer, SentinelServer, free_port, opened_store, redis_server, started

from icsfeed.errors import BadSetting, ConfigError, StoreFailed
from icsfeed.own_links.registry import OwnLinks
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

PASSWORD, SENTINELS_PASSWORD = "xyzzy-123", "plugh/456"
QUERY = f"sentinel_password={SENTINELS_PASSWORD.replace('/', '%2F')}"


def tls_options(folder: Path, port: int, *hosts: str) -> list[str]:
    """Return redis-server's options for a port with TLS; `ca.pem` in the folder is its authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert(*(hosts or ("localhost", "127.0.0.1")))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
    files = {"--tls-cert-file": "cert.pem", "--tls-key-file": "cert.pem", "--tls-ca-cert-file": "ca.pem"}
    options = [word for option, name in files.items() for word in (option, str(folder / name))]
    return ["--tls-port", str(port), "--tls-auth-clients", "no", *options]


async def is_usable(address: str) -> str | None:
    """Return what is wrong with a store, after a write and a read; None: nothing."""
    async with opened_store(address) as store:
        await store.put("a", b"1")
        assert await store.get("a") == b"1"
        return store.last_error


async def test_an_authority_of_the_installation_is_trusted_where_the_address_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with redis_server(tmp_path, PASSWORD, tls_options(tmp_path, port)):
        address = f"rediss://:{PASSWORD}@localhost:{port}/0"
        assert await is_usable(f"{address}?ca_file={tmp_path / 'ca.pem'}") is None
        assert (
            await is_usable(f"{address}?ca_file={tmp_path / 'ca.pem'}".replace("redis", "valkey", 1)) is None
        )
        assert caplog.records == []
        error = await is_usable(address)
        assert error is not None
        assert "CERTIFICATE_VERIFY_FAILED" in error
        assert "?ca_file=" in caplog.text
        assert PASSWORD not in caplog.text


def test_an_authority_of_the_environment_is_trusted(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\nfrom icsfeed.store.store import open_store\n"
        "async def main():\n store = open_store(sys.argv[1], os.environ)\n"
        " await store.put('a', b'1')\n print(store.healthy)\n await store.close()\nasyncio.run(main())"
    )
    port = free_port()
    with redis_server(tmp_path, options=tls_options(tmp_path, port)):
        command = [sys.executable, "-c", script, f"rediss://127.0.0.1:{port}"]
        for file, expected in (("ca.pem", "True"), ("cert.pem", "False"), ("missing.pem", "SSL_CERT_FILE")):
            environ = os.environ | {"SSL_CERT_FILE": str(tmp_path / file)}
            done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
            assert expected in done.stdout + done.stderr


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with redis_server(tmp_path, options=tls_options(tmp_path, port, "localhost")):
        for host, is_named in (("localhost", True), ("127.0.0.1", False)):
            error = await is_usable(f"rediss://{host}:{port}?ca_file={tmp_path / 'ca.pem'}")
            assert (error is None) == is_named
            assert is_named or "IP address mismatch" in str(error)


@pytest.mark.parametrize("content", [None, "nothing"])
def test_an_authority_that_cannot_be_used_is_reported_at_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(BadSetting, match=f"ca_file: {file}"):
        open_store(f"rediss://:{PASSWORD}@host?ca_file={file}", {})


async def test_a_socket_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    socket = tmp_path / "redis.sock"
    with redis_server(tmp_path, PASSWORD, ["--unixsocket", str(socket)]) as server:
        address = f"unix://:{PASSWORD}@{socket}?db=3"
        async with opened_store(address) as one, opened_store(address) as other:
            await one.put("a", b"1")
            assert (await other.get("a"), other.healthy) == (b"1", True)
            async with one.lock("refresh", 5), other.lock("refresh", 5) as held:
                assert not held
            with server.client() as client:
                assert client.keys() == [], "it is in another database"
            assert one.reached == f"Redis at {socket}"
            assert caplog.records == []
            server.stop()
            await one.put("a", b"2")
            assert str(socket) in str(one.last_error)
            assert "may open the socket" in caplog.text
            assert PASSWORD not in caplog.text


class Sentinels:
    """A master and a replica, three Sentinels that watch them, and the address for `store:`."""

    def __init__(self, folder: Path, stack: ExitStack, options: Sequence[str] = ()) -> None:
        self.master = stack.enter_context(started(RedisServer(folder, PASSWORD, options)))
        follow = ["--replicaof", "127.0.0.1", str(self.master.port), "--repl-diskless-sync-delay", "0"]
        self.replica = stack.enter_context(started(RedisServer(folder, PASSWORD, [*options, *follow])))
        watching = [SentinelServer(folder, self.master, SENTINELS_PASSWORD) for _ in range(3)]
        self.watching = [stack.enter_context(started(one)) for one in watching]
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.watching)
        self.address = f"redis+sentinel://:{PASSWORD}@{hosts}/plane/0?{QUERY}"
        self._wait_until_they_know_each_other()

    def _wait_until_they_know_each_other(self) -> None:
        until = time.monotonic() + 20
        for one in self.watching:
            with one.client() as client:
                while True:
                    state = client.sentinel_master("plane")
                    if state["num-slaves"] == 1 and state["num-other-sentinels"] == 2:
                        break
                    assert time.monotonic() < until
                    time.sleep(0.1)


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    with ExitStack() as stack:
        yield Sentinels(tmp_path, stack)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- nothing else runs in this loop meanwhile
            await asyncio.sleep(0.02)


async def test_values_locks_and_links_go_on_when_the_master_is_killed(
    sentinels: Sentinels, caplog: pytest.LogCaptureFixture
) -> None:
    clock, master, replica = Clock(), sentinels.master, sentinels.replica
    async with opened_store(sentinels.address) as one, opened_store(sentinels.address) as other:
        links, others = (OwnLinks(store, clock, clock.timer) for store in (one, other))
        await links.refresh()
        made = await links.make("anna@example.com", "phone", "prop")
        await one.put("a", b"before")
        assert await other.get("a") == b"before"
        assert one.reached.endswith(f"now 127.0.0.1:{master.port}")
        with master.client() as client:
            assert client.wait(1, 5_000) == 1
        async with one.lock("refresh", 2):
            sentinels.watching[0].stop()
            master.stop()
            await one.put("b", b"meanwhile")
            assert await one.get("b") == b"meanwhile"
        async with one.lock("refresh", 5) as held:
            assert held, "nobody waits for Redis"
        await other.get("c")
        await until(lambda: one.healthy and other.healthy)
        assert [await other.get("a"), await other.get("b")] == [b"before", b"meanwhile"]
        async with one.lock("refresh", 5), other.lock("refresh", 5) as held:
            assert not held, "replicas share locks again"
        assert one.reached.endswith(f"now 127.0.0.1:{replica.port}")
        clock.move(60)
        assert await others.find(made.token, "feed") is not None
        assert (await others.make("anna@example.com", "laptop", "prop")).link.device == "laptop"
        assert not [text for text in (PASSWORD, SENTINELS_PASSWORD, QUERY) if text in caplog.text]
        assert "that the master is up" in caplog.text


async def test_a_master_that_comes_back_as_a_replica_is_not_written_to(sentinels: Sentinels) -> None:
    async with opened_store(sentinels.address) as store:
        await store.put("a", b"1")
        sentinels.master.stop()
        await until_written(store, b"2")
        sentinels.master.start()
        await store.put("a", b"3")
        await until_written(store, b"3")
        with sentinels.replica.client() as client:
            assert client.get("icsfeed:a").endswith(b"3")


async def until_written(store: Store, value: bytes) -> None:
    async with asyncio.timeout(20):
        while True:
            await store.put("a", value)
            if store.healthy:
                return
            await asyncio.sleep(0.1)


async def test_a_name_that_sentinel_does_not_know_is_reported_without_passwords(
    sentinels: Sentinels, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened_store(sentinels.address.replace("/plane/", "/plain/")) as store:
        await store.put("a", b"1")
        assert (await store.get("a"), store.healthy) == (b"1", False)
        assert "check that Sentinel knows this name" in caplog.text
        assert str(store.last_error).endswith("No master found for 'plain'")
        with pytest.raises(StoreFailed):
            await OwnLinks(store, Clock(), Clock().timer).make("anna@example.com", "phone", "prop")
    wrong = sentinels.address.replace(QUERY, "sentinel_password=wrong-one")
    async with opened_store(wrong.replace(PASSWORD, "wrong-two")) as store:
        await store.put("a", b"1")
        assert not store.healthy
    assert not re.search(f"{PASSWORD}|{SENTINELS_PASSWORD}|wrong-one|wrong-two", caplog.text)


async def test_a_master_behind_sentinel_is_reached_over_tls(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with ExitStack() as stack:
        of_master, of_sentinel = (tls_options(tmp_path, port) for port in ports)
        master = RedisServer(tmp_path, PASSWORD, of_master)
        stack.enter_context(started(master))
        master.port = ports[0]
        sentinel = SentinelServer(tmp_path, master, SENTINELS_PASSWORD, 1, of_sentinel)
        stack.enter_context(started(sentinel))
        address = f"rediss+sentinel://:{PASSWORD}@127.0.0.1:{ports[1]}/plane?{QUERY}"
        async with opened_store(f"{address}&ca_file={tmp_path / 'ca.pem'}") as store:
            await store.put("a", b"1")
            assert (await store.get("a"), store.last_error) == (b"1", None)
            assert store.reached.endswith(f"now 127.0.0.1:{ports[0]}")


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"redis+sentinel://:{PASSWORD}@host/", "host1:26379,host2:26379/mymaster/0"),
        (f"redis+sentinel://:{PASSWORD}@host/plane/zero", "host1:26379,host2:26379/mymaster/0"),
        (f"redis+sentinel://:{PASSWORD}@a,,b/plane", "host1:26379,host2:26379/mymaster/0"),
        (f"redis+sentinel://:{PASSWORD}@a:port/plane", "host1:26379,host2:26379/mymaster/0"),
        (f"redis+sentinel://:{PASSWORD}@a/plane?unknown={PASSWORD}", "host1:26379,host2:26379/mymaster/0"),
        (f"unix://:{PASSWORD}@", "unix://:password@/run/redis/redis.sock?db=0"),
        (f"unix://:{PASSWORD}@host/run/redis.sock", "unix://:password@/run/redis/redis.sock?db=0"),
        (f"rediss://:{PASSWORD}@host?ssl_cert_reqs={PASSWORD}", "redis://:password@host:6379/0"),
        (f"redis://:{PASSWORD}@host?ca_file=/etc/ca.pem", "redis://:password@host:6379/0"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_the_form_it_should_have(
    address: str, form: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(address, {})
    assert form in str(caught.value)
    assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"
