"""Whose objects are a target's: by the feed and the installation that their marks name."""

from making import config
from msgspec.structs import replace

from icsfeed.config.schema import Feed, Secret
from icsfeed.push.claim import feed_of, mark_of

FEEDS = {"all": Feed(everything=True, public=True)}


def test_a_mark_names_the_feed_and_the_installation() -> None:
    one = mark_of("all", replace(config(), feeds=FEEDS))
    other = mark_of("all", replace(config(), feeds=FEEDS, secret=Secret("t" * 32)))
    assert feed_of(one) == feed_of(other) == "all"
    assert one == mark_of("all", replace(config(), feeds=FEEDS))
    assert one != other


def test_without_a_secret_a_mark_names_the_workspace_of_plane() -> None:
    bare = replace(config(), feeds=FEEDS, secret=None)
    moved = {"acme": replace(bare.workspaces["acme"], url="https://other.example.com")}
    assert mark_of("all", bare) == mark_of("all", bare)
    assert mark_of("all", bare) != mark_of("all", replace(bare, workspaces=moved))
    assert "plane.example.com" not in mark_of("all", bare)
