"""A small CalDAV server in memory: it counts requests, and answers with faults on demand."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import httpx
from defusedxml.ElementTree import fromstring

HOST = "https://dav.example.com"
PATH = "/alice/plane/"
URL = HOST + PATH
CALENDAR = "<d:collection/><c:calendar/>"

Fault = Callable[[httpx.Request, Callable[[], httpx.Response]], httpx.Response]
"""Answer a request; the second argument does what was requested and returns the normal response."""


@dataclass
class PlannedFault:
    """A fault for requests of one method: skipped `skip` times, then used `left` times."""

    method: str
    fault: Fault
    left: int
    skip: int


@dataclass
class MemoryDav:
    """One calendar at PATH. `transport`: for a client; `objects`: the bytes by name.

    `quoting` spells hrefs, `tagging` makes etags, `reform` alters what is stored. `unconditional`: conditions
    are ignored, as SOGo 5.8 does in part. `names_absent`: a multiget answers 404 inside for an absent href
    (else it is left out, as by sabre/dav). `fails_on_absent`: it answers 404 as a whole (sabre/dav 1.8).
    `names_conditions`: a 412 names the header that did not hold (DAViCal 1.1).
    """

    exists: bool = True
    objects: dict[str, bytes] = field(default_factory=dict)
    unconditional: bool = False
    names_absent: bool = True
    fails_on_absent: bool = False
    names_conditions: bool = False
    reform: Callable[[bytes], bytes] = bytes
    quoting: Callable[[str], str] = quote
    tagging: Callable[[bytes], str] = lambda data: f'"{sha256(data).hexdigest()[:12]}"'
    requests: list[httpx.Request] = field(default_factory=list)
    _planned: list[PlannedFault] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def add_fault(self, method: str, fault: Fault, times: int = 1, skip: int = 0) -> None:
        """Let `fault` answer `times` requests of a method (empty: any), after `skip` of them."""
        self._planned.append(PlannedFault(method, fault, times, skip))

    def clear_faults(self) -> None:
        """Remove all faults that are left."""
        self._planned.clear()

    def count(self, method: str) -> int:
        """Return the number of requests with this method."""
        return sum(request.method == method for request in self.requests)

    def etag(self, name: str) -> str:
        return self.tagging(self.objects[name])

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        for planned in self._planned:
            if planned.method in ("", request.method) and planned.left:
                if planned.skip:
                    planned.skip -= 1
                    break
                planned.left -= 1
                return planned.fault(request, lambda: self._do(request))
        return self._do(request)

    def _do(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path)
        known: Mapping[str, Callable[[httpx.Request, str], httpx.Response]] = {
            "PROPFIND": self._propfind,
            "REPORT": self._report,
            "PUT": self._put,
            "DELETE": self._delete,
            "MKCALENDAR": self._make,
        }
        if not self.exists and request.method != "MKCALENDAR":
            return httpx.Response(404)
        return known[request.method](request, path.removeprefix(PATH))

    def _propfind(self, request: httpx.Request, _name: str) -> httpx.Response:
        found = [_response(PATH, f"<d:resourcetype>{CALENDAR}</d:resourcetype>")]
        if request.headers["depth"] == "1":
            etags = {PATH + self.quoting(name): self.etag(name) for name in self.objects}
            found += [_response(href, f"<d:getetag>{etag}</d:getetag>") for href, etag in etags.items()]
        return multistatus(*found)

    def _report(self, request: httpx.Request, _name: str) -> httpx.Response:
        found = []
        for href in fromstring(request.content).iter("{DAV:}href"):
            name = unquote(href.text or "").removeprefix(PATH)
            if name in self.objects:
                data = escape(self.objects[name].decode("utf-8", "replace"))
                props = f"<d:getetag>{self.etag(name)}</d:getetag><c:calendar-data>{data}</c:calendar-data>"
                found.append(_response(PATH + self.quoting(name), props))
            elif self.fails_on_absent:
                return httpx.Response(404)
            elif self.names_absent:
                found.append(f"<d:response><d:href>{href.text}</d:href>{status(404)}</d:response>")
        return multistatus(*found)

    def _put(self, request: httpx.Request, name: str) -> httpx.Response:
        if not self._holds(request, name):
            return self._unmet(request)
        made = name not in self.objects
        self.objects[name] = self.reform(request.content)
        return httpx.Response(201 if made else 204, headers={"ETag": self.etag(name)})

    def _delete(self, request: httpx.Request, name: str) -> httpx.Response:
        if name not in self.objects:
            return httpx.Response(404)
        if not self._holds(request, name):
            return self._unmet(request)
        del self.objects[name]
        return httpx.Response(204)

    def _make(self, _request: httpx.Request, _name: str) -> httpx.Response:
        if self.exists:
            return httpx.Response(405)
        self.exists = True
        return httpx.Response(201)

    def _unmet(self, request: httpx.Request) -> httpx.Response:
        condition = next(name for name in ("if-match", "if-none-match") if name in request.headers)
        named = f'<error xmlns="DAV:"><{condition}/>It does not hold.</error>'
        return httpx.Response(412, text=named if self.names_conditions else "")

    def _holds(self, request: httpx.Request, name: str) -> bool:
        """Return whether the conditions of a request hold (RFC 9110, 13.1)."""
        if self.unconditional:
            return True
        match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
        assert (match is None) != (none is None), "every write has one condition"
        assert match != "*"
        return name not in self.objects if none == "*" else name in self.objects and match == self.etag(name)


def status(code: int) -> str:
    return f"<d:status>HTTP/1.1 {code} X</d:status>"


def _response(href: str, props: str) -> str:
    return (
        f"<d:response><d:href>{escape(href)}</d:href>"
        f"<d:propstat><d:prop>{props}</d:prop>{status(200)}</d:propstat></d:response>"
    )


def multistatus(*responses: str) -> httpx.Response:
    body = (
        '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
        f"{''.join(responses)}</d:multistatus>"
    )
    return httpx.Response(207, content=body.encode(), headers={"Content-Type": "application/xml"})


def precondition(name: str, space: str = "urn:ietf:params:xml:ns:caldav") -> bytes:
    """Return the body of an error that names a failed precondition (RFC 4918, 16)."""
    return f'<d:error xmlns:d="DAV:" xmlns:c="{space}"><c:{name}/></d:error>'.encode()


def answering(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer like this, and do nothing."""
    named = {re.sub("_", "-", name): value for name, value in headers.items()}
    return lambda _request, _do: httpx.Response(code, content=body, headers=named)


def losing_the_response(request: httpx.Request, do: Callable[[], httpx.Response]) -> httpx.Response:
    """Do it, and lose the response."""
    do()
    raise httpx.ReadError("connection reset", request=request)


def refusing_the_connection(request: httpx.Request, _do: Callable[[], httpx.Response]) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def not_answering(request: httpx.Request, _do: Callable[[], httpx.Response]) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)
