"""The language and region of a page: our own words in it, and its dates, times and numbers (Babel, CLDR)."""

from collections.abc import Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_interval,
    format_skeleton,
    format_time,
    get_day_names,
    get_timezone_location,
)
from babel.numbers import format_decimal
from babel.units import format_unit

from icsfeed.l10n.languages import language_of
from icsfeed.l10n.words import words


class Localization:
    """The words and formats of a language and region (`de`, `en-GB`), and the time zone of moments.

    `first_weekday`: where the reader's weeks do not begin as the region's do.
    """

    def __init__(self, tag: str, zone: ZoneInfo, first_weekday: int | None = None) -> None:
        self.language = language_of(tag)
        self._words = words(self.language)
        self._zone = zone
        try:
            self.locale, self.tag = Locale.parse(tag, sep="-"), tag
        except (UnknownLocaleError, ValueError):  # A region that Babel does not know, such as en-QQ.
            self.locale, self.tag = Locale.parse(self.language), self.language
        self.first_weekday = self.locale.first_week_day if first_weekday is None else first_weekday
        """The day on which weeks begin: 0 is Monday, 6 is Sunday."""

    @property
    def zone(self) -> str:
        """The name of the time zone: `Berlin time`."""
        return self.say("zone", city=get_timezone_location(self._zone, self.locale, return_city=True))

    def say(self, key: str, **values: object) -> str:
        """Return our own words for `key`, with the values filled in."""
        return self._words.say(key, **values)

    def lines(self, key: str) -> Sequence[str]:
        """Return words of several lines, such as the steps for an app."""
        return self._words.say(key).split("\n")

    def count(self, key: str, number: int, **values: object) -> str:
        """Return our own words for `key` in the plural form of the number: `1 item`, `2 items`."""
        return self._words.count(key, number, n=self.number(number), **values)

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

    def hour(self, hour: int) -> str:
        """Format a full hour: `9:00 AM`."""
        return format_time(time(hour), "short", locale=self.locale)

    def weekday(self, number: int) -> str:
        """Return the name of a day of the week: 0 is Monday."""
        return str(get_day_names("wide", "stand-alone", self.locale)[number])

    def weekdays(self) -> Sequence[tuple[str, str]]:
        """Return the short and full names of the seven days, from the region's first day of the week."""
        # Not the region's: Portugal abbreviates none of them, and seven columns must fit a phone.
        short = get_day_names("abbreviated", "stand-alone", self.language)
        wide = get_day_names("wide", "stand-alone", self.locale)
        order = [(self.first_weekday + day) % 7 for day in range(7)]
        # German abbreviations end in a full stop ("Mo."), which is of no use at the head of a column.
        return [(short[day].rstrip("."), wide[day]) for day in order]
