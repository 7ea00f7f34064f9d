"""One GET to Plane: the body of its answer, or the PlaneError (errors.py) that says why there is none.

What Plane says when it refuses was recorded from v1.3.1; older versions say the same.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from http import HTTPStatus

import httpx

from icsfeed.errors import (
    BadAnswer,
    KeyRefused,
    NoAccess,
    NoSuchPath,
    NotFound,
    NotPlane,
    PlaneError,
    ServerError,
    Throttled,
    Unreachable,
)
from icsfeed.http import (
    ACCEPT_ENCODING,
    REQUEST_ERRORS,
    USER_AGENT,
    body_chunks,
    open_http,
    request_failure,
    retry_after,
    shorten,
)
from icsfeed.plane.rate_limit import RequestSlot, remaining_in
from icsfeed.plane.shapes import decode

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of one answer, decompressed: more is read in smaller pages, or an error."""
VALUES_LIMIT = 1_000_000
"""Values in one answer: each takes some hundred bytes of memory, and may be a byte or two of JSON."""
LARGE_ANSWER = 4 * 1024 * 1024
"""Bytes from which an answer waits until no other large one is in memory."""
DETAIL_LIMIT = 64 * 1024
"""Bytes of an error response that are searched for its message."""
ANSWER_SECONDS = 120.0
"""For one complete answer: a server that sends a byte now and then must not block a read without end."""
GATEWAYS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""How a reverse proxy answers when it cannot reach Plane."""
DEFAULT_RETRY_SECONDS, MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 60.0, 1.0, 3600.0
"""Plane's window, and the bounds within which a Retry-After is followed."""


class ResponseTooLarge(BadAnswer):
    """The answer is larger than is read; a smaller page may not be."""


class ParametersRefused(BadAnswer):
    """400 or 422: a parameter is not taken as it is. `allowed`: the rows of a page, where Plane says that."""

    def __init__(self, what: str, status: int, allowed: int | None) -> None:
        self.allowed = allowed
        text = f"Plane allows pages of {allowed} only" if allowed else f"Plane answered with {status}"
        super().__init__(what, text, status=status)


KEY_HEADER, TOKEN_HEADER = b"X-API-Key", b"Authorization"
"""For a personal access token, and for the token of an OAuth app or a workspace (Cloud and Commercial)."""


def key_of(client: httpx.AsyncClient) -> bytes | None:
    """Return the key or token that a client sends, as it is sent."""
    names = (KEY_HEADER.lower(), TOKEN_HEADER.lower())
    return next((value for name, value in client.headers.raw if name.lower() in names), None)


def give_key(client: httpx.AsyncClient, key: str) -> None:
    """Make a client send another key from now on, or another token where it sends one."""
    header = _key_header(key, is_token=TOKEN_HEADER.decode() in client.headers)
    for name in header:
        del client.headers[name.decode()]
    client.headers.update(list(header.items()))


def _key_header(key: str, *, is_token: bool) -> dict[bytes, bytes]:
    # Any text is accepted: what cannot be a key is refused when it is used.
    sent = key.strip().encode(errors="replace")
    return {TOKEN_HEADER: b"Bearer " + sent} if is_token else {KEY_HEADER: sent}


def open_client(
    api_key: str,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    is_token: bool = False,
    url: str = "",
    ca_file: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> httpx.AsyncClient:
    """Return an HTTP client for `url` that carries the key. It follows no redirect: the key is for one host.

    Waiting for one of its four connections is not limited in time. Any text is accepted as a key:
    one that cannot be right is refused when it is used. `is_token`: the key is the token of an OAuth app
    or a workspace. `ca_file`: certificates to trust as well.
    Raises ConfigError when the environment or `ca_file` cannot be used.
    """
    return open_http(
        url,
        ca_file=ca_file,
        environ=environ,
        headers={
            **_key_header(api_key, is_token=is_token),
            b"Accept": b"application/json",
            b"Accept-Encoding": ACCEPT_ENCODING.encode(),
            b"User-Agent": USER_AGENT.encode(),
        },
        timeout=httpx.Timeout(30, connect=10, pool=None),
        limits=httpx.Limits(max_connections=4),
        follow_redirects=False,
        transport=transport,
    )


class LargeResponseTurn:
    """A turn at having a large answer in memory, among all that share the lock, until it is ended."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_taken = False

    async def take(self) -> None:
        """Wait for the turn, unless it is taken already."""
        if not self._is_taken:
            await self._lock.acquire()
            self._is_taken = True

    def end(self) -> None:
        """Let the next request have it."""
        if self._is_taken:
            self._lock.release()
            self._is_taken = False


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    parameters: Mapping[str, str],
    what: str,
    slot: RequestSlot | None = None,
    *,
    turn: LargeResponseTurn | None = None,
    limit: int = ANSWER_LIMIT,
    seconds: float = ANSWER_SECONDS,
) -> bytes:
    """Return the body of a 200 with JSON. Raises the PlaneError that fits anything else.

    `what` says in words what is read; `slot` gets what the answer says of the budget; `limit` is in
    bytes. A large answer takes its `turn`; the time that it waits for that does not count.
    """
    try:
        async with (
            asyncio.timeout(seconds) as time_limit,
            client.stream("GET", url, params=parameters) as answer,
        ):
            # As soon as the headers are there: the next request need not wait for the body.
            if slot is not None and answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                slot.refused(_retry_after(answer) or DEFAULT_RETRY_SECONDS)
            elif slot is not None:
                slot.answered(remaining_in(answer.headers))
            body = await _bounded(answer, what, limit, turn or LargeResponseTurn(asyncio.Lock()), time_limit)
    except REQUEST_ERRORS as error:
        failure = request_failure(error)
        if failure.kind == "encoding":
            raise BadAnswer(what, failure.text) from None
        if failure.kind == "header":
            raise KeyRefused(what, "the key holds characters that no key has: copy it again") from None
        raise Unreachable(what, failure.text) from None
    _raise_for(answer, body, what)
    return body


async def _bounded(
    response: httpx.Response, what: str, limit: int, turn: LargeResponseTurn, time_limit: asyncio.Timeout
) -> bytes:
    body = bytearray()
    async for chunk in body_chunks(response):
        body += chunk
        if len(body) > limit:
            raise ResponseTooLarge(what, f"the answer is larger than {limit:,} bytes")
        if len(body) > LARGE_ANSWER:
            await _wait_for_turn(turn, time_limit)
    if sum(map(body.count, (b",", b"[", b"{"))) > VALUES_LIMIT:
        raise ResponseTooLarge(what, f"the answer holds more than {VALUES_LIMIT:,} values")
    return bytes(body)


async def _wait_for_turn(turn: LargeResponseTurn, time_limit: asyncio.Timeout) -> None:
    """Wait with the clock of the time limit stopped."""
    loop, until = asyncio.get_running_loop(), time_limit.when()
    left = None if until is None else until - loop.time()
    time_limit.reschedule(None)
    await turn.take()
    time_limit.reschedule(None if left is None else loop.time() + left)


def _raise_for(response: httpx.Response, body: bytes, what: str) -> None:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled(what, _retry_after(response) or DEFAULT_RETRY_SECONDS)
    if status in GATEWAYS or 520 <= status <= 530:  # the last are Cloudflare's
        raise Unreachable(what, f"the gateway in front of Plane failed with {status}", _retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        text = f"the server failed with {status}; Plane's own log says why"
        raise ServerError(what, text, _retry_after(response))
    if response.has_redirect_location:
        target = response.next_request
        # Only scheme, host and port: the rest could hold a secret.
        to = shorten(f"{target.url.scheme}://{target.url.netloc.decode()}") if target else "another address"
        raise NotPlane(what, f"it redirects to {to}: check the url in the configuration")
    if "json" not in response.headers.get("content-type", "").lower():
        reason = f"what answers ({status}) is not Plane's API"
        is_error = status >= HTTPStatus.BAD_REQUEST
        text = f"{reason}: check the url in the configuration"
        raise NotPlane(what, text, status=status if is_error else 0)
    if status != HTTPStatus.OK:
        is_token = TOKEN_HEADER.decode() in response.request.headers
        raise _refusal(status, body, what, is_token=is_token)


def _refusal(status: int, body: bytes, what: str, *, is_token: bool) -> PlaneError:
    detail = _detail(body)
    if status == HTTPStatus.UNAUTHORIZED or detail == "Given API token is not valid":
        text = "Plane does not accept the API key: it is wrong, expired or disabled"
        if is_token:  # Community does not read `Authorization`
            text = "Plane does not accept the token: it is wrong or expired, or this edition needs an api_key"
        return KeyRefused(what, text)
    if status == HTTPStatus.FORBIDDEN:
        scopes = ", and the scopes of the token" if is_token else ""
        text = f"the key is valid but lacks access: check the slug and the membership{scopes}"
        return NoAccess(what, text)
    if status == HTTPStatus.NOT_FOUND:
        missing = NoSuchPath if detail == "Page not found." else NotFound
        return missing(what, "there is nothing at this address")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return ParametersRefused(what, status, _allowed_rows(body))
    return BadAnswer(what, f"Plane answered with {status}", status=status)


def _allowed_rows(body: bytes) -> int | None:
    """Return the size that a refusal allows a page to have; None where it does not say so.

    Community says `Invalid per_page value. Cannot exceed 1000.`, Django's validators `less than or equal to`.
    """
    text = body[:DETAIL_LIMIT].decode(errors="replace").lower()
    words = r"exceed|equal to|at most|more than|up to|max[a-z_]*|limit[a-z_]*|between [0-9]+ and"
    number = re.search(rf"\b(?:{words})\b[^0-9]{{0,20}}([0-9]{{1,4}})\b", text) if "page" in text else None
    return (int(number[1]) or None) if number else None


def _detail(body: bytes) -> str:
    """Return Plane's message: `detail` from its framework (DRF), `error` from its own views."""
    try:
        data = decode(body[:DETAIL_LIMIT])
    except ValueError:
        return ""
    detail = (data.get("detail") or data.get("error")) if isinstance(data, dict) else None
    return detail if isinstance(detail, str) else ""


def _retry_after(response: httpx.Response) -> float | None:
    """Return how many seconds Plane asks us to wait, within bounds; None where it does not say."""
    if not response.headers.get("retry-after", "").strip():
        return None
    seconds = retry_after(response.headers)
    return (
        DEFAULT_RETRY_SECONDS if seconds is None else min(max(seconds, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)
    )
