"""How pages write names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.web.pages.render import initials


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("anna", "A"),
        ("Anna Schröder", "AS"),
        ("Dan O'Brien, Jr.", "DJ"),
        ("Eva Novák 🌿", "EN"),
        ("🌿", "🌿"),
        ("ß", "SS"),
        ("", ""),
        ("محمد علي", "مع"),
    ],
)
def test_initials_are_of_the_first_and_the_last_word(name: str, letters: str) -> None:
    assert initials(name) == letters


@given(st.text())
def test_initials_are_two_letters_at_most(name: str) -> None:
    assert len(initials(name)) <= 2
