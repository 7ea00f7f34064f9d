"""Our own words: every language says the same things, and fills in the same values."""

from string import Formatter

import pytest
from babel import Locale

from icsfeed.l10n.words import LANGUAGES

ENGLISH = LANGUAGES["en"]


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def _expected(language: str) -> list[str]:
    """The keys of English, with the plural forms that the language's own rule names (CLDR)."""
    forms = sorted(
        Locale.parse(language).plural_form.tags | {"other"}, key=("one", "two", "few", "many", "other").index
    )
    keys = []
    for key in ENGLISH:
        stem, _, form = key.rpartition(" ")
        if form == "one" and f"{stem} other" in ENGLISH:
            keys += [f"{stem} {one}" for one in forms]
        elif not (form == "other" and f"{stem} one" in ENGLISH):
            keys.append(key)
    return keys


def _english(key: str) -> str:
    return ENGLISH.get(key) or ENGLISH[f"{key.rpartition(' ')[0]} other"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_words_with_the_same_values_and_as_many_lines(language: str) -> None:
    words = LANGUAGES[language]
    assert list(words) == _expected(language)
    for key, text in words.items():
        assert text.strip(), key
        assert _fields(text) == _fields(_english(key)), key
        assert text.count("\n") == _english(key).count("\n"), key


def test_a_language_with_more_plural_forms_has_them_all() -> None:
    assert {"item one", "item few", "item many", "item other"} <= set(_expected("pl"))
