"""One calendar collection on a CalDAV server: listed, read, written, deleted, all under conditions.

How servers differ is in caldav.md; each method does what all of them bear.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus

from msgspec import Struct

from icsfeed.errors import (
    Changed,
    InsufficientStorage,
    Locked,
    NoCollection,
    NoPermission,
    NoServer,
    NotCalDav,
    PushError,
    Rejected,
    UidTaken,
)
from icsfeed.push import xml
from icsfeed.push.session import DavResponse, DavServer

MAX_MULTIGET_HREFS = 100
"""Objects in one multiget."""
SUCCESS_STATUSES = frozenset({200, 201, 204})
"""Exactly: xandikos 0.2 reports failures as 207."""
GONE_STATUSES = frozenset({404, 410})

_UID_PRECONDITIONS = frozenset(
    {f"{xml.CALDAV}no-uid-conflict", f"{xml.CALDAV}unique-scheduling-object-resource"}
)
_UID_TEXT = re.compile(
    r"\buid\b.{0,80}(?:already|exists|in use)|(?:deleted|existing).{0,80}\buid\b", re.I | re.S
)
_HEADER_CONDITIONS = frozenset({f"{xml.DAV}if-match", f"{xml.DAV}if-none-match"})
"""What DAViCal names in a 412: the header that did not hold. That is no reason of its own."""
_COMPONENT_PRECONDITION = f"{xml.CALDAV}supported-calendar-component"
XML_TYPE = {"Content-Type": "application/xml; charset=utf-8"}


class ListedObject(Struct, frozen=True):
    """One object as it is listed. `etag` is empty where the server gives none."""

    etag: str
    is_calendar: bool = True


class ObjectBody(Struct, frozen=True):
    """One object as it was read."""

    etag: str
    data: bytes


class Collection:
    """The calendar at `url`. Objects go by their path in one spelling (caldav_xml.canonical)."""

    def __init__(self, server: DavServer, url: str) -> None:
        self.url = url if url.endswith("/") else f"{url}/"
        self.path = xml.canonical_path(self.url, "") or "/"
        self.server = server
        self._spelled: dict[str, str] = {}

    async def list(self) -> dict[str, ListedObject]:
        """All objects. Raises PushError; a listing that may not be whole is NotCalDav."""
        what = f"the listing of {self.url}"
        heard = await propfind(self.server, self.url, what, 1, xml.TYPE, xml.ETAG, xml.CONTENT_TYPE)
        answers = _multistatus(heard, what)
        own = next((one for one in answers if one.path.rstrip("/") == self.path.rstrip("/")), None)
        if answers and all(one.status in GONE_STATUSES for one in answers):
            raise no_calendar(self.url)  # xandikos 0.2 names an address of its own making in it
        if own is None or any(one.status == HTTPStatus.INSUFFICIENT_STORAGE for one in answers):
            raise NotCalDav(what, "it is not whole; nothing was written")
        if xml.CALENDAR not in own.holds(xml.TYPE):
            raise NoCollection(
                self.url, "it is not a calendar: give the calendar's address, or its `collection`"
            )
        listed = {}
        for answer in answers:
            name = answer.path.removeprefix(self.path)
            is_child = name not in ("", answer.path) and "/" not in name
            if (
                is_child
                and answer.status not in GONE_STATUSES
                and xml.COLLECTION not in answer.holds(xml.TYPE)
            ):
                kind = answer.text(xml.CONTENT_TYPE).lower()
                listed[answer.path] = ListedObject(_etag(answer), not kind or "calendar" in kind)
                self._spelled[answer.path] = answer.href
        return listed

    async def read(self, paths: Iterable[str]) -> dict[str, ObjectBody]:
        """The objects at these paths, 100 in a request; what is not there, or not readable, is left out."""
        wanted = sorted(paths)
        batches = [wanted[at : at + MAX_MULTIGET_HREFS] for at in range(0, len(wanted), MAX_MULTIGET_HREFS)]
        found = await asyncio.gather(*map(self._multiget, batches))
        return {path: body for batch in found for path, body in batch.items()}

    async def _multiget(self, paths: Sequence[str]) -> dict[str, ObjectBody]:
        what = f"the reading of {self.url}"
        asked = xml.multiget(self._spelled.get(path, path) for path in paths)
        headers = {**XML_TYPE, "Depth": "1"}
        heard = await self.server.ask("REPORT", self.url, what, body=asked, headers=headers)
        if heard.status in GONE_STATUSES:
            # sabre/dav 1.8 answers 404 where one of the objects is gone: all but that one, in halves.
            if not await self._is_there():
                raise no_calendar(self.url)
            middle = len(paths) // 2
            halves = [paths[:middle], paths[middle:]] if middle else []
            return {path: body for half in halves for path, body in (await self._multiget(half)).items()}
        answers = _multistatus(heard, what)
        known = frozenset(paths)
        return {
            one.path: ObjectBody(_etag(one), "".join(one.found[xml.DATA].itertext()).encode())
            for one in answers
            if one.path in known and xml.DATA in one.found
        }

    async def put(self, path: str, data: bytes, etag: str | None) -> str:
        """Write an object: a new one where `etag` is None, else in the place of the one that has it.

        Gives its etag now, empty where the server does not say. Raises Changed when the condition does not
        hold, and the PushError that fits anything else.
        """
        condition = {"If-None-Match": "*"} if etag is None else _if_match(etag, path)
        headers = {"Content-Type": "text/calendar; charset=utf-8", **condition}
        heard = await self.server.ask("PUT", self._url(path), path, body=data, headers=headers)
        if heard.status not in SUCCESS_STATUSES:
            raise await self._refusal(heard, path)
        return heard.headers.get("etag", "")

    async def delete(self, path: str, etag: str) -> None:
        """Delete the object that has this etag. One that is gone is as good. Raises as `put`."""
        heard = await self.server.ask("DELETE", self._url(path), path, headers=_if_match(etag, path))
        if heard.status not in SUCCESS_STATUSES | GONE_STATUSES:
            raise await self._refusal(heard, path)

    def _url(self, path: str) -> str:
        return xml.absolute_url(self.url, self._spelled.get(path, path))

    async def _refusal(self, heard: DavResponse, path: str) -> PushError:
        """What it means that a write was not done (caldav.md, 4)."""
        status, reasons = heard.status, xml.read_preconditions(heard.body) - _HEADER_CONDITIONS
        if status == HTTPStatus.MULTI_STATUS:
            with suppress(ValueError):  # The answer is for this object alone.
                statuses = [one.status for one in xml.read_multistatus(heard.body, heard.url)]
                status = next((one for one in statuses if one >= 400), status)
        text = heard.body[:2000].decode("utf-8", "replace")
        said = self.server.said(heard)
        if reasons & _UID_PRECONDITIONS or (status in (400, 403, 409) and _UID_TEXT.search(text)):
            text = "the server has this UID elsewhere, in another calendar or its trash bin: remove it there"
            return UidTaken(path, f"{text}{said}")
        if _COMPONENT_PRECONDITION in reasons:
            return NoCollection(self.url, "the calendar does not take this kind of component (`component:`)")
        may_be_gone = status in (404, 405, 409) or (status == HTTPStatus.FORBIDDEN and not reasons)
        if may_be_gone and not await self._is_there():
            return no_calendar(self.url)
        # The preconditions of WebDAV and CalDAV; what servers add of their own says nothing.
        named = sorted(one.rpartition("}")[2] for one in reasons if one.startswith((xml.DAV, xml.CALDAV)))
        return _error_for(status, named, path, self.url, said)

    async def _is_there(self) -> bool:
        answer = await find_properties(self.server, self.url, f"the look at {self.url}", xml.TYPE)
        return answer is not None and xml.CALENDAR in answer.holds(xml.TYPE)


def _error_for(status: int, reasons: Sequence[str], path: str, url: str, said: str) -> PushError:
    """By the status, where neither the UID nor the collection is the reason. `said`: the server's words."""
    if 300 <= status < 400:
        return NoCollection(url, "it redirects elsewhere: check the url in the configuration")
    if status == HTTPStatus.FORBIDDEN and (not reasons or "need-privileges" in reasons):
        return NoPermission(url, f"the account may not write there{said}")
    if status == HTTPStatus.PRECONDITION_FAILED and not reasons:
        return Changed(path, "it was changed meanwhile")
    if status == HTTPStatus.LOCKED:
        return Locked(path, f"it is locked, and stayed so{said}")
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return InsufficientStorage(url, f"the account is full: make room, or give it more{said}")
    if status in (429, 502, 503, 504):
        return NoServer(url, f"the server failed with {status}, every time{said}")
    why = f" ({', '.join(reasons)})" if reasons else ""
    return Rejected(path, f"the server does not take it: {status}{why}{said}", status)


def _if_match(etag: str, path: str) -> Mapping[str, str]:
    """If-Match compares strongly: of an etag that a proxy has weakened the strong form is sent."""
    if not etag:
        raise Rejected(path, "the server gives it no etag, without which it cannot be replaced safely")
    return {"If-Match": etag.removeprefix("W/")}


def _etag(answer: xml.MultistatusResponse) -> str:
    """Empty where there is none, or one that cannot be sent back in a header."""
    etag = answer.text(xml.ETAG)
    return etag if etag.isascii() and etag.isprintable() else ""


def no_calendar(url: str) -> NoCollection:
    return NoCollection(url, "there is no such calendar: make it, or set `create: true`", gone=True)


async def propfind(server: DavServer, url: str, what: str, depth: int, *names: str) -> DavResponse:
    """The answer to a PROPFIND, a 207. Raises the PushError that fits anything else."""
    headers = {**XML_TYPE, "Depth": str(depth)}
    heard = await server.ask("PROPFIND", url, what, body=xml.propfind(*names), headers=headers)
    if heard.status == HTTPStatus.MULTI_STATUS:
        return heard
    if heard.status in GONE_STATUSES:
        raise no_calendar(url)
    if heard.status == HTTPStatus.FORBIDDEN:
        raise NoPermission(what, "the account may not read there")
    if 300 <= heard.status < 400:
        there = xml.shown_address(heard.url, heard.headers.get("location", ""))
        raise NoCollection(url, f"it redirects to {there}: say that in `url`")
    if heard.status >= HTTPStatus.INTERNAL_SERVER_ERROR or heard.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise NoServer(what, f"the server failed with {heard.status}, every time")
    raise NotCalDav(what, f"what answers ({heard.status}) is not CalDAV: check the url in the configuration")


def _multistatus(heard: DavResponse, what: str) -> list[xml.MultistatusResponse]:
    if heard.status != HTTPStatus.MULTI_STATUS:
        raise NotCalDav(what, f"the server answers it with {heard.status}")
    try:
        return xml.read_multistatus(heard.body, heard.url)
    except ValueError as error:
        raise NotCalDav(what, f"{error}; nothing was written") from None


async def find_properties(
    server: DavServer, url: str, what: str, *names: str
) -> xml.MultistatusResponse | None:
    """What the server says of one address; None where nothing is. Raises PushError."""
    try:
        answers = _multistatus(await propfind(server, url, what, 0, *names), what)
    except NoCollection as error:
        if not error.gone:
            raise
        return None
    return next((one for one in answers if one.status not in GONE_STATUSES), None)
