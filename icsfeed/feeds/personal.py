"""Which feeds are a person's: those of their own issues, and those of the projects they are a member of."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError
from icsfeed.feeds.select import person_of, projects_of
from icsfeed.model import Person, Project


class PersonalFeed(NamedTuple):
    """A feed of a person's, and the subscriber whose link is theirs (nothing: the feed's own)."""

    name: str
    subscriber: str


def person_with(email: str, people: Iterable[Person]) -> Person | None:
    """The one person who has this address; None where nobody or several do."""
    found = [person for person in people if person.email.strip().casefold() == email.strip().casefold()]
    return found[0] if len(found) == 1 and email.strip() else None


def own_feeds(
    person: Person, feeds: Mapping[str, Feed], people: Collection[Person]
) -> tuple[PersonalFeed, ...]:
    """The feeds of this person's own issues."""
    return _linked(
        person, [name for name, feed in feeds.items() if _is_own(person, name, feed, people)], feeds
    )


def project_feeds(
    person: Person, feeds: Mapping[str, Feed], projects: Collection[Project], member_of: Collection[str]
) -> tuple[PersonalFeed, ...]:
    """The feeds of projects, all of which the person is a member of. `member_of`: their ids."""
    wanted = [name for name, over in of_projects(feeds, projects).items() if over <= {*member_of}]
    return _linked(person, wanted, feeds)


def of_projects(feeds: Mapping[str, Feed], projects: Collection[Project]) -> Mapping[str, frozenset[str]]:
    """The feeds that are of projects, and not of one person, with the ids of their projects."""
    found = {}
    for name, feed in feeds.items():
        if (feed.project or feed.projects) and feed.assignee is None:
            try:
                found[name] = frozenset(project.id for project in projects_of(name, feed, projects))
            except FeedError:
                continue
    return found


def _is_own(person: Person, name: str, feed: Feed, people: Collection[Person]) -> bool:
    if feed.assignee is None:
        return False
    try:
        return person_of(name, feed.assignee, people).id == person.id
    except FeedError:
        return False


def _linked(person: Person, names: Iterable[str], feeds: Mapping[str, Feed]) -> tuple[PersonalFeed, ...]:
    """Each with the person's own link, where their address is a subscriber's; not where theirs is revoked.

    By the address alone: people choose their names themselves, and one could take another's.
    """
    address = person.email.strip().casefold()
    refused = {address, person.name.strip().casefold()} - {""}
    found = []
    for name in names:
        feed = feeds[name]
        if not refused & {revoked.casefold() for revoked in feed.revoked}:
            subscribers = (who for who in feed.subscribers if who.casefold() == address)
            found.append(PersonalFeed(name, next(subscribers, "")))
    return tuple(found)
