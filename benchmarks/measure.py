"""Ratios of two measurements: both made in turns in the same run, the median of each; and their table."""

import gc
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import process_time

from msgspec import Struct

ROUNDS = 5
BOUNDS = {"min": "at least", "max": "at most"}


class Row(Struct, frozen=True):
    """One line of the table. `value` in `unit` is to be at least (`bound` "min") or at most ("max") `wanted`,
    or is for information only (no bound).

    `ours` and `theirs` say what the value was made of. `wire`: bytes of our body as it is sent, where one is.
    """

    what: str
    baseline: str
    ours: str
    theirs: str
    value: float
    unit: str
    bound: str
    wanted: float
    wire: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound."""
        if not self.bound:
            return True
        return self.value >= self.wanted if self.bound == "min" else self.value <= self.wanted


def in_turns(cases: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the seconds of CPU of each case: the median of `rounds` turns, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, work in cases.items():
            gc.collect()
            began = process_time()
            work()
            if turn:
                found[name].append(process_time() - began)
    return {name: median(times) for name, times in found.items()}


def times_faster(what: str, baseline: str, ours: float, theirs: float, wanted: float, wire: str = "") -> Row:
    """Return a row with the factor by which ours is faster; both in seconds."""
    value, times = round(theirs / ours, 2), (_milliseconds(ours), _milliseconds(theirs))
    return Row(what, baseline, *times, value, "x faster", "min", wanted, wire)


def times_the_cost(
    what: str, baseline: str, ours: float, theirs: float, wanted: float, wire: str = ""
) -> Row:
    """Return a row with the ratio of our seconds to those of the baseline."""
    value, times = round(ours / theirs, 2), (_milliseconds(ours), _milliseconds(theirs))
    return Row(what, baseline, *times, value, "x the cost", "max", wanted, wire)


def on_the_wire(size: int, coding: str = "") -> str:
    """Return the bytes of a body as it is sent, for a row."""
    return f"{size / 1000:,.1f} KB{coding and ' '}{coding}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with columns as wide as needed, the first aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def rows_table(rows: Sequence[Row]) -> str:
    """Return the table for people."""
    head = ("what", "baseline", "ours", "baseline's", "ratio", "wanted", "on the wire", "")
    lines = [
        (
            *(row.what, row.baseline, row.ours, row.theirs, f"{row.value:g} {row.unit}"),
            f"{BOUNDS[row.bound]} {row.wanted:g}" if row.bound else "",
            row.wire,
            "" if row.holds else "MISSED",
        )
        for row in rows
    ]
    return table([head, *lines])
