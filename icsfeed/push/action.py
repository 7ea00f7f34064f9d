"""What a push may do to one object, the plan of a run, and the limits on its deletions: values only."""

from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal[
    "leave", "create", "update", "adopt", "delete", "duplicate", "leftover", "conflict", "rejected"
]
"""`duplicate`: the second of two of ours with one UID, to be deleted. `rejected`: the server refuses it.

`leftover`: what could be taken over, of an issue that the feed does not hold: deleted with --force.
"""

WRITES: frozenset[Kind] = frozenset({"create", "update", "adopt"})
DELETES: frozenset[Kind] = frozenset({"delete", "duplicate"})


class Action(Struct, frozen=True):
    """What is to become of one object. `etag` is what it was when that was decided."""

    kind: Kind
    uid: str
    href: str
    etag: str = ""
    reason: str = ""


class PushPlan(Struct, frozen=True):
    """The actions, in the order of the feed, and how many objects of the collection are ours."""

    actions: tuple[Action, ...]
    owned: int

    def of(self, *kinds: Kind) -> tuple[Action, ...]:
        """The actions of these kinds."""
        return tuple(action for action in self.actions if action.kind in kinds)

    def deletions(self, *, force: bool) -> tuple[Action, ...]:
        """The deletions; those of leftovers only with `force`."""
        return self.of(*DELETES, "leftover") if force else self.of(*DELETES)


class DeletionLimits(Struct, frozen=True):
    """How many of our objects a run may delete: `least` always, above it no more than `ratio` of all."""

    least: int = 10
    ratio: float = 0.25


class DeletionRefusal(Struct, frozen=True):
    """Why nothing is deleted. `final`: --force does not change it."""

    reason: str
    final: bool = False


class MissingPart(Struct, frozen=True):
    """A part of Plane that was not read in this run. `final`: with --force too nothing is deleted."""

    part: str
    final: bool = True
