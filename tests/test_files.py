"""Files are replaced in one step. The locks are tested with the pushes that need them."""

import stat
from pathlib import Path

import pytest

from icsfeed.files import replace_file


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced_whole_with_its_mode_and_time(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with file.open("rb") as reader:
        replace_file(file, b"new", tmp_path / "new", mode=mode, modified=1_700_000_000)
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_mtime) == (mode, 1_700_000_000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="irectory"):
        replace_file(tmp_path / "folder", b"new", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"half of it, and longer than the whole")
    replace_file(tmp_path / "file", b"whole", tmp_path / "new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]
