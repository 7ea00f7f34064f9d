"""The query parameters of a feed's URL (docs/using-links.md)."""

from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.config.schema import Alarm, Feed, Match
from icsfeed.errors import BadParameter
from icsfeed.feeds.query import Query, narrowed, parse_query, query_string, with_query


def read(text: str) -> Query:
    """A query string, unquoted."""
    return parse_query(
        [(name, value) for name, _, value in (pair.partition("=") for pair in text.split("&"))]
    )


def test_all_values_together_have_a_length_that_is_enough_for_any_link() -> None:
    assert read(f"state={'a' * 1_000}&label={'b' * 1_000}&x={'c' * 9_000}").only.label == ("b" * 1_000,)
    with pytest.raises(BadParameter, match="label"):
        read(f"label={'b' * 1_000}&state={'a' * 1_001}")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        pytest.param("", Query(), id="nothing"),
        pytest.param("utm_source=x&_=123&token=y", Query(), id="unknown parameters are ignored"),
        pytest.param("priority=&label= &from=&days=&alarm=,", Query(), id="empty ones are ignored"),
        pytest.param(
            "label=!&label=! ,&priority=!", Query(exclude=Match(label=(",",))), id="empty exclusion"
        ),
        pytest.param("priority=high", Query(only=Match(priority=("high",))), id="priority"),
        pytest.param(
            "priority=HIGH, low", Query(only=Match(priority=("high", "low"))), id="several, any case"
        ),
        pytest.param(
            "priority=high&priority=low", Query(only=Match(priority=("high", "low"))), id="repeated"
        ),
        pytest.param("priority=!low,none", Query(exclude=Match(priority=("low", "none"))), id="excluded"),
        pytest.param(
            "state=started&state=!In Review",
            Query(only=Match(state=("started",)), exclude=Match(state=("In Review",))),
            id="both",
        ),
        pytest.param("label=a,b", Query(only=Match(label=("a,b", "a", "b"))), id="a name may hold commas"),
        pytest.param("label=!wontfix", Query(exclude=Match(label=("wontfix",))), id="label"),
        pytest.param(
            "assignee=anna@example.com", Query(only=Match(assignee=("anna@example.com",))), id="assignee"
        ),
        pytest.param("cycle=none&module=X", Query(only=Match(cycle=("none",), module=("X",))), id="periods"),
        pytest.param(
            "from=2026-11-01&to=2026-11-01",
            Query(first=date(2026, 11, 1), last=date(2026, 11, 1)),
            id="one day",
        ),
        pytest.param("from=2026-11-01&from=2026-11-01", Query(first=date(2026, 11, 1)), id="the same twice"),
        pytest.param("days=0", Query(days=0), id="today"),
        pytest.param("days=36500", Query(days=36_500), id="a century"),
        pytest.param("component=VTODO", Query(component="vtodo"), id="component"),
        pytest.param("alarm=-PT15H", Query(alarm=(Alarm(-54_000),)), id="alarm"),
        pytest.param(
            "alarm=-P1D,9h&alarm=PT0S", Query(alarm=(Alarm(-86_400), Alarm(32_400), Alarm(0))), id="alarms"
        ),
        pytest.param("done=Drop&dates=start-and-due", Query(done="drop", dates="start-and-due"), id="modes"),
    ],
)
def test_parameters_are_read(text: str, query: Query) -> None:
    assert read(text) == query


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("priority=highest", "priority"),
        ("priority=!highest", "priority"),
        ("priority=high,!low", "priority"),
        ("from=2026-13-01", "from"),
        ("from=1.12.2026", "from"),
        ("from=2026-02-29", "from"),
        ("from=2026-12-01T00:00", "from"),
        ("to=tomorrow", "to"),
        ("from=2026-12-02&to=2026-12-01", "to"),
        ("from=2026-12-01&from=2026-12-02", "from"),
        ("days=-1", "days"),
        ("days=1.5", "days"),
        ("days=36501", "days"),
        ("days=999999999999", "days"),
        ("days=٣", "days"),
        ("days=seven", "days"),
        ("component=vjournal", "component"),
        ("component=vevent&component=vtodo", "component"),
        ("alarm=soon", "alarm"),
        ("alarm=" + "PT1H," * 11, "alarm"),
        ("done=maybe", "done"),
        ("dates=all", "dates"),
    ],
)
def test_a_bad_value_is_refused_by_the_parameters_name(text: str, field: str) -> None:
    with pytest.raises(BadParameter) as caught:
        read(text)
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.reason}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from=tomorrow", "from: must be a date such as 2026-12-31"),
        ("days=seven", "days: must be a whole number of days from 0 to 36500"),
        ("alarm=soon", "alarm: must be a duration such as -PT15H, from the start of the day"),
    ],
)
def test_a_bad_value_gets_an_example(text: str, message: str) -> None:
    with pytest.raises(BadParameter) as caught:
        read(text)
    assert str(caught.value) == message


def test_a_misspelt_choice_gets_a_suggestion() -> None:
    with pytest.raises(BadParameter, match="did you mean start-and-due"):
        read("dates=start-and-deu")


@pytest.mark.parametrize(
    ("feed", "text", "changes"),
    [
        pytest.param({}, "", {}, id="nothing"),
        pytest.param({}, "priority=high&from=2026-11-01", {}, id="filters are for select"),
        pytest.param({}, "component=vtodo", {"component": "vtodo"}, id="tasks"),
        pytest.param(
            {"component": "vtodo", "undated": True},
            "component=vevent",
            {"component": "vevent", "undated": False},
            id="events have a day",
        ),
        pytest.param(
            {"component": "vtodo", "undated": True}, "component=vtodo", {}, id="what the feed is already"
        ),
        pytest.param({}, "dates=span", {"dates": "span"}, id="dates"),
        pytest.param({"alarm": (Alarm(0),)}, "alarm=-P1D", {"alarm": (Alarm(-86_400),)}, id="alarm"),
        pytest.param({}, "done=drop", {"done": "drop"}, id="done"),
        pytest.param({"done": "drop"}, "done=keep", {}, id="what the feed drops stays dropped"),
        pytest.param({"details": "busy"}, "days=7&from=2026-11-01", {}, id="a busy feed's days"),
    ],
)
def test_a_query_changes_how_a_feed_looks(feed: dict[str, Any], text: str, changes: dict[str, Any]) -> None:
    assert narrowed(Feed(**feed), read(text)) == Feed(**{**feed, **changes})


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("priority=high", "priority"),
        ("priority=!high", "priority"),
        ("state=started", "state"),
        ("label=!x", "label"),
        ("assignee=none", "assignee"),
        ("cycle=x", "cycle"),
        ("module=x", "module"),
        ("dates=span", "dates"),
    ],
)
def test_a_busy_feed_does_not_let_itself_be_asked_what(text: str, field: str) -> None:
    with pytest.raises(BadParameter) as caught:
        narrowed(Feed(details="busy"), read(text))
    assert caught.value.field == field


LINKS = "assignee cycle module created_by type parent"
HIDDEN = [
    ("brief", {}, f"{LINKS} dates"),
    ("brief", {"dates": "span"}, LINKS),
    ("brief", {"categories": ("project",)}, f"{LINKS} label dates"),
    ("title", {}, f"{LINKS} project state dates"),
    ("title", {"done": "keep"}, f"{LINKS} project state done dates alarm"),
    ("title", {"categories": ("state",), "done": "keep"}, f"{LINKS} project label dates"),
    ("title", {"summary": "{name} ({state})"}, f"{LINKS} project dates"),
    ("busy", {}, f"{LINKS} project priority state label title dates done"),
    ("full", {}, ""),
]
VALUES = {"priority": "high", "dates": "span", "done": "drop", "alarm": "PT9H"}


@pytest.mark.parametrize(("details", "settings", "hidden"), HIDDEN)
@pytest.mark.parametrize("field", [*Match.__struct_fields__, "dates", "done", "alarm"])
def test_a_feed_is_narrowed_only_by_what_it_shows(
    details: Any, settings: dict[str, Any], hidden: str, field: str
) -> None:
    feed, value = Feed(details=details, **settings), VALUES.get(field, "x")
    for text in (f"{field}={value}", f"{field}=!{value}" if field in Match.__struct_fields__ else ""):
        if field in hidden.split() and text:
            with pytest.raises(BadParameter) as caught:
                narrowed(feed, read(text))
            assert caught.value.field == field
        else:
            narrowed(feed, read(text))


@pytest.mark.parametrize(
    "text", ["assignee=alice@example.com", "assignee=bob,!alice@example.com", "assignee=@"]
)
def test_an_address_never_narrows_a_public_feed(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        narrowed(Feed(everything=True, public=True), read(text))
    assert caught.value.field == "assignee"
    narrowed(Feed(everything=True), read(text))
    narrowed(Feed(everything=True, public=True), read("assignee=alice"))


@pytest.mark.parametrize(
    ("parameter", "restyles"),
    [
        ("component=vtodo", True),
        ("alarm=-PT15H", True),
        ("done=keep", True),
        ("dates=span", True),
        ("days=9", False),
        ("priority=urgent", False),
        ("", False),
    ],
)
def test_some_parameters_change_how_items_look(parameter: str, restyles: bool) -> None:
    assert parse_query([tuple(parameter.split("="))] if parameter else []).restyles is restyles  # type: ignore[list-item]


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
        # Otherwise only all of them together, which no name is.
        assert {name for name in getattr(read.only, field) if "," not in name} == wanted


def test_an_address_without_a_query_stays_as_it_is() -> None:
    assert with_query("https://x/a.ics", "") == "https://x/a.ics"
    assert with_query("https://x/a.ics", "days=7") == "https://x/a.ics?days=7"
