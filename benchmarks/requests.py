"""Requests to Plane and bytes of its answers, compared with what the API forces and allows."""
# ruff: noqa: T201 - printing is what it is for

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path

from msgspec import Struct, to_builtins
from msgspec.structs import replace
from simulation import (
    KINDS,
    Counted,
    Wire,
    busiest,
    clock,
    long_project,
    many_projects,
    serving,
    settings,
    simulated,
    timer,
)

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.cache.workspace import Workspace
from icsfeed.config.schema import Cache, Duration, Feed
from icsfeed.demo.data import DemoProject
from icsfeed.demo.editions import COMMUNITY, EDITIONS, Edition
from icsfeed.demo.sample import FILLED
from icsfeed.feeds.service import FeedService
from icsfeed.plane.webhook import WebhookChange

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from plane.data import PlaneData

PAGE_ROWS = 1000
"""Rows in Plane's largest page."""
REQUESTS_PER_MINUTE = 60
"""Requests that Plane allows for a person's key."""
CHANGES = (5, 200)
ALL_STALE_SECONDS = 660.0
"""After which nothing is fresh any more, neither issues nor names."""
STALE_SECONDS = 61.0
"""After which only issues are not fresh any more."""


class Refresh(Struct, frozen=True):
    """A read of a project. `least`: pages of issues that the API forces; `ratio`: ours to those."""

    requests: Mapping[str, int]
    total: int
    size: int
    least: int
    ratio: float


class Period(Struct, frozen=True):
    """A period of a running server. `ratio`: its requests to the `budget` of that time.

    `busiest`: the most requests in any minute. `oldest`: the age in seconds of the oldest copy that a
    reader got, None where nobody read. `refused`: answers with 429. `changes`: issues changed meanwhile.
    """

    requests: Mapping[str, int]
    total: int
    size: int
    seconds: int
    budget: int
    ratio: float
    busiest: int
    refused: int
    changes: int
    oldest: float | None


class Results(Struct, frozen=True):
    """The arguments, and the results by name."""

    issues: int
    projects: int
    many: int
    minutes: int
    refreshes: Mapping[str, Refresh]
    periods: Mapping[str, Period]
    editions: Mapping[str, Period]


def refresh(counted: Sequence[Counted], least: int) -> Refresh:
    requests = by_kind(counted)
    paged = requests["issues"] + requests["ids"]
    return Refresh(requests, len(counted), size_of(counted), least, round(paged / least, 2))


def period(
    counted: Sequence[Counted], seconds: float, changes: int = 0, oldest: float | None = None
) -> Period:
    budget = REQUESTS_PER_MINUTE * ceil(seconds / 60)
    return Period(
        by_kind(counted),
        len(counted),
        size_of(counted),
        round(seconds),
        budget,
        round(len(counted) / budget, 2),
        busiest(counted),
        sum(request.status == 429 for request in counted),
        changes,
        oldest,
    )


def by_kind(counted: Iterable[Counted]) -> dict[str, int]:
    """Return the number of requests of every kind."""
    return dict.fromkeys(KINDS, 0) | Counter(request.kind for request in counted)


def size_of(counted: Iterable[Counted]) -> int:
    return sum(request.size for request in counted)


async def one_project(issues: int) -> dict[str, Refresh]:
    """Read a feed over one long project on demand: cold, and after each kind of change."""
    data = long_project(issues)
    project = next(found for found in data.projects.values() if found.row["identifier"] == FILLED)
    config = settings(Feed(project=FILLED), Cache(deadline=Duration(86_400)))
    async with serving(data, config) as (service, wire):
        found = {"cold": refresh(await _read(service, wire), ceil(issues / PAGE_ROWS))}
        await _settle(service)
        await asyncio.sleep(STALE_SECONDS)
        found["unchanged"] = refresh(await _read(service, wire), 1)
        for count in CHANGES:
            await _settle(service)
            _change(data, project, count)
            await asyncio.sleep(STALE_SECONDS)
            found[f"changed_{count}"] = refresh(await _read(service, wire), ceil(count / PAGE_ROWS))
        await _settle(service)
        data.delete_issue(next(iter(project.issues)))
        await asyncio.sleep(STALE_SECONDS)
        found["deleted_1"] = refresh(await _read(service, wire), ceil(len(project.issues) / PAGE_ROWS))
    return found


async def _read(service: FeedService, wire: Wire) -> list[Counted]:
    """Return the requests that a read of the feed causes."""
    before = len(wire.counted)
    await service.rendered("feed")
    return wire.counted[before:]


async def _settle(service: FeedService) -> None:
    """Read everything again, long after the last change, so that names are as fresh as possible."""
    await asyncio.sleep(ALL_STALE_SECONDS)
    await service.rendered("feed")


def _change(data: PlaneData, project: DemoProject, count: int) -> None:
    """Rename `count` issues across the project."""
    ids = list(project.issues)
    for id_ in ids[:: max(1, len(ids) // count)][:count]:
        data.patch_issue(id_, {"name": f"Changed, one of {count}"})


async def running(
    projects: int, minutes: int, *, hooked: bool, edition: Edition = COMMUNITY
) -> tuple[Period, Period]:
    """A server that keeps itself fresh: its start, and once everything is read a reader of everything and a
    change a minute.
    """
    data = many_projects(projects)
    config = settings(Feed(everything=True), Cache())
    async with serving(data, config, edition) as (service, wire):
        watch = BackgroundRefresh(service.workspaces["demo"], config.cache, timer)
        task = asyncio.create_task(watch.run())
        try:
            start = await _started(service, wire)
            while not _is_complete(service.workspaces["demo"]):  # noqa: ASYNC110 - as above
                await asyncio.sleep(1)
            return start, await _read_by_the_minute(service, wire, data, minutes, watch if hooked else None)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await watch.close()


async def _started(service: FeedService, wire: Wire) -> Period:
    """Measure the time until feeds of all projects answer: with all issues, and some of their cycles."""
    began = timer()
    while not service.workspaces["demo"].is_ready:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(1)
    return period(wire.counted, timer() - began)


def _is_complete(workspace: Workspace) -> bool:
    """Return whether everything of every project was read."""
    return all(map(workspace.snapshots.snapshot, workspace.resources.all_projects))


async def _read_by_the_minute(
    service: FeedService, wire: Wire, data: PlaneData, minutes: int, hooks: BackgroundRefresh | None
) -> Period:
    """Change an issue each minute, call `hooks` with it, and read the feed half a minute later."""
    before, began, oldest = len(wire.counted), timer(), 0.0
    projects = list(data.projects.values())
    for minute in range(minutes):
        await _until(began + 60 * minute)
        project = projects[minute % len(projects)]
        _change(data, project, 1)
        if hooks:
            hooks.touch(_webhook(project))
        await _until(began + 60 * minute + 30)
        await service.rendered("feed")
        view = await service.view("feed")
        oldest = max(oldest, (clock() - view.read_at).total_seconds())
    await _until(began + 60 * minutes)
    return period(wire.counted[before:], 60 * minutes, minutes, round(oldest, 1))


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - timer()))


def _webhook(project: DemoProject) -> WebhookChange:
    """Return the webhook for a change of an issue in this project."""
    of = frozenset({project.row["id"]})
    return WebhookChange(action="update", resources=frozenset({"issues"}), projects=of)


async def refreshed(projects: int, edition: Edition) -> Period:
    """A refresh of many unchanged projects by a reader, when only their issues are not fresh any more."""
    week = Duration(7 * 86_400)
    cache = Cache(projects=week, members=week, states=week, labels=week, cycles=week, modules=week)
    config = settings(Feed(everything=True), replace(cache, deadline=Duration(3_600)))
    async with serving(many_projects(projects), config, edition) as (service, wire):
        for _ in range(3):  # cold, the first check, and all projects once after it
            await service.rendered("feed")
            await asyncio.sleep(ALL_STALE_SECONDS)
        began, counted = timer(), await _read(service, wire)
        return period(counted, timer() - began)


def in_editions(projects: int, minutes: int) -> dict[str, Period]:
    """Return what many projects on one key cost in each edition: a refresh, and a running server."""
    found = {}
    for name, edition in EDITIONS.items():
        found[f"{name}, unchanged"] = simulated(refreshed(projects, edition))
        _, found[name] = simulated(running(projects, minutes, hooked=False, edition=edition))
        _, found[f"{name}, hooks"] = simulated(running(projects, minutes, hooked=True, edition=edition))
    return found


def measure(issues: int, projects: int, many: int, minutes: int) -> Results:
    """Measure everything, each part in a simulation of its own."""
    start, polled = simulated(running(projects, minutes, hooked=False))
    _, hooked = simulated(running(projects, minutes, hooked=True))
    periods = {"start": start, "polled": polled, "webhooks": hooked}
    refreshes, editions = simulated(one_project(issues)), in_editions(many, minutes)
    return Results(issues, projects, many, minutes, refreshes, periods, editions)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with columns as wide as needed, the first aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def refreshes_table(results: Results) -> str:
    head = ("one project", *KINDS, "all", "KB", "pages forced", "ratio")
    rows = (
        (name, *_counts(it), str(it.total), _kilobytes(it), str(it.least), f"{it.ratio:.2f}")
        for name, it in results.refreshes.items()
    )
    return table([head, *rows])


def periods_table(projects: int, periods: Mapping[str, Period]) -> str:
    more = ("seconds", "budget", "ratio", "busiest minute", "429", "oldest copy")
    rows = (
        (
            *(name, *_counts(it), str(it.total), _kilobytes(it), str(it.seconds), str(it.budget)),
            *(f"{it.ratio:.2f}", str(it.busiest), str(it.refused)),
            "-" if it.oldest is None else f"{it.oldest:.0f} s",
        )
        for name, it in periods.items()
    )
    return table([(f"{projects} projects", *KINDS, "all", "KB", *more), *rows])


def _counts(of: Refresh | Period) -> Iterable[str]:
    return (str(of.requests[kind]) for kind in KINDS)


def _kilobytes(of: Refresh | Period) -> str:
    return f"{of.size / 1000:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issues", type=int, default=10_000, help="issues of the one project (10000)")
    parser.add_argument("--projects", type=int, default=30, help="projects of the running server (30)")
    parser.add_argument("--many", type=int, default=100, help="projects of each edition (100)")
    parser.add_argument("--minutes", type=int, default=60, help="how long it runs, simulated (60)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args(arguments)
    results = measure(given.issues, given.projects, given.many, given.minutes)
    if given.json:
        print(json.dumps(to_builtins(results)))
        return
    print(f"Requests to Plane for one project of {given.issues} issues, read on demand\n")
    print(refreshes_table(results))
    print(f"\nA server of {given.projects} projects; after its start {given.minutes} minutes, each with a")
    print("changed issue and a reader of everything\n")
    print(periods_table(results.projects, results.periods))
    print("\nThe same with many projects on each edition, and a refresh when only issues are due\n")
    print(periods_table(results.many, results.editions))


if __name__ == "__main__":
    main()
