"""Links: the tokens in them are derived from the secret, never stored, and agree on every replica.

A token is `icsf_` and 26 base32 letters (130 bits) of an HMAC-SHA256 over what the link is for.
"""

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal, TypeAlias

from msgspec import json

Kind: TypeAlias = Literal["feed", "embed", "admin"]

PREFIX = "icsf_"
LENGTH = 26


def derive(secret: str, kind: Kind, feed: str, subscriber: str = "", revision: int = 1) -> str:
    """The token of one link. Any other kind, feed, subscriber or revision gives an unrelated one."""
    what = json.encode((kind, feed, subscriber, revision))
    letters = b32encode(hmac.digest(secret.encode(), what, sha256)).decode().lower()
    return PREFIX + letters[:LENGTH]


def installation(secret: str) -> str:
    """What tells installations apart where others can read it: 60 bits of an HMAC, unrelated to any link."""
    letters = b32encode(hmac.digest(secret.encode(), b"installation", sha256)).decode().lower()
    return letters[:12]


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return re.fullmatch(rf"{PREFIX}[a-z2-7]{{{LENGTH}}}", text) is not None


def matching(token: str, candidates: Iterable[tuple[str, str]]) -> str | None:
    """The name of the (name, token) pair whose token this is, or None.

    Every candidate is compared, each in constant time: how long it takes says nothing about which.
    """
    given, found = token.encode("utf-8", "replace"), None
    for name, candidate in candidates:
        if hmac.compare_digest(candidate.encode(), given):
            found = name
    return found
