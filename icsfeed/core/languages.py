"""Which language and region a page speaks: as its address asks, as the browser asks, or by default."""

import re
from collections.abc import Collection, Iterator

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
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


def _by_weight(accept: str) -> Iterator[str]:
    found = [_RANGE.fullmatch(part) for part in accept[:1000].split(",")]
    ranges = [(float(match[2] or 1), match[1]) for match in found if match]
    for weight, tag in sorted(ranges, key=lambda one: -one[0]):
        if weight > 0:
            yield tag
