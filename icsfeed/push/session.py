"""Requests to one CalDAV server: authentication, retries, concurrency, and one error for each failure.

Nothing here knows calendars; push/collection.py decides what a status means for an object.
"""

import asyncio
import os
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Protocol

import httpx
from msgspec import Struct

from icsfeed.config.schema import PushTarget
from icsfeed.dav.xml import read_error_text
from icsfeed.errors import LoginRefused, NoServer, NotCalDav, NotTrusted, PushError
from icsfeed.http import (
    ACCEPT_ENCODING,
    REQUEST_ERRORS,
    USER_AGENT,
    open_http,
    read_body,
    request_failure,
    retry_after,
)
from icsfeed.push.report import ignore

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one response body, uncompressed."""
RESPONSE_SECONDS = 600.0
"""Seconds for a whole response: httpx limits only the time between bytes, and a slow server could go on."""
MAX_CONCURRENT_REQUESTS = 4
MAX_ATTEMPTS, MAX_ATTEMPTS_AFTER_500 = 6, 4
"""Attempts for each request, including the first. A 500 is more often about the object than the server."""
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_RETRY_AFTER_SECONDS = 4.0, 60.0, 120.0
"""Seconds: the first delay, which doubles up to the second; and the longest Retry-After that is honoured."""
MAX_FAILED_REQUESTS = 5
"""Requests that may fail at every attempt before the whole run ends."""
RETRIED_STATUSES = frozenset({423, 429, 500, 502, 503, 504})


class DavResponse(Struct, frozen=True):
    """A complete response. `url`: the URL that was requested."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class BasicOrDigestAuth(httpx.Auth):
    """Basic authentication without waiting for a challenge; Digest once a 401 offers only Digest.

    Baïkal can be set up with Digest alone. Basic is sent at once because waiting for a challenge would
    double the number of requests.
    """

    def __init__(self, username: str, password: str) -> None:
        self._basic = httpx.BasicAuth(username, password)
        self._digest = httpx.DigestAuth(username, password)
        self._is_digest = False

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with credentials; see httpx.Auth."""
        flow = self._digest.auth_flow(request)
        try:
            if self._is_digest:
                yield from flow
                return
            response = yield next(self._basic.auth_flow(request))
            challenges = response.headers.get_list("www-authenticate")
            offered = {challenge.split(" ")[0].lower() for challenge in challenges}
            if response.status_code != HTTPStatus.UNAUTHORIZED or offered & {"basic", "digest"} != {"digest"}:
                return
            self._is_digest = True
            # The Digest flow begins with a request without credentials: the rejected Basic request takes
            # its place, and its response holds the challenge.
            next(flow)
            with suppress(StopIteration):
                yield flow.send(response)
        except (KeyError, ValueError, NotImplementedError, httpx.ProtocolError):
            reason = (
                "the server requires an unknown kind of Digest, or the user name cannot be encoded for it"
            )
            raise LoginRefused(str(request.url), reason) from None


class DavServer:
    """One server. `requests` counts everything sent, including challenges and retries.

    Sends four requests at once until the first 423, 429 or 5xx, then one at a time: xandikos answers 423 to
    most concurrent writes, and an overloaded server needs fewer. `was_locked`: there was a 423. `on_wait` is
    called with a text before each pause and with "" after it. `jitter` returns 0 to 1. `secrets` are removed
    from the server's error texts.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        attempts: int = MAX_ATTEMPTS,
        secrets: Sequence[str] = (),
    ) -> None:
        self.requests = 0
        self.was_locked = False
        self.on_wait: Callable[[str], None] = ignore
        self._secrets = [*filter(None, secrets)]
        self._client = client
        self._sleep = sleep
        self._jitter = jitter
        self._attempts = attempts
        self._max_concurrent = MAX_CONCURRENT_REQUESTS
        self._running = 0
        self._slots = asyncio.Condition()
        self._failed_requests = 0

        async def count(_request: httpx.Request) -> None:
            self.requests += 1

        # Counted in a hook, because Digest sends requests of its own.
        client.event_hooks["request"].append(count)

    def disable_concurrency(self) -> None:
        """Send one request at a time from now on."""
        self._max_concurrent = 1

    def error_text(self, response: DavResponse) -> str:
        """Return the server's own text for an error, to append to ours; empty if there is none.

        Some servers repeat the request in their errors, and so the password: it is replaced by `***`.
        """
        body = response.body
        # Before the text is cut, which would leave the beginning of a secret; and after it is unescaped.
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        text = read_error_text(body)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return f"; the server says: {text}" if text else ""

    async def request(
        self, method: str, url: str, what: str, *, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> DavResponse:
        """Return the response, whatever its status; retry 423, 429, 500, 502 to 504 and lost connections.

        Raise LoginRefused for 401, or NoServer, NotTrusted or NotCalDav if there is no usable response.
        `what` names the request in errors. A write may have been done although its response was lost:
        retrying is safe because every write is conditional (the writer compares the object after a 412).
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._slot():
                    response = await self._once(method, url, what, body, headers)
                wait = retry_after(response.headers)
            except NoServer:
                if attempt >= self._attempts:
                    raise
                response, wait = None, None
            if response is not None and response.status not in RETRIED_STATUSES:
                return response
            if response is not None:
                self._max_concurrent = 1
                self.was_locked |= response.status == HTTPStatus.LOCKED
                limit = MAX_ATTEMPTS_AFTER_500 if response.status == 500 else MAX_ATTEMPTS
                if attempt >= min(self._attempts, limit):
                    # If many requests end like this, the server is the cause, not the single objects.
                    self._failed_requests += 1
                    if self._failed_requests > MAX_FAILED_REQUESTS:
                        raise NoServer(what, f"the server keeps failing ({response.status})")
                    return response
            # Exponential backoff with jitter, between half of the delay and all of it.
            delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1))
            pause = delay * (1 + self._jitter()) / 2 if wait is None else min(wait, MAX_RETRY_AFTER_SECONDS)
            reason = f"it answers {response.status}" if response else "no answer"
            self.on_wait(f"waiting {pause:.0f} s: {reason}")
            await self._sleep(pause)
            self.on_wait("")

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Wait until another request may be sent."""
        async with self._slots:
            await self._slots.wait_for(lambda: self._running < self._max_concurrent)
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            async with self._slots:
                self._slots.notify_all()

    async def _once(
        self, method: str, url: str, what: str, body: bytes, headers: Mapping[str, str]
    ) -> DavResponse:
        try:
            async with (
                asyncio.timeout(RESPONSE_SECONDS),
                self._client.stream(method, url, content=body, headers=headers) as response,
            ):
                answered, is_whole = await read_body(response, ANSWER_LIMIT)
        except REQUEST_ERRORS as error:
            raise _push_error(error, what) from None
        if not is_whole:
            raise NotCalDav(what, f"the answer is larger than {ANSWER_LIMIT:,} bytes")
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise LoginRefused(what, "the server does not accept the user name and password, or the token")
        return DavResponse(response.status_code, response.headers, answered, str(response.url))


def _push_error(error: Exception, what: str) -> PushError:
    kind, text = request_failure(error)
    if kind == "header":
        return LoginRefused(what, "the user name, password or token holds characters that cannot be sent")
    if kind in ("encoding", "redirect"):
        return NotCalDav(what, text)
    if kind == "certificate":
        return NotTrusted(what, f"{text}; name your own CA in ca_file")
    return (NotTrusted if kind == "tls" else NoServer)(what, text)


class Connect(Protocol):
    """Open a connection to a target's server: `open_server`, or a replacement in tests."""

    def __call__(
        self, target: PushTarget, *, attempts: int = MAX_ATTEMPTS
    ) -> AbstractAsyncContextManager[DavServer]: ...


@asynccontextmanager
async def open_server(
    target: PushTarget,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    attempts: int = MAX_ATTEMPTS,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[DavServer]:
    """Open the server of a target. Redirects are not followed: the login must not go to another host.

    `attempts`: at most, for each request. Raise LoginRefused for a token that cannot be sent in a header,
    and BadSetting if `ca_file` or a proxy in the environment is invalid.
    """
    auth, headers = None, {"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING}
    if target.username is not None and target.password is not None:
        auth = BasicOrDigestAuth(target.username, target.password.reveal())
    if target.token is not None:
        if not target.token.reveal().isascii():
            raise LoginRefused(target.url, "the token contains characters that cannot be sent")
        headers["Authorization"] = f"Bearer {target.token.reveal()}"
    async with open_http(
        target.url,
        environ=environ,
        auth=auth,
        headers=headers,
        timeout=httpx.Timeout(target.read_timeout, connect=target.connect_timeout, pool=None),
        limits=httpx.Limits(max_connections=MAX_CONCURRENT_REQUESTS),
        follow_redirects=False,
        ca_file=target.ca_file,
        transport=transport,
    ) as client:
        yield DavServer(client, sleep, attempts=attempts, secrets=_secrets(target))


def _secrets(target: PushTarget) -> Sequence[str]:
    """Return the texts that must not appear in messages: password, token, and the Basic credentials."""
    plain = [secret.reveal() for secret in (target.password, target.token) if secret is not None]
    pair = f"{target.username}:{target.password.reveal()}" if target.password else ""
    return [b64encode(pair.encode()).decode(), *plain]
