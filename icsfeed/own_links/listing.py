"""Lists of links and people for the administrator: on the status page and by `icsfeed links list`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from icsfeed.own_links.model import LastRead, OwnLink

LinkState: TypeAlias = Literal["used", "suspended", "revoked"]


class ListedLink(Struct, frozen=True):
    """A link that a person has made. Printed as JSON: fields must keep their names.

    `feed`: the feed's name; None: it is the account of all feeds. `state`: `suspended` while the person may
    not see the feed. `last_read`: None: not yet.
    """

    id: str
    person: str
    name: str
    kind: Literal["feed", "account"]
    feed: str | None
    filter: str
    title: str
    state: LinkState
    made: datetime
    renewed: datetime | None
    revoked: datetime | None
    last_read: LastRead | None


class ListedPerson(Struct, frozen=True):
    """A person with links: how many are in use, and when one of them was last read."""

    person: str
    links: int
    revoked: int
    last_read: LastRead | None


def listed_links(
    links: Iterable[OwnLink], readers: Mapping[str, Sequence[LastRead]], names: Mapping[str, str]
) -> Sequence[ListedLink]:
    """Return the links, the newest first. `names`: of automatic feeds, by their identities."""
    listed = [
        ListedLink(
            id=link.id,
            person=link.person,
            name=link.device,
            kind="account" if link.is_account else "feed",
            feed=names.get(link.feed, link.feed) or None,
            filter=link.narrowing,
            title=link.title,
            state=_state_of(link),
            made=link.made_at,
            renewed=link.renewed_at,
            revoked=link.revoked_at,
            last_read=next(iter(readers.get(link.id, ())), None),
        )
        for link in links
    ]
    return listed[::-1]


def listed_people(links: Iterable[ListedLink]) -> Sequence[ListedPerson]:
    """Return the people who have made these links, by their addresses."""
    by_person: defaultdict[str, list[ListedLink]] = defaultdict(list)
    for link in links:
        by_person[link.person].append(link)
    return [_person(person, by_person[person]) for person in sorted(by_person)]


def _person(person: str, links: Sequence[ListedLink]) -> ListedPerson:
    revoked = sum(link.state == "revoked" for link in links)
    reads = [link.last_read for link in links if link.last_read is not None]
    last_read = max(reads, key=lambda read: read.at, default=None)
    return ListedPerson(person, len(links) - revoked, revoked, last_read)


def _state_of(link: OwnLink) -> LinkState:
    if link.revoked_at is not None:
        return "revoked"
    return "suspended" if link.suspended_at is not None else "used"
