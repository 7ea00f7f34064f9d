"""What the commands print for people."""

from __future__ import annotations

import errno
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional, category

import click

from icsfeed import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from rich.progress import Progress, TaskID

    from icsfeed.cache.workspace import Workspace
    from icsfeed.cli.check import Finding
    from icsfeed.config.schema import Config
    from icsfeed.doctor.verdict import ClientRemark, Verdict
    from icsfeed.export.run import ExportResult
    from icsfeed.feeds.service import FeedService
    from icsfeed.push.report import TargetReport
    from icsfeed.server.live_status import LiveState


_CONTROL = ("Cc", "Cs", "Zl", "Zp")
_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Classes of characters that change the direction of what follows (UAX 9)."""

MARKS = {"ok": ("green", "ok"), "warning": ("yellow", "warning"), "error": ("red", "ERROR")}


def show_json(value: object, indent: int | None = None) -> None:
    """For scripts."""
    import json  # imported late, as all that --help does without

    click.echo(json.dumps(value, indent=indent))


def show_demo(url: str, feeds: Mapping[str, Any], config: Config, *, as_json: bool) -> None:
    """The links of the demo, once it serves."""
    if as_json:
        admin = config.admin_token.reveal() if config.admin_token else None
        show_json({"url": url, "feeds": feeds, "admin_token": admin})
        return
    click.echo(f"icsfeed {__version__} serves a sample workspace on {url}\n")
    width = max(map(len, feeds), default=0)
    for name, links in feeds.items():
        say(f"{name:<{width}}  {links['ics']}")
    click.echo(
        "\nAdd one of them to a calendar app on this machine, or open its page, the link without .ics."
    )
    if "plan" in feeds:
        click.echo(f"A page, and one for a frame in other pages:\n{feeds['plan']['page']}")
        click.echo(feeds["plan"]["embed"])
    click.echo("Ctrl-C ends it.")


def show_links(feeds: Mapping[str, Any]) -> None:
    """Under each feed's name its three links, and those of its subscribers."""
    for name, links in feeds.items():
        say(name)
        _show_three(links)
        for subscriber, own in links.get("links", {}).items():
            _show_three(own, f"  ({subscriber})")


def _show_three(links: Mapping[str, str], whose: str = "") -> None:
    for what in ("ics", "page", "embed"):
        say(f"  {what:<5}  {links[what]}{whose}")


def printable(text: str) -> str:
    """The text without what steers a terminal, or cannot be written to one."""
    return "".join(
        " " if category(sign) in _CONTROL or bidirectional(sign) in _TURNS else sign for sign in text
    )


def say(text: str, *, mark: str = "", color: str | None = None, err: bool = False) -> None:
    """Print a line, which may hold names of people and servers, after a mark."""
    click.echo(f"{click.style(mark, fg=color)}{printable(text)}", err=err)


def show_finding(finding: Finding) -> None:
    """One line of `check`; an error stands out without colours too."""
    color, word = MARKS[finding.level]
    say(f"  {finding.about}: {finding.text}", mark=f"{word:<7}", color=color)


LISTED = 20
"""Lines of one kind that a report prints at most."""


def show_report(report: TargetReport) -> None:
    """What a push did, or would do, for one target."""
    for action in report.actions or ():
        say(f"{action.kind:<9}  {action.href}  {action.uid}")
    found = report.as_json()
    counts = ", ".join(
        f"{found[name]} {name}" for name in ("created", "updated", "adopted", "deleted", "kept")
    )
    would = "would be: " if report.actions is not None else ""
    say(
        f"{report.target}: {would}{counts}, {len(report.failures)} failed; "
        f"{report.requests} requests, {report.seconds:.1f} s"
    )
    for warning in report.warnings:
        say(f"  {warning}", mark="warning", color="yellow", err=True)
    if report.failures:
        _complain("not written", [f"{one.href}: {one.reason}" for one in report.failures])
    if report.refused is not None:
        remedy = "" if report.refused.final else " (--force deletes them)"
        _complain(f"not deleted: {report.refused.reason}{remedy}", [one.href for one in report.spared])
    if report.leftovers:
        from icsfeed.push.report import LEFT_OVER

        _complain(f"{len(report.leftovers)} {LEFT_OVER}", [one.href for one in report.leftovers])
    if report.error is not None:
        _complain(str(report.error), [])


def _complain(what: str, lines: list[str]) -> None:
    say(f"    {what}", mark="ERROR", color="red", err=True)
    for line in lines[:LISTED]:
        say(f"         {line}", err=True)
    if len(lines) > LISTED:
        say(f"         … and {len(lines) - LISTED} more", err=True)


class PushBars:
    """A bar for each target that is pushed to, for a person who looks; nothing in a log or a pipe."""

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def counts(self, name: str, done: int, total: int) -> None:
        """Show how many writes are done, and of how many."""
        if self._bars is not None:
            self._bars.update(self._task(name), completed=done, total=total)

    def waits(self, name: str, text: str) -> None:
        """Show what the push waits for; an empty text: for nothing."""
        if self._bars is not None:
            self._bars.update(self._task(name), waits=text, refresh=True)

    def _task(self, name: str) -> TaskID:
        if self._bars is None or name in self._tasks:
            return self._tasks[name]
        self._tasks[name] = self._bars.add_task(name, total=None, waits="")
        return self._tasks[name]

    def show(self, report: TargetReport) -> None:
        """Print what a push did in the place of its bar."""
        if self._bars is not None:
            self._bars.remove_task(self._task(report.target))
            self._bars.stop()
        show_report(report)
        if self._bars is not None:
            self._bars.start()


@contextmanager
def push_bars(*, wanted: bool) -> Iterator[PushBars]:
    """The bars, until the end of the block."""
    if not (wanted and sys.stderr.isatty()):
        yield PushBars(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[waits]}", markup=False),
    )
    bars = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bars:
        yield PushBars(bars)


@asynccontextmanager
async def reading_shown(service: FeedService, *, wanted: bool) -> AsyncIterator[None]:
    """How far Plane is read and what that waits for, for a person who looks; the log says the latter too."""
    if not (wanted and sys.stderr.isatty()):
        yield
        return
    import asyncio

    from rich.console import Console

    with Console(stderr=True).status("reading Plane") as line:

        async def follow() -> None:
            while True:
                line.update("; ".join(map(_reading, service.workspaces.values())) or "reading Plane")
                await asyncio.sleep(0.5)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _reading(workspace: Workspace) -> str:
    count = len(workspace.resources.all_projects)
    read = f"{workspace.name}: {workspace.projects_read} of {count} projects read"
    return f"{read}, {workspace.waiting}" if workspace.waiting else read


def show_exported(done: ExportResult) -> None:
    """What changed, a line each; what failed to standard error; and the counts."""
    for word in ("written", "removed"):
        for feed in getattr(done, word):
            say(f"{word:<9}  {feed}")
    for feed, reason in done.failed.items():
        say(f"icsfeed: {feed} was not exported: {reason}", err=True)
    counts = [f"{len(getattr(done, word))} {word}" for word in ("written", "unchanged", "removed", "failed")]
    say(", ".join(counts))


def show_state(state: LiveState, asked: str) -> None:
    """How a server is, a line for each thing that is wrong, and what to do where nothing answers."""
    say("ready" if state.ready else "not ready" if state.live else "no answer")
    for about, problem in state.problems.items():
        say(f"{about}: {problem}")
    if not state.live:
        say(f"asked {asked}: is `icsfeed serve` running there? Else: icsfeed status URL", err=True)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """What holds for every app once, then a line for each app and one for each further reason."""
    shared = [reason for reason in verdicts[0].reasons if all(reason in one.reasons for one in verdicts)]
    show_reasons("every app", shared)
    for verdict in verdicts:
        color = {"works": "green", "limited": "yellow", "fails": "red"}[verdict.word]
        click.echo(f"{verdict.app:<16}  {click.style(verdict.word, fg=color)}")
        show_reasons("", [reason for reason in verdict.reasons if reason not in shared])


def show_reasons(about: str, reasons: Sequence[ClientRemark]) -> None:
    """`!` before what keeps an app from working well, `-` before what is good to know."""
    for reason in reasons:
        say(f"{about:<16}  {'-' if reason.weight == 'note' else '!'} {reason.text}")


def why_not_listening(error: OSError, option: str) -> str:
    """What keeps a server from its address, and what to do. `option`: --port or --uds."""
    if error.errno == errno.EADDRINUSE:
        return f"it is in use; try another {option}"
    if option != "--port":
        return f"{error.strerror or error}; try another {option}"
    if error.errno == errno.EACCES:
        return "that is not allowed; try a --port above 1023"
    return "there is no such address here; try another --host"
