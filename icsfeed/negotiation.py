"""What a client would rather have: the weights in Accept and the headers like it (RFC 9110, 12.4.2, 12.5)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

_WEIGHT = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")

Coding: TypeAlias = Literal["gzip", "identity"]


def weights(header: str) -> Mapping[str, float]:
    """The names in such a header, in lower case, with their weights from 0 to 1, where those can be read."""
    found = {}
    for part in header.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        pairs = (one.partition("=") for one in parameters)
        values = [value.strip() for key, _, value in pairs if key.strip() == "q"]
        if name and all(map(_WEIGHT.fullmatch, values)):
            found[name] = min(map(float, values), default=1.0)
    return found


@lru_cache(500)
def codings(accept_encoding: str | None) -> tuple[Coding, ...]:
    """The codings that a client takes, the best first; none where it excludes both (12.5.3).

    Without the header, as with an empty one, nothing is compressed: that is what old clients send. A client
    that only excludes the bare body gets gzip: it has said that it takes something else.
    """
    given = weights(accept_encoding or "")
    bare = given.get("identity", 0.0 if given.get("*") == 0 else None)
    other = given.get("*", 1.0 if bare == 0 and "*" not in given else 0.0)
    gzip = given.get("gzip", given.get("x-gzip", other))
    if not gzip:
        return () if bare == 0 else ("identity",)
    if bare is None:
        return ("gzip", "identity")
    if not bare:
        return ("gzip",)
    return ("gzip", "identity") if gzip >= bare else ("identity", "gzip")


def accepts_html(accept: str) -> bool:
    """Whether a person asks: browsers name HTML, programs do not."""
    return weights(accept).get("text/html", 0.0) > 0
