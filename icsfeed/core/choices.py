"""What the link builder of a feed offers: only values that the feed shows anyway."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from icsfeed.core.config import Feed
from icsfeed.core.items import RANK, Item
from icsfeed.core.model import Priority, StateGroup

GROUPS: tuple[StateGroup, ...] = ("backlog", "unstarted", "started", "completed", "cancelled")
LONGEST = 200
"""Names of one kind that are offered at most: a form stays a form."""


class Choices(Struct, frozen=True):
    """The values there are, by parameter. `what`: the feed may be narrowed by what its issues are."""

    what: bool
    priority: tuple[Priority, ...] = ()
    group: tuple[StateGroup, ...] = ()
    state: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    assignee: tuple[str, ...] = ()


def choices_of(items: Sequence[Item], feed: Feed) -> Choices:
    """The choices of a whole feed. One that is busy offers none but days."""
    if feed.details == "busy":
        return Choices(what=False)
    facts = [item.facts for item in items if item.kind == "issue"]
    groups, priorities = {fact.group for fact in facts}, {item.priority for item in items}
    # Below full details, categories stand for the labels: they may be other things too.
    labelled = feed.details == "full" or feed.categories == ("labels",)
    return Choices(
        what=True,
        priority=tuple(priority for priority in RANK if priority in priorities),
        group=tuple(group for group in GROUPS if group in groups),
        state=_names(fact.state for fact in facts),
        label=_names(label for fact in facts for label in fact.labels) if labelled else (),
        assignee=_names(name for fact in facts for name in fact.people),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}, key=str.casefold)[:LONGEST])
