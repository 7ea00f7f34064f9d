"""What our errors say to a person, and carry for a program."""

import re
from collections.abc import Callable

import pytest

from icsfeed import errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: errors.ConfigError("f.yaml", [errors.Problem("a.b", "no")]), "f.yaml: 1 problem\n  a.b: no"),
        (
            lambda: errors.ConfigError("f", [errors.Problem("", "no"), errors.Problem("a", "b")]),
            "f: 2 problems\n  no\n  a: b",
        ),
        (lambda: errors.UnknownFeed("x"), "feed 'x': there is no such feed"),
        (
            lambda: errors.NameNotFound("x", "project", "P", ["Q", "R"]),
            "feed 'x': no project 'P' in the workspace; there is: Q, R",
        ),
        (lambda: errors.NameNotFound("x", "project", "P", []), "feed 'x': no project 'P' in the workspace"),
        (
            lambda: errors.AmbiguousName("x", "assignee", "bob", ["a", "b"]),
            "feed 'x': assignee 'bob' fits several people, use an e-mail or id: a; b",
        ),
        (lambda: errors.UnusableSearch("x", "no such field"), "feed 'x': pql: no such field"),
        (lambda: errors.NoCopy("x", 30), "feed 'x': Plane has not been read yet; try again in 30 s"),
        (
            lambda: errors.NoCopy("x", 30, "the projects"),
            "feed 'x': Plane has not been read yet (the projects); try again in 30 s",
        ),
        (
            lambda: errors.UnknownFeed("prop", ["ops", "prob"]),
            "feed 'prop': there is no such feed; did you mean prob?",
        ),
        (lambda: errors.NotPlane("the projects", "a login page"), "the projects: a login page"),
        (lambda: errors.LinkRefused("gone", "there is no such link", {}), "there is no such link"),
        (lambda: errors.BadAnswer("the projects", "cut off"), "the projects: cut off"),
        (lambda: errors.Rejected("x", "too large", 413), "x: too large"),
        (lambda: errors.StoreFailed("no room"), "nothing was changed, since the store failed: no room"),
        (lambda: errors.ExportBusy("another export is running"), "another export is running"),
        (lambda: errors.BadParameter("days", "must be a number"), "days: must be a number"),
        (lambda: errors.KeyRefused("the projects", "403"), "the projects: 403"),
        (
            lambda: errors.Throttled("the projects", 29.6),
            "the projects: Plane allows no more requests for 30 s",
        ),
        (lambda: errors.Unreachable("the projects", "timed out"), "the projects: timed out"),
    ],
)
def test_an_error_says_what_a_person_can_act_on(
    make: Callable[[], errors.IcsfeedError], message: str
) -> None:
    assert str(make()) == message


def test_the_tree_in_the_docstring_has_every_error_under_its_parent() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)(\w+)", line):
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = above[depth - 1] if depth else "Exception"
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in kinds}


def test_an_error_carries_what_a_program_needs() -> None:
    assert errors.NoCopy("x", 30).retry_after == 30
    assert errors.Throttled("x", 2.5).retry_after == 2.5
    assert errors.Unreachable("x", "503", 7).retry_after == 7
    assert errors.BadAnswer("x", "cut off").what == "x"
    assert [kind("x", "no").status for kind in (errors.BadAnswer, errors.NotPlane)] == [0, 0]
    assert [kind("x", "no", status=405).status for kind in (errors.BadAnswer, errors.NotPlane)] == [405, 405]
    assert errors.StoreFailed("no room").reason == "no room"
    assert errors.NameNotFound("x", "project", "P", ["Q"]).known == ("Q",)


@pytest.mark.parametrize("kind", ["KeyRefused", "NoAccess", "NotFound", "NotPlane", "BadAnswer"])
def test_every_failure_of_plane_is_one_kind_of_error(kind: str) -> None:
    assert issubclass(getattr(errors, kind), errors.PlaneError)


def test_the_kind_of_a_failure_names_no_address() -> None:
    error = errors.KeyRefused("the projects at https://plane.example.com", "it is wrong")
    assert (error.kind, errors.NotPlane("it", "no").kind) == ("key refused", "not plane")


def test_a_push_error_says_what_was_tried_and_has_a_short_kind() -> None:
    error = errors.NoCollection("https://dav.example.com/plane/", "there is no such calendar", gone=True)
    assert str(error) == "https://dav.example.com/plane/: there is no such calendar"
    assert (error.what, error.reason, error.gone) == (
        "https://dav.example.com/plane/",
        "there is no such calendar",
        True,
    )
    assert error.kind == "no collection"
    kinds = errors.NoPermission("x", "no").kind, errors.InsufficientStorage("x", "full").kind
    assert kinds == ("no right", "no room"), "monitors read these in /api/v1/health"
    assert errors.Changed("/a.ics", "it was changed").kind == "changed"
    assert not errors.NoCollection("x", "y").gone


def test_a_setting_that_cannot_be_used_is_one_line() -> None:
    error = errors.BadSetting("NO_PROXY", "is no list of hosts")
    assert isinstance(error, errors.ConfigError)
    assert str(error) == "NO_PROXY: is no list of hosts"
    assert error.problems == (errors.Problem("NO_PROXY", "is no list of hosts"),)
    assert error.source == "environment"


def test_a_rejected_object_carries_the_status() -> None:
    assert errors.Rejected("x", "too large", 413).status == 413
    assert errors.Rejected("x", "not asked").status == 0
