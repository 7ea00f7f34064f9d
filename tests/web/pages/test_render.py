"""How pages write names, and which templates they are made of."""

import pytest
from app_world import serving
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.web.app import create_app
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


@pytest.mark.anyio
async def test_a_reload_keeps_the_templates_and_styles_that_were_read_at_the_start() -> None:
    """After an upgrade in place, those in the folder belong to other code."""
    async with serving() as world:
        reloaded = create_app(world.service, world.server)
        assert reloaded.state.site.pages is world.app.state.site.pages
