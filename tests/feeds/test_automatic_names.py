"""Feeds that nobody wrote down."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import ANNA, BOB, OPS, PROP
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Feed, WorkspaceConfig
from icsfeed.feeds.automatic_names import (
    AssignedNames,
    AutomaticFeed,
    Roster,
    SharedName,
    automatic_feeds,
    by_name,
    former_names,
    may_be_auto,
    shared_names,
    slug,
    slugs_of,
    with_names,
)
from icsfeed.model import Person, Project

ACME = {"acme": ((PROP, OPS), (ANNA, BOB))}
JO, NAMESAKE = Person(id="11111111-aaaa", name="Jo"), Person(id="22222222-aaaa", name="jo!")
Rosters = Mapping[str, tuple[tuple[Project, ...], tuple[Person, ...]]]
PEOPLE = Auto(assignees=True)


def found(auto: Auto, rosters: Rosters) -> Sequence[AutomaticFeed]:
    return automatic_feeds(auto, {name: Roster(name, *held) for name, held in rosters.items()})


def auto_feeds(auto: Auto, rosters: Rosters) -> dict[str, Feed]:
    feeds, names = found(auto, rosters), AssignedNames()
    return {name: one.feed for name, one in by_name(with_names(names, feeds), feeds).items()}


def named(*turns: tuple[Person, ...]) -> AssignedNames:
    """The names after one look after the other at the people of a workspace."""
    names = AssignedNames()
    for people in turns:
        names = with_names(names, found(PEOPLE, {"acme": ((), people)}))
    return names


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


def test_feeds_that_get_one_name_at_once_are_told_apart_by_their_ids() -> None:
    projects = (
        (Project(id="33333333-aaaa", key="WEB", name="Web"),),
        (Project(id="44444444-aaaa", key="WEB", name="W"),),
    )
    workspaces = {"a": (projects[0], (JO, ANNA)), "b": (projects[1], (NAMESAKE,))}
    assert set(auto_feeds(Auto(projects=True, assignees=True), workspaces)) == {
        "project-web-33333333",
        "project-web-44444444",
        "assignee-jo-11111111",
        "assignee-jo-22222222",
        "assignee-anna",
    }


def test_somebody_in_two_workspaces_has_a_feed_of_each() -> None:
    workspaces = {"sales": ((), (JO, ANNA)), "ops_2": ((), (JO, NAMESAKE))}
    assert auto_feeds(PEOPLE, workspaces) == {
        "assignee-jo-11111111-sales": Feed(workspace="sales", assignee=JO.id),
        "assignee-anna": Feed(workspace="sales", assignee=ANNA.id),
        "assignee-jo-11111111-ops_2": Feed(workspace="ops_2", assignee=JO.id),
        "assignee-jo-22222222": Feed(workspace="ops_2", assignee=NAMESAKE.id),
    }


def test_an_assigned_name_stays_when_others_join_leave_or_are_renamed() -> None:
    renamed = Person(id=JO.id, name="Johanna")
    names = named((JO,), (JO, NAMESAKE), (renamed, NAMESAKE), (NAMESAKE,), (JO, NAMESAKE, ANNA))
    assert names.owners == {
        "assignee-jo": f"assignee/acme/{JO.id}",
        "assignee-jo-22222222": f"assignee/acme/{NAMESAKE.id}",
        "assignee-anna": f"assignee/acme/{ANNA.id}",
    }


def test_a_name_is_not_given_again_after_its_person_has_left() -> None:
    assert "assignee-jo-22222222" in named((JO,), (), (NAMESAKE,)).owners


def test_only_the_first_of_a_workspace_had_links_derived_from_their_names() -> None:
    names = named((JO, ANNA), (JO, ANNA, NAMESAKE))
    assert names.by_name == {f"assignee/acme/{JO.id}", f"assignee/acme/{ANNA.id}"}
    feeds = by_name(names, found(PEOPLE, {"acme": ((), (JO, ANNA, NAMESAKE))}))
    assert former_names(feeds, names, ()) == {
        "assignee-jo": ["assignee-jo", "assignee-jo-11111111", "assignee-jo-11111111-acme"],
        "assignee-anna": ["assignee-anna", "assignee-anna-u-anna", "assignee-anna-u-anna-acme"],
    }


def test_the_first_of_another_workspace_had_links_by_name_too() -> None:
    names = named((JO,))
    later = with_names(names, found(PEOPLE, {"acme": ((), (ANNA,)), "labs": ((), (BOB,))}))
    assert later.by_name == {f"assignee/acme/{JO.id}", f"assignee/labs/{BOB.id}"}
    assert later.kinds == {"assignee/acme", "assignee/labs"}


def test_what_has_no_letters_for_a_url_has_its_id() -> None:
    rosters = {"acme": ((replace(OPS, key="運用"),), (replace(BOB, name="山田"),))}
    names = list(auto_feeds(Auto(projects=True, assignees=True), rosters))
    assert names == [f"project-{OPS.id}", f"assignee-{BOB.id}"]


def test_a_former_name_that_two_may_have_had_or_the_configuration_has_is_nobodys() -> None:
    rosters: Rosters = {"sales": ((), (JO,)), "ops": ((), (JO,))}
    feeds = found(PEOPLE, rosters)
    names = with_names(AssignedNames(), feeds)
    assert former_names(by_name(names, feeds), names, {"assignee-jo-11111111-ops"}) == {
        "assignee-jo-11111111-sales": ["assignee-jo-11111111-sales"],
        "assignee-jo-11111111-ops": ["assignee-jo-11111111-ops"],
    }


def test_an_identity_holds_nothing_that_can_be_renamed() -> None:
    renamed = (Project(PROP.id, "HOME", "Home"),), (Person(ANNA.id, "Annika", "annika@example.com"),)
    auto = Auto(projects=True, assignees=True)
    before, after = found(auto, {"acme": ((PROP,), (ANNA,))}), found(auto, {"acme": renamed})
    assert [one.identity for one in before] == [one.identity for one in after]
    other = automatic_feeds(auto, {"renamed here": Roster("acme", *renamed)})
    assert [one.identity for one in before] == [one.identity for one in other]


def test_a_workspace_that_is_configured_twice_has_links_for_each() -> None:
    own = WorkspaceConfig(url="https://plane.example.com")
    workspaces = {"acme": own, "two": replace(own, slug="acme"), "three": replace(own, active=False)}
    assert slugs_of(workspaces) == {"acme": "acme", "two": "acme@two", "three": "three"}


@pytest.mark.parametrize(
    ("turns", "shared"),
    [
        ([(JO, ANNA)], []),
        ([(JO, NAMESAKE)], [SharedName("assignee-jo", (JO.id, NAMESAKE.id))]),
        ([(JO,), (NAMESAKE, JO)], [SharedName("assignee-jo", (JO.id, NAMESAKE.id))]),
        ([(JO,), (NAMESAKE,)], [SharedName("assignee-jo", (JO.id, NAMESAKE.id))]),
        (
            [(JO, ANNA), (JO, Person(ANNA.id, "jo"))],
            [SharedName("assignee-jo", (JO.id, ANNA.id))],
        ),
    ],
)
def test_a_name_that_several_have_is_told_with_their_ids(
    turns: list[tuple[Person, ...]], shared: list[SharedName]
) -> None:
    assert shared_names(named(*turns), found(PEOPLE, {"acme": ((), turns[-1])})) == shared


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
