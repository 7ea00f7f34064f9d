"""The links of a server: who may read which feed, and at what address.

A token is `icsf_` and 26 base32 letters (130 bits) of an HMAC-SHA256 over what the link is for. Tokens are
derived from the secret and never stored, so that all replicas agree on them.
"""

import hmac
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Literal, TypeAlias

from msgspec import Struct, json

from icsfeed.config.schema import Config, Feed
from icsfeed.feeds.automatic_names import AssignedNames, AutomaticFeed, former_names, may_be_auto
from icsfeed.feeds.query import Query
from icsfeed.tokens import token_of

Kind: TypeAlias = Literal["feed", "embed", "admin"]

KINDS: tuple[Kind, ...] = ("feed", "embed")

Tokens = tuple[tuple[str, str], ...]
"""Pairs of a subscriber (empty: the feed's own link) and a token."""

EXTENSIONS = ("ics", "atom", "json")
"""Of a feed: its calendar, and its news in two formats."""


def derive(secret: str, kind: Kind, feed: str, subscriber: str = "", revision: int = 1) -> str:
    """Return the token of one link. Another kind, feed, subscriber or revision gives an unrelated one."""
    # As JSON: joined names could run into each other, ("ab", "c") into ("a", "bc").
    message = json.encode((kind, feed, subscriber, revision))
    return token_of(hmac.digest(secret.encode(), message, sha256))


def installation(secret: str) -> str:
    """Return a public id of this installation: 60 bits of an HMAC, unrelated to any link."""
    letters = b32encode(hmac.digest(secret.encode(), b"installation", sha256)).decode().lower()
    return letters[:12]


def split_file(file: str) -> tuple[str, str]:
    """Return the name of a feed and the extension of a file in its links: `("property", "ics")`.

    The extension is empty for the page.
    """
    name, dot, extension = file.rpartition(".")
    return (name, extension) if dot and extension in EXTENSIONS else (file, "")


def matching(token: str, candidates: Iterable[tuple[str, str]]) -> str | None:
    """Return the name of the (name, token) pair that has this token, or None.

    Every candidate is compared, each in constant time: the time taken does not say which one matches.
    """
    given, match = token.encode("utf-8", "replace"), None
    for name, candidate in candidates:
        if hmac.compare_digest(candidate.encode(), given):
            match = name
    return match


class Grant(Struct, frozen=True):
    """Access to a feed. `subscriber` is empty for the feed's own link, and for access without one.

    `link`: the id of a link that a person has made for themselves, and `query` how it narrows the
    feed; of a revoked one only `since` is set.
    """

    subscriber: str = ""
    revoked: bool = False
    link: str = ""
    query: Query = Query()

    @property
    def narrows(self) -> bool:
        """Whether the link shows another calendar than the feed's, whatever its address says."""
        return self.link != "" and self.query != Query()


class Links:
    """Decides who may read which feed, by names and tokens only: nothing is stored, Plane is not asked.

    `version` grows when it may decide otherwise than before.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.version = 0
        self._tokens: dict[tuple[Kind, str], Tokens] = {
            (kind, name): tuple(self._derived(kind, name, feed))
            for name, feed in config.feeds.items()
            for kind in KINDS
        }
        self._automatic: dict[tuple[Kind, str], Tokens] = {}
        self._names: dict[tuple[Kind, str], str] = {}
        self._identities: dict[str, str] = {}

    def set_automatic(self, feeds: Mapping[str, AutomaticFeed], names: AssignedNames) -> None:
        """Replace the automatic feeds that links open.

        Links of former versions, which were derived from feed names instead of identities, open them too.
        """
        self.version += 1
        former = former_names(feeds, names, self._config.feeds)
        secret = self._config.secret.reveal() if self._config.secret else None
        self._identities = {feed.identity: name for name, feed in feeds.items()}
        self._automatic = {
            (kind, name): tuple(
                ("", derive(secret, kind, source)) for source in (feed.identity, *former.get(name, ()))
            )
            for name, feed in feeds.items()
            for kind in KINDS
            if secret is not None
        }
        self._names = {
            (kind, token): name for (kind, name), tokens in self._automatic.items() for _, token in tokens
        }

    def identity_of(self, name: str) -> str:
        """Return what names a feed for good: a configured name, or the identity of an automatic feed."""
        if name in self._config.feeds:
            return name
        return next((identity for identity, known in self._identities.items() if known == name), name)

    def name_by_identity(self, identity: str) -> str | None:
        """Return the current name of a feed that is served; None where it is not, or not known."""
        name = self._identities.get(identity, identity if identity in self._config.feeds else None)
        return name if name is not None and self._may_be_served(name) else None

    def names_of(self, identities: Iterable[str]) -> Mapping[str, str]:
        """Return the current names of feeds, or the identities where they have none, by identity."""
        return {identity: self.name_by_identity(identity) or identity for identity in identities}

    def name_of(self, name: str, token: str | None, kind: Kind = "feed") -> str:
        """Return the feed of an address. The token decides for automatic ones: people change their names."""
        # Not in constant time, and safe: Python's hashes of strings are keyed, so that the time of a lookup
        # says nothing about the keys.
        return self._names.get((kind, token or ""), name)

    def access(self, name: str, token: str | None, kind: Kind = "feed") -> Grant | None:
        """Return what this token (None: no token) grants to the feed `name`; None: as if it did not exist.

        An embed link has a token of its own `kind`, from which nobody can derive the feed's.
        """
        feed = self._config.feeds.get(name, Feed())
        if token is None:
            return Grant() if feed.public and self._may_be_served(name) else None
        subscriber = matching(token, self._all_tokens(kind, name))
        if subscriber is None or not self._may_be_served(name):
            return None
        return Grant(subscriber, subscriber in feed.revoked)

    def of_subscriber(self, subscriber: str, token: str) -> tuple[str, ...]:
        """Return the feeds of which this is the subscriber's own link, and not revoked."""
        return tuple(
            name
            for name, feed in self._config.feeds.items()
            if subscriber in feed.subscribers and self.access(name, token) == Grant(subscriber)
        )

    def token(self, name: str, subscriber: str = "", kind: Kind = "feed") -> str | None:
        """Return the token of a feed's link, or of a subscriber's; None for a server without a secret."""
        known = self._all_tokens(kind, name)
        return next((token for who, token in known if who == subscriber), None)

    def _all_tokens(self, kind: Kind, name: str) -> Tokens:
        """Return the feed's own token first. An automatic feed that is not known has those of its name."""
        known = self._tokens.get((kind, name), ()) + self._automatic.get((kind, name), ())
        return known or tuple(self._derived(kind, name, Feed()))

    def ics_path(self, name: str, subscriber: str = "") -> str:
        """Return the path of a feed's calendar, from the server's root."""
        return f"{self.page_path(name, subscriber)}.ics"

    def page_path(self, name: str, subscriber: str = "") -> str:
        """Return the path of a feed's page."""
        return self._path("feeds", name, subscriber, "feed")

    def embed_path(self, name: str, subscriber: str = "") -> str:
        """Return the path of the view of a feed for frames in other pages."""
        return self._path("embed", name, subscriber, "embed")

    def addresses(self, name: str, base: str, subscriber: str = "") -> dict[str, str]:
        """Return the three links of a feed, or of a subscriber, under the server's address `base`."""
        paths = {"ics": self.ics_path, "page": self.page_path, "embed": self.embed_path}
        return {what: base + path(name, subscriber) for what, path in paths.items()}

    def _path(self, folder: str, name: str, subscriber: str, kind: Kind) -> str:
        feed = self._config.feeds.get(name, Feed())
        token = None if feed.public and not subscriber else self.token(name, subscriber, kind)
        return f"/{folder}/{token}/{name}" if token else f"/{folder}/{name}"

    def is_served(self, feed: Feed) -> bool:
        """Return whether the feed and its workspace are active."""
        return feed.active and self._config.workspaces[self._config.workspace_of(feed)].active

    def _may_be_served(self, name: str) -> bool:
        """As `is_served`. Whether an automatic feed exists, and in which workspace, only Plane knows."""
        feed = self._config.feeds.get(name)
        if feed is not None:
            return self.is_served(feed)
        active = any(workspace.active for workspace in self._config.workspaces.values())
        return active and may_be_auto(name, self._config.auto)

    def _derived(self, kind: Kind, name: str, feed: Feed) -> Iterator[tuple[str, str]]:
        if self._config.secret is None:
            return
        secret = self._config.secret.reveal()
        for subscriber in ("", *feed.subscribers, *feed.revoked):
            yield subscriber, derive(secret, kind, name, subscriber, feed.revision)
