"""Who may read which feed, and at what address."""

import re

import pytest
from app_world import HOST, serving, settings
from msgspec.structs import replace

from icsfeed.config.schema import Auto, Config, Feed, Secret, WorkspaceConfig
from icsfeed.feeds.links import Grant, Links, derive, split_file

SECRET = "a secret of thirty-two letters or more"
WORK, ASLEEP = (
    WorkspaceConfig(url="https://plane.example.com"),
    WorkspaceConfig(url="https://x", active=False),
)
FEEDS = {
    "plain": Feed(everything=True),
    "public": Feed(everything=True, public=True),
    "shared": Feed(everything=True, subscribers=("anna", "ben"), revoked=("carl", "ben")),
    "off": Feed(everything=True, active=False),
    "asleep": Feed(workspace="asleep", everything=True),
    "project-prop": Feed(everything=True, revision=3),
}


def _links(**changes: object) -> Links:
    config = Config(workspaces={"work": WORK, "asleep": ASLEEP}, secret=Secret(SECRET), feeds=FEEDS)
    return Links(replace(config, **changes))


@pytest.mark.parametrize(
    ("feed", "subscriber", "access"),
    [
        ("plain", "", "granted"),
        ("plain", "anna", None),
        ("public", "", "granted"),
        ("shared", "", "granted"),
        ("shared", "anna", "granted"),
        ("shared", "ben", "revoked"),
        ("shared", "carl", "revoked"),
        ("shared", "dora", None),
        ("off", "", None),
        ("asleep", "", None),
        ("unknown", "", None),
        ("project-ops", "", None),
    ],
)
def test_a_token_opens_what_it_was_derived_for(feed: str, subscriber: str, access: str | None) -> None:
    revision = FEEDS.get(feed, Feed()).revision
    grant = _links().access(feed, derive(SECRET, "feed", feed, subscriber, revision))
    assert grant == (Grant(subscriber, access == "revoked") if access else None)


@pytest.mark.parametrize("kind", ["embed", "admin"])
def test_tokens_of_another_kind_do_not_open_a_feed(kind: str) -> None:
    assert _links().access("plain", derive(SECRET, kind, "plain")) is None  # type: ignore[arg-type]


def test_a_frames_token_opens_a_frame_and_nothing_else() -> None:
    links = _links()
    for subscriber, revoked in (("", False), ("anna", False), ("carl", True)):
        token = derive(SECRET, "embed", "shared", subscriber)
        assert links.access("shared", token, "embed") == Grant(subscriber, revoked)
        assert links.access("shared", token) is None
        assert links.access("shared", derive(SECRET, "feed", "shared", subscriber), "embed") is None
    assert links.access("public", None, "embed") == Grant()
    assert links.access("plain", None, "embed") is None


def test_every_link_has_a_page_and_a_frame_beside_it() -> None:
    links = _links()
    assert links.addresses("plain", HOST) == {
        "ics": f"{HOST}/feeds/{links.token('plain')}/plain.ics",
        "page": f"{HOST}/feeds/{links.token('plain')}/plain",
        "embed": f"{HOST}/embed/{links.token('plain', kind='embed')}/plain",
    }
    assert links.page_path("plain") == f"/feeds/{links.token('plain')}/plain"
    assert links.embed_path("plain") == f"/embed/{links.token('plain', kind='embed')}/plain"
    assert links.addresses("public", HOST)["embed"] == f"{HOST}/embed/public"
    assert links.addresses("shared", HOST, "anna")["page"] == f"{HOST}{links.page_path('shared', 'anna')}"
    assert (
        len({*links.addresses("shared", HOST).values(), *links.addresses("shared", HOST, "anna").values()})
        == 6
    )


@pytest.mark.parametrize("token", ["", "icsf_", "\udcff", "é", derive(SECRET, "feed", "public")])
def test_no_other_token_opens_a_feed(token: str) -> None:
    assert _links().access("plain", token) is None


@pytest.mark.parametrize(
    ("feed", "access"), [("public", Grant()), ("plain", None), ("nope", None), ("project-x", None)]
)
def test_only_public_feeds_open_without_a_token(feed: str, access: Grant | None) -> None:
    assert _links(auto=Auto(projects=True)).access(feed, None) == access


def test_automatic_feeds_open_by_name_and_an_explicit_feed_of_that_name_wins() -> None:
    links = _links(auto=Auto(projects=True))
    assert links.access("project-ops", derive(SECRET, "feed", "project-ops")) == Grant()
    assert links.access("assignee-anna", derive(SECRET, "feed", "assignee-anna")) is None
    assert links.access("project-prop", derive(SECRET, "feed", "project-prop")) is None
    assert links.access("project-prop", derive(SECRET, "feed", "project-prop", revision=3)) == Grant()


def test_automatic_feeds_open_while_any_workspace_is_active() -> None:
    token = derive(SECRET, "feed", "project-ops")
    auto = Auto(projects=True)
    assert _links(auto=auto, workspaces={"asleep": ASLEEP, "work": WORK}).access("project-ops", token)
    assert _links(auto=auto, workspaces={"asleep": ASLEEP}, feeds={}).access("project-ops", token) is None


def test_paths_need_no_quoting_and_name_the_token_before_the_feed() -> None:
    links = _links(auto=Auto(projects=True))
    for name in (*FEEDS, "project-ops"):
        if name != "public":
            assert re.fullmatch(rf"/feeds/icsf_[a-z2-7]{{26}}/{name}\.ics", links.ics_path(name))
    assert links.ics_path("public") == "/feeds/public.ics"
    assert links.ics_path("shared", "anna") == f"/feeds/{links.token('shared', 'anna')}/shared.ics"
    assert links.ics_path("shared", "anna") != links.ics_path("shared")


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("property.ics", ("property", "ics")),
        ("property.atom", ("property", "atom")),
        ("a.b.json", ("a.b", "json")),
        ("property", ("property", "")),
        ("v1.2", ("v1.2", "")),
        ("x.ICS", ("x.ICS", "")),
        (".ics", ("", "ics")),
    ],
)
def test_a_file_of_a_feed_has_a_name_and_an_extension(file: str, parts: tuple[str, str]) -> None:
    assert split_file(file) == parts


def test_without_a_secret_there_are_no_tokens() -> None:
    links = _links(secret=None)
    assert links.token("plain") is None
    assert links.access("plain", "") is None
    assert links.access("public", None) == Grant()


@pytest.mark.anyio
async def test_all_links_are_those_that_work() -> None:
    feeds = {**FEEDS, "project-ops": Feed(project="PROP", active=False)}
    config = settings(feeds, workspaces={"demo": settings().workspaces["demo"], "asleep": ASLEEP})
    async with serving(config) as world:
        links = await world.service.all_links(HOST)
        assert set(links) == {
            *("plain", "public", "shared", "project-prop", "project-web"),
            *(f"assignee-{name}" for name in ("anna", "ben", "clara", "dan", "eva")),
        }
        assert set(links["shared"]["links"]) == {"anna", "ben"}
        assert "links" not in links["plain"]
        for link in links.values():
            for what in ("ics", "page", "embed"):
                assert (await world.ask("GET", link[what])).status_code == 200


def test_a_subscriber_opens_all_their_feeds_with_the_token_of_any() -> None:
    more = {
        **FEEDS,
        "second": Feed(everything=True, subscribers=("anna",)),
        "third": Feed(everything=True, subscribers=("ben",), active=False),
    }
    links = _links(feeds=more)
    for name in ("shared", "second"):
        assert links.of_subscriber("anna", links.token(name, "anna") or "") == (name,)
    for who, token in [
        ("anna", links.token("shared")),
        ("anna", links.token("plain")),
        ("anna", ""),
        ("ben", links.token("shared", "ben")),
        ("ben", links.token("third", "ben")),
        ("carl", links.token("shared", "carl")),
        ("", links.token("shared")),
        ("dora", links.token("second", "anna")),
    ]:
        assert links.of_subscriber(who, token or "") == ()
