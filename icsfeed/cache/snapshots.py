"""The resources of a workspace, joined into one snapshot a project and into views of several."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from icsfeed.cache.lists import OF_PROJECT, OPTIONAL
from icsfeed.cache.resources import Resources, is_asked
from icsfeed.cache.revisions import with_revisions
from icsfeed.cache.ttl import CachedValue
from icsfeed.model import Issue, Needs, Period, Project, Snapshot, View
from icsfeed.text import one_line


class Snapshots:
    """The snapshots of one workspace's projects: built from its resources when a part has changed."""

    def __init__(self, resources: Resources, clock: Callable[[], datetime]) -> None:
        self._resources = resources
        self._clock = clock
        self._snapshots: dict[str, Snapshot] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._read_at: dict[str, datetime] = {}
        self._partial: dict[str, Snapshot] = {}
        # How often another replica's revisions were taken over: feeds that show ours are rendered again.
        self._revised: Counter[str] = Counter()

    def view(self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs) -> View | None:
        """Return the chosen projects as they were last read; None where a part needed was never read."""
        resources = self._resources
        people = resources.members.value
        snapshots = tuple(filter(None, (self._newest(project, needs) for project in chosen)))
        if people is None or len(snapshots) < len(chosen) or not self._has_lists(chosen, needs):
            return None
        asked = _asked(snapshots, needs)
        links = {period.id: resources.issues_of(period).value for period in asked}
        found = resources.found[needs.pql] if needs.pql else None
        if None in links.values() or (found is not None and found.value is None):
            return None
        linked = tuple(with_links(snapshot, links) for snapshot in snapshots) if links else snapshots
        of_workspace, now = resources.workspace_lists(needs), self._clock()
        moments = [self._read_at.get(project.id) or resources.read_at(project) or now for project in chosen]
        moments += [found.read_at] if found is not None and found.read_at is not None else []

        def partial_stamp(project: Project) -> tuple[object, ...]:
            return ("partial", *self._stamp(project, resources.periods_of(project)))

        stamp = (
            resources.projects.version,
            *(self._stamps.get(project.id) or partial_stamp(project) for project in chosen),
            *(resources.issues_of(period).version for period in asked),
            resources.members.version,
            *((found.version,) if found is not None else ()),
            *(periods.version for periods in of_workspace),
        )
        read_at = min(moments, default=resources.projects.read_at or now)
        ids = found.value if found is not None else None
        periods = tuple(period for each in of_workspace for period in (each.value or {}).values())
        return View(projects, people, snapshots, linked, stamp, read_at, periods=periods, found=ids)

    def _has_lists(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether the lists were read that these needs ask for and not every edition has."""
        resources = self._resources
        return not (
            resources.misses_workspace_list(needs)
            or any(resources.missing_lists(project, needs) for project in projects)
        )

    def can_show(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether there would be a view of these projects. Not remembered, as one shown to readers is."""
        projects = tuple(projects)
        snapshots = [self.snapshot(project) or self.partial(project, needs) for project in projects]
        asked = _asked(filter(None, snapshots), needs)
        are_linked = all(self._resources.issues_of(period).value is not None for period in asked)
        is_known = self._resources.members.value is not None and self._has_lists(projects, needs)
        is_found = not needs.pql or self._resources.found[needs.pql].value is not None
        return is_known and is_found and all(snapshots) and are_linked

    def missing(self, projects: Iterable[Project], needs: Needs, since: datetime) -> Iterator[str]:
        """Name the parts of these projects that were neither fresh at `since`, nor read after it, and
        the issues that could not be understood.
        """
        resources = self._resources
        of_workspace: dict[str, CachedValue[Any]] = {
            "list of projects": resources.projects,
            "members": resources.members,
            **resources.of_workspace,
        }
        needed = [
            name for name in (*of_workspace, *OF_PROJECT) if name not in OPTIONAL or name in needs.lists
        ]
        for name, value in of_workspace.items():
            if name in needed and not value.is_current(since):
                yield f"the {name}"
        if needs.pql and not resources.found[needs.pql].is_current(since):
            yield "the issues that pql finds"
        for project in projects:
            for name, values in resources.of_project.items():
                if name in needed and not values[project.id].is_current(since):
                    yield f"the {name} of {project.key}"
            for period in resources.periods_to_read(project, needs):
                # A milestone without its work items only lacks its progress.
                if period.kind != "milestone" and not resources.issues_of(period).is_current(since):
                    yield f"the issues of {period.kind} {one_line(period.name)!r} of {project.key}"
            _, unreadable = resources.issues[project.id].value or ({}, 0)
            if unreadable:
                yield f"{unreadable} issues of {project.key} that cannot be understood"

    def snapshot(self, project: Project) -> Snapshot | None:
        """Return the project's snapshot, built again only when a part of it has changed.

        The old one while a part was never read: of a new cycle, which issues are in it.
        """
        periods = self._linked_periods(project)
        new = self._joined(project, periods) if periods is not None else None
        if periods is None or new is None:
            return self._snapshots.get(project.id)
        linked = (period for period in periods.values() if period.issues is not None)
        stamp = (self._revised[project.id], *self._stamp(project, linked))
        old = self._snapshots.get(project.id)
        if old is None or self._stamps[project.id] != stamp:
            # Readers who saw the partial snapshot must not see a revision run backwards either.
            before = old or self._partial.pop(project.id, None)
            self._snapshots[project.id] = with_revisions(before, new, self._seen_at(project))
            self._stamps[project.id] = stamp
        self._read_at[project.id] = self._resources.read_at(project) or self._clock()
        return self._snapshots[project.id]

    def shown(self, project: Project) -> Mapping[str, Issue]:
        """Return the issues of the project's last snapshot; none before that."""
        last = self._snapshots.get(project.id)
        return last.issues if last is not None else {}

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

    def stamp(self, project: Project) -> tuple[object, ...]:
        """Return a value that differs whenever the project's snapshot, or any part of it, has changed."""
        self.snapshot(project)
        return (self._stamps.get(project.id), *self._stamp(project, self._resources.periods_of(project)))

    def is_current(self, project: Project) -> bool:
        """Whether the project's snapshot has all that was read of it by now."""
        return self.snapshot(project) is not None and self._linked_periods(project) is not None

    def merge_partial(self, project: Project, snapshot: Snapshot) -> None:
        """Continue from a stored partial snapshot, where there is no other."""
        self._partial.setdefault(project.id, snapshot)

    def merge(self, project: Project, snapshot: Snapshot, read_at: datetime) -> bool:
        """Continue from a stored snapshot, whose parts have been merged into the resources already.

        Whether it is now the project's snapshot. It is not where some of our parts are newer: then one is
        built from them, with the revisions of both.
        """
        # What readers saw counts, be it partial: what differs from that must be newer.
        before = self._snapshots.get(project.id) or self._partial.pop(project.id, None)
        merged = self._snapshots[project.id] = with_revisions(before, snapshot, self._seen_at(project))
        self._revised[project.id] += before is not None and before.touched != merged.touched
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
            is_linked = self._resources.is_linked(period)
            # What is known of a milestone is shown, also where this process does not read it again.
            is_shown = self._resources.is_open(period) if period.kind == "milestone" else is_linked
            issues = self._resources.issues_of(period).value if is_shown else None
            if is_linked and issues is None:
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


def _asked(snapshots: Iterable[Snapshot], needs: Needs) -> Sequence[Period]:
    """Return the periods whose issues are needed and not in the snapshots.

    Those have ended: their issues are read for the feeds that ask, and not shown to the others.
    """
    periods = (period for snapshot in snapshots for period in snapshot.periods.values())
    return [period for period in periods if period.issues is None and is_asked(period, needs)]


def with_links(snapshot: Snapshot, links: Mapping[str, frozenset[str] | None]) -> Snapshot:
    """Return the snapshot with these issues of periods, by the id of the period."""
    periods = {
        period.id: replace(period, issues=links.get(period.id, period.issues))
        for period in snapshot.periods.values()
    }
    return replace(snapshot, periods=periods)
