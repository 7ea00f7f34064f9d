"""Text is made fit for a calendar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.html_text import html_to_text
from icsfeed.text import (
    MENTION,
    clip,
    deflate,
    fill,
    inflate,
    is_blank,
    mentioned_ids,
    multi_line,
    one_line,
    with_names,
)
from icsfeed.text_builder import TEXT_LIMIT


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a\r\nb\rc\nd\x85e\u2028f\u2029g", "a\nb\nc\nd\ne\nf\ng", id="line breaks"),
        pytest.param("a\n\r\nb", "a\n\nb", id="empty line"),
        pytest.param("a\tb", "a\tb", id="tab"),
        pytest.param(
            "".join(map(chr, (*range(9), 11, 12, *range(14, 32), *range(127, 133)))), "", id="controls"
        ),
        pytest.param("\ud83d\udd11 \udc00", "\ufffd\ufffd \ufffd", id="surrogates"),
        pytest.param("🔑 é \u202e\u200b\ufeff", "🔑 é \u202e\u200b\ufeff", id="all else stays"),
    ],
)
def test_text_has_only_newline_as_line_break_and_only_tab_as_control(text: str, lines: str) -> None:
    assert multi_line(text) == lines
    assert one_line(text) == lines.replace("\n", " ")


@given(st.text(st.characters(), max_size=30))
def test_clean_text_stays_as_it_is(text: str) -> None:
    assert multi_line(multi_line(text)) == multi_line(text)
    assert "\n" not in one_line(text)


GRAPHEMES = {
    "letter": "a",
    "accent": "e\u0301",
    "accents": "o\u0302\u0323",
    "skin tone": "👍🏽",
    "family": "👨‍👩‍👧‍👦",
    "profession": "👩🏽‍💻",
    "heart": "❤️",
    "keycap": "1️⃣",
    "flag": "🇩🇪",
    "flag of tags": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "rainbow flag": "🏳️‍🌈",
    "Devanagari": "क्षि",
    "Tamil": "நி",
    "Thai": "กำ",
    "Hangul, decomposed": "\u1112\u1161\u11ab",
    "Hangul": "한",
    "lead sign": "\u0600\u0661",
}


@pytest.mark.parametrize(
    ("text", "limit", "clipped"),
    [
        pytest.param("one two", 7, "one two", id="fits"),
        pytest.param("one two three", 8, "one two…", id="cut after a word"),
        pytest.param("one two three", 10, "one two…", id="cut before a word"),
        pytest.param("one\ntwo three", 9, "one\ntwo…", id="on lines"),
        pytest.param("a bcdefghijkl", 8, "a bcdef…", id="a word that is too long"),
        pytest.param("abcdefghijkl", 5, "abcd…", id="no words"),
        pytest.param("abcd    efgh", 8, "abcd…", id="many spaces"),
    ],
)
def test_text_is_clipped_between_words(text: str, limit: int, clipped: str) -> None:
    assert clip(text, limit) == clipped


@given(st.text("ab \n", max_size=40), st.integers(1, 30))
def test_clipped_text_has_at_most_limit_characters(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    assert len(clipped) <= limit
    assert text.startswith(clipped.removesuffix("…"))


@pytest.mark.parametrize("whole", GRAPHEMES.values(), ids=GRAPHEMES)
def test_a_cut_never_splits_what_people_see_as_one_character(whole: str) -> None:
    text = whole * 40
    for limit in range(len(whole) + 1, 30):
        head = clip(text, limit).removesuffix("…")
        assert head == whole * (len(head) // len(whole))
    cut = html_to_text("x" * (TEXT_LIMIT - 1) + whole)
    assert cut == "x" * (TEXT_LIMIT - 1) + (whole if len(whole) == 1 else "")


@pytest.mark.parametrize("unit", ["e\u0301", "👨‍👩‍👧", "🇩🇪", "👍🏽", "क्षि", "각"])
def test_a_cut_never_splits_what_a_reader_sees_as_one_character(unit: str) -> None:
    text = unit * 40
    for limit in range(len(unit) + 1, len(text)):
        kept = clip(text, limit).removesuffix("…")
        assert kept
        assert len(kept) < limit
        assert kept == unit * (len(kept) // len(unit))


BLANK = [
    *("", " ", "\t", "\u200b", "\u2060\ufeff", "\u3164"),
    *("\u2800\u00ad", "\u200e\u202e", "\ufe0f", "\U000e0041"),
]


@pytest.mark.parametrize("text", BLANK)
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "x")
    assert not is_blank(text + "·")


def test_mentions_become_names() -> None:
    text = f"Ask {MENTION}u-1{MENTION}, {MENTION}u-2{MENTION} and {MENTION}{MENTION}"
    assert with_names(text, {"u-1": "anna"}.get) == "Ask @anna, @… and @…"
    assert with_names("nobody", lambda _: None) == "nobody"


def test_a_template_is_filled_in() -> None:
    assert fill("[{sequence_id}] {name}", {"sequence_id": 4, "name": "{x}"}) == "[4] {x}"


@given(st.text() | st.just("half a pair \ud83d"), st.lists(st.sampled_from(["u-1", "u-2"]), max_size=3))
def test_a_deflated_text_is_inflated_and_knows_whom_it_mentions(text: str, people: list[str]) -> None:
    text = text.replace(MENTION, "") + "".join(f" {MENTION}{person}{MENTION}" for person in people)
    assert inflate(deflate(text)) == text
    assert mentioned_ids(deflate(text)) == people


def test_a_long_text_gets_shorter_and_an_empty_one_stays_empty() -> None:
    assert len(deflate("The lift is out of order. " * 80)) < 200
    assert deflate("") == b""
