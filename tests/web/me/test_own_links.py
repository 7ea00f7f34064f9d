"""/me/links: people manage links of their own, by forms that nobody else can send for them."""

import logging
import plistlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from app_world import HOST, Clock, World, serving, settings, titles
from redis_world import redis_server
from test_pages import page, words

from icsfeed.config.schema import AuthProxy, Auto, Config, Feed
from icsfeed.own_links.changes import MAX_LINKS
from icsfeed.store.store import open_store

pytestmark = pytest.mark.anyio

ANNA, BEN = "anna@example.com", "ben@example.com"
HEADER = "x-forwarded-email"
SAME = {"sec-fetch-site": "same-origin", "origin": HOST}
FEEDS = {
    "anna": Feed(assignee=ANNA, title="Anna's own"),
    "prop": Feed(project="PROP", title="Property"),
    "ops": Feed(project="OPS", title="Operations"),
    "all": Feed(everything=True, title="All of it"),
}


def config(**changes: Any) -> Config:
    proxy = AuthProxy(header="X-Forwarded-Email", networks=("127.0.0.1/32",))
    return settings(FEEDS, auto=Auto(), **{"auth_proxy": proxy, **changes})


@asynccontextmanager
async def world_of(folder: Path, made: Config | None = None, **more: Any) -> AsyncIterator[World]:
    store = more.pop("store", None) or open_store("file", {"STATE_DIRECTORY": str(folder)})
    async with serving(made or config(), store=store, **more) as world:
        await world.service.start()
        yield world


class Person:
    """Somebody with a browser, signed in by the proxy (or by a cookie)."""

    def __init__(self, world: World, email: str = ANNA, **headers: str) -> None:
        self.world = world
        self.headers = {HEADER: email, "accept": "text/html", **headers} if email else {**headers}

    async def get(self, path: str = "/me/links") -> httpx.Response:
        return await page(self.world, path, **self.headers)

    async def token(self) -> str:
        return str(re.findall('name="form" value="([^"]*)"', (await self.get()).text)[0])

    async def post(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = SAME,
        **fields: str,
    ) -> httpx.Response:
        form = {"form": await self.token(), **fields} if form is None else form
        sent = {**self.headers, **headers, "content-type": "application/x-www-form-urlencoded"}
        return await self.world.client.post(path, content=urlencode(form), headers=sent)

    async def make(self, device: str = "phone", feed: str = "prop", **fields: str) -> str:
        """The token of a new link."""
        form = {"form": await self.token(), "device": device, "feed": feed, **fields}
        answer = await self.post("/me/links", form)
        assert answer.status_code == 200, words(answer)
        return token_in(answer)

    @property
    def links(self) -> list[str]:
        return [link.device for link in self.world.service.own.of(self.headers.get(HEADER, ANNA))]


def token_in(answer: httpx.Response) -> str:
    return str(re.findall("icsf_[a-z2-7]{26}", answer.text)[0])


async def test_a_person_makes_a_link_that_is_shown_once_and_works(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        answer = await anna.post("/me/links", device="phone", feed="prop", title="Mine")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["referrer-policy"] == "same-origin"
        token = token_in(answer)
        assert f'value="{HOST}/feeds/{token}/prop.ics"' in answer.text
        assert f'href="webcals://cal.example.com/feeds/{token}/prop.ics"' in answer.text
        assert "<svg" in answer.text
        calendar = await world.ask("GET", f"/feeds/{token}/prop.ics", user_agent="Thunderbird")
        assert titles(calendar.content) == titles((await world.get("prop")).content)
        shown = await anna.get()
        assert "icsf_" not in shown.text
        assert "phone Calendar Property – Mine Filter none: the whole calendar" in words(shown)
        assert "Last read Thunderbird, Nov 23" in words(shown)


async def test_a_filter_of_the_builder_is_kept_and_changed(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        builder = await anna.get("/me?feed=prop&priority=urgent")
        make = unescape(re.findall('href="(/me/links[?][^"]*)#make"', builder.text)[0])
        form = (await anna.get(make)).text
        narrowing = re.findall('name="narrowing" value="([^"]*)"', form)[0]
        assert "Make a link with this filter" in words(builder)
        token = await anna.make(narrowing=unescape(narrowing))
        urgent = titles((await world.get("prop", "?priority=urgent")).content)
        assert titles((await world.ask("GET", f"/feeds/{token}/x.ics")).content) == urgent
        edit = unescape(re.findall('href="(/me[?][^"]*)#build"', (await anna.get()).text)[0])
        assert "priority=urgent" in edit
        edited = await anna.get(edit.replace("urgent", "low"))
        assert "Save this filter for “phone”" in words(edited)
        action = re.findall('action="(/me/links/[^"]*)"', edited.text)[0]
        saved = await anna.post(action, act="narrow", narrowing="priority=low")
        assert (saved.status_code, saved.headers["location"]) == (303, "/me/links")
        low = titles((await world.get("prop", "?priority=low")).content)
        assert titles((await world.ask("GET", f"/feeds/{token}/x.ics")).content) == low != urgent


async def test_a_link_is_renamed_renewed_and_taken_back(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        first = await anna.make()
        path = f"/me/links/{world.service.own.of(ANNA)[0].id}"
        assert (await anna.post(path, act="rename", device="Tablet")).status_code == 303
        assert anna.links == ["Tablet"]
        renewed = await anna.post(path, act="renew")
        second = token_in(renewed)
        assert second != first
        notice = {"This calendar link was revoked"}
        assert titles((await world.ask("GET", f"/feeds/{first}/x.ics")).content) == notice
        assert titles((await world.ask("GET", f"/feeds/{second}/x.ics")).content) != notice
        assert (await anna.post(path, act="revoke")).status_code == 303
        assert anna.links == []
        assert titles((await world.ask("GET", f"/feeds/{second}/x.ics")).content) == notice
        assert (await anna.post(path, act="renew")).status_code == 409


async def test_an_account_is_shown_as_server_name_and_password(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        answer = await anna.post("/me/links", device="phone", feed="")
        assert f'value="{HOST}/dav/"' in answer.text
        assert f'value="{ANNA}"' in answer.text
        opened = world.service.own.opened_by(token_in(answer), "account")
        assert opened is not None
        assert opened.link.is_account
        assert ("davx5://" in answer.text) == HOST.startswith("https:")


async def test_an_account_is_set_up_in_one_step(tmp_path: Path) -> None:
    async with world_of(tmp_path, config(public_url="https://cal.example.com/x")) as world:
        anna = Person(world)
        answer = await anna.post("/me/links", device="phone", feed="")
        token = token_in(answer)
        assert f'href="davx5://anna%40example.com:{token}@cal.example.com/x/dav/"' in answer.text
        path = f"/feeds/{token}/account.mobileconfig"
        assert f'href="https://cal.example.com/x{path}?account=caldav"' in answer.text
        profile = await world.ask("GET", f"{path}?account=caldav")
        assert profile.headers["content-type"] == "application/x-apple-aspen-config"
        [payload] = plistlib.loads(profile.content)["PayloadContent"]
        assert payload["PayloadType"] == "com.apple.caldav.account"
        assert payload["CalDAVPrincipalURL"] == "https://cal.example.com/x/dav/anna@example.com/"
        assert (payload["CalDAVUsername"], payload["CalDAVPassword"]) == (ANNA, token)
        for name in ("account.ics", "account", "prop.mobileconfig"):
            assert (await world.ask("GET", f"/feeds/{token}/{name}")).status_code == 404
        await anna.post(f"/me/links/{world.service.own.of(ANNA)[0].id}", act="revoke")
        assert (await world.ask("GET", path)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"device": "phone", "feed": "all"}, "This calendar is not one of yours"),
        ({"device": "phone", "feed": "nope"}, "This calendar is not one of yours"),
        ({"device": "", "feed": "prop"}, "Give the link a name"),
        ({"device": "a\u202eb", "feed": "prop"}, "none that are invisible"),
        ({"device": "x" * 61, "feed": "prop"}, "60 characters at most"),
        ({"device": "PHONE", "feed": "prop"}, "You already have a link called PHONE"),
        ({"device": "new", "feed": "prop", "narrowing": "days=x"}, "cannot be filtered by days"),
        ({"device": "new", "feed": "prop", "narrowing": f"title={'x' * 1500}"}, "longer than 1000"),
    ],
)
async def test_what_cannot_be_done_is_said_on_the_page(
    fields: dict[str, str], says: str, tmp_path: Path
) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        await anna.make()
        answer = await anna.post("/me/links", {"form": await anna.token(), **fields})
        assert answer.status_code == 409
        assert says in words(answer)
        assert anna.links == ["phone"]


async def test_a_person_has_a_limited_number_of_links(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        for number in range(MAX_LINKS):
            await world.service.own.make(ANNA, str(number), "prop")
        assert "You have 50 links" in words(await anna.post("/me/links", device="new", feed="prop"))


async def test_names_are_shown_as_text_in_their_own_direction(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        await anna.make("<b>مكتب</b>")
        assert "<bdi>&lt;b&gt;مكتب&lt;/b&gt;</bdi>" in (await anna.get()).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": HOST},
        {"sec-fetch-site": "same-site", "origin": HOST},
    ],
)
async def test_forms_of_other_sites_are_refused(headers: dict[str, str], tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        form = {"form": await anna.token(), "device": "phone", "feed": "prop"}
        answer = await anna.post("/me/links", form, headers)
        assert (answer.status_code, anna.links) == (403, [])
        assert "did not come from your own page" in words(answer)


async def test_an_old_browser_that_names_the_origin_alone_can_send_forms(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        form = {"form": await anna.token(), "device": "phone", "feed": "prop"}
        assert (await anna.post("/me/links", form, {"origin": HOST})).status_code == 200


async def test_a_form_needs_its_own_token_that_is_not_too_old(tmp_path: Path) -> None:
    clock = Clock()
    async with world_of(tmp_path, clock=clock) as world:
        anna, ben = Person(world), Person(world, BEN)
        theirs, own = await ben.token(), await anna.token()
        expires, _, signature = own.partition(".")
        for wrong in ("", "x", theirs, f"{int(expires) + 1}.{signature}", f"{expires}.", f"²{own}"):
            form = {"form": wrong, "device": "phone", "feed": "prop"}
            assert (await anna.post("/me/links", form)).status_code == 403
        clock.move(12 * 3_600 + 1)
        late = await anna.post("/me/links", {"form": own, "device": "phone", "feed": "prop"})
        assert (late.status_code, "open for too long" in words(late)) == (403, True)
        assert anna.links == []


async def test_nobody_changes_the_links_of_others(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna, ben = Person(world), Person(world, BEN)
        await anna.make()
        path = f"/me/links/{world.service.own.of(ANNA)[0].id}"
        for act in ("rename", "narrow", "renew", "revoke"):
            answer = await ben.post(path, act=act, device="x")
            assert (answer.status_code, "no longer exists" in words(answer)) == (409, True)
        assert anna.links == ["phone"]
        assert "phone" not in words(await ben.get())
        stranger = await Person(world, "").get()
        assert stranger.status_code == 403


async def test_forms_are_bounded_and_are_forms(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        assert (await anna.post("/me/links", {"form": "x", "device": "x" * 40_000})).status_code == 413
        many = {"form": await anna.token(), **{str(number): "" for number in range(101)}}
        assert (await anna.post("/me/links", many)).status_code == 400
        headers = {**anna.headers, **SAME, "content-type": "text/plain"}
        assert (await world.client.post("/me/links", content=b"x", headers=headers)).status_code == 415
        headers["content-type"] = "application/x-www-form-urlencoded"
        assert (await world.client.post("/me/links", content=b"\xff", headers=headers)).status_code == 400
        assert (await world.ask("GET", "/me/sign-out", **anna.headers)).status_code == 405
        act = await anna.post("/me/links", device="phone", feed="prop")
        path = f"/me/links/{world.service.own.of(ANNA)[0].id}"
        assert (act.status_code, (await anna.post(path, act="explode")).status_code) == (200, 400)


async def test_very_many_changes_of_one_person_have_to_wait(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        anna = Person(world)
        form = {"form": await anna.token(), "device": "", "feed": "prop"}
        statuses = [(await anna.post("/me/links", form)).status_code for _ in range(61)]
        assert (set(statuses[:60]), statuses[60]) == ({409}, 429)
        assert (await Person(world, BEN).post("/me/links", device="phone", feed="prop")).status_code == 200


async def test_in_memory_the_page_says_why_no_link_can_be_made() -> None:
    async with serving(config()) as world:
        anna = Person(world)
        shown = await anna.get()
        assert "“store”" in words(shown)
        assert 'id="make"' not in shown.text
        assert (await anna.post("/me/links", {"form": "x"})).status_code == 403


async def test_while_the_store_fails_nothing_is_changed(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with world_of(tmp_path, store=open_store(server.address, {})) as world:
            anna = Person(world)
            token, form = await anna.make(), {"form": await anna.token(), "device": "laptop", "feed": "prop"}
            server.stop()
            answer = await anna.post("/me/links", form)
            assert (answer.status_code, anna.links) == (503, ["phone"])
            assert (await world.ask("GET", f"/feeds/{token}/x.ics")).status_code == 200


async def test_two_replicas_share_links(tmp_path: Path) -> None:
    clock = Clock()
    with redis_server(tmp_path) as server:
        stores = [open_store(server.address, {}) for _ in range(2)]
        async with (
            world_of(tmp_path, store=stores[0], clock=clock) as one,
            world_of(tmp_path, store=stores[1], clock=clock) as two,
        ):
            clock.move(5)
            token = await Person(one).make()
            assert (await two.ask("GET", f"/feeds/{token}/x.ics")).status_code == 200
            clock.move(5)
            # A form of one replica is acted on by another.
            form = {"form": await Person(one).token(), "act": "revoke"}
            await two.service.own.refresh()
            path = f"/me/links/{two.service.own.of(ANNA)[0].id}"
            assert (await Person(two).post(path, form)).status_code == 303
            await one.service.own.refresh()
            notice = await one.ask("GET", f"/feeds/{token}/x.ics")
            assert titles(notice.content) == {"This calendar link was revoked"}


async def test_an_invitation_signs_in_once_where_there_is_no_proxy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "httpx")  # the test's own client
    caplog.set_level(logging.INFO, "icsfeed")
    async with world_of(tmp_path, config(auth_proxy=None, public_url=f"{HOST}/cal")) as world:
        nobody = Person(world, "")
        assert (await nobody.get("/me")).status_code == 403
        assert (await Person(world).get("/me")).status_code == 403, "a header of no proxy signs nobody in"
        _, token = await world.service.own.invite(ANNA)
        path = f"/me/invite/{token}"
        for _ in range(3):  # previews of chat apps
            shown = await nobody.get(path)
            assert (shown.status_code, "Sign in" in words(shown)) == (200, True)
        assert (await nobody.post(path, {}, {})).status_code == 403
        answer = await nobody.post(path, {})
        assert (answer.status_code, answer.headers["location"]) == (303, "/cal/me")
        cookie = answer.headers["set-cookie"]
        assert re.match("icsfeed_me=icsf_[a-z2-7]{26}; ", cookie)
        for part in ("HttpOnly", "Path=/cal/me", "SameSite=lax", "Secure"):
            assert part in cookie
        assert (await nobody.post(path, {})).status_code == 410
        assert (await nobody.get(path)).status_code == 410
        signed_in = Person(world, "", cookie=cookie.partition(";")[0], accept="text/html")
        world.client.cookies.clear()
        assert f"Signed in as {ANNA}" in words(await signed_in.get("/me"))
        assert await signed_in.make()
        out = await signed_in.post("/me/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/cal/me")
        world.client.cookies.clear()
        assert (await signed_in.get("/me")).status_code == 403
        assert token not in caplog.text
        assert "icsf_" not in caplog.text


async def test_a_form_token_belongs_to_its_session(tmp_path: Path) -> None:
    async with world_of(tmp_path, config(auth_proxy=None)) as world:
        people = []
        for _ in range(2):
            _, token = await world.service.own.invite(ANNA)
            _, cookie = await world.service.own.accept(token)
            people.append(Person(world, "", cookie=f"icsfeed_me={cookie}", accept="text/html"))
        form = {"form": await people[0].token(), "device": "phone", "feed": "prop"}
        assert (await people[1].post("/me/links", form)).status_code == 403
        assert (await people[0].post("/me/links", form)).status_code == 200


async def test_where_a_proxy_signs_in_cookies_and_invitations_count_for_nothing(tmp_path: Path) -> None:
    async with world_of(tmp_path, config(auth_proxy=None)) as world:
        _, token = await world.service.own.invite(ANNA)
        _, cookie = await world.service.own.accept(token)
        _, unused = await world.service.own.invite(ANNA)
    async with world_of(tmp_path) as world:
        sent = {"cookie": f"icsfeed_me={cookie}", "accept": "text/html"}
        assert (await Person(world, "", **sent).get("/me")).status_code == 403
        assert f"Signed in as {BEN}" in words(await Person(world, BEN, **sent).get("/me/links"))
        assert (await Person(world, "").get(f"/me/invite/{unused}")).status_code == 404


async def test_guesses_of_invitations_are_slowed_as_wrong_links_are(tmp_path: Path) -> None:
    async with world_of(tmp_path, config(auth_proxy=None)) as world:
        for path in ("/me/invite/nope", f"/me/invite/icsf_{'a' * 26}"):
            assert (await Person(world, "").get(path)).status_code == 410
        assert world.server.token_throttle.counts["wrong"] == 2


async def test_feeds_and_frames_set_no_cookie_and_nothing_stored_or_logged_opens_a_link(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "httpx")  # the test's own client
    caplog.set_level(logging.DEBUG, "icsfeed")
    async with world_of(tmp_path) as world:
        token = await Person(world).make()
        for path in (f"/feeds/{token}/x.ics", f"/feeds/{token}/x"):
            assert "set-cookie" not in (await world.ask("GET", path, accept="text/html")).headers
    assert (tmp_path / "snapshots").is_dir()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())  # noqa: ASYNC240
    assert token[5:].encode() not in stored
    assert token[5:] not in caplog.text
    assert "own link made" in caplog.text


@pytest.mark.parametrize("path", ["/me/links", "/me/invite/x"])
async def test_pages_with_a_form_name_all_their_methods(path: str) -> None:
    async with serving(settings()) as world:
        answer = await world.ask("OPTIONS", path)
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        refused = await world.ask("PUT", path)
        assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (
            405,
            {"GET", "HEAD", "OPTIONS", "POST"},
        )
