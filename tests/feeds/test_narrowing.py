"""The address of a narrowed feed: short, and read back as the same question."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.feeds.narrowing import query_string, with_query
from icsfeed.feeds.query import parse_query


@pytest.mark.parametrize(
    ("given_", "query"),
    [
        ([], ""),
        ([("priority", "urgent"), ("priority", "high")], "priority=urgent,high"),
        ([("priority", "urgent"), ("priority", "urgent")], "priority=urgent"),
        ([("days", "14"), ("state", "started")], "state=started&days=14"),
        ([("label", "Law, tax"), ("label", "Bug")], "label=Bug&label=Law,%20tax"),
        ([("label", "!Bug"), ("label", "!docs"), ("label", "x")], "label=x&label=!Bug,docs"),
        ([("from", ""), ("to", "  "), ("days", "7")], "days=7"),
        ([("lang", "de"), ("utm", "x"), ("view", "week")], ""),
        ([("label", "Grün & Blau"), ("assignee", "anna")], "label=Gr%C3%BCn%20%26%20Blau&assignee=anna"),
        ([("alarm", "-PT15H"), ("component", "vtodo")], "component=vtodo&alarm=-PT15H"),
    ],
)
def test_a_form_becomes_the_shortest_query(given_: list[tuple[str, str]], query: str) -> None:
    assert query_string(given_) == query


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
fields = st.sampled_from(["label", "assignee", "state", "cycle", "module"])


@given(
    st.lists(st.tuples(fields, names.filter(lambda name: "," not in name and "!" not in name)), max_size=8)
)
def test_the_query_asks_what_the_form_asked(form: list[tuple[str, str]]) -> None:
    asked, read = parse_query(form), parse_query(parse_qsl(query_string(form)))
    for field in ("label", "assignee", "state", "cycle", "module"):
        wanted = {name.strip() for name in getattr(asked.only, field)}
        assert wanted <= set(getattr(read.only, field))
        # Beside them, only all of them together, which no name is.
        assert {name for name in getattr(read.only, field) if "," not in name} == wanted


def test_an_address_without_a_query_stays_as_it_is() -> None:
    assert with_query("https://x/a.ics", "") == "https://x/a.ics"
    assert with_query("https://x/a.ics", "days=7") == "https://x/a.ics?days=7"
