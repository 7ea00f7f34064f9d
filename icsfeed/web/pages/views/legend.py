"""The legend of a frame: what its marks mean, and toggles that narrow what it shows.

The toggles are a form of the parameters that narrow a feed, so that they work without scripts, too.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlencode

from msgspec import Struct

from icsfeed.config.schema import Feed
from icsfeed.model import Priority
from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.link_builder import filter_choices_of, parts_asked

MAX_LABELS = 12
"""Labels that are offered, the most used ones: the link builder has them all."""

Pairs = Sequence[tuple[str, str]]


class Legend(Struct, frozen=True):
    """The toggles, by parameter: each value, and whether it is chosen.

    `colors`: of the priorities that have one. `kept`: the other parameters of the address, which stay with
    every choice.
    """

    toggles: Mapping[str, Mapping[str, bool]] = {}
    colors: Mapping[Priority, str] = {}
    kept: tuple[tuple[str, str], ...] = ()

    @property
    def chosen(self) -> int:
        """How many toggles are on."""
        return sum(sum(values.values()) for values in self.toggles.values())

    @property
    def reset(self) -> str:
        """The query that turns all toggles off."""
        return "?" + urlencode(self.kept)


def legend_of(items: Sequence[PageItem], feed: Feed, parameters: Pairs) -> Legend:
    """Return the legend of a whole feed: only values that it shows anyway, and none for `details: busy`."""
    offered = _offered(items, feed, parameters)
    chosen: set[tuple[str, str]] = set()
    kept: dict[tuple[str, str], None] = {}
    for name, value in parameters:
        for part in _parts(value, offered[name]) if name in offered else (value,):
            known = next((one for one in offered.get(name, ()) if one.casefold() == part.casefold()), None)
            if known is not None:
                chosen.add((name, known))
            elif part and name != "skip":  # another choice has other pages
                kept[name, part] = None
    return Legend(
        toggles={
            name: {value: (name, value) in chosen for value in values}
            for name, values in offered.items()
            if values
        },
        colors={item.priority: item.color for item in items if item.kind == "issue" and item.color},
        kept=tuple(kept),
    )


def _offered(items: Sequence[PageItem], feed: Feed, parameters: Pairs) -> Mapping[str, Sequence[str]]:
    """Return the values of each toggle, in order."""
    choices = filter_choices_of(items, feed)
    labels = tuple(choices.values.get("label", ()))
    asked = {part for name, value in parameters if name == "label" for part in _parts(value, labels)}
    uses = Counter(label for item in items for label in item.facts.labels)
    common = {label for label, _ in uses.most_common(MAX_LABELS)}
    return {
        "project": tuple(choices.values.get("project", ())),
        "label": [label for label in labels if label in common or label in asked],
        # A single value changes nothing.
        "state": choices.group if len(choices.group) > 1 else (),
        "priority": choices.priority if len(choices.priority) > 1 else (),
    }


def _parts(value: str, offered: Collection[str]) -> tuple[str, ...]:
    """Return the values that are asked for. A label's own name may hold commas."""
    whole = value.strip()
    return (whole,) if whole.casefold() in map(str.casefold, offered) else parts_asked(value)
