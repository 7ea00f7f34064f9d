"""Feeds that nobody wrote down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import ANNA, BOB, OPS, PROP

from icsfeed.core.auto import auto_feeds, may_be_auto, slug
from icsfeed.core.config import Auto, Feed
from icsfeed.core.model import Person, Project

ACME = {"acme": ((PROP, OPS), (ANNA, BOB))}


@pytest.mark.parametrize(
    ("auto", "names"),
    [
        (Auto(), []),
        (Auto(projects=True), ["project-prop", "project-ops"]),
        (Auto(assignees=True), ["assignee-anna", "assignee-bob"]),
        (
            Auto(projects=True, assignees=True),
            ["project-prop", "project-ops", "assignee-anna", "assignee-bob"],
        ),
    ],
)
def test_every_project_and_member_has_a_feed_when_asked(auto: Auto, names: list[str]) -> None:
    assert list(auto_feeds(auto, ACME)) == names


def test_an_automatic_feed_names_its_project_or_person_by_id() -> None:
    made = auto_feeds(Auto(projects=True, assignees=True), ACME)
    assert made["project-prop"] == Feed(workspace="acme", project="prop")
    assert made["assignee-anna"] == Feed(workspace="acme", assignee="u-anna")


def test_feeds_of_one_name_are_told_apart_by_their_ids() -> None:
    one, other = Person(id="11111111-aaaa", name="Jo"), Person(id="22222222-aaaa", name="jo!")
    projects = (
        (Project(id="33333333-aaaa", key="WEB", name="Web"),),
        (Project(id="44444444-aaaa", key="WEB", name="W"),),
    )
    workspaces = {"a": (projects[0], (one, ANNA)), "b": (projects[1], (other,))}
    assert set(auto_feeds(Auto(projects=True, assignees=True), workspaces)) == {
        "project-web-33333333",
        "project-web-44444444",
        "assignee-jo-11111111",
        "assignee-jo-22222222",
        "assignee-anna",
    }


def test_somebody_in_two_workspaces_has_a_feed_of_each() -> None:
    one, namesake = Person(id="11111111-aaaa", name="Jo"), Person(id="22222222-aaaa", name="Jo")
    workspaces = {"sales": ((), (one, ANNA)), "ops_2": ((), (one, namesake))}
    assert auto_feeds(Auto(assignees=True), workspaces) == {
        "assignee-jo-11111111-sales": Feed(workspace="sales", assignee=one.id),
        "assignee-anna": Feed(workspace="sales", assignee=ANNA.id),
        "assignee-jo-11111111-ops_2": Feed(workspace="ops_2", assignee=one.id),
        "assignee-jo-22222222": Feed(workspace="ops_2", assignee=namesake.id),
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("PROP", "prop"),
        ("Anna Ågård", "anna-agard"),
        (" -x_y.z- ", "x-y-z"),
        ("日本", "id-1"),
        ("", "id-1"),
        ("a" * 60, "a" * 48),
        ("a" * 47 + "-b", "a" * 47),
        ("ﬁ½", "fi12"),
    ],
)
def test_a_name_for_urls(text: str, name: str) -> None:
    assert slug(text, "id-1") == name


@given(st.text())
def test_a_name_for_urls_is_one_whatever_the_text(text: str) -> None:
    name = slug(text, "id-1")
    assert 1 <= len(name) <= 48
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    ("auto", "name", "maybe"),
    [
        (Auto(), "project-prop", False),
        (Auto(projects=True), "project-prop", True),
        (Auto(projects=True), "assignee-anna", False),
        (Auto(assignees=True), "assignee-anna", True),
        (Auto(projects=True, assignees=True), "property", False),
    ],
)
def test_a_name_says_whether_it_can_be_automatic(auto: Auto, name: str, maybe: bool) -> None:
    assert may_be_auto(name, auto) == maybe
