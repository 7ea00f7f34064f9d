"""What a push did, for people, scripts and the status page."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from icsfeed.errors import IcsfeedError
from icsfeed.push.plan import Action, DeletionRefusal, Kind, PushPlan, deletions

COUNTED: Mapping[Kind, str] = {
    "create": "created",
    "update": "updated",
    "adopt": "adopted",
    "delete": "deleted",
    "duplicate": "deleted",
    "leftover": "deleted",
    "leave": "kept",
}


LEFT_OVER = (
    "objects of issues that are gone, by another program, a former feed or an earlier version of icsfeed; "
    "if nobody needs them, `icsfeed push --force` deletes them"
)

State: TypeAlias = Literal["idle", "running", "error"]

WORDS: tuple[str, ...] = tuple(dict.fromkeys(COUNTED.values()))


class Failure(Struct, frozen=True):
    """One object that is not as it should be, and why. `locked`: only for now."""

    uid: str
    href: str
    reason: str
    locked: bool = False


class TargetReport(Struct, frozen=True, kw_only=True):
    """One run for one target. `error` ended it early; `refused` kept `spared` from being deleted.

    `leftovers` are objects of issues that are gone, not by us but to be taken over: --force deletes them.
    `unread`: why Plane was not read whole. `actions`: what a dry run would do. `counts`: objects by
    what was done with them.
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
        """Whether the collection is now as it should be."""
        return not (self.error or self.refused or self.failures or self.unread)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be, in sentences."""
        found = [*self.warnings, *(f"{failure.href}: {failure.reason}" for failure in self.failures)]
        found += [self.refused.reason] if self.refused else []
        found += [f"{len(self.leftovers)} {LEFT_OVER}"] if self.leftovers else []
        return (*found, *([str(self.error)] if self.error else []))

    def as_json(self) -> dict[str, Any]:
        """For `--json`: plain values, every key always there but `actions`, which a dry run has."""
        shown: dict[str, Any] = {
            "target": self.target,
            "feed": self.feed,
            "url": self.url,
            **{name: self.counts.get(name, 0) for name in WORDS},
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


class PushProgress:
    """What a run has come to so far: after an error too there is something to report."""

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
        """The report of the run."""
        deletes = deletions(self.plan, force=self.force)
        kept = frozenset(deletes if self.refused else ())
        leftovers = frozenset(() if self.force else self.plan.of("leftover"))
        planned = tuple(action for action in self.plan.actions if action not in kept | leftovers)
        done = planned if dry_run else (*self.plan.of("leave"), *self.done)
        conflicts = [Failure(one.uid, one.href, one.reason) for one in self.plan.of("conflict")]
        return TargetReport(
            target=target,
            feed=feed,
            url=self.url,
            counts=Counter(COUNTED[action.kind] for action in done if action.kind in COUNTED),
            failures=(*conflicts, *self.failures),
            refused=self.refused,
            spared=deletes if self.refused else (),
            leftovers=() if self.force else self.plan.of("leftover"),
            warnings=tuple(self.warnings),
            actions=tuple(one for one in planned if one.kind != "leave") if dry_run else None,
            requests=self.requests,
            seconds=seconds,
            error=error,
            unread=self.unread,
        )


class LastRun(Struct, frozen=True):
    """A target's last run, and when it ended."""

    at: datetime
    report: TargetReport


class PushStats:
    """What pushes have done since the start of the server: it outlives a configuration.

    `last`: the last run of each target. `counts`: objects by target and what was done with them.
    """

    def __init__(self) -> None:
        self.last: dict[str, LastRun] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def count(self, word: str) -> int:
        """Objects of all targets with which this was done: created, updated, deleted ..."""
        return sum(count for (_, done), count in self.counts.items() if done == word)


class PushStatus(Struct, frozen=True):
    """How the pushes are: `error` while the last run of some target was not good.

    `queued`: how many targets wait. `last`: the last run of each target; None: there was none.
    """

    state: State
    last: Mapping[str, LastRun | None]
    next_run: datetime | None
    queued: int
