"""`pql` and `filters` as Plane documents them, and as nobody has recorded them.

Sources: the developer documents (github.com/makeplane/developer-docs, webhook filters, 18 August 2026) and
the Python SDK's README (github.com/makeplane/plane-python-sdk, 23 July 2026).
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.demo.access import KeyLimits
from icsfeed.demo.editions import COMMERCIAL, COMMUNITY, Edition
from icsfeed.demo.rows import Row
from icsfeed.demo.sample import API_KEY, SLUG, sample_id
from icsfeed.demo.search import FIELDS, SearchError, facts, read_filters, read_pql
from plane.api import create_plane
from plane.data import PlaneData
from plane.sample import sample
from plane.world import connect

pytestmark = pytest.mark.anyio

SPACE = f"/api/v1/workspaces/{SLUG}/"
PROJECT = f"{SPACE}projects/{sample_id('project', 'PROP')}/"


@pytest.fixture
def world() -> PlaneData:
    return sample(date(2026, 11, 21), edition=COMMERCIAL)


async def ask(
    data: PlaneData, path: str, params: Mapping[str, str], edition: Edition = COMMERCIAL
) -> httpx.Response:
    app = create_plane(data, edition=edition, limits=KeyLimits(person=10_000))
    async with connect(app, API_KEY) as client:
        return await client.get(path, params=params)


async def names(data: PlaneData, **params: str) -> list[str]:
    """The names of the work items of the workspace that are found."""
    answer = await ask(data, f"{SPACE}work-items/", params)
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["results"]]


ANNA, PROP, WEB = sample_id("user", "anna"), sample_id("project", "PROP"), sample_id("project", "WEB")
BUG = sample_id("label", "WEB", "bug")
Test = Callable[[Row, str], object]


def expected(data: PlaneData, test: Test) -> list[str]:
    """The names of the work items for whose row and state group `test` holds."""
    rows = [
        (issue, project.group(issue) or "") for project in data.projects.values() for issue in project.shown()
    ]
    found = sorted(issue["name"] for issue, group in rows if test(issue, group))
    assert len(found) < len(rows)
    return found


@pytest.mark.parametrize(
    ("pql", "test"),
    [
        ('priority = "urgent"', lambda row, _: row["priority"] == "urgent"),
        ('priority IN ("high")', lambda row, _: row["priority"] == "high"),
        ('priority in ["urgent", "high"]', lambda row, _: row["priority"] in ("urgent", "high")),
        ('priority not in ["none", "low"]', lambda row, _: row["priority"] not in ("none", "low")),
        ('state_group = "started"', lambda _, group: group == "started"),
        (
            'priority = "urgent" AND state_group = "unstarted"',
            lambda row, group: row["priority"] == "urgent" and group == "unstarted",
        ),
        (
            'priority = "urgent" OR state_group = "started"',
            lambda row, group: row["priority"] == "urgent" or group == "started",
        ),
        (f'project_id in ["{PROP}", "{WEB}"]', lambda row, _: row["project"] in (PROP, WEB)),
        (f'assignee_id = "{ANNA}"', lambda row, _: ANNA in row["assignees"]),
        ("assignee = currentUser()", lambda row, _: ANNA in row["assignees"]),
        (f'label_id = "{BUG}"', lambda row, _: BUG in row["labels"]),
        (
            'target_date <= "2026-11-21" and not state_group in ["completed", "cancelled"]',
            lambda row, group: (
                (row["target_date"] or "9") <= "2026-11-21" and group not in ("completed", "cancelled")
            ),
        ),
        ('start_date > "2026-11-21"', lambda row, _: (row["start_date"] or "") > "2026-11-21"),
        ("target_date is null", lambda row, _: row["target_date"] is None),
        (
            "target_date IS NOT NULL AND priority != low AND (label_id is null OR name ~ 'heating')",
            lambda row, _: (
                row["target_date"]
                and row["priority"] != "low"
                and (not row["labels"] or "heating" in row["name"])
            ),
        ),
    ],
)
async def test_the_documented_queries_are_answered(pql: str, test: Test, world: PlaneData) -> None:
    assert sorted(await names(world, pql=pql)) == expected(world, test)


@pytest.mark.parametrize(
    ("filters", "test"),
    [
        ({"priority": "urgent"}, lambda row, _: row["priority"] == "urgent"),
        ({"priority__in": ["urgent", "high"]}, lambda row, _: row["priority"] in ("urgent", "high")),
        (
            {"and": [{"priority": "urgent"}, {"state_group__in": ["unstarted", "started"]}]},
            lambda row, group: row["priority"] == "urgent" and group in ("unstarted", "started"),
        ),
        (
            {"or": [{"priority": "urgent"}, {"state_group": "started"}]},
            lambda row, group: row["priority"] == "urgent" or group == "started",
        ),
        ({"not": {"priority__in": "urgent,high"}}, lambda row, _: row["priority"] not in ("urgent", "high")),
        (
            {"target_date__range": ["2026-11-21", "2026-11-30"]},
            lambda row, _: "2026-11-21" <= (row["target_date"] or "") <= "2026-11-30",
        ),
        ({"target_date__isnull": True}, lambda row, _: row["target_date"] is None),
        (
            {"target_date__isnull": False, "project_id": PROP},
            lambda row, _: row["target_date"] and row["project"] == PROP,
        ),
        (
            {"updated_at__gte": "2026-10-15T09:30:18.123456+02:00"},
            lambda row, _: row["updated_at"] >= "2026-10-15T07:30:18.123456Z",
        ),
        ({"updated_at__gt": "2026-10-15"}, lambda row, _: row["updated_at"] > "2026-10-15"),
        ({"name__icontains": "HEATING"}, lambda row, _: "heating" in row["name"]),
    ],
)
async def test_the_documented_filters_are_answered(filters: Any, test: Test, world: PlaneData) -> None:
    assert sorted(await names(world, filters=json.dumps(filters))) == expected(world, test)


async def test_both_ways_to_filter_work_in_a_project_and_its_periods(world: PlaneData) -> None:
    cycle = f"{PROJECT}cycles/{sample_id('cycle', 'PROP', 'Sprint 12')}/cycle-issues/"
    found = await ask(world, f"{PROJECT}work-items/", {"pql": 'priority = "urgent"'})
    held = await ask(world, cycle, {"filters": '{"priority": "urgent"}', "pql": 'state_group = "unstarted"'})
    assert (found.json()["total_results"], held.json()["total_results"]) == (1, 1)
    ignored = await ask(world, f"{PROJECT}work-items/", {"pql": "nonsense"}, COMMUNITY)
    assert ignored.json()["total_results"] == 22


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("pql", text) for text in ("priority", "priority =", "priority = urgent urgent", "bogus = 1")),
        *(("pql", text) for text in ("(priority = low", "priority in []", "priority in [low", "= low", "§")),
        *(("pql", text) for text in ("priority [ low", "assignee = nobody()", "NOT", "updated_at > soon")),
        *(("filters", text) for text in ("{", "[]", '{"and": 1}', '{"bogus": 1}', '{"priority__like": 1}')),
        *(("filters", text) for text in ('{"target_date__range": ["2026-11-21"]}', '{"updated_at": 1}')),
    ],
)
async def test_what_cannot_be_read_is_refused(parameter: str, value: str, world: PlaneData) -> None:
    for path in (f"{SPACE}work-items/", f"{SPACE}work-items/count/", f"{PROJECT}work-items/"):
        assert (await ask(world, path, {parameter: value})).status_code == 400


WORDS = st.sampled_from(
    [
        "priority",
        "name",
        "updated_at",
        "=",
        "~",
        "(",
        ")",
        "[",
        "]",
        ",",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
    ]
)
NAMES = st.sampled_from(["and", "or", "not", *sorted(FIELDS)]).flatmap(
    lambda name: st.sampled_from(
        [name, *(f"{name}__{end}" for end in ("in", "gte", "range", "isnull", "icontains"))]
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("2026-11-21"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=9,
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=9).map(" ".join), VALUES)
def test_any_search_is_answered_or_refused(pql: str, filters: Any) -> None:
    world = sample(date(2026, 11, 21))
    project = world.projects[sample_id("project", "PROP")]
    items = [facts(project, issue) for issue in project.shown()]
    with suppress(SearchError):
        list(map(read_pql(pql, ANNA), items))
    with suppress(SearchError):
        list(map(read_filters(json.dumps(filters)), items))
