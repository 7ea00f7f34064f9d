"""The legend offers what the feed shows, knows what is chosen, and keeps all else that was asked."""

import pytest

from icsfeed.config.schema import Feed
from icsfeed.web.pages.items import Facts, PageItem
from icsfeed.web.pages.views.legend import MAX_LABELS, Legend, legend_of

FEED = Feed(everything=True)


def issue(key: str, *labels: str, **changes: object) -> PageItem:
    facts = Facts(key=key, labels=labels, group="started", state="In Progress")
    return PageItem(**{"title": key, "first": None, "last": None, "facts": facts, **changes})  # type: ignore[arg-type]


def done(key: str) -> PageItem:
    return issue(key, facts=Facts(key=key, group="completed"))


def test_every_value_that_the_feed_shows_is_a_toggle() -> None:
    items = [
        issue("PROP-1", "bug", priority="high", color="orange"),
        done("WEB-2"),
        issue("WEB-3", "Tenants"),
    ]
    legend = legend_of(items, FEED, [])
    assert {name: [*values] for name, values in legend.toggles.items()} == {
        "project": ["PROP", "WEB"],
        "label": ["bug", "Tenants"],
        "state": ["started", "completed"],
        "priority": ["high", "none"],
    }
    assert legend.colors == {"high": "orange"}
    assert (legend.chosen, legend.reset) == (0, "?")


def test_where_there_is_nothing_to_choose_there_is_no_legend() -> None:
    assert legend_of([issue("WEB-1"), issue("WEB-2")], FEED, []).toggles == {}
    assert legend_of([], FEED, []) == Legend()


def test_a_busy_feed_has_no_legend() -> None:
    items = [issue("PROP-1", "bug", priority="high"), done("WEB-2")]
    assert legend_of(items, Feed(everything=True, details="busy"), []).toggles == {}


def test_only_the_most_used_labels_are_offered_and_those_that_are_chosen() -> None:
    items = [issue(f"WEB-{n}", f"l{n:02}", *([f"l{n + 1:02}"] if n % 2 else [])) for n in range(40)]
    assert len(legend_of(items, FEED, []).toggles["label"]) == MAX_LABELS
    legend = legend_of(items, FEED, [("label", "l39")])
    assert legend.toggles["label"]["l39"]
    assert len(legend.toggles["label"]) == MAX_LABELS + 1


@pytest.mark.parametrize(
    ("asked", "chosen", "kept"),
    [
        ([("label", "BUG")], ["bug"], ()),
        ([("label", "bug,Legal, contracts")], ["bug"], (("label", "Legal"), ("label", "contracts"))),
        ([("label", "Legal, contracts")], ["Legal, contracts"], ()),
        ([("label", "!bug")], [], (("label", "!bug"),)),
        ([("label", "bug"), ("label", "none")], ["bug"], (("label", "none"),)),
        ([("state", "In Progress"), ("state", "started")], ["started"], (("state", "In Progress"),)),
        ([("view", "week"), ("date", "2026-12-01"), ("skip", "60"), ("lang", "")], [], None),
    ],
)
def test_what_is_chosen_is_on_and_all_else_that_was_asked_is_kept(
    asked: list[tuple[str, str]], chosen: list[str], kept: tuple[tuple[str, str], ...] | None
) -> None:
    items = [issue("PROP-1", "bug"), done("WEB-2"), issue("WEB-3", "Legal, contracts")]
    legend = legend_of(items, FEED, asked)
    assert [value for values in legend.toggles.values() for value, on in values.items() if on] == chosen
    assert legend.chosen == len(chosen)
    assert legend.kept == ((("view", "week"), ("date", "2026-12-01")) if kept is None else kept)


def test_the_way_back_keeps_what_is_not_of_the_legend() -> None:
    legend = legend_of([done("WEB-2"), issue("WEB-3", "bug")], FEED, [("label", "bug"), ("view", "week")])
    assert legend.reset == "?view=week"
