"""What the link builder of a feed offers: only values that the feed shows anyway."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from icsfeed.config.schema import Feed, Match
from icsfeed.feeds.filters import NONE
from icsfeed.feeds.query import may_remind, shown_fields, tells_done, tells_start
from icsfeed.model import Priority, StateGroup
from icsfeed.web.pages.items import RANK, PageItem

GROUPS: tuple[StateGroup, ...] = ("backlog", "unstarted", "started", "completed", "cancelled")
MAX_NAMES = 200
"""Names of one kind that are offered: with more, nobody reads the form."""


NONE_FIELDS = ("label", "assignee", "type", "cycle", "module", "parent")
"""The parameters that take `none`."""


class FilterChoices(Struct, frozen=True):
    """The values to choose from. `what`: the feed may be narrowed by what its issues are.

    `done`, `dates`, `alarm`: whether it may be asked for other marks of what is done, days, reminders;
    `title`: for words of the title. `values`: for the other parameters, in order, what each value is
    called.
    """

    what: bool
    done: bool = False
    dates: bool = False
    alarm: bool = True
    title: bool = False
    priority: tuple[Priority, ...] = ()
    group: tuple[StateGroup, ...] = ()
    state: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = {}


def filter_choices_of(items: Sequence[PageItem], feed: Feed) -> FilterChoices:
    """Return the choices of a whole feed. One with `details: busy` offers only days."""
    if feed.details == "busy":
        return FilterChoices(what=False)
    issues = [item for item in items if item.kind == "issue"]
    facts = [item.facts for item in issues]
    groups, priorities = {fact.group for fact in facts}, {item.priority for item in items}
    shown = shown_fields(feed)
    # Below full details, categories stand for the labels: they may be other things too.
    labelled = feed.details == "full" or feed.categories == ("labels",)
    titles = {item.facts.key: item.title for item in issues}
    names = {
        "project": _names(fact.key.rpartition("-")[0] for fact in facts),
        "label": _names(label for fact in facts for label in fact.labels) if labelled else (),
        "assignee": _names(name for fact in facts for name in fact.people),
        "created_by": _names(fact.creator for fact in facts),
        "type": _names(fact.type for fact in facts),
        "cycle": _names(name for fact in facts for name in fact.cycles),
        "module": _names(name for fact in facts for name in fact.modules),
        "parent": _names(fact.parent for fact in facts),
    }
    # A choice of one project would change nothing.
    offered = {field: values for field, values in names.items() if len(values) > (field == "project")}
    return FilterChoices(
        what=True,
        done=tells_done(feed),
        dates=tells_start(feed),
        alarm=may_remind(feed),
        title="title" in shown,
        priority=tuple(priority for priority in RANK if priority in priorities),
        group=tuple(group for group in GROUPS if group in groups),
        state=_names(fact.state for fact in facts),
        values={
            field: {value: titles.get(value, value) for value in values}
            for field, values in offered.items()
            if field in shown
        },
    )


def unoffered(
    parameters: Iterable[tuple[str, str]], choices: FilterChoices, alarms: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Return what these parameters ask for and a form of these choices and alarms has no field for.

    It must stay in the form: without it, the next choice would show more than the one before.
    """
    values_of: Mapping[str, Collection[str]] = {
        **dict.fromkeys(Match.__struct_fields__, ()),
        "priority": choices.priority,
        "state": (*choices.group, *choices.state),
        **{
            field: (*values, *([NONE] if field in NONE_FIELDS else []))
            for field, values in choices.values.items()
        },
    }
    offered = {field: frozenset(map(str.casefold, values)) for field, values in values_of.items()}
    asked = [(field, value.strip()) for field, value in parameters if value.strip()]
    # The form has one field for words of the title.
    in_field = next((pair for pair in asked if pair[0] == "title"), None) if choices.title else None
    others = [
        (field, part)
        for field, value in asked
        if field in offered and (field, value) != in_field
        for part in parts_asked(value)
        if part.casefold() not in offered[field] and value.casefold() not in offered[field]
    ]
    others += [(field, value) for field, value in asked if field == "alarm" and value not in alarms]
    return tuple(dict.fromkeys(others))


def parts_asked(value: str) -> tuple[str, ...]:
    """Split a value at its commas; an exclusion is one value."""
    if value.strip().startswith("!"):
        return (value.strip(),)
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}, key=str.casefold)[:MAX_NAMES])
