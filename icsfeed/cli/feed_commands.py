"""Commands that read Plane once and put feeds somewhere: render, export, urls, push."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from icsfeed import errors
from icsfeed.cli.output import push_bars, show_exported, show_json, show_links
from icsfeed.cli.support import (
    PARTLY,
    config_option,
    configuration,
    json_option,
    names_only,
    patient,
    push_code,
    push_folder,
    pushed,
    rendered_or_why,
    run,
    stop_on_sigterm,
    write_file,
)

if TYPE_CHECKING:
    from icsfeed.push.report import TargetReport


@click.command()
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
    from icsfeed.feeds.narrowing import FIELDS
    from icsfeed.feeds.query import parse_query

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


@click.command()
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


@click.command()
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


@click.command()
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
