"""The XML of WebDAV and CalDAV (RFC 4918, 4791): what is asked, and what was answered.

Answers come from another machine: no DTD, no entities, and whatever else is in them, values or
ValueError come out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Literal
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from msgspec import Struct

from icsfeed.http import shorten

DAV, CALDAV, APPLE = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://apple.com/ns/ical/}"

ETAG, TYPE, NAME = f"{DAV}getetag", f"{DAV}resourcetype", f"{DAV}displayname"
CONTENT_TYPE, DATA = f"{DAV}getcontenttype", f"{CALDAV}calendar-data"
PRINCIPAL, HOME = f"{DAV}current-user-principal", f"{CALDAV}calendar-home-set"
KINDS, COLOR = f"{CALDAV}supported-calendar-component-set", f"{APPLE}calendar-color"
COLLECTION, CALENDAR = f"{DAV}collection", f"{CALDAV}calendar"
ERROR, RESPONSE, HREF, STATUS = f"{DAV}error", f"{DAV}response", f"{DAV}href", f"{DAV}status"
PROPSTAT, PROP = f"{DAV}propstat", f"{DAV}prop"

SAFE_IN_PATHS = "/~!$&'()*+,;=:@-._"
"""What stays as it is in a path: the unreserved, and what RFC 3986 allows in a segment."""

_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""What XML 1.0 cannot hold, in UTF-8. Radicale, xandikos and others pass on what somebody's object holds."""

_PREFIXES = {DAV: "d:", CALDAV: "c:", APPLE: "a:"}
MAX_DEPTH = 64
MAX_ERROR_BYTES = 4_096
"""As much of an error is read for what it says: pages of errors may be long."""
_INVISIBLE_HTML = re.compile(r"<(head|style|script|title)\b.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_TAG = re.compile(r"<[^<>]*>")


class MultistatusResponse(Struct, frozen=True):
    """One response of a multistatus. `path` as in `canonical_path`; `href` as the server spells its path.

    `found`: the properties that it has. `status`: that of the whole response, or of what it lacks.
    """

    path: str
    href: str
    status: int
    found: Mapping[str, Element]
    reasons: frozenset[str]

    def text(self, name: str) -> str:
        """The text of a property, empty where it has none."""
        element = self.found.get(name)
        return "" if element is None else "".join(element.itertext()).strip()

    def holds(self, name: str) -> frozenset[str]:
        """The names of the elements inside a property."""
        element = self.found.get(name)
        return frozenset() if element is None else frozenset(child.tag for child in element)

    def href_in(self, name: str) -> str:
        """The first href inside a property, empty where there is none."""
        element = self.found.get(name)
        return "" if element is None else (element.findtext(HREF) or "").strip()


def propfind(*names: str) -> bytes:
    """A PROPFIND for these properties."""
    root = Element(_tag(f"{DAV}propfind"), _namespaces())
    prop = SubElement(root, _tag(PROP))
    for name in names:
        SubElement(prop, _tag(name))
    return _bytes(root)


def multiget(hrefs: Iterable[str]) -> bytes:
    """A REPORT for the bodies of these objects."""
    root = Element(_tag(f"{CALDAV}calendar-multiget"), _namespaces())
    prop = SubElement(root, _tag(PROP))
    for name in (ETAG, DATA):
        SubElement(prop, _tag(name))
    for href in hrefs:
        SubElement(root, _tag(HREF)).text = href
    return _bytes(root)


def mkcalendar(title: str, color: str | None, kind: Literal["VEVENT", "VTODO"]) -> bytes:
    """A MKCALENDAR for a calendar of one kind of component. `color`: #RRGGBB."""
    root = Element(_tag(f"{CALDAV}mkcalendar"), _namespaces())
    prop = SubElement(SubElement(root, _tag(f"{DAV}set")), _tag(PROP))
    SubElement(prop, _tag(NAME)).text = title
    SubElement(SubElement(prop, _tag(KINDS)), _tag(f"{CALDAV}comp"), {"name": kind})
    if color:
        SubElement(prop, _tag(COLOR)).text = color
    return _bytes(root)


def _tag(name: str) -> str:
    space, _, local = name.rpartition("}")
    return _PREFIXES[f"{space}}}"] + local


def _namespaces() -> dict[str, str]:
    return {f"xmlns:{prefix[:-1]}": space[1:-1] for space, prefix in _PREFIXES.items()}


def _bytes(root: Element) -> bytes:
    body: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def canonical_path(base: str, href: str) -> str | None:
    """The path of a href, resolved against the address `base`, in one spelling; None: on another server."""
    try:
        url, own = urlsplit(urljoin(base, href.strip())), urlsplit(base)
        if _origin(url.scheme, url.hostname, url.port) != _origin(own.scheme, own.hostname, own.port):
            return None
    except ValueError:
        return None
    return quote(unquote_to_bytes(url.path or "/"), safe=SAFE_IN_PATHS)


def absolute_url(base: str, path: str) -> str:
    """The address of a path on the server of `base`, whatever the path: urljoin takes `//x` for a host."""
    own = urlsplit(base)
    return f"{own.scheme}://{own.netloc}{path}"


def shown_address(base: str, href: str) -> str:
    """Where a href leads to, for messages: without a login and without a query, which may hold secrets."""
    try:
        url = urlsplit(urljoin(base, href.strip()))
        return shorten(f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}")
    except ValueError:
        return "what is no web address"


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str | None, int]:
    return (scheme, host, port or (443 if scheme == "https" else 80))


def read_multistatus(body: bytes, base: str) -> list[MultistatusResponse]:
    """The responses of a multistatus from the address `base`, of this server only. Raises ValueError."""
    root = _parsed(body)
    if root.tag != f"{DAV}multistatus":
        raise ValueError("it is no multistatus")
    return [answer for response in root.iter(RESPONSE) for answer in _responses(response, base)]


def _responses(response: Element, base: str) -> Iterator[MultistatusResponse]:
    """One for each href: of several that share a status (RFC 4918, 14.24) each has its own."""
    found: dict[str, Element] = {}
    statuses = [_status(response)]
    for propstat in response.findall(PROPSTAT):
        status = _status(propstat)
        statuses.append(status)
        if status == 200:
            found.update((element.tag, element) for element in propstat.findall(f"{PROP}/*"))
    failures = [status for status in statuses if status >= 400]
    reasons = frozenset(element.tag for element in response.findall(f".//{ERROR}/*"))
    status = statuses[0] or (200 if found or not failures else failures[0])
    for href in response.findall(HREF):
        path = canonical_path(base, href.text or "")
        if path is not None:
            spelled = urlsplit(urljoin(base, (href.text or "").strip())).path or "/"
            yield MultistatusResponse(path, spelled, status, found, reasons)


def _status(element: Element) -> int:
    """The code of a status line (`HTTP/1.1 200 OK`); 0 where there is none."""
    words = (element.findtext(STATUS) or "").split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def read_preconditions(body: bytes) -> frozenset[str]:
    """The preconditions that an error names, in a DAV:error or anywhere in a multistatus; none: none."""
    try:
        root = _parsed(body)
    except ValueError:
        return frozenset()
    errors = [root] if root.tag == ERROR else root.findall(f".//{ERROR}")
    return frozenset(element.tag for error in errors for element in error)


def read_error_text(body: bytes) -> str:
    """What an error says in words, of XML, HTML or plain text; empty where it says nothing."""
    body = body[:MAX_ERROR_BYTES]
    try:
        texts = _error_texts(_parsed(body))
    except ValueError:
        plain = _INVISIBLE_HTML.sub(" ", body.decode("utf-8", "replace"))
        texts = [unescape(_TAG.sub(" ", plain))]
    return shorten("".join(c if c.isprintable() else " " for c in " ".join(texts)))


def _error_texts(root: Element) -> Iterable[str]:
    """Of a page all; else what is for people (sabre/dav: s:message), or the text beside elements."""
    if root.tag.rpartition("}")[2].lower() == "html":
        body = next((one for one in root.iter() if one.tag.rpartition("}")[2].lower() == "body"), root)
        return list(body.itertext())
    found = [one for one in root.iter() if one.tag.rpartition("}")[2] in ("message", "responsedescription")]
    beside = [root.text or "", *(one.tail or "" for one in root)]
    return ["".join(one.itertext()) for one in found] or beside


def _parsed(body: bytes) -> Element:
    try:
        root = _root(body)
    except DefusedXmlException:
        raise ValueError("its XML holds a DTD or entities") from None
    except (ParseError, LookupError, UnicodeError):
        raise ValueError("its XML is broken") from None
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
    if level:
        raise ValueError("its XML is nested too deeply")
    return root


def _root(body: bytes) -> Element:
    """The root, without the characters that break XML where they do: one object must not hide all others."""
    try:
        return fromstring(body, forbid_dtd=True)
    except ParseError:
        return fromstring(_ILLEGAL.sub(b"", body), forbid_dtd=True)
