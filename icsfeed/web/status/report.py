"""The status of a server for its administrator: workspaces, feeds, readers, pushes, and what is wrong."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from icsfeed.doctor.clients import LARGE
from icsfeed.feeds.rendered import NEVER_CHANGED
from icsfeed.own_links.listing import ListedLink, ListedPerson
from icsfeed.push.report import LastRun
from icsfeed.web.reader_log import Reader


class ProjectReport(Struct, frozen=True):
    """A project as it was last read. `unreadable`: issues that could not be decoded.

    `lost_since`: since when Plane no longer lists it.
    """

    key: str
    name: str
    read_at: datetime | None
    issues: int
    unreadable: int
    is_failing: bool
    lost_since: datetime | None


class WorkspaceReport(Struct, frozen=True):
    """A workspace and the budget of its key: requests a minute, and those left now (None: not known).

    `unavailable`: the lists that its feeds need and Plane does not provide.
    """

    name: str
    is_ready: bool
    read_at: datetime | None
    projects: tuple[ProjectReport, ...]
    budget_left: int | None
    budget_limit: int
    last_error: str | None
    unavailable: tuple[str, ...]
    last_refresh: datetime | None
    last_webhook: datetime | None
    queue_length: int


class LinkReport(Struct, frozen=True):
    """One link of a feed. `path` is None unless links were requested: it lets anyone read the feed."""

    subscriber: str
    revoked: bool
    path: str | None


class FeedReport(Struct, frozen=True):
    """A feed, what is in it and what is left out, and who reads it. None: not rendered yet.

    `own_links`: how many links people have made for it that are in use.
    `problem`: what is wrong in its configuration.
    """

    name: str
    title: str | None
    workspace: str
    active: bool
    public: bool
    links: tuple[LinkReport, ...]
    own_links: int
    items: int | None
    undated: int | None
    start_only: int | None
    size: int | None
    last_modified: datetime | None
    readers: tuple[Reader, ...]
    problem: str | None

    @property
    def is_large(self) -> bool:
        """Whether some calendar services may not read all of it."""
        return self.size is not None and self.size > LARGE

    @property
    def changed(self) -> datetime | None:
        """When the feed last changed; None: not since it was first made, or not known."""
        return self.last_modified if self.last_modified != NEVER_CHANGED else None


class PushReport(Struct, frozen=True):
    """A target's last run: when it ended, what it did, what was wrong. None: there was none yet."""

    name: str
    last_run: datetime | None
    counts: Mapping[str, int]
    requests: int
    problems: tuple[str, ...]

    @classmethod
    def of(cls, name: str, run: LastRun | None) -> "PushReport":
        """Return the report of a target's last run."""
        if run is None:
            return cls(name, None, {}, 0, ())
        return cls(name, run.at, dict(run.report.counts), run.report.requests, run.report.problems)


class ServerReport(Struct, frozen=True):
    """All of it. `problems`: of a newer configuration that was rejected; `store`: how it fails.

    `own_links`, `people`: the links that people have made for themselves, and who has.
    """

    version: str
    started: datetime
    now: datetime
    loaded: datetime
    problems: tuple[str, ...]
    store: str | None
    workspaces: tuple[WorkspaceReport, ...]
    feeds: tuple[FeedReport, ...]
    pushes: tuple[PushReport, ...]
    own_links: tuple[ListedLink, ...]
    people: tuple[ListedPerson, ...]
