"""Preconditions, and the weights in Accept and Accept-Encoding (RFC 9110, 12.4, 12.5 and 13)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.http_headers import Coding, accepts_html, codings, http_date, is_unchanged, weights

ETAGS = frozenset({'"plain"', '"gzip"'})
CHANGED = datetime(2026, 11, 21, 9, 0, 0, 500_000, tzinfo=UTC)
SINCE = "Sat, 21 Nov 2026 09:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "unchanged"),
    [
        ('"plain"', True),
        ('"gzip"', True),
        ('W/"plain"', True),
        ('"x", W/"y","plain"', True),
        ('  "plain"  ', True),
        ("*", True),
        (" * ", True),
        ('"PLAIN"', False),
        ('"x"', False),
        ("plain", False),
        ('"pla', False),
        ('"*"', False),
        ("", False),
        (",,", False),
    ],
)
@pytest.mark.parametrize("since", [None, SINCE])
def test_if_none_match_decides_alone(header: str, unchanged: bool, since: str | None) -> None:
    """A list is compared weakly; If-Modified-Since is then not looked at."""
    assert is_unchanged(ETAGS, CHANGED, header, since) == unchanged


@pytest.mark.parametrize(
    ("header", "unchanged"),
    [
        pytest.param(SINCE, True, id="the same second"),
        pytest.param("Sat, 21 Nov 2026 09:00:01 GMT", True, id="later"),
        pytest.param("Sat, 21 Nov 2026 08:59:59 GMT", False, id="earlier"),
        pytest.param("Saturday, 21-Nov-26 09:00:00 GMT", True, id="RFC 850"),
        pytest.param("Sat Nov 21 09:00:00 2026", True, id="asctime"),
        pytest.param("Sat, 21 Nov 2026 10:00:00 +0100", True, id="another zone"),
        pytest.param("Sat, 21 Nov 2026 09:00:00 -0000", True, id="no zone"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2300", True, id="the end of time"),
        pytest.param("Sat, 32 Nov 2026 09:00:00 GMT", False, id="no such day"),
        pytest.param("Sat, 21 Nov 2026 09:00:00 +9999", False, id="no such zone"),
        pytest.param("yesterday", False, id="not a date"),
        pytest.param("", False, id="empty"),
        pytest.param("2026-11-21T09:00:00Z", False, id="another format"),
    ],
)
def test_if_modified_since_compares_seconds(header: str, unchanged: bool) -> None:
    assert is_unchanged(ETAGS, CHANGED, None, header) == unchanged


def test_without_preconditions_the_answer_is_whole() -> None:
    assert not is_unchanged(ETAGS, CHANGED, None, None)


def test_http_date_is_in_gmt_whatever_the_zone() -> None:
    assert http_date(CHANGED) == http_date(CHANGED.astimezone(timezone(timedelta(hours=-8)))) == SINCE


moments = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1000 <= moment.year < 9999)


@given(moments, moments)
def test_what_we_sent_as_last_modified_is_unchanged_until_a_later_second(
    sent: datetime, now: datetime
) -> None:
    assert is_unchanged(ETAGS, sent, None, http_date(sent))
    later = now.replace(microsecond=0) > sent.replace(microsecond=0)
    assert is_unchanged(ETAGS, now, None, http_date(sent)) != later


headers = st.text(max_size=40) | st.lists(
    st.sampled_from([*'"*,/: ', "W/", "Sat", "21", "Nov", "2026", "09:00:00", "GMT", "+9999", "9" * 30])
).map(" ".join)


@given(st.none() | headers, st.none() | headers)
def test_no_header_is_an_error(if_none_match: str | None, if_modified_since: str | None) -> None:
    assert is_unchanged(ETAGS, CHANGED, if_none_match, if_modified_since) in (True, False)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.5, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0", False),
        ("gzip ; q = 0.000", False),
        ("gzip;Q=0", False),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip, *;q=0", True),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("identity;q=1, *;q=0", False),
        ("br", False),
        ("deflate;q=1", False),
        ("gzip;q=1.2.3", False),
        (";;;,,,q=", False),
    ],
)
def test_gzip_is_preferred_for_clients_that_accept_it(header: str | None, wanted: bool) -> None:
    assert (codings(header)[:1] == ("gzip",)) is wanted


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, ("identity",)),
        ("", ("identity",)),
        ("gzip", ("gzip", "identity")),
        ("br", ("identity",)),
        ("gzip;q=0.5, identity;q=0.5", ("gzip", "identity")),
        ("gzip;q=0.4, identity;q=0.5", ("identity", "gzip")),
        ("identity, gzip;q=0.5", ("identity", "gzip")),
        ("gzip, identity;q=0", ("gzip",)),
        ("identity;q=0", ("gzip",)),
        ("identity;q=0.000, *;q=0.5", ("gzip",)),
        ("*", ("gzip", "identity")),
        ("gzip, *;q=0", ("gzip",)),
        ("*;q=0", ()),
        ("br, *;q=0", ()),
        ("gzip;q=0, identity;q=0", ()),
        ("x-gzip;q=0, identity;q=0", ()),
        ("identity, *;q=0", ("identity",)),
        ("gzip;q=0, *", ("identity",)),
    ],
)
def test_the_accepted_codings_are_listed_the_preferred_first(
    header: str | None, taken: tuple[Coding, ...]
) -> None:
    assert codings(header) == taken


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/html;level=1;q=0.5", True),
        ("text/html;q=0", False),
        ("application/json, text/html;q=0.0", False),
        ("application/json", False),
        ("*/*", False),
        ("x-text/html-like", False),
        ("", False),
    ],
)
def test_pages_are_for_clients_that_accept_html(accept: str, wanted: bool) -> None:
    assert accepts_html(accept) is wanted


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    assert all(0 <= weight <= 1 for weight in weights(header).values())
    assert set(codings(header)) <= {"gzip", "identity"}
