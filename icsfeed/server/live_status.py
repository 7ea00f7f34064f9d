"""Ask a running server for its health: for `icsfeed status` and health checks."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
from msgspec import DecodeError, Struct, json

from icsfeed.errors import ConfigError
from icsfeed.files import replace_file
from icsfeed.http import ACCEPT_ENCODING, REQUEST_ERRORS, read_body, request_failure, trusted, web_address
from icsfeed.store.backends import state_directory

TIMEOUT_SECONDS = 4.0
"""For connecting and for each read: the container's health check gives up after 5."""
MAX_BODY_BYTES = 64 * 1024
ADDRESS_FILE = "served-at"
"""In the state directory: the URL of the server of this machine."""
UNIX_SCHEME = "unix:"
PARTS = ("store", "configuration", "feeds")
NOT_ICSFEED = {"server": "the server there is not icsfeed"}


class LiveState(Struct, frozen=True):
    """Whether a server answers, and whether every workspace can be served.

    `problems` by what has them: the name of a workspace, or `server`, `store`, `configuration`, `feeds`.
    """

    live: bool
    ready: bool
    problems: Mapping[str, str] = {}


class ServedAddress:
    """The URL of the server of this machine, in a file of its state directory."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._saved: str | None = None

    def save(self, url: str) -> None:
        """Save the URL, with an address that can be connected to. A server starts without it as well."""
        self._saved = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        with suppress(OSError, ConfigError):
            folder = state_directory(self._environ)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = folder / f"{ADDRESS_FILE}-{os.getpid()}"
            replace_file(folder / ADDRESS_FILE, self._saved.encode(), temporary)

    def remove(self) -> None:
        """Remove the URL that was saved here, unless another server has replaced it since."""
        with suppress(OSError, ConfigError):
            if self._saved and self.read() == self._saved:
                (state_directory(self._environ) / ADDRESS_FILE).unlink()

    def read(self) -> str | None:
        """Return the URL; None if none is known."""
        with suppress(OSError, ValueError, ConfigError):
            text = (state_directory(self._environ) / ADDRESS_FILE).read_text(encoding="utf-8").strip()
            return text if text.startswith(("http://", UNIX_SCHEME)) else None
        return None


async def live_state(
    url: str,
    *,
    only_live: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LiveState:
    """Return the state of the server at `url`; with `only_live` without workspaces, which count as ready.

    Certificates are checked as for Plane; no proxy is used. Raise InvalidValue if `url` is no address, and
    BadSetting if the environment names unusable certificates.
    """
    if url.startswith(UNIX_SCHEME):
        transport = transport or httpx.AsyncHTTPTransport(uds=url.removeprefix(UNIX_SCHEME))
        url = "http://localhost"
    if web_address(url).scheme == "https" and transport is None:
        transport = httpx.AsyncHTTPTransport(verify=trusted(environ))
    try:
        async with httpx.AsyncClient(
            transport=transport,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            headers={"Accept-Encoding": ACCEPT_ENCODING},
        ) as client:
            # /health needs neither Plane nor the store: nobody restarts a server because Plane is down.
            if only_live:
                live = (await _get_json(client, f"{url.rstrip('/')}/health")).get("status") == "healthy"
                return LiveState(live, live, {} if live else NOT_ICSFEED)
            return _decode_health(await _get_json(client, f"{url.rstrip('/')}/api/v1/health"))
    except REQUEST_ERRORS as error:
        return LiveState(False, False, {"server": request_failure(error).text})


def _decode_health(body: Mapping[str, Any]) -> LiveState:
    copies = body.get("copies")
    if not isinstance(copies, dict) or not all(isinstance(copy, dict) for copy in copies.values()):
        return LiveState(False, False, NOT_ICSFEED)
    unread = {name: "not read yet" for name, copy in copies.items() if not copy.get("ready")}
    failing = {str(name): str(copy["problem"]) for name, copy in copies.items() if copy.get("problem")}
    parts = {part: str(body[part]) for part in PARTS if body.get(part, "ok") != "ok"}
    return LiveState(True, not unread, {**unread, **failing, **parts})


async def _get_json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Return the JSON object of the answer, whatever its status; empty if it is none or too large."""
    async with client.stream("GET", url) as response:
        # Any server may run there, and some answer without end.
        body, is_whole = await read_body(response, MAX_BODY_BYTES)
    if not is_whole:
        return {}
    try:
        value = json.decode(body)
    except DecodeError:
        return {}
    return value if isinstance(value, dict) else {}
