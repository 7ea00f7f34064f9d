"""The command line: the group, and its commands by what they are for.

Everything heavy is imported by the command that needs it, so that --help is instant.
"""

import os

import click

from icsfeed import __version__
from icsfeed.cli.feed_commands import export, push, render, urls
from icsfeed.cli.link_commands import invite, links
from icsfeed.cli.server_commands import demo, serve, status
from icsfeed.cli.setup_commands import check, doctor, init


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


for command in (demo, serve, status, render, export, urls, links, invite, push, init, check, doctor):
    cli.add_command(command)


def main() -> None:
    """The `icsfeed` command. NO_COLOR turns colours off, unless it is empty (no-color.org)."""
    cli(color=False if os.environ.get("NO_COLOR") else None)
