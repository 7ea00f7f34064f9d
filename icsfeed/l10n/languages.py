"""The languages of calendars and pages, and which of them a reader gets."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from icsfeed.http_headers import weights

Language: TypeAlias = Literal["en", "de"]
LANGUAGES: Sequence[Language] = get_args(Language)

ACCEPT_LIMIT = 1_000
"""Characters of Accept-Language that are read."""

_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")


def choose_language(requested: str | None, accept: str, default: str) -> str:
    """Return a tag such as `de` or `en-GB`, in one of our languages.

    `requested` (the query parameter `lang`) takes precedence over `accept` (Accept-Language, RFC 9110,
    12.5.4). Languages that we do not have are skipped.
    """
    accepted = weights(accept[:ACCEPT_LIMIT])
    by_weight = sorted((tag for tag in accepted if accepted[tag] > 0), key=lambda tag: -accepted[tag])
    for tag in (requested or "", *by_weight):
        language, *subtags = tag.strip().split("-")
        if language.lower() in LANGUAGES:
            regions = (subtag.upper() for subtag in subtags if _REGION.fullmatch(subtag.upper()))
            return "-".join((language.lower(), *list(regions)[:1]))
    return default


def language_of(tag: str) -> str:
    """Return the language of a tag: `en` of `en-GB`."""
    return tag.partition("-")[0]
