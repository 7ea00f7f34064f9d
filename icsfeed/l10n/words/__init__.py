"""Our own words in feeds and pages, one module a language.

To add one: copy en.py, translate it, list it here.
"""

from collections.abc import Mapping

from icsfeed.l10n.words import de, en

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": en.WORDS, "de": de.WORDS}


def words(language: str) -> Mapping[str, str]:
    """The words of a language that the configuration allows."""
    return LANGUAGES[language]
