"""Text from elements, without HTML."""

from hypothesis import given
from hypothesis import strategies as st

from icsfeed.text_builder import TEXT_LIMIT, TextBuilder


def test_elements_become_lines() -> None:
    builder = TextBuilder()
    builder.open_list("2")
    for words in ("a", "b"):
        builder.item("")
        builder.words(words)
        builder.block()
    builder.close_list("")
    builder.words("c")
    assert builder.text() == "2. a\n3. b\nc"


def test_there_is_space_up_to_the_limit() -> None:
    builder = TextBuilder()
    assert builder.words("x" * TEXT_LIMIT)
    assert not builder.words("y")
    assert builder.text() == "x" * TEXT_LIMIT


ELEMENTS = st.sampled_from(
    [name for name in vars(TextBuilder) if not name.startswith("_") and name not in ("text", "words")]
)


@given(st.lists(st.tuples(ELEMENTS, st.sampled_from(["", "7"])) | st.sampled_from(["a", "b ", " "])))
def test_elements_in_any_order_keep_all_words(steps: list[tuple[str, str] | str]) -> None:
    builder, words = TextBuilder(), ""
    for step in steps:
        if isinstance(step, str):
            builder.words(step)
            words += step.strip()
        else:
            getattr(builder, step[0])(step[1])
    shown = [char for char in builder.text() if char in "ab"]
    assert "".join(shown) == words
