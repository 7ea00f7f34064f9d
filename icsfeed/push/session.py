"""Requests to one CalDAV server: logging in, several attempts, and one error for each way of failing.

caldav.md, section 4, is the table of what an answer means and how often it is tried again.
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
from icsfeed.push.xml import read_error_text

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer, unpacked."""
RESPONSE_SECONDS = 600.0
"""Seconds for one answer, whole: a server that sends a byte now and then must not hold a run for ever."""
MAX_CONCURRENT_REQUESTS = 4
MAX_ATTEMPTS, MAX_ATTEMPTS_AFTER_500 = 6, 4
"""The first one, and so many again."""
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_RETRY_AFTER_SECONDS = 4.0, 60.0, 120.0
"""Seconds between attempts, by our own word and at most by the server's: a restart takes a while."""

MAX_FAILED_REQUESTS = 5
"""Requests that failed at every attempt, after which the whole run ends."""

RETRIED_STATUSES = frozenset({423, 429, 500, 502, 503, 504})


def ignore(*_args: object) -> None:
    """Stand in for a callback that nobody gave."""


class DavResponse(Struct, frozen=True):
    """An answer. `url` is where it came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class BasicOrDigestAuth(httpx.Auth):
    """Basic at once; Digest from the first 401 on that offers nothing else, with what that asks for."""

    def __init__(self, username: str, password: str) -> None:
        self._basic = httpx.BasicAuth(username, password)
        self._digest = httpx.DigestAuth(username, password)
        self._turned = False

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """As httpx.Auth."""
        flow = self._digest.auth_flow(request)
        try:
            if self._turned:
                yield from flow
                return
            response = yield next(self._basic.auth_flow(request))
            challenges = response.headers.get_list("www-authenticate")
            offered = {challenge.split(" ")[0].lower() for challenge in challenges}
            if response.status_code != HTTPStatus.UNAUTHORIZED or offered & {"basic", "digest"} != {"digest"}:
                return
            self._turned = True
            # The Digest flow takes the answer to the Basic request as that to its own first one.
            next(flow)
            with suppress(StopIteration):
                yield flow.send(response)
        except (KeyError, ValueError, NotImplementedError, httpx.ProtocolError):
            reason = (
                "the server asks for a kind of Digest, or the user name holds letters, that cannot be sent"
            )
            raise LoginRefused(str(request.url), reason) from None


class DavServer:
    """One server, over `client`. `requests` counts what was sent; `sleep` and `chance` are the world's.

    Four requests at once until the server first falters (423, 429, 5xx); from then on one. `was_locked`: it
    answered 423, as xandikos does to several writes at once. `waits` is told why and how long we wait, and
    an empty text when we go on.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        attempts: int = MAX_ATTEMPTS,
        secrets: Sequence[str] = (),
    ) -> None:
        self.requests = 0
        self.was_locked = False
        self.waits: Callable[[str], None] = ignore
        self._secrets = [*filter(None, secrets)]
        self._client = client
        self._sleep = sleep
        self._chance = chance
        self._attempts = attempts
        self._most = MAX_CONCURRENT_REQUESTS
        self._under_way = 0
        self._turn = asyncio.Condition()
        self._given_up = 0

        async def count(_request: httpx.Request) -> None:
            self.requests += 1

        # A hook and not `ask`: Digest sends a request of its own for each challenge.
        client.event_hooks["request"].append(count)

    def one_at_a_time(self) -> None:
        """Send one request at a time from the start."""
        self._most = 1

    def said(self, answer: DavResponse) -> str:
        """The server's own words for an error, to follow ours; without our password, if it repeats that."""
        words = read_error_text(answer.body)
        for secret in self._secrets:
            words = words.replace(secret, "***")
        return f"; the server says: {words}" if words else ""

    async def ask(
        self, method: str, url: str, what: str, *, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> DavResponse:
        """The server's answer, whatever its status but 401, and those that may pass, after the last attempt.

        Raises LoginRefused, NoServer, NotTrusted or NotCalDav. `what` says in words what is asked.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._lane():
                    heard = await self._once(method, url, what, body, headers)
                wait = retry_after(heard.headers)
            except NoServer:
                if attempt >= self._attempts:
                    raise
                heard, wait = None, None
            if heard is not None and heard.status not in RETRIED_STATUSES:
                return heard
            if heard is not None:
                self._most = 1
                self.was_locked |= heard.status == HTTPStatus.LOCKED
                if attempt >= min(self._attempts, _max_attempts(heard.status)):
                    # Where many requests end so, it is the server, and not what it was asked.
                    self._given_up += 1
                    if self._given_up > MAX_FAILED_REQUESTS:
                        raise NoServer(what, f"the server fails again and again ({heard.status})")
                    return heard
            if wait is not None:
                pause = min(wait, MAX_RETRY_AFTER_SECONDS)
            else:
                # Doubling up to a minute, each time between half of that and all of it.
                longest = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1))
                pause = longest * (1 + self._chance()) / 2
            self.waits(f"waiting {pause:.0f} s: {f'it answers {heard.status}' if heard else 'no answer'}")
            await self._sleep(pause)
            self.waits("")

    @asynccontextmanager
    async def _lane(self) -> AsyncIterator[None]:
        """Wait for a turn: once the server has faltered, until nothing else is under way."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._under_way < self._most)
            self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            async with self._turn:
                self._turn.notify_all()

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


def _max_attempts(status: int) -> int:
    return MAX_ATTEMPTS_AFTER_500 if status == HTTPStatus.INTERNAL_SERVER_ERROR else MAX_ATTEMPTS


class Connect(Protocol):
    """How a target's server is reached: `open_server`, and what tests put in its place."""

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
    """The server of a target, to be closed at the end. Redirects are not followed: the login is for one host.

    `attempts`: of each request, where it may help. Raises LoginRefused for a token that no header can
    hold, and BadSetting when `ca_file` or the environment cannot be used.
    """
    auth, headers = None, {"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPT_ENCODING}
    if target.username is not None and target.password is not None:
        auth = BasicOrDigestAuth(target.username, target.password.reveal())
    if target.token is not None:
        if not target.token.reveal().isascii():
            raise LoginRefused(target.url, "the token holds characters that cannot be sent")
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
    """What an answer must not bring into a message: some servers show the request that they fail on."""
    plain = [one.reveal() for one in (target.password, target.token) if one is not None]
    pair = f"{target.username}:{target.password.reveal()}" if target.password else ""
    return [b64encode(pair.encode()).decode(), *plain]
