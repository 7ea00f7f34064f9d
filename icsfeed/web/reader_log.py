"""Who reads the feeds: answers by status, and when which app last asked by which link."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from cachetools import LRUCache
from msgspec import Struct

MAX_READERS = 5_000
"""Beyond that, the reader seen the longest time ago is forgotten."""

FAMILIES: Sequence[tuple[str, str]] = (
    ("Google Calendar", r"google-calendar"),
    ("Outlook", r"outlook|microsoft office|microsoft\.exchange|exchangeservicesclient|owa/"),
    ("Thunderbird", r"thunderbird|lightning/"),
    ("ICSx5", r"icsx5|icsdroid"),
    ("DAVx5", r"davx5|davdroid"),
    ("Nextcloud", r"nextcloud|sabre"),
    ("Home Assistant", r"homeassistant|home assistant|home-assistant"),
    ("Apple Calendar", r"calendaragent|dataaccessd|accountsd|calendar/.*cfnetwork|\bios/|mac ?os.*calendar"),
    ("Fastmail", r"fastmail"),
    ("Proton Calendar", r"proton"),
    ("Yahoo Calendar", r"yahoocalendar|yahoo! ?slurp|ycal"),
    ("Evolution", r"evolution|gnome-calendar"),
    ("KOrganizer", r"korganizer|akonadi|kio/"),
    ("vdirsyncer", r"vdirsyncer|pimsync"),
    ("FullCalendar", r"fullcalendar"),
    ("Slack", r"slackbot"),
    ("Mattermost", r"mattermost"),
    ("Matrix", r"hookshot|maubot"),
    (
        "a feed reader",
        r"feedparser|feedly|freshrss|inoreader|liferea|miniflux|netnewswire|newsblur|newsboat|tiny tiny rss"
        r"|\brss\b",
    ),
    ("icsfeed", r"^icsfeed/"),
    ("a crawler", r"bot\b|crawler|spider"),
    ("a script", r"^(?:curl|wget|python|httpx|go-http|okhttp|java|node|libwww|aiohttp)"),
    ("a browser", r"^mozilla/5\.0"),
)
"""Name and pattern, the more specific first: most apps also claim to be a browser."""

OTHER, UNNAMED = "another app", "an app without a name"
_FAMILIES = tuple((name, re.compile(pattern)) for name, pattern in FAMILIES)
_MAX_AGENT_LENGTH = 300
"""Characters that are searched: the name of an app is at the beginning."""


class Reader(Struct, frozen=True):
    """One app that read by one link. `subscriber` is empty for the feed's own link and for a public one."""

    feed: str
    subscriber: str
    app: str
    at: datetime
    status: int


class ReaderLog:
    """Counts answers and remembers readers, without tokens or addresses.

    `answers` counts those at feed addresses by status, since `since`.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.since = clock()
        self.answers: Counter[int] = Counter()
        self._readers: LRUCache[tuple[str, str, str], Reader] = LRUCache(MAX_READERS)

    def answered(self, status: int) -> None:
        """Count an answer at a feed address."""
        self.answers[status] += 1

    def read(self, feed: str, subscriber: str, user_agent: str | None, status: int) -> None:
        """Remember who used a good link. `status`: 200, 304, or 503 where Plane had not been read yet."""
        app = family(user_agent)
        self._readers[feed, subscriber, app] = Reader(feed, subscriber, app, self._clock(), status)

    def readers(self) -> Mapping[str, Sequence[Reader]]:
        """Return the readers of each feed that has any, the latest first."""
        by_feed: defaultdict[str, list[Reader]] = defaultdict(list)
        for reader in sorted(self._readers.values(), key=lambda reader: reader.at, reverse=True):
            by_feed[reader.feed].append(reader)
        return by_feed


# The same few apps ask all day.
@lru_cache(maxsize=1_000)
def family(user_agent: str | None) -> str:
    """Return the app that sends this User-Agent, without its version: one of a few names."""
    text = (user_agent or "").strip()[:_MAX_AGENT_LENGTH].lower()
    if not text:
        return UNNAMED
    return next((name for name, pattern in _FAMILIES if pattern.search(text)), OTHER)
