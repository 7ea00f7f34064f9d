"""Changes of the record of links: each returns a new record, or raises LinkRefused with the reason."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from msgspec.structs import replace

from icsfeed.errors import LinkRefused
from icsfeed.own_links.model import (
    INVITATION,
    SESSION,
    Digests,
    Invitation,
    LastRead,
    LinkReaders,
    LinkRecord,
    OwnLink,
    Session,
    links_of,
    person_of_address,
)

MAX_LINKS = 50
"""Links of one person that are in use."""
MAX_FORMER = 10
"""Tokens of one link, and revoked links of one person, times five, that still show the notice."""
MAX_FORGOTTEN = 20_000
"""Ids of revoked links that are remembered so that no backup makes them work again."""
MAX_INVITATIONS, MAX_SESSIONS = 5, 20
"""Of one person; beyond that the oldest end."""
MAX_NAME_LENGTH = 60
MAX_NARROWING_LENGTH = 1_000
MAX_READERS = 5
"""Apps that are remembered of one link."""
SESSION_USE_RECORDED = timedelta(hours=12)
"""How often it is stored that a session was used."""

REASONS: Mapping[str, str] = {
    "too many": "there are {n} links, the most that are possible: revoke one first",
    "no name": "a link needs a name, such as phone",
    "bad name": "a name may have {n} characters at most, and none that cannot be seen",
    "name taken": "there is a link with the name {name} already: choose another one",
    "too long": "the filter is longer than {n} characters: choose fewer values",
    "filter": "this calendar cannot be filtered by {field}",
    "account": "an account of all calendars cannot be filtered: make a link for one calendar",
    "gone": "there is no such link in use",
    "feed": "this calendar is not among those of the person",
    "invitation": "this invitation was used before, or has expired",
    "no address": "this is not an e-mail address",
    "memory": "links cannot be made while `store` is memory: they would not survive a restart",
}
"""Why a change is refused, by the key of a LinkRefused; pages say it in their own words."""

Change: TypeAlias = Callable[[LinkRecord], LinkRecord]


def refused(key: str, **values: object) -> LinkRefused:
    """Return the error that refuses a change."""
    return LinkRefused(key, REASONS[key].format(**values), values)


def added(record: LinkRecord, link: OwnLink) -> LinkRecord:
    """Add a link. Raises LinkRefused for a name that cannot be used, and where the person has too many."""
    mine = links_of(record, link.person)
    if len(mine) >= MAX_LINKS:
        raise refused("too many", n=MAX_LINKS)
    link = replace(link, person=_address(link.person), **_named(link.device, link.title, mine))
    return replace(record, links=(*record.links, link))


def renamed(record: LinkRecord, id_: str, device: str, title: str | None, now: datetime) -> LinkRecord:
    """Change the name of a link's device, and its name in calendar apps (None: as it is)."""
    link = link_with(record, id_)
    others = [other for other in links_of(record, link.person) if other.id != id_]
    names = _named(device, link.title if title is None else title, others)
    changed_at = link.changed_at if names["title"] == link.title else now
    return _replaced(record, replace(link, **names, changed_at=changed_at))


def narrowed_to(record: LinkRecord, id_: str, narrowing: str, now: datetime) -> LinkRecord:
    """Change how a link narrows its feed. `narrowing`: a normalized query. Raises LinkRefused."""
    link = link_with(record, id_)
    if len(narrowing) > MAX_NARROWING_LENGTH:
        raise refused("too long", n=MAX_NARROWING_LENGTH)
    if link.is_account and narrowing:
        raise refused("account")
    return _replaced(record, replace(link, narrowing=narrowing, changed_at=now))


def renewed(record: LinkRecord, id_: str, digests: Digests, now: datetime) -> LinkRecord:
    """Give a link another token; the one before shows a notice from now on."""
    link = link_with(record, id_)
    former = (replace(link.digests, until=now), *link.former)[:MAX_FORMER]
    return _replaced(record, replace(link, digests=digests, former=former, renewed_at=now))


def revoked(record: LinkRecord, id_: str, now: datetime) -> LinkRecord:
    """Revoke a link."""
    return _replaced(record, replace(link_with(record, id_), revoked_at=now))


def all_revoked(record: LinkRecord, links: Iterable[OwnLink], now: datetime) -> LinkRecord:
    """Revoke these links of the record."""
    ids = {link.id for link in links}
    ended = (replace(link, revoked_at=now) if link.id in ids else link for link in record.links)
    return replace(record, links=tuple(ended))


def signed_out_everywhere(record: LinkRecord, person: str) -> LinkRecord:
    """End the sessions and invitations of a person."""
    address = person_of_address(person)
    return replace(
        record,
        invitations=tuple(each for each in record.invitations if each.person != address),
        sessions=tuple(each for each in record.sessions if each.person != address),
    )


def suspended(record: LinkRecord, verdicts: Iterable[tuple[str, bool]], now: datetime) -> LinkRecord:
    """Note which links (by id) open a feed that their person may see now, or may not."""
    may_see = dict(verdicts)
    links = tuple(
        replace(link, suspended_at=None if may_see[link.id] else now, changed_at=now)
        if link.id in may_see and may_see[link.id] == (link.suspended_at is not None)
        else link
        for link in record.links
    )
    return replace(record, links=links)


def invited(record: LinkRecord, person: str, digest: str, now: datetime) -> LinkRecord:
    """Add an invitation for a person. Raises LinkRefused for what is no address."""
    address = _address(person)
    mine = [each for each in record.invitations if each.person == address][-(MAX_INVITATIONS - 1) :]
    others = (each for each in record.invitations if each.person != address)
    new = Invitation(digest, address, now + INVITATION)
    return replace(record, invitations=(*others, *mine, new))


def accepted(record: LinkRecord, invitation: str, session: str, now: datetime) -> LinkRecord:
    """Use an invitation up for a session; both are digests. Raises LinkRefused if it is not valid."""
    used = next((each for each in record.invitations if each.digest == invitation), None)
    if used is None or used.expires_at <= now:
        raise refused("invitation")
    rest = tuple(each for each in record.invitations if each is not used)
    mine = [each for each in record.sessions if each.person == used.person][-(MAX_SESSIONS - 1) :]
    others = (each for each in record.sessions if each.person != used.person)
    new = Session(session, used.person, now, now)
    return replace(record, invitations=rest, sessions=(*others, *mine, new))


def session_with(record: LinkRecord, digest: str, now: datetime) -> Session | None:
    """Return the session of a cookie, by its digest; None where it has ended."""
    session = next((each for each in record.sessions if each.digest == digest), None)
    return session if session is not None and now - session.used_at < SESSION else None


def session_used(record: LinkRecord, digest: str, now: datetime) -> LinkRecord:
    """Note that a session is in use; the same record where that was noted a while ago."""
    session = session_with(record, digest, now)
    if session is None or now - session.used_at < SESSION_USE_RECORDED:
        return record
    used = replace(session, used_at=now)
    return replace(record, sessions=tuple(used if each is session else each for each in record.sessions))


def signed_out(record: LinkRecord, digest: str) -> LinkRecord:
    """End a session."""
    return replace(record, sessions=tuple(each for each in record.sessions if each.digest != digest))


def without_past(record: LinkRecord, tombstone: timedelta, now: datetime) -> LinkRecord:
    """Forget tokens and links that ended longer ago than `tombstone`, and what has expired."""

    def recent(ended_at: datetime | None) -> bool:
        return ended_at is None or now - ended_at < tombstone

    links = [
        replace(link, former=tuple(digests for digests in link.former if recent(digests.until)))
        for link in record.links
        if recent(link.revoked_at)
    ]
    kept = tuple(_bounded(links))
    ids = {link.id for link in kept}
    gone = (link.id for link in record.links if link.id not in ids)
    return LinkRecord(
        links=kept,
        invitations=tuple(each for each in record.invitations if each.expires_at > now),
        sessions=tuple(each for each in record.sessions if now - each.used_at < SESSION),
        forgotten=(*record.forgotten, *gone)[-MAX_FORGOTTEN:],
    )


def _bounded(links: list[OwnLink]) -> Iterable[OwnLink]:
    """Leave out the oldest of the revoked links of people who have very many."""
    count: dict[str, int] = {}
    kept = []
    for link in reversed(links):
        if link.revoked_at is not None:
            count[link.person] = count.get(link.person, 0) + 1
        if link.revoked_at is None or count[link.person] <= MAX_FORMER * 5:
            kept.append(link)
    return reversed(kept)


def exported(record: LinkRecord) -> LinkRecord:
    """Return what a backup holds: the links, with digests only. Nobody stays signed in by a backup."""
    return LinkRecord(links=record.links, forgotten=record.forgotten)


def merged(record: LinkRecord, backup: LinkRecord) -> LinkRecord:
    """Add the links of a backup that are not there. Where both have a link, the newer state of it counts.

    A link that was revoked stays revoked, on whichever side, and however long ago.
    """
    ours = {link.id: link for link in record.links}
    for other in backup.links:
        own = ours.get(other.id)
        if own is None or (
            own.revoked_at is None and (other.revoked_at is not None or _changed_at(other) > _changed_at(own))
        ):
            ours[other.id] = other
    forgotten = dict.fromkeys((*record.forgotten, *backup.forgotten))
    links = tuple(link for link in ours.values() if link.id not in forgotten)
    return replace(record, links=links, forgotten=tuple(forgotten)[-MAX_FORGOTTEN:])


def _changed_at(link: OwnLink) -> datetime:
    return link.renewed_at or link.made_at


def with_readers(readers: LinkReaders, news: LinkReaders, links: Iterable[str]) -> LinkReaders:
    """Return when links were last read, by two lists; only of these links (ids)."""
    all_readers = {}
    for id_ in links:
        latest: dict[str, LastRead] = {}
        both = (*readers.readers.get(id_, ()), *news.readers.get(id_, ()))
        for read in sorted(both, key=lambda read: read.at):
            latest[read.app] = read
        if latest:
            newest = sorted(latest.values(), key=lambda read: read.at, reverse=True)
            all_readers[id_] = tuple(newest[:MAX_READERS])
    return LinkReaders(all_readers)


def link_with(record: LinkRecord, id_: str) -> OwnLink:
    """Return the link with this id. Raises LinkRefused where there is none that is in use."""
    link = next((link for link in record.links if link.id == id_), None)
    if link is None or link.revoked_at is not None:
        raise refused("gone")
    return link


def _replaced(record: LinkRecord, link: OwnLink) -> LinkRecord:
    return replace(record, links=tuple(link if other.id == link.id else other for other in record.links))


def _named(device: str, title: str, others: Iterable[OwnLink]) -> dict[str, str]:
    """Return both names as they are stored. Raises LinkRefused."""
    device, title = device.strip(), title.strip()
    if not device:
        raise refused("no name")
    for name in (device, title):
        if len(name) > MAX_NAME_LENGTH or not name.isprintable():
            raise refused("bad name", n=MAX_NAME_LENGTH)
    if device.casefold() in {other.device.casefold() for other in others}:
        raise refused("name taken", name=device)
    return {"device": device, "title": title}


def _address(person: str) -> str:
    address = person_of_address(person)
    if not re.fullmatch(r"[^\s@:/,]{1,64}@[^\s@:/,]{1,190}", address) or not address.isprintable():
        raise refused("no address")
    return address
