"""Other programs read what we wrote without complaint: vdirsyncer, and the caldav package."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import caldav
import pytest
from dav_world import PASSWORD, DavServer, radicale
from icalendar import Calendar
from push_world import pushing_to, target

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def dav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with radicale(tmp_path_factory.mktemp("dav")) as found:
        yield found


def vdirsyncer(config: Path, *arguments: str) -> str:
    """Run vdirsyncer and return its output, stderr included; its state is in the configuration's folder."""
    command = [sys.executable, "-m", "vdirsyncer", "-c", str(config), *arguments]
    environment = {**os.environ, "HOME": str(config.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def pair(folder: Path, url: str, user: str) -> Path:
    """Write a vdirsyncer configuration that copies the calendar at `url` to `folder/copy`."""
    (folder / "copy").mkdir()
    config = folder / "vdirsyncer.conf"
    config.write_text(
        f'[general]\nstatus_path = "{folder}/status/"\n'
        '[pair plane]\na = "here"\nb = "there"\ncollections = null\n'
        f'[storage here]\ntype = "filesystem"\npath = "{folder}/copy"\nfileext = ".ics"\n'
        f'[storage there]\ntype = "caldav"\nurl = "{url}"\nusername = "{user}"\npassword = "{PASSWORD}"\n',
        encoding="utf-8",
    )
    return config


async def test_vdirsyncer_copies_every_object_and_finds_nothing_to_do_afterwards(
    dav: DavServer, tmp_path: Path
) -> None:
    dav.calendar = "for-vdirsyncer"
    async with pushing_to(target(dav.calendar_url, **dav.login), tmp_path) as it:
        await it.push()
        wanted = set(await it.wanted())
        config = pair(tmp_path, dav.calendar_url, dav.user)
        vdirsyncer(config, "discover", "plane")
        said = vdirsyncer(config, "sync", "plane")
        assert "error" not in said.lower(), said
        copies = [file.read_text(encoding="utf-8") for file in (tmp_path / "copy").iterdir()]
        uids = [str(event["UID"]) for text in copies for event in Calendar.from_ical(text).walk("VEVENT")]
        assert sorted(uids) == sorted(wanted)
        assert "Copying" not in vdirsyncer(config, "sync", "plane")
        # It has written nothing back, so that for us too nothing has changed.
        assert (await it.push()).requests == 1


async def test_the_caldav_package_reads_every_event(dav: DavServer, tmp_path: Path) -> None:
    dav.calendar = "for-caldav"
    async with pushing_to(target(dav.calendar_url, **dav.login), tmp_path) as it:
        await it.push()
        wanted = await it.wanted()
    connect: Any = caldav.DAVClient
    with connect(url=dav.url, username=dav.user, password=PASSWORD) as client:
        calendar = client.calendar(url=dav.calendar_url)
        events = [event.icalendar_component for event in calendar.events()]
    found = {str(event["UID"]): event for event in events}
    assert found.keys() == wanted.keys()
    for uid, item in wanted.items():
        assert str(found[uid]["SUMMARY"]) == item.component.summary
        assert found[uid]["DTSTART"].dt == item.component.first
