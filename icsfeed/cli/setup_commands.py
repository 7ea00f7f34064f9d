"""Commands for setting up: init, check, doctor."""

from __future__ import annotations

import os
import sys

import click

from icsfeed import errors
from icsfeed.cli.output import reading_shown, show_finding, show_json, show_verdicts
from icsfeed.cli.support import (
    config_option,
    configuration,
    exit_code,
    json_option,
    patient,
    run,
    set_up_logs,
    write_new,
)


@click.command()
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


@click.command()
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


@click.command()
@click.argument("url")
@json_option
def doctor(url: str, as_json: bool) -> None:
    """Say which calendar apps fail with a feed.

    Asks for the feed at URL as they do. Any feed will do, ours or not. Ends with 0 when none fails, 4 when
    some do, 69 when there is no answer, 76 when there is no calendar at URL.
    """
    from icsfeed.doctor.report import doctor as verdicts_of
    from icsfeed.doctor.report import report, severity

    async def work() -> None:
        try:
            seen, verdicts = await verdicts_of(url)
        except errors.InvalidValue as error:
            raise click.BadParameter(str(error), param_hint="URL") from None
        if as_json:
            show_json(report(seen, verdicts))
        else:
            show_verdicts(verdicts)
        sys.exit(severity(seen, verdicts))

    set_up_logs("WARNING")
    run(work)
