"""Logins to CalDAV accounts: the name of a feed or a subscriber, with the token of a link as password."""

import base64
import binascii
from collections.abc import Iterable
from typing import NamedTuple

from icsfeed.feeds.service import FeedService
from icsfeed.web.dav.resources import TASKS, Account
from icsfeed.web.proxies import read_address

CHALLENGE = 'Basic realm="icsfeed calendars", charset="UTF-8"'


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


async def account_of(service: FeedService, given: Credentials, prefix: str) -> Account | None:
    """Return the account that these credentials open; None: they open none. Raises NoCopy as `access`.

    With `+tasks` after the name, each feed of events has a task list, too. That is tried first: a link of an
    automatic feed opens it by any name.
    """
    for user in dict.fromkeys((given.user.removesuffix(TASKS), given.user)):
        feeds = await _feeds_of(service, user, given.token)
        if feeds:
            return Account(given.user, feeds, prefix, user != given.user)
    return None


async def _feeds_of(service: FeedService, user: str, token: str) -> dict[str, str]:
    """Return the feeds of an account, each with its subscriber (empty: it is the feed's own link)."""
    name, grant = await service.access(user, token)
    if grant is not None:
        # An account shows feeds as they are: a link with a filter of its own would show more there.
        return {} if grant.revoked or grant.narrows else {name: grant.subscriber}
    return dict.fromkeys(service.links.of_subscriber(user, token), user)
