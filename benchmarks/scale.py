"""How cost grows with issues (100 to 100,000) and with feeds (1 to 1,000), for the chart."""

from collections.abc import Callable, Sequence
from functools import partial
from time import process_time

import corpus
from chart import svg
from crowd import cost_of, spread
from msgspec import Struct
from rendering import Renderer

from icsfeed.config.schema import Feed
from icsfeed.model import Snapshot

ISSUES = (100, 1_000, 10_000, 100_000)
FEEDS = (1, 10, 100, 1_000)
ISSUES_OF_FEEDS = 2_000
"""Issues in the snapshot of the many feeds."""


class Curve(Struct, frozen=True):
    """A line of a panel. `points`: (issues or feeds, milliseconds or MB)."""

    panel: str
    name: str
    points: Sequence[tuple[float, float]]


def measure(most: int = ISSUES[-1], feeds: int = FEEDS[-1]) -> list[Curve]:
    """Measure all curves, up to so many issues and feeds."""
    return [*_by_issues([n for n in ISSUES if n <= most]), *_by_feeds([n for n in FEEDS if n <= feeds])]


def drawn(curves: Sequence[Curve]) -> str:
    """Return the chart as SVG."""
    panels: dict[str, dict[str, Sequence[tuple[float, float]]]] = {}
    for curve in curves:
        panels.setdefault(curve.panel, {})[curve.name] = curve.points
    below = {panel: panel.rpartition(" by ")[2] for panel in panels}
    return svg(panels, below)


def _by_issues(counts: Sequence[int]) -> list[Curve]:
    cold, changed, second = [], [], []
    for count in counts:
        renderer = Renderer(corpus.snapshot(count))
        cold.append((count, _milliseconds(partial(renderer.feed, "everything"))))
        renderer.changed()
        changed.append((count, min(_milliseconds(renderer.changed) for _ in range(3))))
        second.append((count, min(_milliseconds(renderer.second) for _ in range(3))))
    panel = "milliseconds of CPU by issues"
    found = {"cold render": cold, "after 1 change": changed, "a second feed": second}
    return [Curve(panel, name, points) for name, points in found.items()]


def _by_feeds(counts: Sequence[int]) -> list[Curve]:
    snapshots: list[Snapshot] = spread(ISSUES_OF_FEEDS)
    costs = [
        (count, cost_of(snapshots, {f"all-{n}": Feed(everything=True) for n in range(count)}))
        for count in counts
    ]
    plain = costs[0][1].held
    panel = f"feeds of the same {ISSUES_OF_FEEDS:,} issues: by feeds"
    return [
        Curve(panel, "MB held", [(count, cost.held) for count, cost in costs]),
        Curve(panel, "MB if each had a body of its own", [(count, plain * count) for count, _ in costs]),
        Curve(panel, "seconds of CPU, cold", [(count, cost.seconds) for count, cost in costs]),
    ]


def _milliseconds(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return max(0.01, (process_time() - began) * 1000)
