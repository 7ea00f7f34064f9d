"""Commands that run a server, or ask a running one: demo, serve, status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from icsfeed import __version__, errors
from icsfeed.cli.output import show_demo, show_json, show_state
from icsfeed.cli.support import (
    DEFAULT_PORT,
    DEFAULT_URL,
    EXIT_BUSY,
    EXIT_PARTLY,
    EXIT_UNREACHABLE,
    config_option,
    find_file,
    json_option,
    load_or_exit,
    run,
    set_up_logs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT, COUNT = click.IntRange(0, 65_535), click.IntRange(0, 1_000_000)


@click.command()
@click.option(
    "--port", default=DEFAULT_PORT, type=PORT, show_default=True, help="Port on 127.0.0.1; 0: a free one."
)
@click.option("--issues", default=0, type=COUNT, metavar="N", help="Fill the sample up to N issues.")
@click.option(
    "--edition",
    default="community",
    type=click.Choice(("community", "commercial")),
    show_default=True,
    help="Edition of Plane that serves the sample; Plane Cloud is commercial.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the links as one line of JSON once it serves.")
def demo(port: int, issues: int, edition: str, as_json: bool) -> None:
    """Serve a sample workspace, without any setup.

    No configuration, no Plane, no API key. Prints links that a calendar app on this machine can subscribe to.
    Ctrl-C stops it.
    """
    from icsfeed.cli.serve import serve_sample
    from icsfeed.demo.editions import EDITIONS
    from icsfeed.demo.settings import demo_config
    from icsfeed.server.process import new_event_loop

    # The demo reads its Plane on every start, which is not worth a line.
    set_up_logs("WARNING")
    config = demo_config(EDITIONS[edition])

    def on_start(url: str, links: Mapping[str, Any]) -> None:
        show_demo(url, links, config, as_json=as_json)

    run(lambda: serve_sample(config, edition, issues, port, on_start), new_event_loop)


@click.command()
@config_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; :: for all IPv4 and IPv6 addresses.",
)
@click.option(
    "--port", default=DEFAULT_PORT, type=PORT, show_default=True, help="Port to listen on; 0: a free one."
)
@click.option("--uds", metavar="PATH", help="Unix socket to listen on, instead of host and port.")
def serve(config_path: str | None, host: str, port: int, uds: str | None) -> None:
    """Run the server.

    It reloads the configuration when the file changes and on SIGHUP; if the new one is invalid, it keeps the
    previous one. Calendar services on the internet need https: put a reverse proxy in front of it. A socket
    from systemd (icsfeed.socket) takes the place of host, port and Unix socket.
    """
    from icsfeed.cli.serve import serve_file
    from icsfeed.server.process import new_event_loop

    config = load_or_exit(config_path)

    async def on_start(url: str) -> None:
        click.echo(f"icsfeed {__version__} listening on {url}", err=True)

    run(lambda: serve_file(find_file(config_path), config, host, port, uds, on_start), new_event_loop)


@click.command()
@click.argument("address", required=False, metavar="[URL]")
@click.option(
    "--url",
    help=f"The same as URL. Default: the address of the server on this machine, or {DEFAULT_URL}.",
)
@click.option("--live", is_flag=True, help="Only ask whether it answers, for health checks.")
@json_option
def status(address: str | None, url: str | None, live: bool, as_json: bool) -> None:
    """Ask a running server what is wrong.

    Exit codes: 0 if all is well, 4 if it serves and something is wrong, 69 if it does not answer, 75 if a
    workspace cannot be served yet.
    """
    import msgspec

    from icsfeed.server.live_status import ServedAddress, live_state

    if address and url:
        raise click.UsageError("give the URL once: as argument or with --url")
    server = address or url or ServedAddress(os.environ).read() or DEFAULT_URL

    async def work() -> None:
        try:
            state = await live_state(server, only_live=live)
        except errors.InvalidValue as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        if as_json:
            show_json(msgspec.to_builtins(state))
        else:
            show_state(state, server)
        if not state.ready:
            sys.exit(EXIT_BUSY if state.live else EXIT_UNREACHABLE)
        sys.exit(EXIT_PARTLY if state.problems else 0)

    run(work)
