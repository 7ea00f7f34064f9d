"""The folder of an export: files that are replaced atomically, and the record of which are ours."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from msgspec import DecodeError, json

from icsfeed.errors import ExportBusy, ExportError
from icsfeed.export.plan import ExportRecord, read_record
from icsfeed.files import replace_file

RECORD, LOCK, TEMPORARY = ".icsfeed-export.json", ".icsfeed-export.lock", ".icsfeed-tmp"


class ExportFolder:
    """The folder of an export. Its methods raise OSError, except where they name another error."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if necessary, and lock it for this run. Raises ExportBusy and ExportError."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock = (self._root / LOCK).open("ab")
        except OSError as error:
            raise ExportError(f"cannot write to {self._root}: {error.strerror}") from None
        with lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except OSError:
                raise ExportBusy(f"another export to {self._root} is running") from None
            yield

    def record(self) -> Mapping[str, str]:
        """Return the files that exports have written: feeds by path. Raises ExportError: cannot be read."""
        path = self._root / RECORD
        try:
            return read_record(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, DecodeError) as error:
            raise ExportError(f"cannot use {path}: {error}") from None

    def write_record(self, made: Mapping[str, str]) -> None:
        """Record which files are ours, feeds by path. Raises ExportError."""
        body = json.encode(ExportRecord(dict(made)), order="deterministic")
        try:
            if self._read(RECORD) != body:
                self._replace(self._root / RECORD, body, None)
        except OSError as error:
            raise ExportError(f"cannot write {self._root / RECORD}: {error.strerror}") from None

    def has(self, path: str) -> bool:
        """Return whether anything exists at this path."""
        return os.path.lexists(self._root / path)

    def put(self, path: str, body: bytes, modified: datetime) -> bool:
        """Write a file with its modification time, which web servers send as Last-Modified.

        Returns False where the file had this body already.
        """
        moment = int(modified.timestamp())
        target = self._inside(path)
        if self._read(path) != body:
            self._replace(target, body, moment)
            return True
        if int(target.stat().st_mtime) != moment:
            os.utime(target, (moment, moment))
        return False

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        target = self._inside(path)
        target.unlink(missing_ok=True)
        for parent in target.relative_to(self._root).parents[:-1]:
            with suppress(OSError):  # it is not empty
                (self._root / parent).rmdir()

    def _inside(self, path: str) -> Path:
        """Return the path in the folder. Raises OSError where a symbolic link leads out of it."""
        target = self._root / path
        if not target.parent.resolve().is_relative_to(self._root.resolve()):
            raise OSError(0, "a symbolic link leads out of the folder")
        return target

    def _read(self, path: str) -> bytes | None:
        target = self._root / path
        return target.read_bytes() if target.is_file() and not target.is_symlink() else None

    def _replace(self, target: Path, body: bytes, moment: int | None) -> None:
        """Replace a file atomically: readers see the old or the new one. The lock is held."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}{TEMPORARY}")
        replace_file(target, body, temporary, modified=moment)
