"""Profiles for Apple's devices: each key, and which profile replaces which."""

import plistlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.errors import BadParameter
from icsfeed.feeds.links import derive
from icsfeed.text import one_line
from icsfeed.web.subscribe.profile import ProfileText, profile_of

TOKEN, OTHER = derive("s" * 32, "feed", "property"), derive("s" * 32, "feed", "property", revision=2)
ICS = f"https://cal.example.com:8443/team/feeds/{TOKEN}/property.ics"
TEXT = ProfileText("Fällige & späte", "Subscribes to <it>.", "cal.example.com")


def read(ics: str = ICS, user: str = "property", asked: str | None = None, text: ProfileText = TEXT) -> Any:
    body = profile_of(ics, user, asked, text)
    assert body.startswith(b"<?xml")
    return plistlib.loads(body)


def test_a_subscription_has_the_address_and_no_password() -> None:
    whole = read(f"{ICS}?priority=high&days=14")
    (payload,) = whole.pop("PayloadContent")
    identifier, uuid = whole.pop("PayloadIdentifier"), whole.pop("PayloadUUID")
    described = {
        "PayloadDisplayName": "Fällige & späte",
        "PayloadDescription": "Subscribes to <it>.",
        "PayloadOrganization": "cal.example.com",
        "PayloadVersion": 1,
    }
    assert whole == {**described, "PayloadType": "Configuration", "PayloadRemovalDisallowed": False}
    assert identifier == f"icsfeed.{uuid.lower()}"
    assert payload.pop("PayloadUUID") != uuid
    assert payload == {
        **described,
        "PayloadType": "com.apple.subscribedcalendar.account",
        "PayloadIdentifier": f"{identifier}.calendar",
        "SubCalAccountDescription": "Fällige & späte",
        "SubCalAccountHostName": f"{ICS}?priority=high&days=14",
        "SubCalAccountUseSSL": True,
    }


def test_an_account_has_what_the_login_needs() -> None:
    (payload,) = read(ICS, "anna b", "caldav")["PayloadContent"]
    assert {key: payload[key] for key in payload if not key.startswith("Payload")} == {
        "CalDAVAccountDescription": "Fällige & späte",
        "CalDAVHostName": "cal.example.com",
        "CalDAVPort": 8443,
        "CalDAVPrincipalURL": "https://cal.example.com:8443/team/dav/anna%20b/",
        "CalDAVUseSSL": True,
        "CalDAVUsername": "anna b",
        "CalDAVPassword": TOKEN,
    }
    assert payload["PayloadType"] == "com.apple.caldav.account"


def test_over_plain_http_a_subscription_says_so() -> None:
    assert read(ICS.replace("https", "http"))["PayloadContent"][0]["SubCalAccountUseSSL"] is False


@pytest.mark.parametrize(
    ("ics", "asked"),
    [
        (ICS, "carddav"),
        (ICS.replace("https", "http"), "caldav"),
        (f"{ICS}?days=7", "caldav"),
        ("https://cal.example.com/feeds/property.ics", "caldav"),
    ],
)
def test_an_account_that_there_is_not_is_refused(ics: str, asked: str) -> None:
    with pytest.raises(BadParameter) as caught:
        profile_of(ics, "property", asked, TEXT)
    assert caught.value.field == "account"
    assert TOKEN not in str(caught.value)


def test_a_new_link_replaces_the_old_profile_and_nothing_else_does() -> None:
    def identity(*arguments: Any) -> tuple[str, str]:
        whole = read(*arguments)
        return whole["PayloadIdentifier"], whole["PayloadContent"][0]["PayloadUUID"]

    assert identity(ICS) == identity(ICS.replace(TOKEN, OTHER))
    assert identity(ICS, "property", None, ProfileText("New", "", "")) == identity(ICS)
    others = (
        *((ICS, "anna"), (ICS, "property", "caldav"), (f"{ICS}?days=7",)),
        *((ICS.replace("property.ics", "all.ics"),), (ICS.replace("cal.", "dev."),)),
    )
    assert len({identity(ICS), *(identity(*arguments) for arguments in others)}) == 6
    assert TOKEN not in "".join(identity(ICS))


@given(st.text(), st.text(st.sampled_from("a\ufffe\uffff\ud800\r\n\x00\t\x1f<&")))
def test_every_title_can_be_written_and_is_read_again(title: str, description: str) -> None:
    whole = read(text=ProfileText(title, description, "x"))
    for key, text in (("PayloadDisplayName", title), ("PayloadDescription", description)):
        assert whole[key] == one_line(text).replace("\ufffe", "").replace("\uffff", "")


def test_a_profile_of_a_public_feed_has_its_address() -> None:
    public = "https://cal.example.com/feeds/all.ics"
    assert read(public, "all")["PayloadContent"][0]["SubCalAccountHostName"] == public
