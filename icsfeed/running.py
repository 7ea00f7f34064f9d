"""What every command does: find the configuration, run to an end, say what went wrong, exit with its code."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from icsfeed.core import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable

    from icsfeed.app.feeds import FeedService
    from icsfeed.core.config import Config
    from icsfeed.core.feed import Rendered

BUSY, CANNOT_WRITE, USAGE, UNEXPECTED = 75, 73, 2, 1
EXIT_CODES: tuple[tuple[type[errors.IcsfeedError], int], ...] = (
    (errors.ConfigError, 78),
    (errors.UnknownFeed, USAGE),
    (errors.BadParameter, USAGE),
    (errors.NoCopy, 69),
    (errors.FeedError, 78),
    (errors.KeyRefused, 77),
    (errors.NoAccess, 77),
    (errors.Throttled, BUSY),
    (errors.NotPlane, 76),
    (errors.BadAnswer, 65),
    (errors.PlaneError, 69),
)
"""By the first class that fits. The numbers are those of sysexits.h where it has one."""

PATIENCE = 600
"""Seconds that a command waits for Plane, where a calendar app would be answered sooner."""


def configuration(explicit: str | None) -> Config:
    """The configuration, with logging set up to hide its secrets. Ends the process when it is wrong."""
    from icsfeed.app.logs import secrets_of

    try:
        config = load_configuration(file_of(explicit))
    except errors.ConfigError as error:
        fail(error)
    set_up_logs(os.environ.get("LOG_LEVEL") or "INFO", secrets_of(config))
    return config


def file_of(explicit: str | None) -> Path | None:
    """The file that the configuration is in; None: it is in the environment."""
    from icsfeed.adapters.config_file import find

    return find(explicit, os.environ, Path.cwd())


def load_configuration(path: Path | None) -> Config:
    """The configuration as it is now. Raises ConfigError."""
    from zoneinfo import available_timezones

    from icsfeed.adapters.config_file import from_environment, load

    zones = available_timezones()
    return load(path, os.environ, zones) if path else from_environment(os.environ, zones)


def set_up_logs(level: str, secrets: Iterable[str] = ()) -> None:
    """Log to standard error, at this level and above, without these secrets. Raises UsageError."""
    from icsfeed.app.logs import set_up

    try:
        set_up(level, secrets)
    except ValueError:
        raise click.UsageError("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL") from None


def write_file(path: Path, body: bytes) -> None:
    """Write it, or end the process and say why not."""
    try:
        path.write_bytes(body)
    except OSError as error:
        cannot_write(path, error.strerror)


def cannot_write(path: Path, reason: str | None) -> NoReturn:
    """End the process: there is no room, no right or no folder for this file."""
    click.echo(f"icsfeed: cannot write {path}: {reason}", err=True)
    sys.exit(CANNOT_WRITE)


@asynccontextmanager
async def patient(config: Config) -> AsyncIterator[FeedService]:
    """The feeds for one command, which waits for Plane longer than a calendar app would."""
    from msgspec.structs import replace

    from icsfeed.app.build import opened

    cache = replace(config.cache, deadline=PATIENCE)
    async with opened(replace(config, cache=cache), patient=True) as service:
        yield service


async def told(service: FeedService, rendering: Awaitable[Rendered]) -> Rendered:
    """The feed; where there is no copy, the reason that Plane gave is raised instead."""
    try:
        return await rendering
    except errors.NoCopy as error:
        reasons = (workspace.last_error for workspace in service.workspaces.values())
        raise next((reason for reason in reasons if reason is not None), error) from None


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command to its end, and turn what goes wrong into a sentence and an exit code."""
    try:
        asyncio.run(work())
    except errors.IcsfeedError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


def fail(error: errors.IcsfeedError) -> NoReturn:
    """End the process with this error's sentence and exit code."""
    click.echo(f"icsfeed: {error}", err=True)
    sys.exit(exit_code(error))


def exit_code(error: errors.IcsfeedError | None) -> int:
    """The exit code of an error; 1 for one that has none of its own."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), UNEXPECTED)
