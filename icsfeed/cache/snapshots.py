"""The resources of a workspace, joined into one snapshot a project and into views of several."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from icsfeed.cache.resources import Resources, is_asked
from icsfeed.cache.revisions import with_revisions
from icsfeed.model import Needs, Period, Project, Snapshot, View


class Snapshots:
    """The snapshots of one workspace's projects: built from its resources when a part has changed."""

    def __init__(self, resources: Resources, clock: Callable[[], datetime]) -> None:
        self._resources = resources
        self._clock = clock
        self._snapshots: dict[str, Snapshot] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._read_at: dict[str, datetime] = {}
        self._partial: dict[str, Snapshot] = {}

    def view(self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs) -> View | None:
        """Return the chosen projects as they were last read; None where a part needed was never read."""
        resources = self._resources
        people = resources.members.value
        snapshots = tuple(filter(None, (self._newest(project, needs) for project in chosen)))
        if people is None or len(snapshots) < len(chosen) or not self._has_lists(chosen, needs):
            return None
        asked = [
            period
            for snapshot in snapshots
            for period in snapshot.periods.values()
            if period.issues is None and is_asked(period, needs)
        ]
        # Ended periods: their issues are read for the feeds that ask, and not shown to the others.
        links = {period.id: resources.issues_of(period).value for period in asked}
        if None in links.values():
            return None
        linked = tuple(_with_links(snapshot, links) for snapshot in snapshots) if links else snapshots
        now = self._clock()
        moments = [self._read_at.get(project.id) or resources.read_at(project) or now for project in chosen]

        def partial_stamp(project: Project) -> tuple[object, ...]:
            return ("partial", *self._stamp(project, resources.periods_of(project)))

        stamp = (
            resources.projects.version,
            *(self._stamps.get(project.id) or partial_stamp(project) for project in chosen),
            *(resources.issues_of(period).version for period in asked),
            resources.members.version,
            *(periods.version for periods in resources.workspace_lists(needs)),
        )
        read_at = min(moments, default=resources.projects.read_at or now)
        of_workspace = resources.workspace_lists(needs)
        periods = tuple(period for each in of_workspace for period in (each.value or {}).values())
        return View(projects, people, snapshots, linked, stamp, read_at, periods=periods)

    def _has_lists(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether the lists were read that these needs ask for and not every edition has."""
        of_workspace = self._resources.workspace_lists(needs)
        return all(each.value is not None for each in of_workspace) and not any(
            self._resources.missing_lists(project, needs) for project in projects
        )

    def can_show(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether there would be a view of these projects. Not remembered, as one shown to readers is."""
        projects = tuple(projects)
        snapshots = (self.snapshot(project) or self.partial(project, needs) for project in projects)
        is_known = self._resources.members.value is not None and self._has_lists(projects, needs)
        return is_known and all(snapshots)

    def snapshot(self, project: Project) -> Snapshot | None:
        """Return the project's snapshot, built again only when a part of it has changed.

        The old one while a part was never read: of a new cycle, which issues are in it.
        """
        periods = self._linked_periods(project)
        new = self._joined(project, periods) if periods is not None else None
        if periods is None or new is None:
            return self._snapshots.get(project.id)
        stamp = self._stamp(project, (period for period in periods.values() if period.issues is not None))
        old = self._snapshots.get(project.id)
        if old is None or self._stamps[project.id] != stamp:
            # Readers who saw the partial snapshot must not see a revision run backwards either.
            before = old or self._partial.pop(project.id, None)
            self._snapshots[project.id] = with_revisions(before, new, self._seen_at(project))
            self._stamps[project.id] = stamp
        self._read_at[project.id] = self._resources.read_at(project) or self._clock()
        return self._snapshots[project.id]

    def partial(self, project: Project, needs: Needs) -> Snapshot | None:
        """Return a project without what was not read yet: it shows less, and nothing wrong."""
        if needs.must_know_periods and not self._resources.has_periods(project):
            return None
        periods = {
            period.id: replace(period, issues=self._resources.issues_of(period).value)
            for period in self._resources.periods_of(project)
        }
        new = self._joined(project, periods)
        if new is None:
            return None
        return with_revisions(self._partial.get(project.id), new, self._seen_at(project))

    def stamp(self, project: Project) -> tuple[object, ...] | None:
        """Return a value that differs whenever the project's snapshot has changed; None: there is none."""
        self.snapshot(project)
        return self._stamps.get(project.id)

    def merge(self, project: Project, snapshot: Snapshot, read_at: datetime) -> bool:
        """Continue from a stored snapshot, whose parts have been merged into the resources already.

        Whether it is now the project's snapshot. It is not where some of our parts are newer: then one is
        built from them, with the revisions of both.
        """
        before = self._snapshots.get(project.id)
        touched = dict(snapshot.touched)
        for id_, moment in before.touched.items() if before is not None else ():
            touched[id_] = max(moment, touched.get(id_, moment))
        self._snapshots[project.id] = replace(snapshot, touched=touched)
        # An empty stamp is no snapshot's: the next look compares what is stored with what was read.
        self._stamps[project.id], self._read_at[project.id] = (), read_at
        return self.snapshot(project) == snapshot

    def _newest(self, project: Project, needs: Needs) -> Snapshot | None:
        snapshot = self.snapshot(project)
        if snapshot is None:
            snapshot = self.partial(project, needs)
            if snapshot is not None:
                self._partial[project.id] = snapshot
        return snapshot

    def _joined(self, project: Project, periods: Mapping[str, Period]) -> Snapshot | None:
        """Join the project's essential parts and these periods; None while one was never read."""
        resources = self._resources
        people, issues = resources.members.value, resources.issues[project.id].value
        states, labels = resources.states[project.id].value, resources.labels[project.id].value
        if people is None or issues is None or states is None or labels is None:
            return None
        types = resources.types[project.id].value or {}
        return Snapshot(
            project, issues[0], states, labels, people, periods, unreadable=issues[1], types=types
        )

    def _linked_periods(self, project: Project) -> Mapping[str, Period] | None:
        """The project's periods, the open ones with their issues; None while a part was never read."""
        if not self._resources.has_periods(project):
            return None
        linked: dict[str, Period] = {}
        for period in self._resources.periods_of(project):
            is_milestone, is_open = period.kind == "milestone", self._resources.is_open(period)
            is_linked = is_open if is_milestone else self._resources.is_linked(period)
            issues = self._resources.issues_of(period).value if is_linked else None
            # A milestone can be shown without its progress: no feed waits for that.
            if is_linked and issues is None and not is_milestone:
                return None
            linked[period.id] = replace(period, issues=issues)
        return linked

    def _stamp(self, project: Project, periods: Iterable[Period]) -> tuple[object, ...]:
        """Equal as long as a snapshot of the project with the issues of these periods would be."""
        resources = self._resources
        parts = [values[project.id].version for values in resources.of_project.values()]
        of_periods = [(period.id, resources.issues_of(period).version) for period in periods]
        return (project, resources.members.version, *parts, *of_periods)

    def _seen_at(self, project: Project) -> datetime:
        """When the newest part of a project was read: replicas that share the parts agree on it."""
        resources = self._resources
        moments = (resources.projects.read_at, resources.members.read_at)
        read_times = resources.read_times(project).values()
        return max((*filter(None, moments), *read_times), default=self._clock())


def _with_links(snapshot: Snapshot, links: Mapping[str, frozenset[str] | None]) -> Snapshot:
    periods = {
        period.id: replace(period, issues=links.get(period.id, period.issues))
        for period in snapshot.periods.values()
    }
    return replace(snapshot, periods=periods)
