"""Requests to CalDAV accounts and answers to them, as HTTP has them: headers and bodies."""

import gzip
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

from cachetools import LRUCache
from litestar import Response
from litestar.types import ASGIApp, HTTPScope, Receive

from icsfeed.dav.tree import xml_bytes
from icsfeed.dav.xml import parse
from icsfeed.feeds.rendered import LEVEL, PIECE
from icsfeed.feeds.stamped_cache import StampedCache
from icsfeed.http_headers import codings
from icsfeed.single_flight import FEW_ITEMS, run_in_thread
from icsfeed.web.dav.answer import Writer
from icsfeed.web.dav.outcomes import DavError
from icsfeed.web.dav.requests import Asked
from icsfeed.web.dav.resources import Account, DavCalendar, Place
from icsfeed.web.feeds.streamed import CalendarResponse

MAX_BODY_BYTES = 1024 * 1024
"""A multiget of 10,000 objects fits."""
MAX_PARSED_BODIES, MAX_PARSED_BYTES = 1_000, 4_000
"""How many bodies are remembered, and how large each may be: one that asks for the changes has 400 bytes."""
KILOBYTE = 1_000
"""Bytes of XML that take as long to parse as an issue to render (FEW_ITEMS)."""
ANSWER_BYTES = 8 * 1024 * 1024
"""The most that remembered answers take."""
ENTRY_BYTES = 3_000
"""What one takes besides its body, with its key."""
SMALL_BYTES = 1_400
"""Bytes of an answer that one packet holds: they are not compressed."""
USED_HEADERS = {
    name.encode(): name for name in ("accept-encoding", "brief", "depth", "if-none-match", "prefer")
}
HEADERS = {
    "DAV": "1, 3, access-control, calendar-access",
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}

Answer = ASGIApp | Response[Any]
T = TypeVar("T")


class DavRequest:
    """A request of somebody who has logged in. `can_zip`: whether the server compresses.

    `answers`: short answers, which hold while the calendars that they are about have not changed.
    """

    def __init__(
        self,
        scope: HTTPScope,
        account: Account,
        place: Place,
        answers: StampedCache[object, CalendarResponse],
        *,
        can_zip: bool,
    ) -> None:
        self.method, self.account, self.place, self._answers = scope["method"], account, place, answers
        self.headers: Mapping[str, str] = {
            USED_HEADERS[name]: value.decode("latin-1")
            for name, value in scope["headers"]
            if name in USED_HEADERS
        }
        self._can_zip = can_zip and codings(self.headers.get("accept-encoding"))[:1] == ("gzip",)

    @property
    def is_deep(self) -> bool:
        """Whether what is in a collection is asked for, too. Raises DavError for all that is below it."""
        depth = self.headers.get("depth", "infinity").strip().lower()
        if depth not in ("0", "1"):
            raise DavError(403, "{DAV:}propfind-finite-depth")
        return depth == "1"

    def writer(self, asked: Asked) -> Writer:
        """Return what writes the responses."""
        prefer = self.headers.get("prefer", "").replace(" ", "").lower()
        minimal = "return=minimal" in prefer or self.headers.get("brief", "").strip().lower() == "t"
        return Writer(self.account, asked, minimal=minimal)

    async def written(
        self, asked: object, calendars: Iterable[DavCalendar], items: int, make: Callable[[], Element]
    ) -> Answer:
        """Return a multistatus about the state of these calendars: a long one is made in a thread.

        A short one is made once for each state: apps ask the same all day.
        """

        def answer() -> CalendarResponse:
            text = xml_bytes(make())
            if not self._can_zip or len(text) <= SMALL_BYTES:
                return xml_answer(HTTPStatus.MULTI_STATUS, text)
            zipped = gzip.compress(text, LEVEL, mtime=0)
            return xml_answer(HTTPStatus.MULTI_STATUS, zipped, {"Content-Encoding": "gzip"})

        async def written() -> CalendarResponse:
            return await run_in_thread(items, answer)

        if items > FEW_ITEMS:
            return await written()
        key = (asked, self.place, self.account.user, frozenset(self.headers.items()))
        return await self._answers.value(key, tuple(calendar.state for calendar in calendars), written)


async def read_body(receive: Receive) -> bytes:
    """Return a request's body. Raise DavError for one that is too large: no more than that is held."""
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise DavError(400, text="The request was cut off.")
        pieces.append(message["body"])
        size, more = size + len(message["body"]), message["more_body"]
        if size > MAX_BODY_BYTES:
            raise DavError(413, text="The body is larger than 1 MiB.")
    return b"".join(pieces)


class ParsedBodies:
    """The bodies of requests as values. Apps send the same ones all day: those are parsed once."""

    def __init__(self) -> None:
        self._values: LRUCache[tuple[object, bytes], Any] = LRUCache(MAX_PARSED_BODIES)

    async def read(self, receive: Receive, value_of: Callable[[Element | None], T]) -> T:
        """Return what `value_of` makes of the XML of a body, None where that is empty.

        Raise DavError for what is not XML, and what `value_of` raises.
        """
        body = await read_body(receive)
        known: T | None = self._values.get((value_of, body))
        if known is not None:
            return known
        value = await run_in_thread(len(body) // KILOBYTE, lambda: value_of(root_of(body)))
        if len(body) <= MAX_PARSED_BYTES:
            self._values[value_of, body] = value
        return value


def root_of(body: bytes) -> Element | None:
    """Return the XML of a body; None where it is empty. Raise DavError for what is not XML."""
    try:
        return parse(body) if body.strip() else None
    except ValueError as error:
        raise DavError(400, text=f"The body cannot be read: {error}.") from None


def xml_answer(status: int, body: bytes, more: Mapping[str, str] = {}) -> CalendarResponse:
    """Return an answer of XML."""
    headers = {"Content-Type": "application/xml; charset=utf-8", "Content-Length": str(len(body))}
    return dav_answer(status, {**HEADERS, **headers, **more}, body)


def empty_answer(status: int, headers: Mapping[str, str]) -> CalendarResponse:
    """Return an answer without a body."""
    length = {} if status == HTTPStatus.NOT_MODIFIED else {"Content-Length": "0"}
    return dav_answer(status, {**HEADERS, **length, **headers}, b"")


def dav_answer(status: int, headers: Mapping[str, str], body: bytes) -> CalendarResponse:
    """Return an answer that is sent in pieces."""
    head = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    pieces = tuple(body[start : start + PIECE] for start in range(0, len(body), PIECE))
    return CalendarResponse(status, head, len(body), pieces)
