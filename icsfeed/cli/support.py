"""What every command does: find the configuration, run to an end, say what went wrong, exit with its code."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from icsfeed import errors
from icsfeed.cli.output import say

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

TERMINATED = 143
BUSY, CANNOT_WRITE, UNREACHABLE, PARTLY, REFUSED, USAGE, UNEXPECTED = 75, 73, 69, 4, 3, 2, 1
EXIT_CODES: tuple[tuple[type[errors.IcsfeedError], int], ...] = (
    (errors.ConfigError, 78),
    (errors.UnknownFeed, USAGE),
    (errors.BadParameter, USAGE),
    (errors.NoCopy, UNREACHABLE),
    (errors.FeedError, 78),
    (errors.ExportBusy, BUSY),
    (errors.ExportError, CANNOT_WRITE),
    (errors.KeyRefused, 77),
    (errors.NoAccess, 77),
    (errors.Throttled, BUSY),
    (errors.ServerError, BUSY),
    (errors.NotPlane, 76),
    (errors.BadAnswer, 65),
    (errors.PlaneError, UNREACHABLE),
    (errors.PushBusy, BUSY),
    (errors.LoginRefused, 77),
    (errors.NoPermission, 77),
    (errors.NoCollection, 78),
    (errors.NotTrusted, 78),
    (errors.InsufficientStorage, CANNOT_WRITE),
    (errors.NotCalDav, 76),
    (errors.Locked, UNREACHABLE),
    (errors.ObjectError, PARTLY),
    (errors.PushError, UNREACHABLE),
)
"""By the first class that fits. The numbers are those of sysexits.h where it has one."""

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    help="The configuration. Default: $ICSFEED_CONFIG, else ./feeds.yaml, else /etc/icsfeed/feeds.yaml, else "
    "the environment: PLANE_BASE_URL, PLANE_WORKSPACE, PLANE_API_KEY, ICSFEED_SECRET.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")

PATIENCE = 600
"""Seconds that a command waits for Plane, where a calendar app would be answered sooner."""


def configuration(explicit: str | None, targets: Sequence[str] = ()) -> Config:
    """The configuration, with logging set up to hide its secrets. Ends the process when it is wrong.

    `targets`: only what is needed to push to these, where they are given.
    """
    from icsfeed.config.values import secrets_of

    try:
        config = load_configuration(file_of(explicit), targets)
    except errors.ConfigError as error:
        fail(error)
    set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", secrets_of(config))
    return config


def file_of(explicit: str | None) -> Path | None:
    """The file that the configuration is in; None: it is in the environment."""
    from pathlib import Path

    from icsfeed.config.file import find

    return find(explicit, os.environ, Path.cwd())


def load_configuration(path: Path | None, targets: Sequence[str] = ()) -> Config:
    """The configuration as it is now, or what of it pushes to these targets need. Raises ConfigError."""
    from zoneinfo import available_timezones

    from icsfeed.config.file import from_environment, load

    zones = available_timezones()
    return load(path, os.environ, zones, targets) if path else from_environment(os.environ, zones)


def set_up_logs(level: str, secrets: Iterable[str] = ()) -> None:
    """Log to standard error, at this level and above, without these secrets, in the form of $LOG_FORMAT.

    Raises UsageError.
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


def write_file(path: Path, body: bytes) -> None:
    """Write it, or end the process and say why not."""
    try:
        path.write_bytes(body)
    except OSError as error:
        cannot_write(path, error.strerror)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, or end the process and say why not."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        cannot_write(path, "it is there already; move it, or give another name with -o")
    except OSError as error:
        cannot_write(path, error.strerror)


def cannot_write(path: Path, reason: str | None) -> NoReturn:
    """End the process: there is no room, no right or no folder for this file."""
    say(f"icsfeed: cannot write {path}: {reason}", err=True)
    sys.exit(CANNOT_WRITE)


@asynccontextmanager
async def patient(
    config: Config, store: Store | None = None, *, sparing: bool = False
) -> AsyncIterator[FeedService]:
    """The feeds for one command, which waits for Plane longer than a calendar app would.

    `store`: where copies of Plane are kept, and closed at the end; memory by default. `sparing`: nothing is
    read that the feeds do without.
    """
    from msgspec.structs import replace

    from icsfeed.server.build import opened

    cache = replace(config.cache, deadline=PATIENCE)
    async with opened(replace(config, cache=cache), store=store, patient=True, sparing=sparing) as service:
        yield service


async def names_only(config: Config) -> Store:
    """A store in memory that knows, of the configured one, whose the names of automatic feeds are.

    Nothing is written to the configured one, which may belong to another user than whoever asks.
    """
    from icsfeed.feeds.automatic import copy_names
    from icsfeed.store.store import open_store

    memory, kept = open_store("memory", {}), open_store(config.store.reveal(), os.environ)
    try:
        await copy_names(kept, memory)
    finally:
        await kept.close()
    return memory


async def rendered_or_why(service: FeedService, name: str, query: Query) -> Rendered:
    """The feed; where there is no copy, the reason that Plane gave is raised instead.

    An unknown feed's error suggests a name here, where whoever asks may know all of them.
    """
    try:
        return await service.rendered(name, query)
    except errors.UnknownFeed as error:
        known = (*service.config.feeds, *await service.auto_feeds())
        raise errors.UnknownFeed(error.feed, known) from None
    except errors.NoCopy as error:
        raise service.why_unread(name) or error from None


def run(
    work: Callable[[], Coroutine[Any, Any, None]],
    loop: Callable[[], AbstractEventLoop] | None = None,
) -> None:
    """Run a command to its end, and turn what goes wrong into a sentence and an exit code.

    `loop` makes the event loop, where Python's own will not do.
    """
    import asyncio  # half of what --help would take

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(work())
    except errors.IcsfeedError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except asyncio.CancelledError:
        sys.exit(TERMINATED)


def stop_on_sigterm() -> None:
    """Let SIGTERM end the task that calls this, as Ctrl-C does: systemd sends it after TimeoutStartSec."""
    import asyncio
    import signal

    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def fail(error: errors.IcsfeedError) -> NoReturn:
    """End the process with this error's sentence and exit code."""
    for line in f"icsfeed: {error}".split("\n"):
        say(line, err=True)
    sys.exit(exit_code(error))


def exit_code(error: errors.IcsfeedError | None) -> int:
    """The exit code of an error; 1 for one that has none of its own."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), UNEXPECTED)


def push_folder() -> Path:
    """Where the locks of pushes are. Raises ConfigError."""
    from icsfeed.store.backends import state_directory

    return state_directory(os.environ) / "push"


def pushed(config: Config, named: Sequence[str]) -> Sequence[str]:
    """The targets that are named, else all active ones. Ends the process where there is none."""
    active = [name for name, target in config.push.items() if target.active]
    for name in named:
        if name not in active:
            known = ", ".join(active) or "none"
            hint = errors.did_you_mean(name, active) or f"; there is: {known}"
            raise click.UsageError(f"there is no active target {name!r} in `push:`{hint}")
    if not active:
        fail(
            errors.ConfigError(
                "configuration", [errors.Problem("push", "names no active target to write to")]
            )
        )
    return named or active


def push_code(reports: Sequence[TargetReport]) -> int:
    """The exit code of a push: that of all targets, where they agree, else that it is done in part."""
    codes = {_report_code(report) for report in reports}
    return codes.pop() if len(codes) == 1 else PARTLY


def _unread_code(report: TargetReport) -> int:
    """The code of a run after an incomplete read of Plane, where --force does not help; 0 for no such run."""
    if report.unread is not None:
        return exit_code(report.unread)
    return PARTLY if report.refused is not None else 0


def _report_code(report: TargetReport) -> int:
    if report.error is not None:
        return exit_code(report.error)
    if report.refused is not None and not report.refused.final:
        return REFUSED
    if not report.failures:
        return _unread_code(report) or (REFUSED if report.leftovers else 0)
    return UNREACHABLE if all(failure.locked for failure in report.failures) else PARTLY
