"""The language and region of a page: our own words in it, and its dates, times and numbers (Babel, CLDR)."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_skeleton, format_time, get_day_names
from babel.numbers import format_decimal
from babel.units import format_unit

from icsfeed.http_headers import weights
from icsfeed.l10n.words import LANGUAGES, words

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


class Localization:
    """The words and formats of a language and region (`de`, `en-GB`), and the time zone of moments."""

    def __init__(self, tag: str, zone: ZoneInfo) -> None:
        self.language = language_of(tag)
        self._words = words(self.language)
        self._zone = zone
        try:
            self.locale, self.tag = Locale.parse(tag, sep="-"), tag
        except (UnknownLocaleError, ValueError):  # A region that Babel does not know, such as en-QQ.
            self.locale, self.tag = Locale.parse(self.language), self.language

    @property
    def first_weekday(self) -> int:
        """The day on which weeks begin in the region: 0 is Monday, 6 is Sunday."""
        return self.locale.first_week_day

    def say(self, key: str, **values: object) -> str:
        """Return our own words for `key`, with the values filled in."""
        text = self._words[key]
        return text.format(**values) if values else text

    def lines(self, key: str) -> Sequence[str]:
        """Return words of several lines, such as the steps for an app."""
        return self._words[key].split("\n")

    def count(self, key: str, number: int, **values: object) -> str:
        """Return the words of `{key} one`, `{key} few` ... or `{key} other`: `1 item`, `2 items`."""
        form = f"{key} {self.locale.plural_form(number)}"
        return self.say(form if form in self._words else f"{key} other", n=self.number(number), **values)

    def number(self, number: int) -> str:
        """Format a number: `1,234`."""
        return format_decimal(number, locale=self.locale)

    def size(self, octets: int) -> str:
        """Format a size: `42 kB`."""
        return format_unit(round(octets / 1000), "kilobyte", "short", locale=self.locale)

    def month(self, day: date) -> str:
        """Format a month: `November 2026`."""
        return format_skeleton("yMMMM", day, locale=self.locale)

    def full(self, day: date) -> str:
        """Format a day: `Monday, 23 November 2026`."""
        return format_date(day, "full", locale=self.locale)

    def short(self, day: date) -> str:
        """Format a day: `Mon, 23 Nov`."""
        return format_skeleton("MMMEd", day, locale=self.locale)

    def brief(self, day: date) -> str:
        """Format a day: `23 Nov`."""
        return format_skeleton("MMMd", day, locale=self.locale)

    def span(self, first: date, last: date) -> str:
        """Format a range of days: `23 – 29 Nov 2026`."""
        return format_interval(first, last, "yMMMd", locale=self.locale)

    def days(self, first: date, last: date) -> str:
        """Format a range of days without the year: `23 – 29 Nov`."""
        return format_interval(first, last, "MMMd", locale=self.locale)

    def moment(self, moment: datetime) -> str:
        """Format a moment, in the time zone of this localization: `23 Nov, 11:02`."""
        local = moment.astimezone(self._zone)
        return f"{self.brief(local.date())}, {format_time(local, 'short', locale=self.locale)}"

    def weekdays(self) -> Sequence[tuple[str, str]]:
        """Return the short and full names of the seven days, from the region's first day of the week."""
        short = get_day_names("abbreviated", "stand-alone", self.locale)
        wide = get_day_names("wide", "stand-alone", self.locale)
        order = [(self.first_weekday + day) % 7 for day in range(7)]
        # German abbreviations end in a full stop ("Mo."), which is of no use at the head of a column.
        return [(short[day].rstrip("."), wide[day]) for day in order]
