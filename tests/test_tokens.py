"""Tokens: their form, what is stored of them, and that none of it ever changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.tokens import TOKEN_BYTES, derived, digest_of, is_token, token_of

TOKEN = token_of(bytes(range(TOKEN_BYTES)))


def test_tokens_their_digests_and_what_is_derived_of_them_never_change() -> None:
    """They are in links, cookies and stores."""
    assert TOKEN == "icsf_aaaqeayeaudaocajbifqydiob4"
    assert digest_of(TOKEN) == "b3673977ed65c21b5693ad06b296d4ea988ae1d0d23f86bc2b3481d45f90810e"
    assert derived(TOKEN, "embed") == "icsf_cc67wngedeadeuabyjtuqhkh6i"


@given(st.binary(min_size=TOKEN_BYTES, max_size=40))
def test_a_token_has_the_form_of_one_and_so_has_what_is_derived(octets: bytes) -> None:
    assert is_token(token_of(octets))
    assert is_token(derived(token_of(octets), "x"))


@pytest.mark.parametrize(
    "text",
    ["", TOKEN[:-1], f"{TOKEN}a", f" {TOKEN}", f"{TOKEN}\n", TOKEN.upper(), TOKEN[5:], f"{TOKEN[:-1]}1"],
)
def test_other_texts_have_not(text: str) -> None:
    assert not is_token(text)


def test_any_text_has_a_digest() -> None:
    assert digest_of("half a character: \ud83d") == digest_of("half a character: ?")
