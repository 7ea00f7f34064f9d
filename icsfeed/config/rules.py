"""What a single value of the configuration must be: types with a rule each, for the keys of config/schema.py.

The words of a `rule` end the sentence "must be ..." of a problem, and describe the key in the JSON schema.
"""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from string import Formatter
from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from icsfeed.config.values import Alarm, Duration, Secret
from icsfeed.errors import InvalidValue, did_you_mean
from icsfeed.ics.component import CSS3

SUMMARY_FIELDS = ("name", "sequence_id", "key", "project", "state", "priority", "type")
_LINE = r"[^\s\x00-\x1f](?:[^\x00-\x1f]*[^\s\x00-\x1f])?"


def rule(words: str, pattern: str | None = None, tidy: Callable[[Any], object] | None = None) -> Meta:
    """Return a rule. `pattern` must match the whole text; `tidy` normalizes it, or raises.

    InvalidValue is explained to people, ValueError by the words alone.
    """
    # `$` also matches before a final line break, which no value may have.
    whole = None if pattern is None else rf"^(?:{pattern})$(?!\n)"
    return Meta(description=words, pattern=whole, extra={"tidy": tidy} if tidy else None)


def color_name(text: str) -> str:
    """Return the name as CSS3 spells it, in lower case. Raise InvalidValue if it is not one of the 147."""
    if text.lower() not in CSS3:
        raise InvalidValue(f"it is none of those{did_you_mean(text, CSS3)}")
    return text.lower()


def at_least(minimum: int, value: Duration) -> Duration:
    """Return a duration. Raise ValueError if it is shorter than the minimum, in seconds."""
    if value < minimum:
        raise ValueError("too short")
    return value


def summary_template(text: str) -> str:
    """Return a summary template. Raise InvalidValue or ValueError if it does more than name our fields."""
    # `{name.__class__}`, `{name!r}` and `{name:>99999}` would reach into objects, or make texts of any size.
    for _, name, form, conversion in Formatter().parse(text):
        if name is not None and (name not in SUMMARY_FIELDS or form or conversion):
            raise InvalidValue(f"there is no {{{name}}}{did_you_mean(name, SUMMARY_FIELDS)}")
    return text


Name: TypeAlias = Annotated[str, rule("a name on one line, no space at its ends", _LINE)]
Pql: TypeAlias = Annotated[
    str, rule("a search as in Plane, of 2000 characters at most", r"\S(?s:.{0,1998}\S)?")
]
FeedMark: TypeAlias = Annotated[
    str, rule("true, false, or a list of former feeds", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:@[a-z2-7]{12})?")
]
Slug: TypeAlias = Annotated[str, rule("a slug: letters, digits, - and _", "[A-Za-z0-9_-]+")]
# Links are /feeds/{token}/{name}.ics: a name that begins or ends like these parts would be taken for them.
FeedName: TypeAlias = Annotated[
    str,
    rule(
        "1 to 64 of A-Z a-z 0-9 . _ -, a letter or digit first; not icsf_*, *.ics, *.atom, "
        "*.json or *.mobileconfig, which links need",
        r"(?![Ii][Cc][Ss][Ff]_)(?!.*\.(?:[Ii][Cc][Ss]|atom|json|mobileconfig)$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    ),
]
_FIELDS = " ".join(f"{{{name}}}" for name in SUMMARY_FIELDS)
Template: TypeAlias = Annotated[str, rule(f"text with no other fields than {_FIELDS}", tidy=summary_template)]
Network: TypeAlias = Annotated[
    str,
    rule(
        "an IP address or network such as 10.0.0.0/8", tidy=lambda text: str(ip_network(text, strict=False))
    ),
]
HeaderName: TypeAlias = Annotated[
    str, rule("the name of a header such as X-Forwarded-Email", "[A-Za-z0-9-]+")
]
Color: TypeAlias = Annotated[str, rule("a CSS3 colour name such as tomato", tidy=color_name)]
Length: TypeAlias = Annotated[Duration, rule("a length of time such as 90d, 12h 30m or 15s")]
Ttl: TypeAlias = Annotated[
    Duration, rule("a length of time such as 5m, 1s or more", tidy=partial(at_least, 1))
]
Refresh: TypeAlias = Annotated[Duration, rule("a length of time, 5m or more", tidy=partial(at_least, 300))]
Reminder: TypeAlias = Annotated[Alarm, rule("a time from the start of the day such as -PT15H, -P1D or PT9H")]
SecretText: TypeAlias = Annotated[Secret, rule("text on one line, not empty")]
Revision: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1, description="a whole number, 1 or more")]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1, description="a whole number, 0 or more")]
Ratio: TypeAlias = Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")]
