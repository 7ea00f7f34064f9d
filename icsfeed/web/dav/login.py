"""Logins to CalDAV accounts: the name of a feed, a subscriber or a person, and the token of a link."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.errors import FeedError, NoCopy
from icsfeed.feeds.automatic_names import may_be_auto
from icsfeed.feeds.links import Grant
from icsfeed.feeds.people.own_access import RETRY_SECONDS
from icsfeed.feeds.service import FeedService
from icsfeed.own_links.model import OwnLink
from icsfeed.tokens import digest_of
from icsfeed.web.dav.resources import OWN, TASKS, Account, Source
from icsfeed.web.proxies import read_address

CHALLENGE = 'Basic realm="icsfeed calendars", charset="UTF-8"'


class LastFeeds(Struct, frozen=True):
    """The feeds that a person's account had last. Stored: fields must keep their names."""

    names: tuple[str, ...] = ()


class Credentials(NamedTuple):
    """A name and a password."""

    user: str
    token: str


def credentials_of(headers: Iterable[tuple[bytes, bytes]]) -> Credentials | None:
    """Return what the only Authorization header says (RFC 7617, 2); None: there is none that can be used."""
    values = [value for name, value in headers if name == b"authorization"]
    scheme, _, encoded = values[0].strip().partition(b" ") if len(values) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, token = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(user, token) if colon and user and "/" not in user else None


def is_private(scheme: str, client: str) -> bool:
    """Return whether nobody else can read the password: over https, or on this machine."""
    if scheme == "https":
        return True
    address = read_address(client)
    return address is not None and address.is_loopback


class Accounts:
    """The accounts of one configuration."""

    def __init__(self, service: FeedService) -> None:
        self._service, self._own = service, service.own

    async def account_of(self, given: Credentials, prefix: str) -> Account | None:
        """Return the account that these credentials open; None: they open none.

        With `+tasks` after the name, each calendar of events has a task list, too. That is tried first: a
        link of an automatic feed opens it by any name. Raises NoCopy while it is not known what they open.
        """
        for user in dict.fromkeys((given.user.removesuffix(TASKS), given.user)):
            account = await self._named(user, given.token)
            if account is not None:
                return replace(account, user=given.user, prefix=prefix, tasks=user != given.user)
        return None

    async def _named(self, user: str, token: str) -> Account | None:
        # Without a look at the store, which configured links must not need.
        of_subscriber = self._service.links.of_subscriber(user, token)
        if of_subscriber:
            return Account(user, {name: Source(name, user) for name in of_subscriber})
        opened = self._own.opened_by(token, "account")
        if opened is None:
            name, grant = await self._service.access(user, token)
            if grant is not None:
                return None if grant.revoked else self._of_feed(user, token, name, grant)
            # The token may be of a link that another replica has made: it was looked up just now.
            opened = self._own.opened_by(token, "account")
        if opened is None or opened.ended_at is not None or not _is_name_of(user, opened.link):
            return None
        sources = await self._of_person(opened.link)
        return Account(user, sources, link=opened.link.id) if sources else None

    def _of_feed(self, user: str, token: str, name: str, grant: Grant) -> Account | None:
        opened = self._own.opened_by(token, "feed") if grant.link else None
        if opened is None:
            return Account(user, {name: Source(name, grant.subscriber)})
        if user.casefold() != name.casefold() and not _is_name_of(user, opened.link):
            return None
        # Its name is the link's, not the feed's: with another filter it stays the same calendar.
        source = Source(name, grant.subscriber, grant.query)
        return Account(user, {OWN + grant.link: source}, link=grant.link)

    async def _of_person(self, link: OwnLink) -> Mapping[str, Source]:
        """Return what a person may see and has narrowed. Raises NoCopy while that is not known."""
        names = await self._names(link.person)
        sources = {name: Source(name, link.label) for name in names}
        for other in self._own.of(link.person):
            name = self._service.links.name_by_identity(other.feed)
            if other.narrowing and name in sources and other.suspended_at is None:
                try:
                    query = self._service.own_access.query_of(other)
                except FeedError:
                    sources[OWN + other.id] = Source(name, link.label, None)
                    continue
                query = replace(query, title=other.title or other.device)
                sources[OWN + other.id] = Source(name, link.label, query)
        return sources

    async def _names(self, person: str) -> Sequence[str]:
        """Return the feeds that a person may see; where that is not known of one, what was known last counts.

        An app removes a calendar that is missing from the list, with all that it holds.
        """
        service, key = self._service, f"dav/feeds/{digest_of(person)[:32]}"
        now = await service.own_access.seen_by(person)
        names = [feed.name for feed in now.feeds]
        before = await service.store.get_record(key, LastFeeds) or LastFeeds()
        is_unread = not all(workspace.is_known for workspace in service.workspaces.values())
        unknown = {*await service.served_feeds()} - {*names} - now.others
        for name in before.names:
            is_unserved = now.may_see(name) is None and is_unread and may_be_auto(name, service.config.auto)
            names += [name] if name in unknown or is_unserved else []
        if not names and (unknown or is_unread):
            raise NoCopy(person, RETRY_SECONDS, "Plane has not been read yet")
        if {*names} != {*before.names}:
            await service.store.put_record(key, LastFeeds(tuple(names)))
        return names


def _is_name_of(user: str, link: OwnLink) -> bool:
    """Return whether a link may be used with this name: its person's address, or its own name."""
    return user.strip().casefold() in (link.person, link.device.casefold())
