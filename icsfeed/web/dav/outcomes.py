"""How a WebDAV request went: statuses, and preconditions that were not met (RFC 4918, 13 and 16)."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from icsfeed.dav.names import DAV, ERROR, HREF, MULTISTATUS, PROP, PROPSTAT, RESPONSE, STATUS
from icsfeed.dav.tree import element, xml_bytes

OK = element(STATUS, text="HTTP/1.1 200 OK")
NOT_FOUND = element(STATUS, text="HTTP/1.1 404 Not Found")
FORBIDDEN = element(STATUS, text="HTTP/1.1 403 Forbidden")


class DavError(Exception):
    """A refusal. `condition`: the precondition that was not met; where it is empty, `text` says why."""

    def __init__(self, status: int, condition: str = "", text: str = "") -> None:
        super().__init__(text or condition)
        self.status, self.condition, self.text = status, condition, text

    def body(self) -> bytes:
        """Return the refusal as XML."""
        named = [element(self.condition)] if self.condition else []
        said = [element(f"{DAV}responsedescription", text=self.text)] if self.text else []
        return xml_bytes(element(ERROR, *named, *said))


def read_only(href: str) -> Element:
    """Return the refusal of a write (RFC 3744, 7.1.1): apps then undo the change and say so."""
    privilege: Element = element(f"{DAV}privilege", element(f"{DAV}write"))
    resource = element(f"{DAV}resource", element(HREF, text=href), privilege)
    return element(ERROR, element(f"{DAV}need-privileges", resource))


def refused_update(href: str, update: Element) -> Element | None:
    """Return the refusal of each property of a PROPPATCH (RFC 4918, 9.2.1); None: it names none.

    Calendar on a Mac sets alarms, time zone and order of whatever it finds. Refused as a whole, it shows an
    error (CalDAVSetPropertyQueueableOperation) and stops (sabre-io/dav#935).
    """
    names = dict.fromkeys(one.tag for part in update for one in part.findall(f"{PROP}/*"))
    if not names:
        return None
    refused = element(PROPSTAT, element(PROP, *map(element, names)), FORBIDDEN, read_only(href))
    return multistatus([element(RESPONSE, element(HREF, text=href), refused)])


def gone(path: str) -> Element:
    """Return the response about something that is not there."""
    return element(RESPONSE, element(HREF, text=path), NOT_FOUND)


def multistatus(responses: Iterable[Element], *more: Element) -> Element:
    """Return a multistatus."""
    return element(MULTISTATUS, *responses, *more)
