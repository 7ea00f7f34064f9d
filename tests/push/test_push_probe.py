"""`icsfeed check` tries each target: it reports what works, and the first failure."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from dav_memory import URL, Fault, MemoryDav, answering, refusing_the_connection
from push_world import FEED, pushing_to, target

from icsfeed.cli.check import Finding, check, first_error
from icsfeed.config.schema import PushTarget
from icsfeed.errors import IcsfeedError, LoginRefused, NoCollection, NoPermission, NoServer, Rejected
from icsfeed.push.session import open_server

pytestmark = pytest.mark.anyio


async def found(dav: MemoryDav, folder: Path, to: PushTarget) -> list[Finding]:
    async with pushing_to(to, folder) as it:
        connect = partial(open_server, transport=dav.transport)
        findings = [finding async for finding in check(it.world.service, connect)]
    return [finding for finding in findings if finding.about == "target t"]


async def test_what_works_is_reported_and_nothing_is_left_behind(tmp_path: Path) -> None:
    dav = MemoryDav()
    findings = await found(dav, tmp_path, target(URL))
    assert [(finding.level, finding.text) for finding in findings] == [
        ("ok", f"{URL} is a calendar with 0 objects"),
        ("ok", "an object was written, read and deleted"),
    ]
    assert (dav.objects, dav.count("PUT"), dav.count("DELETE")) == ({}, 1, 1)


async def test_a_calendar_that_the_first_push_will_create_is_no_error(tmp_path: Path) -> None:
    findings = await found(MemoryDav(exists=False), tmp_path, target(URL))
    assert [(finding.level, "first push creates" in finding.text) for finding in findings] == [("ok", True)]


async def test_a_target_that_is_off_is_not_tried(tmp_path: Path) -> None:
    dav = MemoryDav()
    findings = await found(dav, tmp_path, target(URL, active=False))
    assert ([finding.level for finding in findings], dav.requests) == (["ok"], [])


@pytest.mark.parametrize(
    ("method", "fault", "kind"),
    [
        ("PROPFIND", answering(401), LoginRefused),
        ("PROPFIND", answering(404), NoCollection),
        ("PROPFIND", refusing_the_connection, NoServer),
        ("PUT", answering(403), NoPermission),
        ("PUT", answering(415), Rejected),
        ("DELETE", answering(403), NoPermission),
    ],
)
async def test_the_first_failure_is_an_error_and_is_not_retried(
    tmp_path: Path, method: str, fault: Fault, kind: type[IcsfeedError]
) -> None:
    dav = MemoryDav()
    dav.add_fault(method, fault, times=99)
    findings = await found(dav, tmp_path, target(URL, create=False))
    assert findings[-1].level == "error"
    assert isinstance(first_error(findings), kind)
    assert dav.count(method) == 1


async def test_a_server_that_does_not_keep_an_object_is_an_error(tmp_path: Path) -> None:
    def dropping(_request: httpx.Request, _do: Callable[[], httpx.Response]) -> httpx.Response:
        return httpx.Response(201)

    dav = MemoryDav()
    dav.add_fault("PUT", dropping)
    findings = await found(dav, tmp_path, target(URL))
    assert isinstance(first_error(findings), Rejected)


async def test_a_probe_is_deleted_though_the_server_drops_our_marks(tmp_path: Path) -> None:
    dav = MemoryDav(reform=lambda data: data.replace(b"X-ICSFEED-OWNER", b"X-OTHER"))
    findings = await found(dav, tmp_path, target(URL))
    assert isinstance(first_error(findings), Rejected)
    assert dav.objects == {}


async def test_a_leftover_probe_is_deleted_by_the_next_push(tmp_path: Path) -> None:
    dav = MemoryDav()
    dav.add_fault("DELETE", answering(403))
    await found(dav, tmp_path, target(URL))
    assert len(dav.objects) == 1
    async with pushing_to(target(URL), tmp_path, transport=dav.transport) as it:
        assert (await it.push()).counts["deleted"] == 1
        assert FEED not in dav.objects
