"""The code of a frame: what its author chose, and what cannot be used."""

from html import unescape

import pytest

from icsfeed.web.pages.embed_code import EMBED_CHOICES, HEIGHTS, embed_code_of

EMBED = "https://cal.example.com/team/embed/icsf_x/property"


def test_without_choices_the_code_is_that_of_the_address() -> None:
    code = embed_code_of(EMBED, "Property", ())
    assert code.address == EMBED
    assert code.preview == "/team/embed/icsf_x/property"
    assert (code.height, code.chosen) == (1040, {})
    assert code.html == (
        f'<iframe src="{EMBED}" title="Property" width="100%" height="1040" loading="lazy" '
        'referrerpolicy="no-referrer" style="border:0"></iframe>'
    )


@pytest.mark.parametrize("query", ["", "?priority=high"])
def test_choices_follow_what_filters_the_feed(query: str) -> None:
    asked = (("lang", "en"), ("embed_theme", "dark"), ("embed_view", "agenda"), ("embed_height", "400"))
    code = embed_code_of(EMBED + query, "Property", asked)
    assert code.address == f"{EMBED}{query}{'&' if query else '?'}view=agenda&theme=dark"
    assert code.preview == code.address.removeprefix("https://cal.example.com")
    assert f'src="{code.address}"' in unescape(code.html)
    assert 'height="400"' in code.html


@pytest.mark.parametrize("name", EMBED_CHOICES)
def test_every_choice_is_a_parameter_of_the_frame_and_no_other_value_is(name: str) -> None:
    for value in EMBED_CHOICES[name]:
        assert embed_code_of(EMBED, "x", [(f"embed_{name}", value)]).address == f"{EMBED}?{name}={value}"
    for value in ("", "x", '"><script>', "month" if name == "view" else "auto"):
        assert embed_code_of(EMBED, "x", [(f"embed_{name}", value)]).address == EMBED


@pytest.mark.parametrize("text", ["", "199", "4001", "-300", "3e2", "٣٠٠", "300.5", "9" * 5_000])
def test_a_height_that_no_frame_has_is_the_default(text: str) -> None:
    assert embed_code_of(EMBED, "x", [("embed_height", text)]).height == HEIGHTS["default"]


def test_a_title_stays_text() -> None:
    code = embed_code_of(EMBED, '"><script>alert(1)</script>', ())
    assert "<script" not in code.html
