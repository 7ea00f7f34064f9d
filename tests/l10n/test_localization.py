"""Dates and numbers as its region writes them; our own words in the right plural."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from icsfeed.l10n.localization import Localization

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("tag", "month", "full", "short", "brief", "span"),
    [
        ("en-GB", "November 2026", "Monday, 23 November 2026", "Mon 23 Nov", "23 Nov", "23 Nov – 6 Dec 2026"),
        (
            "en-US",
            "November 2026",
            "Monday, November 23, 2026",
            "Mon, Nov 23",
            "Nov 23",
            "Nov 23 – Dec 6, 2026",
        ),
        (
            "de",
            "November 2026",
            "Montag, 23. November 2026",
            "Mo., 23. Nov.",
            "23. Nov.",
            "23. Nov. – 6. Dez. 2026",
        ),
    ],
)
def test_dates_are_written_as_the_region_does(
    tag: str, month: str, full: str, short: str, brief: str, span: str
) -> None:
    l10n = Localization(tag, BERLIN)
    assert [l10n.month(DAY), l10n.full(DAY), l10n.short(DAY), l10n.brief(DAY)] == [
        *(month, full, short, brief)
    ]
    assert l10n.span(DAY, date(2026, 12, 6)).replace("\u2009", " ") == span


def test_days_of_a_bar_have_no_year() -> None:
    first, last = date(2026, 11, 23), date(2026, 11, 29)
    spoken = [Localization(tag, BERLIN).days(first, last).replace("\u2009", " ") for tag in ("en-GB", "de")]
    assert spoken == ["23 – 29 Nov", "23.–29. Nov."]


@pytest.mark.parametrize(
    ("tag", "zone", "name"),
    [
        ("en", "Europe/Berlin", "Berlin time"),
        ("de", "Asia/Kolkata", "Ortszeit Kalkutta"),
        ("en", "UTC", "UTC time"),
    ],
)
def test_the_time_zone_is_named_by_a_city(tag: str, zone: str, name: str) -> None:
    assert Localization(tag, ZoneInfo(zone)).zone == name


def test_a_moment_is_shown_in_the_time_zone() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert Localization("de", BERLIN).moment(late) == "24. Nov., 00:30"
    assert Localization("en-GB", ZoneInfo("UTC")).moment(late) == "23 Nov, 23:30"


def test_weeks_begin_on_the_day_of_the_region() -> None:
    american, german = Localization("en-US", BERLIN), Localization("de", BERLIN)
    assert (american.first_weekday, german.first_weekday) == (6, 0)
    assert american.weekdays()[0] == ("Sun", "Sunday")
    assert german.weekdays()[6] == ("So", "Sonntag")
    assert Localization("pt-PT", BERLIN).weekdays()[0] == ("dom", "domingo")
    assert [german.weekday(day) for day in (0, 6)] == ["Montag", "Sonntag"]


def test_weeks_begin_on_another_day_for_a_reader_who_says_so() -> None:
    german = Localization("de", BERLIN, first_weekday=5)
    assert german.first_weekday == 5
    assert [short for short, _ in german.weekdays()] == ["Sa", "So", "Mo", "Di", "Mi", "Do", "Fr"]


@pytest.mark.parametrize(
    ("tag", "zone", "name"),
    [
        ("en", "Europe/Berlin", "Berlin time"),
        ("de", "Asia/Kolkata", "Ortszeit Kalkutta"),
        ("en", "UTC", "UTC time"),
    ],
)
def test_a_time_zone_is_named_by_a_city(tag: str, zone: str, name: str) -> None:
    assert Localization(tag, ZoneInfo(zone)).zone == name


def test_counts_have_their_plural_and_numbers_their_separators() -> None:
    english, german = Localization("en", BERLIN), Localization("de", BERLIN)
    assert [english.count("item", number) for number in (0, 1, 2)] == ["0 items", "1 item", "2 items"]
    assert [german.count("item", number) for number in (1, 12_345)] == ["1 Eintrag", "12.345 Einträge"]
    assert (english.size(1_234_567), german.size(400)) == ("1,235 kB", "0 kB")


@pytest.mark.parametrize(("tag", "written"), [("en-XX", "en"), ("de-419", "de"), ("de-AT", "de-AT")])
def test_an_unknown_region_is_left_out(tag: str, written: str) -> None:
    assert Localization(tag, BERLIN).tag == written


def test_words_are_filled_in_and_lines_split() -> None:
    l10n = Localization("en", BERLIN)
    assert l10n.say("until", day="Monday") == "until Monday"
    assert len(l10n.lines("app google steps")) == 4


@pytest.mark.parametrize(
    ("tag", "span", "moment", "hour"),
    [
        ("en-US", "Nov 23 – Dec 6, 2026", "Nov 23, 2:05 PM", "9:00 AM"),
        ("fr", "23 nov. – 6 déc. 2026", "23 nov., 14:05", "09:00"),
        ("fr-CA", "23 nov. – 6 déc. 2026", "23 nov., 14 h 05", "09 h 00"),
        ("es", "23 nov – 6 dic 2026", "23 nov, 14:05", "9:00"),
        ("pt-BR", "23 de nov. – 6 de dez. de 2026", "23 de nov., 14:05", "09:00"),
        ("it", "23 nov – 06 dic 2026", "23 nov, 14:05", "09:00"),
        ("nl", "23 nov – 6 dec 2026", "23 nov, 14:05", "09:00"),
        ("pl", "23 lis–6 gru 2026", "23 lis, 14:05", "09:00"),
    ],
)
def test_each_language_writes_days_and_times_in_its_way(tag: str, span: str, moment: str, hour: str) -> None:
    l10n = Localization(tag, BERLIN)
    said = [
        l10n.span(DAY, date(2026, 12, 6)),
        l10n.moment(datetime(2026, 11, 23, 13, 5, tzinfo=UTC)),
        l10n.hour(9),
    ]
    # CLDR's spaces: thin, narrow and no-break ones.
    assert [" ".join(text.split()) for text in said] == [span, moment, hour]
