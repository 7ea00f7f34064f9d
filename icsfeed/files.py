"""One run at a time, over all processes of this machine: a lock on a file."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import sha256
from pathlib import Path

from icsfeed.errors import ConfigError, Problem


@contextmanager
def file_lock(folder: Path, name: str) -> Iterator[bool]:
    """True: nobody else on this machine holds it until the end; False: somebody does.

    The kernel lets go of it when the process dies, however it does. Raises ConfigError where the folder
    cannot be written to.
    """
    path = folder / f"{sha256(name.encode()).hexdigest()[:16]}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        reason = f"{folder} cannot be written to: {error.strerror}"
        raise ConfigError("environment", [Problem("STATE_DIRECTORY", reason)]) from None
    with file:
        held = False
        with suppress(OSError):
            flock(file, LOCK_EX | LOCK_NB)
            held = True
        yield held
