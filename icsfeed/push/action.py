"""Values of a push plan: the action for each object, the plan of a run, and the limits on deletions."""

from typing import Literal, TypeAlias

from msgspec import Struct

ActionKind: TypeAlias = Literal[
    "leave", "create", "update", "adopt", "delete", "duplicate", "leftover", "conflict", "rejected"
]
"""What is done with an object.

`adopt`: take over an object without our mark. `duplicate`: delete the second of two objects of ours with
one UID. `leftover`: an object that we could adopt, of an issue that the feed does not hold; deleted only
with --force. `conflict`: an object of somebody else has the UID or the address. `rejected`: the server
refuses the object.
"""

WRITES: frozenset[ActionKind] = frozenset({"create", "update", "adopt"})
DELETIONS: frozenset[ActionKind] = frozenset({"delete", "duplicate"})


class Action(Struct, frozen=True):
    """One action. `etag`: the object's etag when the action was decided; empty for a new object."""

    kind: ActionKind
    uid: str
    href: str
    etag: str = ""
    reason: str = ""


class PushPlan(Struct, frozen=True):
    """The actions, in the order of the feed, and the number of objects in the collection that are ours."""

    actions: tuple[Action, ...]
    owned: int

    def of(self, *kinds: ActionKind) -> tuple[Action, ...]:
        """Return the actions of these kinds."""
        return tuple(action for action in self.actions if action.kind in kinds)

    def deletions(self, *, force: bool) -> tuple[Action, ...]:
        """Return the deletions; with `force` those of leftovers, too."""
        return self.of(*DELETIONS, "leftover") if force else self.of(*DELETIONS)


class DeletionLimits(Struct, frozen=True):
    """How many of our objects one run may delete: `least` always, more only up to `ratio` of all of them.

    `min_delete` and `max_delete_ratio` of the configuration.
    """

    least: int = 10
    ratio: float = 0.25


class DeletionRefusal(Struct, frozen=True):
    """Why a run deletes nothing. `final`: --force does not override it."""

    reason: str
    final: bool = False


class MissingPart(Struct, frozen=True):
    """A part of Plane that this run could not read. `final`: nothing is deleted, even with --force."""

    part: str
    final: bool = True
