"""The language of a page: the first accepted one that we have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.l10n.languages import LANGUAGES, choose_language, language_of


@pytest.mark.parametrize(
    ("asked", "accept", "tag"),
    [
        (None, "", "en"),
        ("de", "en", "de"),
        ("DE-at", "", "de-AT"),
        ("sv", "de", "de"),
        ("", "de-DE,de;q=0.9,en;q=0.8", "de-DE"),
        (None, "sv-SE, en-GB;q=0.7, de;q=0.9", "de"),
        (None, "fr-CA, en;q=0.9", "fr-CA"),
        ("pt-br", "en", "pt-BR"),
        ("pt", "en-US, pt-BR;q=0.8", "pt-BR"),
        ("de-CH", "de-AT", "de-CH"),
        ("de", "en-GB", "de"),
        (None, "sv, *", "en"),
        (None, "de;q=0, en;q=0.1", "en"),
        (None, "de;q=0", "en"),
        (None, "zh-Hant-TW, de-Latn-AT", "de-AT"),
        (None, "es-419", "es-419"),
        (None, "en-001", "en-001"),
        (None, "de;q=nonsense", "en"),
        (None, "de;q=2", "en"),
        (None, ",,;q=1, de", "de"),
        ("../../etc", "", "en"),
    ],
)
def test_the_first_accepted_language_that_we_have_is_chosen(asked: str | None, accept: str, tag: str) -> None:
    assert choose_language(asked, accept, "en") == tag


@given(st.text(), st.text())
def test_any_request_gets_a_language_that_we_have(asked: str, accept: str) -> None:
    assert language_of(choose_language(asked, accept, "de")) in LANGUAGES


def test_the_language_of_a_tag() -> None:
    assert [language_of(tag) for tag in ("de", "en-GB")] == ["de", "en"]
