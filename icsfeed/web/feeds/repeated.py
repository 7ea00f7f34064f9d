"""Requests that repeat one of a moment ago: a crowd of apps asks at the full hour.

For them the routing and middleware of litestar (2.25) and our own look at headers and links cost as much CPU
as reading the request and sending the answer do.
"""

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cachetools import LRUCache
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from icsfeed.web.feeds.headers import READ_HEADERS

if TYPE_CHECKING:
    from icsfeed.feeds.rendered import Rendered
    from icsfeed.feeds.service import FeedService
    from icsfeed.web.feeds.streamed import Head
    from icsfeed.web.reader_log import ReaderLog

CACHE_BYTES = 16 * 1024 * 1024
"""The most that remembered answers take."""
ENTRY_BYTES = 3_000
"""What an answer takes besides its body, with its key."""

_KEY_HEADERS = frozenset({b"host", b"origin", *READ_HEADERS})
"""The headers by which answers to requests for calendars differ."""

Key: TypeAlias = tuple[object, ...]


class Answer(NamedTuple):
    """What was sent for the `whole` of a feed, and who is noted as its reader (see ReaderLog.read).

    `links`: the version of the links that gave access.
    """

    whole: "Rendered"
    links: int
    feed: str
    subscriber: str
    user_agent: str | None
    status: int
    path_template: str
    head: "Head"
    body: bytes


class RepeatedRequests:
    """Remembers answers that are the same for the next request in the same words.

    That is one for a whole feed by a configured or automatic link. An answer is sent again only while the
    feed is at hand as it was, and the links are. `limit`: bytes of all answers.
    """

    def __init__(self, service: "FeedService", reader_log: "ReaderLog", limit: int = CACHE_BYTES) -> None:
        self._service, self._reader_log = service, reader_log
        self._answers: LRUCache[Key, Answer] = LRUCache(limit, lambda answer: ENTRY_BYTES + len(answer.body))

    def remember(self, scope: HTTPScope, answer: Answer) -> None:
        """Remember the answer to a request, but not to pages of other sites: litestar adds CORS headers."""
        if all(name != b"origin" for name, _ in scope["headers"]):
            self._answers[_key(scope)] = answer

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the app; what is answered again does not reach it."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            answer = self._current(scope) if scope["type"] == ScopeType.HTTP else None
            if answer is None:
                await app(scope, receive, send)
                return
            scope["path_template"] = answer.path_template
            self._reader_log.answered(answer.status)
            self._reader_log.read(answer.feed, answer.subscriber, answer.user_agent, answer.status)
            # What is around the app may add headers, such as Date.
            head = [*answer.head]
            await send({"type": "http.response.start", "status": answer.status, "headers": head})
            await send({"type": "http.response.body", "body": answer.body, "more_body": False})

        return handle

    def _current(self, scope: HTTPScope) -> Answer | None:
        answer = self._answers.get(_key(scope))
        if answer is None or answer.links != self._service.links.version:
            return None
        return answer if self._service.at_hand(answer.feed) is answer.whole else None


def _key(scope: HTTPScope) -> Key:
    return (
        *(scope["method"], scope["http_version"], scope["raw_path"], scope["query_string"]),
        *[header for header in scope["headers"] if header[0] in _KEY_HEADERS],
    )
