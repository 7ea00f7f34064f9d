"""Whose feeds are whose: a person's own, and those of all their projects; never by a revoked link."""

import pytest
from making import ANNA, BOB, OPS, PEOPLE, PROP
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.feeds.people.personal import PersonalFeed, of_projects, own_feeds, person_with, project_feeds

FEEDS = {
    "anna": Feed(assignee="anna@example.com", subscribers=("phone",)),
    "anna-ops": Feed(assignee="ANNA", projects=("OPS",)),
    "bob": Feed(assignee="bob"),
    "nobody": Feed(assignee="carl"),
    "prop": Feed(project="PROP"),
    "both": Feed(projects=("PROP", "OPS")),
    "open": Feed(projects=("OPS",), unassigned=True),
    "gone": Feed(project="GONE"),
    "all": Feed(everything=True),
    "shared": Feed(project="PROP", subscribers=("Anna@example.com", "bob")),
    "closed": Feed(project="PROP", revoked=("anna",)),
}
PROJECTS = (PROP, OPS)


@pytest.mark.parametrize(
    ("email", "found"),
    [("anna@example.com", ANNA), (" BOB@Example.com ", BOB), ("carl@example.com", None), ("", None)],
)
def test_a_person_is_known_by_their_address(email: str, found: object) -> None:
    nameless = replace(ANNA, id="u-none", email="")
    assert person_with(email, [*PEOPLE, nameless]) == found


def test_an_address_that_two_have_is_nobodys() -> None:
    assert person_with("anna@example.com", [*PEOPLE, replace(BOB, email="anna@example.com")]) is None


def test_a_persons_own_feeds_are_those_whose_assignee_they_are() -> None:
    assert own_feeds(ANNA, FEEDS, PEOPLE) == (PersonalFeed("anna", ""), PersonalFeed("anna-ops", ""))
    assert own_feeds(BOB, FEEDS, PEOPLE) == (PersonalFeed("bob", ""),)


def test_a_feed_whose_assignee_may_be_several_is_nobodys() -> None:
    people = [*PEOPLE, replace(BOB, id="u-bob-2")]
    assert own_feeds(BOB, FEEDS, people) == ()
    assert own_feeds(ANNA, {"bob": FEEDS["bob"], **FEEDS}, people) == own_feeds(ANNA, FEEDS, PEOPLE)


def test_a_project_feed_is_for_members_of_all_of_its_projects() -> None:
    assert [mine.name for mine in project_feeds(BOB, FEEDS, PROJECTS, {"prop"})] == [
        "prop",
        "shared",
        "closed",
    ]
    assert [mine.name for mine in project_feeds(BOB, FEEDS, PROJECTS, {"ops"})] == ["open"]
    assert "both" in [mine.name for mine in project_feeds(BOB, FEEDS, PROJECTS, {"ops", "prop"})]
    assert project_feeds(BOB, FEEDS, PROJECTS, frozenset()) == ()


def test_subscribers_get_their_own_link_and_the_revoked_none() -> None:
    found = project_feeds(ANNA, FEEDS, PROJECTS, {"prop"})
    assert found == (PersonalFeed("prop", ""), PersonalFeed("shared", "Anna@example.com"))


def test_nobody_gets_a_link_by_taking_the_name_of_a_subscriber() -> None:
    assert PersonalFeed("shared", "") in project_feeds(BOB, FEEDS, PROJECTS, {"prop"})


def test_only_feeds_of_projects_that_are_there_count() -> None:
    assert of_projects(FEEDS, PROJECTS) == {
        "prop": {"prop"},
        "both": {"prop", "ops"},
        "open": {"ops"},
        "shared": {"prop"},
        "closed": {"prop"},
    }
