"""What names a feed for good: a configured name, or the identity of an automatic feed."""

from typing import Any

from making import config

from icsfeed.config.schema import Auto, Feed
from icsfeed.feeds.automatic_names import AssignedNames, AutomaticFeed
from icsfeed.feeds.links import KINDS, Grant, Links, derive
from icsfeed.feeds.query import Query

IDENTITY, SECRET = "project/acme/p1", "s" * 32
FEEDS = {"prop": Feed(project="PROP"), "off": Feed(project="PROP", active=False)}


def links(by_name: frozenset[str] = frozenset(), **settings: Any) -> Links:
    made = Links(config(feeds=FEEDS, auto=Auto(projects=True), **settings))
    feed = AutomaticFeed(IDENTITY, "p1", "project-ops", Feed(project="p1"))
    made.set_automatic({"project-ops": feed}, AssignedNames({"project-ops": IDENTITY}, by_name))
    return made


def test_a_name_and_an_identity_lead_to_each_other() -> None:
    for name, identity in (("prop", "prop"), ("project-ops", IDENTITY)):
        assert links().identity_of(name) == identity
        assert links().name_by_identity(identity) == name


def test_what_is_listed_is_named_as_it_is_now_or_by_its_identity() -> None:
    listed = links().names_of(["prop", IDENTITY, "project/acme/gone"])
    assert listed == {"prop": "prop", IDENTITY: "project-ops", "project/acme/gone": "project/acme/gone"}


def test_the_link_of_an_automatic_feed_opens_it_by_whatever_name() -> None:
    """People rename projects: apps have the former name in their addresses."""
    made = links()
    for kind in KINDS:
        token = derive(SECRET, kind, IDENTITY)
        assert made.token("project-ops", kind=kind) == token
        assert made.name_of("project-former", token, kind) == "project-ops"
        assert made.access("project-ops", token, kind) == Grant()
    feed, embed = (derive(SECRET, kind, IDENTITY) for kind in KINDS)
    assert made.name_of("project-former", feed) == "project-ops"
    assert made.name_of("prop", embed) == made.name_of("prop", None) == "prop"


def test_a_link_that_a_former_version_derived_from_the_name_works_on_where_there_was_one() -> None:
    token = derive(SECRET, "feed", "project-ops")
    assert links().access("project-ops", token) is None
    assert links(by_name=frozenset({IDENTITY})).access("project-ops", token) == Grant()


def test_without_a_secret_automatic_feeds_have_no_links() -> None:
    assert links(secret=None).token("project-ops") is None


def test_what_is_gone_or_inactive_has_no_name() -> None:
    for identity in ("off", "nope", "project/acme/gone", "project-gone", ""):
        assert links().name_by_identity(identity) is None
    assert links().identity_of("nope") == "nope"


def test_only_a_link_of_ones_own_narrows() -> None:
    assert not Grant("anna").narrows
    assert not Grant("anna", link="a").narrows
    assert Grant("anna", link="a", query=Query(days=3)).narrows
