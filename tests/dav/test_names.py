"""The addresses of objects."""

import pytest

from icsfeed.dav.names import object_name


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("plane-issue-1@calplanebot", "plane-issue-1.ics"),
        ("plane-issue-1-start@calplanebot", "plane-issue-1-start.ics"),
        ("../../x@calplanebot", None),
        ("ü@calplanebot", None),
    ],
)
def test_names_are_plain(uid: str, name: str | None) -> None:
    made = object_name(uid)
    assert made == name or (name is None and len(made) == 68 and made.isascii() and "/" not in made)
