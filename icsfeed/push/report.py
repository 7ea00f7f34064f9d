"""Reports of pushes, for people, scripts and the status page.

The server and its pages import this module: it must not import what runs a push.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from icsfeed.errors import IcsfeedError
from icsfeed.push.action import Action, ActionKind, DeletionRefusal, PushPlan

RESULTS: Mapping[ActionKind, str] = {
    "create": "created",
    "update": "updated",
    "adopt": "adopted",
    "delete": "deleted",
    "duplicate": "deleted",
    "leftover": "deleted",
    "leave": "kept",
}
"""The result that is counted for an action. `conflict` and `rejected` are reported as failures."""

RESULT_NAMES: tuple[str, ...] = tuple(dict.fromkeys(RESULTS.values()))

State: TypeAlias = Literal["idle", "running", "error"]

LEFTOVERS_TEXT = (
    "objects of removed issues, written by another program, a former feed or an earlier version of icsfeed; "
    "if nobody needs them, `icsfeed push --force` deletes them"
)


class Failure(Struct, frozen=True):
    """One object that could not be brought up to date, and why. `locked`: the server's lock is temporary."""

    uid: str
    href: str
    reason: str
    locked: bool = False


class TargetReport(Struct, frozen=True, kw_only=True):
    """One run for one target.

    `counts`: objects by result (RESULT_NAMES). `error`: what ended the run early. `refused`: why the
    objects of `spared` were not deleted. `leftovers`: see ActionKind. `unread`: why Plane was not read
    completely. `actions`: what a dry run would do; None: it was no dry run. `seconds`: how long it took.
    """

    target: str
    feed: str
    url: str
    counts: Mapping[str, int]
    failures: tuple[Failure, ...] = ()
    refused: DeletionRefusal | None = None
    spared: tuple[Action, ...] = ()
    leftovers: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()
    actions: tuple[Action, ...] | None = None
    requests: int = 0
    seconds: float = 0.0
    error: IcsfeedError | None = None
    unread: IcsfeedError | None = None

    @property
    def is_good(self) -> bool:
        """Return whether the collection now holds exactly the feed."""
        return not (self.error or self.refused or self.failures or self.unread)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return everything that went wrong, one sentence each."""
        problems = [*self.warnings, *(f"{failure.href}: {failure.reason}" for failure in self.failures)]
        problems += [self.refused.reason] if self.refused else []
        problems += [f"{len(self.leftovers)} {LEFTOVERS_TEXT}"] if self.leftovers else []
        return (*problems, *([str(self.error)] if self.error else []))

    def as_json(self) -> dict[str, Any]:
        """Return the report for `--json`: every key is always present, except `actions` (dry runs only)."""
        shown: dict[str, Any] = {
            "target": self.target,
            "feed": self.feed,
            "url": self.url,
            **{name: self.counts.get(name, 0) for name in RESULT_NAMES},
            "failed": [
                {"uid": failure.uid, "href": failure.href, "reason": failure.reason}
                for failure in self.failures
            ],
            "refused": self.refused.reason if self.refused else None,
            "spared": [action.href for action in self.spared],
            "leftovers": [action.href for action in self.leftovers],
            "warnings": list(self.warnings),
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "error": str(self.error) if self.error else None,
        }
        if self.actions is not None:
            shown["actions"] = [
                {"action": action.kind, "uid": action.uid, "href": action.href} for action in self.actions
            ]
        return shown


class LastRun(Struct, frozen=True):
    """The last run of a target, and when it ended."""

    at: datetime
    report: TargetReport


def ignore(*_args: object) -> None:
    """Do nothing: the default of callbacks."""


class PushEvents(Struct, frozen=True):
    """Who is called while a push runs.

    `progress`: with the target and the numbers of finished and of all writes. `wait`: with the target and the
    reason of each wait, and with "" after it. `report`: with each report as soon as there is one, also if the
    push is cancelled.
    """

    progress: Callable[[str, int, int], None] = ignore
    wait: Callable[[str, str], None] = ignore
    report: Callable[[TargetReport], None] = ignore


class PushStats:
    """Results of all pushes since the server started; a reload of the configuration keeps them.

    `last`: the last run by target. `counts`: numbers of objects by target and result.
    """

    def __init__(self) -> None:
        self.last: dict[str, LastRun] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, result: str) -> int:
        """Return the number of objects of all targets with this result: created, updated, deleted ..."""
        return sum(count for (_, name), count in self.counts.items() if name == result)


class PushStatus(Struct, frozen=True):
    """The state of the scheduler: `error` if the last run of any target was not good.

    `last`: the last run by target; None: there was none yet. `queued`: the number of waiting targets.
    """

    state: State
    last: Mapping[str, LastRun | None]
    queued: int


class PushProgress:
    """The results of a run so far, from which a report can be made even after an error.

    `plan`: empty until there is one. `done`: actions that succeeded. `force`: deletions of leftovers
    are allowed. `unread`: why Plane was not read completely.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.plan = PushPlan((), 0)
        self.done: list[Action] = []
        self.failures: list[Failure] = []
        self.warnings: list[str] = []
        self.refused: DeletionRefusal | None = None
        self.force = False
        self.unread: IcsfeedError | None = None
        self.requests = 0

    def report(
        self, target: str, feed: str, seconds: float, error: IcsfeedError | None, *, dry_run: bool
    ) -> TargetReport:
        """Return the report of the run. `error`: what ended it early. A dry run reports what it would do."""
        # What the plan held but the run was not allowed to do must not be counted as done.
        deletes = self.plan.deletions(force=self.force)
        spared = frozenset(deletes if self.refused else ())
        leftovers = frozenset(() if self.force else self.plan.of("leftover"))
        planned = tuple(action for action in self.plan.actions if action not in spared | leftovers)
        done = planned if dry_run else (*self.plan.of("leave"), *self.done)
        conflicts = [Failure(action.uid, action.href, action.reason) for action in self.plan.of("conflict")]
        return TargetReport(
            target=target,
            feed=feed,
            url=self.url,
            counts=Counter(RESULTS[action.kind] for action in done if action.kind in RESULTS),
            failures=(*conflicts, *self.failures),
            refused=self.refused,
            spared=deletes if self.refused else (),
            leftovers=() if self.force else self.plan.of("leftover"),
            warnings=tuple(self.warnings),
            actions=tuple(action for action in planned if action.kind != "leave") if dry_run else None,
            requests=self.requests,
            seconds=seconds,
            error=error,
            unread=self.unread,
        )
