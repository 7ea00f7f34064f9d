"""What names a feed for good: a configured name, or the identity of an automatic feed."""

from making import config

from icsfeed.config.schema import Auto, Feed
from icsfeed.feeds.automatic_names import AssignedNames, AutomaticFeed
from icsfeed.feeds.links import Grant, Links
from icsfeed.feeds.query import Query

IDENTITY = "project/acme/p1"
FEEDS = {"prop": Feed(project="PROP"), "off": Feed(project="PROP", active=False)}


def links() -> Links:
    made = Links(config(feeds=FEEDS, auto=Auto(projects=True)))
    feed = AutomaticFeed(IDENTITY, "p1", "project-ops", Feed(project="p1"))
    made.set_automatic({"project-ops": feed}, AssignedNames(owners={"project-ops": IDENTITY}))
    return made


def test_a_name_and_an_identity_lead_to_each_other() -> None:
    for name, identity in (("prop", "prop"), ("project-ops", IDENTITY)):
        assert links().identity_of(name) == identity
        assert links().name_by_identity(identity) == name


def test_what_is_gone_or_inactive_has_no_name() -> None:
    for identity in ("off", "nope", "project/acme/gone", "project-gone", ""):
        assert links().name_by_identity(identity) is None
    assert links().identity_of("nope") == "nope"


def test_only_a_link_of_ones_own_narrows() -> None:
    assert not Grant("anna").narrows
    assert not Grant("anna", link="a").narrows
    assert Grant("anna", link="a", query=Query(days=3)).narrows
