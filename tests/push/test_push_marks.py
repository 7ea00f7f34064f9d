"""Whose an object is: other installations, renamed feeds, earlier versions, apps that drop our marks."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dav_memory import URL, MemoryDav
from dav_world import person_event
from push_world import FEED, Pushing, no_sleep, pushing_to, target

from icsfeed.cli.support import push_code
from icsfeed.config.schema import Feed, Secret
from icsfeed.feeds.mapping import issue_uid
from icsfeed.push.object import read_object
from icsfeed.store.store import Store, open_store

pytestmark = pytest.mark.anyio

HERE, THERE = Secret("the secret of this installation ....."), Secret("the secret of another installation ..")
PROP, WEB = Feed(project="PROP"), Feed(project="WEB")
EVERY_MARK = re.compile(rb"X-ICSFEED-[A-Z]+:[^\r]*(?:\r\n [^\r]*)*\r\n")


@asynccontextmanager
async def installed(
    dav: MemoryDav,
    folder: Path,
    *,
    secret: Secret = HERE,
    feed: Feed = PROP,
    store: Store | None = None,
    **settings: Any,
) -> AsyncIterator[Pushing]:
    """Open an installation that pushes to the calendar, with a folder of its own."""
    name = secret.reveal()[:22].replace(" ", "-")
    async with pushing_to(
        target(URL, **settings),
        folder / name,
        transport=dav.transport,
        feed=feed,
        sleep=no_sleep,
        secret=secret,
        store=store,
    ) as it:
        yield it


def marks(dav: MemoryDav) -> set[str]:
    return {read_object(data).owner for data in dav.objects.values()}


def as_before(dav: MemoryDav) -> None:
    """Replace the marks by those of versions that did not mark the installation."""
    dav.objects = {
        name: re.sub(rb"(X-ICSFEED-OWNER:\w+)@\w+", rb"\1", data) for name, data in dav.objects.items()
    }


def without_marks(data: bytes) -> bytes:
    """Return the object as an app saves it that drops X- properties."""
    return EVERY_MARK.sub(b"", data).replace(b"SUMMARY:", b"SUMMARY:Edited ")


async def test_two_installations_with_a_feed_of_one_name_share_a_calendar(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with (
        installed(dav, tmp_path) as one,
        installed(dav, tmp_path, secret=THERE, feed=WEB) as other,
    ):
        for _ in range(2):
            for it in (one, other):
                report = await it.push(force=True)
                assert (report.is_good, report.counts["deleted"]) == (True, 0), report.as_json()
        assert len(dav.objects) == len(await one.wanted()) + len(await other.wanted())
        one.world.data.delete_issue(one.issues("PROP")[0]["id"])
        assert (await one.push()).counts["deleted"] == 1
        assert (await other.push()).counts == {"kept": len(await other.wanted())}


async def test_a_mark_is_equal_on_replicas_and_contains_no_secret(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path) as it:
        await it.push()
    (mark,) = marks(dav)
    assert re.fullmatch(FEED + "@[a-z2-7]{12}", mark)
    async with installed(dav, tmp_path) as it:
        assert (await it.push()).counts == {"kept": len(dav.objects)}
    assert all(HERE.reveal().encode() not in data for data in dav.objects.values())


async def test_marks_of_an_earlier_version_are_renewed_once(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path) as it:
        await it.push()
        as_before(dav)
        await it.forget()
        assert (await it.push()).counts == {"updated": len(dav.objects)}
        assert marks(dav) == {it.mark}
        assert (await it.push()).requests == 1


async def test_objects_of_an_earlier_version_are_not_deleted_if_they_may_be_another_installations(
    tmp_path: Path,
) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path, secret=THERE, feed=WEB) as other:
        await other.push()
        as_before(dav)
        theirs = dict(dav.objects)
        async with installed(dav, tmp_path) as it:
            report = await it.push()
            assert (push_code([report]), len(report.leftovers)) == (3, len(theirs))
            assert theirs.items() <= dav.objects.items()
            await other.push()
            report = await it.push()
            assert (push_code([report]), report.leftovers) == (0, ())


async def test_an_object_that_a_client_saved_without_our_marks_is_still_ours(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path) as it:
        await it.push()
        edited, gone = list(dav.objects)[:2]
        for name in (edited, gone):
            dav.objects[name] = without_marks(dav.objects[name])
        it.world.data.delete_issue(gone.removeprefix("plane-issue-").removesuffix(".ics"))
        report = await it.push()
        assert (report.is_good, report.counts["updated"], report.counts["deleted"]) == (True, 1, 1)
        assert (b"Edited" in dav.objects[edited], gone in dav.objects) == (False, False)
        assert marks(dav) == {it.mark}
        assert (await it.push()).requests == 1


async def test_an_unmarked_object_elsewhere_or_never_written_by_us_is_not_ours(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path) as it:
        await it.push()
        moved = next(iter(dav.objects))
        dav.objects["copy.ics"] = without_marks(dav.objects.pop(moved))
        report = await it.push()
        assert [one.href.rpartition("/")[2] for one in report.failures] == ["copy.ics"]
        await it.forget()
        dav.objects[moved] = without_marks(dav.objects.pop("copy.ics"))
        assert [one.href.rpartition("/")[2] for one in (await it.push()).failures] == [moved]


async def test_after_a_new_secret_the_target_recognises_its_objects(tmp_path: Path) -> None:
    dav, store = MemoryDav(), open_store("memory", {})
    async with installed(dav, tmp_path, store=store) as it:
        await it.push()
    async with installed(dav, tmp_path, secret=THERE, store=store) as it:
        assert (await it.push()).counts == {"updated": len(dav.objects)}
        assert marks(dav) == {it.mark}


async def test_after_a_new_secret_and_lost_state_the_report_says_what_to_do(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path) as it:
        await it.push()
        old = it.mark
    async with installed(dav, tmp_path, secret=THERE) as it:
        assert f"`adopt: [{old}]`" in (await it.push()).failures[0].reason
    async with installed(dav, tmp_path, secret=THERE, adopt=(old,)) as it:
        assert (await it.push()).counts == {"adopted": len(dav.objects)}


async def test_a_leftover_of_a_former_feed_is_listed_and_deleted_with_force(tmp_path: Path) -> None:
    dav = MemoryDav()
    async with installed(dav, tmp_path, adopt=True) as it:
        uids = list(await it.wanted())
        for number, uid in enumerate([uids[0], issue_uid("gone-1"), issue_uid("gone-2")]):
            dav.objects[f"{number}.ics"] = person_event(uid, "by another program").encode()
        tried = await it.push(dry_run=True)
        assert ([one.href[-5:] for one in tried.leftovers], tried.counts["deleted"]) == (
            ["1.ics", "2.ics"],
            0,
        )
        report = await it.push()
        assert (push_code([report]), len(report.leftovers), report.counts["adopted"]) == (3, 2, 1)
        assert {"1.ics", "2.ics"} <= dav.objects.keys()
        report = await it.push(force=True)
        assert (push_code([report]), report.counts["deleted"], report.leftovers) == (0, 2, ())
        assert len(dav.objects) == len(uids)
