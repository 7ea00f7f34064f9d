"""Our own words in feeds and pages, one module for each language.

To add a language: copy en.py, translate it, list it in `LANGUAGES` and in `Language` of config/schema.py.
"""

from collections.abc import Mapping

from icsfeed.l10n.words import de, en

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": en.WORDS, "de": de.WORDS}


def words(language: str) -> Mapping[str, str]:
    """Return the words of a language, by the code that `language:` in the configuration takes."""
    return LANGUAGES[language]
