"""The filter that a link keeps, and that of its address: together they never show more than the first."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import BOB, LABELS, PEOPLE, STATES, TODAY, issue, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Duration, Feed, Window
from icsfeed.errors import BadParameter
from icsfeed.feeds.query import Query, both, narrowed, parse_query
from icsfeed.feeds.select import select

PARAMETERS = st.lists(
    st.sampled_from(
        [
            *(("priority", value) for value in ("urgent", "high,low", "!none", "medium")),
            *(("state", value) for value in ("started", "backlog,completed", "!cancelled", "Todo")),
            *(("label", value) for value in ("Bug", "none", "!docs", "Law, tax")),
            *(("assignee", value) for value in ("anna", "none", "!anna")),
            *(("days", "3"), ("days", "400"), ("from", "2026-11-01"), ("to", "2026-12-15")),
            *(("done", value) for value in ("keep", "drop", "check", "cancelled")),
            *(("dates", value) for value in ("due", "span", "start-and-due")),
            *(("component", value) for value in ("vevent", "vtodo")),
            *(("title", "e"), ("cycle", "none"), ("parent", "none")),
        ]
    ),
    max_size=5,
    unique_by=lambda pair: pair[0],
)
FEED = st.builds(
    Feed,
    everything=st.just(True),
    component=st.sampled_from(("vevent", "vtodo")),
    undated=st.booleans(),
    dates=st.sampled_from(("due", "span")),
    done=st.sampled_from(("keep", "drop", "cancelled")),
    details=st.sampled_from(("full", "title")),
    categories=st.sampled_from(((), ("labels", "state"))),
    window=st.sampled_from(("all", Window(past=Duration(864_000), ahead=Duration(8_640_000)))),
)


ISSUES = [
    issue(
        number,
        name=f"Issue {number} {'e' if number % 2 else 'x'}",
        state=STATES[number % 5].id,
        priority=("urgent", "high", "medium", "low", "none")[number % 4],
        labels=(LABELS[number % 3].id,) if number % 4 else (),
        assignees=(PEOPLE[number % 2].id,) if number % 3 else (),
        creator=BOB.id,
        start=TODAY + timedelta(days=number * 7 - 60) if number % 2 else None,
        due=TODAY + timedelta(days=number * 5 - 50) if number % 7 else None,
    )
    for number in range(1, 40)
]


def shown(feed: Feed, query: Query) -> set[str]:
    people = {person.id: person for person in PEOPLE}
    selection = select("f", narrowed(feed, query), query, [snapshot(*ISSUES)], people, TODAY)
    return {issue.id for _, issue in selection.issues}


@given(FEED, PARAMETERS, PARAMETERS)
def test_the_address_never_shows_more_than_the_link(
    feed: Feed, kept: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> None:
    stored, further = parse_query(kept), parse_query(asked)
    feed = replace(feed, undated=feed.undated and feed.component == "vtodo")  # as the configuration demands
    try:
        most, less = shown(feed, stored), shown(feed, both(stored, further))
    except BadParameter:
        return
    assert less <= most


def test_two_queries_are_one_that_matches_both() -> None:
    stored = parse_query([("priority", "high"), ("days", "9"), ("alarm", "-PT1H"), ("label", "!x")])
    asked = parse_query(
        [("priority", "low"), ("days", "99"), ("alarm", "-P1D"), ("label", "!y"), ("done", "drop")]
    )
    query = both(stored, asked)
    assert (query.days, query.alarm, query.done) == (9, stored.alarm, "drop")
    assert (query.only, query.also, query.exclude.label) == (asked.only, (stored.only,), ("x", "y"))
    assert both(stored, Query()) is stored
    assert replace(both(Query(), asked), also=()) == asked
    titled = replace(stored, title="Mine")
    assert both(titled, asked).title == "Mine"


@pytest.mark.parametrize("days", [("from", "2026-11-01"), ("to", "2026-12-15"), ("days", "3"), ("days", "0")])
def test_an_address_does_not_move_items_into_the_days_of_a_link(days: tuple[str, str]) -> None:
    asked = parse_query([("dates", "span"), ("component", "vtodo"), ("done", "drop")])
    fixed = both(parse_query([days]), asked)
    assert (fixed.dates, fixed.component, fixed.done) == (None, None, "drop")
    free = both(parse_query([("priority", "high")]), asked)
    assert (free.dates, free.component) == ("span", "vtodo")
    own = both(parse_query([("dates", "due"), ("component", "vevent")]), asked)
    assert (own.dates, own.component) == ("due", "vevent")
