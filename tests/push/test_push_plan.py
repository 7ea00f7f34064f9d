"""The plan of a push: the action for each object, and when deletions are refused."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import component, issue
from msgspec.structs import replace

from icsfeed.dav.names import object_name
from icsfeed.ics.component import Component
from icsfeed.push.action import DELETIONS, WRITES, Action, ActionKind, DeletionLimits, MissingPart, PushPlan
from icsfeed.push.object import Adopt, Claim, ParsedObject, read_object, write_object
from icsfeed.push.plan import (
    DesiredObject,
    RemoteObject,
    decide_after_change,
    desired_objects,
    has_emoji,
    is_up_to_date,
    plan,
    refuse_deletions,
    unread_parts,
)

OWNER, BASE = "team@abcdefghijkl", "/alice/plane/"
CLAIM = Claim(OWNER)
ADOPTING = Claim(OWNER, adopt=True)
ONE, TWO, THREE = (component(issue(number)) for number in (1, 2, 3))
PERSON = ParsedObject(("party@example.com",))


def at(made: Component) -> str:
    return BASE + object_name(made.uid)


def there(
    made: Component, href: str = "", etag: str = '"1"', owner: str = OWNER, **marks: str
) -> RemoteObject:
    """Return an object as we or another `owner` wrote it; without an owner it has no marks."""
    stored = read_object(write_object(made, owner or OWNER))
    marks = {**marks, **({} if owner else {"owner": "", "hash": ""})}
    return RemoteObject(href or at(made), etag, replace(stored, **marks))


def kinds(
    wanted: Iterable[Component], *present: RemoteObject, adopt: Adopt = False
) -> list[tuple[ActionKind, str]]:
    """Return the kinds and names of the planned actions: all of what is there have its ETag and UID."""
    desired = desired_objects(wanted, OWNER)
    made = plan(desired, present, Claim(OWNER, adopt), BASE)
    objects = {entry.href: entry for entry in present}
    for action in made.actions:
        entry = objects.get(action.href)
        assert action.etag == (entry.etag if entry is not None else ""), "a write without its condition"
        assert action.uid in (*desired, *(entry.uids if entry is not None else ()))
    return [(action.kind, action.href.removeprefix(BASE)) for action in made.actions]


def test_a_new_item_is_created_at_its_standard_address() -> None:
    made = plan(desired_objects([ONE], OWNER), [], CLAIM, BASE)
    assert made == PushPlan((Action("create", ONE.uid, "/alice/plane/plane-issue-i1.ics"),), 0)


def test_an_up_to_date_object_is_left_and_an_outdated_one_updated_at_its_href() -> None:
    changed = replace(TWO, summary="other")
    found = kinds([ONE, TWO], there(ONE, BASE + "a.ics"), there(changed, BASE + "b.ics"))
    assert found == [("leave", "a.ics"), ("update", "b.ics")]


@pytest.mark.parametrize("mark", ["hash", "facts"])
def test_an_object_that_somebody_changed_is_restored(mark: str) -> None:
    found = plan(desired_objects([ONE], OWNER), [there(ONE, **{mark: "x"})], CLAIM, BASE)
    assert found.actions == (Action("update", ONE.uid, at(ONE), '"1"'),)


def test_alarms_and_properties_that_others_added_are_no_difference() -> None:
    stored = there(ONE).stored
    assert stored is not None
    added = replace(stored, extras=("X-THEIRS:1",), alarms=(("BEGIN:VALARM", "END:VALARM"),))
    assert kinds([ONE], RemoteObject(at(ONE), '"1"', added)) == [("leave", object_name(ONE.uid))]


def test_our_objects_that_the_feed_no_longer_holds_are_deleted() -> None:
    other = there(TWO, owner="other")
    unmarked = there(THREE, owner="")
    found = kinds([], there(ONE), other, unmarked, RemoteObject(BASE + "p.ics", '"1"', PERSON))
    assert found == [("delete", object_name(ONE.uid))]
    assert kinds([], unmarked) == []


def test_of_two_of_our_objects_the_one_at_the_standard_address_stays() -> None:
    found = kinds([ONE], there(ONE, BASE + "a.ics"), there(ONE))
    assert found == [("leave", object_name(ONE.uid)), ("duplicate", "a.ics")]
    found = kinds([ONE], there(ONE, BASE + "b.ics"), there(ONE, BASE + "a.ics"))
    assert found == [("leave", "a.ics"), ("duplicate", "b.ics")]
    assert kinds([], there(ONE), there(ONE, BASE + "b.ics")) == [
        ("delete", object_name(ONE.uid)),
        ("duplicate", "b.ics"),
    ]


def test_unmarked_objects_are_adopted_only_with_adopt() -> None:
    theirs = there(ONE, BASE + "theirs.ics", owner="")
    assert kinds([ONE], theirs, adopt=True) == [("adopt", "theirs.ics")]
    (conflict,) = plan(desired_objects([ONE], OWNER), [theirs], CLAIM, BASE).actions
    assert (conflict.kind, conflict.href) == ("conflict", BASE + "theirs.ics")
    assert "`adopt: true`" in conflict.reason


def test_of_several_unmarked_objects_one_is_adopted_and_the_rest_reported() -> None:
    found = kinds([ONE], there(ONE, BASE + "a.ics", owner=""), there(ONE, owner=""), adopt=True)
    assert found == [("adopt", object_name(ONE.uid)), ("conflict", "a.ics")]


@pytest.mark.parametrize("adopt", [False, True])
def test_a_foreign_object_with_the_uid_of_ours_is_reported(adopt: bool) -> None:
    found = kinds([ONE], there(ONE), there(ONE, BASE + "a.ics", owner=""), adopt=adopt)
    assert found == [("leave", object_name(ONE.uid)), ("conflict", "a.ics")]


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize(
    ("present", "reason"),
    [
        (there(ONE, owner="other"), "the feed 'other'"),
        (there(ONE, owner="other@abcdefghijkl"), "`adopt: [other]` takes it over"),
        (there(ONE, owner="team@zzzzzzzzzzzz"), "`adopt: [team@zzzzzzzzzzzz]` takes it over"),
        (
            RemoteObject(BASE + "a.ics", '"1"', ParsedObject((ONE.uid, "party@example.com"))),
            "holds other events too",
        ),
        (RemoteObject(at(ONE), '"1"', PERSON), "is at this address"),
        (RemoteObject(at(ONE), '"1"', ParsedObject()), "is at this address"),
        (RemoteObject(at(ONE), '"1"', None), "is at this address"),
        (there(TWO, at(ONE)), "is at this address"),
    ],
)
def test_what_is_not_ours_is_never_replaced(present: RemoteObject, reason: str, adopt: bool) -> None:
    made = plan(desired_objects([ONE], OWNER), [present], Claim(OWNER, adopt), BASE)
    conflict = made.of("conflict")[0]
    assert (conflict.href, reason in conflict.reason) == (present.href, True)
    assert not made.of(*WRITES)


def test_a_blank_object_at_our_address_is_replaced_and_one_elsewhere_is_left() -> None:
    destroyed = read_object(b"(null)")
    assert kinds([ONE], RemoteObject(at(ONE), '"1"', destroyed)) == [("update", object_name(ONE.uid))]
    assert kinds([ONE], RemoteObject(BASE + "a.ics", '"1"', destroyed)) == [("create", object_name(ONE.uid))]
    assert kinds([ONE], there(ONE, BASE + "a.ics"), RemoteObject(at(ONE), '"1"', destroyed)) == [
        ("leave", "a.ics")
    ]
    assert kinds([], RemoteObject(at(ONE), '"1"', destroyed)) == []


def test_an_object_that_cannot_be_read_is_never_deleted() -> None:
    assert kinds([], RemoteObject(at(ONE), '"1"', None)) == []


def test_an_object_that_cannot_be_read_now_is_not_created_again() -> None:
    hidden = RemoteObject(BASE + "moved.ics", '"1"', None, last_uid=ONE.uid)
    made = plan(desired_objects([ONE], OWNER), [hidden], CLAIM, BASE)
    (conflict,) = made.of("conflict")
    assert (conflict.href, "cannot be read now" in conflict.reason) == (hidden.href, True)
    assert not made.of(*WRITES)


def test_an_accepted_alteration_holds_as_long_as_the_component_is_unchanged() -> None:
    wanted = desired_objects([ONE], OWNER)
    odd = there(ONE, facts="odd")
    accepted = {ONE.uid: (wanted[ONE.uid].hash, "odd")}
    assert plan(wanted, [odd], CLAIM, BASE, accepted=accepted).of("leave")
    assert plan(wanted, [there(ONE)], CLAIM, BASE, accepted=accepted).of("leave")
    assert plan(wanted, [there(ONE, facts="odder")], CLAIM, BASE, accepted=accepted).of("update")
    newer = desired_objects([replace(ONE, summary="newer")], OWNER)
    assert plan(newer, [odd], CLAIM, BASE, accepted=accepted).of("update")
    assert plan(newer, [odd], CLAIM, BASE, accepted={ONE.uid: ("old", "odd")}).of("update")


def test_actions_come_in_the_order_of_the_feed_with_deletions_last() -> None:
    made = plan(desired_objects([THREE, ONE], OWNER), [there(TWO)], CLAIM, BASE)
    assert [(action.kind, action.uid) for action in made.actions] == [
        ("create", ONE.uid),
        ("create", THREE.uid),
        ("delete", TWO.uid),
    ]


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("plane-issue-1a@calplanebot", "plane-issue-1a.ics"),
        ("icsfeed-overdue-a.b_c-D@calplanebot", "icsfeed-overdue-a.b_c-D.ics"),
    ],
)
def test_an_address_is_the_local_part_of_the_uid(uid: str, name: str) -> None:
    assert object_name(uid) == name


@given(st.text(), st.text())
def test_an_address_is_plain_ascii_and_unique(one: str, other: str) -> None:
    found = object_name(f"{one}@calplanebot")
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.ics", found)
    assert "@" in one or "@" in other or (found == object_name(f"{other}@calplanebot")) == (one == other)


def test_strip_emoji_removes_emoji() -> None:
    made = replace(ONE, summary="Party 🎉 now", description="a 👍🏽 b ✓ ü", categories=("🎉", "ok 🎉"))
    (item,) = desired_objects([made], OWNER, strip_emoji=True).values()
    shown = item.component
    assert (shown.summary, shown.description, shown.categories) == ("Party  now", "a  b ✓ ü", ("ok",))
    (bare,) = desired_objects([replace(ONE, summary="🎉")], OWNER, strip_emoji=True).values()
    assert bare.component.summary == "(no title)"
    (kept,) = desired_objects([made], OWNER).values()
    assert kept.component == made
    assert [has_emoji(one) for one in (made, shown, ONE)] == [True, False, False]
    assert kept.hash != item.hash


def test_characters_that_xml_forbids_are_in_no_object() -> None:
    made = replace(ONE, summary="a\ufffeb \ufffd", description="c\uffff", categories=("\uffff", "d\ufffe"))
    (item,) = desired_objects([made], OWNER).values()
    shown = item.component
    assert (shown.summary, shown.description, shown.categories) == ("ab \ufffd", "c", ("d",))
    (same,) = desired_objects([ONE], OWNER).values()
    assert same.component is ONE


def planned(deletes: int, owned: int) -> PushPlan:
    return PushPlan(tuple(Action("delete", f"u{n}", f"/{n}") for n in range(deletes)), owned)


@pytest.mark.parametrize(
    ("deletes", "owned", "wanted", "refused"),
    [
        (0, 0, 0, False),
        (0, 5, 0, False),
        (1, 1, 0, True),
        (1, 1, 1, False),
        (10, 10, 1, False),
        (11, 44, 33, False),
        (11, 43, 32, True),
        (100, 400, 300, False),
        (101, 400, 299, True),
    ],
)
def test_deletions_are_refused_for_an_empty_feed_and_above_both_limits(
    deletes: int, owned: int, wanted: int, refused: bool
) -> None:
    found = refuse_deletions(planned(deletes, owned), wanted, DeletionLimits())
    assert (found is not None) is refused
    assert found is None or f"{deletes} " in found.reason
    assert found is None or not found.final
    assert refuse_deletions(planned(deletes, owned), wanted, DeletionLimits(), force=True) is None


@pytest.mark.parametrize(
    ("limits", "deletes", "refused"),
    [
        (DeletionLimits(0, 0), 1, True),
        (DeletionLimits(0, 1), 9, False),
        (DeletionLimits(3, 0.1), 3, False),
        (DeletionLimits(3, 0.1), 4, True),
    ],
)
def test_the_deletion_limits_are_configurable(limits: DeletionLimits, deletes: int, refused: bool) -> None:
    assert (refuse_deletions(planned(deletes, 10), 1, limits) is not None) is refused


def test_duplicates_count_as_deletions() -> None:
    made = PushPlan((Action("duplicate", "u", "/1"),), 2)
    assert refuse_deletions(made, 0, DeletionLimits()) is not None


LOST = MissingPart("the states of WEB")


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_deleted_after_a_partial_read_not_even_by_force(force: bool) -> None:
    found = refuse_deletions(planned(1, 100), 99, DeletionLimits(), [LOST], force=force)
    assert found is not None
    assert (found.final, "the states of WEB" in found.reason) == (True, True)
    assert refuse_deletions(planned(0, 100), 99, DeletionLimits(), [LOST], force=force) is None


@pytest.mark.parametrize(
    ("count", "named"), [(1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more")]
)
def test_at_most_five_missing_parts_are_named(count: int, named: str) -> None:
    assert unread_parts([MissingPart(str(number)) for number in range(count)], force=False) == named


ITEM: DesiredObject = desired_objects([ONE], OWNER)[ONE.uid]
FOREIGN = RemoteObject(at(ONE), '"2"', PERSON)
OLD = replace(ONE, summary="old")


@pytest.mark.parametrize(
    ("action", "item", "found", "kind", "etag"),
    [
        pytest.param("create", ITEM, there(ONE, etag='"2"'), "leave", '"2"', id="its answer was lost"),
        pytest.param("create", ITEM, None, "create", "", id="create, nothing there"),
        pytest.param("create", ITEM, there(OLD, etag='"2"'), "update", '"2"', id="create, an older one"),
        pytest.param("create", ITEM, FOREIGN, "conflict", '"1"', id="create, a foreign one"),
        pytest.param("create", ITEM, there(OLD, owner=""), "conflict", '"1"', id="create, an unmarked one"),
        pytest.param("update", ITEM, there(ONE, etag='"2"'), "leave", '"2"', id="update done already"),
        pytest.param("update", ITEM, None, "create", "", id="update, gone"),
        pytest.param("update", ITEM, there(OLD, etag='"2"'), "update", '"2"', id="update, edited again"),
        pytest.param("update", ITEM, there(OLD), "rejected", '"1"', id="update, not changed at all"),
        pytest.param("update", ITEM, FOREIGN, "conflict", '"1"', id="update, replaced"),
        pytest.param(
            "update", ITEM, RemoteObject(at(ONE), '"2"', None), "conflict", '"1"', id="not readable"
        ),
        pytest.param("adopt", ITEM, there(OLD, etag='"2"', owner=""), "adopt", '"2"', id="adopt, edited"),
        pytest.param("leftover", None, there(OLD, etag='"2"', owner=""), "leftover", '"2"', id="leftover"),
        pytest.param("adopt", ITEM, there(ONE, etag='"2"'), "leave", '"2"', id="adopted already"),
        pytest.param("adopt", ITEM, FOREIGN, "conflict", '"1"', id="adopt, replaced"),
        pytest.param(
            "adopt", ITEM, there(OLD, etag='"2"', owner="b"), "conflict", '"1"', id="adopted by another"
        ),
        pytest.param("delete", None, None, "leave", '"1"', id="deleted already"),
        pytest.param("delete", None, there(OLD, etag='"2"'), "delete", '"2"', id="delete, edited"),
        pytest.param("delete", None, there(OLD), "rejected", '"1"', id="delete, not changed at all"),
        pytest.param("delete", None, FOREIGN, "conflict", '"1"', id="delete, replaced"),
        pytest.param("duplicate", None, there(ONE, etag='"2"'), "duplicate", '"2"', id="duplicate, edited"),
    ],
)
def test_a_changed_object_is_decided_again(
    action: ActionKind, item: DesiredObject | None, found: RemoteObject | None, kind: ActionKind, etag: str
) -> None:
    claim = ADOPTING if action in ("adopt", "leftover") else CLAIM
    again = decide_after_change(Action(action, ONE.uid, at(ONE), '"1"'), item, found, claim)
    assert (again.kind, again.etag, again.uid, again.href) == (kind, etag, ONE.uid, at(ONE))
    assert bool(again.reason) == (kind in ("conflict", "rejected"))


COMPONENTS = [component(issue(number)) for number in range(6)]
OBJECTS = st.builds(
    there,
    st.sampled_from([made for one in COMPONENTS for made in (one, replace(one, summary="old"))]),
    owner=st.sampled_from([OWNER, OWNER, "other", ""]),
) | st.sampled_from([FOREIGN, RemoteObject(at(ONE), '"1"', None)])
COLLECTIONS = st.lists(OBJECTS, max_size=8).map(
    lambda objects: [replace(one, href=f"{BASE}{n}.ics") for n, one in enumerate(objects)]
)


@given(st.lists(st.sampled_from(COMPONENTS), unique=True), COLLECTIONS, st.booleans())
def test_a_plan_covers_each_desired_object_once_and_is_idempotent(
    feed: list[Component], present: list[RemoteObject], adopt: bool
) -> None:
    wanted = desired_objects(feed, OWNER)
    made = plan(wanted, present, Claim(OWNER, adopt), BASE)
    settled = made.of("leave", *WRITES)
    conflicts = {action.uid for action in made.of("conflict")}
    assert {action.uid for action in settled} | conflicts == set(wanted)
    assert len({action.uid for action in settled}) == len(settled)
    touched = {action.href for action in made.of("update", "adopt", *DELETIONS)}
    ours = {one.href for one in present if one.stored and one.stored.owner == OWNER}
    assert touched - {action.href for action in made.of("adopt")} <= ours
    after = _after(made, wanted, present)
    again = plan(wanted, after, Claim(OWNER, adopt), BASE)
    assert not again.of(*WRITES, *DELETIONS)
    assert again.owned == len(settled)
    assert [one for one in after if one.href not in touched and one.href in {p.href for p in present}] == [
        one for one in present if one.href not in touched
    ]


def _after(
    made: PushPlan, wanted: dict[str, DesiredObject], present: list[RemoteObject]
) -> list[RemoteObject]:
    """Return the collection after the plan was carried out."""
    objects = {one.href: one for one in present}
    for action in made.of(*DELETIONS):
        del objects[action.href]
    for action in made.of(*WRITES):
        objects[action.href] = there(wanted[action.uid].component, action.href)
    return list(objects.values())


def test_up_to_date_means_our_hash_and_the_same_facts() -> None:
    stored = there(ONE).stored
    assert stored is not None
    assert is_up_to_date(ITEM, stored)
    assert not is_up_to_date(ITEM, replace(stored, facts="x"))
    assert not is_up_to_date(ITEM, replace(stored, hash="x"))


OLD_MARK, OTHER_MARK = "team", "team@zzzzzzzzzzzz"


def test_two_installations_with_a_feed_of_one_name_leave_each_other_alone() -> None:
    theirs = there(TWO, owner=OTHER_MARK)
    assert kinds([ONE], there(ONE), theirs) == [("leave", object_name(ONE.uid))]
    assert kinds([TWO], theirs) == [("conflict", object_name(TWO.uid))]


def test_a_mark_without_an_installation_is_renewed_and_never_a_reason_to_delete() -> None:
    assert kinds([ONE], there(ONE, owner=OLD_MARK)) == [("update", object_name(ONE.uid))]
    assert kinds([], there(ONE, owner=OLD_MARK)) == [("leftover", object_name(ONE.uid))]
    found = kinds([ONE], there(ONE), there(ONE, BASE + "b.ics", owner=OLD_MARK))
    assert found == [("leave", object_name(ONE.uid)), ("leftover", "b.ics")]


@pytest.mark.parametrize(
    ("adopt", "owner", "kind"),
    [
        (("old",), "old", "adopt"),
        (("old",), "old@abcdefghijkl", "adopt"),
        (("old",), "old@zzzzzzzzzzzz", "conflict"),
        (("old@zzzzzzzzzzzz",), "old@zzzzzzzzzzzz", "adopt"),
        (("old", "older"), "older", "adopt"),
        (("old",), "other", "conflict"),
        (("old",), "", "conflict"),
        (True, "old", "conflict"),
        (False, "old", "conflict"),
    ],
)
def test_objects_of_a_former_feed_are_adopted_if_it_is_named(
    adopt: Adopt, owner: str, kind: ActionKind
) -> None:
    assert kinds([ONE], there(ONE, owner=owner), adopt=adopt) == [(kind, object_name(ONE.uid))]
    leftovers = [] if kind == "conflict" else [("leftover", object_name(ONE.uid))]
    assert kinds([], there(ONE, owner=owner), adopt=adopt) == leftovers


@pytest.mark.parametrize(("missing", "refused"), [((), False), ((LOST,), True)])
def test_leftovers_are_deleted_only_with_force_after_a_complete_read(
    missing: tuple[MissingPart, ...], refused: bool
) -> None:
    made = plan(desired_objects([ONE], OWNER), [there(TWO, owner="")], ADOPTING, BASE)
    assert [action.kind for action in made.actions] == ["create", "leftover"]
    assert (made.deletions(force=False), refuse_deletions(made, 1, DeletionLimits(), missing)) == ((), None)
    assert [action.uid for action in made.deletions(force=True)] == [TWO.uid]
    assert (refuse_deletions(made, 1, DeletionLimits(), missing, force=True) is not None) is refused


def test_a_missing_part_that_is_not_final_can_be_forced() -> None:
    lost = [MissingPart("the project WEB, which the key cannot see any more", final=False)]
    found = refuse_deletions(planned(1, 100), 99, DeletionLimits(), lost)
    assert found is not None
    assert (found.final, "the project WEB" in found.reason) == (False, True)
    assert refuse_deletions(planned(1, 100), 99, DeletionLimits(), lost, force=True) is None
    assert refuse_deletions(planned(1, 100), 99, DeletionLimits(), [*lost, LOST], force=True) is not None
