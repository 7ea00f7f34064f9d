"""Which links a page offers to subscribe, to whom, and the account behind some of them."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from icsfeed.feeds.links import derive
from icsfeed.web.subscribe.choices import (
    CalDavLogin,
    Device,
    Subscription,
    account_link,
    caldav_login,
    device_of,
    for_device,
    subscriptions_of,
)

TOKEN = derive("s" * 32, "feed", "property")
ICS = f"https://cal.example.com/feeds/{TOKEN}/property.ics"
PUBLIC = "https://cal.example.com/feeds/property.ics"
AGENTS: dict[Device, tuple[str, ...]] = {
    "iphone": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15",
    ),
    "android": (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile",
        "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0",
    ),
    "mac": ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.1 Safari",),
    "windows": ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",),
    "linux": ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",),
    "other": ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36", "curl/8.5", ""),
}


def hrefs(ics: str = ICS, user: str = "property") -> dict[str, str]:
    return {choice.key: choice.href for choice in subscriptions_of(ics, "Überfälliges & mehr", user)}


@pytest.mark.parametrize(
    ("device", "agent"), [(key, agent) for key, all_ in AGENTS.items() for agent in all_]
)
def test_a_device_is_known_by_its_user_agent(device: Device, agent: str) -> None:
    assert device_of({"user-agent": agent}) == device


@pytest.mark.parametrize(
    ("hint", "device"),
    [('"Android"', "android"), ('"macOS"', "mac"), ('"Windows"', "windows"), ('"iOS"', "iphone")],
)
def test_the_hint_of_chromium_counts_before_the_user_agent(hint: str, device: Device) -> None:
    agent = AGENTS["linux"][0]
    assert device_of({"sec-ch-ua-platform": hint, "user-agent": agent}) == device


def test_a_hint_that_says_nothing_leaves_it_to_the_user_agent() -> None:
    assert device_of({"sec-ch-ua-platform": '"Unknown"', "user-agent": AGENTS["mac"][0]}) == "mac"
    assert device_of({}) == "other"


def test_each_app_gets_the_form_of_the_address_that_it_knows() -> None:
    found, rest = hrefs(), ICS.removeprefix("https://")
    assert found["apple"] == f"webcal://{rest}"
    assert found["thunderbird"] == found["icsx5"] == f"webcals://{rest}"
    assert found["download"] == ICS
    assert found["profile"] == f"https://cal.example.com/feeds/{TOKEN}/property.mobileconfig"
    assert found["account"] == f"{found['profile']}?account=caldav"
    assert found["davx5"] == f"davx5://property:{TOKEN}@cal.example.com/dav/"
    assert parse_qs(urlsplit(found["google"]).query) == {"cid": [f"webcal://{rest}"]}
    for key, host in (("outlook-365", "outlook.office.com"), ("outlook-com", "outlook.live.com")):
        address = urlsplit(found[key])
        assert (address.hostname, address.path) == (host, "/calendar/0/addfromweb")
        assert parse_qs(address.query) == {"url": [ICS], "name": ["Überfälliges & mehr"]}


def test_over_plain_http_apps_get_webcal_and_there_is_no_account() -> None:
    found = hrefs(ICS.replace("https:", "http:"))
    assert {urlsplit(found[key]).scheme for key in ("apple", "thunderbird", "icsx5")} == {"webcal"}
    assert not {"account", "davx5"} & found.keys()


def test_a_filter_is_in_every_link_and_an_account_is_not_offered_for_it() -> None:
    found = hrefs(f"{ICS}?priority=high")
    assert found["profile"].endswith("/property.mobileconfig?priority=high")
    assert all("priority=high" in unquote(unquote(href)) for href in found.values())
    assert not {"account", "davx5"} & found.keys()


@pytest.mark.parametrize(
    ("device", "own"),
    [
        ("iphone", ["profile", "account", "apple"]),
        ("mac", ["account", "apple"]),
        ("android", ["icsx5", "davx5", "google"]),
        ("windows", ["outlook-365", "outlook-com", "google"]),
        ("linux", ["thunderbird", "google"]),
        ("other", []),
    ],
)
def test_the_links_for_the_own_device_come_first_and_none_is_missing(device: Device, own: list[str]) -> None:
    choices = subscriptions_of(ICS, "Property", "property")
    first, others = for_device(choices, device)
    assert [choice.key for choice in first] == own
    assert sorted(choice.key for choice in (*first, *others)) == sorted(choice.key for choice in choices)


def test_only_web_pages_are_opened_as_such() -> None:
    choices = subscriptions_of(ICS, "Property", "property")
    assert {choice.key for choice in choices if choice.opens == "site"} == {
        "google",
        "outlook-365",
        "outlook-com",
    }
    assert Subscription("download", ICS, "file") in choices


def test_an_account_is_found_from_a_link_behind_a_prefix_and_a_port() -> None:
    ics = f"https://cal.example.com:8443/team/feeds/{TOKEN}/property.ics"
    assert caldav_login(ics, "anna b") == CalDavLogin(
        host="cal.example.com",
        port=8443,
        root="https://cal.example.com:8443/team/dav/",
        principal="https://cal.example.com:8443/team/dav/anna%20b/",
        user="anna b",
        password=TOKEN,
    )
    davx5 = hrefs(ics, "anna@b.example")["davx5"]
    assert davx5 == f"davx5://anna%40b.example:{TOKEN}@cal.example.com:8443/team/dav/"


@pytest.mark.parametrize(
    ("ics", "user"),
    [
        (PUBLIC, "property"),
        (ICS.replace("https", "http"), "property"),
        (f"{ICS}?days=7", "property"),
        (ICS, "a/b"),
        (ICS, "a:b"),
        (ICS.replace(".com", ".com:99999"), "property"),
        ("/feeds/property.ics", "property"),
    ],
)
def test_what_has_no_account(ics: str, user: str) -> None:
    assert caldav_login(ics, user) is None


def test_a_link_to_the_account_of_a_person_opens_that() -> None:
    login = caldav_login(account_link("https://cal.example.com/team", TOKEN), "anna@b.example")
    assert login is not None
    assert login.principal == "https://cal.example.com/team/dav/anna@b.example/"
    assert (login.user, login.password) == ("anna@b.example", TOKEN)
