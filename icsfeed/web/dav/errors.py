"""Refusals of WebDAV requests, each by the precondition that was not met (RFC 4918, 16)."""

from xml.etree.ElementTree import Element

from icsfeed.dav.names import DAV, ERROR, HREF
from icsfeed.dav.tree import element, xml_bytes


class DavError(Exception):
    """A refusal. `condition`: the precondition that was not met; where it is empty, `text` says why."""

    def __init__(self, status: int, condition: str = "", text: str = "") -> None:
        super().__init__(text or condition)
        self.status, self.condition, self.text = status, condition, text

    def body(self) -> bytes:
        """Return the refusal as XML."""
        told = [element(self.condition)] if self.condition else []
        said = [element(f"{DAV}responsedescription", text=self.text)] if self.text else []
        return xml_bytes(element(ERROR, *told, *said))


def read_only(href: str) -> bytes:
    """Return the refusal of a write (RFC 3744, 7.1.1): apps then undo the change and say so."""
    privilege: Element = element(f"{DAV}privilege", element(f"{DAV}write"))
    resource = element(f"{DAV}resource", element(HREF, text=href), privilege)
    return xml_bytes(element(ERROR, element(f"{DAV}need-privileges", resource)))
