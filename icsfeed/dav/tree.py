"""Elements made and written as XML. Readers get the texts back exactly as they were given.

Not with ElementTree's own writer, which leaves CR alone, so that parsers turn the CRLF of iCalendar into LF,
and writes characters that XML forbids.
"""

import re
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

from icsfeed.dav.names import APPLE, CALDAV, CALENDAR_SERVER, DAV

_PREFIXES = {DAV: "d", CALDAV: "c", APPLE: "a", CALENDAR_SERVER: "s"}
_NAMESPACES = "".join(f' xmlns:{prefix}="{space[1:-1]}"' for space, prefix in _PREFIXES.items())
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
"""`&` first: the others bring more of it."""
_IN_ATTRIBUTES = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


def element(
    name: str, *children: Element, text: str | None = None, attributes: Mapping[str, str] = {}
) -> Element:
    """Return an element. Children may be shared by several trees: nothing here changes them."""
    made = Element(name, dict(attributes))
    made.text = text
    made.extend(children)
    return made


def xml_bytes(root: Element, namespaces: str = _NAMESPACES) -> bytes:
    """Return a document in UTF-8. Characters that XML 1.0 forbids are left out.

    `namespaces`: what the root declares; those of DAV by default.
    """
    pieces = ['<?xml version="1.0" encoding="utf-8"?>\n']
    _write(root, namespaces, pieces.append)
    return "".join(pieces).encode()


def _write(one: Element, declared: str, add: Callable[[str], None]) -> None:
    name, declaration = _names(one.tag)
    attributes = ""
    if one.attrib:
        attributes = "".join(f' {key}="{_quoted(value)}"' for key, value in one.attrib.items())
    start = f"<{name}{declaration}{declared}{attributes}"
    if not one.text and not len(one):
        add(f"{start}/>")
        return
    add(f"{start}>")
    if one.text:
        add(_escaped(one.text))
    for child in one:
        _write(child, "", add)
    add(f"</{name}>")


def _names(tag: str) -> tuple[str, str]:
    """Return a tag with its prefix, and the declaration that it needs: clients ask for names of their own."""
    space, brace, local = tag.rpartition("}")
    prefix = _PREFIXES.get(f"{space}}}")
    if prefix is not None:
        return f"{prefix}:{local}", ""
    return (f"x:{local}", f' xmlns:x="{_quoted(space[1:])}"') if brace else (local, "")


def _escaped(text: str, escapes: Mapping[str, str] = _ESCAPES) -> str:
    text = _FORBIDDEN.sub("", text)
    for character, escape in escapes.items():  # str.translate takes many times as long
        text = text.replace(character, escape)
    return text


def _quoted(value: str) -> str:
    return _escaped(value, _ESCAPES | _IN_ATTRIBUTES)
