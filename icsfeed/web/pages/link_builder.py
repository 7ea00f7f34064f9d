"""What the link builder of a feed offers: only values that the feed shows anyway."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from icsfeed.config.schema import Feed
from icsfeed.feeds.query import may_remind, shown_fields, tells_done, tells_start
from icsfeed.feeds.select import NONE
from icsfeed.model import Priority, StateGroup
from icsfeed.web.pages.items import RANK, PageItem

GROUPS: tuple[StateGroup, ...] = ("backlog", "unstarted", "started", "completed", "cancelled")
MAX_NAMES = 200
"""Names of one kind that are offered: with more, nobody reads the form."""


class FilterChoices(Struct, frozen=True):
    """The values to choose from, by parameter. `what`: the feed may be narrowed by what its issues are.

    `done`, `dates`, `alarm`: whether it may be asked for other marks of what is done, days, reminders.
    """

    what: bool
    done: bool = False
    dates: bool = False
    alarm: bool = True
    priority: tuple[Priority, ...] = ()
    group: tuple[StateGroup, ...] = ()
    state: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    assignee: tuple[str, ...] = ()


def filter_choices_of(items: Sequence[PageItem], feed: Feed) -> FilterChoices:
    """Return the choices of a whole feed. One with `details: busy` offers only days."""
    if feed.details == "busy":
        return FilterChoices(what=False)
    facts = [item.facts for item in items if item.kind == "issue"]
    groups, priorities = {fact.group for fact in facts}, {item.priority for item in items}
    shown = shown_fields(feed)
    # Below full details, categories stand for the labels: they may be other things too.
    labelled = feed.details == "full" or feed.categories == ("labels",)
    return FilterChoices(
        what=True,
        done=tells_done(feed),
        dates=tells_start(feed),
        alarm=may_remind(feed),
        priority=tuple(priority for priority in RANK if priority in priorities),
        group=tuple(group for group in GROUPS if group in groups),
        state=_names(fact.state for fact in facts),
        label=_names(label for fact in facts for label in fact.labels)
        if labelled and "label" in shown
        else (),
        assignee=_names(name for fact in facts for name in fact.people),
    )


def unoffered(
    parameters: Iterable[tuple[str, str]], choices: FilterChoices, alarms: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Return what these parameters ask for and a form of these choices and alarms has no field for.

    It must stay in the form: without it, the next choice would show more than the one before.
    """
    values_of: Mapping[str, Sequence[str]] = {
        "priority": choices.priority,
        "state": (*choices.group, *choices.state),
        "label": (*choices.label, NONE) if choices.label else (),
        "assignee": (*choices.assignee, NONE) if choices.assignee else (),
        # Items do not say their cycle and module, so that these are only carried along.
        "cycle": (),
        "module": (),
    }
    offered = {field: frozenset(map(str.casefold, values)) for field, values in values_of.items()}
    others = [
        (field, part)
        for field, value in parameters
        if field in offered and value.strip()
        for part in parts_asked(value)
        if part.casefold() not in offered[field] and value.strip().casefold() not in offered[field]
    ]
    reminders = [(field, value) for field, value in parameters if field == "alarm" and value.strip()]
    others += [(field, value) for field, value in reminders if value.strip() not in alarms]
    return tuple(dict.fromkeys(others))


def parts_asked(value: str) -> tuple[str, ...]:
    """Split a value at its commas; an exclusion is one value."""
    if value.strip().startswith("!"):
        return (value.strip(),)
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}, key=str.casefold)[:MAX_NAMES])
