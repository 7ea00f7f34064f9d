"""CPU of rendering: cold, after a change, and for a second feed; compared with icalendar and itself."""

import zlib
from collections.abc import Sequence
from datetime import timedelta

import corpus
from icalendar import Calendar as Theirs
from icalendar import Event
from measure import Row, in_turns, on_the_wire, times_faster, times_the_cost

from icsfeed.cache.revisions import History, with_revisions
from icsfeed.feeds.rendered import Rendered, RenderedIssues, digest, parts, render
from icsfeed.ics.component import Component
from icsfeed.ics.write import CLOSING, Header, opening
from icsfeed.model import Snapshot

DAY = timedelta(days=1)


class Renderer:
    """Renders feeds of successive snapshots as the server does, with ETag and history."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.style = corpus.style()
        self.made = RenderedIssues(snapshot, self.style)
        self.held: dict[str, tuple[Rendered, History]] = {}
        self.turn = 0

    def feed(self, name: str) -> Rendered:
        calendar = corpus.calendar(self.snapshot, name)
        history = self.held[name][1] if name in self.held else None
        found = calendar.parts({self.snapshot.project.id: self.made})
        self.held[name] = render(calendar.header, found, history, digest(self.style), corpus.NOW)
        return self.held[name][0]

    def changed(self) -> Rendered:
        """Render the feed after one of its issues has changed."""
        self.turn += 1
        new = with_revisions(self.snapshot, corpus.edited(self.snapshot, self.turn), corpus.NOW)
        self.snapshot, self.made = new, RenderedIssues(new, self.style, self.made)
        return self.feed("everything")

    def changed_and_compressed(self) -> bytes:
        """Also compress it, as a thread of the server does for the first reader that accepts gzip."""
        return self.changed().compressed()

    def second(self) -> Rendered:
        """Render another feed over the same snapshot for the first time."""
        self.turn += 1
        rendered = self.feed(f"second-{self.turn}")
        del self.held[f"second-{self.turn}"]
        return rendered


def with_icalendar(header: Header, components: Sequence[Component]) -> bytes:
    """Return the same components with the same properties, written by icalendar."""
    calendar = Theirs()
    for name, value in (("prodid", "-//icsfeed//icsfeed//EN"), ("version", "2.0"), ("name", header.name)):
        calendar.add(name, value)
    for component in components:
        calendar.add_component(_event(component))
    return bytes(calendar.to_ical())


def _event(component: Component) -> Event:
    event = Event()
    assert component.last is not None  # noqa: S101
    properties = {
        "uid": component.uid,
        "dtstamp": component.revised,
        "dtstart": component.first,
        "dtend": component.last + DAY,
        "summary": component.summary,
        "status": component.status,
        "description": component.description,
        "categories": list(component.categories),
        "color": component.color,
        "priority": component.priority,
        "url": component.url,
        "transp": "TRANSPARENT",
        "x-microsoft-cdo-busystatus": "FREE",
        "created": component.created,
        "last-modified": component.revised,
        "sequence": component.sequence,
    }
    for name, value in properties.items():
        if value not in (None, []):
            event.add(name, value)
    return event


def measure(issues: int) -> list[Row]:
    """Return the rows of rendering."""
    snapshot = corpus.snapshot(issues)
    calendar = corpus.calendar(snapshot)
    components = list(calendar.components)

    def ours() -> bytes:
        return b"".join((opening(calendar.header), *(part.octets for part in parts(components)), CLOSING))

    def cold() -> Rendered:
        return Renderer(snapshot).feed("everything")

    warm = Renderer(snapshot)
    warm.feed("everything")
    found = in_turns(
        {
            "ours": ours,
            "icalendar": lambda: with_icalendar(calendar.header, components),
            "cold": cold,
            "changed": warm.changed,
            "gzip": warm.changed_and_compressed,
            "second": warm.second,
        }
    )
    rendered, cold_time, size = warm.changed(), found["cold"], f"{issues:,} events"
    plain = on_the_wire(rendered.size)
    return [
        times_faster(f"write {size}", "icalendar", found["ours"], found["icalendar"], 8, plain),
        times_faster(
            f"cold render and compress {size}",
            "icalendar, plain",
            cold_time + found["gzip"] - found["changed"],
            found["icalendar"],
            2.5,
            on_the_wire(len(rendered.compressed()), "gzip"),
        ),
        times_faster(
            f"render again, 1 of {size} changed", "cold render", found["changed"], cold_time, 20, plain
        ),
        times_faster(f"a second feed of {size}", "cold render", found["second"], cold_time, 5, plain),
        *_compressed(size, rendered, found["gzip"], cold_time),
    ]


def _compressed(size: str, rendered: Rendered, seconds: float, cold: float) -> list[Row]:
    """Return the CPU and the bytes of gzip, which a thread makes once for each change of a feed."""
    ours, theirs = len(rendered.compressed()), len(zlib.compress(rendered.body, 6, zlib.MAX_WBITS | 16))
    wire = on_the_wire(ours, "gzip")
    bytes_ = f"{ours:,} B", f"{theirs:,} B", round(ours / theirs, 3)
    return [
        times_the_cost(
            f"render again and compress, 1 of {size} changed", "cold render", seconds, cold, 2, wire
        ),
        Row(f"gzip of {size}", "zlib, level 6", *bytes_, "x the bytes", "max", 1.05, wire),
    ]
