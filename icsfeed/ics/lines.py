"""Content lines (RFC 5545, 3.1): escaped and folded when written, unfolded and taken apart when read."""

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

FOLD = 75
"""Octets in a content line without its line break (RFC 5545, 3.1)."""

_FOLDED = re.compile("\r?\n[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_ESCAPED = re.compile(r"\\(.)")
_LISTED = re.compile(r"(?:\\.|[^\\,])+")
_DEEPEST = 20
"""Components inside each other: alarms are three deep."""


class ContentLine(Struct, frozen=True):
    """One content line, unfolded. `name` and the names of parameters are in capitals; `value` is as written.

    `text` is the whole line, to be written again as it was read.
    """

    name: str
    value: str
    parameters: Mapping[str, str]
    text: str


class ParsedComponent(Struct):
    """A component as it was read: its own lines, and the components inside it."""

    name: str
    lines: list[ContentLine]
    parts: list["ParsedComponent"]

    def value(self, name: str) -> str:
        """The value of its first line of this name, as written; empty where there is none."""
        return next((line.value for line in self.lines if line.name == name), "")

    def texts(self) -> Iterator[str]:
        """All of its lines again, from BEGIN to END, not folded."""
        yield f"BEGIN:{self.name}"
        yield from (line.text for line in self.lines)
        for part in self.parts:
            yield from part.texts()
        yield f"END:{self.name}"


def escape(value: str) -> str:
    """Escape a TEXT value (RFC 5545, 3.3.11)."""
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def unescape(value: str) -> str:
    """A TEXT value as a person reads it. A backslash before any other letter is dropped."""
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def split_texts(value: str) -> list[str]:
    """The TEXT values of a list (CATEGORIES), unescaped; empty ones are dropped."""
    return [unescape(piece) for piece in _LISTED.findall(value)]


def fold(line: str) -> str:
    """Break a content line at 75 octets, never inside a character (RFC 5545, 3.1)."""
    if line.isascii():
        if len(line) <= FOLD:
            return line
        rest = (line[at : at + FOLD - 1] for at in range(FOLD, len(line), FOLD - 1))
        return "\r\n ".join((line[:FOLD], *rest))
    octets = line.encode()
    if len(octets) <= FOLD:
        return line
    return b"\r\n ".join(_pieces(octets)).decode()


def _pieces(octets: bytes) -> Iterable[bytes]:
    start, end = 0, FOLD
    while end < len(octets):
        while octets[end] & 0xC0 == 0x80:
            end -= 1
        yield octets[start:end]
        start, end = end, end + FOLD - 1
    yield octets[start:]


def read_parts(text: str) -> list[ParsedComponent]:
    """The outermost components of a text, with all that is inside them.

    Lines that are no content lines are passed over. Raises ValueError when BEGIN and END do not pair,
    or are deeper in each other than any calendar's.
    """
    root = ParsedComponent("", [], [])
    open_parts = [root]
    for line in _read_lines(text):
        if line.name == "BEGIN":
            part = ParsedComponent(line.value.strip().upper(), [], [])
            open_parts[-1].parts.append(part)
            open_parts.append(part)
            if len(open_parts) > _DEEPEST:
                raise ValueError("components are nested too deeply")
        elif line.name == "END":
            if line.value.strip().upper() != open_parts[-1].name or len(open_parts) == 1:
                raise ValueError(f"END:{line.value} has no BEGIN")
            open_parts.pop()
        else:
            open_parts[-1].lines.append(line)
    if len(open_parts) > 1:
        raise ValueError(f"BEGIN:{open_parts[-1].name} has no END")
    return root.parts


def _read_lines(text: str) -> Iterator[ContentLine]:
    for raw in re.split("\r?\n", _FOLDED.sub("", text)):
        name = _NAME.match(raw)
        if name is None:
            continue
        at, parameters = name.end(), {}
        while found := _PARAMETER.match(raw, at):
            parameters[found[1].upper()] = found[2].strip('"')
            at = found.end()
        if raw[at : at + 1] == ":":
            yield ContentLine(name[0].upper(), raw[at + 1 :], parameters, raw)
