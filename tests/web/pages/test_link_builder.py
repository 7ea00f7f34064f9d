"""What the link builder offers: what the feed shows, and nothing that it hides."""

import pytest
from making import calendar, issue, material, period, snapshot

from icsfeed.config.schema import Feed
from icsfeed.web.pages.items import Facts, PageItem, items_of
from icsfeed.web.pages.link_builder import MAX_NAMES, FilterChoices, filter_choices_of, unoffered


def _choices(feed: Feed) -> FilterChoices:
    snap = snapshot(
        issue(1, priority="low", state="started", labels=("l-docs", "l-bug"), assignees=("u-bob", "u-anna")),
        issue(2, priority="urgent", state="completed"),
        issue(3),
        periods=[period()],
    )
    return filter_choices_of(items_of(calendar(feed, material(snap)), feed.details), feed)


def test_a_full_feed_offers_all_that_is_in_it_in_its_order() -> None:
    assert _choices(Feed(everything=True, include=("issues", "cycles"))) == FilterChoices(
        what=True,
        done=True,
        dates=True,
        priority=("urgent", "low", "none"),
        group=("unstarted", "started", "completed"),
        state=("Done", "In Review", "Todo"),
        label=("Bug", "docs"),
        assignee=("anna", "bob"),
    )


def test_a_brief_feed_offers_no_people() -> None:
    found = _choices(Feed(everything=True, details="brief"))
    assert (found.assignee, found.label, found.group[0]) == ((), ("Bug", "docs"), "unstarted")


def test_a_feed_of_titles_offers_neither_people_nor_states() -> None:
    found = _choices(Feed(everything=True, details="title"))
    assert (found.assignee, found.state, found.group, found.label) == ((), (), (), ("Bug", "docs"))


def test_categories_that_are_no_labels_are_not_offered_as_labels() -> None:
    assert _choices(Feed(everything=True, details="title", categories=("state", "labels"))).label == ()
    assert _choices(Feed(everything=True, categories=("state",))).label == ("Bug", "docs")


def test_a_busy_feed_offers_nothing_of_what_it_hides() -> None:
    assert _choices(Feed(everything=True, details="busy")) == FilterChoices(what=False)


def test_an_endless_list_of_names_is_cut() -> None:
    items = [
        PageItem(title="x", first=None, last=None, facts=Facts(labels=(f"label {n}",)))
        for n in range(MAX_NAMES + 50)
    ]
    assert len(filter_choices_of(items, Feed(everything=True)).label) == MAX_NAMES


@pytest.mark.parametrize(
    ("asked", "others"),
    [
        ([("label", "Bug"), ("label", "docs,BUG"), ("label", "none"), ("priority", "urgent")], []),
        ([("label", "!Bug")], [("label", "!Bug")]),
        ([("label", "Bug,gone"), ("label", "gone")], [("label", "gone")]),
        ([("priority", "low,high")], [("priority", "high")]),
        ([("state", "started,Done"), ("assignee", "anna")], []),
        ([("cycle", "Sprint 4"), ("module", "none")], [("cycle", "Sprint 4"), ("module", "none")]),
        ([("alarm", "PT9H")], []),
        ([("alarm", "PT9H,-P1D")], [("alarm", "PT9H,-P1D")]),
        ([("cycle", " "), ("days", "14"), ("lang", "de"), ("component", "vtodo")], []),
    ],
)
def test_what_is_asked_for_and_not_offered_is_found(
    asked: list[tuple[str, str]], others: list[tuple[str, str]]
) -> None:
    assert [*unoffered(asked, _choices(Feed(everything=True)), ("PT9H",))] == others


def test_a_label_with_a_comma_in_its_name_is_one_choice() -> None:
    items = [PageItem(title="x", first=None, last=None, facts=Facts(labels=("red, green",)))]
    choices = filter_choices_of(items, Feed(everything=True))
    assert unoffered([("label", "red, green")], choices, ()) == ()
