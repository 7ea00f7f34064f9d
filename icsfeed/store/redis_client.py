"""Clients of Redis or Valkey from an address: a host, a host with TLS, a socket, or Sentinel's hosts.

redis-py does the work. It reads these addresses itself, except Sentinel's, and its errors name no key.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from icsfeed.errors import InvalidValue
from icsfeed.http import trusted

CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 2.0
"""Until Redis must be reached, and must have answered (20 MB take a while)."""
REDIS_PORT, SENTINEL_PORT = 6379, 26379

_ADVICE = "check that it is running, has free memory and accepts the password in `store`"
_TLS_ADVICE = (
    ", and that its certificate is valid for this host; your own authority is added by ?ca_file=FILE"
)
_SENTINEL_ADVICE = "check that Sentinel knows this name, that the master is up, and the passwords in `store`"
_FORMS = {
    "redis": "redis://:password@host:6379/0",
    "unix": "unix://:password@/run/redis/redis.sock?db=0",
    "sentinel": "redis+sentinel://:password@host1:26379,host2:26379/mymaster/0",
}


class RedisClient(NamedTuple):
    """A client that connects when it is used. The log shows `name` and `advice`, never what is `hidden`."""

    redis: Redis
    name: str
    advice: str
    hidden: tuple[str, ...]
    sentinels: tuple[Redis, ...] = ()


def redis_client(address: str, environ: Mapping[str, str]) -> RedisClient:
    """Return the client for an address. Raises InvalidValue, and BadSetting for authorities.

    redis://, rediss:// (TLS), unix:// and redis+sentinel://, rediss+sentinel://, all with valkey as well.
    `ca_file` in the query adds to the trusted certificates.
    """
    address = re.sub("^valkey", "redis", address)
    scheme = address.partition(":")[0]
    kind = "sentinel" if scheme.endswith("+sentinel") else scheme if scheme == "unix" else "redis"
    try:
        client = _CLIENTS[kind](address)
        for each in (client.redis, *client.sentinels):
            each.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError):  # their texts may hold parts of the password
        raise InvalidValue(f"must be as {_FORMS[kind]}, with special characters as %XX") from None
    if scheme.startswith("rediss"):
        # redis-py would find a file that cannot be used only when it connects, and not name the variable.
        trusted(environ, client.redis.connection_pool.connection_kwargs.get("ssl_ca_certs"))
    return client


def _direct(address: str) -> RedisClient:
    host, port = _host(urlsplit(address).netloc.rpartition("@")[2], REDIS_PORT)
    advice = _ADVICE + (_TLS_ADVICE if address.startswith("rediss:") else "")
    return RedisClient(_opened(address), f"Redis at {host}:{port}", advice, _secrets(address))


def _socket(address: str) -> RedisClient:
    url = urlsplit(address)
    if url.hostname or not url.path.strip("/"):
        raise ValueError("a socket has a path and no host")
    advice = f"{_ADVICE}, and that icsfeed's user may open the socket"
    return RedisClient(_opened(address), f"Redis at {unquote(url.path)}", advice, _secrets(address))


def _sentinel(address: str) -> RedisClient:
    url = urlsplit(address)
    login, at, hosts = url.netloc.rpartition("@")
    nodes = [_host(host, SENTINEL_PORT) for host in hosts.split(",")]
    service, _, database = unquote(url.path.removeprefix("/")).partition("/")
    if not service or not re.fullmatch("[0-9]*", database):
        raise ValueError("the name of the master is missing")
    scheme = url.scheme.removesuffix("+sentinel")
    options = _options(f"{scheme}://{login}{at}master/{database}?{url.query}")
    for name in ("host", "connection_class"):  # Sentinel says which, and its pool has classes of its own
        options.pop(name, None)
    own = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    shared = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl_", "retry"))}
    if scheme == "rediss":
        shared["ssl"] = options["ssl"] = True
    sentinel = Sentinel(nodes, sentinel_kwargs=shared | own, **options)  # type: ignore[no-untyped-call]
    shown = ", ".join(f"{host}:{port}" for host, port in nodes)
    return RedisClient(
        sentinel.master_for(service),
        f"Redis {service} of Sentinel at {shown}",
        _SENTINEL_ADVICE + (_TLS_ADVICE if scheme == "rediss" else ""),
        _secrets(address),
        tuple(sentinel.sentinels),
    )


_CLIENTS = {"redis": _direct, "unix": _socket, "sentinel": _sentinel}


def _host(text: str, port: int) -> tuple[str, int]:
    url = urlsplit(f"//{text}")
    if not url.hostname:
        raise ValueError("a host is missing")
    return url.hostname.encode("idna").decode(), url.port or port


def _opened(address: str) -> Redis:
    return Redis.from_pool(ConnectionPool(**_options(address)))


def _options(address: str) -> dict[str, Any]:
    """Return the address as redis-py's arguments, with our bounds of time."""
    options: dict[str, Any] = {**parse_url(address)}
    if ca_file := options.pop("ca_file", None):
        options["ssl_ca_certs"] = ca_file
    options.setdefault("socket_connect_timeout", CONNECT_SECONDS)
    options.setdefault("socket_timeout", ANSWER_SECONDS)
    # Once more, for a connection that was closed while it was idle.
    return options | {"retry": Retry(NoBackoff(), 1, (Lost,))}


def _secrets(address: str) -> tuple[str, ...]:
    """Return what of an address must not be shown, as it is written and as it is meant."""
    url = urlsplit(address)
    login = url.netloc.rpartition("@")[0]
    pairs = (pair.partition("=") for pair in url.query.split("&"))
    found = {login.partition(":")[2], *(value for name, _, value in pairs if "password" in name)}
    return tuple(sorted({*found, *map(unquote, found)} - {""}, key=len, reverse=True))
