"""What commands share: options, the configuration, running to the end, errors as sentences and exit codes.

Imports within functions are what --help does without.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from icsfeed import errors
from icsfeed.cli.output import print_line

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
    from pathlib import Path

    from icsfeed.config.schema import Config
    from icsfeed.feeds.query import Query
    from icsfeed.feeds.rendered import Rendered
    from icsfeed.feeds.service import FeedService
    from icsfeed.push.report import TargetReport
    from icsfeed.store.store import Store

EXIT_UNEXPECTED, EXIT_USAGE, EXIT_REFUSED, EXIT_PARTLY = 1, 2, 3, 4
EXIT_DATA, EXIT_UNREACHABLE, EXIT_CANNOT_WRITE, EXIT_BUSY = 65, 69, 73, 75
EXIT_PROTOCOL, EXIT_ACCESS, EXIT_CONFIG = 76, 77, 78
EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
"""128 plus the number of the signal, as shells report it."""
EXIT_CODES: tuple[tuple[type[errors.IcsfeedError], int], ...] = (
    (errors.ConfigError, EXIT_CONFIG),
    (errors.UnknownFeed, EXIT_USAGE),
    (errors.BadParameter, EXIT_USAGE),
    (errors.LinkRefused, EXIT_USAGE),
    (errors.StoreFailed, EXIT_CANNOT_WRITE),
    (errors.BadBackup, EXIT_DATA),
    (errors.NoCopy, EXIT_UNREACHABLE),
    (errors.FeedError, EXIT_CONFIG),
    (errors.ExportBusy, EXIT_BUSY),
    (errors.ExportError, EXIT_CANNOT_WRITE),
    (errors.KeyRefused, EXIT_ACCESS),
    (errors.NoAccess, EXIT_ACCESS),
    (errors.Throttled, EXIT_BUSY),
    (errors.ServerError, EXIT_BUSY),
    (errors.NotPlane, EXIT_PROTOCOL),
    (errors.BadAnswer, EXIT_DATA),
    (errors.PlaneError, EXIT_UNREACHABLE),
    (errors.PushBusy, EXIT_BUSY),
    (errors.LoginRefused, EXIT_ACCESS),
    (errors.NoPermission, EXIT_ACCESS),
    (errors.NoCollection, EXIT_CONFIG),
    (errors.NotTrusted, EXIT_CONFIG),
    (errors.InsufficientStorage, EXIT_CANNOT_WRITE),
    (errors.NotCalDav, EXIT_PROTOCOL),
    (errors.Locked, EXIT_UNREACHABLE),
    (errors.ObjectError, EXIT_PARTLY),
    (errors.PushError, EXIT_UNREACHABLE),
)
"""The first class that fits decides. Numbers are those of sysexits.h where it has one."""

DEFAULT_PORT = 8765
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    help="The configuration file. Default: $ICSFEED_CONFIG, ./feeds.yaml or /etc/icsfeed/feeds.yaml; without "
    "a file the environment: PLANE_BASE_URL, PLANE_WORKSPACE, PLANE_API_KEY, ICSFEED_SECRET.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")

PLANE_DEADLINE_SECONDS = 600
"""How long a command waits for Plane. Readers of a feed are answered sooner, from the last good copy."""


def load_or_exit(config_path: str | None, targets: Sequence[str] = ()) -> Config:
    """Return the configuration and set up logs that hide its secrets; end the process if it is invalid.

    `targets`: if given, only what a push to these needs must be valid.
    """
    from icsfeed.config.values import secrets_of

    try:
        config = load_configuration(find_file(config_path), targets)
    except errors.ConfigError as error:
        fail(error)
    # Before anything else can log: the log hides the secrets of this configuration.
    set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", secrets_of(config))
    return config


def find_file(config_path: str | None) -> Path | None:
    """Return the file of the configuration; None if the environment is the configuration."""
    from pathlib import Path

    from icsfeed.config.file import find

    return find(config_path, os.environ, Path.cwd())


def load_configuration(path: Path | None, targets: Sequence[str] = ()) -> Config:
    """Return the configuration as it is now, or the part that pushes to these targets. Raise ConfigError."""
    from zoneinfo import available_timezones

    from icsfeed.config.file import from_environment, load

    zones = available_timezones()
    return load(path, os.environ, zones, targets) if path else from_environment(os.environ, zones)


def set_up_logs(level: str, secrets: Iterable[str] = ()) -> None:
    """Log to standard error from this level up, without these secrets, in the format of $LOG_FORMAT.

    Raise UsageError for an unknown level or format.
    """
    from icsfeed.logs import set_up

    form = os.environ.get("LOG_FORMAT") or "text"
    if form not in ("text", "json"):
        hint = errors.did_you_mean(form, ("text", "json"))
        raise click.UsageError(f"LOG_FORMAT must be text or json{hint}")
    try:
        set_up(level, secrets, form="json" if form == "json" else "text")
    except ValueError:
        hint = errors.did_you_mean(level, ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
        raise click.UsageError(f"LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL{hint}") from None


def write_file(path: Path, body: bytes, *, new: bool = False) -> None:
    """Write a file, or end the process with the reason. `new`: it must not exist yet."""
    try:
        # "x" instead of a look before: a file that appears in between is not overwritten either.
        with path.open("xb" if new else "wb") as file:
            file.write(body)
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        reason = "it already exists; move it, or give another name" if exists else error.strerror
        print_line(f"icsfeed: cannot write {path}: {reason}", err=True)
        sys.exit(EXIT_CANNOT_WRITE)


@asynccontextmanager
async def open_feeds(
    config: Config, store: Store | None = None, *, sparing: bool = False
) -> AsyncIterator[FeedService]:
    """Yield the feeds for one command, which waits for Plane up to PLANE_DEADLINE_SECONDS.

    `store` has the last good copies of Plane, in memory by default; it is closed at the end. `sparing`: read
    nothing that the feeds do without.
    """
    from msgspec.structs import replace

    from icsfeed.server.build import opened

    cache = replace(config.cache, deadline=PLANE_DEADLINE_SECONDS)
    config = replace(config, cache=cache)
    async with opened(config, store=store, wait_if_throttled=True, sparing=sparing) as service:
        yield service


async def open_store_of_names(config: Config) -> Store:
    """Return a store in memory that has only the names of automatic feeds from the configured one.

    The links of automatic feeds depend on who got a name first. Nothing is written to the configured store,
    which may belong to another user than the one of this process.
    """
    from icsfeed.feeds.automatic import copy_names
    from icsfeed.store.store import open_store

    memory, configured = open_store("memory", {}), open_store(config.store.reveal(), os.environ)
    try:
        await copy_names(configured, memory)
    finally:
        await configured.close()
    return memory


async def render_feed(service: FeedService, name: str, query: Query) -> Rendered:
    """Return the rendered feed. Raise Plane's error if there is no copy.

    UnknownFeed suggests a name: unlike a web client, somebody who runs a command may know all of them.
    """
    try:
        return await service.rendered(name, query)
    except errors.UnknownFeed as error:
        names = (*service.config.feeds, *await service.auto_feeds())
        raise errors.UnknownFeed(error.feed, names) from None
    except errors.NoCopy as error:
        raise service.why_unread(name) or error from None


def run(
    work: Callable[[], Coroutine[Any, Any, None]],
    new_loop: Callable[[], AbstractEventLoop] | None = None,
) -> None:
    """Run a command to its end; turn errors into a sentence and an exit code.

    `new_loop` creates the event loop; Python's own by default.
    """
    import asyncio  # half of the time that --help would take

    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(work())
    except errors.IcsfeedError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except asyncio.CancelledError:
        sys.exit(EXIT_TERMINATED)


def cancel_on_sigterm() -> None:
    """Let SIGTERM cancel the task that calls this, as Ctrl-C does.

    systemd sends it after TimeoutStartSec; a push then still reports what it has written.
    """
    import asyncio
    import signal

    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def fail(error: errors.IcsfeedError) -> NoReturn:
    """End the process with the sentence and the exit code of this error."""
    for line in f"icsfeed: {error}".split("\n"):
        print_line(line, err=True)
    sys.exit(exit_code(error))


def exit_code(error: errors.IcsfeedError | None) -> int:
    """Return the exit code of an error; EXIT_UNEXPECTED if its class has none."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_UNEXPECTED)


def push_lock_folder() -> Path:
    """Return the folder with the locks of pushes. Raise ConfigError."""
    from icsfeed.store.backends import state_directory

    return state_directory(os.environ) / "push"


def active_targets(config: Config, named: Sequence[str]) -> Sequence[str]:
    """Return the named targets, by default all active ones. Raise UsageError for a name that is not active.

    End the process if no target is active.
    """
    active = [name for name, target in config.push.items() if target.active]
    for name in named:
        if name not in active:
            hint = errors.did_you_mean(name, active) or f"; there is: {', '.join(active) or 'none'}"
            raise click.UsageError(f"there is no active target {name!r} in `push:`{hint}")
    if not active:
        problem = errors.Problem("push", "names no active target to write to")
        fail(errors.ConfigError("configuration", [problem]))
    return named or active


def push_code(reports: Sequence[TargetReport]) -> int:
    """Return the exit code of a push: that of its targets if all have the same, else EXIT_PARTLY."""
    codes = {_target_code(report) for report in reports}
    return codes.pop() if len(codes) == 1 else EXIT_PARTLY


def _target_code(report: TargetReport) -> int:
    if report.error is not None:
        return exit_code(report.error)
    if report.refused is not None and not report.refused.final:
        return EXIT_REFUSED  # --force helps
    if report.failures:
        return EXIT_UNREACHABLE if all(failure.locked for failure in report.failures) else EXIT_PARTLY
    if report.unread is not None:
        return exit_code(report.unread)
    if report.refused is not None:
        return EXIT_PARTLY  # deletions wait for a complete read of Plane: --force does not help
    return EXIT_REFUSED if report.leftovers else 0
