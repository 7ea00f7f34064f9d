"""Commands for setting up: init, check, doctor."""

from __future__ import annotations

import os
import sys

import click

from icsfeed import errors
from icsfeed.cli.output import show_finding, show_json, show_reading_progress, show_verdicts
from icsfeed.cli.support import (
    config_option,
    exit_code,
    json_option,
    load_or_exit,
    open_feeds,
    run,
    set_up_logs,
    write_file,
)


@click.command()
@click.option(
    "-o", "--output", default="feeds.yaml", show_default=True, metavar="FILE", help="The file to write."
)
@click.option("--schema", is_flag=True, help="Print the JSON schema of the configuration, for editors.")
def init(output: str, schema: bool) -> None:
    """Write a commented example of a configuration."""
    from pathlib import Path

    from icsfeed.config.file import example_text
    from icsfeed.config.json_schema import schema as json_schema

    if schema:
        show_json(json_schema(), indent=2)
        return
    write_file(Path(output), example_text().encode(), new=True)
    option = "" if output == "feeds.yaml" else f" --config {output}"
    click.echo(
        f"Wrote {output}. Edit it, set PLANE_API_KEY and ICSFEED_SECRET, then run: icsfeed check{option}"
    )


@click.command()
@config_option
@json_option
def check(config_path: str | None, as_json: bool) -> None:
    """Try everything for real, and say what to do.

    The configuration, each workspace, feed and target, and the store. The exit code is 0 if there is no
    error (warnings do not count), otherwise that of the first error. Stores what it reads from Plane, for a
    server that is started afterwards.
    """
    from icsfeed.cli.check import Finding, check_store, first_error
    from icsfeed.cli.check import check as check_service
    from icsfeed.store.store import open_store

    config = load_or_exit(config_path)

    async def work() -> None:
        findings: list[Finding] = []

        def take(finding: Finding) -> None:
            findings.append(finding)
            if not as_json:
                show_finding(finding)

        store = open_store(config.store.reveal(), os.environ)
        take(await check_store(store))
        # As few requests as possible: a running server shares the rate limit of the key.
        async with (
            open_feeds(config, store, sparing=True) as service,
            show_reading_progress(service, wanted=not as_json),
        ):
            async for finding in check_service(service):
                take(finding)
        if as_json:
            keys = ("level", "about", "text")
            show_json([{key: getattr(finding, key) for key in keys} for finding in findings])
        if any(finding.level == "error" for finding in findings):
            sys.exit(exit_code(first_error(findings)))

    run(work)


@click.command()
@click.argument("url")
@json_option
def doctor(url: str, as_json: bool) -> None:
    """Say which calendar apps fail with a feed.

    Requests the feed at URL as they do; it may be any feed, not only one of icsfeed. Exit codes: 0 if no app
    fails, 4 if some do, 69 if there is no answer, 76 if URL is not a calendar.
    """
    from icsfeed.doctor.probe import examine_url
    from icsfeed.doctor.verdict import judge, report, severity

    async def work() -> None:
        try:
            seen = await examine_url(url)
        except errors.InvalidValue as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        verdicts = judge(seen)
        if as_json:
            show_json(report(seen, verdicts))
        else:
            show_verdicts(verdicts)
        sys.exit(severity(seen, verdicts))

    set_up_logs("WARNING")
    run(work)
