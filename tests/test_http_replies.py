"""What is made of the answers of other people's servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.http_replies import retry_after, short

NOON = "Wed, 25 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7),
        (" 0 ", "", 0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", NOON, 30),
        ("Wed, 25 Nov 2026 12:00:30 -0000", NOON, 30),
        ("Wed, 25 Nov 2026 11:00:00 GMT", NOON, 0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", "", None),
        ("Wed, 25 Nov 2026 12:00:30 GMT", "today", None),
        *((value, NOON, None) for value in ("soon", "-5", "1.5", "", "Wed, 25 Nov 99999 12:00:30 GMT")),
    ],
)
def test_a_wait_is_given_in_seconds_or_as_a_time_by_the_servers_own_clock(
    value: str, date: str, seconds: float | None
) -> None:
    assert retry_after({"retry-after": value, **({"date": date} if date else {})}) == seconds


@given(st.text(), st.text())
def test_whatever_the_headers_hold_a_wait_is_a_number_of_seconds_or_nothing(value: str, date: str) -> None:
    found = retry_after({"retry-after": value, "date": date})
    assert found is None or found >= 0


def test_the_words_of_others_are_one_line_that_is_not_long() -> None:
    assert short(" a\r\n\tb  c ") == "a b c"
    assert len(short("word " * 1000)) == 200
