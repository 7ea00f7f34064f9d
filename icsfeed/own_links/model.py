"""What is stored of the links that people make: people, names, times and digests. No token can be read in it.

Structs are stored (MessagePack) and exported (JSON): fields may be added, with a default, and not renamed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from icsfeed.tokens import derived, digest_of

What: TypeAlias = Literal["feed", "embed", "account"]
"""What a token is for: a feed's calendar, a view of it in a frame, a CalDAV account of all feeds."""

INVITATION = timedelta(days=7)
"""How long an invitation can be used."""
SESSION = timedelta(days=90)
"""How long somebody stays signed in after the last use."""


class Digests(Struct, frozen=True):
    """The SHA-256 digests of a link's tokens, and until when they were valid (None: they are).

    `embed` is empty for an account, which has no view for frames.
    """

    token: str
    embed: str = ""
    until: datetime | None = None


class OwnLink(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link that a person has made for one of their devices.

    `id` is public. `person`: an e-mail address, case-folded. `feed`: the name of a configured feed, or the
    identity of an automatic one (see `AutomaticFeed`); empty: the CalDAV account of all the person's feeds.
    `narrowing`: the query that narrows the feed. `title`: its name in calendar apps, if not the feed's.
    `former`: what it had before renewals. `suspended_at`: since when the person may not see the feed.
    `changed_at`: since when it shows what it shows now, if it showed something else before.
    """

    id: str
    person: str
    device: str
    feed: str = ""
    narrowing: str = ""
    title: str = ""
    digests: Digests
    former: tuple[Digests, ...] = ()
    made_at: datetime
    renewed_at: datetime | None = None
    revoked_at: datetime | None = None
    suspended_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def is_account(self) -> bool:
        """Whether it opens an account of all feeds of the person."""
        return not self.feed

    @property
    def label(self) -> str:
        """Who reads by it, for the log of readers: `anna@example.com (phone)`."""
        return f"{self.person} ({self.device})"


class Invitation(Struct, frozen=True):
    """A one-time link by which a person signs in. `digest`: of its token."""

    digest: str
    person: str
    expires_at: datetime


class Session(Struct, frozen=True):
    """A browser that is signed in by an invitation. `digest`: of its cookie."""

    digest: str
    person: str
    made_at: datetime
    used_at: datetime


class LinkRecord(Struct, frozen=True, omit_defaults=True):
    """Everything that is stored, except when links were last read.

    `forgotten`: the ids of revoked links that are not stored any more. No backup makes these work again.
    """

    links: tuple[OwnLink, ...] = ()
    invitations: tuple[Invitation, ...] = ()
    sessions: tuple[Session, ...] = ()
    forgotten: tuple[str, ...] = ()


class LastRead(Struct, frozen=True):
    """When an app last read by a link, and the status that it got."""

    app: str
    at: datetime
    status: int


class LinkReaders(Struct, frozen=True):
    """The apps that read by each link, by the link's id; the latest first."""

    readers: Mapping[str, tuple[LastRead, ...]] = {}


class OpenedLink(Struct, frozen=True):
    """The link that a token belongs to. `ended_at`: when the token was renewed or the link revoked."""

    link: OwnLink
    ended_at: datetime | None = None


class NewToken(Struct, frozen=True):
    """A link that was made or renewed, and its token, which is known only now."""

    link: OwnLink
    token: str


def digests_of(token: str, *, is_account: bool) -> Digests:
    """Return what is stored of a link's token."""
    return Digests(digest_of(token), "" if is_account else digest_of(embed_token(token)))


def embed_token(token: str) -> str:
    """Return the token for frames that belongs to a feed's; nobody can find the feed's from it."""
    return derived(token, "embed")


def index_of(record: LinkRecord) -> Mapping[tuple[What, str], OpenedLink]:
    """Return the links by what their tokens are for and the tokens' digests."""
    index: dict[tuple[What, str], OpenedLink] = {}
    for link in record.links:
        for digests in (*link.former, link.digests):
            ends = [end for end in (digests.until, link.revoked_at) if end is not None]
            opened = OpenedLink(link, min(ends) if ends else None)
            index["account" if link.is_account else "feed", digests.token] = opened
            if digests.embed:
                index["embed", digests.embed] = opened
    return index


def person_of_address(email: str) -> str:
    """Return a person's address as it is stored."""
    return email.strip().casefold()


def links_of(record: LinkRecord, person: str) -> Sequence[OwnLink]:
    """Return the links of a person that are not revoked, in the order in which they were made."""
    address = person_of_address(person)
    return [link for link in record.links if link.person == address and link.revoked_at is None]


def links_to_feeds(
    record: LinkRecord, feeds: Collection[str], person: str | None = None
) -> Sequence[OwnLink]:
    """Return the links that open one of these feeds and are not revoked, of one person or of all (None).

    `feeds`: as stored, see OwnLink. The account of all feeds is none of them.
    """
    links = record.links if person is None else links_of(record, person)
    return [link for link in links if link.feed in feeds and not link.is_account and link.revoked_at is None]


def invitation_path(token: str) -> str:
    """Return the path of the page that an invitation leads to."""
    return f"/me/invite/{token}"
