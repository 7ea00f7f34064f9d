"""Links: tokens are derived, and nothing but the secret gives them away."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.feeds.links import Kind, derive, installation, matching
from icsfeed.tokens import is_token

SECRET = "s3cr3t-" * 6
TOKEN = derive(SECRET, "feed", "property")


def test_tokens_never_change() -> None:
    """A change of the derivation would break every link in use."""
    assert TOKEN == "icsf_qkuzbubo5k45bbrtyyzq6bxp4m"


@pytest.mark.parametrize("kind", ["feed", "embed", "admin"])
@pytest.mark.parametrize(
    ("feed", "subscriber"), [("property", ""), ("property", "anna"), ("ünï", "b/ö"), ("", "")]
)
def test_a_token_is_a_prefix_and_26_letters_for_a_url(kind: Kind, feed: str, subscriber: str) -> None:
    token = derive(SECRET, kind, feed, subscriber)
    assert token.startswith("icsf_")
    assert len(token) == 31
    assert set(token[5:]) <= set("abcdefghijklmnopqrstuvwxyz234567")


names = st.text(st.characters(codec="utf-8"), max_size=8)
what = st.tuples(st.sampled_from(["feed", "embed", "admin"]), names, names, st.integers(1, 2**31))


@given(what, what)
def test_another_kind_feed_subscriber_or_revision_has_another_token(
    one: tuple[Kind, str, str, int], other: tuple[Kind, str, str, int]
) -> None:
    assert (derive(SECRET, *one) == derive(SECRET, *other)) == (one == other)
    assert derive(SECRET, *one) != derive(SECRET + "x", *one)


def test_names_do_not_run_into_each_other() -> None:
    assert derive(SECRET, "feed", "ab", "c") != derive(SECRET, "feed", "a", "bc")


LINKS = [("property", TOKEN), ("anna", derive(SECRET, "feed", "anna"))]


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (TOKEN, "property"),
        (LINKS[1][1], "anna"),
        (TOKEN.upper(), None),
        (TOKEN[:-1], None),
        (f"{TOKEN}x", None),
        ("", None),
        ("ü\ud800", None),
    ],
)
def test_a_token_names_its_link_or_none(token: str, name: str | None) -> None:
    assert matching(token, LINKS) == name


def test_no_link_matches_where_there_is_none() -> None:
    assert matching(TOKEN, []) is None


def test_the_id_of_an_installation_never_changes_and_is_unrelated_to_its_links() -> None:
    """Another name would part every pushed object from its installation."""
    named = installation(SECRET)
    assert (named, len(named)) == ("vqxcb6wzx3wa", 12)
    assert named != installation(f"{SECRET}x")
    assert all(named not in derive(SECRET, kind, "installation") for kind in get_args(Kind))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(TOKEN, True), (TOKEN[:-1], False), (TOKEN + "a", False), ("icsf_", False), ("x", False)],
)
def test_a_token_is_known_by_its_form(text: str, is_one: bool) -> None:
    assert is_token(text) is is_one
