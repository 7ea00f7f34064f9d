"""What our errors say to a person, and carry for a program."""

import re

import pytest

from icsfeed import errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.ConfigError("f.yaml", [errors.Problem("a.b", "no")]), "f.yaml: 1 problem\n  a.b: no"),
        (
            errors.ConfigError("f", [errors.Problem("", "no"), errors.Problem("a", "b")]),
            "f: 2 problems\n  no\n  a: b",
        ),
        (errors.UnknownFeed("x"), "feed 'x': there is no such feed"),
        (
            errors.NameNotFound("x", "project", "P", ["Q", "R"]),
            "feed 'x': no project 'P' in the workspace; there is: Q, R",
        ),
        (errors.NameNotFound("x", "project", "P", []), "feed 'x': no project 'P' in the workspace"),
        (
            errors.AmbiguousName("x", "assignee", "bob", ["a", "b"]),
            "feed 'x': assignee 'bob' fits several people, use an e-mail or id: a; b",
        ),
        (errors.UnusableSearch("x", "no such field"), "feed 'x': pql: no such field"),
        (errors.NoCopy("x", 30), "feed 'x': Plane has not been read yet; try again in 30 s"),
        (errors.StoreFailed("no room"), "nothing was changed, since the store failed: no room"),
        (errors.ExportBusy("another export is running"), "another export is running"),
        (errors.BadParameter("days", "must be a number"), "days: must be a number"),
        (errors.KeyRefused("the projects", "403"), "the projects: 403"),
        (errors.Throttled("the projects", 29.6), "the projects: Plane allows no more requests for 30 s"),
        (errors.Unreachable("the projects", "timed out"), "the projects: timed out"),
    ],
)
def test_an_error_says_what_a_person_can_act_on(error: errors.IcsfeedError, message: str) -> None:
    assert str(error) == message


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
    assert str(error).count("\n") == 0
    assert "NO_PROXY" in str(error)
    assert error.problems == (errors.Problem("NO_PROXY", "is no list of hosts"),)


def test_a_rejected_object_carries_the_status() -> None:
    assert errors.Rejected("x", "too large", 413).status == 413
    assert errors.Rejected("x", "not asked").status == 0
