"""Our own words: every catalogue says the same things, fills in the same values, and is used."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

import icsfeed
from icsfeed.l10n.languages import LANGUAGES
from icsfeed.l10n.words import CATALOGUES, Words, words

PACKAGE = Path(icsfeed.__file__).parent
TRANSLATED = [language for language in LANGUAGES if language != "en"]
QUOTES = {"de": "„“", "es": "«»", "fr": "«»", "it": "«»", "nl": "‘’", "pl": "„”", "pt": "“”"}
LIMITS = {
    "today": 12,
    "view month": 12,
    "view week": 12,
    "view agenda": 12,
    "view timeline": 12,
    "more": 13,
    "copy": 10,
    "copied": 10,
}
"""Characters of what stands in a row of buttons, or in a day of a month."""


def catalogue(name: str) -> Catalog:
    with (CATALOGUES / name).open("rb") as file:
        return read_po(file, abort_invalid=True)


def messages(catalog: Catalog) -> dict[str, Message]:
    return {str(message.context): message for message in catalog if message.id}


ENGLISH = messages(catalogue("icsfeed.pot"))


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ())


def fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


def test_each_language_has_a_catalogue() -> None:
    names = {path.name for path in CATALOGUES.iterdir()}
    assert names == {"icsfeed.pot", *(f"{language}.po" for language in TRANSLATED)}


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_translates_every_key_of_the_same_english_text(language: str) -> None:
    catalog = catalogue(f"{language}.po")
    own = messages(catalog)
    assert str(catalog.locale) == language
    assert {key: message.id for key, message in own.items()} == {
        key: message.id for key, message in ENGLISH.items()
    }
    assert [key for key, message in own.items() if message.fuzzy or not all(forms(message.string))] == []
    assert not catalog.obsolete


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_values_lines_and_margins_of_the_english_text(language: str) -> None:
    catalog = catalogue(f"{language}.po")
    for key, message in messages(catalog).items():
        expected, own = forms(message.id), forms(message.string)
        assert len(own) == (catalog.num_plurals if message.pluralizable else 1), key
        for text in own:
            # One item may be said without the number.
            assert fields(text) in [fields(form) for form in expected], key
            assert text.count("\n") == expected[0].count("\n"), key
            assert [line.strip() for line in text.split("\n")] == text.split("\n"), key
            assert not re.search(r"[<>\x00-\x09\x0b-\x1f\\]|&\w+;|  ", text), key


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_quotation_marks_of_its_language(language: str) -> None:
    foreign = set("\"'„“”«»‘") - set(QUOTES[language])  # ’ is an apostrophe too
    for key, message in messages(catalogue(f"{language}.po")).items():
        assert not foreign & set("".join(forms(message.string))), key


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", LIMITS)
def test_what_has_little_space_is_short(language: str, key: str) -> None:
    spoken = words(language)
    longest = max(len(spoken.count(key, number, n=number)) for number in (1, 3, 12))
    assert longest <= LIMITS[key]


@pytest.mark.parametrize("language", TRANSLATED)
def test_gettext_accepts_a_catalogue_and_has_nothing_to_merge_into_it(language: str, tmp_path: Path) -> None:
    msgfmt, msgmerge = shutil.which("msgfmt"), shutil.which("msgmerge")
    assert msgfmt, "this test needs msgfmt: apt-get install gettext"
    assert msgmerge, "this test needs msgmerge: apt-get install gettext"
    file, template = str(CATALOGUES / f"{language}.po"), str(CATALOGUES / "icsfeed.pot")
    subprocess.run([msgfmt, "--check", "-o", tmp_path / "checked.mo", file], check=True)
    merged = subprocess.run([msgmerge, "--quiet", file, template], check=True, capture_output=True)
    assert merged.stdout == Path(file).read_bytes()


def sources() -> str:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]
    return "\n".join(file.read_text("utf-8") for file in files)


def is_used(key: str, source: str, beginnings: set[str]) -> bool:
    stem, _, end = key.rpartition(" ")
    quoted = (key, stem) if end in ("title", "text") else (key,)  # f"{key} title" of message_page
    # Within an f-string, a key has the other quotes.
    return key.startswith(tuple(beginnings)) or any(
        f"{q}{name}{q}" in source for name in quoted for q in "\"'"
    )


def test_every_key_is_used_and_every_key_in_use_is_there() -> None:
    source = sources()
    composed = re.findall(r'"([a-z]+ (?:[a-z]+ )*)" ~', source)  # t("view " ~ view)
    composed += [f"{prefix} " for prefix in re.findall(r'options\("[^}]*, "([a-z]+)"\)', source)]
    assert [key for key in ENGLISH if not is_used(key, source, set(composed))] == []
    in_use = re.findall(r'(?:\bt|l10n\.\w+|local\.\w+|fact)\(["\']([^"\']+)["\'][,)]', source)
    assert set(in_use) <= ENGLISH.keys()
    assert len(in_use) > 100


def test_words_are_filled_in_and_counted() -> None:
    german = words("de")
    assert german.say("until", day="Montag") == "bis Montag"
    assert [german.count("item", number, n=number) for number in (0, 1, 2)] == [
        *("0 Einträge", "1 Eintrag", "2 Einträge")
    ]


def test_facts_have_the_colon_of_the_language() -> None:
    assert words("en").facts({"labels": "bug", "cycle": "Sprint 7"}) == ["Labels: bug", "Cycle: Sprint 7"]
    assert words("fr").facts({"labels": "bug"}) == ["Étiquettes\u00a0: bug"]


@pytest.mark.parametrize(
    ("language", "counted"),
    [
        ("fr", ["0 élément", "1 élément", "2 éléments", "5 éléments", "22 éléments", "112 éléments"]),
        ("es", ["0 elementos", "1 elemento", "2 elementos", "5 elementos", "22 elementos", "112 elementos"]),
        ("pl", ["0 pozycji", "1 pozycja", "2 pozycje", "5 pozycji", "22 pozycje", "112 pozycji"]),
    ],
)
def test_each_language_has_its_own_plural_forms(language: str, counted: list[str]) -> None:
    numbers = (0, 1, 2, 5, 22, 112)
    assert [words(language).count("item", number, n=number) for number in numbers] == counted


def test_what_is_not_translated_is_english_in_languages_with_more_plural_forms_too() -> None:
    catalog, template = Catalog(locale="pl"), Catalog()
    template.add(("{n} item", "{n} items"), context="item")
    template.add("Today", context="today")
    template.add("Week", context="view week")
    catalog.add(("{n} item", "{n} items"), ("", "", ""), context="item")
    catalog.add("Week", "Tydzień", context="view week")
    template.add("Month", context="view month")
    catalog.add("Month", "Tydzień", context="view month", flags=["fuzzy"])
    polish = Words(catalog, template)
    assert [polish.count("item", number, n=number) for number in (1, 2, 5)] == [
        "1 item",
        "2 items",
        "5 items",
    ]
    assert [polish.say(key) for key in ("today", "view week", "view month")] == [
        *("Today", "Tydzień", "Month")
    ]
