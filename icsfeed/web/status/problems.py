"""What is wrong in the configuration of feeds, as far as Plane's projects and people are known."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from icsfeed.config.schema import Feed
from icsfeed.errors import FeedError
from icsfeed.feeds.automatic_names import Roster
from icsfeed.feeds.select import person_of, projects_of

if TYPE_CHECKING:
    from icsfeed.feeds.service import FeedService


class FeedProblems:
    """The feeds that name projects or people that do not exist, or searches that Plane refuses, and why.

    Plane is not asked: a workspace that was not read yet has no such feeds.
    """

    def __init__(self, service: "FeedService") -> None:
        self._service = service
        self._versions: Sequence[object] | None = None
        self._names: Mapping[str, str] = {}

    def current(self) -> Mapping[str, str]:
        """Return the reasons by feed. Names are looked up again only when projects or people have changed."""
        rosters = self._service.known_rosters()
        versions = [roster.version for roster in rosters.values()]
        if versions != self._versions:
            self._names, self._versions = dict(self._of_names(rosters)), versions
        searches = (
            (name, self._service.search_problem(name, feed)) for name, feed in self._served() if feed.pql
        )
        return {**{name: problem.reason for name, problem in searches if problem}, **self._names}

    def _served(self) -> Iterator[tuple[str, Feed]]:
        feeds = self._service.config.feeds.items()
        return ((name, feed) for name, feed in feeds if self._service.links.is_served(feed))

    def _of_names(self, rosters: Mapping[str, Roster]) -> Iterator[tuple[str, str]]:
        for name, feed in self._served():
            roster = rosters.get(self._service.workspace_of(feed))
            try:
                if roster is not None and roster.projects:
                    projects_of(name, feed, roster.projects)
                if roster is not None and roster.people and feed.assignee is not None:
                    person_of(name, feed.assignee, roster.people)
            except FeedError as error:
                yield name, error.reason
