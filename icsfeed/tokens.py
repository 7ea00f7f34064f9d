"""Tokens: the secrets in links, invitations and cookies. What is stored of one is its digest."""

import hmac
import re
from base64 import b32encode
from hashlib import sha256

PREFIX = "icsf_"
TOKEN_LETTERS = 26
TOKEN_BYTES = 17
"""Random bytes of a new token: 26 letters hold 130 bits."""


def token_of(octets: bytes) -> str:
    """Return the token that these bytes are the beginning of: `icsf_` and 26 base32 letters, 130 bits."""
    return PREFIX + b32encode(octets).decode().lower()[:TOKEN_LETTERS]


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token."""
    return re.fullmatch(rf"{PREFIX}[a-z2-7]{{{TOKEN_LETTERS}}}", text) is not None


def digest_of(token: str) -> str:
    """Return what is stored of a token, in hexadecimal digits.

    Plain SHA-256: a token has 130 random bits, so that nobody finds one by trying, however fast.
    """
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def derived(token: str, what: str) -> str:
    """Return another token that follows from this one; nobody can find this one from it."""
    return token_of(hmac.digest(token.encode(), what.encode(), sha256))
