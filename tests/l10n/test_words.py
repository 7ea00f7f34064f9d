"""Our own words: every language says the same things, and fills in the same values."""

from string import Formatter

import pytest

from icsfeed.l10n.words import LANGUAGES

ENGLISH = LANGUAGES["en"]


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_words_with_the_same_values_and_as_many_lines(language: str) -> None:
    words = LANGUAGES[language]
    assert list(words) == list(ENGLISH)
    for key, text in words.items():
        assert text.strip(), key
        assert _fields(text) == _fields(ENGLISH[key]), key
        assert text.count("\n") == ENGLISH[key].count("\n"), key
