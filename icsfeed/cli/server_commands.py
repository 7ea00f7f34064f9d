"""Commands that run a server, or ask a running one: demo, serve, status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from icsfeed import __version__, errors
from icsfeed.cli.output import show_demo, show_json, show_state
from icsfeed.cli.support import (
    BUSY,
    PARTLY,
    UNREACHABLE,
    config_option,
    configuration,
    file_of,
    json_option,
    run,
    set_up_logs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT, COUNT = click.IntRange(0, 65_535), click.IntRange(0, 1_000_000)


@click.command()
@click.option("--port", default=8765, type=PORT, show_default=True, help="Port on 127.0.0.1; 0: a free one.")
@click.option("--issues", default=0, type=COUNT, metavar="N", help="Fill the sample up to N issues.")
@click.option("--json", "as_json", is_flag=True, help="Print the links as one line of JSON once it serves.")
def demo(port: int, issues: int, as_json: bool) -> None:
    """Serve a sample workspace, without any setup.

    No configuration, no Plane, no key. Prints links that a calendar app on this machine can subscribe to.
    Ctrl-C ends it.
    """
    from icsfeed.cli.serve import serve_sample
    from icsfeed.demo.settings import demo_config
    from icsfeed.server.process import new_event_loop

    set_up_logs("WARNING")
    config = demo_config()

    def ready(url: str, links: Mapping[str, Any]) -> None:
        show_demo(url, links, config, as_json=as_json)

    run(lambda: serve_sample(config, issues, port, ready), new_event_loop)


@click.command()
@config_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; ::, all of both families.",
)
@click.option("--port", default=8765, type=PORT, show_default=True, help="Port to listen on; 0: a free one.")
@click.option("--uds", metavar="PATH", help="Unix socket to listen on, in the place of host and port.")
def serve(config_path: str | None, host: str, port: int, uds: str | None) -> None:
    """Run the server.

    It takes up a changed configuration by itself, or on SIGHUP; a wrong one leaves things as they are.
    Calendar services on the internet want https: put a reverse proxy before it.
    """
    from icsfeed.cli.serve import serve_file
    from icsfeed.server.process import new_event_loop

    config = configuration(config_path)

    async def ready(url: str) -> None:
        click.echo(f"icsfeed {__version__} listens on {url}", err=True)

    run(lambda: serve_file(file_of(config_path), config, host, port, uds, ready), new_event_loop)


@click.command()
@click.argument("address", required=False, metavar="[URL]")
@click.option(
    "--url",
    help="The same as URL. Where the server is. Default: where the one on this machine serves, else http://127.0.0.1:8765.",
)
@click.option("--live", is_flag=True, help="Only whether it lives, for health checks.")
@json_option
def status(address: str | None, url: str | None, live: bool, as_json: bool) -> None:
    """Ask a running server what is wrong.

    Ends with 0 when all is well, 4 when it serves and something is wrong, 69 when it does not answer, 75
    when a workspace cannot be served yet.
    """
    import msgspec

    from icsfeed.server.live_status import ServedAddress, state

    if address and url:
        raise click.UsageError("give the URL once: as argument or with --url")
    asked = address or url or ServedAddress(os.environ).read() or "http://127.0.0.1:8765"

    async def work() -> None:
        try:
            found = await state(asked, only_live=live)
        except errors.InvalidValue as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        if as_json:
            show_json(msgspec.to_builtins(found))
        else:
            show_state(found, asked)
        if not found.ready:
            sys.exit(BUSY if found.live else UNREACHABLE)
        sys.exit(PARTLY if found.problems else 0)

    run(work)
