"""Every feed as a file: the bytes that the server would send, and never less than before."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from app_world import NOW, TODAY, World, quick, serving, settings
from plane import faults as f
from plane.sample import sample

from icsfeed.config.schema import Auto, Config, Feed
from icsfeed.demo.sample import sample_id
from icsfeed.export.folder import LOCK, RECORD, ExportFolder
from icsfeed.export.run import ExportResult, export
from icsfeed.feeds.links import derive

pytestmark = pytest.mark.anyio

FEEDS = {
    "property": Feed(project="PROP", subscribers=("anna",), revoked=("ben",)),
    "public": Feed(everything=True, public=True),
    "asleep": Feed(everything=True, active=False),
}


def config(**changes: object) -> Config:
    return quick(settings(FEEDS, **{"auto": Auto(), **changes}), deadline=1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with serving(config()) as made:
        yield made


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in found if path.name not in (LOCK, RECORD)
    }


async def exported(world: World, folder: Path, *, links: bool = False) -> ExportResult:
    return await export(world.service, ExportFolder(folder), links=links)


async def test_each_served_feed_is_a_file_with_the_bytes_of_its_link(world: World, tmp_path: Path) -> None:
    done = await exported(world, tmp_path)
    assert done == ExportResult(written=["property", "public"])
    sent = {name: await world.get(name) for name in ("property", "public")}
    assert files(tmp_path) == {f"{name}.ics": answer.content for name, answer in sent.items()}


async def test_with_links_the_path_is_that_of_the_link(world: World, tmp_path: Path) -> None:
    done = await exported(world, tmp_path, links=True)
    assert done.written == ["property", "property/anna", "property/ben", "public"]
    links = [world.path("property"), world.path("property", "anna"), world.path("public")]
    answers = {link.lstrip("/"): (await world.ask("GET", link)).content for link in links}
    revoked = world.path("property", "ben").lstrip("/")
    found = files(tmp_path)
    assert b"This calendar link was revoked" in found.pop(revoked)
    assert found == answers


async def test_only_what_changed_is_written(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path)
    assert await exported(world, tmp_path) == ExportResult(unchanged=["property", "public"])
    world.clock.move(120)
    world.change("OPS", 1, name="Changed", target_date="2026-12-24")
    world.clock.move(120)
    assert await exported(world, tmp_path) == ExportResult(written=["public"], unchanged=["property"])


async def test_files_of_feeds_that_are_gone_are_removed(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path)
    (tmp_path / "notes.ics").write_bytes(b"mine")
    async with serving(settings({"public": FEEDS["public"]}, auto=Auto())) as later:
        done = await exported(later, tmp_path)
    assert done.removed == ["property"]
    assert files(tmp_path).keys() == {"public.ics", "notes.ics"}


async def test_another_way_to_name_files_takes_the_place_of_the_first(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path)
    done = await exported(world, tmp_path, links=True)
    assert sorted(done.removed) == ["property", "public"]
    assert all(path.startswith("feeds/") for path in files(tmp_path))


async def test_somebody_elses_file_is_left_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "property.ics").write_bytes(b"theirs")
    done = await exported(world, tmp_path)
    assert (done.written, [*done.failed]) == (["public"], ["property"])
    assert "no export wrote" in done.failed["property"]
    assert files(tmp_path)["property.ics"] == b"theirs"


async def test_without_plane_nothing_is_written_and_nothing_lost(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path)
    before = files(tmp_path)
    async with serving(config(auto=Auto(projects=True))) as later:
        later.faults.add("", f.server_error(), None)
        done = await exported(later, tmp_path)
    assert (done.written, done.removed, [*done.failed]) == ([], [], ["property", "public"])
    assert "the server failed with 500" in done.failed["public"]
    assert files(tmp_path) == before


async def test_without_plane_there_is_no_empty_first_file(tmp_path: Path) -> None:
    async with serving(config()) as world:
        world.faults.add("", f.server_error(), None)
        done = await exported(world, tmp_path)
    assert len(done.failed) == 2
    assert files(tmp_path) == {}


async def test_files_of_automatic_feeds_stay_while_plane_cannot_be_read(tmp_path: Path) -> None:
    automatic = config(auto=Auto(projects=True))
    async with serving(automatic) as world:
        done = await exported(world, tmp_path)
        assert "project-prop" in done.written
    before = files(tmp_path)
    async with serving(automatic) as world:
        world.faults.add("", f.server_error(), None)
        assert (await exported(world, tmp_path)).removed == []
    assert files(tmp_path) == before
    async with serving(config()) as world:
        assert "project-prop" in (await exported(world, tmp_path)).removed


async def test_a_feed_that_cannot_be_rendered_does_not_stop_the_others(tmp_path: Path) -> None:
    feeds = {"lost": Feed(project="NOPE"), **FEEDS}
    async with serving(settings(feeds, auto=Auto())) as world:
        done = await exported(world, tmp_path)
    assert (done.written, [*done.failed]) == (["property", "public"], ["lost"])
    assert "no project 'NOPE'" in done.failed["lost"]


async def test_a_file_that_cannot_be_written_is_reported(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path, links=True)
    (tmp_path / "feeds").rename(tmp_path / "moved")
    (tmp_path / "feeds").symlink_to(tmp_path.parent)
    done = await exported(world, tmp_path, links=True)
    assert done.failed.keys() == {"property", "property/anna", "property/ben", "public"}
    assert "symbolic link" in done.failed["public"]


async def test_a_file_that_cannot_be_removed_is_reported(world: World, tmp_path: Path) -> None:
    await exported(world, tmp_path)
    (tmp_path / "property.ics").unlink()
    (tmp_path / "property.ics").mkdir()
    async with serving(settings({"public": FEEDS["public"]}, auto=Auto())) as later:
        done = await exported(later, tmp_path)
    assert (done.removed, done.unchanged) == ([], ["public"])
    assert done.failed["property"].startswith("its file cannot be removed")


async def test_files_at_links_of_automatic_feeds_go_on_when_somebody_is_renamed(tmp_path: Path) -> None:
    data, automatic = sample(TODAY), config(auto=Auto(projects=True))
    secret = automatic.secret
    assert secret is not None
    of_name = f"feeds/{derive(secret.reveal(), 'feed', 'project-prop')}/project-prop.ics"
    folder = ExportFolder(tmp_path)
    with folder.locked():  # as an export of links that were derived from names
        folder.write_record({of_name: "project-prop"})
        folder.put(of_name, b"old", NOW)
    async with serving(automatic, data=data) as world:
        done = await exported(world, tmp_path, links=True)
        assert (done.written.count("project-prop"), done.removed) == (2, [])
        at_link = world.path("project-prop").lstrip("/")
        data.projects[sample_id("project", "PROP")].row["identifier"] = "HOME"
        world.clock.move(601)
        assert (await exported(world, tmp_path, links=True)).removed == []
    found = files(tmp_path)
    assert found[of_name] == found[at_link] != b"old"
