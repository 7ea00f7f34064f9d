"""The backends that copies are stored in: private files, memory, Redis or Valkey."""

import asyncio
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litestar.stores.base import StorageObject
from litestar.stores.base import Store as KeyValueStore
from litestar.stores.file import FileStore
from litestar.stores.memory import MemoryStore

from icsfeed.errors import ConfigError, InvalidValue, Problem
from icsfeed.files import replace_file

if TYPE_CHECKING:
    from redis.asyncio import Redis

DAMAGED, TEMPORARY = ".damaged", ".tmp"
NAMESPACE = "icsfeed"


class Backend(NamedTuple):
    """Where values are stored. The log shows `name` and `advice`, and never what is `hidden`.

    `locks`: the folder of the locks that processes of one machine share. `sentinels`: those that say which
    Redis is the master.
    """

    values: KeyValueStore
    name: str
    advice: str = ""
    failures: tuple[type[Exception], ...] = (OSError,)
    redis: "Redis | None" = None
    hidden: tuple[str, ...] = ()
    locks: Path | None = None
    sentinels: "tuple[Redis, ...]" = ()

    @property
    def reached(self) -> str:
        """Return `name`, and which server that is now where Sentinel decides it."""
        master = getattr(self.redis and self.redis.connection_pool, "master_address", None)
        return f"{self.name}, now {master[0]}:{master[1]}" if master else self.name


class PrivateFiles(FileStore):
    """litestar's FileStore, in a folder that only its owner may open.

    Writing is our own code: litestar's (2.25) ignores every OSError, takes a write that a full disk cut
    short for a complete one, and makes the folder readable by all.
    """

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Replace the file in one step. Raises OSError, and then the old one stays."""
        data = value.encode() if isinstance(value, str) else value
        path, stored = Path(self._path_from_key(key)), StorageObject.new(data, expires_in).to_bytes()
        await asyncio.to_thread(lambda: _replace(path, stored))

    async def stamp(self, key: str) -> object:
        """Return what changes whenever the file is replaced; None: there is none."""
        try:
            state = await self._path_from_key(key).stat()
        except FileNotFoundError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    async def set_aside(self, key: str) -> None:
        """Rename the file, for a person to look at."""
        path = self._path_from_key(key)
        with suppress(FileNotFoundError):  # another process has done it
            await path.replace(f"{path}{DAMAGED}")


def backend_of(address: str, environ: Mapping[str, str]) -> Backend:
    """Return the backend that the configuration's `store:` names. Raises ConfigError when it cannot be used.

    Whether it works shows when it is used.
    """
    if address == "memory":
        return Backend(MemoryStore(), "memory")
    if address == "file":
        folder = state_directory(environ) / "snapshots"
        with suppress(OSError):
            _prepare(folder)
        advice = "free disk space, or let icsfeed write there"
        return Backend(PrivateFiles(folder), str(folder), advice, locks=folder.parent / "locks")
    return _redis(address, environ)


def state_directory(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Return $STATE_DIRECTORY (the first; systemd sets it), else the user's own. Raises ConfigError."""
    from_systemd = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if from_systemd:
        return Path(from_systemd)
    xdg = Path(environ.get("XDG_STATE_HOME", ""))
    if xdg.is_absolute():  # relative ones are to be ignored (XDG Base Directory Specification)
        return xdg / "icsfeed"
    if not environ.get("HOME"):
        raise _refused("no folder to use: set STATE_DIRECTORY, or `store: memory`")
    folder = "Library/Application Support" if platform == "darwin" else ".local/state"
    return Path(environ["HOME"], folder, "icsfeed")


def _prepare(folder: Path) -> None:
    """Make the folder private, and remove the temporary files of writes that were cut off."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for leftover in folder.glob(f"*{TEMPORARY}"):
        with suppress(OSError), leftover.open("r+b") as file:
            flock(file, LOCK_EX | LOCK_NB)  # fails while another process is writing it
            leftover.unlink()


def _replace(path: Path, data: bytes) -> None:
    """Write a file that is the old one or the new one, complete, whatever happens. Raises OSError."""
    if not path.parent.is_dir():
        _prepare(path.parent)
    temporary = path.with_name(f"{path.name}{secrets.token_hex(4)}{TEMPORARY}")
    replace_file(path, data, temporary, mode=0o600)


def _redis(address: str, environ: Mapping[str, str]) -> Backend:
    """Redis, or Valkey, which speaks the same protocol. Connects when it is first used."""
    try:
        from litestar.stores.redis import RedisStore
        from redis.exceptions import RedisError

        from icsfeed.store.redis_client import redis_client
    except ImportError:
        raise _refused("the redis package is missing: pip install redis") from None
    try:
        client = redis_client(address, environ)
    except InvalidValue as error:
        raise _refused(str(error)) from None
    values, failures = RedisStore(client.redis, NAMESPACE), (OSError, RedisError)
    return Backend(
        values, client.name, client.advice, failures, client.redis, client.hidden, sentinels=client.sentinels
    )


def _refused(message: str) -> ConfigError:
    return ConfigError("configuration", [Problem("store", message)])
