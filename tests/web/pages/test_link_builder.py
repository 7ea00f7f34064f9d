"""What the link builder offers: what the feed shows, and nothing that it hides."""

import pytest
from making import OPS, PROP, by_id, calendar, issue, material, period, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.model import ItemType
from icsfeed.web.pages.items import Facts, PageItem, items_of
from icsfeed.web.pages.link_builder import MAX_NAMES, FilterChoices, filter_choices_of, unoffered


def same(*values: str) -> dict[str, str]:
    return {value: value for value in values}


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
        title=True,
        values={"label": same("Bug", "docs"), "assignee": same("anna", "bob")},
    )


def test_a_brief_feed_offers_no_people() -> None:
    found = _choices(Feed(everything=True, details="brief"))
    assert (found.values, found.group[0]) == ({"label": same("Bug", "docs")}, "unstarted")


def test_a_feed_of_titles_offers_neither_people_nor_states() -> None:
    found = _choices(Feed(everything=True, details="title"))
    assert (found.values, found.state, found.group) == ({"label": same("Bug", "docs")}, (), ())


def test_categories_that_are_no_labels_are_not_offered_as_labels() -> None:
    mixed = _choices(Feed(everything=True, details="title", categories=("state", "labels")))
    assert "label" not in mixed.values
    assert _choices(Feed(everything=True, categories=("state",))).values["label"] == same("Bug", "docs")


def test_a_busy_feed_offers_nothing_of_what_it_hides() -> None:
    assert _choices(Feed(everything=True, details="busy")) == FilterChoices(what=False)


def test_an_endless_list_of_names_is_cut() -> None:
    items = [
        PageItem(title="x", first=None, last=None, facts=Facts(labels=(f"label {n}",)))
        for n in range(MAX_NAMES + 50)
    ]
    assert len(filter_choices_of(items, Feed(everything=True)).values["label"]) == MAX_NAMES


@pytest.mark.parametrize(
    ("asked", "others"),
    [
        ([("label", "Bug"), ("label", "docs,BUG"), ("label", "none"), ("priority", "urgent")], []),
        ([("label", "!Bug")], [("label", "!Bug")]),
        ([("label", "Bug,gone"), ("label", "gone")], [("label", "gone")]),
        ([("priority", "low,high")], [("priority", "high")]),
        ([("state", "started,Done"), ("assignee", "anna")], []),
        ([("cycle", "Sprint 4"), ("module", "none")], [("cycle", "Sprint 4"), ("module", "none")]),
        ([("title", "roof, wall")], []),
        ([("title", "roof"), ("title", "!wall")], [("title", "!wall")]),
        ([("project", "PROP"), ("parent", "PROP-4")], [("project", "PROP"), ("parent", "PROP-4")]),
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


def test_every_parameter_that_narrows_is_offered_where_the_feed_has_values_for_it() -> None:
    web, ops = (
        snapshot(
            issue(first, project=project.id, creator="u-anna", type="t-epic"),
            issue(first + 1, project=project.id, creator="u-bob", parent="i1"),
            project=project,
            types=by_id([ItemType("t-epic", "Epic", is_epic=True)]),
            periods=[period(issues=frozenset({f"i{first}"}))],
        )
        for project, first in ((PROP, 1), (OPS, 3))
    )
    feed = Feed(everything=True)
    found = filter_choices_of(items_of(calendar(feed, material(web, ops)), "full", keyed=True), feed)
    assert found.values["project"] == same("OPS", "PROP")
    assert found.values["created_by"] == same("anna", "bob")
    assert found.values["type"] == same("Epic")
    assert found.values["cycle"] == same("Sprint 7")
    assert found.values["parent"] == {"PROP-1": "[PROP-1] Issue 1"}
    public = filter_choices_of(items_of(calendar(feed, material(web)), "full"), replace(feed, public=True))
    assert not {"created_by", "type", "project"} & public.values.keys()
