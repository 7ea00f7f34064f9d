"""Components as they stand in feeds: each written once, and shared by all feeds that show it so.

Nothing here decides what a feed says: `RenderedIssues` gives what issue_components and write give, and is
tested against them. It only remembers, so that a change of one issue costs the writing of one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from operator import attrgetter

from msgspec import Struct

from icsfeed.cache.revisions import differing
from icsfeed.feeds.mapping import Style, issue_components
from icsfeed.ics.component import Component
from icsfeed.ics.write import write
from icsfeed.model import Issue, Snapshot

NOBODY: frozenset[str] = frozenset()


class RenderedComponent(Struct, frozen=True, gc=False):
    """A component's bytes and their SHA-256. Feeds sort by `place`. `revised`: as the component says."""

    place: str
    revised: datetime
    octets: bytes
    digest: bytes


def part(component: Component) -> RenderedComponent:
    """The component as bytes, to be sorted by date and UID (mapping.md, 4); undated ones come last."""
    day, uid = component.sort_key
    octets = write(component)
    return RenderedComponent(f"{day.isoformat()} {uid}", component.revised, octets, sha256(octets).digest())


def parts(components: Iterable[Component]) -> Sequence[RenderedComponent]:
    """All of them, sorted."""
    return in_order(map(part, components))


def in_order(found: Iterable[RenderedComponent]) -> Sequence[RenderedComponent]:
    """Parts as a feed has them."""
    return sorted(found, key=attrgetter("place"))


class RenderedIssues:
    """The issues of a project's `snapshot` in one `style`; `before`: what was so far, to go on from.

    Threads may share it: at worst something is written twice.
    """

    def __init__(self, snapshot: Snapshot, style: Style, before: "RenderedIssues | None" = None) -> None:
        self.snapshot = snapshot
        self._style = style
        self._made = before._still(snapshot) if before is not None else {}

    def of(self, issue: Issue, parents: frozenset[str] = NOBODY) -> tuple[RenderedComponent, ...]:
        """The parts of an issue of the snapshot. `parents`: ids of issues that the feed holds as VTODOs."""
        key = issue.id if issue.parent not in parents else _as_child(issue.id)
        made = self._made.get(key)
        if made is None:
            components = issue_components(issue, self.snapshot, self._style, parents)
            made = self._made[key] = tuple(map(part, components))
        return made

    def _still(self, snapshot: Snapshot) -> dict[str, tuple[RenderedComponent, ...]]:
        """What is the same in this snapshot, which comes after ours."""
        made = dict(self._made)
        if snapshot is not self.snapshot:
            gone = self.snapshot.issues.keys() - snapshot.issues.keys()
            for id_ in gone | differing(self.snapshot, snapshot):
                made.pop(id_, None)
                made.pop(_as_child(id_), None)
        return made


def _as_child(issue_id: str) -> str:
    """How an issue is remembered that names its parent: a task whose parent is in the feed, too."""
    return f"{issue_id} child"
