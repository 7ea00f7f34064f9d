"""Files that several processes share: replaced in one step, and locks that end with their process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from hashlib import sha256
from pathlib import Path

from icsfeed.errors import ConfigError, Problem


def replace_file(
    path: Path, data: bytes, temporary: Path, *, mode: int = 0o666, modified: int | None = None
) -> None:
    """Replace a file in one step: at any time it is the complete old or new one. Raises OSError.

    `temporary`: a path in the same folder that no other process writes to now. `mode` is narrowed by the
    umask. `modified`: the time of the file, in seconds since 1970.
    """
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            # The lock says that the writer lives: other processes remove temporary files without one.
            with suppress(OSError):  # not on every network file system
                flock(file, LOCK_EX)
            file.write(data)
            file.flush()
            # Without fsync, ext4 and XFS may keep the new name of an empty file after a power failure.
            os.fsync(file)
            if modified is not None:
                os.utime(temporary, (modified, modified))
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def file_lock(folder: Path, name: str) -> Iterator[bool]:
    """Lock a name for all processes of this machine. Yields False where another one holds the lock.

    The kernel releases it when the process dies, however it does. Raises ConfigError if the folder cannot
    be written to.
    """
    path = folder / f"{sha256(name.encode()).hexdigest()[:16]}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        reason = f"{folder} cannot be written to: {error.strerror}"
        raise ConfigError("environment", [Problem("STATE_DIRECTORY", reason)]) from None
    with file:
        is_held = False
        with suppress(OSError):
            flock(file, LOCK_EX | LOCK_NB)
            is_held = True
        yield is_held
