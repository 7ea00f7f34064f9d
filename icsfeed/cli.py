"""The commands. Everything heavy is imported by the command that needs it, so that --help is instant."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from icsfeed import __version__
from icsfeed.core import errors
from icsfeed.terminal import show_demo, show_finding, show_links, why_not_listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from litestar import Litestar

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

PORT, COUNT = click.IntRange(0, 65_535), click.IntRange(0, 1_000_000)

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    help="The configuration. Default: $ICSFEED_CONFIG, else ./feeds.yaml, else /etc/icsfeed/feeds.yaml, else "
    "the environment: PLANE_BASE_URL, PLANE_WORKSPACE, PLANE_API_KEY, ICSFEED_SECRET.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="icsfeed")
def cli() -> None:
    """Calendar feeds (.ics) for the due dates of a Plane workspace.

    \b
    Just looking:     icsfeed demo     serves a sample workspace
    Your own Plane:   icsfeed init     writes feeds.yaml; edit it
                      icsfeed check    says what works and what to do
                      icsfeed serve    runs the server
                      icsfeed urls     prints the links for calendar apps
    """


@cli.command()
@click.option("--port", default=8765, type=PORT, show_default=True, help="Port on 127.0.0.1; 0: a free one.")
@click.option("--issues", default=0, type=COUNT, metavar="N", help="Fill the sample up to N issues.")
@click.option("--json", "as_json", is_flag=True, help="Print the links as one line of JSON once it serves.")
def demo(port: int, issues: int, as_json: bool) -> None:
    """Serve a sample workspace: no configuration, no Plane, no key.

    Prints links that a calendar app on this machine can subscribe to. Ctrl-C ends it.
    """
    import httpx

    from icsfeed.app.build import opened, utc_now
    from icsfeed.app.web import create_app
    from icsfeed.demo.access import Limits
    from icsfeed.demo.api import create_plane
    from icsfeed.demo.sample import sample
    from icsfeed.demo.settings import demo_config

    _logging("WARNING")
    config = demo_config()
    plane: Any = create_plane(sample(utc_now().date(), issues=issues), limits=Limits(person=100_000))
    transport = httpx.ASGITransport(plane)

    async def work() -> None:
        async with opened(config, transports={"demo": transport}) as service:

            async def ready(url: str) -> None:
                show_demo(url, await service.all_links(url), config, as_json=as_json)

            await _serve(create_app(service, utc_now), "127.0.0.1", port, ready)

    _run(work)


@cli.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, type=PORT, show_default=True, help="Port to listen on; 0: a free one.")
def serve(config_path: str | None, host: str, port: int) -> None:
    """Run the server.

    Calendar services on the internet want https: put a reverse proxy before it.
    """
    from icsfeed.adapters.store import open_store
    from icsfeed.app.build import opened, utc_now
    from icsfeed.app.web import create_app

    config = _config(config_path)

    async def work() -> None:
        async with opened(config, store=open_store(config.store.reveal(), os.environ)) as service:

            async def ready(url: str) -> None:
                click.echo(f"icsfeed {__version__} listens on {url}", err=True)

            await _serve(create_app(service, utc_now), host, port, ready)

    _run(work)


@cli.command()
@click.argument("feed")
@config_option
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output.")
@click.option(
    "--query", default="", metavar="QUERY", help="Narrow it, as in a URL: 'priority=urgent&days=14'."
)
def render(feed: str, config_path: str | None, output: str | None, query: str) -> None:
    """Read Plane once and print the calendar FEED."""
    from urllib.parse import parse_qsl

    from icsfeed.core.query import parse_query

    config = _config(config_path)

    async def work() -> None:
        async with _patient(config) as service:
            rendered = await _told(service, service.rendered(feed, parse_query(parse_qsl(query))))
            if output:
                await asyncio.to_thread(_write, Path(output), rendered.body)
            else:
                sys.stdout.buffer.write(rendered.body)

    _run(work)


@cli.command()
@click.argument("feed", required=False)
@config_option
@json_option
def urls(feed: str | None, config_path: str | None, as_json: bool) -> None:
    """Print the links of all feeds, or of FEED, and of its subscribers.

    Whoever has a link can read the feed. Automatic feeds are listed when Plane answers.
    """
    config = _config(config_path)

    async def work() -> None:
        async with _patient(config) as service:
            found = await service.all_links(config.public_url or "http://127.0.0.1:8765")
            unread = None if feed in config.feeds else service.unread()
            if feed is not None and feed not in found:
                raise unread or errors.UnknownFeed(feed)
            shown = {name: links for name, links in found.items() if feed in (None, name)}
            if as_json:
                click.echo(json.dumps({"feeds": shown}))
            else:
                show_links(shown)
        if unread is not None:
            click.echo("icsfeed: the automatic feeds are missing from this list", err=True)
            raise unread

    _run(work)


@cli.command()
@config_option
@json_option
def check(config_path: str | None, as_json: bool) -> None:
    """Try the configuration, each workspace and each feed for real, and say what to do.

    Ends with 0 when nothing is wrong (warnings aside), else with the code of the first error.
    """
    from icsfeed.app.check import check as findings_of
    from icsfeed.app.check import worst

    config = _config(config_path)

    async def work() -> None:
        found = []
        async with _patient(config) as service:
            async for finding in findings_of(service):
                found.append(finding)
                if not as_json:
                    show_finding(finding)
        if as_json:
            click.echo(json.dumps([{k: getattr(f, k) for k in ("level", "about", "text")} for f in found]))
        if any(finding.level == "error" for finding in found):
            sys.exit(_exit_code(worst(found)))

    _run(work)


@cli.command()
@click.option("-o", "--output", default="feeds.yaml", show_default=True, metavar="FILE", help="Where to.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of the configuration, for editors.")
def init(output: str, schema: bool) -> None:
    """Write a commented example of a configuration."""
    from icsfeed.adapters.config_file import example_text
    from icsfeed.adapters.config_file import schema as json_schema

    if schema:
        click.echo(json.dumps(json_schema(), indent=2))
        return
    path = Path(output)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example_text())
    except FileExistsError:
        _cannot_write(path, "it is there already; move it, or give another name with -o")
    except OSError as error:
        _cannot_write(path, error.strerror)
    click.echo(f"Wrote {path}. Edit it, then: icsfeed check --config {path}")


def main() -> None:
    """The `icsfeed` command."""
    cli()


def _config(explicit: str | None) -> Config:
    """The configuration, with logging set up to hide its secrets. Ends the process when it is wrong."""
    from zoneinfo import available_timezones

    from icsfeed.adapters.config_file import find, from_environment, load

    try:
        path = find(explicit, os.environ, Path.cwd())
        zones = available_timezones()
        config = load(path, os.environ, zones) if path else from_environment(os.environ, zones)
    except errors.IcsfeedError as error:
        _fail(error)
    _logging(os.environ.get("LOG_LEVEL") or "INFO", config)
    return config


def _logging(level: str, config: Config | None = None) -> None:
    from icsfeed.app.logs import secrets_of, set_up

    try:
        set_up(level, secrets_of(config) if config else ())
    except ValueError:
        raise click.UsageError("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL") from None


def _write(path: Path, body: bytes) -> None:
    try:
        path.write_bytes(body)
    except OSError as error:
        _cannot_write(path, error.strerror)


def _cannot_write(path: Path, reason: str | None) -> NoReturn:
    click.echo(f"icsfeed: cannot write {path}: {reason}", err=True)
    sys.exit(CANNOT_WRITE)


@asynccontextmanager
async def _patient(config: Config) -> AsyncIterator[FeedService]:
    """The feeds for one command, which waits for Plane longer than a calendar app would."""
    from msgspec.structs import replace

    from icsfeed.app.build import opened

    cache = replace(config.cache, deadline=PATIENCE)
    async with opened(replace(config, cache=cache), patient=True) as service:
        yield service


async def _told(service: FeedService, rendering: Awaitable[Rendered]) -> Rendered:
    """The feed; where there is no copy, the reason that Plane gave is raised instead."""
    try:
        return await rendering
    except errors.NoCopy as error:
        reasons = (workspace.last_error for workspace in service.workspaces.values())
        raise next((reason for reason in reasons if reason is not None), error) from None


async def _serve(app: Litestar, host: str, port: int, ready: Callable[[str], Awaitable[None]]) -> None:
    """Serve until a signal ends it. `ready` is called with the server's address once it answers."""
    import uvicorn

    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        click.echo(f"icsfeed: cannot listen on {host}:{port}: {why_not_listening(error)}", err=True)
        sys.exit(BUSY)

    # Connections inherit it. Without, a body waits 40 ms for the ACK of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            shown = f"[{host}]" if ":" in host else host
            await ready(f"http://{shown}:{listener.getsockname()[1]}")

    settings = uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
    await Server(settings).serve(sockets=[listener])


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command to its end, and turn what goes wrong into a sentence and an exit code."""
    try:
        asyncio.run(work())
    except errors.IcsfeedError as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: errors.IcsfeedError) -> NoReturn:
    click.echo(f"icsfeed: {error}", err=True)
    sys.exit(_exit_code(error))


def _exit_code(error: errors.IcsfeedError | None) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), UNEXPECTED)
