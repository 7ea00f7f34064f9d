"""Our own words, in calendars and on pages: gettext catalogues, which translators' tools read and write.

`catalogues/icsfeed.pot` holds the keys (`msgctxt`) and their English text; a file for each other language
translates them. CONTRIBUTING.md says how to add a text or a language.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from gettext import c2py
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

CATALOGUES = files("icsfeed.l10n") / "catalogues"


class Words:
    """The words of a language by their keys. What a catalogue does not translate is English."""

    def __init__(self, catalog: Catalog) -> None:
        self._plural = c2py(catalog.plural_expr)
        self._texts: Mapping[str, Sequence[str]] = {
            message.context: _forms(message.string) or _forms(message.id)
            for message in catalog
            if message.context is not None
        }

    def say(self, key: str, **values: object) -> str:
        """Return the words for `key`, with the values filled in."""
        text = self._texts[key][0]
        return text.format(**values) if values else text

    def count(self, key: str, number: int, **values: object) -> str:
        """Return the words for `key` in the plural form of the number: `1 item`, `2 items`."""
        forms = self._texts[key]
        # English has fewer forms than some languages that it stands in for.
        return forms[min(self._plural(number), len(forms) - 1)].format(**values)


def _forms(text: str | Sequence[str] | None) -> Sequence[str]:
    forms = (text,) if isinstance(text, str) else tuple(text or ())
    return forms if all(forms) else ()


@cache
def words(language: str) -> Words:
    """Return the words of a language; its catalogue is read once, in about 3 ms."""
    name = "icsfeed.pot" if language == "en" else f"{language}.po"
    with (CATALOGUES / name).open("rb") as file:
        return Words(read_po(file))
