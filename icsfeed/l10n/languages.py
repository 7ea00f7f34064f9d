"""The languages of calendars and pages, and which of them a reader gets."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from icsfeed.http_headers import weights

Language: TypeAlias = Literal["en", "de", "es", "fr", "it", "nl", "pl", "pt"]
"""The codes that `language:` in the configuration takes. `pt` is Portuguese of Brazil, as in CLDR."""
LANGUAGES: Sequence[Language] = get_args(Language)

ACCEPT_LIMIT = 1_000
"""Characters of Accept-Language that are read."""

_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")


def choose_language(requested: str | None, accept: str, default: str) -> str:
    """Return a tag such as `de` or `en-GB`, in one of our languages.

    `requested` (the query parameter `lang`) takes precedence over `accept` (Accept-Language, RFC 9110,
    12.5.4). Languages that we do not have are skipped. A language without a region, as in the links between
    the languages of a page, gets the region in which the reader's browser names it.
    """
    accepted = weights(accept[:ACCEPT_LIMIT])
    by_weight = sorted((tag for tag in accepted if accepted[tag] > 0), key=lambda tag: -accepted[tag])
    tags = [tag.strip().split("-") for tag in (requested or "", *by_weight)]
    language = next((tag[0].lower() for tag in tags if tag[0].lower() in LANGUAGES), None)
    if language is None:
        return default
    subtags = (subtag.upper() for tag in tags if tag[0].lower() == language for subtag in tag[1:])
    region = next(filter(_REGION.fullmatch, subtags), None)
    return f"{language}-{region}" if region else language


def language_of(tag: str) -> str:
    """Return the language of a tag: `en` of `en-GB`."""
    return tag.partition("-")[0]
