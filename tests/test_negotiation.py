"""Weights in Accept and Accept-Encoding (RFC 9110, 12.4.2 and 12.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.negotiation import Coding, accepts_html, codings, weights


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
def test_gzip_is_the_best_for_those_who_take_it(header: str | None, wanted: bool) -> None:
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
def test_the_codings_that_are_taken_the_best_first(header: str | None, taken: tuple[Coding, ...]) -> None:
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
def test_pages_are_for_those_who_take_html(accept: str, wanted: bool) -> None:
    assert accepts_html(accept) is wanted


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    assert all(0 <= weight <= 1 for weight in weights(header).values())
    assert set(codings(header)) <= {"gzip", "identity"}
