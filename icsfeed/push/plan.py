"""Decide what a push does: the actions for each object of a collection, and whether deletions are safe.

Only values, no requests. *Ours* is an object with exactly one UID, which is one of icsfeed's, and the owner
mark of the target's feed (see Claim). Nothing else is replaced or deleted, unless it may be adopted.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.dav.names import object_name
from icsfeed.ics.component import Component
from icsfeed.push.action import Action, DeletionLimits, DeletionRefusal, MissingPart, PushPlan
from icsfeed.push.object import Claim, ParsedObject, hash_of, read_object, write_object

_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]\ufe0f?")
"""Characters beyond the Basic Multilingual Plane, such as emoji."""
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""Characters that iCalendar allows and XML does not: servers send them in their XML as they are."""


class DesiredObject(Struct, frozen=True):
    """A component of the feed. `hash`: of the component; `facts`: see ParsedObject."""

    component: Component
    hash: str
    facts: str


class RemoteObject(Struct, frozen=True):
    """An object of the collection.

    `stored`: its content; None if it is listed but cannot be read, and then `last_uid` is the UID that it
    had before, empty if that was none of ours.
    """

    href: str
    etag: str
    stored: ParsedObject | None
    last_uid: str = ""

    @property
    def uids(self) -> tuple[str, ...]:
        """Return all UIDs in it, as far as known."""
        if self.stored is None:
            return (self.last_uid,) if self.last_uid else ()
        return self.stored.uids


Accepted: TypeAlias = tuple[str, str]
"""The hash that we wrote, and the facts that were read back: how this server alters an object."""


def desired_objects(
    components: Iterable[Component], owner: str, *, strip_emoji: bool = False
) -> dict[str, DesiredObject]:
    """Return the objects that a collection should hold, by UID and in feed order."""
    desired = {}
    for component in sorted(components, key=lambda component: component.sort_key):
        if _contains(component, _NOT_IN_XML):
            component = _without(_NOT_IN_XML, component)
        if strip_emoji:
            component = _without(_BEYOND_BMP, component)
        facts = read_object(write_object(component, owner)).facts
        desired[component.uid] = DesiredObject(component, hash_of(component), facts)
    return desired


def _without(characters: re.Pattern[str], component: Component) -> Component:
    return replace(
        component,
        summary=characters.sub("", component.summary).strip() or "(no title)",
        description=characters.sub("", component.description),
        categories=tuple(
            name for category in component.categories if (name := characters.sub("", category).strip())
        ),
    )


def _contains(component: Component, characters: re.Pattern[str]) -> bool:
    texts = (component.summary, component.description, *component.categories)
    return any(characters.search(text) for text in texts)


def has_emoji(component: Component) -> bool:
    """Return whether `strip_emoji` changes the component. SOGo 5.8 destroys some objects with emoji."""
    return _contains(component, _BEYOND_BMP)


def is_up_to_date(
    desired: DesiredObject, stored: ParsedObject, accepted: Mapping[str, Accepted] = {}
) -> bool:
    """Return whether an object needs no update: it is as we wrote it, or as this server always alters it.

    Alarms and X- properties that people have added make no difference. The hash alone is not enough: apps
    keep X- properties, and so our hash, when a person edits an event.
    """
    as_written = ((desired.hash, desired.facts), accepted.get(desired.component.uid))
    return stored.hash == desired.hash and (stored.hash, stored.facts) in as_written


def plan(
    desired: Mapping[str, DesiredObject],
    remote: Sequence[RemoteObject],
    claim: Claim,
    base: str,
    *,
    accepted: Mapping[str, Accepted] = {},
) -> PushPlan:
    """Return the actions that make the collection at the path `base` hold exactly the desired objects."""
    owned: dict[str, list[RemoteObject]] = defaultdict(list)
    others: dict[str, list[RemoteObject]] = defaultdict(list)
    for entry in remote:
        if entry.stored is not None and claim.owns(entry.stored):
            owned[entry.stored.uid].append(entry)
        else:
            for uid in entry.uids:
                others[uid].append(entry)
    by_href = {entry.href: entry for entry in remote}
    actions: list[Action] = []
    for uid, item in desired.items():
        href = base + object_name(uid)
        if uid in owned:
            best = _preferred(owned[uid], href)
            is_right = best.stored is not None and is_up_to_date(item, best.stored, accepted)
            actions.append(Action("leave" if is_right else "update", uid, best.href, best.etag))
            actions += (_plan_second(uid, other, claim) for other in others.get(uid, ()))
        else:
            actions += _plan_unowned(uid, href, others.get(uid, ()), by_href.get(href), claim)
    actions += _plan_removals(desired, remote, owned, claim, base)
    return PushPlan(tuple(actions), sum(map(len, owned.values())))


def _plan_removals(
    desired: Mapping[str, DesiredObject],
    remote: Iterable[RemoteObject],
    owned: Mapping[str, Sequence[RemoteObject]],
    claim: Claim,
    base: str,
) -> Iterator[Action]:
    """Yield the deletions of our own objects that are duplicates or not desired, and the leftovers."""
    for uid, same_uid in sorted(owned.items()):
        best = _preferred(same_uid, base + object_name(uid))
        for entry in same_uid:
            if entry is not best:
                yield Action("duplicate", uid, entry.href, entry.etag)
            elif uid not in desired:
                yield Action("delete", uid, entry.href, entry.etag)
    # We could adopt these objects, but the feed does not hold their issues, and another program may need
    # them: they are reported, and deleted only with --force.
    for entry in sorted(remote, key=lambda entry: entry.href):
        if entry.stored is not None and entry.stored.uid not in desired and claim.may_adopt(entry.stored):
            yield Action("leftover", entry.stored.uid, entry.href, entry.etag)


def _preferred(same_uid: Iterable[RemoteObject], standard_href: str) -> RemoteObject:
    """Return the object at the standard address, else the first by address, so that all replicas agree."""
    return min(same_uid, key=lambda entry: (entry.href != standard_href, entry.href))


def _plan_unowned(
    uid: str, href: str, others: Sequence[RemoteObject], at_href: RemoteObject | None, claim: Claim
) -> Iterator[Action]:
    """Yield the actions for a UID that none of our objects has. `href`: the address of a new object."""
    if others:
        adoptable = [other for other in others if claim.may_adopt(other.stored)]
        chosen = _preferred(adoptable, href) if adoptable else None
        if chosen is not None and chosen.stored is not None:
            # Marked by an earlier version of icsfeed, it is ours already: only the mark is renewed.
            is_update = claim.has_former_mark(chosen.stored)
            yield Action("update" if is_update else "adopt", uid, chosen.href, chosen.etag)
        for other in others:
            if chosen is None:
                yield _conflict(uid, other, claim.conflict_reason(other.stored))
            elif other is not chosen:
                yield _plan_second(uid, other, claim)
    elif at_href is None:
        yield Action("create", uid, href)
    elif at_href.stored is not None and at_href.stored.blank:
        # What SOGo 5.8 has destroyed, `(null)`, has no UID. Only we write to this address: replace it.
        yield Action("update", uid, href, at_href.etag)
    else:
        reason = "another object, or one that cannot be read, is at this address"
        yield Action("conflict", uid, href, reason=reason)


def _plan_second(uid: str, other: RemoteObject, claim: Claim) -> Action:
    """Return the action for another object with the UID of an object that is, or becomes, ours.

    sabre/dav and DAViCal store several objects with one UID.
    """
    if other.stored is not None and other.stored.uid and claim.has_former_mark(other.stored):
        return Action("leftover", uid, other.href, other.etag)
    return _conflict(uid, other, "it has the UID of one of our objects and is not ours: delete it by hand")


def _conflict(uid: str, other: RemoteObject, reason: str) -> Action:
    return Action("conflict", uid, other.href, other.etag, reason)


def refuse_deletions(
    plan: PushPlan,
    desired_count: int,
    limits: DeletionLimits,
    missing: Sequence[MissingPart] = (),
    *,
    force: bool = False,
) -> DeletionRefusal | None:
    """Return why none of the plan's deletions may be done; None if all may. Writes are not affected.

    An object may only be deleted if its issue is known to be gone, so nothing is deleted after a partial
    read of Plane. The limits protect against a mistake in the configuration that empties a feed.
    """
    count = len(plan.deletions(force=force))
    unread = unread_parts(missing, force=force)
    if not count:
        return None
    if unread:
        reason = f"Plane could not be read completely, so it is unknown what is gone; missing: {unread}"
        return DeletionRefusal(reason, final=any(part.final for part in missing))
    if force:
        return None
    if not desired_count:
        return DeletionRefusal(f"the feed is empty, and {count} objects would be deleted")
    if count > limits.least and count > limits.ratio * plan.owned:
        return DeletionRefusal(f"{count} of {plan.owned} objects would be deleted")
    return None


def unread_parts(missing: Sequence[MissingPart], *, force: bool) -> str:
    """Return the names of the first five parts that forbid deletions; empty if there are none."""
    parts = [entry.part for entry in missing if entry.final or not force]
    more = f" and {len(parts) - 5} more" if len(parts) > 5 else ""
    return ", ".join(parts[:5]) + more


def decide_after_change(
    action: Action, desired: DesiredObject | None, current: RemoteObject | None, claim: Claim
) -> Action:
    """Return the action to do instead, after a 412 said that the object is not what it was.

    `desired`: None for a deletion. `current`: the object as it is now; None: it is gone.
    """
    if current is None:
        if desired is None:
            return replace(action, kind="leave")
        return replace(action, kind="create", etag="")
    is_ours = claim.owns(current.stored)
    is_adoptable = action.kind in ("adopt", "update", "leftover") and claim.may_adopt(current.stored)
    if current.stored is None or current.stored.uids != (action.uid,) or not (is_ours or is_adoptable):
        return replace(action, kind="conflict", reason="another object is at this address now")
    # Our own write, whose response was lost.
    if desired is not None and is_ours and is_up_to_date(desired, current.stored):
        return replace(action, kind="leave", etag=current.etag)
    # The object has not changed, so the 412 means something else: Radicale answers so if one is too large.
    if current.etag == action.etag:
        reason = "the server rejects it without a reason; it may be too large"
        return replace(action, kind="rejected", reason=reason)
    return replace(action, kind="update" if action.kind == "create" else action.kind, etag=current.etag)
