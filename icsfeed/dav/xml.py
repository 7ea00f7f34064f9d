"""The XML of WebDAV and CalDAV (RFC 4918, 4791): a client's requests written, and any body read.

Bodies are not trusted: DTDs and entities are refused, and any input gives values or ValueError.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Literal
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from msgspec import Struct

from icsfeed.dav.names import (
    CALDAV,
    CALENDAR,
    COLOR,
    COMPONENT,
    DATA,
    DAV,
    ERROR,
    ETAG,
    HREF,
    KINDS,
    MULTIGET,
    MULTISTATUS,
    NAME,
    PROP,
    PROPFIND,
    PROPSTAT,
    RESPONSE,
    SAFE_IN_PATHS,
    STATUS,
    TYPE,
)
from icsfeed.dav.tree import element, xml_bytes
from icsfeed.http import shorten

_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""UTF-8 of characters that XML 1.0 forbids. Radicale, xandikos and others send them if an object has them."""

MAX_DEPTH = 64
"""Levels of nested elements; deeper trees exhaust the stack of recursive readers."""
MAX_ERROR_BYTES = 4_096
"""Bytes of an error response that are searched for its text: error pages may be long."""
_INVISIBLE_HTML = re.compile(r"<(head|style|script|title)\b.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_TAG = re.compile(r"<[^<>]*>")


class MultistatusResponse(Struct, frozen=True):
    """One response of a multistatus (RFC 4918, 14.24). `path`: canonical; `href`: in the server's spelling.

    `status`: of the whole response; else 200 if there are properties, or the first failure. `properties`:
    those with status 200, by tag.
    """

    path: str
    href: str
    status: int
    properties: Mapping[str, Element]

    def text(self, name: str) -> str:
        """Return the text of a property; empty if there is none."""
        element = self.properties.get(name)
        return "" if element is None else "".join(element.itertext()).strip()

    @property
    def resource_types(self) -> frozenset[str]:
        """Return the tags inside DAV:resourcetype."""
        return frozenset(child.tag for child in self.properties.get(TYPE, ()))

    @property
    def is_calendar(self) -> bool:
        """Return whether the resource is a calendar collection (RFC 4791, 4.2)."""
        return CALENDAR in self.resource_types

    def href_in(self, name: str) -> str:
        """Return the first href inside a property; empty if there is none."""
        element = self.properties.get(name)
        return "" if element is None else (element.findtext(HREF) or "").strip()


def propfind(*asked: str) -> bytes:
    """Return the body of a PROPFIND for these properties."""
    return xml_bytes(element(PROPFIND, element(PROP, *map(element, asked))))


def multiget(hrefs: Iterable[str]) -> bytes:
    """Return the body of a REPORT that reads these objects (RFC 4791, 7.9)."""
    wanted = element(PROP, element(ETAG), element(DATA))
    return xml_bytes(element(MULTIGET, wanted, *(element(HREF, text=href) for href in hrefs)))


def mkcalendar(title: str, color: str | None, kind: Literal["VEVENT", "VTODO"]) -> bytes:
    """Return the body of a MKCALENDAR for one kind of component (RFC 4791, 5.3.1). `color`: #RRGGBB."""
    kinds = element(KINDS, element(COMPONENT, attributes={"name": kind}))
    colors = [element(COLOR, text=color)] if color else []
    prop = element(PROP, element(NAME, text=title), kinds, *colors)
    return xml_bytes(element(f"{CALDAV}mkcalendar", element(f"{DAV}set", prop)))


def canonical_path(base: str, href: str) -> str | None:
    """Return the path of a href, resolved against `base`, in one spelling; None if it is on another server.

    Radicale and DAViCal quote an `@` in hrefs, others do not: only canonical paths may be compared.
    """
    try:
        url, own = urlsplit(urljoin(base, href.strip())), urlsplit(base)
        if _origin(url.scheme, url.hostname, url.port) != _origin(own.scheme, own.hostname, own.port):
            return None
    except ValueError:
        return None
    return quote(unquote_to_bytes(url.path or "/"), safe=SAFE_IN_PATHS)


def absolute_url(base: str, path: str) -> str:
    """Return the URL of a path on the server of `base`. urljoin would take `//x` for a host."""
    own = urlsplit(base)
    return f"{own.scheme}://{own.netloc}{path}"


def shown_address(base: str, href: str) -> str:
    """Return a href's URL for messages, without user, password and query, which may hold secrets."""
    try:
        url = urlsplit(urljoin(base, href.strip()))
        return shorten(f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}")
    except ValueError:
        return "an invalid address"


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str | None, int]:
    return (scheme, host, port or (443 if scheme == "https" else 80))


def read_multistatus(body: bytes, base: str) -> list[MultistatusResponse]:
    """Return the responses of a multistatus from the URL `base`. Raise ValueError if it is not one.

    Responses about other servers are left out.
    """
    root = parse(body)
    if root.tag != MULTISTATUS:
        raise ValueError("it is not a multistatus")
    return [one for response in root.iter(RESPONSE) for one in _responses(response, base)]


def _responses(response: Element, base: str) -> Iterator[MultistatusResponse]:
    """Return one response for each href: several hrefs may share a status (RFC 4918, 14.24)."""
    properties: dict[str, Element] = {}
    statuses = [_status(response)]
    for propstat in response.findall(PROPSTAT):
        status = _status(propstat)
        statuses.append(status)
        if status == 200:
            properties.update((element.tag, element) for element in propstat.findall(f"{PROP}/*"))
    failures = [status for status in statuses if status >= 400]
    # A 404 in one propstat is about those properties, not the object: most servers lack some property.
    status = statuses[0] or (200 if properties or not failures else failures[0])
    for href in response.findall(HREF):
        path = canonical_path(base, href.text or "")
        if path is not None:
            server_path = urlsplit(urljoin(base, (href.text or "").strip())).path or "/"
            yield MultistatusResponse(path, server_path, status, properties)


def _status(element: Element) -> int:
    """Return the code of a status line (`HTTP/1.1 200 OK`); 0 if there is none."""
    words = (element.findtext(STATUS) or "").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def read_preconditions(body: bytes) -> frozenset[str]:
    """Return the tags of the preconditions in an error or a multistatus; none if the body is not XML."""
    try:
        root = parse(body)
    except ValueError:
        return frozenset()
    errors = [root] if root.tag == ERROR else root.findall(f".//{ERROR}")
    return frozenset(element.tag for error in errors for element in error)


def read_error_text(body: bytes) -> str:
    """Return the text of an error response (XML, HTML or plain text) on one line; empty if there is none."""
    body = body[:MAX_ERROR_BYTES]
    try:
        texts = _error_texts(parse(body))
    except ValueError:
        plain = _INVISIBLE_HTML.sub(" ", body.decode("utf-8", "replace"))
        texts = [unescape(_TAG.sub(" ", plain))]
    return shorten("".join(c if c.isprintable() else " " for c in " ".join(texts)))


def _error_texts(root: Element) -> Iterable[str]:
    """Return the texts for people: a page's body, elements for messages, or text between the elements."""
    if root.tag.rpartition("}")[2].lower() == "html":
        bodies = (element for element in root.iter() if element.tag.rpartition("}")[2].lower() == "body")
        return list(next(bodies, root).itertext())
    # sabre/dav and Baïkal: s:message; RFC 4918, 14.25: responsedescription; DAViCal: text between the tags.
    names = ("message", "responsedescription")
    messages = [element for element in root.iter() if element.tag.rpartition("}")[2] in names]
    between = [root.text or "", *(element.tail or "" for element in root)]
    return ["".join(element.itertext()) for element in messages] or between


def parse(body: bytes) -> Element:
    """Return the root. Raise ValueError if the XML is broken, nested too deeply, or has a DTD."""
    try:
        root = _root(body)
    except DefusedXmlException:
        raise ValueError("its XML holds a DTD or entities") from None
    except (ParseError, LookupError, UnicodeError):  # the last two: an unknown or wrong encoding
        raise ValueError("its XML is broken") from None
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return root
    raise ValueError("its XML is nested too deeply")


def _root(body: bytes) -> Element:
    """Return the root. One object with forbidden characters must not hide all others: they are removed."""
    try:
        return fromstring(body, forbid_dtd=True)
    except ParseError:  # not before: in UTF-16 these bytes are parts of other characters
        return fromstring(_ILLEGAL.sub(b"", body), forbid_dtd=True)
