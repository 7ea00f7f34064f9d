"""The commands. Everything heavy is imported by the command that needs it, so that --help is instant."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from icsfeed import __version__, errors
from icsfeed.cli.output import (
    push_bars,
    reading_shown,
    show_demo,
    show_exported,
    show_finding,
    show_json,
    show_links,
    show_state,
    show_verdicts,
)
from icsfeed.cli.support import (
    BUSY,
    PARTLY,
    UNREACHABLE,
    configuration,
    exit_code,
    file_of,
    names_only,
    patient,
    push_code,
    push_folder,
    pushed,
    rendered_or_why,
    run,
    set_up_logs,
    stop_on_sigterm,
    write_file,
    write_new,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from icsfeed.push.report import TargetReport

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
    Just looking:     icsfeed demo     serves a sample
    Your own Plane:   icsfeed init     writes feeds.yaml
                      icsfeed check    says what works
                      icsfeed serve    runs the server
                      icsfeed urls     prints the links
                      icsfeed push     fills CalDAV calendars
    """


@cli.command()
@click.option("--port", default=8765, type=PORT, show_default=True, help="Port on 127.0.0.1; 0: a free one.")
@click.option("--issues", default=0, type=COUNT, metavar="N", help="Fill the sample up to N issues.")
@click.option("--json", "as_json", is_flag=True, help="Print the links as one line of JSON once it serves.")
def demo(port: int, issues: int, as_json: bool) -> None:
    """Serve a sample workspace, without any setup.

    No configuration, no Plane, no key. Prints links that a calendar app on this machine can subscribe to.
    Ctrl-C ends it.
    """
    from icsfeed.cli.serve import new_event_loop, serve_sample
    from icsfeed.demo.settings import demo_config

    set_up_logs("WARNING")
    config = demo_config()

    def ready(url: str, links: Mapping[str, Any]) -> None:
        show_demo(url, links, config, as_json=as_json)

    run(lambda: serve_sample(config, issues, port, ready), new_event_loop)


@cli.command()
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
    from icsfeed.cli.serve import new_event_loop, serve_file

    config = configuration(config_path)

    async def ready(url: str) -> None:
        click.echo(f"icsfeed {__version__} listens on {url}", err=True)

    run(lambda: serve_file(file_of(config_path), config, host, port, uds, ready), new_event_loop)


@cli.command()
@click.argument("feed")
@config_option
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output.")
@click.option(
    "--query", default="", metavar="QUERY", help="Narrow it, as in a URL: 'priority=urgent&days=14'."
)
def render(feed: str, config_path: str | None, output: str | None, query: str) -> None:
    """Read Plane once and print the calendar FEED."""
    from asyncio import to_thread
    from pathlib import Path
    from urllib.parse import parse_qsl

    from icsfeed.errors import did_you_mean
    from icsfeed.feeds.query import FIELDS, parse_query

    parameters = parse_qsl(query, keep_blank_values=True)
    for name, _ in parameters:
        if name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"; there is: {', '.join(FIELDS)}"
            raise click.BadParameter(f"nothing is narrowed by {name!r}{hint}", param_hint="--query")
    config = configuration(config_path)

    async def work() -> None:
        async with patient(config, await names_only(config)) as service:
            rendered = await rendered_or_why(service, feed, parse_query(parameters))
            if output:
                await to_thread(write_file, Path(output), rendered.body)
            else:
                sys.stdout.buffer.write(rendered.body)

    run(work)


@cli.command()
@click.argument("folder", metavar="DIR")
@config_option
@click.option("--links", is_flag=True, help="Each file at its link's path, the token in it; subscribers too.")
@json_option
def export(folder: str, config_path: str | None, links: bool, as_json: bool) -> None:
    """Write every feed as a file, for a web server.

    A file in DIR is replaced in one step and only when the feed has changed; its time is the feed's
    Last-Modified. A feed that cannot be made keeps the file it has: then the end is 4. Files of feeds that
    are gone are removed, where an export made them. Without --links whoever can read DIR can read every
    feed.
    """
    from pathlib import Path

    import msgspec

    from icsfeed.export.folder import ExportFolder
    from icsfeed.export.run import export as export_to
    from icsfeed.store.store import open_store

    config = configuration(config_path)

    async def work() -> None:
        async with patient(config, open_store(config.store.reveal(), os.environ)) as service:
            done = await export_to(service, ExportFolder(Path(folder)), links=links)
        if as_json:
            show_json(msgspec.to_builtins(done))
        else:
            show_exported(done)
        sys.exit(PARTLY if done.failed else 0)

    run(work)


@cli.command()
@click.argument("feed", required=False)
@config_option
@json_option
def urls(feed: str | None, config_path: str | None, as_json: bool) -> None:
    """Print the links of all feeds, or of FEED.

    Of each, and of each subscriber, the calendar for apps (ics), the page for people, and the one for
    frames (embed). Whoever has a link can read the feed. Automatic feeds are listed when Plane answers.
    """
    from icsfeed.config.schema import NO_FEEDS

    config = configuration(config_path)

    async def work() -> None:
        async with patient(config, await names_only(config)) as service:
            found = await service.all_links(config.public_url or "http://127.0.0.1:8765")
            unread = None if feed in config.feeds else service.unread()
            if feed is not None and feed not in found:
                raise unread or errors.UnknownFeed(feed, found)
            shown = {name: links for name, links in found.items() if feed in (None, name)}
            if as_json:
                show_json({"feeds": shown})
            else:
                show_links(shown)
            if config.has_no_feeds:
                click.echo(f"icsfeed: the configuration {NO_FEEDS}", err=True)
        if unread is not None:
            click.echo("icsfeed: the automatic feeds are missing from this list", err=True)
            raise unread

    run(work)


@cli.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@config_option
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Delete even where that is most of what is there, and leftovers.")
@json_option
def push(
    targets: tuple[str, ...], config_path: str | None, dry_run: bool, force: bool, as_json: bool
) -> None:
    """Write feeds to calendars on CalDAV servers.

    Each calendar that `push:` in the configuration names, or each TARGET, then holds exactly what its feed
    holds. Only what icsfeed has written there is changed or deleted. Where the feed has become empty, or
    more would be deleted than the configuration allows, nothing is deleted without --force.
    """
    from icsfeed.push.run import PushContext, push_all
    from icsfeed.server.build import utc_now
    from icsfeed.store.store import open_store

    config = configuration(config_path, targets)
    names = pushed(config, targets)

    async def work() -> None:
        stop_on_sigterm()
        store = open_store(config.store.reveal(), os.environ)
        reports: list[TargetReport] = []
        with push_bars(wanted=not as_json) as bars:

            def take(report: TargetReport) -> None:
                reports.append(report)
                if not as_json:
                    bars.show(report)

            try:
                async with patient(config, store) as service:
                    service.expire()
                    world = PushContext(push_folder, store, utc_now)
                    await push_all(
                        names, service, world, take, bars.counts, bars.waits, dry_run=dry_run, force=force
                    )
            finally:
                if as_json and reports:
                    show_json({"targets": [report.as_json() for report in reports]})
        sys.exit(push_code(reports))

    run(work)


@cli.command()
@config_option
@json_option
def check(config_path: str | None, as_json: bool) -> None:
    """Try everything for real, and say what to do.

    The configuration, each workspace, feed and target, and the store. Ends with 0 when nothing is wrong
    (warnings aside), else with the code of the first error. What it reads of Plane is kept in the store,
    for a server that is started after it.
    """
    from icsfeed.cli.check import Finding, store_finding, worst
    from icsfeed.cli.check import check as findings_of
    from icsfeed.store.store import open_store

    config = configuration(config_path)

    async def work() -> None:
        found: list[Finding] = []

        def take(finding: Finding) -> None:
            found.append(finding)
            if not as_json:
                show_finding(finding)

        store = open_store(config.store.reveal(), os.environ)
        take(await store_finding(store))
        async with (
            patient(config, store, sparing=True) as service,
            reading_shown(service, wanted=not as_json),
        ):
            async for finding in findings_of(service):
                take(finding)
        if as_json:
            show_json([{k: getattr(f, k) for k in ("level", "about", "text")} for f in found])
        if any(finding.level == "error" for finding in found):
            sys.exit(exit_code(worst(found)))

    run(work)


@cli.command()
@click.argument("url")
@json_option
def doctor(url: str, as_json: bool) -> None:
    """Say which calendar apps fail with a feed.

    Asks for the feed at URL as they do. Any feed will do, ours or not. Ends with 0 when none fails, 4 when
    some do, 69 when there is no answer, 76 when there is no calendar at URL.
    """
    from icsfeed.doctor.probe import examine_url
    from icsfeed.doctor.verdict import judge, report, severity

    async def work() -> None:
        try:
            seen = await examine_url(url)
        except errors.Unfit as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        verdicts = judge(seen)
        if as_json:
            show_json(report(seen, verdicts))
        else:
            show_verdicts(verdicts)
        sys.exit(severity(seen, verdicts))

    set_up_logs("WARNING")
    run(work)


@cli.command()
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
        except errors.Unfit as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        if as_json:
            show_json(msgspec.to_builtins(found))
        else:
            show_state(found, asked)
        if not found.ready:
            sys.exit(BUSY if found.live else UNREACHABLE)
        sys.exit(PARTLY if found.problems else 0)

    run(work)


@cli.command()
@click.option("-o", "--output", default="feeds.yaml", show_default=True, metavar="FILE", help="Where to.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of the configuration, for editors.")
def init(output: str, schema: bool) -> None:
    """Write a commented example of a configuration."""
    from pathlib import Path

    from icsfeed.config.file import example_text
    from icsfeed.config.json_schema import schema as json_schema

    if schema:
        show_json(json_schema(), indent=2)
        return
    write_new(Path(output), example_text())
    click.echo(f"Wrote {output}. Edit it, then: icsfeed check --config {output}")


def main() -> None:
    """The `icsfeed` command. NO_COLOR turns colours off, unless it is empty (no-color.org)."""
    cli(color=False if os.environ.get("NO_COLOR") else None)
