"""Why a feed is empty, and which names in its filters nothing has."""

from datetime import date, timedelta
from typing import Any

import pytest
from making import TODAY, issue, material, period, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Duration, Feed, Filter, Match, Window
from icsfeed.errors import NameNotFound
from icsfeed.feeds.diagnose import unknown_names, why_empty
from icsfeed.model import Issue

SOON = Window(past=Duration(0), ahead=Duration(7 * 86_400))
LATER = TODAY + timedelta(30)
URGENT = Filter(priority=("urgent",))


@pytest.mark.parametrize(
    ("settings", "issues", "reason"),
    [
        pytest.param({}, [], "its projects have no issues", id="no issues"),
        pytest.param(
            {"assignee": "anna@example.com"}, [issue()], "no issue is assigned to anna", id="nobody's"
        ),
        pytest.param(
            {"assignee": "anna"},
            [issue(assignees=("u-anna",), due=None), issue(2)],
            "no issue has a due date (0 have only a start date, 1 none)",
            id="hers are undated",
        ),
        pytest.param(
            {"assignee": "anna"},
            [issue(assignees=("u-anna",), due=None, start=TODAY), issue(2)],
            "no issue has a due date (1 have only a start date, 0 none)",
            id="hers have a start date only",
        ),
        pytest.param(
            {"assignee": "anna", "done": "drop"},
            [issue(assignees=("u-anna",), state="completed"), issue(2)],
            "all matching issues are done, and done issues are dropped",
            id="hers are done",
        ),
        pytest.param(
            {"assignee": "anna", "window": SOON},
            [issue(assignees=("u-anna",), due=LATER), issue(2)],
            "all matching issues lie outside its window",
            id="hers are due later",
        ),
        pytest.param({"pql": "x"}, [issue()], "Plane finds no issue with its pql", id="search"),
        pytest.param(
            {"window": SOON}, [issue(due=LATER)], "all matching issues lie outside its window", id="window"
        ),
        pytest.param(
            {"done": "drop"},
            [issue(state="completed")],
            "all matching issues are done, and done issues are dropped",
            id="done",
        ),
        pytest.param(
            {"where": URGENT}, [issue()], "no issue with a due date passes its where filter", id="filter"
        ),
        pytest.param(
            {"where": URGENT, "window": SOON, "done": "drop"},
            [issue(due=LATER, state="completed")],
            "where, window and done together leave nothing",
            id="all together",
        ),
        pytest.param(
            {"where": URGENT, "window": SOON},
            [issue(due=None), issue(2, due=None, start=TODAY), issue(3, due=None, start=TODAY)],
            "no issue has a due date (2 have only a start date, 1 none)",
            id="undated",
        ),
    ],
)
def test_an_empty_feed_has_a_reason(settings: dict[str, Any], issues: list[Issue], reason: str) -> None:
    view = material(snapshot(), snapshot(*issues))
    assert why_empty("f", Feed(**settings), view, TODAY) == reason


def test_a_search_that_finds_nothing_with_a_due_date() -> None:
    view = material(snapshot(issue(), issue(2, due=None)))
    view = replace(view, found=frozenset({"i2"}))
    reason = "no issue with a due date in its projects is found by its pql"
    assert why_empty("f", Feed(pql="x"), view, TODAY) == reason


def test_a_feed_of_somebody_unknown_raises() -> None:
    with pytest.raises(NameNotFound):
        why_empty("f", Feed(assignee="carl"), material(snapshot(issue())), TODAY)


VIEW = material(snapshot(periods=[period("Sprint 7"), period("Sales", id="m1", kind="module", end=date.max)]))


@pytest.mark.parametrize(
    ("match", "unknown"),
    [
        ({}, []),
        ({"state": ("started", "IN REVIEW", "Doing")}, ["state 'Doing'; did you mean Done?"]),
        ({"label": ("bug", "l-docs", "Law, tax", "None", "bgu")}, ["label 'bgu'; did you mean Bug?"]),
        ({"assignee": ("anna", "u-bob", "Bob Birch", "none", "carl")}, ["assignee 'carl'"]),
        ({"cycle": ("sprint 7", "c7", "none", "Sales")}, ["cycle 'Sales'"]),
        ({"module": ("Sales", "m1", "Sprint 7")}, ["module 'Sprint 7'"]),
        ({"priority": ("urgent",), "label": ("x",), "state": ("y",)}, ["state 'y'", "label 'x'"]),
    ],
)
def test_names_that_nothing_has_are_reported(match: dict[str, Any], unknown: list[str]) -> None:
    assert unknown_names(Feed(where=Filter(**match)), VIEW) == unknown
    assert unknown_names(Feed(where=Filter(exclude=Match(**match))), VIEW) == unknown
