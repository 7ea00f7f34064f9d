"""Values of the configuration for which YAML has no type: lengths of time, reminders, secrets."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from msgspec import Struct

LONGEST = 36_500 * 86_400
"""A century, in seconds: more is a mistake, and dates end in 9999."""

_COUNTS = tuple(rf"(?:([0-9]{{1,9}}){unit})?" for unit in "wdhms")
PLAIN_LENGTH = "(?=[0-9])" + " *".join(_COUNTS)
ISO_LENGTH = f"P(?=[0-9T]){''.join(_COUNTS[:2]).upper()}(?:T(?=[0-9]){''.join(_COUNTS[2:]).upper()})?"


class Duration(int):
    """A length of time in whole seconds, written `90d`, `12h`, `30m`, `15s` or together: `1d 12h`."""

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self)


class Alarm(int):
    """Seconds from the start of the day to the reminder (negative: before), written `-PT15H`."""


class Secret:
    """A key, token or password. It shows only when asked with `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
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
    """`90d`, `1w 2d 12h 30m 15s`; seconds as a number. Raises ValueError."""
    text = str(value).strip()
    return Duration(_seconds(f"{text}s" if text.isdecimal() else text, PLAIN_LENGTH))


def parse_alarm(text: str) -> Alarm:
    """`-PT15H`, `PT9H`, `-P1D` (RFC 5545, 3.3.6), or `-15h`. Raises ValueError."""
    sign = -1 if text.strip().startswith("-") else 1
    return Alarm(sign * _seconds(re.sub(r"^\s*[+-]", "", text), ISO_LENGTH, PLAIN_LENGTH))


def _seconds(text: str, *patterns: str) -> int:
    """The sum of the five counts in a pattern: weeks, days, hours, minutes, seconds."""
    matches = (re.fullmatch(pattern, text.strip(), re.IGNORECASE) for pattern in patterns)
    match = next(filter(None, matches), None)
    units = (604_800, 86_400, 3_600, 60, 1)
    total = sum(int(n or 0) * unit for n, unit in zip(match.groups(), units, strict=True)) if match else -1
    if not 0 <= total <= LONGEST:
        raise ValueError("not a length of time")
    return total


def own_type(kind: type, data: object) -> Duration | Alarm | Secret:
    """msgspec's `dec_hook` for the types above. Raises ValueError."""
    if kind is Duration and isinstance(data, int | str) and not isinstance(data, bool):
        return parse_duration(data)
    if kind is Alarm and isinstance(data, str):
        return parse_alarm(data)
    if kind is Secret and isinstance(data, str) and data.strip() and data.isprintable():
        return Secret(data)
    raise ValueError(f"not a {kind.__name__}")


def secrets_of(config: Struct) -> Iterable[str]:
    """Every secret of a configuration, wherever it stands in it."""
    return tuple(_secrets_in(config))


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
