"""What a push does to a collection: wanted components and present objects to actions, and the guards.

Pure. *Ours* is an object that holds exactly one UID of mapping.md and carries the owner mark of the
feed (caldav.md, push_claim.py). Nothing else is replaced or removed, unless it may be taken over.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.ics.component import Component
from icsfeed.push.action import Action, DeletionLimits, DeletionRefusal, MissingPart, PushPlan
from icsfeed.push.object import Claim, ParsedObject, hash_of, read_object, write_object

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_DOUBLE = "beside our object with this UID there is this one, which is not ours: delete it by hand"
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]\ufe0f?")
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""What a calendar may hold and XML may not, in which servers hand it out: they pass it on as it is."""


class DesiredObject(Struct, frozen=True):
    """A component that the feed holds, with its `hash` and the `facts` that people see of it."""

    component: Component
    hash: str
    facts: str


class RemoteObject(Struct, frozen=True):
    """An object of the collection.

    `stored` is None where it is listed and cannot be read; `was`: the UID of ours that it then had before.
    """

    href: str
    etag: str
    stored: ParsedObject | None
    was: str = ""

    @property
    def uids(self) -> tuple[str, ...]:
        """All that are in it, as far as that is known."""
        if self.stored is None:
            return (self.was,) if self.was else ()
        return self.stored.uids


Accepted: TypeAlias = tuple[str, str]
"""The hash that we wrote and the facts that the server made of it: its way of storing things."""


def desired_objects(
    components: Iterable[Component], owner: str, *, strip_emoji: bool = False
) -> dict[str, DesiredObject]:
    """What a collection should hold, by UID, in the order of a feed; without what XML cannot hold."""
    found = {}
    for component in sorted(components, key=lambda component: component.sort_key):
        shown = _without(_NOT_IN_XML, component) if _holds(component, _NOT_IN_XML) else component
        shown = _without(_BEYOND_BMP, shown) if strip_emoji else shown
        facts = read_object(write_object(shown, owner)).facts
        found[shown.uid] = DesiredObject(shown, hash_of(shown), facts)
    return found


def _without(characters: re.Pattern[str], component: Component) -> Component:
    return replace(
        component,
        summary=characters.sub("", component.summary).strip() or "(no title)",
        description=characters.sub("", component.description),
        categories=tuple(name for one in component.categories if (name := characters.sub("", one).strip())),
    )


def _holds(component: Component, characters: re.Pattern[str]) -> bool:
    texts = (component.summary, component.description, *component.categories)
    return any(characters.search(text) for text in texts)


def has_emoji(component: Component) -> bool:
    """Whether it holds what `strip_emoji` takes out: beyond the BMP, SOGo 5.8 destroys objects on it."""
    return _holds(component, _BEYOND_BMP)


def object_name(uid: str) -> str:
    """The last segment of a new object's address: plain ASCII, which every server returns as it was sent."""
    local = uid.partition("@")[0]
    return f"{local if _PLAIN_NAME.fullmatch(local) else sha256(uid.encode()).hexdigest()}.ics"


def is_up_to_date(wanted: DesiredObject, stored: ParsedObject, accepted: Mapping[str, Accepted] = {}) -> bool:
    """Whether an object is what it should be: nobody changed it but by adding alarms and X- properties."""
    known = ((wanted.hash, wanted.facts), accepted.get(wanted.component.uid))
    return stored.hash == wanted.hash and (stored.hash, stored.facts) in known


def plan(
    wanted: Mapping[str, DesiredObject],
    present: Sequence[RemoteObject],
    claim: Claim,
    base: str,
    *,
    accepted: Mapping[str, Accepted] = {},
) -> PushPlan:
    """The actions that make a collection at the path `base` hold what is wanted."""
    owned: dict[str, list[RemoteObject]] = defaultdict(list)
    others: dict[str, list[RemoteObject]] = defaultdict(list)
    for one in present:
        if one.stored is not None and claim.owns(one.stored):
            owned[one.stored.uid].append(one)
        else:
            for uid in one.uids:
                others[uid].append(one)
    taken = {one.href: one for one in present}
    actions: list[Action] = []
    for uid, item in wanted.items():
        if uid in owned:
            kept = _preferred(owned[uid], base + object_name(uid))
            right = is_up_to_date(item, kept.stored or ParsedObject(), accepted)
            actions.append(Action("leave" if right else "update", uid, kept.href, kept.etag))
            actions += (_second_object(uid, other, claim) for other in others.get(uid, ()))
        else:
            actions += _plan_new(uid, others.get(uid, ()), taken, base + object_name(uid), claim)
    actions += _plan_surplus(wanted, owned, base)
    for one in sorted(present, key=lambda one: one.href):
        # What could be taken over, were its issue not gone: another program may still want it.
        if one.stored is not None and one.stored.uid not in wanted and claim.may_adopt(one.stored):
            actions.append(Action("leftover", one.stored.uid, one.href, one.etag))
    return PushPlan(tuple(actions), sum(map(len, owned.values())))


def _preferred(same: Iterable[RemoteObject], standard: str) -> RemoteObject:
    """Of several with one UID the one at the standard address, else the first by address."""
    return min(same, key=lambda one: (one.href != standard, one.href))


def _plan_new(
    uid: str, others: Sequence[RemoteObject], taken: Mapping[str, RemoteObject], href: str, claim: Claim
) -> Iterator[Action]:
    """What becomes of a wanted UID that no object of ours holds."""
    free = [one for one in others if claim.may_adopt(one.stored)]
    chosen = _preferred(free, href) if free else None
    if chosen is not None and chosen.stored is not None:
        renewed = claim.has_former_mark(chosen.stored)
        yield Action("update" if renewed else "adopt", uid, chosen.href, chosen.etag)
    for other in others:
        if other is not chosen:
            yield (
                _second_object(uid, other, claim)
                if chosen
                else _conflict(uid, other, claim.conflict_reason(other.stored))
            )
    if others:
        return
    there = taken.get(href)
    if there is None:
        yield Action("create", uid, href)
    elif there.stored is not None and there.stored.blank:
        # SOGo 5.8 left it, of an object of ours: nobody else writes to our addresses.
        yield Action("update", uid, href, there.etag)
    else:
        reason = "another object, or one that cannot be read, is at this address"
        yield Action("conflict", uid, href, reason=reason)


def _second_object(uid: str, other: RemoteObject, claim: Claim) -> Action:
    """What becomes of a second object that has the UID of one that is ours, or becomes so."""
    if other.stored is not None and other.stored.uid and claim.has_former_mark(other.stored):
        return Action("leftover", uid, other.href, other.etag)
    return _conflict(uid, other, _DOUBLE)


def _conflict(uid: str, other: RemoteObject, reason: str) -> Action:
    return Action("conflict", uid, other.href, other.etag, reason)


def _plan_surplus(
    wanted: Mapping[str, DesiredObject], owned: Mapping[str, Sequence[RemoteObject]], base: str
) -> Iterator[Action]:
    for uid, same in sorted(owned.items()):
        kept = _preferred(same, base + object_name(uid))
        for one in same:
            if one is not kept:
                yield Action("duplicate", uid, one.href, one.etag)
            elif uid not in wanted:
                yield Action("delete", uid, one.href, one.etag)


def refuse_deletions(
    made: PushPlan,
    wanted: int,
    limits: DeletionLimits,
    missing: Sequence[MissingPart] = (),
    *,
    force: bool = False,
) -> DeletionRefusal | None:
    """Why a plan's deletions must not be done; None: they may. `wanted`: how many items the feed has."""
    deletes = len(made.deletions(force=force))
    unread = unread_parts(missing, force=force)
    if not deletes:
        return None
    if unread:
        reason = f"Plane could not be read whole, so that nobody knows what is gone; missing: {unread}"
        return DeletionRefusal(reason, final=any(one.final for one in missing))
    if force:
        return None
    if not wanted:
        return DeletionRefusal(f"the feed is empty, and {deletes} objects would be deleted")
    if deletes > limits.least and deletes > limits.ratio * made.owned:
        return DeletionRefusal(f"{deletes} of {made.owned} objects would be deleted")
    return None


def unread_parts(missing: Sequence[MissingPart], *, force: bool) -> str:
    """The names of the parts because of which nothing may be deleted, the first few; empty: it may."""
    parts = [one.part for one in missing if one.final or not force]
    more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
    return ", ".join(parts[:5]) + more


def decide_after_change(
    action: Action, item: DesiredObject | None, found: RemoteObject | None, claim: Claim
) -> Action:
    """What an action becomes when the server says that the object was changed meanwhile (412).

    `item` is what is wanted there, None for a deletion; `found` the object as it is now, None: it is gone.
    """
    if found is None:
        if item is None:
            return replace(action, kind="leave")
        return replace(action, kind="create", etag="")
    ours = claim.owns(found.stored)
    free = action.kind in ("adopt", "update", "leftover") and claim.may_adopt(found.stored)
    if found.stored is None or found.stored.uids != (action.uid,) or not (ours or free):
        return replace(action, kind="conflict", reason="another object is at this address now")
    if item is not None and ours and is_up_to_date(item, found.stored):
        return replace(action, kind="leave", etag=found.etag)
    if found.etag == action.etag:
        reason = "the server refuses it without a reason; it may be too large"
        return replace(action, kind="rejected", reason=reason)
    return replace(action, kind="update" if action.kind == "create" else action.kind, etag=found.etag)
