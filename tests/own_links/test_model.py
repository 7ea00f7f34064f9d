"""What is stored of people's links: nothing that opens one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from icsfeed.own_links.model import (
    Digests,
    LinkRecord,
    OpenedLink,
    OwnLink,
    digests_of,
    embed_token,
    index_of,
    invitation_path,
    links_of,
    links_to_feeds,
)
from icsfeed.tokens import digest_of, is_token, token_of

NOW = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
TOKEN, OTHER = token_of(b"1" * 17), token_of(b"2" * 17)


def link(id_: str = "a", person: str = "anna@example.com", token: str = TOKEN, **more: object) -> OwnLink:
    fields = {"device": "phone", "feed": "prop", "made_at": NOW, **more}
    digests = digests_of(token, is_account=not fields["feed"])
    return OwnLink(id=id_, person=person, digests=digests, **fields)  # type: ignore[arg-type]


@given(st.binary(min_size=17, max_size=40))
def test_a_token_is_a_token_and_so_is_its_token_for_frames(octets: bytes) -> None:
    token = token_of(octets)
    assert is_token(token)
    assert is_token(embed_token(token))
    assert len({token, embed_token(token), digest_of(token), digest_of(embed_token(token))}) == 4


def test_the_token_for_frames_never_changes() -> None:
    """Pages elsewhere have it in their frames."""
    assert embed_token("icsf_" + "a" * 26) == "icsf_g6e5xs3eprdh5eqaz2dwteokwl"


def test_what_is_stored_holds_no_token() -> None:
    stored = json.encode(LinkRecord(links=(link(),)))
    assert TOKEN[5:].encode() not in stored
    assert embed_token(TOKEN).encode() not in stored
    assert digest_of(TOKEN).encode() in stored


def test_tokens_are_found_by_their_digests_and_for_their_purpose_only() -> None:
    feed, account = link(), link("b", token=OTHER, feed="")
    index = index_of(LinkRecord(links=(feed, account)))
    assert index == {
        ("feed", digest_of(TOKEN)): OpenedLink(feed),
        ("embed", digest_of(embed_token(TOKEN))): OpenedLink(feed),
        ("account", digest_of(OTHER)): OpenedLink(account),
    }
    assert (feed.is_account, account.is_account) == (False, True)
    assert feed.label == "anna@example.com (phone)"


def test_former_tokens_and_those_of_revoked_links_have_ended() -> None:
    earlier = NOW - timedelta(days=3)
    former = Digests("f", "e", until=earlier)
    index = index_of(LinkRecord(links=(link(former=(former,), revoked_at=NOW),)))
    ended = {key: opened.ended_at for key, opened in index.items()}
    assert ended == {
        ("feed", "f"): earlier,
        ("embed", "e"): earlier,
        ("feed", digest_of(TOKEN)): NOW,
        ("embed", digest_of(embed_token(TOKEN))): NOW,
    }


def test_a_person_has_their_links_whatever_the_case_of_the_address() -> None:
    record = LinkRecord(links=(link("a"), link("b", "ben@example.com"), link("c", revoked_at=NOW)))
    assert [each.id for each in links_of(record, " Anna@Example.COM")] == ["a"]


def test_links_to_a_feed_are_those_in_use_of_everybody_or_of_one_person() -> None:
    ben = "ben@example.com"
    record = LinkRecord(
        links=(
            link("a", feed="prop"),
            link("b", ben, feed="prop"),
            link("c", feed="prop", revoked_at=NOW),
            link("d", feed="web"),
            link("e", feed="project/acme/id"),
            link("f", feed=""),
        )
    )

    def ids(feeds: set[str], person: str | None = None) -> str:
        return "".join(one.id for one in links_to_feeds(record, feeds, person))

    assert (ids({"prop"}), ids({"prop", "project/acme/id"}), ids({""}), ids(set())) == ("ab", "abe", "", "")
    assert (ids({"prop"}, " Ben@example.com"), ids({"prop"}, "")) == ("b", "")


def test_an_invitation_leads_to_a_page_of_ours() -> None:
    assert invitation_path(TOKEN) == f"/me/invite/{TOKEN}"
