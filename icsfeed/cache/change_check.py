"""Confirming with one request the issues of all projects that have not changed (plane/workspace_changes.py).

Only editions that list the issues of a whole workspace allow it. Elsewhere, and in doubt, each project is
read by itself.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from icsfeed.cache.lists import AFTER_FAILURE, PlaneReader
from icsfeed.cache.resources import Resources
from icsfeed.errors import PlaneError, Throttled
from icsfeed.model import Project
from icsfeed.plane.features import ASK_AGAIN, is_refusal
from icsfeed.plane.incremental import IssueList, WorkspaceRows
from icsfeed.plane.workspace_changes import Baseline, baseline, changed, is_nothing_lost

WORKSPACE_ISSUES = "the issues of a workspace"
"""Its name among the `Features`."""
MIN_PROJECTS = 3
"""With fewer, a check saves nothing: it costs itself, and the project that it leaves out."""

log = logging.getLogger("icsfeed.workspace")


class ChangeCheck:
    """Confirms issues of one workspace's projects: those that this process has read since the last check,
    or confirmed by it.

    `full`: all issues of a project are read at least once in so long. Each check leaves one project out, by
    turns: it is read by itself, so that an edition whose list is not what we think it is does little harm.
    """

    def __init__(
        self,
        name: str,
        resources: Resources,
        full: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._resources = resources
        self._features = resources.features
        self._full = full
        self._clock = clock
        self._lock = asyncio.Lock()
        self._begun = 0
        self._baseline: Baseline | None = None
        # By project, the one first whose own list was read the longest ago: its list at the last check, or
        # when it was first read after it, and its list now.
        self._lists: dict[str, tuple[IssueList, IssueList]] = {}
        self._confirmed = 0

    @property
    def is_confirming(self) -> bool:
        """Whether the last check has confirmed any project."""
        return self._confirmed > 0

    @property
    def requests(self) -> int:
        """How many requests it takes to refresh the issues of all projects, by the last check."""
        return len(self._resources.all_projects) - self._confirmed + self.is_confirming

    async def confirm(self, project: Project, plane: PlaneReader) -> None:
        """Confirm the issues of all projects that have not changed, where this one may be among them.

        Raises Throttled. After any other error the projects have to be read by themselves.
        """
        if self._is_of_use(project):
            async with self._lock:
                if self._is_of_use(project):  # nobody else has checked meanwhile
                    await self._check(plane)

    def _is_of_use(self, project: Project) -> bool:
        resources = self._resources
        if resources.issues[project.id].is_fresh:
            return False
        many = len(resources.issue_lists.keys() - resources.lost.keys()) >= MIN_PROJECTS
        # Only lists that this process has read: a command that reads once has no use for a check.
        is_current = project.id in self._current()
        return many and is_current and self._features.should_ask(WORKSPACE_ISSUES, self._clock())

    async def _check(self, plane: PlaneReader) -> None:
        began, before = self._clock(), self._baseline
        self._begun += 1
        try:
            found = await plane.newest_rows(before.since if before is not None else None)
        except Throttled:
            raise
        except PlaneError as error:
            # Whatever is wrong with the list: projects can be read without it for a while.
            is_refused = is_refusal(error)
            if not is_refused:
                log.warning("workspace %s: %s; reading each project separately", self._name, error)
            again = ASK_AGAIN if is_refused else AFTER_FAILURE
            self._features.refused(WORKSPACE_ISSUES, self._clock(), again)
            self._baseline, self._lists, self._confirmed = None, {}, 0
            return
        self._features.answered(WORKSPACE_ISSUES)
        self._resources.ttls["issues"].reads += 1
        self._confirm_unchanged(found, began)

    def _confirm_unchanged(self, found: WorkspaceRows | None, began: datetime) -> None:
        """Confirm what has not changed, and let the next check go on from this one."""
        resources, before, current = self._resources, self._baseline, self._current()
        references = {id_: self._lists[id_][0] for id_ in current}
        unchanged: list[str] = []
        if before and found and not is_nothing_lost(before, found, references, resources.issue_lists):
            before = None
        if before and found:
            news = changed(before, found, current)
            unchanged = [id_ for id_ in current if id_ not in news]
        left_out = next(iter(current), None)
        self._lists = {}
        for id_ in unchanged:
            if id_ != left_out:
                confirmed = replace(current[id_], read_at=began)
                resources.issue_lists[id_] = confirmed
                resources.issues[id_].confirm(began)
                self._lists[id_] = confirmed, confirmed
        self._confirmed = len(self._lists)
        lists = {**resources.issue_lists}
        self._baseline = baseline(found, began, lists, before) if found is not None else None

    def _current(self) -> Mapping[str, IssueList]:
        """The lists that are as new as the last check, or newer."""
        listed = {project.id for project in self._resources.all_projects}
        return {
            id_: current
            for id_, (_, current) in self._lists.items()
            # Another replica's list may be older than the check.
            if id_ in listed and self._resources.issue_lists.get(id_) is current and self._may_be_kept(id_)
        }

    def _may_be_kept(self, id_: str) -> bool:
        """Whether a project's list need not be read for another reason."""
        resources, known = self._resources, self._resources.issue_lists.get(id_)
        return (
            known is not None
            and not known.nameless  # of rows without an id nothing is known
            and not resources.issues[id_].is_expired
            and id_ not in resources.lost
            and known.whole_at >= resources.whole_since
            and abs(self._clock() - known.whole_at) < self._full
        )

    def reading(self) -> int | None:
        """Return the number of checks before a project's own list is read; None during a check."""
        return None if self._lock.locked() else self._begun

    def was_read(self, id_: str, before: IssueList | None, now: IssueList, checks: int | None) -> None:
        """Take a project's own list, which is newer than the last check if none has begun meanwhile."""
        reference, current = self._lists.pop(id_, (now, None))
        if checks == self._begun:
            self._lists[id_] = (reference if current is before else now), now
