"""How a page speaks: our own words, and dates, times and numbers as its language and region write them."""

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval, format_skeleton, format_time, get_day_names
from babel.numbers import format_decimal
from babel.units import format_unit

from icsfeed.l10n.languages import language_of
from icsfeed.l10n.words import words


class Localization:
    """One language, by its tag (`de`, `en-GB`), and the time zone in which moments are told."""

    def __init__(self, tag: str, zone: ZoneInfo) -> None:
        self.language = language_of(tag)
        self._words = words(self.language)
        self._zone = zone
        self.locale, self.tag = _locale(tag)

    @property
    def first_weekday(self) -> int:
        """0: Monday, 6: Sunday, as the region has it."""
        return self.locale.first_week_day

    def say(self, key: str, **values: object) -> str:
        """Our own words for `key`, with values filled in."""
        text = self._words[key]
        return text.format(**values) if values else text

    def lines(self, key: str) -> Sequence[str]:
        """Words of several lines, such as the steps for an app."""
        return self._words[key].split("\n")

    def count(self, key: str, number: int, **values: object) -> str:
        """`1 item`, `2 items`: the words of `{key} one` or `{key} other`."""
        form = "one" if self.locale.plural_form(number) == "one" else "other"
        return self.say(f"{key} {form}", n=self.number(number), **values)

    def number(self, number: int) -> str:
        return format_decimal(number, locale=self.locale)

    def size(self, octets: int) -> str:
        """`42 kB`"""
        return format_unit(round(octets / 1000), "kilobyte", "short", locale=self.locale)

    def month(self, day: date) -> str:
        """`November 2026`"""
        return format_skeleton("yMMMM", day, locale=self.locale)

    def full(self, day: date) -> str:
        """`Monday, 23 November 2026`"""
        return format_date(day, "full", locale=self.locale)

    def short(self, day: date) -> str:
        """`Mon, 23 Nov`"""
        return format_skeleton("MMMEd", day, locale=self.locale)

    def brief(self, day: date) -> str:
        """`23 Nov`"""
        return format_skeleton("MMMd", day, locale=self.locale)

    def span(self, first: date, last: date) -> str:
        """`23 – 29 Nov 2026`"""
        return format_interval(first, last, "yMMMd", locale=self.locale)

    def moment(self, moment: datetime) -> str:
        """`23 Nov, 11:02`, in the zone."""
        local = moment.astimezone(self._zone)
        return f"{self.brief(local.date())}, {format_time(local, 'short', locale=self.locale)}"

    def weekdays(self) -> Sequence[tuple[str, str]]:
        """The seven days as the week goes here: short and full names."""
        short = get_day_names("abbreviated", "stand-alone", self.locale)
        wide = get_day_names("wide", "stand-alone", self.locale)
        order = [(self.first_weekday + day) % 7 for day in range(7)]
        return [(short[day].rstrip("."), wide[day]) for day in order]


def _locale(tag: str) -> tuple[Locale, str]:
    """Babel's locale, and the tag that names it: without the region that nobody knows."""
    try:
        return Locale.parse(tag, sep="-"), tag
    except (UnknownLocaleError, ValueError):
        language = language_of(tag)
        return Locale.parse(language), language
