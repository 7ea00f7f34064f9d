"""Types of the configuration that YAML does not have: durations, alarms, secrets."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from msgspec import Struct

MAX_SECONDS = 36_500 * 86_400
"""A century: more is a mistake, and dates end in 9999."""

_COUNTS = tuple(rf"(?:([0-9]{{1,9}}){unit})?" for unit in "wdhms")
PLAIN_DURATION = "(?=[0-9])" + " *".join(_COUNTS)
ISO_DURATION = f"P(?=[0-9T]){''.join(_COUNTS[:2]).upper()}(?:T(?=[0-9]){''.join(_COUNTS[2:]).upper()})?"


class Duration(int):
    """A duration in whole seconds, written `90d`, `12h`, `30m`, `15s` or together: `1d 12h`."""

    @property
    def delta(self) -> timedelta:
        """The duration as a timedelta."""
        return timedelta(seconds=self)


class Alarm(int):
    """Seconds from the start of the day to the reminder (negative: before), written `-PT15H`."""


# Not a str: what is printed by mistake (a log line, a traceback, the repr of a struct) must not show it.
class Secret:
    """A key, token or password. Only `reveal()` shows it: not repr(), str() or a log line."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def parse_duration(value: str | int) -> Duration:
    """Parse `90d`, `1w 2d 12h 30m 15s`, or a number of seconds. Raise ValueError if it is neither."""
    text = str(value).strip()
    return Duration(_seconds(f"{text}s" if text.isdecimal() else text, PLAIN_DURATION))


def parse_alarm(text: str) -> Alarm:
    """Parse `-PT15H`, `PT9H`, `-P1D` (RFC 5545, 3.3.6), or `-15h`. Raise ValueError if it is neither."""
    sign = -1 if text.strip().startswith("-") else 1
    return Alarm(sign * _seconds(re.sub(r"^\s*[+-]", "", text), ISO_DURATION, PLAIN_DURATION))


def _seconds(text: str, *patterns: str) -> int:
    """Return the sum of the five counts in a pattern: weeks, days, hours, minutes, seconds."""
    matches = (re.fullmatch(pattern, text.strip(), re.IGNORECASE) for pattern in patterns)
    match = next(filter(None, matches), None)
    # Digits are limited in the pattern: int() of a very long text is slow, and refused beyond 4,300 digits.
    units = (604_800, 86_400, 3_600, 60, 1)
    total = sum(int(n or 0) * unit for n, unit in zip(match.groups(), units, strict=True)) if match else -1
    if not 0 <= total <= MAX_SECONDS:
        raise ValueError("not a length of time")
    return total


def decode_value(kind: type, data: object) -> Duration | Alarm | Secret:
    """Decode a value of one of the types above, as the `dec_hook` of msgspec. Raises ValueError."""
    if kind is Duration and isinstance(data, int | str) and not isinstance(data, bool):
        return parse_duration(data)
    if kind is Alarm and isinstance(data, str):
        return parse_alarm(data)
    if kind is Secret and isinstance(data, str) and data.strip() and data.isprintable():
        return Secret(data)
    raise ValueError(f"not a {kind.__name__}")


def secrets_of(value: object) -> Iterator[str]:
    """Yield every secret in a configuration, or in a part of it, at any depth."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_of(item)
