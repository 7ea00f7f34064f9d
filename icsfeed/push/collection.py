"""One calendar collection on a CalDAV server: list it, read objects, write and delete them conditionally.

Servers differ; every method works with all of them. The servers and versions named here were run:
Radicale 3.1 and 3.9, xandikos 0.2 and 0.4, sabre/dav 4.7, Baïkal 0.12, DAViCal 1.1, SOGo 5.8, Cyrus 3.6.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus

from msgspec import Struct

from icsfeed.dav import names, xml
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
from icsfeed.push.session import DavResponse, DavServer

MAX_MULTIGET_HREFS = 100
"""Objects read with one request."""
SUCCESS_STATUSES = frozenset({200, 201, 204})
"""Not every 2xx: xandikos 0.2 reports failed writes with 207."""
GONE_STATUSES = frozenset({404, 410})

_UID_PRECONDITIONS = frozenset(
    {f"{names.CALDAV}no-uid-conflict", f"{names.CALDAV}unique-scheduling-object-resource"}
)
_UID_TEXT = re.compile(
    r"\buid\b.{0,80}(?:already|exists|in use)|(?:deleted|existing).{0,80}\buid\b", re.I | re.S
)
"""How SOGo 5.8 (409) and Nextcloud's trash bin (400, 403) report a UID that is in use, without a
precondition.
"""
_HEADER_CONDITIONS = frozenset({f"{names.DAV}if-match", f"{names.DAV}if-none-match"})
"""DAViCal 1.1 names the failed header in a 412. That is a plain 412: the object has changed."""
_COMPONENT_PRECONDITION = f"{names.CALDAV}supported-calendar-component"
XML_TYPE = {"Content-Type": "application/xml; charset=utf-8"}


class ListedObject(Struct, frozen=True):
    """An object in a listing. `etag`: empty if the server gives none that can be sent back."""

    etag: str
    is_calendar: bool = True


class ObjectBody(Struct, frozen=True):
    """An object's etag and bytes, as read with one request."""

    etag: str
    data: bytes


class Collection:
    """The calendar at `url`. Objects are identified by their canonical path (xml.canonical_path)."""

    def __init__(self, server: DavServer, url: str) -> None:
        self.url = url if url.endswith("/") else f"{url}/"
        self.path = xml.canonical_path(self.url, "") or "/"
        self._server = server
        # Requests use the server's own spelling of a path: not every server finds an equivalent one.
        self._server_paths: dict[str, str] = {}

    async def list(self) -> dict[str, ListedObject]:
        """Return all objects by path. Raise NotCalDav if the listing may be incomplete, or another PushError.

        An incomplete listing must never be used: objects missing in it would be created a second time.
        """
        what = f"the listing of {self.url}"
        answers = await propfind(self._server, self.url, what, 1, names.TYPE, names.ETAG, names.CONTENT_TYPE)
        own = next((answer for answer in answers if answer.path.rstrip("/") == self.path.rstrip("/")), None)
        # xandikos 0.2 answers 207 with a 404 inside, for an address that it makes up.
        if answers and all(answer.status in GONE_STATUSES for answer in answers):
            raise no_calendar(self.url)
        # A 507 inside means that the server cut the listing off (RFC 6578, 3.6).
        if own is None or any(answer.status == HTTPStatus.INSUFFICIENT_STORAGE for answer in answers):
            raise NotCalDav(what, "it is incomplete; nothing was written")
        if not own.is_calendar:
            raise NoCollection(
                self.url, "it is not a calendar: give the calendar's address, or its `collection`"
            )
        listed = {}
        for answer in answers:
            name = answer.path.removeprefix(self.path)
            is_member = name not in ("", answer.path) and "/" not in name
            is_object = answer.status not in GONE_STATUSES and names.COLLECTION not in answer.resource_types
            if is_member and is_object:
                kind = answer.text(names.CONTENT_TYPE).lower()
                listed[answer.path] = ListedObject(_etag(answer), not kind or "calendar" in kind)
                self._server_paths[answer.path] = answer.href
        return listed

    async def read(self, paths: Iterable[str]) -> dict[str, ObjectBody]:
        """Return the objects at these paths, 100 a request, without those that are absent or unreadable."""
        requested = sorted(paths)
        starts = range(0, len(requested), MAX_MULTIGET_HREFS)
        batches = [requested[start : start + MAX_MULTIGET_HREFS] for start in starts]
        results = await asyncio.gather(*map(self._multiget, batches))
        return {path: body for result in results for path, body in result.items()}

    async def _multiget(self, paths: Sequence[str]) -> dict[str, ObjectBody]:
        what = f"the reading of {self.url}"
        body = xml.multiget(self._server_paths.get(path, path) for path in paths)
        headers = {**XML_TYPE, "Depth": "1"}
        response = await self._server.request("REPORT", self.url, what, body=body, headers=headers)
        if response.status in GONE_STATUSES:
            # sabre/dav 1.8 answers 404 for the whole request if one object is gone: find it by halving.
            if not await self._exists():
                raise no_calendar(self.url)
            middle = len(paths) // 2
            halves = [paths[:middle], paths[middle:]] if middle else []
            return {path: body for half in halves for path, body in (await self._multiget(half)).items()}
        answers = _read_multistatus(response, what)
        requested = frozenset(paths)
        # Absent objects have a 404 inside, or are left out (sabre/dav 4.7, Baïkal 0.12, DAViCal 1.1).
        return {
            answer.path: ObjectBody(_etag(answer), "".join(answer.properties[names.DATA].itertext()).encode())
            for answer in answers
            if answer.path in requested and names.DATA in answer.properties
        }

    async def put(self, path: str, data: bytes, etag: str | None) -> str:
        """Write an object: create it if `etag` is None, else replace the object that has this etag.

        Return the new etag, empty if the server does not send it. Raise Changed if the condition does not
        hold, or the PushError for any other failure.
        """
        condition = {"If-None-Match": "*"} if etag is None else _if_match(etag, path)
        headers = {"Content-Type": "text/calendar; charset=utf-8", **condition}
        response = await self._server.request("PUT", self._url(path), path, body=data, headers=headers)
        if response.status not in SUCCESS_STATUSES:
            raise await self._error_for(response, path)
        return response.headers.get("etag", "")

    async def delete(self, path: str, etag: str) -> None:
        """Delete the object that has this etag; one that is already gone is fine. Raise as `put`."""
        headers = _if_match(etag, path)
        response = await self._server.request("DELETE", self._url(path), path, headers=headers)
        if response.status not in SUCCESS_STATUSES | GONE_STATUSES:
            raise await self._error_for(response, path)

    def _url(self, path: str) -> str:
        return xml.absolute_url(self.url, self._server_paths.get(path, path))

    async def _error_for(self, response: DavResponse, path: str) -> PushError:
        """Return the error that the response to a write means.

        Servers use the same status for different reasons, so preconditions and texts come first, then the
        question whether the collection still exists, and the status alone last.
        """
        status = response.status
        preconditions = xml.read_preconditions(response.body) - _HEADER_CONDITIONS
        if status == HTTPStatus.MULTI_STATUS:  # xandikos 0.2: the failure is inside
            with suppress(ValueError):
                statuses = [answer.status for answer in xml.read_multistatus(response.body, response.url)]
                status = next((inside for inside in statuses if inside >= 400), status)
        text = response.body[:2000].decode("utf-8", "replace")
        details = self._server.error_text(response)
        # xandikos reports a UID conflict with 412, Radicale with 409, Cyrus with 403, SOGo with a text.
        if preconditions & _UID_PRECONDITIONS or (status in (400, 403, 409) and _UID_TEXT.search(text)):
            reason = "the server has this UID in another calendar or in its trash bin: remove it there"
            return UidTaken(path, f"{reason}{details}")
        if _COMPONENT_PRECONDITION in preconditions:
            return NoCollection(
                self.url, "the calendar does not accept this kind of component (`component:`)"
            )
        # PUT into an absent collection: 409 (Radicale, xandikos), 404 (sabre/dav, SOGo), 405 (DAViCal),
        # 403 (Cyrus).
        may_be_absent = status in (404, 405, 409) or (status == HTTPStatus.FORBIDDEN and not preconditions)
        if may_be_absent and not await self._exists():
            return no_calendar(self.url)
        # Only the names of WebDAV and CalDAV help; servers add elements of their own.
        unmet = sorted(
            tag.rpartition("}")[2] for tag in preconditions if tag.startswith((names.DAV, names.CALDAV))
        )
        return _error_by_status(status, unmet, path, self.url, details)

    async def _exists(self) -> bool:
        answer = await find_properties(self._server, self.url, f"the check of {self.url}", names.TYPE)
        return answer is not None and answer.is_calendar


def _error_by_status(
    status: int, preconditions: Sequence[str], path: str, url: str, details: str
) -> PushError:
    """Return the error for a status, if neither the UID nor the collection is the reason."""
    if 300 <= status < 400:
        return NoCollection(url, "it redirects elsewhere: check the url in the configuration")
    if status == HTTPStatus.FORBIDDEN and (not preconditions or "need-privileges" in preconditions):
        return NoPermission(url, f"the account may not write there{details}")
    if status == HTTPStatus.PRECONDITION_FAILED and not preconditions:
        return Changed(path, "it was changed in the meantime")
    if status == HTTPStatus.LOCKED:
        return Locked(path, f"it is locked, after every attempt{details}")
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return InsufficientStorage(url, f"the account is full: free space, or raise its quota{details}")
    if status in (429, 502, 503, 504):
        return NoServer(url, f"the server failed with {status} at every attempt{details}")
    names = f" ({', '.join(preconditions)})" if preconditions else ""
    return Rejected(path, f"the server rejects it: {status}{names}{details}", status)


def _if_match(etag: str, path: str) -> Mapping[str, str]:
    """Return the header If-Match. Raise Rejected without an etag.

    If-Match uses the strong comparison (RFC 9110, 13.1.1), in which a weak etag never matches. Proxies
    that compress make etags weak: the strong form is the one that the server behind them knows.
    """
    if not etag:
        raise Rejected(path, "the server sends no etag for it, so it cannot be replaced safely")
    return {"If-Match": etag.removeprefix("W/")}


def _etag(answer: xml.MultistatusResponse) -> str:
    """Return the etag; empty if there is none, or one that cannot be sent back in a header."""
    etag = answer.text(names.ETAG)
    return etag if etag.isascii() and etag.isprintable() else ""


def no_calendar(url: str) -> NoCollection:
    """Return the error for a calendar that does not exist."""
    return NoCollection(url, "no such calendar: create it, or set `create: true`", gone=True)


async def propfind(
    server: DavServer, url: str, what: str, depth: int, *names: str
) -> list[xml.MultistatusResponse]:
    """Return the responses to a PROPFIND. Raise the PushError for any status but 207."""
    headers = {**XML_TYPE, "Depth": str(depth)}
    response = await server.request("PROPFIND", url, what, body=xml.propfind(*names), headers=headers)
    status = response.status
    if status == HTTPStatus.MULTI_STATUS:
        return _read_multistatus(response, what)
    if status in GONE_STATUSES:
        raise no_calendar(url)
    if status == HTTPStatus.FORBIDDEN:
        raise NoPermission(what, "the account may not read there")
    if 300 <= status < 400:
        location = xml.shown_address(response.url, response.headers.get("location", ""))
        raise NoCollection(url, f"it redirects to {location}: use that as `url`")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise NoServer(what, f"the server failed with {status} at every attempt")
    raise NotCalDav(what, f"the answer ({status}) is not CalDAV: check the url in the configuration")


def _read_multistatus(response: DavResponse, what: str) -> list[xml.MultistatusResponse]:
    if response.status != HTTPStatus.MULTI_STATUS:
        raise NotCalDav(what, f"the server answers with {response.status}")
    try:
        return xml.read_multistatus(response.body, response.url)
    except ValueError as error:
        raise NotCalDav(what, f"{error}; nothing was written") from None


async def find_properties(
    server: DavServer, url: str, what: str, *names: str
) -> xml.MultistatusResponse | None:
    """Return the properties of one address; None if there is nothing. Raise PushError."""
    try:
        answers = await propfind(server, url, what, 0, *names)
    except NoCollection as error:
        if not error.gone:
            raise
        return None
    return next((answer for answer in answers if answer.status not in GONE_STATUSES), None)
