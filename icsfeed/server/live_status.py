"""Asks a running server how it is: for `icsfeed status` and health checks."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
from msgspec import DecodeError, Struct, json

from icsfeed.errors import ConfigError
from icsfeed.files import replace_file
from icsfeed.http import REQUEST_ERRORS, read_body, request_failure, trusted, web_address
from icsfeed.store.backends import state_directory

SECONDS = 4.0
"""For one answer: health checks give up after 5."""
LARGEST = 64 * 1024
SERVED = "served-at"
UNIX = "unix:"
FOREIGN = {"server": "what answers there is not icsfeed"}


class LiveState(Struct, frozen=True):
    """Whether a server of ours answers, and whether every workspace can be served.

    `problems` says what is wrong: by workspace, or for the `server`, its `store`, its `configuration`.
    """

    live: bool
    ready: bool
    problems: Mapping[str, str] = {}


class ServedAddress:
    """Where the server of this machine is: kept in its state directory."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._kept: str | None = None

    def remember(self, url: str) -> None:
        """Keep it, as it can be asked. That it cannot be kept ends no server."""
        self._kept = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        with suppress(OSError, ConfigError):
            folder = state_directory(self._environ)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = folder / f"{SERVED}-{os.getpid()}"
            replace_file(folder / SERVED, self._kept.encode(), temporary)

    def forget(self) -> None:
        """Nothing is served there any more; another server's address stays."""
        with suppress(OSError, ConfigError):
            if self._kept and self.read() == self._kept:
                (state_directory(self._environ) / SERVED).unlink()

    def read(self) -> str | None:
        """The address; None where none is known."""
        with suppress(OSError, ValueError, ConfigError):
            text = (state_directory(self._environ) / SERVED).read_text(encoding="utf-8").strip()
            return text if text.startswith(("http://", UNIX)) else None
        return None


async def state(
    url: str,
    *,
    only_live: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LiveState:
    """How the server at `url` is; `only_live`: without its workspaces, which then count as ready.

    Certificates are checked as for Plane; no proxy is asked. Raises InvalidValue where `url` is none, and
    BadSetting.
    """
    if url.startswith(UNIX):
        transport = transport or httpx.AsyncHTTPTransport(uds=url.removeprefix(UNIX))
        url = "http://localhost"
    if web_address(url).scheme == "https" and transport is None:
        transport = httpx.AsyncHTTPTransport(verify=trusted(environ))
    try:
        async with httpx.AsyncClient(transport=transport, timeout=SECONDS, trust_env=False) as client:
            if only_live:
                lives = (await _json(client, f"{url.rstrip('/')}/health")).get("status") == "healthy"
                return LiveState(lives, lives, {} if lives else FOREIGN)
            return _read(await _json(client, f"{url.rstrip('/')}/api/v1/health"))
    except REQUEST_ERRORS as error:
        return LiveState(False, False, {"server": request_failure(error).text})


def _read(body: Mapping[str, Any]) -> LiveState:
    copies = body.get("copies")
    if not isinstance(copies, dict) or not all(isinstance(copy, dict) for copy in copies.values()):
        return LiveState(False, False, FOREIGN)
    unread = {name: "not read yet" for name, copy in copies.items() if not copy.get("ready")}
    told = {str(name): str(copy["problem"]) for name, copy in copies.items() if copy.get("problem")}
    parts = {part: str(body.get(part)) for part in ("store", "configuration") if body.get(part) != "ok"}
    return LiveState(True, not unread, {**unread, **told, **parts})


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """The object that is answered, at any status; empty where it is none."""
    async with client.stream("GET", url) as answer:
        body, is_whole = await read_body(answer, LARGEST)
    if not is_whole:
        return {}
    try:
        found = json.decode(body)
    except DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
