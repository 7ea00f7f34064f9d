"""What the commands print for people."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import click

from icsfeed import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from icsfeed.app.check import Finding
    from icsfeed.core.config import Config


MARKS = {"ok": ("green", "ok"), "warning": ("yellow", "warning"), "error": ("red", "ERROR")}


def show_demo(url: str, feeds: Mapping[str, Any], config: Config, *, as_json: bool) -> None:
    """The links of the demo, once it serves."""
    if as_json:
        admin = config.admin_token.reveal() if config.admin_token else None
        click.echo(json.dumps({"url": url, "feeds": feeds, "admin_token": admin}))
        return
    click.echo(f"icsfeed {__version__} serves a sample workspace on {url}\n")
    show_links(feeds)
    click.echo("\nAdd one of them to a calendar app on this machine. Ctrl-C ends it.")


def show_links(feeds: Mapping[str, Any]) -> None:
    """A line for each feed, and under it one for each of its subscribers."""
    width = max((len(name) for name in feeds), default=0)
    for name, links in feeds.items():
        click.echo(f"{name:<{width}}  {links['ics']}")
        for subscriber, own in links.get("links", {}).items():
            click.echo(f"{'':<{width}}  {own['ics']}  ({subscriber})")


def show_finding(finding: Finding) -> None:
    """One line of `check`; an error stands out without colours too."""
    color, word = MARKS[finding.level]
    click.echo(f"{click.style(f'{word:<7}', fg=color)}  {finding.about}: {finding.text}")


def why_not_listening(error: OSError) -> str:
    """What keeps a server from its address, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return "it is in use; try another --port"
    if error.errno == errno.EACCES:
        return "that is not allowed; try a --port above 1023"
    return "there is no such address here; try another --host"
