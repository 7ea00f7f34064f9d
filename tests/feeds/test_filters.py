"""The conditions of `where` and of links by project, type, creator, parent and title."""

import pytest
from making import ANNA, BOB, OPS, PEOPLE, PROP, TODAY, by_id, issue, period, snapshot
from msgspec.structs import replace

from icsfeed.config.schema import Feed, Filter, Match
from icsfeed.errors import BadParameter
from icsfeed.feeds.diagnose import unknown_names
from icsfeed.feeds.filters import Hierarchy
from icsfeed.feeds.query import Query, narrowed, parse_query, query_string
from icsfeed.feeds.select import Selection, select
from icsfeed.model import Issue, ItemType, Snapshot, View

TYPES = by_id([ItemType("t-bug", "Bug"), ItemType("t-big", "Initiative", is_epic=True)])
FEED = Feed(everything=True)


def ops(number: int, **changes: object) -> Issue:
    return issue(number, project=OPS.id, **changes)


WORLD = (
    snapshot(
        issue(1, name="Roof", type="t-big", creator=ANNA.id),
        issue(2, name="Roof: order tiles", parent="i1", type="t-bug", creator=BOB.id),
        issue(3, name="Walls", parent="i2"),
        types=TYPES,
    ),
    snapshot(
        ops(4, name="Crane for the ROOF", parent="i3", type="t-gone"),
        ops(5, name="Invoice", parent="not listed"),
        project=OPS,
    ),
)


def shown(feed: Feed, query: Query = Query(), world: tuple[Snapshot, ...] = WORLD) -> list[int]:  # noqa: B008
    found: Selection = select("f", narrowed(feed, query), query, world, by_id(PEOPLE), TODAY)
    return sorted(each.sequence_id for _, each in found.issues)


CASES = [
    ("project=PROP", [1, 2, 3]),
    ("project=operations", [4, 5]),
    ("project=ops,prop", [1, 2, 3, 4, 5]),
    ("project=!OPS", [1, 2, 3]),
    ("project=gone", []),
    ("type=bug", [2]),
    ("type=epic", [1]),
    ("type=initiative,BUG", [1, 2]),
    ("type=t-bug", [2]),
    ("type=none", [3, 5]),
    ("type=!epic", [2, 3, 4, 5]),
    ("created_by=anna", [1]),
    ("created_by=bob@example.com,Anna", [1, 2]),
    ("created_by=!anna", [2, 3, 4, 5]),
    ("created_by=none", [3, 4, 5]),
    ("parent=PROP-1", [2, 3, 4]),
    ("parent=prop-3", [4]),
    ("parent=i2", [3, 4]),
    ("parent=OPS-4", []),
    ("parent=not listed", [5]),
    ("parent=none", [1]),
    ("parent=!none", [2, 3, 4, 5]),
    ("parent=PROP-3,none", [1, 4]),
    ("title=roof", [1, 2, 4]),
    ("title=tiles,wall", [2, 3]),
    ("title=!roof", [3, 5]),
    ("title=roof&project=OPS", [4]),
]


@pytest.mark.parametrize(("text", "found"), CASES)
def test_a_link_is_narrowed(text: str, found: list[int]) -> None:
    pairs = [tuple(pair.split("=", 1)) for pair in text.split("&")]
    assert shown(FEED, parse_query(pairs)) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "found"), CASES)
def test_a_feed_is_filtered_alike(text: str, found: list[int]) -> None:
    only: dict[str, tuple[str, ...]] = {}
    exclude: dict[str, tuple[str, ...]] = {}
    for pair in text.split("&"):
        field, _, value = pair.partition("=")
        (exclude if value.startswith("!") else only)[field] = tuple(value.removeprefix("!").split(","))
    where = Filter(**only, exclude=Match(**exclude))  # type: ignore[arg-type]
    assert shown(replace(FEED, where=where)) == found


def test_issues_that_are_each_others_parents_end_the_search() -> None:
    world = (snapshot(issue(1, parent="i2"), issue(2, parent="i1"), issue(3, parent="i3")),)
    assert Hierarchy(world).below(["PROP-1"]) == {"i1", "i2"}
    assert Hierarchy(world).below(["i3"]) == {"i3"}


def test_cycles_and_modules_of_other_projects_are_left_out() -> None:
    world = tuple(
        snapshot(periods=[period(id=project.key, project=project.id)], project=project)
        for project in (PROP, OPS)
    )

    def cycles(feed: Feed, text: str = "") -> list[str]:
        query = parse_query([("project", text)])
        found = select("f", narrowed(feed, query), query, world, by_id(PEOPLE), TODAY)
        return [each.id for _, each in found.periods]

    feed = replace(FEED, include=("cycles",))
    assert cycles(feed) == ["PROP", "OPS"]
    assert cycles(feed, "OPS") == ["OPS"]
    assert cycles(feed, "!ops") == ["PROP"]
    assert cycles(replace(feed, where=Filter(project=("PROP",)))) == ["PROP"]
    assert cycles(replace(feed, where=Filter(exclude=Match(project=("PROP",))))) == ["OPS"]
    assert cycles(replace(feed, where=Filter(project=("PROP",))), "OPS") == []


@pytest.mark.parametrize(
    ("feed", "allowed"),
    [
        (Feed(everything=True), {"project", "type", "created_by", "parent", "title"}),
        (Feed(everything=True, public=True), {"project", "title"}),
        (Feed(everything=True, public=True, categories=("type",)), {"project", "title", "type"}),
        (Feed(everything=True, public=True, summary="{type} {key}"), {"project", "type"}),
        (Feed(everything=True, details="brief"), {"project", "title"}),
        (Feed(everything=True, details="brief", summary="[{key}]"), {"project"}),
        (Feed(everything=True, details="title"), {"title"}),
        (Feed(everything=True, details="title", categories=("project",)), {"project", "title"}),
        (Feed(everything=True, details="busy"), set()),
    ],
)
def test_a_link_is_narrowed_only_by_what_its_readers_may_know(feed: Feed, allowed: set[str]) -> None:
    def is_usable(field: str, value: str) -> bool:
        try:
            narrowed(feed, parse_query([(field, value)]))
        except BadParameter as error:
            return error.field != field  # no other field is to blame
        return True

    fields = ("project", "type", "created_by", "parent", "title")
    for mark in ("", "!"):
        assert {field for field in fields if is_usable(field, f"{mark}x")} == allowed


def test_a_link_keeps_the_conditions_in_order() -> None:
    pairs = [("title", "roof"), ("parent", "PROP-1"), ("priority", "high"), ("project", "PROP")]
    assert query_string(pairs) == "project=PROP&priority=high&parent=PROP-1&title=roof"


def test_names_that_nothing_has_are_found() -> None:
    where = Filter(
        project=("PROPP", "OPS"),
        type=("epic", "Bugg"),
        created_by=("anna",),
        parent=("PROP-1", "none", "PROP-77"),
        title=("anything",),
    )
    view = View((PROP, OPS), by_id(PEOPLE), WORLD, WORLD, (), issue().updated)
    assert unknown_names(replace(FEED, where=where), view) == [
        "project 'PROPP'; did you mean prop?",
        "type 'Bugg'; did you mean Bug?",
        "parent 'PROP-77'; did you mean PROP-3?",
    ]
