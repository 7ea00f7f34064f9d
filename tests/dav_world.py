"""Real CalDAV servers as processes on loopback, and a person who edits their calendars."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from defusedxml.ElementTree import fromstring

USER, PASSWORD = "alice", "wonderland"
SUCCESS = (200, 201, 204)


class DavServer:
    """One server process. `home`: the path in which calendars are created; `user`: empty for no password.

    `behind`: its own port, if a proxy listens on `port`. `env`: added to the environment. `as_user`: the
    system user that it runs as. `repositories`: the folder of its git repositories, if it keeps any.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        home: str,
        user: str = "",
        behind: int = 0,
        env: Mapping[str, str] = {},
        as_user: str | None = None,
        repositories: Path | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}{home}"
        self.user = user
        self._command, self._port, self._repositories = command, behind or port, repositories
        self._options: dict[str, Any] = {"user": as_user, "group": as_user, "env": {**os.environ, **env}}
        self._process: subprocess.Popen[bytes] | None = None
        self.calendar = "plane"
        self.client = httpx.Client(auth=(user, PASSWORD) if user else None, timeout=30)

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **self._options,
        )
        until = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                pytest.fail(f"{self._command} does not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it and its child processes, and return when the port is free.

        Killed in the middle of a commit, xandikos 0.4 leaves git's lock files and then answers 423 until
        an administrator removes them: so does this.
        """
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            for lock in self._repositories.rglob(".git/**/*.lock") if self._repositories else ():
                lock.unlink()
            while self._listens():
                time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return self.client.request("OPTIONS", self.url, timeout=2).status_code < 500
        except httpx.TransportError:
            return False

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self._port)) == 0

    @property
    def login(self) -> Mapping[str, str]:
        """Return the keys that a target needs to log in."""
        return {"username": self.user, "password": PASSWORD} if self.user else {}

    @property
    def calendar_url(self) -> str:
        """Return the URL of the test's calendar."""
        return f"{self.url}{self.calendar}/"

    def person(self, calendar: str = "") -> "Calendar":
        """Return a person who edits a calendar of the account."""
        return Calendar(self.client, f"{self.url}{calendar or self.calendar}/")


class Calendar:
    """A collection edited with plain requests, without icsfeed's own client."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self.client, self.url = client, url

    def make(self) -> None:
        assert self.client.request("MKCALENDAR", self.url).status_code == 201

    def is_there(self) -> bool:
        body = '<propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>'
        headers = {"Depth": "0", "Content-Type": "application/xml"}
        response = self.client.request("PROPFIND", self.url, content=body, headers=headers)
        return response.status_code == 207 and any(
            element.tag.endswith("caldav}calendar") for element in fromstring(response.text).iter()
        )

    def hrefs(self) -> list[str]:
        """Return the last segments of the hrefs of all objects."""
        body = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        response = self.client.request("PROPFIND", self.url, content=body, headers=headers)
        assert response.status_code == 207, response.text
        paths = [element.text or "" for element in fromstring(response.text).iter("{DAV:}href")]
        return sorted(path.rpartition("/")[2] for path in paths if path.endswith(".ics"))

    def get(self, name: str) -> str:
        response = self.client.get(urljoin(self.url, name))
        assert response.status_code == 200, name
        return response.text

    def put(self, name: str, text: str) -> None:
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        response = self.client.put(urljoin(self.url, name), content=text.encode(), headers=headers)
        assert response.status_code in SUCCESS, response.text

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a part of an object's text."""
        text = self.get(name)
        assert old in text
        self.put(name, text.replace(old, new, 1))

    def delete(self, name: str) -> None:
        assert self.client.delete(urljoin(self.url, name)).status_code in SUCCESS

    def contents(self) -> dict[str, str]:
        return {name: self.get(name) for name in self.hrefs()}


def person_event(uid: str, summary: str) -> str:
    """Return an event that icsfeed has not written."""
    lines = (
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//person//EN", "BEGIN:VEVENT", f"UID:{uid}"),
        *("DTSTAMP:20261101T000000Z", "DTSTART:20261224T180000Z", "DTEND:20261224T200000Z"),
        *(f"SUMMARY:{summary}", "END:VEVENT", "END:VCALENDAR", ""),
    )
    return "\r\n".join(lines)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def radicale(folder: Path) -> Iterator[DavServer]:
    """Run Radicale with a user who has no calendar yet."""
    port = free_port()
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\n"
        "htpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder}/collections\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "radicale", "-C", str(folder / "config")]
    yield from running_server(DavServer(command, port, f"/{USER}/", USER))


@contextmanager
def xandikos(folder: Path) -> Iterator[DavServer]:
    """Run xandikos, which requires no password."""
    port = free_port()
    command = [sys.executable, "-m", "xandikos", "serve", "-d", str(folder), "--defaults", "-p", str(port)]
    command += [
        "--listen-address",
        "127.0.0.1",
        "--current-user-principal",
        f"/{USER}/",
        "--no-detect-systemd",
    ]
    yield from running_server(DavServer(command, port, f"/{USER}/calendars/", repositories=folder))


def running_server(server: DavServer) -> Iterator[DavServer]:
    """Run a server until the fixture ends."""
    server.start()
    try:
        yield server
    finally:
        server.client.close()
        server.stop()
