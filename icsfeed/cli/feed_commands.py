"""Commands that read Plane once and put feeds somewhere: render, export, urls, push."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from icsfeed import errors
from icsfeed.cli.output import show_exported, show_json, show_links, show_push_progress
from icsfeed.cli.support import (
    DEFAULT_URL,
    EXIT_PARTLY,
    active_targets,
    cancel_on_sigterm,
    config_option,
    json_option,
    load_or_exit,
    open_feeds,
    open_store_of_names,
    push_code,
    push_lock_folder,
    render_feed,
    run,
    write_file,
)

if TYPE_CHECKING:
    from icsfeed.push.report import TargetReport


@click.command()
@click.argument("feed")
@config_option
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option(
    "--query", default="", metavar="QUERY", help="Filter it, as in a URL: 'priority=urgent&days=14'."
)
def render(feed: str, config_path: str | None, output: str | None, query: str) -> None:
    """Read Plane once and print the calendar FEED."""
    from asyncio import to_thread
    from pathlib import Path
    from urllib.parse import parse_qsl

    from icsfeed.errors import did_you_mean
    from icsfeed.feeds.query import FIELDS, parse_query

    parameters = parse_qsl(query, keep_blank_values=True)
    # A server ignores unknown parameters, which apps and trackers add to URLs. Here they are typing errors.
    for name, _ in parameters:
        if name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"; there is: {', '.join(FIELDS)}"
            raise click.BadParameter(f"unknown parameter {name!r}{hint}", param_hint="--query")
    config = load_or_exit(config_path)

    async def work() -> None:
        async with open_feeds(config, await open_store_of_names(config)) as service:
            rendered = await render_feed(service, feed, parse_query(parameters))
            if output:
                await to_thread(write_file, Path(output), rendered.body)
            else:
                sys.stdout.buffer.write(rendered.body)

    run(work)


@click.command()
@click.argument("folder", metavar="DIR")
@config_option
@click.option("--links", is_flag=True, help="Name files by the paths of links, with tokens; subscribers too.")
@json_option
def export(folder: str, config_path: str | None, links: bool, as_json: bool) -> None:
    """Write every feed as a file, for a web server.

    A file in DIR is replaced atomically, and only if its feed has changed; its modification time is the
    feed's Last-Modified. If a feed cannot be rendered, its file stays and the exit code is 4. Files of
    removed feeds are deleted if an export has written them. Without --links anyone who can read DIR can
    read every feed.
    """
    from pathlib import Path

    import msgspec

    from icsfeed.export.folder import ExportFolder
    from icsfeed.export.run import export as export_to
    from icsfeed.store.store import open_store

    config = load_or_exit(config_path)

    async def work() -> None:
        async with open_feeds(config, open_store(config.store.reveal(), os.environ)) as service:
            result = await export_to(service, ExportFolder(Path(folder)), links=links)
            unread = service.unread()
        if as_json:
            show_json(msgspec.to_builtins(result))
        else:
            show_exported(result)
        if unread is not None:
            click.echo(f"icsfeed: some automatic feeds could not be exported: {unread}", err=True)
        sys.exit(EXIT_PARTLY if result.failed or unread is not None else 0)

    run(work)


@click.command()
@click.argument("feed", required=False)
@config_option
@json_option
def urls(feed: str | None, config_path: str | None, as_json: bool) -> None:
    """Print the links of all feeds, or of FEED.

    Each feed and each of its subscribers has three: the calendar for apps (ics), a page for people (page),
    and one for frames (embed). Anyone who has a link can read the feed. Automatic feeds are listed if
    Plane answers.
    """
    from icsfeed.config.schema import NO_FEEDS

    config = load_or_exit(config_path)

    async def work() -> None:
        async with open_feeds(config, await open_store_of_names(config)) as service:
            links = await service.all_links(config.public_url or DEFAULT_URL)
            unread = None if feed in config.feeds else service.unread()
            if feed is not None and feed not in links:
                raise unread or errors.UnknownFeed(feed, links)
            shown = {name: links[name] for name in links if feed in (None, name)}
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
@click.option("--dry-run", is_flag=True, help="Print what would be written and deleted; do nothing.")
@click.option("--force", is_flag=True, help="Delete leftovers, and more than the configuration allows.")
@json_option
def push(
    targets: tuple[str, ...], config_path: str | None, dry_run: bool, force: bool, as_json: bool
) -> None:
    """Write feeds to calendars on CalDAV servers.

    Makes each calendar in `push:` of the configuration, or each TARGET, hold exactly what its feed holds.
    Changes and deletes only what icsfeed has written there. If the feed has become empty, or more would be
    deleted than the configuration allows, nothing is deleted without --force.
    """
    from msgspec.structs import replace

    from icsfeed.push.run import PushContext, push_all
    from icsfeed.server.build import utc_now
    from icsfeed.store.store import open_store

    config = load_or_exit(config_path, targets)
    names = active_targets(config, targets)

    async def work() -> None:
        cancel_on_sigterm()
        store = open_store(config.store.reveal(), os.environ)
        reports: list[TargetReport] = []
        with show_push_progress(wanted=not as_json) as events:

            def take(report: TargetReport) -> None:
                reports.append(report)
                events.report(report)

            try:
                async with open_feeds(config, store) as service:
                    # Copies in the store may be as old as the last command: a push reads Plane again.
                    service.expire()
                    context = PushContext(push_lock_folder, store, utc_now)
                    heard = replace(events, report=take)
                    await push_all(names, service, context, heard, dry_run=dry_run, force=force)
            finally:
                # Also after an error or SIGTERM: a script must learn what was written.
                if as_json and reports:
                    show_json({"targets": [report.as_json() for report in reports]})
        sys.exit(push_code(reports))

    run(work)
