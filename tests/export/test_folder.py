"""Files of an export on a real disk: whole, only when changed, inside their folder."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from icsfeed.errors import ExportBusy, ExportError
from icsfeed.export.folder import LOCK, RECORD, TEMPORARY, ExportFolder

THEN, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
DEEP = f"feeds/icsf_{'a' * 26}/x.ics"


@pytest.fixture
def folder(tmp_path: Path) -> ExportFolder:
    return ExportFolder(tmp_path)


def test_a_file_is_written_with_its_time(folder: ExportFolder, tmp_path: Path) -> None:
    assert folder.put(DEEP, b"one", THEN)
    written = tmp_path / DEEP
    assert (written.read_bytes(), written.stat().st_mtime) == (b"one", THEN.timestamp())
    assert [path.name for path in written.parent.iterdir()] == ["x.ics"]


def test_an_unchanged_file_is_not_written_again(folder: ExportFolder, tmp_path: Path) -> None:
    folder.put("x.ics", b"one", THEN)
    before = (tmp_path / "x.ics").stat().st_ino
    assert not folder.put("x.ics", b"one", LATER)
    after = (tmp_path / "x.ics").stat()
    assert (after.st_ino, after.st_mtime) == (before, LATER.timestamp())


def test_a_new_body_is_another_file_so_that_readers_keep_the_whole_old_one(
    folder: ExportFolder, tmp_path: Path
) -> None:
    folder.put("x.ics", b"one", THEN)
    with (tmp_path / "x.ics").open("rb") as reader:
        assert folder.put("x.ics", b"another", LATER)
        assert reader.read() == b"one"
    assert (tmp_path / "x.ics").read_bytes() == b"another"


def test_a_web_server_may_read_it_as_the_umask_says(folder: ExportFolder, tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        folder.put("x.ics", b"one", THEN)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "x.ics").stat().st_mode) == 0o640


def test_leftovers_of_a_killed_run_are_overwritten(folder: ExportFolder, tmp_path: Path) -> None:
    (tmp_path / f".x.ics{TEMPORARY}").write_bytes(b"half")
    assert folder.put("x.ics", b"whole", THEN)
    assert [path.name for path in tmp_path.iterdir()] == ["x.ics"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(folder: ExportFolder, tmp_path: Path) -> None:
    folder.put("x.ics", b"one", THEN)
    (tmp_path / f".x.ics{TEMPORARY}").mkdir()
    with pytest.raises(OSError, match="irectory"):
        folder.put("x.ics", b"two", LATER)
    assert (tmp_path / "x.ics").read_bytes() == b"one"


def test_a_symbolic_link_leads_nowhere(folder: ExportFolder, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "x.ics").write_bytes(b"theirs")
    (tmp_path / "feeds").symlink_to(outside)
    with pytest.raises(OSError, match="leads out of the folder"):
        folder.put("feeds/x.ics", b"ours", THEN)
    with pytest.raises(OSError, match="leads out of the folder"):
        folder.remove("feeds/x.ics")
    assert (outside / "x.ics").read_bytes() == b"theirs"


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(
    folder: ExportFolder, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"theirs")
    (tmp_path / "x.ics").symlink_to(tmp_path / "secret")
    assert folder.put("x.ics", b"ours", THEN)
    assert ((tmp_path / "secret").read_bytes(), (tmp_path / "x.ics").read_bytes()) == (b"theirs", b"ours")


def test_removing_takes_the_empty_folders_along(folder: ExportFolder, tmp_path: Path) -> None:
    folder.put(DEEP, b"one", THEN)
    folder.put("feeds/y.ics", b"two", THEN)
    folder.remove(DEEP)
    folder.remove(DEEP)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["feeds", "feeds/y.ics"]


def test_the_record_is_written_and_read(folder: ExportFolder, tmp_path: Path) -> None:
    assert folder.record() == {}
    folder.write_record({"x.ics": "x"})
    assert folder.record() == {"x.ics": "x"}
    before = (tmp_path / RECORD).stat().st_ino
    folder.write_record({"x.ics": "x"})
    assert (tmp_path / RECORD).stat().st_ino == before


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"made": {"../x.ics": "x"}}'])
def test_a_record_that_cannot_be_used_stops_the_export(
    folder: ExportFolder, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(ExportError, match="cannot use"):
        folder.record()


def test_a_record_that_cannot_be_written_stops_the_export(folder: ExportFolder, tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    with pytest.raises(ExportError, match="cannot write"):
        folder.write_record({})


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with ExportFolder(tmp_path / "new").locked():
        with pytest.raises(ExportBusy), ExportFolder(tmp_path / "new").locked():
            pass
        assert [path.name for path in (tmp_path / "new").iterdir()] == [LOCK]
    with ExportFolder(tmp_path / "new").locked():
        pass


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="cannot write to"), ExportFolder(tmp_path / "file").locked():
        pass
