"""Changes of people's links: what each does to the record, and what is refused."""

from datetime import timedelta

import pytest
from msgspec import json
from msgspec.structs import replace
from test_model import NOW, OTHER, TOKEN, link

from icsfeed.errors import LinkRefused
from icsfeed.own_links import changes
from icsfeed.own_links.model import (
    Digests,
    Invitation,
    LastRead,
    LinkReaders,
    LinkRecord,
    OwnLink,
    Session,
    digests_of,
    links_of,
)

ANNA, BEN = "anna@example.com", "ben@example.com"
DAY = timedelta(days=1)


def record(*links: OwnLink) -> LinkRecord:
    return LinkRecord(links=links)


def refusal(change: changes.Change, before: LinkRecord) -> str:
    with pytest.raises(LinkRefused) as refused:
        change(before)
    assert "None" not in str(refused.value), "a value of the text is missing"
    return refused.value.key


def test_a_link_is_added_for_the_folded_address_with_names_without_spaces_at_their_ends() -> None:
    after = changes.added(record(), link(person=" Anna@Example.com", device=" phone ", title=" Mine "))
    assert [(one.person, one.device, one.title) for one in after.links] == [(ANNA, "phone", "Mine")]


@pytest.mark.parametrize(
    ("device", "title", "reason"),
    [
        ("", "", "no name"),
        ("   ", "", "no name"),
        ("x" * 61, "", "bad name"),
        ("a\nb", "", "bad name"),
        ("a\u202eb", "", "bad name"),
        ("phone", "x" * 61, "bad name"),
        ("phone", "a\x00", "bad name"),
        ("PHONE", "", "name taken"),
    ],
)
def test_names_that_cannot_be_used_are_refused(device: str, title: str, reason: str) -> None:
    before = record(link("b", device="phone"))
    assert refusal(lambda now: changes.added(now, link(device=device, title=title)), before) == reason


def test_a_name_is_free_for_another_person_and_once_its_link_is_revoked() -> None:
    before = record(link("b", BEN), link("c", revoked_at=NOW))
    assert len(changes.added(before, link("d")).links) == 3


def test_a_person_has_50_links_at_most() -> None:
    many = record(*(link(str(number), device=str(number)) for number in range(50)))
    assert refusal(lambda now: changes.added(now, link("x")), many) == "too many"
    assert len(changes.added(many, link("x", BEN)).links) == 51


@pytest.mark.parametrize("address", ["", "anna", "a b@c", "a@b@c", "a:b@c", "a@b\x07", "a,b@c", "@b"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert refusal(lambda now: changes.added(now, link(person=address)), record()) == "no address"
    assert refusal(lambda now: changes.invited(now, address, "d", NOW), record()) == "no address"


def test_a_link_is_renamed_and_keeps_its_own_name() -> None:
    before = record(link("a", title="Mine"), link("b", device="laptop"))
    same = changes.renamed(before, "a", "Phone", None, NOW).links[0]
    assert (same.device, same.title, same.changed_at) == ("Phone", "Mine", None)
    other = changes.renamed(before, "a", "phone", "", NOW).links[0]
    assert (other.title, other.changed_at) == ("", NOW)
    assert changes.renamed(before, "a", "x" * 60, None, NOW).links == (
        replace(same, device="x" * 60),
        before.links[1],
    )
    assert refusal(lambda now: changes.renamed(now, "a", "Laptop", None, NOW), before) == "name taken"


def test_a_filter_is_changed_within_bounds_and_not_of_an_account() -> None:
    before = record(link("a"), link("b", device="account", feed=""))
    after = changes.narrowed_to(before, "a", "days=14", NOW).links[0]
    assert (after.narrowing, after.changed_at) == ("days=14", NOW)
    assert changes.narrowed_to(before, "a", "x" * 1000, NOW).links[0].narrowing == "x" * 1000
    assert refusal(lambda now: changes.narrowed_to(now, "a", "x" * 1001, NOW), before) == "too long"
    with pytest.raises(LinkRefused, match="longer than 1000 characters"):
        changes.narrowed_to(before, "a", "x" * 1001, NOW)
    assert refusal(lambda now: changes.narrowed_to(now, "b", "days=1", NOW), before) == "account"
    assert changes.narrowed_to(before, "b", "", NOW).links[1].narrowing == ""


def test_a_renewed_link_keeps_its_former_digests_up_to_ten() -> None:
    after = record(link())
    for number in range(12):
        after = changes.renewed(after, "a", Digests(str(number)), NOW + number * DAY)
    one = after.links[0]
    assert one.digests == Digests("11")
    assert [former.token for former in one.former] == [str(number) for number in range(10, 0, -1)]
    assert one.former[0].until == one.renewed_at == NOW + 11 * DAY


def test_a_revoked_link_or_an_unknown_one_cannot_be_changed() -> None:
    before = changes.revoked(record(link()), "a", NOW)
    assert before.links[0].revoked_at == NOW
    for change in (
        lambda now: changes.renamed(now, "a", "x", None, NOW),
        lambda now: changes.renewed(now, "a", Digests("x"), NOW),
        lambda now: changes.revoked(now, "a", NOW),
        lambda now: changes.revoked(now, "nope", NOW),
    ):
        assert refusal(change, before) == "gone"


def test_links_are_suspended_and_restored() -> None:
    before = record(link("a"), link("b", device="b"), link("c", device="c", suspended_at=NOW))
    after = changes.suspended(before, [("a", False), ("b", True), ("c", True)], NOW + DAY)
    assert [(one.suspended_at, one.changed_at) for one in after.links] == [
        (NOW + DAY, NOW + DAY),
        (None, None),
        (None, NOW + DAY),
    ]


def test_an_invitation_is_used_up_by_a_session() -> None:
    invited = changes.invited(record(), "Anna@example.com", "i", NOW)
    assert invited.invitations == (Invitation("i", ANNA, NOW + 7 * DAY),)
    after = changes.accepted(invited, "i", "s", NOW + DAY)
    assert (after.invitations, after.sessions) == ((), (Session("s", ANNA, NOW + DAY, NOW + DAY),))
    assert refusal(lambda now: changes.accepted(now, "i", "s2", NOW), after) == "invitation"
    assert refusal(lambda now: changes.accepted(now, "i", "s", NOW + 7 * DAY), invited) == "invitation"


def test_of_invitations_and_sessions_of_one_person_the_newest_stay() -> None:
    after = changes.invited(record(), BEN, "ben", NOW)
    for number in range(8):
        after = changes.invited(after, ANNA, str(number), NOW)
    assert [each.digest for each in after.invitations] == ["ben", "3", "4", "5", "6", "7"]
    for number in range(25):
        after = changes.accepted(changes.invited(after, ANNA, "i", NOW), "i", str(number), NOW)
    assert [each.digest for each in after.sessions] == [str(number) for number in range(5, 25)]


def test_a_session_ends_90_days_after_its_last_use() -> None:
    before = LinkRecord(sessions=(Session("s", ANNA, NOW, NOW), Session("t", BEN, NOW, NOW)))
    assert changes.session_with(before, "s", NOW + 89 * DAY) is before.sessions[0]
    assert changes.session_with(before, "s", NOW + 90 * DAY) is None
    assert changes.session_used(before, "s", NOW + DAY / 4) is before
    assert changes.session_used(before, "s", NOW + DAY / 2).sessions[0].used_at == NOW + DAY / 2
    assert changes.session_used(before, "nope", NOW + DAY) is before
    assert [each.used_at for each in changes.session_used(before, "s", NOW + DAY).sessions] == [
        NOW + DAY,
        NOW,
    ]
    assert changes.signed_out(before, "s").sessions == before.sessions[1:]


def test_what_is_past_is_forgotten() -> None:
    old, young = Digests("old", until=NOW - 91 * DAY), Digests("young", until=NOW - 89 * DAY)
    before = LinkRecord(
        links=(link("a", former=(young, old)), link("b", revoked_at=NOW - 90 * DAY)),
        invitations=(Invitation("i", ANNA, NOW), Invitation("j", ANNA, NOW + DAY)),
        sessions=(Session("s", ANNA, NOW, NOW - 90 * DAY), Session("t", ANNA, NOW, NOW)),
    )
    after = changes.without_past(before, 90 * DAY, NOW)
    assert [(one.id, one.former) for one in after.links] == [("a", (young,))]
    assert (after.invitations, after.sessions) == (before.invitations[1:], before.sessions[1:])


def test_of_very_many_revoked_links_of_a_person_the_oldest_are_forgotten() -> None:
    links = [link(str(number), revoked_at=NOW) for number in range(60)] + [link("kept")]
    after = changes.without_past(record(*links, link("b", BEN, revoked_at=NOW)), 90 * DAY, NOW)
    assert [one.id for one in after.links] == [*map(str, range(10, 60)), "kept", "b"]


def test_a_backup_holds_the_links_and_signs_nobody_in() -> None:
    before = LinkRecord((link(),), (Invitation("i", ANNA, NOW),), (Session("s", ANNA, NOW, NOW),))
    backup = changes.exported(before)
    assert backup == record(link())
    assert json.decode(json.encode(backup), type=LinkRecord) == backup


def test_a_backup_brings_back_what_is_gone_and_never_what_was_revoked() -> None:
    one = link("a")
    renewed = replace(one, digests=digests_of(OTHER, is_account=False), renewed_at=NOW + DAY)
    dead = replace(one, revoked_at=NOW)
    empty, ours = record(), record(one)
    forgot = [LinkRecord(forgotten=(id_,)) for id_ in "xy"]
    assert changes.merged(*forgot).forgotten == ("x", "y")
    assert changes.merged(empty, ours) == ours
    assert changes.merged(ours, empty) == ours
    assert changes.merged(ours, record(renewed)).links == (renewed,)
    assert changes.merged(record(renewed), ours).links == (renewed,)
    assert changes.merged(ours, record(replace(one, device="as old"))) == ours
    assert changes.merged(record(dead), record(renewed)).links == (dead,)
    assert changes.merged(record(renewed), record(dead)).links == (dead,)


def test_readers_of_two_lists_are_one_the_latest_first() -> None:
    def read(app: str, days: int) -> LastRead:
        return LastRead(app, NOW + days * DAY, 200)

    ours = LinkReaders({"a": (read("Google", 3), read("curl", 1)), "gone": (read("x", 1),)})
    news = LinkReaders({"a": (read("curl", 4), read("Google", 2))})
    after = changes.with_readers(ours, news, ["a", "never"])
    assert after.readers == {"a": (read("curl", 4), read("Google", 3))}
    many = LinkReaders({"a": tuple(read(str(number), number) for number in range(9))})
    assert [each.app for each in changes.with_readers(many, news, ["a"]).readers["a"]] == list("87654")


def test_every_reason_can_be_said() -> None:
    for key in changes.REASONS:
        assert str(changes.refused(key, n=5, name="phone", field="days"))
    assert changes.refused("too long", n=5).values == {"n": 5}, "pages say it in their own words"
    assert TOKEN not in str(changes.refused("gone"))


def test_all_links_of_a_person_are_revoked_and_nothing_of_others() -> None:
    dead = link("c", device="old", revoked_at=NOW - DAY)
    ours, others = (
        LinkRecord(
            links=links,
            invitations=(Invitation(f"i{person}", person, NOW + DAY),),
            sessions=(Session(f"s{person}", person, NOW, NOW),),
        )
        for person, links in ((ANNA, (link("a"), dead)), (BEN, (link("b", BEN),)))
    )
    before = LinkRecord(
        links=(*ours.links, *others.links),
        invitations=(*ours.invitations, *others.invitations),
        sessions=(*ours.sessions, *others.sessions),
        forgotten=("z",),
    )
    ended = links_of(before, " Anna@Example.com")
    after = changes.signed_out_everywhere(changes.all_revoked(before, ended, NOW), " Anna@Example.com")
    assert {one.id: one.revoked_at for one in after.links} == {"a": NOW, "c": NOW - DAY, "b": None}
    assert (after.invitations, after.sessions) == (others.invitations, others.sessions)
    assert after.forgotten == ("z",)
