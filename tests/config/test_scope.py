"""The part of a configuration that a push to some targets needs."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from icsfeed.config.scope import narrowed_to

DATA: dict[str, Any] = {
    "secret_file": "s",
    "admin_token_file": "a",
    "auth_proxy": {"header": "X"},
    "store": "file",
    "workspaces": {"acme": {"api_key_file": "k", "webhook_secret_file": "w"}, "other": {"api_key_file": "o"}},
    "feeds": {"all": {"workspace": "acme"}, "theirs": {"workspace": "other"}},
    "push": {"team": {"feed": "all"}, "more": {"feed": "theirs"}, "auto": {"feed": "project-web"}},
}


def test_a_target_needs_its_own_login_its_feeds_workspace_and_what_all_share() -> None:
    assert narrowed_to(DATA, ["team"]) == {
        "secret_file": "s",
        "store": "file",
        "workspaces": {"acme": {"api_key_file": "k"}},
        "feeds": {"all": {"workspace": "acme"}},
        "push": {"team": {"feed": "all"}},
    }


def test_several_targets_need_the_workspaces_of_all_of_them() -> None:
    found = narrowed_to(DATA, ["team", "more"])
    assert (list(found["workspaces"]), list(found["push"])) == (["acme", "other"], ["team", "more"])


def test_an_automatic_feed_may_be_of_any_workspace() -> None:
    assert list(narrowed_to(DATA, ["auto"])["workspaces"]) == ["acme", "other"]


@pytest.mark.parametrize("change", [{"active": False}, {"adopt": ["theirs"]}, {"adopt": "theirs"}])
def test_a_problem_that_only_the_whole_shows_keeps_the_whole(change: dict[str, Any]) -> None:
    data = {**DATA, "push": {**DATA["push"], "team": {"feed": "all", **change}}}
    assert narrowed_to(data, ["team"]) is data


@pytest.mark.parametrize("targets", [[], ["nope"], ["team", "nope"]])
def test_without_targets_or_with_an_unknown_one_nothing_is_left_out(targets: list[str]) -> None:
    assert narrowed_to(DATA, targets) is DATA


KEYS = [*DATA, "t", "feed", "workspace", "adopt", "active"]
VALUES = st.recursive(
    st.none() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@pytest.mark.parametrize("workspace", [["acme"], {"acme": None}, 1])
def test_a_workspace_that_is_not_a_name_keeps_the_whole(workspace: object) -> None:
    other = {"workspace": workspace}
    for feed in ("all", "another"):
        data = {**DATA, "feeds": {**DATA["feeds"], feed: other}}
        assert narrowed_to(data, ["team"])["feeds"].get("all") == data["feeds"]["all"]


TARGETS = st.fixed_dictionaries({"t": st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1) | VALUES})
ANY_DATA = VALUES | st.fixed_dictionaries(
    {"push": TARGETS}, optional=dict.fromkeys(DATA.keys() - {"push"}, VALUES)
)


@given(ANY_DATA)
@example({"push": {"t": {"feed": "all"}}, "feeds": {"all": None}})
def test_any_data_is_narrowed_once_or_left_whole(data: object) -> None:
    narrowed = narrowed_to(data, ["t"])
    assert narrowed is data or list(narrowed["push"]) == ["t"]
    assert narrowed_to(narrowed, ["t"]) == narrowed
