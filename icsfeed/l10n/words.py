"""Our own words, in calendars and on pages: gettext catalogues, which translators' tools read and write.

`catalogues/icsfeed.pot` holds the keys (`msgctxt`) and their English text; a file for each other language
translates them. CONTRIBUTING.md says how to add a text or a language.
"""

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from gettext import c2py
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

CATALOGUES = files("icsfeed.l10n") / "catalogues"


class Words:
    """The words of a language by their keys. What its catalogue does not translate is in the template."""

    def __init__(self, catalog: Catalog, template: Catalog) -> None:
        self._plural = c2py(catalog.plural_expr)
        english = {message.context: _forms(message.id) for message in template}
        own = {message.context: _forms(message.string) for message in catalog if not message.fuzzy}
        self._texts: Mapping[str | None, Sequence[str]] = english | {key: own[key] for key in own if own[key]}

    def say(self, key: str, **values: object) -> str:
        """Return the words for `key`, with the values filled in."""
        text = self._texts[key][0]
        return text.format(**values) if values else text

    def count(self, key: str, number: int, **values: object) -> str:
        """Return the words for `key` in the plural form of the number: `1 item`, `2 items`."""
        forms = self._texts[key]
        # English has fewer forms than some languages that it stands in for.
        return forms[min(self._plural(number), len(forms) - 1)].format(**values)

    def facts(self, values: Mapping[str, str]) -> list[str]:
        """Return lines such as `Labels: bug`, by the keys of their names."""
        # Formatted once: each issue of a calendar has some, and only what is around the colon differs.
        return [f"{self._texts[key][0]}{self._colon}{value}" for key, value in values.items()]

    @cached_property
    def _colon(self) -> str:
        return self.say("fact", name="", value="")


def _forms(text: str | Sequence[str] | None) -> Sequence[str]:
    forms = (text,) if isinstance(text, str) else tuple(text or ())
    return forms if all(forms) else ()


@cache
def words(language: str) -> Words:
    """Return the words of a language; its catalogue is read once, in about 3 ms."""
    template = _catalogue("icsfeed.pot")
    return Words(template if language == "en" else _catalogue(f"{language}.po"), template)


@cache
def _catalogue(name: str) -> Catalog:
    with (CATALOGUES / name).open("rb") as file:
        return read_po(file)
