"""What the parameters of pages mean, and which values are refused."""

from datetime import date

import pytest

from icsfeed.errors import BadParameter
from icsfeed.web.pages.parameters import LATEST, parse_date, parse_skip, parse_view

TODAY = date(2026, 11, 25)


def test_the_view_is_a_month_unless_another_is_named() -> None:
    assert [parse_view(text) for text in (None, "", "Week", "agenda", "day")] == [
        *("month", "month", "week", "agenda", "day")
    ]
    with pytest.raises(BadParameter, match="view: must be one of month, week, agenda, day"):
        parse_view("year")


def test_the_day_is_today_unless_another_is_named() -> None:
    assert parse_date(None, TODAY) == parse_date("", TODAY) == TODAY
    assert parse_date(" 2026-12-31", TODAY) == date(2026, 12, 31)
    assert parse_date("9000-12-31", TODAY) == LATEST


@pytest.mark.parametrize("text", ["x", "2026-02-30", "31.12.2026", "1899-12-31", "9001-01-01", "2026-1-1x"])
def test_another_date_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="date: must be"):
        parse_date(text, TODAY)


def test_the_number_of_items_to_skip() -> None:
    assert [parse_skip(text) for text in (None, "", "0", "60")] == [0, 0, 0, 60]
    for text in ("-1", "x", "1e3", "٣", "9" * 10):
        with pytest.raises(BadParameter, match="skip: must be a whole number"):
            parse_skip(text)
