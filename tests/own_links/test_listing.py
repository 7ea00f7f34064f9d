"""Lists of links and people for the administrator."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from icsfeed.own_links.listing import ListedPerson, listed_links, listed_people
from icsfeed.own_links.model import LastRead, OwnLink, digests_of

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PHONE = OwnLink(
    id="aaaaaaaa",
    person="anna@example.com",
    device="phone",
    feed="project/acme/1",
    narrowing="priority=urgent",
    title="Urgent",
    digests=digests_of("icsf_a", is_account=False),
    made_at=NOW,
)
TABLET = replace(PHONE, id="bbbbbbbb", device="tablet", feed="", narrowing="", title="", revoked_at=NOW)
OTHER = replace(
    PHONE,
    id="cccccccc",
    person="ben@example.com",
    feed="property",
    suspended_at=NOW,
    renewed_at=NOW + timedelta(days=1),
)
LINKS = (PHONE, TABLET, OTHER)
EARLY, LATE = LastRead("DAVx5", NOW - timedelta(days=2), 207), LastRead("Thunderbird", NOW, 304)
READERS = {"aaaaaaaa": (EARLY,), "bbbbbbbb": (LATE, EARLY)}


def test_a_listed_link_names_its_feed_and_when_it_was_last_read() -> None:
    other, tablet, phone = listed_links(LINKS, READERS, {"project/acme/1": "project-prop"})
    assert (phone.id, phone.person, phone.name, phone.kind) == (
        "aaaaaaaa",
        "anna@example.com",
        "phone",
        "feed",
    )
    assert (phone.feed, phone.filter, phone.title, phone.made) == (
        "project-prop",
        "priority=urgent",
        "Urgent",
        NOW,
    )
    assert (phone.last_read, tablet.last_read, other.last_read) == (EARLY, LATE, None)
    assert (tablet.kind, tablet.feed, other.feed) == ("account", None, "property")
    assert (phone.renewed, other.renewed) == (None, NOW + timedelta(days=1))
    assert (tablet.revoked, other.revoked) == (NOW, None)
    assert [link.state for link in (phone, tablet, other)] == ["used", "revoked", "suspended"]


def test_people_have_their_links_counted() -> None:
    assert listed_people(listed_links(LINKS, READERS, {})) == [
        ListedPerson("anna@example.com", 1, 1, LATE),
        ListedPerson("ben@example.com", 1, 0, None),
    ]
    assert listed_people([]) == []
