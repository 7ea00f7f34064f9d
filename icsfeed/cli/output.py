"""What the commands print: reports for people, JSON for scripts, progress on a terminal."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional, category

import click

from icsfeed import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from rich.progress import Progress, TaskID

    from icsfeed.cli.check import Finding
    from icsfeed.config.schema import Config
    from icsfeed.doctor.verdict import ClientRemark, Verdict
    from icsfeed.export.run import ExportResult
    from icsfeed.feeds.service import FeedService
    from icsfeed.own_links.listing import ListedLink
    from icsfeed.push.report import PushEvents, TargetReport
    from icsfeed.server.live_status import LiveState


_CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_DIRECTION_CLASSES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Bidirectional classes of characters that change the direction of the text after them (UAX 9)."""

LEVELS = {"ok": ("green", "ok"), "warning": ("yellow", "warning"), "error": ("red", "ERROR")}
"""Colour and mark of a finding. Upper case makes errors stand out without colours too."""
MAX_LISTED = 20
"""Lines of one kind that a report prints."""


def show_json(value: object, indent: int | None = None) -> None:
    """Print JSON."""
    import json  # late, as everything that --help does not need

    click.echo(json.dumps(value, indent=indent))


def printable(text: str) -> str:
    """Return the text with a space for each character that steers a terminal or cannot be written to one."""
    return "".join(
        " " if category(char) in _CONTROL_CATEGORIES or bidirectional(char) in _DIRECTION_CLASSES else char
        for char in text
    )


def print_line(text: str, *, mark: str = "", color: str | None = None, err: bool = False) -> None:
    """Print a line after a coloured mark. The text may hold names that people and servers have chosen."""
    click.echo(f"{click.style(mark, fg=color)}{printable(text)}", err=err)


def show_demo(url: str, feeds: Mapping[str, Any], config: Config, *, as_json: bool) -> None:
    """Print the links of the demo; as JSON on one line, with the administrator's token."""
    if as_json:
        admin = config.admin_token.reveal() if config.admin_token else None
        show_json({"url": url, "feeds": feeds, "admin_token": admin})
        return
    click.echo(f"icsfeed {__version__} serving a sample workspace on {url}\n")
    width = max(map(len, feeds), default=0)
    for name, links in feeds.items():
        print_line(f"{name:<{width}}  {links['ics']}")
    click.echo(
        "\nAdd one of them to a calendar app on this machine, or open its page: the link without .ics."
    )
    if "plan" in feeds:
        click.echo(f"A page, and one for frames in other pages:\n{feeds['plan']['page']}")
        click.echo(feeds["plan"]["embed"])
    click.echo("Press Ctrl-C to stop.")


def show_links(feeds: Mapping[str, Any]) -> None:
    """Print each feed's name, its links, and those of its subscribers."""
    for name, feed in feeds.items():
        print_line(name)
        shared = [(feed, "")]
        personal = [(links, f"  ({subscriber})") for subscriber, links in feed.get("links", {}).items()]
        for links, subscriber in shared + personal:
            for kind in ("ics", "page", "embed"):
                print_line(f"  {kind:<5}  {links[kind]}{subscriber}")


def show_own_links(links: Sequence[ListedLink]) -> None:
    """Print a line for each link that somebody has made, in columns."""
    rows = [("ID", "PERSON", "NAME", "FEED", "LAST READ", "STATE")]
    for link in links:
        last = f"{link.last_read.at:%Y-%m-%d %H:%M} {link.last_read.app}" if link.last_read else "never"
        feed = f"{link.feed or 'all feeds'}{'?' if link.filter else ''}{link.filter}"
        rows.append((link.id, link.person, link.name, feed, last, "" if link.state == "used" else link.state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [f"{text:<{width}}" for text, width in zip(row, widths, strict=False)]
        print_line("  ".join((*cells, row[-1])).rstrip())


def show_finding(finding: Finding) -> None:
    """Print a line of `check`."""
    color, mark = LEVELS[finding.level]
    print_line(f"  {finding.about}: {finding.text}", mark=f"{mark:<7}", color=color)


def show_report(report: TargetReport) -> None:
    """Print what a push did, or would do, for one target."""
    for action in report.actions or ():
        print_line(f"{action.kind:<9}  {action.href}  {action.uid}")
    values = report.as_json()
    counts = ", ".join(
        f"{values[name]} {name}" for name in ("created", "updated", "adopted", "deleted", "kept")
    )
    would = "would be: " if report.actions is not None else ""
    print_line(
        f"{report.target}: {would}{counts}, {len(report.failures)} failed; "
        f"{report.requests} requests, {report.seconds:.1f} s"
    )
    for warning in report.warnings:
        print_line(f"  {warning}", mark="warning", color="yellow", err=True)
    if report.failures:
        _show_error("not written", [f"{failure.href}: {failure.reason}" for failure in report.failures])
    if report.refused is not None:
        remedy = "" if report.refused.final else " (--force deletes them)"
        spared = [action.href for action in report.spared]
        _show_error(f"not deleted: {report.refused.reason}{remedy}", spared)
    if report.leftovers:
        from icsfeed.push.report import LEFTOVERS_TEXT

        leftovers = [action.href for action in report.leftovers]
        _show_error(f"{len(leftovers)} {LEFTOVERS_TEXT}", leftovers)
    if report.error is not None:
        _show_error(str(report.error), [])


def _show_error(text: str, lines: list[str]) -> None:
    print_line(f"    {text}", mark="ERROR", color="red", err=True)
    for line in lines[:MAX_LISTED]:
        print_line(f"         {line}", err=True)
    if len(lines) > MAX_LISTED:
        print_line(f"         … and {len(lines) - MAX_LISTED} more", err=True)


class PushBars:
    """A progress bar for each target."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def count(self, target: str, done: int, total: int) -> None:
        """Show how many of how many writes are done."""
        self._bars.update(self._task(target), completed=done, total=total)

    def wait(self, target: str, reason: str) -> None:
        """Show what the push waits for; an empty reason: it continues."""
        self._bars.update(self._task(target), reason=reason, refresh=True)

    def _task(self, target: str) -> TaskID:
        if target not in self._tasks:
            self._tasks[target] = self._bars.add_task(target, total=None, reason="")
        return self._tasks[target]

    def show(self, report: TargetReport) -> None:
        """Print what a push did, in place of its bar."""
        self._bars.remove_task(self._task(report.target))
        # A running bar would be drawn into the lines of the report.
        self._bars.stop()
        show_report(report)
        self._bars.start()


@contextmanager
def show_push_progress(*, wanted: bool) -> Iterator[PushEvents]:
    """Yield what prints the reports of a push, and shows its bars if standard error is a terminal."""
    from icsfeed.push.report import PushEvents

    if not (wanted and sys.stderr.isatty()):
        yield PushEvents(report=show_report) if wanted else PushEvents()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # No markup: a target's name or a server's words could hold brackets, which rich reads as styles.
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[reason]}", markup=False),
    )
    console = Console(stderr=True)
    progress = Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    with progress:
        bars = PushBars(progress)
        yield PushEvents(bars.count, bars.wait, bars.show)


@asynccontextmanager
async def show_reading_progress(service: FeedService, *, wanted: bool) -> AsyncIterator[None]:
    """Show how much of Plane is read and what that waits for, if standard error is a terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console

    from icsfeed.push.read_feed import reading_progress

    # Standard error: standard output may be a pipe, and holds nothing but results.
    with Console(stderr=True).status("reading Plane") as line:
        async with reading_progress(service, line.update):
            yield


def show_exported(result: ExportResult) -> None:
    """Print a line for each file that changed, the failures to standard error, and the counts."""
    for word in ("written", "removed"):
        for feed in getattr(result, word):
            print_line(f"{word:<9}  {feed}")
    for feed, reason in result.failed.items():
        print_line(f"icsfeed: {feed} was not exported: {reason}", err=True)
    words = ("written", "unchanged", "removed", "failed")
    print_line(", ".join(f"{len(getattr(result, word))} {word}" for word in words))


def show_state(state: LiveState, url: str) -> None:
    """Print the state of a server, a line for each problem, and what to do if there is no answer."""
    print_line("ready" if state.ready else "not ready" if state.live else "no answer")
    for about, problem in state.problems.items():
        print_line(f"{about}: {problem}")
    if not state.live:
        print_line(f"asked {url}: is `icsfeed serve` running there? Else: icsfeed status URL", err=True)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print the reasons that all apps share, then a line for each app with its other reasons."""
    # What the server does wrong concerns all apps: it is said once.
    shared = [
        reason for reason in verdicts[0].reasons if all(reason in verdict.reasons for verdict in verdicts)
    ]
    show_reasons("every app", shared)
    for verdict in verdicts:
        color = {"works": "green", "limited": "yellow", "fails": "red"}[verdict.word]
        click.echo(f"{verdict.app:<16}  {click.style(verdict.word, fg=color)}")
        show_reasons("", [reason for reason in verdict.reasons if reason not in shared])


def show_reasons(about: str, reasons: Sequence[ClientRemark]) -> None:
    """Print reasons: `!` before what keeps an app from working well, `-` before a note."""
    for reason in reasons:
        print_line(f"{about:<16}  {'-' if reason.weight == 'note' else '!'} {reason.text}")
