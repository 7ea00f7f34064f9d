"""The record of people's links in a real store: files and Redis, several processes, failures, restarts."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from app_world import Clock
from msgspec import json
from redis_world import opened_store, redis_server

from icsfeed.errors import LinkRefused, StoreFailed
from icsfeed.own_links.changes import MAX_LINKS
from icsfeed.own_links.model import LastRead, LinkRecord, OwnLink, digests_of
from icsfeed.own_links.registry import LINKS, OwnLinks
from icsfeed.single_flight import cancel
from icsfeed.tokens import is_token, token_of

pytestmark = pytest.mark.anyio
ANNA = "anna@example.com"


@pytest.fixture(params=["file", "redis"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "file":
        yield "file"
        return
    with redis_server(tmp_path) as server:
        yield server.address


@asynccontextmanager
async def registry(address: str, folder: Path, clock: Clock | None = None) -> AsyncIterator[OwnLinks]:
    clock = clock or Clock()
    async with opened_store(address, {"STATE_DIRECTORY": str(folder)}) as store:
        own = OwnLinks(store, clock, clock.timer)
        await own.refresh()
        yield own


async def test_a_link_works_at_once_and_after_a_restart(address: str, tmp_path: Path) -> None:
    async with registry(address, tmp_path) as own:
        made = await own.make(ANNA, "phone", "prop", "days=14", "Mine")
        assert is_token(made.token)
        assert own.opened_by(made.token, "embed") is None
    async with registry(address, tmp_path) as own:
        opened = own.opened_by(made.token, "feed")
        assert opened is not None
        assert opened.link == made.link
        assert (opened.link.narrowing, opened.link.title, opened.ended_at) == ("days=14", "Mine", None)
        assert [link.id for link in own.of("Anna@example.com")] == [made.link.id]


async def test_another_process_sees_a_link_once_somebody_comes_with_it(address: str, tmp_path: Path) -> None:
    clock = Clock()
    async with registry(address, tmp_path, clock) as one, registry(address, tmp_path, clock) as other:
        made = await one.make(ANNA, "phone", "prop")
        assert await other.find(made.token, "feed") is None, "it looked a moment ago"
        clock.move(1)
        assert (await other.find(made.token, "feed")) is not None


async def test_another_process_sees_a_revocation_by_itself(address: str, tmp_path: Path) -> None:
    clock = Clock()
    async with registry(address, tmp_path, clock) as one, registry(address, tmp_path, clock) as other:
        made = await one.make(ANNA, "phone", "prop")
        await other.refresh()

        async def sleep(seconds: float) -> None:
            clock.move(seconds)
            await asyncio.sleep(0)

        task = asyncio.create_task(other.follow(sleep))
        await one.revoke(made.link.id)
        async with asyncio.timeout(5):
            while other.opened_by(made.token, "feed").ended_at is None:  # type: ignore[union-attr] # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await cancel([task])


async def test_changes_of_two_processes_at_once_are_all_kept(address: str, tmp_path: Path) -> None:
    async with registry(address, tmp_path) as one, registry(address, tmp_path) as other:
        made = [own.make(f"p{n}@example.com", "phone", "prop") for n in range(5) for own in (one, other)]
        results = await asyncio.gather(*made, return_exceptions=True)
        ours = [each for each in results if not isinstance(each, BaseException)]
        refused = [each for each in results if isinstance(each, LinkRefused)]
        assert (len(ours), len(refused)) == (5, 5), "the second of each person has the same name"
        await one.refresh()
        await other.refresh()
        assert len(one.links) == len(other.links) == 5


async def test_with_files_a_command_beside_a_server_changes_the_same_record(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from datetime import UTC, datetime\n"
        "from icsfeed.own_links.registry import OwnLinks\n"
        "from icsfeed.store.store import open_store\n"
        "async def main():\n"
        "    own = OwnLinks(open_store('file', os.environ), lambda: datetime.now(UTC))\n"
        "    for n in range(15):\n"
        "        await own.make(f'{sys.argv[1]}-{n}@example.com', 'phone', 'prop')\n"
        "asyncio.run(main())\n"
    )
    environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path)}
    command = (sys.executable, "-c", script)
    running = [await asyncio.create_subprocess_exec(*command, str(n), env=environ) for n in range(3)]
    assert [await process.wait() for process in running] == [0, 0, 0]
    async with registry("file", tmp_path) as own:
        assert len({link.person for link in own.links}) == 45


async def test_while_the_store_fails_links_work_and_changes_do_not(tmp_path: Path) -> None:
    clock = Clock()
    with redis_server(tmp_path) as server:
        async with registry(server.address, tmp_path, clock) as own:
            made = await own.make(ANNA, "phone", "prop")
            server.stop()
            clock.move(60)
            assert await own.find(made.token, "feed") is not None
            assert await own.find(token_of(b"x" * 17), "feed") is None
            with pytest.raises(StoreFailed, match="Redis at 127"):
                await own.revoke(made.link.id)
            assert own.opened_by(made.token, "feed").ended_at is None  # type: ignore[union-attr]
            server.start()
            async with asyncio.timeout(10):
                while True:
                    try:
                        await own.make(ANNA, "laptop", "prop")
                        break
                    except StoreFailed:
                        await asyncio.sleep(0.05)
            # A Redis that lost everything: what is known here is written again.
            assert [link.device for link in own.of(ANNA)] == ["phone", "laptop"]


async def test_a_change_that_was_refused_by_a_full_disk_is_not_made_later(tmp_path: Path) -> None:
    async with registry("file", tmp_path) as own:
        made = await own.make(ANNA, "phone", "prop")
        folder, aside = tmp_path / "snapshots", tmp_path / "aside"
        folder.rename(aside)
        folder.write_bytes(b"")  # not even root can write into a file
        with pytest.raises(StoreFailed):
            await own.revoke(made.link.id)
        folder.unlink()
        aside.rename(folder)
    async with registry("file", tmp_path) as own:
        assert own.of(ANNA)


async def test_in_memory_links_cannot_be_made() -> None:
    async with registry("memory", Path()) as own:
        assert not own.is_durable
        with pytest.raises(LinkRefused, match="`store` is memory"):
            await own.make(ANNA, "phone", "prop")


async def test_renewed_and_revoked_tokens_show_a_notice_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    async with registry("file", tmp_path, clock) as own:
        made = await own.make(ANNA, "phone", "prop")
        renewed = await own.renew(made.link.id)
        assert own.opened_by(made.token, "feed").ended_at == clock.now  # type: ignore[union-attr]
        assert own.opened_by(renewed.token, "feed").ended_at is None  # type: ignore[union-attr]
        clock.move(days=89)
        await own.revoke(made.link.id)
        clock.move(days=2)
        assert own.opened_by(made.token, "feed") is None
        assert own.opened_by(renewed.token, "feed").ended_at is not None  # type: ignore[union-attr]
        clock.move(days=88)
        assert own.opened_by(renewed.token, "feed") is None
        await own.make(ANNA, "other", "prop")
        assert [link.device for link in own.links] == ["other"], "what is past is forgotten"


async def test_an_account_has_a_token_of_its_own_kind(tmp_path: Path) -> None:
    async with registry("file", tmp_path) as own:
        made = await own.make(ANNA, "phone")
        assert own.opened_by(made.token, "feed") is own.opened_by(made.token, "embed") is None
        assert own.opened_by(made.token, "account").link.is_account  # type: ignore[union-attr]


async def test_an_invitation_signs_in_once(address: str, tmp_path: Path) -> None:
    clock = Clock()
    async with registry(address, tmp_path, clock) as own:
        made, token = await own.invite("Anna@example.com")
        assert (await own.invitation(token), made.person) == (made, ANNA)
        session, cookie = await own.accept(token)
        assert await own.invitation(token) is None
        with pytest.raises(LinkRefused, match="used before"):
            await own.accept(token)
        assert await own.session(cookie) == session
        clock.move(days=80)
        assert await own.session(cookie) is not None
        clock.move(days=80)
        assert (await own.session(cookie)).used_at > session.used_at  # type: ignore[union-attr]
        await own.sign_out(session.digest)
        assert await own.session(cookie) is None
        _, late = await own.invite(ANNA)
        clock.move(days=7)
        assert await own.invitation(late) is None


async def test_when_links_were_read_survives_and_is_shared(address: str, tmp_path: Path) -> None:
    clock = Clock()
    async with registry(address, tmp_path, clock) as one, registry(address, tmp_path, clock) as other:
        made = await one.make(ANNA, "phone", "prop")
        await other.refresh()
        one.read(made.link.id, "Google Calendar", 200)
        clock.move(5)
        other.read(made.link.id, "Thunderbird", 304)
        await one.store_readers()
        await other.store_readers()
    async with registry(address, tmp_path, clock) as own:
        assert own.readers[made.link.id] == (
            LastRead("Thunderbird", clock.now, 304),
            LastRead("Google Calendar", clock.now - timedelta(seconds=5), 200),
        )


async def test_a_backup_restores_links_in_an_empty_store(tmp_path: Path) -> None:
    async with registry("file", tmp_path / "one") as own:
        made = await own.make(ANNA, "phone", "prop")
        backup = json.encode(await own.backup())
    assert made.token.encode()[5:] not in backup
    async with registry("file", tmp_path / "two") as own:
        assert await own.restore(json.decode(backup, type=LinkRecord)) == 1
        assert own.opened_by(made.token, "feed") is not None
        assert await own.restore(json.decode(backup, type=LinkRecord)) == 0


async def test_no_token_is_in_the_store_or_the_log(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with registry(address, tmp_path) as own:
        made = await own.make(ANNA, "phone", "prop")
        renewed = await own.renew(made.link.id)
        _, invitation = await own.invite(ANNA)
        _, cookie = await own.accept(invitation)
        await own.rename(made.link.id, "tablet")
        await own.narrow(made.link.id, "days=3")
        await own.revoke(made.link.id, by="the administrator")
        stored = await own._store.get(LINKS) or b""
    for secret in (made.token, renewed.token, invitation, cookie):
        assert secret[5:].encode() not in stored
        assert secret[5:] not in caplog.text
    lines = [record for record in caplog.records if record.message.startswith("own link")]
    assert [record.message for record in lines] == [
        f"own link {what}" for what in ("made", "renewed", "renamed", "filtered", "revoked")
    ]
    fields = lines[-1].about  # type: ignore[attr-defined]
    assert fields["by"] == "the administrator"
    assert (fields["link"], fields["person"], fields["device"]) == (made.link.id, ANNA, "tablet")


async def test_thousands_of_links_are_found_at_once(tmp_path: Path) -> None:
    clock = Clock()
    links = tuple(
        OwnLink(
            id=f"id{number}",
            person=f"person{number % 2_000}@example.com",
            device=f"device {number}",
            feed="prop",
            digests=digests_of(token_of(number.to_bytes(17)), is_account=False),
            made_at=clock.now,
        )
        for number in range(5_000)
    )
    async with registry("file", tmp_path, clock) as own:
        assert await own.restore(LinkRecord(links)) == 5_000
        before = asyncio.get_running_loop().time()
        for number in range(5_000):
            assert own.opened_by(token_of(number.to_bytes(17)), "feed") is not None
        assert asyncio.get_running_loop().time() - before < 1
        assert len(own.of("person7@example.com")) <= MAX_LINKS
        await own.make("new@example.com", "phone", "prop")


async def test_links_that_another_process_made_a_moment_ago_are_revoked_with_a_line_in_the_log(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with registry(address, tmp_path) as one, registry(address, tmp_path) as other:
        made = await other.make(ANNA, "phone")
        caplog.set_level(logging.INFO, "icsfeed.links")
        assert [link.id for link in await one.revoke_all(ANNA)] == [made.link.id]
        assert [record.getMessage() for record in caplog.records] == ["own link revoked", "signed out"]


async def test_a_record_of_another_version_is_kept_and_not_empty(address: str, tmp_path: Path) -> None:
    async with opened_store(address, {"STATE_DIRECTORY": str(tmp_path)}) as store:
        await store.put(LINKS, b'{"links": "of a shape to come"}')
    async with registry(address, tmp_path) as own:
        assert not own.is_read
        with pytest.raises(StoreFailed, match="another version"):
            await own.make(ANNA, "phone")
    async with opened_store(address, {"STATE_DIRECTORY": str(tmp_path)}) as store:
        assert await store.get(LINKS) == b'{"links": "of a shape to come"}'
