"""A tolerant reader of iCalendar (RFC 5545, 3.1 and 3.4): whatever a text holds, as much as possible is read.

What is wrong is reported by line number: the push refuses such an object, the doctor shows it to a person.
"""

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

MAX_DEPTH = 20
"""Components inside each other: an alarm is the third."""

_LINE_BREAK = re.compile("\r?\n")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_ESCAPED = re.compile(r"\\(.)")
_LISTED = re.compile(r"(?:\\.|[^\\,])+")


class ContentLine(Struct, frozen=True, gc=False):
    """A content line, unfolded. `name` and the names of parameters are in capitals; `value` is not unescaped.

    `number` is that of its first line in the text, from 1. `text` is the whole line as it was read.
    """

    number: int
    name: str
    value: str
    parameters: Mapping[str, str]
    text: str


class ParsedComponent(Struct):
    """A component: its own lines, and the components inside it. `is_closed`: its END was found."""

    name: str
    lines: list[ContentLine]
    parts: list["ParsedComponent"]
    is_closed: bool = False

    def value(self, name: str) -> str:
        """Return the value of the first line of this name, not unescaped; empty where there is none."""
        return next((line.value for line in self.lines if line.name == name), "")

    def named(self, name: str) -> list[ContentLine]:
        """Return its own lines of this name."""
        return [line for line in self.lines if line.name == name]

    def texts(self) -> Iterator[str]:
        """Yield all its lines again, from BEGIN to END, not folded."""
        yield f"BEGIN:{self.name}"
        yield from (line.text for line in self.lines)
        for part in self.parts:
            yield from part.texts()
        yield f"END:{self.name}"

    def walk(self) -> Iterator["ParsedComponent"]:
        """Yield the component and all those inside it."""
        yield self
        for part in self.parts:
            yield from part.walk()


class ParsedText(Struct):
    """The outermost components of a text. `malformed` and `unpaired` are line numbers, from 1.

    `malformed`: not a content line, or outside all components. `unpaired`: an END without its BEGIN, or a
    BEGIN that is too deep. `is_cut_off`: a component has no END.
    """

    components: list[ParsedComponent]
    malformed: list[int]
    unpaired: list[int]
    is_cut_off: bool = False


def read(text: str) -> ParsedText:
    """Read a text. Raises nothing: lines that cannot be used are numbered and left out."""
    parsed = ParsedText([], [], [])
    open_parts: list[ParsedComponent] = []
    for number, content in _unfold(text):
        line = read_line(number, content)
        if line is None:
            parsed.malformed.append(number)
        elif line.name == "BEGIN" and len(open_parts) < MAX_DEPTH:
            part = ParsedComponent(line.value.strip().upper(), [], [])
            (open_parts[-1].parts if open_parts else parsed.components).append(part)
            open_parts.append(part)
        # An END that does not pair closes nothing: what follows it still belongs to the open component.
        elif line.name == "END" and open_parts and open_parts[-1].name == line.value.strip().upper():
            open_parts.pop().is_closed = True
        elif line.name in ("BEGIN", "END"):
            parsed.unpaired.append(number)
        elif open_parts:
            open_parts[-1].lines.append(line)
        else:
            parsed.malformed.append(number)
    parsed.is_cut_off = bool(open_parts)
    return parsed


def _unfold(text: str) -> Iterator[tuple[int, str]]:
    """Yield the content lines that are not empty, each with the number of its first line."""
    number, content = 0, ""
    for current, line in enumerate(_LINE_BREAK.split(text), 1):
        if content and line[:1] in (" ", "\t"):
            content += line[1:]
            continue  # A fold has one blank: more belong to the text.
        if content:
            yield number, content
        number, content = current, line
    if content:
        yield number, content


def read_line(number: int, content: str) -> ContentLine | None:
    """Read a line that is unfolded, without its line break; None: it is no content line."""
    name = _NAME.match(content)
    if name is None:
        return None
    at, parameters = name.end(), {}
    while match := _PARAMETER.match(content, at):
        # A value in quotes may contain the colon that would end the parameters.
        parameters[match[1].upper()] = match[2].strip('"')
        at = match.end()
    if content[at : at + 1] != ":":
        return None
    return ContentLine(number, name[0].upper(), content[at + 1 :], parameters, content)


def unescape(value: str) -> str:
    """Return a TEXT value as a person reads it. A backslash before any other letter is dropped."""
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def split_texts(value: str) -> list[str]:
    """Return the TEXT values of a list (CATEGORIES), unescaped; empty ones are dropped."""
    return [unescape(piece) for piece in _LISTED.findall(value)]
