"""Which language and region a page speaks: as its address asks, as the browser asks, or by default."""

import re
from collections.abc import Collection, Sequence

from icsfeed.http_headers import weights

_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")


def chosen(asked: str | None, accept: str, known: Collection[str], default: str) -> str:
    """A tag such as `de` or `en-GB` whose language is among `known` ones.

    `asked` (the parameter `lang`) wins over `accept` (Accept-Language, RFC 9110, 12.5.4); what is not
    known is passed over.
    """
    for tag in (asked or "", *_by_weight(accept)):
        language, region = _parts(tag)
        if language in known:
            return f"{language}-{region}" if region else language
    return default


def language_of(tag: str) -> str:
    """`en` of `en-GB`."""
    return tag.partition("-")[0]


def _parts(tag: str) -> tuple[str, str]:
    language, *rest = tag.strip().split("-")
    return language.lower(), next((part.upper() for part in rest if _REGION.fullmatch(part.upper())), "")


def _by_weight(accept: str) -> Sequence[str]:
    found = weights(accept[:1000])
    return sorted((tag for tag in found if found[tag] > 0), key=lambda tag: -found[tag])
