"""Which language a page speaks: as the address asks, as the browser asks, or by default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.l10n.languages import chosen, language_of

KNOWN = ("en", "de")


@pytest.mark.parametrize(
    ("asked", "accept", "tag"),
    [
        (None, "", "en"),
        ("de", "en", "de"),
        ("DE-at", "", "de-AT"),
        ("fr", "de", "de"),
        ("", "de-DE,de;q=0.9,en;q=0.8", "de-DE"),
        (None, "fr-FR, en-GB;q=0.7, de;q=0.9", "de"),
        (None, "fr, *", "en"),
        (None, "de;q=0, en;q=0.1", "en"),
        (None, "de;q=0", "en"),
        (None, "zh-Hant-TW, de-Latn-AT", "de-AT"),
        (None, "es-419", "en"),
        (None, "en-001", "en-001"),
        (None, "de;q=nonsense", "en"),
        (None, "de;q=2", "en"),
        (None, ",,;q=1, de", "de"),
        ("../../etc", "", "en"),
    ],
)
def test_the_first_known_language_that_is_wanted(asked: str | None, accept: str, tag: str) -> None:
    assert chosen(asked, accept, KNOWN, "en") == tag


@given(st.text(), st.text())
def test_whatever_is_asked_a_known_language_answers(asked: str, accept: str) -> None:
    assert language_of(chosen(asked, accept, KNOWN, "de")) in KNOWN


def test_the_language_of_a_tag() -> None:
    assert [language_of(tag) for tag in ("de", "en-GB")] == ["de", "en"]
