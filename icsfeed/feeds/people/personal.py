"""Find a person's feeds: those of their own issues, and those of the projects they are a member of."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError
from icsfeed.feeds.select import person_of, projects_of
from icsfeed.model import Person, Project


class PersonalFeed(NamedTuple):
    """A person's feed, and the subscriber whose link is theirs (empty: the feed's own link)."""

    name: str
    subscriber: str


def person_with(email: str, people: Iterable[Person]) -> Person | None:
    """Return the one person with this address; None where nobody or several have it."""
    address = email.strip().casefold()
    matches = [person for person in people if person.email.strip().casefold() == address]
    return matches[0] if len(matches) == 1 and address else None


def own_feeds(
    person: Person, feeds: Mapping[str, Feed], people: Collection[Person]
) -> tuple[PersonalFeed, ...]:
    """Return the feeds of this person's own issues."""
    names = []
    for name, feed in feeds.items():
        try:
            if feed.assignee is not None and person_of(name, feed.assignee, people).id == person.id:
                names.append(name)
        except FeedError:
            continue  # it names nobody, or several people
    return _linked(person, names, feeds)


def project_feeds(
    person: Person, feeds: Mapping[str, Feed], projects: Collection[Project], member_of: Collection[str]
) -> tuple[PersonalFeed, ...]:
    """Return the feeds of which the person is a member of every project. `member_of`: the projects' ids."""
    members = frozenset(member_of)
    names = [name for name, ids in of_projects(feeds, projects).items() if ids <= members]
    return _linked(person, names, feeds)


def of_projects(feeds: Mapping[str, Feed], projects: Collection[Project]) -> Mapping[str, frozenset[str]]:
    """Return the feeds of projects, and not of one person, with the ids of their projects."""
    ids = {}
    for name, feed in feeds.items():
        if is_of_projects(feed):
            try:
                ids[name] = frozenset(project.id for project in projects_of(name, feed, projects))
            except FeedError:
                continue  # a project of it does not exist
    return ids


def is_of_projects(feed: Feed) -> bool:
    """Return whether a feed is one of projects, and not of one person."""
    return bool(feed.project or feed.projects) and feed.assignee is None


def _linked(person: Person, names: Iterable[str], feeds: Mapping[str, Feed]) -> tuple[PersonalFeed, ...]:
    """Return each feed with the person's own link, where a subscriber has their address; none where revoked.

    Names do not count for a link: people choose theirs in Plane, and one could take another's.
    """
    address = person.email.strip().casefold()
    own = {address, person.name.strip().casefold()} - {""}
    personal = []
    for name in names:
        feed = feeds[name]
        if not own & {revoked.casefold() for revoked in feed.revoked}:
            subscribers = (who for who in feed.subscribers if who.casefold() == address)
            personal.append(PersonalFeed(name, next(subscribers, "")))
    return tuple(personal)
